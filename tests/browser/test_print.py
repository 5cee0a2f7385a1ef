"""What is printed from the phone: its files, the print page where our fonts end, and that page on Chromium's paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from qr import print_page
from qr.labels import LAYOUTS, PAPERS
from tests import printed, readers
from tests.browser.conftest import Product
from tests.test_poster import POSTERS, TEXT
from tests.test_sheet import stickers

pytestmark = pytest.mark.xdist_group("browser")


@pytest.mark.parametrize("layout", ["stickers-24", "avery-l7163", "avery-5160", "avery-3111"])
def test_chromium_prints_every_label_where_it_is_cut(chromium: Browser, tmp_path: Path, layout: str) -> None:
    form = LAYOUTS[layout]
    made = stickers(form.count)
    file = tmp_path / "stickers.html"
    file.write_bytes(print_page.stickers(made, layout, language="zh"))
    on_paper = printed_by(chromium, file)
    [page] = printed.pages(on_paper)
    assert printed.codes(page) == [sticker.text for sticker in made]
    wide, high = PAPERS[form.paper]
    assert printed.boxes(on_paper) == [[0, 0, pytest.approx(wide, abs=0.3), pytest.approx(high, abs=0.3)]]


def test_chromium_prints_each_poster_on_a_page_of_its_own(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "posters.html"
    file.write_bytes(print_page.posters([POSTERS["dressed"], POSTERS["ar"]], "a4", language="vi"))
    pages = printed.pages(printed_by(chromium, file), 72)
    assert [readers.texts(page) for page in pages] == [[TEXT], [TEXT]]
    assert [readers.second(page) for page in pages] == [[TEXT], [TEXT]]


def printed_by(chromium: Browser, file: Path) -> bytes:
    page = chromium.new_page()
    try:
        page.goto(file.as_uri())
        return page.pdf(prefer_css_page_size=True, print_background=True)
    finally:
        page.close()


def test_a_vendor_prints_from_her_phone_in_any_script(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    vendor = product.vendor()
    for name in ("Red apples", "ប៉ោម"):
        vendor.post("/items", {"name": name, "price": {"amount": 200, "currency": "CNY"}, "unit": "pile"})
    page = phone()
    page.goto(f"{product.url}/app/")
    page.evaluate("(token) => localStorage.setItem('pushcart', JSON.stringify({ token }))", vendor.token)
    page.reload()
    for name, ending, kinds in (("Red apples", "pdf", 3), ("ប៉ោម", "html", 1)):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_text("Your customer scans this")).to_be_visible()
        screenshot(page, f"app-print-{ending}")
        for title, kind in [("Poster", "poster"), ("Stickers", "sheet"), ("Table tent", "tent")][:kinds]:
            with page.expect_download() as waiting:
                page.get_by_role("button", name=title, exact=True).click()
            assert waiting.value.suggested_filename == f"{kind}.{ending}"
            file = tmp_path / f"{kind}.{ending}"
            waiting.value.save_as(file)
            paper = file.read_bytes() if ending == "pdf" else b""
            if paper:
                assert readers.texts(printed.pages(paper)[0])[0].startswith(f"{product.url}/s/")
            else:
                assert name in file.read_text()
        page.get_by_role("button", name="Close").click()
