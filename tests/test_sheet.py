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


NASTY = [
    Sticker(text=f"https://pay.example.com/s/{number}", title=title, price=price, shop=title, word=title, caption=title)
    for number, (title, price) in enumerate(
        [
            ("红富士苹果红富士苹果红富士苹果红富士苹果红富士苹果红富士苹果红富士苹果红富士苹果", "¥1,000,000,000.00"),
            ("Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft", "€ 123.456.789,00"),
            ("ก๋วยเตี๋ยวเรืออยุธยาสูตรโบราณก๋วยเตี๋ยวเรืออยุธยาสูตรโบราณก๋วยเตี๋ยวเรือ", "฿60.00 / ชามใหญ่พิเศษมากที่สุด"),
            ("متجر الفواكه والخضار الطازجة من المزارع المحلية في القاهرة والإسكندرية", "25.00 ج.م. / كيلوغرام واحد"),
            ("Phở bò tái nạm gầu gân sách đặc biệt Bà Hương phố cổ Hà Nội từ 1954", "1.250.000 ₫ / tô đặc biệt"),
            ("i", "¥2.00"),
        ]
    )
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whatever_it_says_a_sticker_stays_on_its_label_and_off_its_quiet_zone(layout: str) -> None:
    form = LAYOUTS[layout]
    made = [NASTY[number % len(NASTY)] for number in range(form.count)]
    [page] = printed.pages(sheet.pdf(made, layout), 150)
    assert printed.codes(page) == [sticker.text for sticker in made]
    per_mm = 150 / 25.4
    edge = 0.5  # Cut lines are drawn on the edge itself.
    for x, y in form.places():
        label = page.crop(tuple(round(side * per_mm) for side in (x, y, x + form.width, y + form.height)))  # type: ignore[arg-type]
        inner = [round(side * per_mm) for side in (edge, edge, form.width - edge, form.height - edge)]
        frame = label.point(lambda value: 255 if value < 200 else 0).crop(tuple(inner)).getbbox()  # type: ignore[arg-type]
        assert frame is not None
        width, height = inner[2] - inner[0], inner[3] - inner[1]
        assert frame[0] > 0
        assert frame[1] > 0
        assert frame[2] < width
        assert frame[3] < height


def test_a_sheet_that_is_used_in_part_goes_on_at_its_first_free_label() -> None:
    made = stickers(2)
    first, second = printed.pages(sheet.pdf(made, "avery-l7165", copies=4, start=6))
    assert printed.codes(first) == [made[0].text] * 3
    assert printed.codes(second) == [made[0].text] + [made[1].text] * 4
    assert printed.codes(first.crop((0, 0, first.width, round(first.height / 2)))) == []


def test_what_is_repeated_is_in_the_file_once_and_the_file_is_the_same_each_time() -> None:
    one, many = (sheet.pdf(stickers(1), "stickers-24", copies=copies) for copies in (1, 24))
    assert len(many) < len(one) * 1.2
    assert sheet.pdf(stickers(1), "stickers-24", copies=24) == many


def test_cut_marks_lie_outside_of_every_sticker() -> None:
    form = LAYOUTS["stickers-24"]
    [page] = printed.pages(sheet.pdf(stickers(24), "stickers-24"), 254)
    left, top, right, below = 90, 125, 90 + 3 * 640, 125 + 8 * 340
    assert (form.left, form.top, form.width, form.height) == (9.0, 12.5, 64.0, 34.0)
    for cut in range(4):
        x = left + cut * 640
        assert min(page.crop((x - 3, top - 50, x + 3, top - 12)).tobytes()) < 200
        assert min(page.crop((x - 3, below + 12, x + 3, below + 50)).tobytes()) < 200
        assert min(page.crop((x - 4, top, x + 4, below)).tobytes()) == 255
    for cut in range(9):
        y = top + cut * 340
        assert min(page.crop((left - 50, y - 3, left - 12, y + 3)).tobytes()) < 200
        assert min(page.crop((right + 12, y - 3, right + 50, y + 3)).tobytes()) < 200
        assert min(page.crop((left, y - 4, right, y + 4)).tobytes()) == 255
