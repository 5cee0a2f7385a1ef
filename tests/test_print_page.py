"""The print page: one document that needs nothing else, with every label where its maker cuts it."""

from __future__ import annotations

import base64
import re

import pytest

from qr import print_page
from qr.labels import LAYOUTS
from qr.stickers import Sticker
from tests.test_poster import POSTERS, TEXT, picture
from tests.test_sheet import stickers


def places(page: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'style="left:([\d.]+)mm;top:([\d.]+)mm"', page)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_stand_where_the_sheet_has_them(layout: str) -> None:
    form = LAYOUTS[layout]
    page = print_page.stickers(stickers(3), layout, language="zh", start=form.count).decode()
    corners = [(round(x, 3), round(y, 3)) for x, y in form.places()]
    assert places(page) == [corners[-1], *corners[:2]]
    assert page.count('<section class="page">') == 2
    assert "size: 210mm 297mm" in page or "size: 215.9mm 279.4mm" in page


def test_a_code_is_drawn_once_however_often_it_is_shown() -> None:
    page = print_page.stickers(stickers(2), "stickers-24", language="zh", copies=12).decode()
    assert (page.count("<path"), page.count("<use")) == (2, 24)


def test_it_loads_nothing_and_what_a_shop_wrote_is_text() -> None:
    nasty = '</style><script>alert("1")</script>'
    made = Sticker(text=TEXT, title=nasty, shop=nasty, word=nasty, caption=nasty, price=nasty)
    for page in (
        print_page.stickers([made], "avery-5160", language="en").decode(),
        print_page.posters([POSTERS["dressed"]], "a4", language="vi").decode(),
    ):
        assert "<script" not in page
        assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
        assert not re.findall(r'(?:src|href)="(?!data:|#c)', page)
        assert "url(" not in page


def test_a_poster_carries_its_photo_and_logo_in_itself() -> None:
    page = print_page.posters([POSTERS["dressed"], POSTERS["ar"]], "letter", language="vi").decode()
    assert f'src="data:image/jpeg;base64,{base64.b64encode(picture("orange")).decode()}"' in page
    assert 'href="data:image/png;base64,' in page
    assert 'fill="#7a1f1f"' in page
    assert page.count('<section class="page">') == 2
    for said in ("cá voi xanh", "دلفين أزرق", POSTERS["ar"].headline, "45.000 ₫"):
        assert said in page
