"""Vietnam's VietQR: transfers through NAPAS to a bank account or a card; VNPAY's own merchant codes are read too.

Nobody is told of a VietQR transfer; of a VNPAY payment that network tells its merchant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from django.utils.translation import gettext as _

from qr.payloads import amounts, emvco, latin, tlv
from qr.payloads.base import Reading, Unwritable, Violation
from qr.payloads.emvco_fields import ADDITIONAL, AMOUNT, COUNTRY, GUID

NAME, TITLE = "vietqr", "VietQR"
VNPAY_NAME, VNPAY_TITLE = "vnpay", "VNPAY-QR"
CURRENCY = "VND"
# Its codes do without them, and the wallets ask the bank for the name.
MAY_LACK = ("52", "59", "60")

_NAPAS, _VNPAY = "A000000727", "A000000775"
_ID = "38"
_BY_ACCOUNT, _BY_CARD = "QRIBFTTA", "QRIBFTTC"
_SERVICES = {_BY_ACCOUNT: "account", _BY_CARD: "card"}
_BANKS = re.compile(r"[0-9]{6}")
_ACCOUNTS = re.compile(r"[0-9A-Za-z]{1,19}")
_CARDS = re.compile(r"[0-9]{16,19}")
_REFERENCE, _PURPOSE = "05", "08"


def reads(payload: emvco.Payload) -> Reading | None:
    """What a VietQR or VNPAY code says; None when it is neither."""
    id_ = payload.owned_by(_NAPAS)
    if id_:
        return _transfer(payload, id_)
    id_ = payload.owned_by(_VNPAY)
    return _merchant(payload, id_) if id_ else None


def write(
    *,
    bank: str,
    account: str = "",
    card: str = "",
    amount: int | None = None,
    purpose: str = "",
    reference: str = "",
    name: str = "",
    city: str = "",
) -> str:
    """A transfer to an account or a card of a bank, whose number at NAPAS (BIN) has six digits. `amount` in dong; with
    one the code is for a single payment. Raises Unwritable."""
    if bool(account) == bool(card):
        raise Unwritable("account_missing", "account", _("It names either an account or a card."))
    if not _BANKS.fullmatch(bank):
        raise Unwritable("malformed", "bank", _("The number of a bank has six digits."))
    if account and not _ACCOUNTS.fullmatch(account):
        raise Unwritable("malformed", "account", _("An account is made of 1 to 19 letters and digits."))
    if card and not (_CARDS.fullmatch(card) and _check_digit_fits(card)):
        raise Unwritable("malformed", "card", _("A card has 16 to 19 digits, and the last follows from the others."))
    objects: dict[str, tlv.Value] = {
        "00": "01",
        "01": emvco.AGAIN if amount is None else emvco.ONCE,
        _ID: {GUID: _NAPAS, "01": {"00": bank, "01": account or card}, "02": _BY_ACCOUNT if account else _BY_CARD},
    }
    if name:
        objects["52"] = "0000"
    objects["53"] = amounts.currency_number(CURRENCY)
    if amount is not None:
        objects[AMOUNT] = amounts.amount_text(amount, CURRENCY)
    objects[COUNTRY] = "VN"
    objects |= {place: latin.plain(text) for place, text in (("59", name), ("60", city)) if text}
    told = {_REFERENCE: reference, _PURPOSE: latin.plain(purpose)}
    additional: dict[str, tlv.Value] = {place: text for place, text in told.items() if text}
    if additional:
        objects[ADDITIONAL] = additional
    return emvco.write(objects, may_lack=MAY_LACK)


def _transfer(payload: emvco.Payload, id_: str) -> Reading:
    target = payload.template(f"{id_}.01")
    service = payload.template(id_).get("02", "")
    additional = payload.template(ADDITIONAL)
    said = {
        "kind": _SERVICES.get(service, ""),
        "service": service,
        "bank": target.get("00", ""),
        "account": target.get("01", ""),
        "purpose": additional.get(_PURPOSE, ""),
        "reference": additional.get(_REFERENCE, ""),
    }
    return emvco.reading(
        payload,
        profile=NAME,
        title=TITLE,
        confirmation="unconfirmed",
        account=said["account"],
        reference=said["reference"] or said["purpose"],
        fields={name: value for name, value in said.items() if value},
        may_lack=MAY_LACK,
        violations=[*_general(payload, id_, _NAPAS), *_faults(id_, said)],
    )


def _merchant(payload: emvco.Payload, id_: str) -> Reading:
    additional = payload.template(ADDITIONAL)
    said = {
        "kind": "merchant",
        "merchant": payload.template(id_).get("01", ""),
        "store": additional.get("03", ""),
        "terminal": additional.get("07", ""),
        "bill": additional.get("01", ""),
        "purpose": additional.get(_PURPOSE, ""),
    }
    missing = [] if said["merchant"] else [_nobody(f"{id_}.01")]
    return emvco.reading(
        payload,
        profile=VNPAY_NAME,
        title=VNPAY_TITLE,
        confirmation="provider",
        account=said["merchant"],
        reference=said["bill"],
        fields={name: value for name, value in said.items() if value},
        may_lack=MAY_LACK,
        violations=[*_general(payload, id_, _VNPAY), *missing],
    )


def _general(payload: emvco.Payload, id_: str, guid: str) -> Iterator[Violation]:
    yield from emvco.guid_violations(payload, id_, guid)
    yield from emvco.currency_violations(payload, CURRENCY)
    if payload.amount and "." in payload.objects[AMOUNT]:
        yield Violation("malformed", AMOUNT, _("The dong has no decimals, and the amount is written with some."))


def _faults(id_: str, said: Mapping[str, str]) -> Iterator[Violation]:
    if not said["account"]:
        yield _nobody(f"{id_}.01.01")
    elif not _ACCOUNTS.fullmatch(said["account"]):
        told = _("What stands there is neither an account nor a card.")
        yield Violation("account_malformed", f"{id_}.01.01", told, fatal=True)
    elif said["kind"] == "card" and not (_CARDS.fullmatch(said["account"]) and _check_digit_fits(said["account"])):
        yield Violation("check_digit", f"{id_}.01.01", _("The number of the card cannot be one."))
    if not _BANKS.fullmatch(said["bank"]):
        yield Violation("bank_malformed", f"{id_}.01.00", _("The number of the bank is not six digits."), fatal=True)
    if not said["kind"]:
        yield Violation("service_unknown", f"{id_}.02", _("It does not say whether it names an account or a card."))


def _nobody(where: str) -> Violation:
    return Violation("account_missing", where, _("It names nobody whom money could go to."), fatal=True)


def _check_digit_fits(card: str) -> bool:
    """Luhn's rule."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(card))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
