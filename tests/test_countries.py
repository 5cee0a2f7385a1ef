"""What a country means for a new shop."""

from __future__ import annotations

import phonenumbers
import pytest
from django.conf import settings

from merchants import countries, money


@pytest.mark.parametrize(
    ("country", "currency", "time_zone"),
    [
        ("CN", "CNY", "Asia/Shanghai"),
        ("IN", "INR", "Asia/Kolkata"),
        ("BR", "BRL", "America/Sao_Paulo"),
        ("VN", "VND", "Asia/Ho_Chi_Minh"),
        ("ID", "IDR", "Asia/Jakarta"),
        ("KW", "KWD", "Asia/Kuwait"),
        ("JP", "JPY", "Asia/Tokyo"),
        ("KE", "KES", "Africa/Nairobi"),
        ("US", "USD", "America/New_York"),
        ("MX", "MXN", "America/Mexico_City"),
        ("DE", "EUR", "Europe/Berlin"),
        ("BG", "EUR", "Europe/Sofia"),
    ],
)
def test_a_shop_begins_with_the_currency_and_the_clock_of_its_country(
    country: str, currency: str, time_zone: str
) -> None:
    assert (countries.currency(country), countries.time_zone(country)) == (currency, time_zone)


def test_every_country_with_telephones_has_a_real_currency_and_a_real_time_zone() -> None:
    for country in phonenumbers.SUPPORTED_REGIONS:
        assert money.is_currency(countries.currency(country)), country
        assert countries.is_time_zone(countries.time_zone(country)), country


def test_every_country_that_texts_go_to_exists() -> None:
    assert [country for country in settings.SMS_COUNTRIES if not countries.is_country(country)] == []


@pytest.mark.parametrize("name", ["", "Shanghai", "EST", "Asia/Atlantis", "posixrules", "../etc/passwd"])
def test_what_is_no_place_is_no_time_zone(name: str) -> None:
    assert not countries.is_time_zone(name)


def test_every_country_has_a_locale_that_writes_numbers_and_a_size_of_paper() -> None:
    for country in phonenumbers.SUPPORTED_REGIONS:
        assert money.digits(-1234, "USD", countries.locale(country)).startswith("−1"), country
    found = {country: countries.locale(country) for country in ("CN", "IN", "DE", "XX")}
    assert found == {"CN": "zh_Hans_CN", "IN": "hi_IN", "DE": "de_DE", "XX": "en"}
    assert [country for country in ("CN", "US", "DE", "MX") if countries.prints_on_letter(country)] == ["US", "MX"]
