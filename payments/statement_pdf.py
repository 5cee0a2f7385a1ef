"""A statement on paper: the four sums first, then a line for each movement with what it is traced by, then the proof.

Page follows page, so what is kept in memory is the pages' own text. Nothing in the file depends on when it was made:
once a statement is final, the same question gives the same bytes. Links lead to receipts of ours and nowhere else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import IO

from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.pdfgen.canvas import Canvas

from merchants import countries, ids, languages, lettering, money
from merchants.models import Shop
from payments import statement_file
from payments.statement import Asked, Basis, Line
from payments.statement_file import Telling

CONTENT_TYPE = "application/pdf"

_INK, _SOFT, _RULE, _BAND, _GREEN, _WHITE = map(
    HexColor, ("#1d1a16", "#655d52", "#ddd5c9", "#f6f3ee", "#0b6b46", "#ffffff")
)
_MARGIN = 40.0
_ROW = 14.0
_TEXT, _SMALL, _TINY = 8.0, 7.0, 6.2
_TIMES = 58.0  # How wide a time may be beside its movement.
_BOTTOM = 52.0  # Below it stands the foot of the page.
_BOXES = 46.0  # How high the four sums are.


def write(asked: Asked, now: datetime, file: IO[bytes]) -> None:
    """Writes the whole file. The caller has made sure that it is not too long."""
    _Paper(asked, now, file).write()


class _Paper:
    """One file while it is drawn: where on the page the next row stands, and what is known of the whole."""

    def __init__(self, asked: Asked, now: datetime, file: IO[bytes]) -> None:
        self.asked, self.now = asked, now
        self.shop, self.currency = asked.shop, asked.shop.currency
        self.locale = countries.locale(self.shop.country)
        self.wide, self.high = LETTER if countries.prints_on_letter(self.shop.country) else A4
        self.left, self.right = _MARGIN, self.wide - _MARGIN
        self.id = ids.public(Shop.prefix, self.shop.id)
        self.name = lettering.drawable(self.shop.name)
        self.telling = Telling(asked)
        self.pages, self.y = 0, 0.0
        self.striped = self.left_out = False
        self.canvas = self._canvas(file)

    def write(self) -> None:
        self._first_page()
        balance = self.telling.opening.total
        self._edge(_("Opening balance"), self.asked.period.start, balance)
        for line in self.telling.lines():
            balance = line.balance
            self._line(line)
        self._edge(_("Closing balance"), self.asked.until, balance)
        self._sums_by_kind()
        self._proof()
        self._end_page()
        self._four_sums()
        self.canvas.beginForm("pages")
        self._text(self.right - 18, 28, f"{self.pages:,}", _SMALL, _SOFT)
        self.canvas.endForm()
        lettering.save(self.canvas)

    def _canvas(self, file: IO[bytes]) -> Canvas:
        canvas = Canvas(
            file, pagesize=(self.wide, self.high), pageCompression=1, invariant=1, lang=get_language() or "en"
        )
        made = f"D:{statement_file.as_of(self.asked).astimezone(UTC):%Y%m%d%H%M%S}+00'00'"
        canvas.setDateFormatter(lambda *_moment: made)
        canvas.setTitle(statement_file.heading(self.asked))
        canvas.setAuthor(self.shop.name)
        canvas.setSubject(self.id)
        canvas.setCreator("Pushcart")
        return canvas

    # --- Pages -------------------------------------------------------------------------------------------------------

    def _first_page(self) -> None:
        top = self.high - _MARGIN
        size = 20.0
        name = self.name or self.id
        while size > 11 and lettering.width(name, size, bold=True) > self.right - self.left - 90:
            size -= 1
        self._text(self.left, top - 16, lettering.fitted(name, self.right - self.left - 90, size), size, bold=True)
        self._text(self.right, top - 12, _("Statement").upper(), _TEXT, _GREEN, bold=True, right=True)
        self._text(self.left, top - 36, statement_file.title(self.asked), 12)
        about = f"{statement_file.about(self.asked)} · {self.id}"
        self._text(self.left, top - 51, about, _SMALL, _SOFT)
        said = f"{statement_file.basis(self.asked)}  {statement_file.finality(self.asked, self.now)}"
        self._text(self.left, top - 61, said, _SMALL, _SOFT)
        self.canvas.doForm("sums")
        self._begin_page(top - 61 - 18 - _BOXES - 30)

    def _begin_page(self, y: float) -> None:
        self.pages += 1
        self.y = y
        for x, said, right in self._columns:
            self._text(x, self.y, said, _SMALL, _SOFT, bold=True, right=right)
        self.canvas.setStrokeColor(_INK)
        self.canvas.setLineWidth(0.7)
        self.canvas.line(self.left, self.y - 5, self.right, self.y - 5)
        self.y -= 5
        self.striped = False

    def _end_page(self) -> None:
        # Two texts: in one, a name that reads from right to left would turn the title around, too.
        who = lettering.fitted(self.name or self.id, 240, _SMALL)
        self._text(self.left, 28, who, _SMALL, _SOFT)
        beside = self.left + lettering.width(who, _SMALL)
        self._text(beside, 28, f"  ·  {statement_file.title(self.asked)}", _SMALL, _SOFT)
        # How many there will be is known in the end: a form that is drawn then is shown here.
        self._text(self.right - 20, 28, f"{self.pages:,} /", _SMALL, _SOFT, right=True)
        self.canvas.doForm("pages")
        self.canvas.showPage()

    def _room(self, needed: float) -> None:
        if self.y - needed < _BOTTOM:
            self._end_page()
            self._begin_page(self.high - _MARGIN - 8)

    @cached_property
    def _columns(self) -> list[tuple[float, str, bool]]:
        """Where each column stands, what it is called, and whether it is set to the right."""
        return [
            (self.left + 4, statement_file.when(self.asked), False),
            (self.left + 66, _("Movement"), False),
            (self.right - 264, _("Reference"), False),
            (self.right - 82, pgettext("of a balance", "Change"), True),
            (self.right - 4, _("Balance"), True),
        ]

    # --- Rows --------------------------------------------------------------------------------------------------------

    def _edge(self, said: str, moment: datetime, balance: int) -> None:
        self._row()
        self._text(self._columns[0][0], self.y, self._clock(moment), _TEXT, _SOFT)
        self._text(self._columns[1][0], self.y, said, _TEXT, bold=True)
        self._text(self._columns[4][0], self.y, self._amount(balance), _TEXT, bold=True, right=True)

    def _line(self, line: Line) -> None:
        self._row()
        time, movement, reference, change, balance = (column[0] for column in self._columns)
        self._text(time, self.y, self._clock(statement_file.moment(self.asked, line)), _TEXT, _SOFT)
        kind = statement_file.words(line.kind)
        self._text(movement, self.y, kind, _TEXT)
        beside = movement + lettering.width(kind, _TEXT) + 6
        self._text(beside, self.y, lettering.fitted(self._about(line), reference - beside - 6, _TEXT), _TEXT, _SOFT)
        self._traced(reference, line)
        self._text(change, self.y, self._signed(line.change), _TEXT, _GREEN if line.change > 0 else _INK, right=True)
        self._text(balance, self.y, self._amount(line.balance), _TEXT, right=True)

    def _row(self) -> None:
        self._room(_ROW)
        self.y -= _ROW
        if self.striped:
            self.canvas.setFillColor(_BAND)
            self.canvas.rect(self.left, self.y - 4, self.right - self.left, _ROW, stroke=0, fill=1)
        self.striped = not self.striped

    def _traced(self, x: float, line: Line) -> None:
        said = statement_file.reference(line)
        address = statement_file.receipt(line)
        self._text(x, self.y, said, _TINY, _GREEN if address else _SOFT)
        if address:
            wide = lettering.width(said, _TINY)
            self.canvas.linkURL(address, (x, self.y - 2, x + wide, self.y + 7))

    def _about(self, line: Line) -> str:
        """What people wrote about it, and when it happened if that was another day."""
        written = [lettering.drawable(text) for text in (line.description, line.reason) if text]
        self.left_out = self.left_out or None in written
        parts = [_("(text on the print page)") if text is None else text for text in written]
        if self.asked.basis is Basis.RECORDED:
            recorded, happened = (self._here(moment) for moment in (line.recorded_at, line.occurred_at))
            if recorded.date() != happened.date():
                parts.append(_("of %(moment)s") % {"moment": f"{languages.day(happened)} {happened:%H:%M}"})
        return " · ".join(part for part in parts if part)

    # --- Sums --------------------------------------------------------------------------------------------------------

    def _four_sums(self) -> None:
        """What stands at the head of the first page, drawn when all is read."""
        found = self.telling.summary()
        sums = (
            (_("Opening balance"), self._amount(found.opening.total)),
            (_("Money in"), self._signed(found.money_in)),
            (_("Money out"), self._signed(-found.money_out)),
            (_("Closing balance"), self._amount(found.closing.total)),
        )
        self.canvas.beginForm("sums")
        gap = 8.0
        wide = (self.right - self.left - 3 * gap) / 4
        y = self.high - _MARGIN - 61 - 14 - _BOXES
        for place, (said, amount) in enumerate(sums):
            x = self.left + place * (wide + gap)
            last = place == len(sums) - 1
            self.canvas.setFillColor(_GREEN if last else _BAND)
            self.canvas.roundRect(x, y, wide, _BOXES, 6, stroke=0, fill=1)
            self._text(x + 10, y + 29, f"{said}, {self.currency}", _SMALL, _WHITE if last else _SOFT)
            size = 14.0
            while lettering.width(amount, size, bold=True) > wide - 20:
                size -= 0.5
            self._text(x + 10, y + 11, amount, size, _WHITE if last else _INK, bold=True)
        parts = statement_file.parts(
            self._amount(found.closing.available),
            self._amount(found.closing.pending),
            self._amount(found.closing.direct),
        )
        self._text(self.left, y - 12, parts, _SMALL, _SOFT)
        self.canvas.endForm()

    def _sums_by_kind(self) -> None:
        totals = self.telling.summary().totals
        if not totals:
            return
        self._room(30 + _ROW * min(len(totals), 6))
        self.y -= 26
        self._text(self.left + 4, self.y, _("By kind"), _TEXT, bold=True)
        self._text(self.left + 220, self.y, _("Count"), _SMALL, _SOFT, bold=True, right=True)
        self._text(self.left + 310, self.y, _("Together"), _SMALL, _SOFT, bold=True, right=True)
        self.y -= 3
        for total in totals:
            self._room(_ROW)
            self.y -= _ROW
            self._text(self.left + 4, self.y, statement_file.words(total.kind), _TEXT)
            self._text(self.left + 220, self.y, f"{total.count:,}", _TEXT, right=True)
            self._text(self.left + 310, self.y, self._signed(total.change), _TEXT, right=True)

    def _proof(self) -> None:
        said = [statement_file.counted(self.telling)]
        seal = self.telling.seal() if self.asked.final(self.now) else None
        if seal:
            said.append(statement_file.sealed(seal))
        if self.name is None or self.left_out:
            said.append(
                _(
                    "This file has no letters for some of the names; "
                    "the print page of the same statement shows them all."
                )
            )
        self._room(16 + 11.0 * len(said))
        self.y -= 16
        for sentence in said:
            self.y -= 11
            self._text(self.left + 4, self.y, sentence, _SMALL, _SOFT)

    # --- Texts -------------------------------------------------------------------------------------------------------

    def _text(
        self,
        x: float,
        y: float,
        said: str,
        size: float,
        color: Color = _INK,
        *,
        bold: bool = False,
        right: bool = False,
    ) -> None:
        self.canvas.setFillColor(color)
        lettering.draw(self.canvas, x, y, said, size, bold=bold, right=right)

    def _amount(self, amount: int) -> str:
        return money.digits(amount, self.currency, self.locale)

    def _signed(self, amount: int) -> str:
        return f"+{self._amount(amount)}" if amount > 0 else self._amount(amount)

    def _here(self, moment: datetime) -> datetime:
        return moment.astimezone(self.asked.period.zone)

    def _clock(self, moment: datetime) -> str:
        """The shop's own clock: with the second on a day's statement, with the day on a month's."""
        day = len(self.asked.period.name) == len("2026-11-22")
        here = self._here(moment)
        if day:
            return f"{here:%H:%M:%S}"
        return f"{languages.day(here)} {here:%H:%M}" if self._days_fit else f"{here:%m-%d %H:%M}"

    @cached_property
    def _days_fit(self) -> bool:
        """Whether a day has room as this language writes it; "28 de nov. 00:00" has not."""
        longest = self._here(self.asked.period.start).replace(day=28)
        return lettering.width(f"{languages.day(longest)} 00:00", _TEXT) <= _TIMES
