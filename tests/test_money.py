"""Money: true exponents, what people type, and what they read."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchants import money


@pytest.mark.parametrize(
    ("currency", "places"),
    [("CNY", 2), ("JPY", 0), ("KWD", 3), ("VND", 0), ("IQD", 3), ("MGA", 2), ("CLF", 4), ("ISK", 0), ("UGX", 0)],
)
def test_the_exponent_is_that_of_iso_4217(currency: str, places: int) -> None:
    assert money.exponent(currency) == places


@pytest.mark.parametrize("code", ["XXX", "XAU", "XTS", "BGN", "cny", "CN", "", "ABC", "¥"])
def test_what_is_no_money_has_no_exponent(code: str) -> None:
    assert not money.is_currency(code)
    with pytest.raises(ValueError):
        money.exponent(code)


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("2", "CNY", 200),
        ("2.5", "CNY", 250),
        ("2,50", "CNY", 250),
        (" 0.01 ", "CNY", 1),
        ("0", "CNY", 0),
        ("1500", "JPY", 1500),
        ("1.234", "KWD", 1234),
        ("2.", "CNY", 200),
        ("٢", "CNY", 200),
        ("١٢٫٣٤", "AED", 1234),
        ("\u200f٢،٥", "CNY", 250),
        ("۱۲.۵", "CNY", 1250),
        ("१२.०५", "INR", 1205),
        ("１２．５", "CNY", 1250),
        ("３。５", "CNY", 350),
    ],
)
def test_what_a_person_types_becomes_minor_units(text: str, currency: str, amount: int) -> None:
    assert money.minor_units(text, currency) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        ".5",
        "-1",
        "+1",
        "1e3",
        "1.2.3",
        "1,234.50",
        "1.001",
        "²",
        "NaN",
        "1 0",
        "٫٥",
        "1٢",
        "१2",
        "١٬٢٣٤",
        "١٢٫٣٤٥",
        "๒",
        "٢٫٥٫",
        "Ⅷ",
        "\u200f",
    ],
)
def test_what_is_no_amount_of_yuan_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        money.minor_units(text, "CNY")


@given(st.integers(0, 10**12), st.sampled_from(["CNY", "JPY", "KWD", "CLF"]))
def test_minor_units_are_read_back_from_their_decimal(amount: int, currency: str) -> None:
    assert money.minor_units(format(money.decimal(amount, currency), "f"), currency) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "shown"),
    [
        (200, "CNY", "en", "CN¥2.00"),
        (200, "CNY", "zh-CN", "¥2.00"),
        (1500, "JPY", "ja", "￥1,500"),
        (1234, "KWD", "en", "KWD1.234"),
        (5_000, "IQD", "en", "IQD5.000"),
        (200, "CNY", "xx-unknown", "2.00 CNY"),
    ],
)
def test_an_amount_is_shown_with_its_currencys_own_decimals(
    amount: int, currency: str, locale: str, shown: str
) -> None:
    assert money.shown(amount, currency, locale).replace("\N{NO-BREAK SPACE}", "") == shown


def test_a_decimal_is_exact() -> None:
    assert money.decimal(123_456_789_012_345, "CNY") == Decimal("1234567890123.45")


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "said"),
    [
        (123_456_789, "CNY", "zh_Hans_CN", "1,234,567.89"),
        (-123_456_789, "CNY", "en", "−1,234,567.89"),
        (123_456_789, "INR", "hi_IN", "12,34,567.89"),
        (-123_456_789, "EUR", "de_DE", "−1.234.567,89"),
        (123_456_789, "JPY", "ja_JP", "123,456,789"),
        (-5, "KWD", "ar_KW", "−0.005"),
        (0, "CNY", "en", "0.00"),
    ],
)
def test_digits_alone_are_grouped_as_people_there_do(amount: int, currency: str, locale: str, said: str) -> None:
    assert money.digits(amount, currency, locale) == said
