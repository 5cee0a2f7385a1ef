"""Drawing on paper: codes without hairlines, text that fits its room, and what is given up when it does not."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image
from pypdf import PdfReader

from merchants.refusals import Refused
from qr import paper
from qr.paper import Line, Paper
from qr.stickers import Sticker
from qr.symbol import symbol
from tests import printed

TEXT = "https://pay.example.com/s/Ab3dEfGh1jK5"


def one_code(side: float, text: str = TEXT, high: float = 100.0) -> bytes:
    page = Paper((100.0, high), "A code")
    page.code(10, 10, side, Sticker(text=text, title=""))
    page.end_page()
    return page.finish()


@pytest.mark.parametrize("dpi", [97.0, 150.0, 211.0, 300.0])
def test_modules_that_touch_have_no_hairline_between_them_at_any_resolution(dpi: float) -> None:
    drawn = symbol(TEXT, "Q")
    rows = drawn.rows()
    module = 50 / (drawn.size + 8) * dpi / 25.4
    [page] = printed.pages(one_code(50), dpi)

    def dark(column: int, row: int) -> bool:
        return bool(rows[row] >> (drawn.size - 1 - column) & 1)

    seams = 0
    for row in range(drawn.size):
        for column in range(drawn.size):
            for right, down in ((1, 0), (0, 1)):
                if (
                    max(column + right, row + down) < drawn.size
                    and dark(column, row)
                    and dark(column + right, row + down)
                ):
                    x = 10 * dpi / 25.4 + module * (4 + column + (1 if right else 0.5))
                    y = 10 * dpi / 25.4 + module * (4 + row + (1 if down else 0.5))
                    assert page.getpixel((int(x), int(y))) == 0, (row, column)
                    seams += 1
    assert seams > 500


def test_a_code_is_one_filled_path_and_keeps_its_quiet_zone() -> None:
    file = one_code(50)
    contents = PdfReader(BytesIO(file)).pages[0].get_contents()
    assert contents is not None
    operators = [operator for _operands, operator in contents.operations]
    assert operators.count(b"f") + operators.count(b"f*") == 1
    assert operators.count(b"re") < 420  # There are 33 × 33 modules.
    [page] = printed.pages(file, 254)
    module = 500 / (symbol(TEXT, "Q").size + 8)
    dark = page.point(lambda value: 255 - value).getbbox()
    assert dark == pytest.approx((100 + 4 * module,) * 2 + (600 - 4 * module,) * 2, abs=1.5)


def test_a_module_is_never_below_a_third_of_a_millimetre() -> None:
    modules = paper.modules_of(Sticker(text=TEXT, title=""))
    assert printed.codes(printed.pages(one_code(modules * 0.335))[0]) == [TEXT]
    with pytest.raises(Refused) as refused:
        one_code(modules * 0.325)
    assert (refused.value.status_code, refused.value.code) == (422, "label_too_small")


def lines_on(wide: float, high: float, *lines: Line) -> list[str]:
    page = Paper((wide, high), "Text")
    page.column(0, 0, wide, high, lines)
    page.end_page()
    return printed.texts(page.finish()).split("\n")


def test_text_is_broken_between_words_shrunk_and_then_shortened() -> None:
    assert lines_on(40, 30, Line("Fresh apples", 8, 0, lines=2)) == ["Fresh", "apples"]
    assert lines_on(40, 30, Line("Fresh apples", 6, 0, lines=1)) == ["Fresh apples"]
    assert lines_on(40, 30, Line("Fresh apples from the mountains of Yantai", 6, 0))[0].endswith("…")
    assert lines_on(40, 30, Line("红富士苹果一斤。", 8, 0, bold=True, lines=2)) == ["红富士苹果", "一斤。"]


def test_what_matters_least_is_given_up_first() -> None:
    lines = [Line("Apples", 8, 0, bold=True), Line("Mei's fruit", 4, 2), Line("", 4, 1), Line("Scan to pay", 4, 3)]
    assert lines_on(60, 40, *lines) == ["Apples", "Mei's fruit", "Scan to pay"]
    assert lines_on(60, 12, *lines) == ["Apples", "Mei's fruit"]
    assert lines_on(60, 8, *lines) == ["Apples"]


def test_cut_marks_stand_outside_of_what_is_cut_and_colour_goes_over_its_edge() -> None:
    page = Paper((80.0, 50.0), "Marks", marks=True)
    page.block(0, 0, 80, 20, paper.GREEN, bleeds=True)
    page.end_page()
    file = page.finish()
    assert printed.boxes(file) == [[0, 0, 98, 68]]
    assert printed.boxes(file, "trimbox") == [[9, 9, 89, 59]]
    assert printed.boxes(file, "bleedbox") == [[6, 6, 92, 62]]
    [picture] = printed.pages(file, 254)
    assert shades(picture.crop((60, 291, 920, 620)))[0] == 255  # Nothing but colour is inside the bleed box,
    assert shades(picture.crop((61, 61, 919, 289)))[1] < 255  # which colour fills up to its edge,
    assert shades(picture.crop((0, 300, 55, 588))) == (255, 255)
    for corner in ((0, 0, 55, 95), (925, 0, 980, 95), (0, 585, 55, 680), (925, 585, 980, 680)):
        assert shades(picture.crop(corner))[0] < 200  # and thin marks stand at the four corners outside of it.


def shades(picture: Image.Image) -> tuple[float, float]:
    """The darkest and the lightest grey."""
    values = picture.histogram()
    found = [shade for shade, count in enumerate(values) if count]
    return found[0], found[-1]


@pytest.mark.parametrize("text", ["សំណាង", "🍎", "掃碼"])
def test_letters_that_no_font_draws_are_refused_and_never_an_empty_box(text: str) -> None:
    with pytest.raises(Refused) as refused:
        paper.drawable(text)
    assert (refused.value.status_code, refused.value.code) == (422, "letters_not_drawable")
    assert text in str(refused.value.detail)
    assert paper.drawable("Apples 🍎") == "Apples"
