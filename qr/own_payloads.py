"""Payloads composed of what a vendor types about a wallet or bank account of her own: which fields each kind has.

None of these kinds tells a server when it is paid, whatever is typed. Dynamic ones, which a provider makes for one
payment, are not written here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from qr.payloads import epc, khqr, pix, promptpay, swiss, upi, vietqr
from qr.payloads.base import Unwritable


class Wrong(ValueError):
    """Fields that do not fit their kind: for each a code for programs and one plain sentence."""

    def __init__(self, errors: Mapping[str, tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {detail}" for name, (_code, detail) in errors.items()))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of payload: the fields that must be typed, those that may be, and who writes them down.

    `priced`: whether a code that stays may ask for an amount. With some networks one that does is for one payment.
    """

    needed: tuple[str, ...]
    optional: tuple[str, ...]
    write: Callable[[Mapping[str, str], int | None, str], str]
    priced: bool


def compose(profile: str, fields: Mapping[str, str], *, amount: int | None, currency: str) -> str:
    """The payload of a static code; `amount` in minor units of `currency`, None lets the payer enter it.

    Raises Wrong for fields that are missing or that the kind has not; Unwritable for what cannot be written.
    """
    kind = KINDS[profile]
    given = {name: value.strip() for name, value in fields.items() if value.strip()}
    errors = {name: ("required", _("This is needed.")) for name in kind.needed if name not in given}
    unknown = set(fields) - {*kind.needed, *kind.optional}
    errors |= {name: ("field_unknown", _("There is no such field.")) for name in unknown}
    if errors:
        raise Wrong(errors)
    if amount is not None and not kind.priced:
        told = _("With a price, a code of this kind is for one payment: leave the price out.")
        raise Unwritable("price_unfit", "price", told)
    return kind.write(given, amount, currency)


def _khqr(given: Mapping[str, str], amount: int | None, currency: str) -> str:
    city = given.get("city", "Phnom Penh")
    return khqr.write(account=given["account"], name=given["name"], city=city, currency=currency)


def _pix(given: Mapping[str, str], amount: int | None, currency: str) -> str:
    return pix.write(
        name=given["name"], city=given["city"], key=given["key"], info=given.get("note", ""), amount=amount
    )


def _promptpay(given: Mapping[str, str], amount: int | None, currency: str) -> str:
    return promptpay.write(
        mobile=given.get("mobile", ""),
        national_id=given.get("national_id", ""),
        wallet=given.get("wallet", ""),
        name=given.get("name", ""),
        city=given.get("city", ""),
    )


def _vietqr(given: Mapping[str, str], amount: int | None, currency: str) -> str:
    return vietqr.write(
        bank=given["bank"],
        account=given.get("account", ""),
        card=given.get("card", ""),
        name=given.get("name", ""),
        city=given.get("city", ""),
        purpose=given.get("note", ""),
    )


def _upi(given: Mapping[str, str], amount: int | None, currency: str) -> str:
    return upi.write(address=given["address"], payee=given["name"], note=given.get("note", ""), amount=amount)


def _epc(given: Mapping[str, str], amount: int | None, currency: str) -> str:
    return epc.write(
        name=given["name"], iban=given["iban"], bic=given.get("bic", ""), text=given.get("note", ""), amount=amount
    )


def _swiss(given: Mapping[str, str], amount: int | None, currency: str) -> str:
    party = {name: given.get(name, "") for name in ("name", "street", "number", "postcode", "town", "country")}
    return swiss.write(
        iban=given["iban"],
        creditor=swiss.Party(**party),
        currency=currency,
        message=given.get("note", ""),
        amount=amount,
    )


KINDS = {
    "epc": Kind(("name", "iban"), ("bic", "note"), _epc, priced=True),
    "khqr": Kind(("name", "account"), ("city",), _khqr, priced=False),
    "pix": Kind(("name", "city", "key"), ("note",), _pix, priced=True),
    "promptpay": Kind((), ("mobile", "national_id", "wallet", "name", "city"), _promptpay, priced=False),
    "swiss": Kind(("name", "iban", "postcode", "town", "country"), ("street", "number", "note"), _swiss, priced=True),
    "upi": Kind(("name", "address"), ("note",), _upi, priced=True),
    "vietqr": Kind(("bank",), ("account", "card", "name", "city", "note"), _vietqr, priced=False),
}
