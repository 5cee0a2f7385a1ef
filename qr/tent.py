"""A table tent: one sheet that is folded three times into a roof, with the code on both sides of it.

From the top of the sheet: a flap to be glued, one face standing on its head, the other face, and the base.
"""

from __future__ import annotations

from qr import labels
from qr.paper import GREEN, PALE, SOFT, Line, Paper
from qr.poster import prepared
from qr.sheet import reads_from_the_right
from qr.stickers import Poster

_FLAP = 20.0
_FACE = {"a4": 105.0, "letter": 98.0}


def pdf(poster: Poster, paper: str) -> bytes:
    """One sheet of A4 or Letter. Raises Refused 422 as `paper.drawable` does."""
    said = prepared(poster)
    wide, high = labels.PAPERS[paper]
    face = _FACE[paper]
    page = Paper((wide, high), said.sticker.title)
    for fold in folds(paper):
        page.line(0, fold, wide, fold, dashed=True, width=0.2)
    page.column(10, 1, wide - 20, _FLAP - 2, [Line(said.fold, 3.4, 0, color=SOFT)], align="center")
    with page.turned(wide / 2, _FLAP + face / 2):
        _face(page, said, _FLAP, face)
    _face(page, said, _FLAP + face, face)
    page.end_page()
    return page.finish()


def folds(paper: str) -> tuple[float, float, float]:
    """How far below the upper edge the sheet is folded, in millimetres."""
    return _FLAP, _FLAP + _FACE[paper], _FLAP + 2 * _FACE[paper]


def _face(page: Paper, said: Poster, top: float, high: float) -> None:
    """One side: the code, and beside it what it is, what it costs, whose it is, and the word."""
    edge = 6.0
    side = high - 2 * edge
    mirrored = reads_from_the_right(said.headline)
    code_x = page.wide - edge - side if mirrored else edge
    text_x = edge if mirrored else edge + side + 2
    wide = page.wide - side - 2 * edge - 4
    page.code(code_x, top + edge, side, said.sticker)
    align = "right" if mirrored else "left"
    panel = high * 0.34 if said.sticker.word else 0.0
    lines = [
        Line(said.sticker.title, high * 0.12, 0, bold=True, lines=2),
        Line(said.sticker.price, high * 0.2, 1, bold=True, color=GREEN),
        Line(said.headline, high * 0.06, 2, bold=True, lines=2),
        Line(said.sticker.shop, high * 0.055, 3, color=SOFT),
    ]
    page.column(text_x, top + edge, wide, side - panel, lines, align=align)
    if panel:
        page.block(text_x, top + edge + side - panel, wide, panel, PALE, round_=3)
        word = [
            Line(said.check, panel * 0.14, 1, lines=2),
            Line(said.sticker.word, panel * 0.3, 0, bold=True, color=GREEN),
            Line(said.other, panel * 0.12, 2, color=SOFT),
        ]
        page.column(text_x + 4, top + edge + side - panel, wide - 8, panel, word, align=align)
