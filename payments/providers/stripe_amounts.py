"""Stripe's own minor units: where its API counts a currency otherwise than ISO 4217 does, and in which steps.

Source: docs.stripe.com/currencies (zero-decimal and three-decimal currencies, special cases). For every other currency
Stripe's unit is the minor unit of ISO 4217, so the amount passes unchanged.
"""

from __future__ import annotations

from merchants import money

# Decimal places that Stripe uses where ISO 4217 has others. The ariary has fifths in ISO's list and no fraction at
# Stripe. The króna and the shilling have lost their fractions, but the API goes on counting hundredths that are
# always 00 (500 is 5 UGX); Stripe's list of zero-decimal currencies names UGX as well, and its special case wins.
EXPONENTS = {"MGA": 0, "ISK": 2, "UGX": 2}

# With three decimals the last digit must be 0: the card networks behind Stripe carry two.
_STEP_OF_THREE_DECIMALS = 10


def to_stripe(amount: int, currency: str) -> int:
    """Our minor units as Stripe counts them. Raises ValueError when Stripe cannot express that amount."""
    places = money.exponent(currency)
    if places == 3 and amount % _STEP_OF_THREE_DECIMALS:
        raise ValueError(f"the last digit of an amount in {currency} must be 0")
    return _shifted(amount, EXPONENTS.get(currency, places) - places, currency)


def from_stripe(amount: int, currency: str) -> int:
    """Stripe's units as our minor units, negative ones too. Raises ValueError for a fraction that we cannot hold."""
    places = money.exponent(currency)
    return _shifted(amount, places - EXPONENTS.get(currency, places), currency)


def _shifted(amount: int, places: int, currency: str) -> int:
    if places >= 0:
        return amount * int(10**places)
    whole, rest = divmod(amount, int(10**-places))
    if rest:
        raise ValueError(f"{amount} is a fraction of the smallest unit of {currency}")
    return whole
