"""What printed codes say: whole sentences in every language, drawn by our fonts as far as we have its letters."""

from __future__ import annotations

from dataclasses import fields

import pytest

from merchants import lettering
from qr import phrases
from qr.phrases import PHRASES, Phrases

SENTENCES = [field.name for field in fields(Phrases) if field.name != "piles"]
ON_SCREEN_ONLY = {"km", "zh-Hant"}  # No font of ours has their letters: the print page says these sentences.


@pytest.mark.parametrize("language", PHRASES)
def test_every_sentence_is_said_and_has_its_place_for_the_price_and_the_word(language: str) -> None:
    said = phrases.of(language)
    for name in SENTENCES:
        text = getattr(said, name)
        assert text.strip() == text != ""
        assert ("{price}" in text) == (name in {"price", "pile"})
        assert ("{word}" in text) == (name == "word")
    assert said.price.format(price="¥2") != said.pile.format(price="¥2")
    assert said.check[-1] in ":：៖"


@pytest.mark.parametrize("language", PHRASES)
def test_our_fonts_draw_every_language_but_those_of_the_print_page(language: str) -> None:
    said = [getattr(phrases.of(language), name) for name in SENTENCES]
    undrawn = [text for text in said if lettering.drawable(text) != text]
    assert bool(undrawn) == (language in ON_SCREEN_ONLY)


@pytest.mark.parametrize(
    ("country", "language"),
    [
        ("CN", "zh"),
        ("TW", "zh-Hant"),
        ("HK", "zh-Hant"),
        ("IN", "hi"),
        ("BR", "pt-BR"),
        ("MX", "es"),
        ("TH", "th"),
        ("VN", "vi"),
        ("ID", "id"),
        ("EG", "ar"),
        ("KH", "km"),
        ("KE", "en"),
        ("US", "en"),
    ],
)
def test_a_shop_speaks_the_language_of_its_country(country: str, language: str) -> None:
    assert phrases.language(country) == language
