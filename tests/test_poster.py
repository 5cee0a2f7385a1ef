"""Posters: read from paper by readers that have nothing in common, turned and from the side, in every paper's size."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from merchants.refusals import Refused
from qr import phrases, poster
from qr.labels import PAPERS
from qr.stickers import Poster, Sticker
from tests import distortions, printed, readers

TEXT = "https://pay.example.com/s/Ab3dEfGh1jK5"


def picture(color: str, kind: str = "JPEG", size: tuple[int, int] = (90, 60)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, color).save(out, kind)
    return out.getvalue()


def made(language: str, title: str, shop: str, word: str, price: str = "", **more: object) -> Poster:
    said = phrases.of(language)
    sticker = replace(
        Sticker(text=TEXT, title=title, price=price, shop=shop, word=word, caption=said.caption), **more  # type: ignore[arg-type]
    )  # fmt: skip
    headline = said.pile.format(price=price) if price else said.amount
    return Poster(sticker, headline, said.check if word else "", said.other if word else "", said.fold)


POSTERS = {
    "zh": made("zh", "红富士苹果", "梅姐水果店", "蓝色海豚", "¥2.00"),
    "en": made("en", "Mei's fruit", "", "blue dolphin"),
    "hi": made("hi", "ताज़ा आम", "शर्मा फल भंडार", "नीला मोर", "₹40.00"),
    "ar": made("ar", "تفاح طازج", "متجر الفواكه", "دلفين أزرق", "25.00 ج.م."),
    "th": made("th", "ก๋วยเตี๋ยวเรือ", "ร้านป้าแดง", "", "฿60.00"),
    "dressed": made("vi", "Phở bò", "Phở Bà Hương", "cá voi xanh", "45.000 ₫", colour="#7a1f1f",
                    logo=picture("navy", "PNG", (64, 64)), photo=picture("orange")),
}  # fmt: skip


@pytest.mark.parametrize("name", POSTERS)
def test_a_poster_is_read_by_readers_of_three_makes_and_keeps_its_letters(name: str) -> None:
    said = POSTERS[name]
    file = poster.pdf(said, "a4")
    [page] = printed.pages(file, 72)
    assert [readers.texts(page, reader) for reader in readers.NAMES] == [[TEXT]] * 3
    assert all(printed.fonts(file).values())
    text = printed.texts(file)
    for part in (said.sticker.title, said.sticker.price, said.sticker.shop, said.sticker.word):
        assert name not in {"zh", "en", "dressed"} or part in text  # Shaped scripts are not told back by pypdf.


@pytest.mark.parametrize("degrees", [7, 90, 180, 261])
def test_a_poster_is_read_turned_and_from_the_side(degrees: int) -> None:
    [page] = printed.pages(poster.pdf(POSTERS["dressed"], "a4"), 100)
    for seen in (
        distortions.rotated(page, degrees),
        distortions.tilted(page, 0.3),
        distortions.rotated(distortions.tilted(page, 0.3), degrees),
        distortions.blurred(page, 3),
        distortions.scanned(page, 100, at=60),
    ):
        assert readers.texts(seen) == [TEXT]


@pytest.mark.parametrize("paper", PAPERS)
def test_the_code_fills_a_third_of_every_paper(paper: str) -> None:
    wide, high = PAPERS[paper]
    file = poster.pdf(POSTERS["zh"], paper)
    assert printed.boxes(file) == [[0, 0, pytest.approx(wide, abs=0.01), pytest.approx(high, abs=0.01)]]
    [page] = printed.pages(file, 60)
    assert readers.texts(page) == [TEXT]
    [found] = printed.corners(page)
    share = (33 + 8) ** 2 / 33**2  # Its quiet zone belongs to it.
    assert found * share / (page.width * page.height) == pytest.approx(1 / 3, abs=0.02)


def test_for_a_print_shop_there_are_bleed_and_cut_marks_around_the_same_page() -> None:
    file = poster.pdf(POSTERS["hi"], "a4", marks=True)
    assert printed.boxes(file) == [[0, 0, 228, 315]]
    assert printed.boxes(file, "trimbox") == [[9, 9, 219, 306]]
    assert printed.boxes(file, "bleedbox") == [[6, 6, 222, 309]]
    [page] = printed.pages(file, 254)
    green = (11, 107, 70)
    assert page.getpixel((1140, 65)) == page.getpixel((65, 400)) == pytest.approx(sum_of(green), abs=3)
    assert page.getpixel((1140, 50)) == 255
    [plain] = printed.pages(poster.pdf(POSTERS["hi"], "a4"), 72)
    [marked] = printed.pages(file, 72)
    assert readers.texts(plain) == readers.texts(marked) == [TEXT]


def sum_of(color: tuple[int, int, int]) -> int:
    """The grey of a colour (ITU-R BT.601)."""
    return round(0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2])


def test_without_a_check_word_nothing_is_said_of_one() -> None:
    text = printed.texts(poster.pdf(made("en", "Apples", "Mei's fruit", "", "¥2.00"), "a4"))
    assert "must show" not in text
    assert "Do not pay" not in text
    with_word = printed.texts(poster.pdf(made("en", "Apples", "Mei's fruit", "blue dolphin", "¥2.00"), "a4"))
    assert "Your pay page must show this word:" in with_word
    assert "blue dolphin" in with_word
    assert "Scan me: this pile for ¥2.00" in with_word


def test_the_check_word_is_large_enough_for_two_metres() -> None:
    """A letter is read from 300 times its height: five millimetres of x-height are seven and more of size."""
    assert printed.sizes(poster.pdf(POSTERS["en"], "a4"))["blue dolphin"] >= 14
    assert printed.sizes(poster.pdf(POSTERS["zh"], "a4"))["¥2.00"] >= 25


def test_a_language_that_no_font_draws_points_at_the_print_page() -> None:
    with pytest.raises(Refused) as refused:
        poster.pdf(made("km", "Apples", "Shop", "", "៛5000"), "a4")
    assert (refused.value.status_code, refused.value.code) == (422, "letters_not_drawable")
