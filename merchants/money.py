"""Money as integers: the minor units of a currency, their true exponent, and how an amount is shown to a person.

Exponents come from ISO 4217 (the `iso4217` package). CLDR's differ for thirteen currencies, so Babel only displays.
It stands in `merchants`, the lowest app, because items have prices.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache

from babel.core import Locale, UnknownLocaleError
from babel.numbers import format_currency, format_decimal
from iso4217 import Currency

# Funds codes, metals and test codes are in ISO 4217 as well, but nothing on the street is priced in them.
_NOT_MONEY = {"XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XBA", "XBB", "XBC", "XBD", "XDR", "XSU", "XUA"}

# What keyboards write: the zeros of our digits, of Arabic ones (two kinds), of Devanagari and of full width; and
# the points before the fraction, among them the Arabic one, and the full stop of a Chinese keyboard.
_ZEROS = "0٠۰०\N{FULLWIDTH DIGIT ZERO}"
_POINT = re.compile("[.,٫،\N{FULLWIDTH FULL STOP}\N{FULLWIDTH COMMA}。]")
# Marks of direction, which some keyboards write beside digits and nobody sees.
_UNSEEN = dict.fromkeys(map(ord, "\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{ARABIC LETTER MARK}"))


@cache
def exponent(currency: str) -> int:
    """Decimal places of a currency: JPY 0, CNY 2, KWD 3. Raises ValueError for a code that is no money."""
    if currency in _NOT_MONEY:
        raise ValueError(f"{currency} is not a currency that goods are priced in")
    places = Currency(currency).exponent
    if places is None:
        raise ValueError(f"{currency} has no minor unit")
    return int(places)


def is_currency(code: str) -> bool:
    try:
        exponent(code)
    except ValueError:
        return False
    return True


def decimal(amount: int, currency: str) -> Decimal:
    """The amount in whole units, for display and for files that want a decimal point; never for arithmetic."""
    return Decimal(amount).scaleb(-exponent(currency))


def minor_units(text: str, currency: str) -> int:
    """The minor units of what a person typed ("2", "2.5", "2,50", "٢٫٥", "२.५"), in the digits of one script.

    Raises ValueError when it is no such amount.
    """
    whole, *fractions = _POINT.split(text.translate(_UNSEEN).strip())
    fraction = fractions[0] if fractions else ""
    places = exponent(currency)
    if len(fractions) > 1 or not whole or not _of_one_script(whole + fraction):
        raise ValueError("not an amount")
    if len(fraction) > places:
        raise ValueError(f"{currency} has {places} decimal places")
    unit: int = 10**places
    return int(whole) * unit + int((fraction or "0").ljust(places, "0") or "0")


def shown(amount: int, currency: str, locale: str = "en") -> str:
    """The amount as a person reads it in that locale, always with the currency's own number of decimals."""
    places = exponent(currency)
    pattern = "¤#,##0" + ("." + "0" * places if places else "")
    try:
        return format_currency(
            decimal(amount, currency),
            currency,
            format=pattern,
            locale=locale.replace("-", "_"),
            currency_digits=False,
        )
    except UnknownLocaleError:
        return f"{decimal(amount, currency)} {currency}"


def digits(amount: int, currency: str, locale: str = "en") -> str:
    """The amount without its currency, for columns that name it once: grouped and pointed as people there do.

    Its sign is always before it (a true minus), whatever the locale does with negative numbers.
    """
    places = exponent(currency)
    whole = _whole(locale)
    said = format_decimal(
        decimal(abs(amount), currency), format=whole + ("." + "0" * places if places else ""), locale=locale
    )
    return f"−{said}" if amount < 0 else said


@cache
def _whole(locale: str) -> str:
    """How that locale groups a number: "#,##0", or "#,##,##0" in India."""
    return str(Locale.parse(locale).decimal_formats[None].pattern).split(";")[0].split(".")[0]


def _of_one_script(digits: str) -> bool:
    return any(all(0 <= ord(digit) - ord(zero) <= 9 for digit in digits) for zero in _ZEROS)
