"""How a page writes to whoever reads it: her language and the shop's country decide, exactly."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.utils.translation import override

from merchants.models import Shop
from qr import reader

AT = datetime.fromisoformat("2026-11-29T06:05:00+00:00")
LEFT, RIGHT, SPACE = "\N{LEFT-TO-RIGHT MARK}", "\N{RIGHT-TO-LEFT MARK}", "\N{NO-BREAK SPACE}"


def reads(language: str, country: str, zone: str = "UTC") -> reader.Reader:
    with override(language):
        return reader.of(Shop(country=country, time_zone=zone))


@pytest.mark.parametrize(
    ("language", "country", "amount", "currency", "shown"),
    [
        ("en", "CN", 123_456, "CNY", "CN¥1,234.56"),
        ("en", "JP", 123_456, "JPY", "¥123,456"),
        ("en", "KW", 123_456, "KWD", f"KWD{SPACE}123.456"),
        ("en", "IN", 12_345_678, "INR", "₹1,23,456.78"),
        ("zh-hans", "CN", 123_456, "CNY", "¥1,234.56"),
        ("hi", "IN", 12_345_678, "INR", "₹1,23,456.78"),
        ("pt", "BR", 123_456, "BRL", f"R${SPACE}1.234,56"),
        ("pt", "PT", 1_234_567, "EUR", f"12{SPACE}345,67{SPACE}€"),
        ("vi", "VN", 123_456, "VND", f"123.456{SPACE}₫"),
        ("ar", "AE", 123_456, "AED", f"{RIGHT}1,234.56{SPACE}د.إ.{RIGHT}"),
        ("ar", "KW", 1_234_567, "KWD", f"{RIGHT}١٬٢٣٤٫٥٦٧{SPACE}د.ك.{RIGHT}"),
        ("ar", "CN", 400, "CNY", f"{RIGHT}4.00{SPACE}CN¥{LEFT}"),
        ("en", "IQ", 5_000, "IQD", f"IQD{SPACE}5.000"),
    ],
)
def test_an_amount_is_written_as_her_language_is_in_the_shops_country(
    language: str, country: str, amount: int, currency: str, shown: str
) -> None:
    assert reads(language, country).amount(amount, currency) == shown


@pytest.mark.parametrize(
    ("language", "country", "shown"),
    [
        ("en", "CN", f"Nov 29, 2026, 2:05{SPACE}PM"),
        ("zh-hans", "CN", "2026年11月29日 14:05"),
        ("hi", "IN", "29 नव॰ 2026, 2:05 pm"),
        ("pt", "BR", "29 de nov. de 2026 14:05"),
        ("vi", "VN", "14:05 29 thg 11, 2026"),
        ("ar", "AE", f"29{RIGHT}/11{RIGHT}/2026، 2:05 م"),
        ("ar", "KW", f"٢٩{RIGHT}/١١{RIGHT}/٢٠٢٦، ٢:٠٥ م"),
    ],
)
def test_a_moment_is_told_by_the_shops_clock_in_her_language(language: str, country: str, shown: str) -> None:
    assert reads(language, country, "Asia/Shanghai").moment(AT) == shown


def test_what_she_would_type_and_how_many_are_written_in_her_numerals() -> None:
    arabic = reads("ar", "KW")
    assert (arabic.number(1234, "KWD"), arabic.number(0, "JPY"), arabic.count(12)) == ("١٫٢٣٤", "٠", "١٢")
    assert (reads("pt", "BR").number(1234, "BRL"), reads("en", "CN").number(0, "CNY")) == ("12,34", "0.00")


def test_without_a_shop_the_language_alone_decides() -> None:
    with override("pt"):
        assert reader.anybody().amount(123_456, "BRL") == f"R${SPACE}1.234,56"
    assert reads("en", "XX").locale == "en"


def test_a_name_is_isolated_and_never_markup_and_an_amount_in_a_sentence_where_it_runs_from_the_right() -> None:
    assert reader.isolated("<水果>") == "<bdi>&lt;水果&gt;</bdi>"
    with override("en"):
        assert reader.within("¥4") == "¥4"
    with override("ar"):
        assert reader.within("¥4") == "\N{FIRST STRONG ISOLATE}¥4\N{POP DIRECTIONAL ISOLATE}"
