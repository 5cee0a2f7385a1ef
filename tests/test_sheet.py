"""Sheets of stickers: every code is read from the paper by another program's eyes, and every label holds its own."""

from __future__ import annotations

import pytest

from merchants.refusals import Refused
from qr import sheet
from qr.labels import LAYOUTS, PAPERS
from qr.stickers import Sticker
from tests import printed

NAMES = ["红富士苹果", "ताज़ा आम", "ร้านก๋วยเตี๋ยวป้าแดง", "متجر الفواكه", "Phở Bà Hương", "Apples & pears"]


def stickers(count: int, length: int = 44) -> list[Sticker]:
    return [
        Sticker(
            text=f"https://pay.example.com/s/{number:02}".ljust(length, "x"),
            title=NAMES[number % len(NAMES)],
            price="¥2.00",
            shop="梅姐水果店",
            word="核对词：蓝色海豚",
            caption="扫码付款",
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_code_of_a_full_sheet_is_read_at_200_dpi(layout: str) -> None:
    form = LAYOUTS[layout]
    made = stickers(form.count)
    file = sheet.pdf(made, layout)
    [page] = printed.pages(file)
    assert printed.codes(page) == [sticker.text for sticker in made]
    wide, high = PAPERS[form.paper]
    assert printed.boxes(file) == [[0, 0, pytest.approx(wide, abs=0.01), pytest.approx(high, abs=0.01)]]
    assert all(printed.fonts(file).values())


def test_a_payload_whose_modules_would_be_too_small_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        sheet.pdf(stickers(1, length=300), "avery-5160")
    assert (refused.value.status_code, refused.value.code) == (422, "label_too_small")
    [page] = printed.pages(sheet.pdf(stickers(1, length=300), "avery-l7165"))
    assert printed.codes(page) == [stickers(1, length=300)[0].text]


def test_a_name_that_no_font_draws_points_at_the_print_page() -> None:
    with pytest.raises(Refused) as refused:
        sheet.pdf([Sticker(text="x", title="សំណាង")], "stickers-24")
    assert (refused.value.status_code, refused.value.code) == (422, "letters_not_drawable")
    assert "/api/v1/codes/print.html" in str(refused.value.detail)
