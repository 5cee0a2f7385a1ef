"""Amounts as payment codes write them: digits and one point for the minor units of an ISO 4217 currency, and back."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _
from iso4217 import Currency

from merchants import money
from qr.payloads.base import Unwritable

LONGEST_AMOUNT = 13

_AMOUNT = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_CODES = {f"{one.number:03d}": one.code for one in Currency if money.is_currency(one.code)}
_NUMBERS = {code: number for number, code in _CODES.items()}


def currency_code(number: str) -> str:
    """The letters of a currency's number ("986" is BRL); "" for a number that no currency has."""
    return _CODES.get(number, "")


def currency_number(code: str) -> str:
    """The number of a currency. Raises Unwritable."""
    if code not in _NUMBERS:
        raise Unwritable("currency_unknown", "53", _("%(code)s is not the code of a currency.") % {"code": code})
    return _NUMBERS[code]


def is_amount(text: str) -> bool:
    """Whether a text is digits with at most one point: "98.73", "98" and "98." are, "98,73" and "3 705" are not."""
    return _AMOUNT.fullmatch(text) is not None


def minor_units(text: str, currency: str) -> int:
    """The minor units that such a text says. Raises ValueError for another text, and for a fraction of the smallest
    unit; decimals too many that are 0 lose nothing."""
    if not is_amount(text):
        raise ValueError("not digits with at most one point")
    whole, _, fraction = text.partition(".")
    places = money.exponent(currency)
    if fraction[places:].strip("0"):
        raise ValueError(f"{currency} has {places} decimal places")
    return int(whole + fraction[:places].ljust(places, "0"))


def amount_text(amount: int, currency: str, places: int | None = None) -> str:
    """Minor units as a code writes them, with every decimal of the currency (or only `places` of them, as a network
    may have it). Raises Unwritable."""
    exponent = money.exponent(currency)
    shown = exponent if places is None else places
    if amount <= 0:
        raise Unwritable("amount_zero", "54", _("An amount must be more than nothing."))
    digits = str(amount).rjust(exponent + 1, "0")
    whole, fraction = digits[: len(digits) - exponent], digits[len(digits) - exponent :]
    if fraction[shown:].strip("0"):
        raise Unwritable(
            "amount_decimals",
            "54",
            _("An amount in %(currency)s has %(shown)s decimals here.") % {"currency": currency, "shown": shown},
        )
    written = f"{whole}.{fraction[:shown]}" if shown else whole
    if len(written) > LONGEST_AMOUNT:
        raise Unwritable(
            "too_long",
            "54",
            _("%(written)s has more than %(longest_amount)s characters.")
            % {"written": written, "longest_amount": LONGEST_AMOUNT},
        )
    return written
