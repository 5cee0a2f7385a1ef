"""The fast symbol is the library's own."""

from __future__ import annotations

import random
import string

import pytest
from qrcode import QRCode
from qrcode.constants import ERROR_CORRECT_M
from qrcode.util import MODE_8BIT_BYTE, QRData

from qr.symbol import LONGEST_TEXT, symbol


def library_rows(text: str) -> list[int]:
    code = QRCode(error_correction=ERROR_CORRECT_M)
    code.add_data(QRData(text.encode(), mode=MODE_8BIT_BYTE))
    code.make()
    return [int("".join("1" if module else "0" for module in row), 2) for row in code.modules]


def test_every_module_is_the_librarys_whatever_the_text_and_its_length() -> None:
    choose = random.Random(20261122)
    lengths = [0, 1, 14, 15, 62, 63, 180, 181, 290, 700, LONGEST_TEXT, *(choose.randint(2, 150) for _ in range(50))]
    for length in lengths:
        text = "".join(choose.choices(string.printable, k=length))
        assert symbol(text).rows() == library_rows(text), text


def test_a_text_in_any_script_is_kept_as_its_bytes() -> None:
    assert symbol("红富士苹果 ₹20").rows() == library_rows("红富士苹果 ₹20")


def test_a_text_too_long_for_a_sticker_is_refused() -> None:
    with pytest.raises(ValueError, match="1000 bytes"):
        symbol("x" * (LONGEST_TEXT + 1))
