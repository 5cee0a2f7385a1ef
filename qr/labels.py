"""Sheets of labels as their makers cut them, and two of our own for a knife or scissors: where each label stands.

The measures of A4 sheets are those that LibreOffice ships (its `labels.xml`, made from Avery's own templates), those of
Letter sheets the ones of gLabels; 5160's columns are Avery's (2.75 inches from label to label).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

POINTS = 72 / 25.4  # In a millimetre.
PAPERS = {"a4": (210.0, 297.0), "letter": (215.9, 279.4), "a3": (297.0, 420.0), "tabloid": (279.4, 431.8)}
_INCH = 25.4


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of sheet, in millimetres: the first label's corner, the size of a label, and the way to the next one."""

    title: str
    paper: Literal["a4", "letter"]
    columns: int
    rows: int
    left: float
    top: float
    width: float
    height: float
    pitch_x: float
    pitch_y: float
    corner: float = 0.0  # The radius of a rounded one.
    cut: Literal["die", "marks", "lines"] = "die"  # Cut already, or by a knife at marks, or by scissors along lines.

    @property
    def count(self) -> int:
        return self.columns * self.rows

    def places(self) -> Iterator[tuple[float, float]]:
        """The upper left corner of every label, from the left and from the top, row by row."""
        for row in range(self.rows):
            for column in range(self.columns):
                yield self.left + column * self.pitch_x, self.top + row * self.pitch_y


def _inches(title: str, columns: int, rows: int, *measures: float) -> Layout:
    left, top, width, height, pitch_x, pitch_y, corner = (measure * _INCH for measure in measures)
    return Layout(title, "letter", columns, rows, left, top, width, height, pitch_x, pitch_y, corner)


LAYOUTS = {
    "stickers-24": Layout("24 stickers, cut at marks", "a4", 3, 8, 9.0, 12.5, 64.0, 34.0, 64.0, 34.0, cut="marks"),
    "grid-a4": Layout("12 cards for scissors", "a4", 2, 6, 10.0, 10.5, 95.0, 46.0, 95.0, 46.0, cut="lines"),
    "grid-letter": Layout("10 cards for scissors", "letter", 2, 5, 10.0, 12.2, 97.9, 51.0, 97.9, 51.0, cut="lines"),
    "avery-l7159": Layout("Avery L7159", "a4", 3, 8, 6.46, 13.06, 64.0, 33.86, 66.54, 33.86, 1.76),
    "avery-l7160": Layout("Avery L7160", "a4", 3, 7, 7.2, 15.15, 63.5, 38.1, 66.04, 38.1, 1.76),
    "avery-l7163": Layout("Avery L7163", "a4", 2, 7, 4.67, 15.15, 99.06, 38.1, 101.6, 38.1, 1.76),
    "avery-l7165": Layout("Avery L7165", "a4", 2, 4, 4.67, 13.04, 99.06, 67.73, 101.6, 67.73, 1.76),
    "avery-l7173": Layout("Avery L7173", "a4", 2, 5, 4.67, 6.0, 99.06, 57.0, 101.6, 57.0, 1.76),
    "avery-5160": _inches("Avery 5160", 3, 10, 0.1875, 0.5, 2.625, 1, 2.75, 1, 0.0625),
    "avery-5163": _inches("Avery 5163", 2, 5, 0.15625, 0.5, 4, 2, 4.1875, 2, 0.125),
    "avery-5164": _inches("Avery 5164", 2, 3, 0.15625, 0.5, 4, 10 / 3, 4.1875, 10 / 3, 0.125),
    "avery-3111": _inches("Avery 3111", 3, 3, 0.3125, 1.25, 2.5, 2.5, 2.6875, 3, 0),
}


def default(paper: str) -> str:
    """The layout for somebody who has plain paper of that size."""
    return "grid-letter" if paper == "letter" else "stickers-24"
