"""How whoever reads a page writes amounts, dates and times: in her language, as the shop's country does.

Patterns, separators and numerals are CLDR's, by Babel, which writes every number in Western digits: where a country has
others (Kuwait, and not the Emirates), they are exchanged here. A currency always has its own number of decimals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_datetime_format, get_timezone
from babel.numbers import format_currency, format_decimal, get_currency_symbol
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, get_language_bidi, to_locale

from merchants.models import Shop
from merchants.money import decimal, exponent

_FIRST_STRONG, _POP = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"
_NARROW, _SPACE = "\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"
_ZEROS = {"arab": "٠", "arabext": "۰", "deva": "०", "beng": "০"}


@dataclass(frozen=True)
class Reader:
    """One who reads a page: `locale` is CLDR's name of her way to write, `zone` the clock she is told the time by."""

    locale: str = "en"
    zone: str = "UTC"

    def amount(self, amount: int, currency: str) -> str:
        """Minor units with their currency, as she writes them."""
        locale, places = Locale.parse(self.locale), exponent(currency)
        pattern = _with_places(locale.currency_formats["standard"].pattern, places)
        symbol = get_currency_symbol(currency, locale)
        # Letters do not run into digits; a sign may.
        if symbol[-1:].isalpha():
            pattern = re.sub("¤(?=[#0])", f"¤{_SPACE}", pattern)
        said = format_currency(
            decimal(amount, currency), currency, pattern, locale, currency_digits=False, numbering_system="default"
        )
        # Among letters that run from the right, the sign of "CN¥" would stand before its letters.
        if locale.text_direction == "rtl" and "A" <= symbol[:1] <= "Z":
            said = said.replace(symbol, f"{symbol}{_LEFT_TO_RIGHT}")
        return self._digits(said)

    def number(self, amount: int, currency: str) -> str:
        """The same without its currency: what somebody would type."""
        pattern = _with_places("0.00", exponent(currency))
        said = format_decimal(decimal(amount, currency), pattern, self.locale, numbering_system="default")
        return self._digits(said)

    def count(self, number: int) -> str:
        return self._digits(format_decimal(number, locale=self.locale))

    def moment(self, at: datetime) -> str:
        """A day and a time: "Nov 29, 2026, 2:05 PM", "2026年11月29日 14:05"."""
        zone = get_timezone(self.zone)
        day = format_date(at.astimezone(zone), "medium", self.locale)
        clock = format_time(at, "short", zone, self.locale)
        joined = str(get_datetime_format("medium", locale=self.locale)).replace("'", "")
        return self._digits(joined.replace("{1}", day).replace("{0}", clock)).replace(_NARROW, _SPACE)

    def _digits(self, text: str) -> str:
        zero = _ZEROS.get(Locale.parse(self.locale).default_numbering_system)
        return text.translate({ord("0") + n: ord(zero) + n for n in range(10)}) if zero else text


def of(shop: Shop) -> Reader:
    """Whoever reads of this shop now, in the language of her browser."""
    return Reader(_locale(get_language() or "en", shop.country), shop.time_zone)


def anybody() -> Reader:
    """Whoever reads now of no shop at all."""
    return Reader(_locale(get_language() or "en", ""))


def isolated(text: str) -> SafeString:
    """A name as it stands in a page: whatever its letters, it does not turn round the sentence that it stands in."""
    return format_html("<bdi>{}</bdi>", text)


def within(text: str) -> str:
    """The same for an amount in a sentence that is no markup: needed only where sentences run from right to left."""
    return f"{_FIRST_STRONG}{text}{_POP}" if get_language_bidi() else text


@cache
def _locale(language: str, country: str) -> str:
    """The language as it is written in that country, if CLDR knows of such people; as it is written anywhere if not."""
    spoken = to_locale(language)
    for name in (f"{spoken}_{country}", spoken, "en"):
        try:
            return str(Locale.parse(name))
        except (UnknownLocaleError, ValueError):
            continue
    raise AssertionError("CLDR knows English")


def _with_places(pattern: str, places: int) -> str:
    """A pattern of CLDR with so many decimals: it has those that it believes the currency to have."""
    return re.sub(r"0(?:\.0+)?(?![#,.0])", "0" + ("." + "0" * places if places else ""), pattern)
