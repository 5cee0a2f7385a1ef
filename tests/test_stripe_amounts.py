"""Amounts on their way to Stripe and back, against Stripe's own list of currencies without decimals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchants.money import exponent
from payments.providers.stripe_amounts import EXPONENTS, from_stripe, to_stripe

# As Stripe documents them; of these UGX is excepted again among its special cases.
WITHOUT_DECIMALS = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
]  # fmt: skip
WITH_THREE = ["BHD", "JOD", "KWD", "OMR", "TND"]


def test_stripe_counts_as_iso_4217_but_for_three_currencies() -> None:
    assert {code for code in WITHOUT_DECIMALS if exponent(code) != 0} == {"MGA"}
    assert EXPONENTS == {"MGA": 0, "ISK": 2, "UGX": 2}
    assert {exponent(code) for code in WITH_THREE} == {3}
    assert {exponent(code) for code in ("USD", "HUF", "TWD", "IDR", "KHR", "COP")} == {2}


@given(st.integers(1, 10**12), st.sampled_from(["USD", "JPY", "BHD", *EXPONENTS]))
def test_amounts_come_back_as_they_went(amount: int, currency: str) -> None:
    try:
        theirs = to_stripe(amount, currency)
    except ValueError:
        assert currency in {"BHD", "MGA"}
    else:
        assert (from_stripe(theirs, currency), from_stripe(-theirs, currency)) == (amount, -amount)


def test_a_fraction_of_a_shilling_is_not_read() -> None:
    with pytest.raises(ValueError, match="fraction"):
        from_stripe(550, "UGX")


@pytest.mark.parametrize(("amount", "currency"), [(1234, "KWD"), (750, "MGA"), (1, "XAU"), (1, "ZZZ")])
def test_what_stripe_cannot_express_is_refused(amount: int, currency: str) -> None:
    with pytest.raises(ValueError):
        to_stripe(amount, currency)
