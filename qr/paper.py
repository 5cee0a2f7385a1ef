"""Drawing on paper: a code as one filled path, text that fits its room, cut marks, and the boxes of a page.

Everything is in millimetres from the upper left corner of the finished page, as people measure paper; the canvas of
reportlab counts points from the lower left.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO

from django.utils.translation import gettext as _
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from merchants import lettering
from merchants.refusals import Refused
from qr import branding
from qr.branding import QUIET_ZONE
from qr.labels import POINTS
from qr.stickers import Sticker
from qr.symbol import Symbol, symbol

MODULE_MIN = 0.33  # Millimetres: the least that a phone's camera resolves without being held against the paper.
BLEED = 3.0  # How far colour goes over the edge of what is cut, in millimetres.
MARGIN = BLEED + 6.0  # What a page with cut marks has around it.

INK, SOFT, GREEN, WHITE, PALE, RULE = map(HexColor, ("#1d1a16", "#5c554b", "#0b6b46", "#ffffff", "#f0ebe3", "#8d857a"))
_DARK = re.compile("1+")
_MARKS = {"Mn", "Mc", "Me", "Cf"}


@dataclass(frozen=True, slots=True)
class Line:
    """A text with the size that it would like to have (millimetres); the smaller its rank, the longer it stays."""

    text: str
    size: float
    rank: int
    bold: bool = False
    color: Color = INK
    lines: int = 1


def drawn(sticker: Sticker) -> Sticker:
    """The sticker with every text as our fonts draw it. Raises Refused 422 `letters_not_drawable`."""
    return replace(
        sticker,
        title=drawable(sticker.title),
        price=drawable(sticker.price),
        shop=drawable(sticker.shop),
        word=drawable(sticker.word),
        caption=drawable(sticker.caption),
    )


def drawable(text: str) -> str:
    """The text as our fonts draw it. Raises Refused 422 `letters_not_drawable`: no font here has one of its letters."""
    found = lettering.drawable(text)
    if found is None or (text and not found):
        raise Refused(
            422,
            "letters_not_drawable",
            _(
                "No font here has all the letters of “%(text)s”. Print from /api/v1/codes/print.html: "
                "it takes the letters that your phone has."
            )
            % {"text": text},
        )
    return found


class _Canvas(Canvas):  # type: ignore[misc]  # Reportlab has no types.
    """Reportlab's, without the line at the head of each page that names Helvetica, which no file of ours carries."""

    def _make_preamble(self) -> None:
        self._preamble = "1 0 0 1 0 0 cm"


class Paper:
    """Pages of one size while they are drawn. With `marks` each has bleed and cut marks around it."""

    def __init__(self, size: tuple[float, float], title: str, *, marks: bool = False) -> None:
        self.wide, self.high = size
        self.margin = MARGIN if marks else 0.0
        self._file = BytesIO()
        sheet = tuple((side + 2 * self.margin) * POINTS for side in size)
        self.canvas = _Canvas(self._file, pagesize=sheet, pageCompression=1, invariant=1)
        self.canvas.setTitle(title)
        self.canvas.setCreator("Pushcart")
        self._forms: dict[object, str] = {}

    def finish(self) -> bytes:
        lettering.save(self.canvas)
        return self._file.getvalue()

    def end_page(self) -> None:
        if self.margin:
            self._boxes()
            self._corners()
        self.canvas.showPage()

    # --- What is drawn -----------------------------------------------------------------------------------------------

    def code(self, x: float, y: float, side: float, sticker: Sticker) -> None:
        """A code in its shop's colour, with its quiet zone inside a square. Raises Refused 422 `label_too_small`."""
        module = module_of(sticker, side)
        scale = module * POINTS
        left, bottom = self._at(x, y + side)
        self.canvas.saveState()
        self.canvas.setFillColor(HexColor(sticker.colour or "#000000"))
        self.canvas.transform(scale, 0, 0, scale, left, bottom)
        self.canvas._code.append(_path(sticker.text, bool(sticker.logo)))
        self.canvas.restoreState()
        if sticker.logo:
            place, wide = logo_place(sticker)
            self.picture(x + place * module, y + place * module, wide * module, wide * module, sticker.logo, round_=0)

    def block(
        self, x: float, y: float, wide: float, high: float, color: Color, *, round_: float = 0, bleeds: bool = False
    ) -> None:
        """A filled rectangle; one that bleeds goes on over every edge of the page that it touches."""
        right, below = x + wide, y + high
        if bleeds and self.margin:
            x, y = (x - BLEED if x <= 0 else x), (y - BLEED if y <= 0 else y)
            right = right + BLEED if right >= self.wide else right
            below = below + BLEED if below >= self.high else below
        left, bottom = self._at(x, below)
        self.canvas.setFillColor(color)
        wide_, high_ = (right - x) * POINTS, (below - y) * POINTS
        if round_:
            self.canvas.roundRect(left, bottom, wide_, high_, round_ * POINTS, stroke=0, fill=1)
        else:
            self.canvas.rect(left, bottom, wide_, high_, stroke=0, fill=1)

    def line(self, x: float, y: float, to_x: float, to_y: float, *, dashed: bool = False, width: float = 0.1) -> None:
        self.canvas.saveState()
        self.canvas.setStrokeColor(RULE if dashed else INK)
        self.canvas.setLineWidth(width * POINTS)
        if dashed:
            self.canvas.setDash(4, 3)
        self.canvas.line(*self._at(x, y), *self._at(to_x, to_y))
        self.canvas.restoreState()

    def picture(self, x: float, y: float, wide: float, high: float, photo: bytes, *, round_: float = 4.0) -> None:
        """A picture that fills its frame; what stands over is cut off on both sides alike."""
        image = ImageReader(BytesIO(photo))
        across, down = image.getSize()
        scale = max(wide / across, high / down)
        left, bottom = self._at(x, y + high)
        self.canvas.saveState()
        frame = self.canvas.beginPath()
        frame.roundRect(left, bottom, wide * POINTS, high * POINTS, round_ * POINTS)
        self.canvas.clipPath(frame, stroke=0, fill=0)
        over = (wide - across * scale) / 2 * POINTS, (high - down * scale) / 2 * POINTS
        self.canvas.drawImage(
            image, left + over[0], bottom + over[1], across * scale * POINTS, down * scale * POINTS, mask="auto"
        )
        self.canvas.restoreState()

    def text(
        self, x: float, y: float, text: str, size: float, *, bold: bool = False, color: Color = INK, align: str = "left"
    ) -> None:
        """One line whose letters stand on `y`. Scripts of one weight are made bold by an outline."""
        points = size * POINTS
        long = lettering.width(text, points, bold=bold)
        left, bottom = self._at(x, y)
        left -= {"left": 0.0, "center": long / 2, "right": long}[align]
        drawing = self.canvas.beginText(left, bottom)
        drawing.setFillColor(color)
        drawing.setStrokeColor(color)
        self.canvas.setLineWidth(points * 0.028)
        for run in lettering.runs(text, bold):
            drawing.setFont(run.font, points)
            outlined = bold and run.font != lettering.SEMIBOLD and size >= _BOLD_FROM
            drawing.setTextRenderMode(2 if outlined else 0)
            drawing.textOut(run.text)
        drawing.setTextRenderMode(0)
        self.canvas.drawText(drawing)

    def column(
        self,
        x: float,
        y: float,
        wide: float,
        high: float,
        lines: Iterable[Line],
        *,
        align: str = "left",
        spread: str = "middle",
    ) -> None:
        """Lines below each other, as large as they like and fit; the ones of the highest rank are given up first."""
        placed = _fitted([line for line in lines if line.text], wide, high)
        tall = sum(_leading(size) for size, _text, _line in placed)
        top = y + {"top": 0.0, "middle": (high - tall) / 2, "bottom": high - tall}[spread]
        at = x + {"left": 0.0, "center": wide / 2, "right": wide}[align]
        for size, text, line in placed:
            self.text(at, top + size * _ASCENT, text, size, bold=line.bold, color=line.color, align=align)
            top += _leading(size)

    def repeated(self, key: object, x: float, y: float, draw: Callable[[], None]) -> None:
        """What was drawn at the corner (0, 0) before, here; the file holds it once."""
        name = self._forms.get(key)
        if name is None:
            name = self._forms[key] = f"f{len(self._forms)}"
            self.canvas.beginForm(name, 0, 0, self.canvas._pagesize[0], self.canvas._pagesize[1])
            draw()
            self.canvas.endForm()
        self.canvas.saveState()
        self.canvas.translate(x * POINTS, -y * POINTS)
        self.canvas.doForm(name)
        self.canvas.restoreState()

    @contextmanager
    def turned(self, x: float, y: float) -> Iterator[None]:
        """What is drawn inside stands on its head, turned around that point."""
        left, bottom = self._at(x, y)
        self.canvas.saveState()
        self.canvas.transform(-1, 0, 0, -1, 2 * left, 2 * bottom)
        yield
        self.canvas.restoreState()

    # --- The page ----------------------------------------------------------------------------------------------------

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (x + self.margin) * POINTS, (self.high + self.margin - y) * POINTS

    def _boxes(self) -> None:
        trim = [self.margin, self.margin, self.wide + self.margin, self.high + self.margin]
        self.canvas.setTrimBox([side * POINTS for side in trim])
        grow = (-BLEED, -BLEED, BLEED, BLEED)
        self.canvas.setBleedBox([(side + more) * POINTS for side, more in zip(trim, grow, strict=True)])

    def _corners(self) -> None:
        near, far = BLEED + 0.5, MARGIN - 0.5
        for x, outwards in ((0.0, -1), (self.wide, 1)):
            for y, upwards in ((0.0, -1), (self.high, 1)):
                self.line(x + outwards * near, y, x + outwards * far, y)
                self.line(x, y + upwards * near, x, y + upwards * far)


# --- Codes -----------------------------------------------------------------------------------------------------------


def modules_of(sticker: Sticker) -> int:
    """How many modules wide a code is on paper, with its quiet zone."""
    return _symbol(sticker.text, bool(sticker.logo)).size + 2 * QUIET_ZONE


def module_of(sticker: Sticker, side: float) -> float:
    """How wide a module is in a code of `side` millimetres. Raises Refused 422 `label_too_small`."""
    module = side / modules_of(sticker)
    if module < MODULE_MIN:
        raise Refused(
            422,
            "label_too_small",
            _(
                "On this label a module of the code would be %(module)s mm wide; scanners need "
                "%(module_min)s mm. Choose larger labels."
            )
            % {"module": f"{module:.2f}", "module_min": MODULE_MIN},
        )
    return module


def logo_place(sticker: Sticker) -> tuple[float, float]:
    """Where the logo begins, from the left and from the top alike, and how wide it is, in modules."""
    box = branding.logo_box(_symbol(sticker.text, True).size)
    return box.start + QUIET_ZONE + branding.LOGO_PAD, box.side - 2 * branding.LOGO_PAD


@lru_cache(maxsize=1024)
def rectangles(text: str, logo: bool = False) -> tuple[tuple[int, int, int, int], ...]:
    """The dark modules as (left, top, wide, high), in modules from the corner of the quiet zone.

    A run of modules that goes on unchanged in the rows below is one rectangle.
    """
    found = _symbol(text, logo)
    done: list[tuple[int, int, int, int]] = []
    open_: dict[tuple[int, int], int] = {}
    for number, row in enumerate([*found.rows(), 0]):
        runs = {run.span() for run in _DARK.finditer(format(row, f"0{found.size}b"))}
        for run in [run for run in open_ if run not in runs]:
            first = open_.pop(run)
            done.append((run[0] + QUIET_ZONE, first + QUIET_ZONE, run[1] - run[0], number - first))
        for run in runs:
            open_.setdefault(run, number)
    return tuple(sorted(done))


@lru_cache(maxsize=1024)
def _path(text: str, logo: bool) -> str:
    """All of them as one path from the lower left: filled as one, they leave no hairlines between each other."""
    side = _symbol(text, logo).size + 2 * QUIET_ZONE
    parts = (f"{x} {side - y - high} {wide} {high} re" for x, y, wide, high in rectangles(text, logo))
    return " ".join([*parts, "f"])


@lru_cache(maxsize=1024)
def _symbol(text: str, logo: bool) -> Symbol:
    drawn = symbol(text, branding.level("print", logo=logo))
    return branding.cleared(drawn) if logo else drawn


# --- Text ------------------------------------------------------------------------------------------------------------

_ASCENT = 0.98  # From the top of a line to where its letters stand, in parts of its size: Thai and Vietnamese are tall.
_BOLD_FROM = 3.6  # Millimetres of type size: an outline around a smaller character fills it with ink.
_SMALLEST = 1.6  # Millimetres of type size: below, nobody reads it.


def _leading(size: float) -> float:
    return size * 1.34


def _fitted(lines: list[Line], wide: float, high: float) -> list[tuple[float, str, Line]]:
    while True:
        for shrink in (1.0, 0.9, 0.8, 0.7, 0.62):
            placed = [(size, text, line) for line in lines for size, text in _wrapped(line, wide, shrink)]
            if sum(_leading(size) for size, _text, _line in placed) <= high:
                return placed
        if len(lines) < 2:
            return placed[:1]
        lines.remove(max(lines, key=lambda line: line.rank))


def _wrapped(line: Line, wide: float, shrink: float) -> list[tuple[float, str]]:
    """The line in as many as it may take, at the largest size that fits; shortened when none does."""
    wanted = max(line.size * shrink, min(line.size, _SMALLEST))
    least = min(wanted, max(wanted * 0.55, _SMALLEST))
    for step in range(7):
        size = wanted - (wanted - least) * step / 6
        for count in range(1, line.lines + 1):
            parts = _broken(line.text, wide / size, line.bold, count)
            if parts:
                return [(size, part) for part in parts]
    return [(least, lettering.fitted(line.text, wide * (0.92 if line.bold else 1.0), least))]


@lru_cache(maxsize=4096)
def _broken(text: str, room: float, bold: bool, count: int) -> tuple[str, ...]:
    """The text in at most `count` lines of that room at size 1, or () when it does not fit."""
    if lettering.width(text, 1, bold=bold) <= room:
        return (text,)
    if count == 1:
        return ()
    pieces = _pieces(text)
    for end in range(len(pieces) - 1, 0, -1):
        first = "".join(pieces[:end]).rstrip()
        if first and lettering.width(first, 1, bold=bold) <= room:
            rest = _broken("".join(pieces[end:]).lstrip(), room, bold, count - 1)
            return (first, *rest) if rest else ()
    return ()


def _pieces(text: str) -> list[str]:
    """What a line can be broken between: words, and each character of scripts that have no spaces."""
    pieces: list[str] = []
    for letter in text:
        stays = bool(pieces) and not pieces[-1].endswith(" ")
        wide = unicodedata.east_asian_width(letter) in "WF" and unicodedata.category(letter) not in {"Po", "Pe", "Pf"}
        if stays and (letter == " " or not wide) and not (letter != " " and _is_wide(pieces[-1]) and letter.isalnum()):
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces


def _is_wide(piece: str) -> bool:
    return unicodedata.east_asian_width(piece[-1]) in "WF"
