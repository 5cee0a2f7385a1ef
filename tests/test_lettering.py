"""Text on paper: every glyph that is drawn exists in its font, scripts are shaped, and what has no letters is told."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PageObject, PdfReader
from reportlab.pdfgen.canvas import Canvas

from merchants import countries, lettering, money

FONTS = Path(lettering.__file__).parent / "fonts"
NAMES = {
    "zh": "梅姐水果店",
    "ja": "たこやき カナ",
    "vi": "Phở Bà Hương – Ốc & Bánh cuốn",
    "ru": "Ёлки, Київ",
    "hi": "शर्मा किराना स्टोर क्षत्रिय",
    "ar": "متجر الفواكه والخضار",
    "fa": "نان می‌خواهم ۱۲۳",
    "th": "ร้านก๋วยเตี๋ยวป้าแดง น้ำผึ้ง",
    "mixed": "Ali's متجر 25 الفواكه (x) 店",
}
NOBODYS = ["សំណាង", "ሰላም", "தமிழ்", "বাংলা", "김밥천국", "Mei \U00020bb7"]


@cache
def holds(font: str) -> frozenset[int]:
    """What a font has, said by another reader of fonts."""
    return frozenset(TTFont(FONTS / f"{font}.ttf").getBestCmap())


def drawn(text: str) -> list[str]:
    return [str(run.text) for run in lettering.runs(text)]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_of_these_scripts_is_drawn_whole(name: str) -> None:
    assert lettering.drawable(name) == name
    assert lettering.width(name, 10) > 10


@pytest.mark.parametrize("name", NOBODYS)
def test_a_name_without_letters_of_ours_is_told_apart(name: str) -> None:
    assert lettering.drawable(name) is None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Mei's 🍎 apples 👩🏽‍🌾!", "Mei's apples !"),
        ("  two\r\n lines\t", "two lines"),
        ("a\u200eb\u202e\u00ad\x07c", "abc"),
        ("e\u0323\u0302", "ệ"),
        ("\ue000", ""),  # Reportlab's own name for a shaped glyph is no letter of anybody.
        ("☺", ""),
        ("", ""),
    ],
)
def test_what_is_no_letter_is_left_out(text: str, left: str) -> None:
    assert lettering.drawable(text) == left


@given(st.text(max_size=40) | st.text("aé 1(,店水ش لा्करि้ก", max_size=30))
def test_whatever_is_drawn_has_its_glyphs(text: str) -> None:
    found = lettering.drawable(text)
    if found is None:
        return
    runs = lettering.runs(found)
    for run in runs:
        shaped = hasattr(run.text, "__shapeData__")
        assert shaped or {ord(letter) for letter in run.text} <= holds(run.font), run
    if not any(hasattr(run.text, "__shapeData__") for run in runs):
        alike = str.maketrans(")]}>»›", "([{<«‹")  # From right to left a bracket is drawn by its mirror image.
        assert sorted("".join(drawn(found)).translate(alike)) == sorted(found.translate(alike))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_font_in_the_file_draws_the_box_of_what_is_missing(name: str) -> None:
    [page] = PdfReader(io.BytesIO(_file(name))).pages
    for shown in _shown(page):
        assert b"\x00" not in shown  # Reportlab writes code 0 for what a font does not have.


def test_files_that_are_made_at_once_are_the_same_as_one_after_another() -> None:
    work = [*NAMES.values()] * 3
    alone = [_file(name) for name in work]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(_file, work)) == alone
    assert len({*alone}) == len(NAMES)


def _file(name: str) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, invariant=1)
    for row in range(20):
        lettering.draw(canvas, 50, 700 - 20 * row, f"{name} {row}", 12)
    lettering.save(canvas)
    return file.getvalue()


def _shown(page: PageObject) -> list[bytes]:
    contents = page.get_contents()
    assert contents is not None
    found = []
    for operands, operator in contents.operations:
        if operator in {b"Tj", b"TJ"}:
            texts = operands[0] if operator == b"TJ" else operands
            found += [text.original_bytes for text in texts if hasattr(text, "original_bytes")]
    assert found
    return found


def test_devanagari_arabic_and_thai_are_shaped() -> None:
    [ksha] = lettering.runs("क्ष")
    assert len(ksha.text) == 1  # Three characters become one conjunct.
    [ki] = lettering.runs("कि")
    assert ki.text[1] == "क"  # The vowel sign is written before its consonant.
    [word] = lettering.runs("باب")
    assert word.text[0] != word.text[2]  # Its two letters ب have their forms of the end and of the beginning.
    assert all(ord(letter) >= 0xE000 for letter in (word.text[0], word.text[2]))


def test_parts_from_right_to_left_stand_as_they_are_read() -> None:
    fonts = [run.font for run in lettering.runs("متجر 12 (A)")]
    assert fonts[-1] == "NotoSansArabic-Regular"  # What is read first stands at the right,
    assert drawn("متجر 12")[0] == "12"  # and a number still reads from left to right.
    assert drawn("(فرع)")[0] == "("
    assert drawn("(فرع)")[-1] == ")"
    assert drawn("۱۲۳ نان")[-1] == "۱۲۳"
    for price in ("25.00", "1,250.00", "٢٥٫٠٠", "10:30"):
        assert drawn(f"هذه الكومة بسعر {price}")[0] == price
    latin = drawn("Ali متجر 25 الفواكه store")
    assert (latin[0], latin[-1]) == ("Ali ", " store")
    assert latin.index("25") == 3  # Between the two words, which change their places as one phrase.


def test_a_text_that_is_too_long_is_cut_with_an_ellipsis_and_never_before_a_mark() -> None:
    assert lettering.fitted("short", 100, 10) == "short"
    for name in NAMES.values():
        cut = lettering.fitted(name, lettering.width(name, 10) / 2, 10)
        assert cut.endswith("…")
        assert lettering.width(cut, 10) <= lettering.width(name, 10) / 2
        assert lettering.drawable(cut) == cut
    assert lettering.fitted("कि" * 9, 25, 10).removesuffix("…")[-1] == "ि"


def test_every_country_has_its_numbers_in_our_letters() -> None:
    for country in ("CN", "IN", "FR", "CH", "IR", "EG", "TH", "MM", "NP", "BR", "SE", "ZA"):
        said = money.digits(-123_456_789, "USD", countries.locale(country))
        assert lettering.drawable(said.replace("\u202f", "\u00a0")) is not None
        assert {ord(letter) for letter in said} <= holds(lettering.REGULAR), country


def test_the_fonts_are_free_small_and_hold_what_they_should() -> None:
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONTS / "OFL.txt").read_text()
    sizes = {path.stem: path.stat().st_size for path in FONTS.glob("*.ttf")}
    assert max(sizes.values()) < 2_300_000
    assert sum(sizes.values()) < 3_100_000
    gb2312 = [bytes([a, b]).decode("gb2312", "ignore") for a in range(0xB0, 0xF8) for b in range(0xA1, 0xFF)]
    assert {ord(letter) for letter in gb2312 if letter} <= holds("NotoSansSC-Regular")
    for font in (lettering.REGULAR, lettering.SEMIBOLD):
        assert {*range(0x20, 0x7F), *range(0xA1, 0x180), *range(0x1EA0, 0x1EFA), 0x20AB, 0x20B9, 0x2212} <= holds(font)
