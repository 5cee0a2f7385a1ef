"""Text on paper: which of our fonts draws which part of a text, in which order its parts stand, and what none can draw.

A font without a letter prints an empty box in its place, and letters of Devanagari, Arabic or Thai that are only put
next to each other are not those scripts. So each character gets a font that has it, parts that need it are shaped
(HarfBuzz, through reportlab), parts of right-to-left scripts are put in the order of Unicode's bidirectional algorithm
(UAX #9, without explicit marks), and a text that no font can draw is told apart before anything is drawn.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path

from reportlab.lib.abag import ABag
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont, shapeFragWord
from reportlab.pdfgen.canvas import Canvas

_FOLDER = Path(__file__).parent / "fonts"
REGULAR, SEMIBOLD = "NotoSans-Regular", "NotoSans-SemiBold"
_ARABIC = "NotoSansArabic-Regular"
_SHAPED = ("NotoSansDevanagari-Regular", _ARABIC, "NotoSansThai-Regular")
_FONTS = ("NotoSansSC-Regular", *_SHAPED)  # After the Latin one, which comes first.

_JOINING = {"Mn", "Mc", "Me", "Cf"}  # What belongs to the character before it, and is drawn by its font.
# Emoji and their skin tones, controls, direction marks, what has no meaning: a name is the same name without them.
_LEFT_OUT = {"So", "Sk", "Cc", "Cf", "Cs", "Co"}
_SELECTORS = {"\ufe0e", "\ufe0f", "\u20e3"}  # They belong to emoji.
_JOINERS = {"\u200c", "\u200d"}  # They shape letters, and elsewhere hold emoji together.

_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a line that one font draws. `text` may be shaped; `width` is that of one point of size."""

    font: str
    text: str
    width: float


def drawable(text: str) -> str | None:
    """The text as it can be drawn: in one line and without emoji. None when one of its letters is in no font."""
    drawn: list[str] = []
    for letter in unicodedata.normalize("NFC", " ".join(text.split())):
        kind = unicodedata.category(letter)
        if letter in _JOINERS:
            if not drawn or drawn[-1].isascii() or not any(ord(drawn[-1]) in _letters(font) for font in _SHAPED):
                continue
        elif letter in _SELECTORS or kind in _LEFT_OUT:
            continue
        if not any(ord(letter) in _letters(font) for font in (REGULAR, *_FONTS)):
            return None
        drawn.append(letter)
    return " ".join("".join(drawn).split())


def width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a drawable text is, in points."""
    return sum(run.width for run in runs(text, bold)) * size


def fitted(text: str, room: float, size: float) -> str:
    """The text, or as much of it as `room` holds, with an ellipsis."""
    if width(text, size) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(_cut(text, middle), size) <= room else (low, middle - 1)
    return _cut(text, low)


def draw(
    canvas: Canvas, x: float, y: float, text: str, size: float, *, bold: bool = False, right: bool = False
) -> None:
    """Draws a drawable text from `x` on, or up to `x` when it stands at the right."""
    found = runs(text, bold)
    start = x - sum(run.width for run in found) * size if right else x
    line = canvas.beginText(start, y)
    for run in found:
        line.setFont(run.font, size)
        line.textOut(run.text)
    canvas.drawText(line)


def save(canvas: Canvas) -> None:
    """Finishes the file. One at a time: reportlab cuts the letters that were used out of a font that all share."""
    with _loading:
        canvas.save()


@lru_cache(maxsize=4096)
def runs(text: str, bold: bool = False) -> tuple[Run, ...]:
    """A drawable text as parts from left to right."""
    latin = SEMIBOLD if bold else REGULAR
    _letters(latin)
    if text.isascii():
        return (_run(text, latin),)
    fonts = list(_fonts_of(text, latin))
    places = range(len(text))
    levels = _levels(text)
    parts = [list(part) for _key, part in groupby(places, key=lambda place: (fonts[place], levels[place]))]
    ordered = _visual(parts, [levels[part[0]] for part in parts])
    return tuple(_run(text[part[0] : part[-1] + 1], fonts[part[0]], levels[part[0]]) for part in ordered)


def _cut(text: str, letters: int) -> str:
    kept = text[:letters]
    while kept and unicodedata.category(text[len(kept) : len(kept) + 1] or " ") in _JOINING:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def _run(text: str, font: str, level: int = 0) -> Run:
    if font not in _SHAPED and level % 2:
        text = text[::-1].translate(_MIRRORED)
    plain = pdfmetrics.stringWidth(text, font, 1000) / 1000
    marked = font in _SHAPED or any(unicodedata.combining(letter) for letter in text)
    if not marked or (font == _ARABIC and level % 2 == 0):  # Its numbers read from left to right, unlike its words.
        return Run(font, text, plain)
    shaped = shapeFragWord([plain * 1000, (ABag(fontName=font, fontSize=1000), text)])
    return Run(font, shaped[1][1], shaped[0] / 1000)


def _fonts_of(text: str, latin: str) -> Iterator[str]:
    """The font of each character. Marks stay with the letter that they stand on."""
    before = latin
    for letter in text:
        joins = unicodedata.category(letter) in _JOINING and ord(letter) in _letters(before)
        if not joins:
            before = next((font for font in (latin, *_FONTS) if ord(letter) in _letters(font)), latin)
        yield before


# --- Fonts -----------------------------------------------------------------------------------------------------------


@cache
def _letters(font: str) -> frozenset[int]:
    """The characters that a font has. It is read and registered the first time that it is asked for."""
    with _loading:
        face = TTFont(font, str(_FOLDER / f"{font}.ttf"))
        letters = frozenset(face.face.charToGlyph)
        if font not in pdfmetrics.getRegisteredFontNames():
            _name_all_glyphs(face)
            pdfmetrics.registerFont(face)
    return letters


def _name_all_glyphs(face: TTFont) -> None:
    """Gives each glyph that no character has a private one, in the order of the font.

    Reportlab would do it while it shapes: in the order of what was ever shaped, so that files differ from process to
    process, and in all threads at once.
    """
    font = face.hbFont(10)
    for glyph in range(face.hbFace.glyph_count):
        if glyph not in face.face.glyphToChar:
            face.hbAddPrivate(font.glyph_to_string(glyph), glyph, font.get_glyph_h_advance(glyph))


# --- Right to left ---------------------------------------------------------------------------------------------------

_RIGHT, _NUMBERS = {"R", "AL"}, {"EN", "AN"}
_MIRRORED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")


def _levels(text: str) -> list[int]:
    """The embedding level of each character: even ones read from left to right, odd ones from right to left."""
    kinds = _with_numbers_whole([unicodedata.bidirectional(letter) for letter in text])
    if _RIGHT.isdisjoint(kinds):
        return [0] * len(text)
    base = next("R" if kind in _RIGHT else "L" for kind in kinds if kind == "L" or kind in _RIGHT)
    level_of = {"L": 0 if base == "L" else 2, "R": 1}
    found: list[tuple[str, int] | None] = []
    strong = base
    for kind in kinds:
        if kind == "L" or kind in _RIGHT:
            strong = "L" if kind == "L" else "R"
            found.append((strong, level_of[strong]))
        elif kind in _NUMBERS:
            found.append((strong, level_of["L"] if strong == "L" else 2))
        else:
            found.append(found[-1] if kind == "NSM" and found else None)
    return [each[1] if each else _neutral(found, place, base, level_of) for place, each in enumerate(found)]


def _with_numbers_whole(kinds: list[str]) -> list[str]:
    """A point, comma or colon between two digits, and signs beside them, belong to their number (rules W4 and W5)."""
    whole = list(kinds)
    for place in range(1, len(kinds) - 1):
        before, after = kinds[place - 1], kinds[place + 1]
        if kinds[place] in {"CS", "ES"} and before == after and before in _NUMBERS:
            whole[place] = before
    for places in (range(1, len(whole)), range(len(whole) - 2, -1, -1)):
        for place in places:
            if whole[place] == "ET" and whole[place - places.step] == "EN":
                whole[place] = "EN"
    return whole


def _neutral(found: list[tuple[str, int] | None], place: int, base: str, level_of: dict[str, int]) -> int:
    """A space or a sign between two of one direction goes with them (rule N1), any other with the line (N2)."""
    before = next((each[0] for each in reversed(found[:place]) if each), base)
    after = next((each[0] for each in found[place:] if each), base)
    return level_of[before] if before == after else (0 if base == "L" else 1)


def _visual(parts: list[list[int]], levels: list[int]) -> list[list[int]]:
    """The parts as they stand from left to right (rule L2)."""
    order = list(range(len(parts)))
    for least in (2, 1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= least:
                end += 1
            order[start:end] = reversed(order[start:end])
            start = max(end, start + 1)
    return [parts[place] for place in order]
