"""The black and white modules of a QR code: the `qrcode` library's own symbol, found many times faster.

The library encodes the text, corrects errors and draws the fixed patterns; three quarters of its time go into
trying eight masks cell by cell. Here a symbol is one integer, and the penalties of ISO/IEC 18004 §7.8.3 are counted
with shifts over the whole of it. The result is the library's, module for module (a test compares them).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, Literal

from qrcode import QRCode
from qrcode.base import rs_blocks
from qrcode.constants import ERROR_CORRECT_H, ERROR_CORRECT_L, ERROR_CORRECT_M, ERROR_CORRECT_Q
from qrcode.util import BIT_LIMIT_TABLE, MODE_8BIT_BYTE, BitBuffer, QRData, create_bytes, mode_sizes_for_version

LONGEST_TEXT = 1000  # Bytes. Far above any address or wallet payload, and still readable from paper.
MASKS = range(8)
Level = Literal["L", "M", "Q", "H"]
_LEVELS: dict[Level, int] = {
    "L": ERROR_CORRECT_L,
    "M": ERROR_CORRECT_M,
    "Q": ERROR_CORRECT_Q,
    "H": ERROR_CORRECT_H,
}


@dataclass(frozen=True)
class Symbol:
    """A square of `size` modules. `bits` holds them row by row, the first in the highest bit; 1 is dark."""

    size: int
    bits: int

    def rows(self) -> list[int]:
        """One integer a row, its leftmost module in the highest of `size` bits."""
        full = (1 << self.size) - 1
        return [(self.bits >> self.size * row) & full for row in reversed(range(self.size))]


def symbol(text: str, level: Level = "M") -> Symbol:
    """The symbol of a text in byte mode alone, at a level of error correction: about 7, 15, 25 or 30 % may be lost.

    Mixed segments are shorter but some readers of payment codes mistake them (the library writes no ECI).
    Raises ValueError for a text of more than LONGEST_TEXT bytes.
    """
    data = QRData(text.encode(), mode=MODE_8BIT_BYTE, check_data=False)
    if len(data.data) > LONGEST_TEXT:
        raise ValueError(f"a code of more than {LONGEST_TEXT} bytes cannot be read from a sticker")
    version = _version(len(data.data), level)
    layout = _layout(version, level)
    placed = layout.place(_codewords(data.data, version, level))
    best = min(MASKS, key=lambda mask: (layout.penalty(placed ^ layout.trial[mask]), mask))
    return Symbol(layout.size, placed ^ layout.final[best])


@dataclass(frozen=True)
class _Layout:
    """What all symbols of one version share. `trial` and `final` are the symbols of no data, one for each mask:
    as the library tries masks (format bits left light) and as it draws them."""

    size: int
    trial: tuple[int, ...]
    final: tuple[int, ...]
    pick: Callable[[str], tuple[str, ...]]
    inside_row: int  # Modules that have a right neighbour.
    inside_column: int  # Modules that have a neighbour below.
    eleven_right: int  # Modules at which eleven in a row can begin.
    eleven_down: int

    def place(self, codewords: list[int]) -> int:
        """The data bits at their places, in the zigzag order of §7.7.3; every other module is 0."""
        count = len(codewords) * 8
        bits = format(int.from_bytes(bytes(codewords)), f"0{count}b")
        return int("".join(self.pick(bits + "0")), 2)

    def penalty(self, bits: int) -> int:
        dark = bits.bit_count()
        right, same_right = self._runs(bits, 1, self.inside_row)
        down, same_down = self._runs(bits, self.size, self.inside_column)
        blocks = same_right & (same_right << self.size) & same_down & self.inside_column
        finders = self._finders(bits, 1, self.eleven_right) + self._finders(bits, self.size, self.eleven_down)
        # Every five per cent away from one half dark; written as the library writes it, for the same rounding.
        balance = int(abs(float(dark) / self.size**2 * 100 - 50) / 5)
        return right + down + 3 * blocks.bit_count() + 40 * finders + 10 * balance

    def _runs(self, bits: int, step: int, inside: int) -> tuple[int, int]:
        """The penalty of runs of five or more in one direction, and the modules that equal their next one."""
        same = ~(bits ^ (bits << step)) & inside
        five = same & (same << step) & (same << 2 * step) & (same << 3 * step)
        first = five & ~(five >> step)
        # A run of n modules holds n - 4 fives and costs n - 2.
        return five.bit_count() + 2 * first.bit_count(), same

    def _finders(self, bits: int, step: int, where: int) -> int:
        """How often a finder's 1:1:3:1:1 stands beside four light modules, in one direction."""
        light = ~bits
        seen = [(bits << step * place, light << step * place) for place in range(11)]
        count = 0
        for pattern in ("10111010000", "00001011101"):
            found = where
            for module, (dark_here, light_here) in zip(pattern, seen, strict=True):
                found &= dark_here if module == "1" else light_here
            count += found.bit_count()
        return count


@cache
def _layout(version: int, level: Level) -> _Layout:
    size = version * 4 + 17
    code: Any = QRCode(version=version, error_correction=_LEVELS[level])
    code.data_cache = [0] * sum(block.total_count for block in rs_blocks(version, _LEVELS[level]))
    drawn = {(test, mask): _drawn(code, test, mask) for test in (True, False) for mask in MASKS}
    order = zigzag(version)
    data_bits = len(code.data_cache) * 8
    cells = range(size * size)
    return _Layout(
        size=size,
        trial=tuple(drawn[True, mask] for mask in MASKS),
        final=tuple(drawn[False, mask] for mask in MASKS),
        # What carries no data picks the "0" behind the data's bits.
        pick=itemgetter(*[min(order.get(cell, data_bits), data_bits) for cell in cells]),
        inside_row=_number(cell % size < size - 1 for cell in cells),
        inside_column=_number(cell < size * (size - 1) for cell in cells),
        eleven_right=_number(cell % size < size - 10 for cell in cells),
        eleven_down=_number(cell < size * (size - 10) for cell in cells),
    )


def _drawn(code: Any, test: bool, mask: int) -> int:
    code.makeImpl(test, mask)
    return _number(module for row in code.modules for module in row)


def _number(modules: Any) -> int:
    return int("".join("1" if module else "0" for module in modules), 2)


def zigzag(version: int) -> dict[int, int]:
    """cell → number of the data bit that stands there: two columns at a time from the right, up and down in turn."""
    size = version * 4 + 17
    taken = fixed_modules(version)
    order: dict[int, int] = {}
    upwards = True
    for right in [*range(size - 1, 6, -2), 5, 3, 1]:  # Column 6 is a timing pattern and carries nothing.
        for row in range(size - 1, -1, -1) if upwards else range(size):
            for column in (right, right - 1):
                if not taken[row][column]:
                    order[row * size + column] = len(order)
        upwards = not upwards
    return order


def fixed_modules(version: int) -> list[list[bool]]:
    """Which modules the library has fixed before it places data."""
    code: Any = QRCode(version=version, error_correction=ERROR_CORRECT_M)
    code.map_data = lambda data, mask: None
    code.data_cache = []
    code.makeImpl(True, 0)
    return [[module is not None for module in row] for row in code.modules]


def _version(length: int, level: Level) -> int:
    """The smallest version that holds so many bytes: mode, count, data (§7.4.5)."""
    for version in range(1, 41):
        needed = 4 + mode_sizes_for_version(version)[MODE_8BIT_BYTE] + 8 * length
        if needed <= BIT_LIMIT_TABLE[_LEVELS[level]][version]:
            return version
    raise AssertionError("LONGEST_TEXT fits into version 40")


def _codewords(data: bytes, version: int, level: Level) -> list[int]:
    """Mode, count, data, terminator and padding as bytes; the library adds error correction and interleaves."""
    count_bits = mode_sizes_for_version(version)[MODE_8BIT_BYTE]
    blocks = rs_blocks(version, _LEVELS[level])
    capacity = sum(block.data_count for block in blocks)
    # Four bits of mode and four of terminator around whole bytes: what is written always ends on a byte.
    head = (MODE_8BIT_BYTE << count_bits) | len(data)
    number = ((head << 8 * len(data)) | int.from_bytes(data)) << 4
    length = (4 + count_bits + 8 * len(data) + 4) // 8
    written = number.to_bytes(length)[:capacity]
    buffer = BitBuffer()
    buffer.buffer = list(written + (b"\xec\x11" * capacity)[: capacity - len(written)])
    codewords: list[int] = create_bytes(buffer, blocks)
    return codewords
