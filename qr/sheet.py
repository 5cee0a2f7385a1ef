"""Sheets of stickers as PDF: on labels of several makers, or on plain paper with marks for a knife or scissors."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import partial

from qr import labels
from qr.labels import LAYOUTS, Layout
from qr.paper import GREEN, SOFT, Line, Paper, drawn
from qr.stickers import Sticker

CONTENT_TYPE = "application/pdf"

EDGE = 1.0  # Millimetres that stay free around a label's content: few printers place paper better.
_GAP = 1.5
_MARK = 4.0  # How long a cut mark is.


def pdf(stickers: Sequence[Sticker], layout: str, *, copies: int = 1, start: int = 1) -> bytes:
    """Every sticker `copies` times, beginning at the label `start` of the first sheet (one that is used in part).

    Raises Refused 422: `label_too_small` (a module below what scanners resolve), `letters_not_drawable`.
    """
    form = LAYOUTS[layout]
    assert 1 <= start <= form.count, "the first label is one of the sheet"
    sheet = Paper(labels.PAPERS[form.paper], form.title)
    ready = [drawn(sticker) for sticker in stickers]
    places = [None] * (start - 1) + [sticker for sticker in ready for _copy in range(copies)]
    corners = list(form.places())
    for first in range(0, len(places), form.count):
        for (x, y), sticker in zip(corners, places[first : first + form.count], strict=False):
            if sticker is not None:
                sheet.repeated(sticker, x, y, partial(_sticker, sheet, form, sticker))
        if form.cut == "marks":
            _marks(sheet, form)
        elif form.cut == "lines":
            _lines(sheet, form)
        sheet.end_page()
    return sheet.finish()


def beside(form: Layout) -> bool:
    """Whether the text stands beside the code, and not below it."""
    return form.width >= form.height * 1.35


def code_side(form: Layout) -> float:
    """How large the code is with its quiet zone, in millimetres: as large as leaves room for the text."""
    wide, high = form.width - 2 * EDGE, form.height - 2 * EDGE
    return min(high, wide * 0.55) if beside(form) else min(wide, high * 0.7)


def _sticker(sheet: Paper, form: Layout, sticker: Sticker) -> None:
    """One sticker at the corner of the page: its code beside the text, or above it where the label is not wide."""
    wide, high = form.width - 2 * EDGE, form.height - 2 * EDGE
    side = code_side(form)
    if beside(form):
        turned = reads_from_the_right(sticker.title)
        code_x = EDGE + wide - side if turned else EDGE
        text_x = EDGE + _GAP if turned else EDGE + side + _GAP / 2
        sheet.code(code_x, EDGE + (high - side) / 2, side, sticker)
        room = wide - side - 1.5 * _GAP
        sheet.column(text_x, EDGE, room, high, _lines_of(sticker, high), align="right" if turned else "left")
    else:
        sheet.code(EDGE + (wide - side) / 2, EDGE, side, sticker)
        below = high - side - _GAP / 2
        sheet.column(EDGE + _GAP, EDGE + side, wide - 2 * _GAP, below, _lines_of(sticker, below * 1.5), align="center")


def _lines_of(sticker: Sticker, high: float) -> list[Line]:
    small = min(max(high * 0.085, 2.3), 4.2)
    return [
        Line(sticker.title, min(high * 0.17, 9.0), 0, bold=True, lines=2),
        Line(sticker.price, min(high * 0.22, 13.0), 1, bold=True, color=GREEN),
        Line(sticker.shop, small, 3, color=SOFT),
        Line(sticker.word, small * 1.05, 2, bold=True),
        Line(sticker.caption, small, 4, color=SOFT),
    ]


def _marks(sheet: Paper, form: Layout) -> None:
    """Short lines in the margins, where each cut begins and ends: outside of every sticker."""
    right, below = form.left + form.columns * form.pitch_x, form.top + form.rows * form.pitch_y
    for column in range(form.columns + 1):
        x = form.left + column * form.pitch_x
        sheet.line(x, form.top - 1 - _MARK, x, form.top - 1)
        sheet.line(x, below + 1, x, below + 1 + _MARK)
    for row in range(form.rows + 1):
        y = form.top + row * form.pitch_y
        sheet.line(form.left - 1 - _MARK, y, form.left - 1, y)
        sheet.line(right + 1, y, right + 1 + _MARK, y)


def _lines(sheet: Paper, form: Layout) -> None:
    right, below = form.left + form.columns * form.pitch_x, form.top + form.rows * form.pitch_y
    for column in range(form.columns + 1):
        sheet.line(form.left + column * form.pitch_x, form.top, form.left + column * form.pitch_x, below, dashed=True)
    for row in range(form.rows + 1):
        sheet.line(form.left, form.top + row * form.pitch_y, right, form.top + row * form.pitch_y, dashed=True)


def reads_from_the_right(text: str) -> bool:
    """Whether the first letter of a text that has a direction is of a script that is written from the right."""
    kinds = (unicodedata.bidirectional(letter) for letter in text)
    return next((kind != "L" for kind in kinds if kind in {"L", "R", "AL"}), False)
