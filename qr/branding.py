"""How a code may be dressed: its level of error correction, its colour, and how large a logo its level really carries.

These are rules alone; qr/draw.py draws by them for screens, and whatever draws for paper uses the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from django.utils.translation import gettext as _
from qrcode.base import rs_blocks
from qrcode.constants import ERROR_CORRECT_H

from merchants import colours
from qr.symbol import Level, Symbol, fixed_modules, interleaved, zigzag

QUIET_ZONE = 4  # Modules of white on each side (ISO/IEC 18004 §6.3.8).
LOGO_LEVEL: Level = "H"
LOGO_PAD = 0.5  # Modules of white inside of the box, so that a dark logo does not run into dark modules.
Use = Literal["screen", "print"]
# A screen is clean and small, so fewer modules count; paper is scratched, so it is given ten per cent more to lose.
_LEVELS: dict[Use, Level] = {"screen": "M", "print": "Q"}


class Unreadable(ValueError):
    """A code that was asked for in a dress in which readers would not read it; the message is a sentence."""


@dataclass(frozen=True)
class Style:
    """A code's dress. `colour` is of its dark modules (#rrggbb, "" is black); `logo` a square JPEG or PNG, or b"".

    Raises Unreadable for a colour that readers do not tell from white, and for a logo below LOGO_LEVEL.
    """

    level: Level = "M"
    colour: str = ""
    logo: bytes = b""

    def __post_init__(self) -> None:
        if self.colour and (sentence := colours.objection(self.colour)):
            raise Unreadable(sentence)
        if self.logo and self.level != LOGO_LEVEL:
            raise Unreadable(_("A code with a logo needs error correction %(level)s.") % {"level": LOGO_LEVEL})


@dataclass(frozen=True)
class Box:
    """A square of modules in the middle of a symbol, counted from the symbol's own left and top edge."""

    start: int
    side: int


def level(use: Use, *, logo: bool = False) -> Level:
    """The error correction for a use; a logo covers data and takes the strongest."""
    return LOGO_LEVEL if logo else _LEVELS[use]


@cache
def logo_box(size: int) -> Box:
    """The largest box that a logo may cover in a symbol of `size` modules at LOGO_LEVEL, its white pad included.

    Every codeword that it touches counts as wrong. No block of the symbol may lose more than half of the codewords
    that it can correct: the other half stays for dirt, blur and a torn edge. No fixed pattern is covered but an
    alignment pattern on the very middle (as in versions 7 to 13), which nothing in the middle can avoid.
    """
    middle, fits = size // 2, 1
    for side in range(3, size, 2):
        box = Box(middle - side // 2, side)
        if _covers_fixed(size, box) or not _half_is_left(size, box):
            break
        fits = side
    return Box(middle - fits // 2, fits)


def cleared(drawn: Symbol) -> Symbol:
    """The symbol with the box of its logo left white."""
    box = logo_box(drawn.size)
    line = ((1 << box.side) - 1) << drawn.size - box.start - box.side
    # The box is as far from the last row as from the first.
    covered = sum(line << drawn.size * row for row in range(box.start, box.start + box.side))
    return Symbol(drawn.size, drawn.bits & ~covered)


def _cells(size: int, box: Box) -> list[int]:
    inside = range(box.start, box.start + box.side)
    return [row * size + column for row in inside for column in inside]


def _covers_fixed(size: int, box: Box) -> bool:
    fixed, middle = fixed_modules(_version(size)), size // 2
    unavoidable = 4 if fixed[middle][middle] else 0  # An alignment pattern is five modules wide.
    covered = [divmod(cell, size) for cell in _cells(size, box) if fixed[cell // size][cell % size]]
    return any(max(abs(row - middle), abs(column - middle)) > unavoidable for row, column in covered)


def _half_is_left(size: int, box: Box) -> bool:
    order = zigzag(_version(size))
    blocks = rs_blocks(_version(size), ERROR_CORRECT_H)
    owners = interleaved([[number] * block.data_count for number, block in enumerate(blocks)])
    owners += interleaved([[number] * (block.total_count - block.data_count) for number, block in enumerate(blocks)])
    # What lies behind the last codeword are remainder bits, which carry nothing.
    touched = {order[cell] // 8 for cell in _cells(size, box) if cell in order} & set(range(len(owners)))
    lost = [0] * len(blocks)
    for codeword in touched:
        lost[owners[codeword]] += 1
    corrects = [(block.total_count - block.data_count) // 2 for block in blocks]
    return all(gone * 2 <= can for gone, can in zip(lost, corrects, strict=True))


def _version(size: int) -> int:
    return (size - 17) // 4
