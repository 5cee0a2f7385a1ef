"""Thailand's PromptPay and bill payment codes, and the little codes on its transfer slips, which are not to be paid.

Money goes to a telephone number, an identity or tax number, an e-wallet or a registered biller; nobody is told of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from qr.payloads import amounts, emvco, latin, tlv
from qr.payloads.base import Reading, Unwritable, Violation
from qr.payloads.emvco_fields import ADDITIONAL, AMOUNT, COUNTRY, CRC, GUID

NAME, TITLE = "promptpay", "PromptPay"
SLIP_NAME, SLIP_TITLE = "promptpay_slip", gettext_noop("Transfer slip (Thailand)")
CURRENCY = "THB"
# Thai codes do without them, and the country's wallets look the name up themselves.
MAY_LACK = ("52", "59", "60")

_PERSON, _BILL = "A000000677010111", "A000000677010112"
_PERSON_ID, _BILL_ID = "29", "30"
_KINDS = {"01": "mobile", "02": "national_id", "03": "wallet", "04": "bank_account"}
_NOT_ONE = {
    "01": gettext_noop("What stands there is no mobile number."),
    "02": gettext_noop("What stands there is no national or tax number."),
    "03": gettext_noop("What stands there is no number of a wallet."),
    "04": gettext_noop("What stands there is no bank account."),
}
_FORMS = {
    "01": re.compile(r"0066[0-9]{9}"),
    "02": re.compile(r"[0-9]{13}"),
    "03": re.compile(r"[0-9]{15}"),
    "04": re.compile(r"[0-9A-Za-z]{1,43}"),
}
_MOBILES = re.compile(r"(?:\+?66|0066|0)([0-9]{9})")
_BILLERS = re.compile(r"[0-9]{15}")
_REFERENCES = re.compile(r"[A-Za-z0-9]{1,20}")
_REFERENCE_3 = "07"
_SLIP_CRC = "91"


def reads(payload: emvco.Payload) -> Reading | None:
    """What a PromptPay code or a slip says; None when it is neither."""
    if _SLIP_CRC in payload.objects and CRC not in payload.objects:
        return _slip(payload)
    id_ = payload.owned_by(_PERSON)
    if id_:
        return _of_person(payload, id_)
    id_ = payload.owned_by(_BILL)
    return _of_bill(payload, id_) if id_ else None


def write(
    *,
    mobile: str = "",
    national_id: str = "",
    wallet: str = "",
    biller: str = "",
    reference1: str = "",
    reference2: str = "",
    reference3: str = "",
    amount: int | None = None,
    name: str = "",
    city: str = "",
) -> str:
    """A code for one of: a mobile number, a national or tax number, an e-wallet, a biller (who needs `reference1`).

    `amount` in satang; with one the code is for a single payment. Raises Unwritable.
    """
    if sum(map(bool, (mobile, national_id, wallet, biller))) != 1:
        told = _("It names exactly one of a mobile number, a national or tax number, a wallet and a biller.")
        raise Unwritable("account_missing", "account", told)
    id_, account = _bill(biller, reference1, reference2) if biller else _person(mobile, national_id, wallet)
    if not biller and (reference1 or reference2 or reference3):
        raise Unwritable("unused", "reference1", _("Only a bill has references."))
    objects: dict[str, tlv.Value] = {"00": "01", "01": emvco.AGAIN if amount is None else emvco.ONCE, id_: account}
    if name:
        objects["52"] = "0000"
    objects["53"] = amounts.currency_number(CURRENCY)
    if amount is not None:
        objects[AMOUNT] = amounts.amount_text(amount, CURRENCY)
    objects[COUNTRY] = "TH"
    objects |= {place: latin.plain(text) for place, text in (("59", name), ("60", city)) if text}
    if reference3:
        objects[ADDITIONAL] = {_REFERENCE_3: reference3}
    return emvco.write(objects, may_lack=MAY_LACK)


def check_digit_fits(number: str) -> bool:
    """Whether the last of the thirteen digits of a national or tax number follows from the others."""
    total = sum(int(digit) * (13 - place) for place, digit in enumerate(number[:12]))
    return int(number[12]) == (11 - total % 11) % 10


def _person(mobile: str, national_id: str, wallet: str) -> tuple[str, dict[str, tlv.Value]]:
    if mobile:
        found = _MOBILES.fullmatch(re.sub(r"[-() .]", "", mobile))
        if found is None:
            raise Unwritable("malformed", "mobile", _("A mobile number has ten digits and begins with 0, or with +66."))
        return _PERSON_ID, {GUID: _PERSON, "01": f"0066{found[1]}"}
    if wallet:
        if not _FORMS["03"].fullmatch(wallet):
            raise Unwritable("malformed", "wallet", _("The number of an e-wallet has fifteen digits."))
        return _PERSON_ID, {GUID: _PERSON, "03": wallet}
    bare = re.sub(r"[- ]", "", national_id)
    if not _FORMS["02"].fullmatch(bare) or not check_digit_fits(bare):
        told = _("A national or tax number has thirteen digits, and the last follows from the others.")
        raise Unwritable("malformed", "national_id", told)
    return _PERSON_ID, {GUID: _PERSON, "02": bare}


def _bill(biller: str, reference1: str, reference2: str) -> tuple[str, dict[str, tlv.Value]]:
    if not _BILLERS.fullmatch(biller):
        raise Unwritable("malformed", "biller", _("The number of a biller has fifteen digits."))
    for where, reference, needed in (("reference1", reference1, True), ("reference2", reference2, False)):
        if (needed or reference) and not _REFERENCES.fullmatch(reference):
            raise Unwritable("malformed", where, _("A bill's reference is made of 1 to 20 letters and digits."))
    account: dict[str, tlv.Value] = {GUID: _BILL, "01": biller, "02": reference1}
    return _BILL_ID, account | ({"03": reference2} if reference2 else {})


def _of_person(payload: emvco.Payload, id_: str) -> Reading:
    named = {sub: value for sub, value in payload.template(id_).items() if sub in _KINDS}
    sub, value = next(iter(named.items()), ("", ""))
    shown = f"+66{value[4:]}" if sub == "01" and _FORMS["01"].fullmatch(value) else value
    return emvco.reading(
        payload,
        profile=NAME,
        title=TITLE,
        confirmation="unconfirmed",
        account=shown,
        fields={"kind": _KINDS.get(sub, ""), _KINDS.get(sub, "account"): value},
        may_lack=MAY_LACK,
        violations=[*_general(payload, id_, _PERSON), *_person_faults(id_, named)],
    )


def _of_bill(payload: emvco.Payload, id_: str) -> Reading:
    account = payload.template(id_)
    said = {
        "kind": "bill",
        "biller": account.get("01", ""),
        "reference1": account.get("02", ""),
        "reference2": account.get("03", ""),
        "reference3": payload.template(ADDITIONAL).get(_REFERENCE_3, ""),
    }
    return emvco.reading(
        payload,
        profile=NAME,
        title=_("%(network)s bill") % {"network": TITLE},
        confirmation="unconfirmed",
        account=said["biller"],
        reference=said["reference1"],
        fields={name: value for name, value in said.items() if value},
        may_lack=MAY_LACK,
        violations=[*_general(payload, id_, _BILL), *_bill_faults(id_, said)],
    )


def _general(payload: emvco.Payload, id_: str, guid: str) -> list[Violation]:
    return emvco.guid_violations(payload, id_, guid) + emvco.currency_violations(payload, CURRENCY)


def _person_faults(id_: str, named: Mapping[str, str]) -> Iterator[Violation]:
    if not named:
        yield Violation("account_missing", id_, _("It names nobody whom money could go to."), fatal=True)
    elif len(named) > 1:
        yield Violation("account_twice", id_, _("It names two accounts: wallets may pay either."), fatal=True)
    for sub, value in named.items():
        if not _FORMS[sub].fullmatch(value):
            told = _(_NOT_ONE[sub])
            yield Violation("account_malformed", f"{id_}.{sub}", told, fatal=True)
        elif sub == "02" and not check_digit_fits(value):
            told = _("The last digit of the national or tax number does not follow from the others.")
            yield Violation("check_digit", f"{id_}.{sub}", told)


def _bill_faults(id_: str, said: Mapping[str, str]) -> Iterator[Violation]:
    if not said["biller"]:
        yield Violation("account_missing", id_, _("It names no biller whom money could go to."), fatal=True)
    elif not _BILLERS.fullmatch(said["biller"]):
        yield Violation("malformed", f"{id_}.01", _("The number of a biller has fifteen digits; this one has not."))
    if not said["reference1"]:
        yield Violation("missing", f"{id_}.02", _("A bill has a first reference; this one has none."))
    for sub, reference in (("02", said["reference1"]), ("03", said["reference2"])):
        if reference and not _REFERENCES.fullmatch(reference):
            yield Violation("malformed", f"{id_}.{sub}", _("A bill's reference is made of 1 to 20 letters and digits."))


def _slip(payload: emvco.Payload) -> Reading | None:
    """A receipt of a transfer that was made: its bank and its number, guarded by a check sum of its own."""
    inside = payload.template("00")
    wallet_slip = inside.get("00") == inside.get("01") == "01"
    if inside.get("00") != "000001" and not wallet_slip:
        return None
    if wallet_slip:
        said = {"kind": "wallet_slip", "event": inside.get("02", ""), "transaction": inside.get("03", "")}
    else:
        said = {"kind": "slip", "sending_bank": inside.get("01", ""), "transaction": inside.get("02", "")}
    text = payload.text.strip()
    violations = [
        Violation("slip", "", _("This is the slip of a transfer that was made, not a code to pay by."), fatal=True)
    ]
    if text[-4:].upper() != emvco.check_sum(text[:-4]):
        violations.append(Violation("crc_wrong", _SLIP_CRC, _("The slip's check sum does not fit."), fatal=True))
    return Reading(
        profile=SLIP_NAME,
        title=_(SLIP_TITLE),
        text=payload.text,
        confirmation="unconfirmed",
        country=payload.objects.get("51", ""),
        reference=said["transaction"],
        fields=said,
        violations=tuple(violations),
    )
