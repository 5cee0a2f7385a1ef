"""What a country means for a new shop: the currency it sells in and the clock it lives by.

Currencies are CLDR's current tender (through Babel) as far as ISO 4217 still knows them; time zones are the first of
the country in the IANA database's `zone.tab`, which begins with the most populous wherever it can. Both are only
first guesses: the owner may change them.
"""

from __future__ import annotations

import zoneinfo
from functools import cache
from importlib import resources

import phonenumbers
from babel.core import Locale, UnknownLocaleError
from babel.numbers import get_territory_currencies

from merchants import money

# Where CLDR is behind the law (Bulgaria took the euro in 2026) or names a neighbour's currency before the own.
_CURRENCIES = {"BG": "EUR", "BT": "BTN", "LS": "LSL", "NA": "NAD"}
# Where zone.tab begins with an island or a corner, and three places it does not know.
_TIME_ZONES = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "FM": "Pacific/Pohnpei",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "UZ": "Asia/Tashkent",
    "XK": "Europe/Belgrade",
    "AC": "Atlantic/St_Helena",
    "TA": "Atlantic/St_Helena",
}
# Where paper is of the size "Letter" (CLDR's supplemental data); it is A4 everywhere else.
_LETTER = frozenset(["BZ", "CA", "CL", "CO", "CR", "GT", "MX", "NI", "PA", "PH", "PR", "SV", "US", "VE"])


def is_country(code: str) -> bool:
    """Whether this is the ISO 3166 code of a country that has telephones."""
    return code in phonenumbers.SUPPORTED_REGIONS


def currency(country: str) -> str:
    """The ISO 4217 code of what people pay with there; USD where no tender is known."""
    tender = [_CURRENCIES[country]] if country in _CURRENCIES else get_territory_currencies(country)
    return next((code for code in tender if money.is_currency(code)), "USD")


def time_zone(country: str) -> str:
    """The IANA time zone most people there live by; UTC where the database has none."""
    return _TIME_ZONES.get(country) or _first_zones().get(country, "UTC")


@cache
def locale(country: str) -> str:
    """How most people there write numbers ("zh_Hans_CN", "hi_Deva_IN"), by CLDR's likely subtags; "en" if unknown."""
    try:
        return str(Locale.parse(f"und_{country}"))
    except (UnknownLocaleError, ValueError):
        return "en"


def prints_on_letter(country: str) -> bool:
    """Whether paper is of the size Letter there, and not A4."""
    return country in _LETTER


def is_time_zone(name: str) -> bool:
    """Whether this is a place of the IANA database ("Asia/Shanghai"), or UTC."""
    return name in zoneinfo.available_timezones() and ("/" in name or name == "UTC")


@cache
def _first_zones() -> dict[str, str]:
    zones: dict[str, str] = {}
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _place, zone = line.split("\t")[:3]
            zones.setdefault(country, zone)
    return zones
