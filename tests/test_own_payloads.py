"""Payloads composed of what a vendor types: each kind says back what she typed, and is static and unconfirmed."""

from __future__ import annotations

import pytest

from qr import own_payloads, payloads
from qr.payloads.base import Unwritable

# For each kind: its currency, what is typed, and what the payload then pays to.
_IBAN = "DE89 3704 0044 0532 0130 00"
_ADDRESS = {"postcode": "8000", "town": "Zürich", "country": "CH"}
TYPED = {
    "epc": ("EUR", {"name": "Ana Roth", "iban": _IBAN, "note": "Waffles"}, "DE89370400440532013000"),
    "swiss": (
        "CHF",
        {"name": "Reto Meier", "iban": "CH93 0076 2011 6238 5295 7", **_ADDRESS},
        "CH9300762011623852957",
    ),
    "khqr": ("KHR", {"name": "Chan Dara", "account": "dara@aclb"}, "dara@aclb"),
    "pix": ("BRL", {"name": "Joana Melo", "city": "Recife", "key": "joana@example.com"}, "joana@example.com"),
    "promptpay": ("THB", {"name": "Somchai", "city": "Bangkok", "mobile": "081-234-5678"}, "+66812345678"),
    "vietqr": ("VND", {"name": "LE THI HOA", "bank": "970436", "account": "0011012345678"}, "0011012345678"),
    "upi": ("INR", {"name": "Arjun Rao", "address": "arjun@okbank", "note": "tea"}, "arjun@okbank"),
}


# With an amount their codes are for one payment, by the rules of their networks.
ONE_PAYMENT = {"khqr", "promptpay", "vietqr"}


def test_every_kind_is_among_these() -> None:
    assert set(TYPED) == set(own_payloads.KINDS)


@pytest.mark.parametrize("amount", [None, 1250])
@pytest.mark.parametrize("profile", TYPED)
def test_what_is_composed_reads_back_as_typed(profile: str, amount: int | None) -> None:
    currency, fields, account = TYPED[profile]
    if amount and profile in ONE_PAYMENT:
        with pytest.raises(Unwritable, match="for one payment"):
            own_payloads.compose(profile, fields, amount=amount, currency=currency)
        return
    text = own_payloads.compose(profile, fields, amount=amount, currency=currency)
    reading = payloads.read(text)
    assert (reading.profile, reading.account, reading.currency) == (profile, account, currency)
    assert reading.payee == fields["name"]
    assert (reading.amount, reading.once or False, reading.expires_at) == (amount, False, None)
    assert reading.confirmation == ("lookup" if profile == "khqr" else "unconfirmed")
    assert reading.violations == ()


def test_fields_are_missing_when_they_are_blank_and_refused_when_the_kind_has_none() -> None:
    with pytest.raises(own_payloads.Wrong, match="address: This is needed") as refused:
        own_payloads.compose("upi", {"name": "A", "address": " ", "city": "x"}, amount=None, currency="INR")
    assert {name: code for name, (code, _detail) in refused.value.errors.items()} == {
        "address": "required",
        "city": "field_unknown",
    }
    with pytest.raises(Unwritable):
        own_payloads.compose("epc", {"name": "A", "iban": "DE00"}, amount=None, currency="EUR")
