"""Payloads composed of what a vendor types about a wallet or bank account of her own: which fields each kind has.

None of these kinds tells a server when it is paid, whatever is typed. Dynamic ones, which a provider makes for one
payment, are not written here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from qr.payloads import epc, swiss, upi


class Wrong(ValueError):
    """Fields that do not fit their kind: for each a code for programs and one plain sentence."""

    def __init__(self, errors: Mapping[str, tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {detail}" for name, (_code, detail) in errors.items()))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of payload: the fields that must be typed, those that may be, and who writes them down."""

    needed: tuple[str, ...]
    optional: tuple[str, ...]
    write: Callable[[Mapping[str, str], int | None, str], str]


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
    return kind.write(given, amount, currency)


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
    "epc": Kind(("name", "iban"), ("bic", "note"), _epc),
    "swiss": Kind(("name", "iban", "postcode", "town", "country"), ("street", "number", "note"), _swiss),
    "upi": Kind(("name", "address"), ("note",), _upi),
}
