"""One big poster to be hung on a cart: the price, the code on a third of the page, whose it is, and the check word.

It is read from two metres: what it is and what it costs first, then the code, then the word that the pay page must
show. Wallets are not named: which of them pay here is said by the pay page, which knows.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from qr import labels
from qr.paper import GREEN, PALE, SOFT, WHITE, Line, Paper, drawable, drawn
from qr.stickers import Poster

_BAND = 0.47  # Of what the code leaves: the coloured band at the head, and the sentence below it.
_SENTENCE = 0.12


def pdf(poster: Poster, paper: str, *, marks: bool = False) -> bytes:
    """One page of that paper. Raises Refused 422 as `paper.drawable` does."""
    said = prepared(poster)
    wide, high = labels.PAPERS[paper]
    page = Paper((wide, high), said.sticker.title, marks=marks)
    side = sqrt(wide * high / 3)
    rest = high - side
    band, sentence = rest * _BAND, rest * _SENTENCE
    edge = wide * 0.06
    page.block(0, 0, wide, band, GREEN, bleeds=True)
    _head(page, said, edge, band)
    line = Line(said.headline, sentence * 0.64, 0, bold=True)
    page.column(edge, band + sentence * 0.25, wide - 2 * edge, sentence, [line], align="center")
    page.code((wide - side) / 2, band + sentence, side, said.sticker)
    _foot(page, said, edge, band + sentence + side, rest - band - sentence)
    page.end_page()
    return page.finish()


def prepared(poster: Poster) -> Poster:
    """The poster as our fonts draw it."""
    return replace(
        poster,
        sticker=drawn(poster.sticker),
        headline=drawable(poster.headline),
        check=drawable(poster.check),
        other=drawable(poster.other),
        fold=drawable(poster.fold),
    )


def _head(page: Paper, said: Poster, edge: float, band: float) -> None:
    """The title and the price in white, beside the photo when there is one."""
    top, high = band * 0.08, band * 0.84
    left, room = edge, page.wide - 2 * edge
    if said.sticker.photo:
        page.picture(page.wide - edge - high, top, high, high, said.sticker.photo)
        room -= high + edge * 0.6
    price = said.sticker.price
    lines = [
        Line(said.sticker.title, band * (0.25 if price else 0.4), 0, bold=True, color=WHITE, lines=1 if price else 2),
        Line(price, band * 0.5, 1, bold=True, color=WHITE),
    ]
    align = "left" if said.sticker.photo else "center"
    page.column(left, top, room, high, lines, align=align)


def _foot(page: Paper, said: Poster, edge: float, top: float, high: float) -> None:
    """The check word on a light ground, and the shop's name below it."""
    wide = page.wide - 2 * edge
    shop = Line(said.sticker.shop, high * 0.15, 0, bold=True)
    if not said.sticker.word:
        lines = [replace(shop, size=high * 0.26), Line(said.sticker.caption, high * 0.15, 1, color=SOFT)]
        page.column(edge, top, wide, high * 0.9, lines, align="center")
        return
    panel = high * (0.72 if shop.text else 0.88)
    page.block(edge, top, wide, panel, PALE, round_=panel * 0.12)
    lines = [
        Line(said.check, panel * 0.15, 1),
        Line(said.sticker.word, panel * 0.4, 0, bold=True, color=GREEN),
        Line(said.other, panel * 0.13, 2, color=SOFT),
    ]
    page.column(edge * 1.4, top, page.wide - 2.8 * edge, panel, lines, align="center")
    page.column(edge, top + panel, wide, high - panel, [shop], align="center")
