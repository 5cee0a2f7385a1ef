"""The fast symbol is the library's own."""

from __future__ import annotations

import random
import string

import pytest
import segno
from qrcode import QRCode
from qrcode.constants import ERROR_CORRECT_H, ERROR_CORRECT_L, ERROR_CORRECT_M, ERROR_CORRECT_Q
from qrcode.util import MODE_8BIT_BYTE, QRData

from qr.symbol import LONGEST_TEXT, MASKS, Level, symbol

LEVELS: dict[Level, int] = {"L": ERROR_CORRECT_L, "M": ERROR_CORRECT_M, "Q": ERROR_CORRECT_Q, "H": ERROR_CORRECT_H}


def number(row: object) -> int:
    return int("".join("1" if module else "0" for module in row), 2)  # type: ignore[attr-defined]


def library_rows(text: str, level: Level) -> list[int]:
    code = QRCode(error_correction=LEVELS[level])
    code.add_data(QRData(text.encode(), mode=MODE_8BIT_BYTE))
    code.make()
    return [number(row) for row in code.modules]


def segnos_rows(text: str, level: Level, mask: int) -> list[int]:
    made = segno.make(
        text, error=level, mode="byte", encoding="utf-8", eci=True, mask=mask, boost_error=False, micro=False
    )
    return [number(row) for row in made.matrix]


def test_every_module_is_the_librarys_whatever_the_text_its_length_and_its_level() -> None:
    choose = random.Random(20261122)
    # The first and last lengths of some versions, where terminator and padding are cut short.
    edges = [("M", n) for n in (0, 1, 14, 15, 62, 63, 180, 181, 290)] + [("L", 17), ("Q", 11), ("H", 7), ("H", 84)]
    lengths = [*edges, ("L", LONGEST_TEXT), *((choose.choice("LMQH"), choose.randint(2, 150)) for _ in range(40))]
    for level, length in lengths:
        text = "".join(choose.choices(string.printable, k=length))
        assert symbol(text, level).rows() == library_rows(text, level), (text, level)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["红富士苹果 ₹20", "é", "สวัสดี" * 20, "ร้าน 5,00 ฿ 00020101021129"])
def test_a_text_beyond_ascii_says_that_it_is_utf_8_as_segno_says_it(text: str) -> None:
    for level in LEVELS:
        # The mask is chosen as the library chooses; segno weighs two rules otherwise.
        assert symbol(text, level).rows() in [segnos_rows(text, level, mask) for mask in MASKS]


def test_a_text_beyond_ascii_that_fills_its_symbol_to_the_last_bit_is_not_cut() -> None:
    # Version 1 at level M holds sixteen codewords: twelve bits of ECI, twelve of mode and count, thirteen bytes.
    assert [symbol("é" * 6 + "x" * more).size for more in (0, 1, 2)] == [21, 21, 25]
    assert symbol("é" * 6 + "x").rows() in [segnos_rows("é" * 6 + "x", "M", mask) for mask in MASKS]


def test_a_text_too_long_for_a_sticker_is_refused() -> None:
    with pytest.raises(ValueError, match="1000 bytes"):
        symbol("x" * (LONGEST_TEXT + 1))
