"""National networks whose codes are read and not written (PayNow, QRIS, DuitNow, FPS, MMQR, Bharat QR), and any other.

All are payloads of EMVCo; a network is known by the name it gives itself in a template, in any case of its letters.
None of them tells a payee's server of a payment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from django.utils.translation import gettext as _

from qr.payloads import emvco
from qr.payloads.base import Reading, Violation
from qr.payloads.emvco_fields import ACCOUNT_TEMPLATES, ACCOUNTS, COUNTRY, GUID

GENERIC = "emvco"

_EAST = timezone(timedelta(hours=8))  # Singapore's and Hong Kong's time, the whole year.
_DAY, _SECOND = re.compile(r"[0-9]{8}"), re.compile(r"[0-9]{14}")
_PAYNOW_KINDS = {"0": "mobile", "2": "UEN"}
_CARDS = (
    (("02", "03"), "Visa"),
    (("04", "05"), "Mastercard"),
    (("06",), "RuPay"),
    (("09", "10"), "Discover"),
    (("11", "12"), "American Express"),
    (("13", "14"), "JCB"),
    (("15", "16"), "UnionPay"),
)


def paynow(payload: emvco.Payload) -> Reading | None:
    """PayNow, alone or in Singapore's common label (SGQR)."""
    own = _template(payload, "SG.PAYNOW")
    label = _template(payload, "SG.SGQR")
    if own is label is None:
        return None
    own, label = own or {}, label or {}
    kind, account, until = own.get("01", ""), own.get("02", ""), own.get("04", "")
    found = _unexpected(payload, "SG", "SGD")
    if own and not account:
        found.append(Violation("account_missing", "26.02", _("It does not say who is paid."), True))
    if own and kind not in _PAYNOW_KINDS:
        found.append(Violation("account_kind_unknown", "26.01", _("What kind of account it pays to is unknown.")))
    expires_at = _end_of_day(until)
    if until and expires_at is None:
        found.append(Violation("expiry_malformed", "26.04", _("The day that it ends on cannot be read.")))
    fields = {
        "account_kind": _PAYNOW_KINDS.get(kind, ""),
        "editable": {"0": "no", "1": "yes"}.get(own.get("03", ""), ""),
        "sgqr": label.get("01", ""),
        "postcode": label.get("03", ""),
    }
    return emvco.reading(
        payload,
        profile="paynow",
        title="PayNow" if own else "SGQR",
        confirmation="unconfirmed",
        account=account or label.get("01", ""),
        reference=payload.template("62").get("01", ""),
        expires_at=expires_at,
        fields=_told(fields),
        violations=found,
    )


def qris(payload: emvco.Payload) -> Reading | None:
    """QRIS of Indonesia. The national merchant id (NMID) says who is paid, the first template who her bank is."""
    own = _template(payload, "ID.CO.QRIS.WWW")
    if own is None:
        return None
    bank = payload.template("26")
    found = _unexpected(payload, "ID", "IDR")
    if not own.get("02"):
        found.append(Violation("account_missing", "51.02", _("It carries no national merchant id.")))
    more = payload.template("62")
    fields = {
        "acquirer": bank.get(GUID, ""),
        "acquirer_account": bank.get("01", ""),
        "size": own.get("03", ""),
        "terminal": more.get("07", ""),
    }
    return emvco.reading(
        payload,
        profile="qris",
        title="QRIS",
        confirmation="unconfirmed",
        account=own.get("02", "") or bank.get("01", ""),
        reference=more.get("05", "") or more.get("01", ""),
        fields=_told(fields),
        violations=found,
    )


def duitnow(payload: emvco.Payload) -> Reading | None:
    """DuitNow QR of Malaysia, whose version of the format is 02, and whose 82 is a digest and no template."""
    own = _template(payload, "A0000006150001")
    if own is None:
        return None
    found = _unexpected(payload, "MY", "MYR")
    if not own.get("02"):
        found.append(Violation("account_missing", "26.02", _("It does not say who is paid."), True))
    more = payload.template("62")
    fields = {"acquirer": own.get("01", ""), "digest": payload.objects.get("82", ""), "terminal": more.get("07", "")}
    reading = emvco.reading(
        payload,
        profile="duitnow",
        title="DuitNow",
        confirmation="unconfirmed",
        account=own.get("02", ""),
        reference=more.get("05", "") or more.get("01", "") or more.get("90", ""),
        fields=_told(fields),
        violations=found,
    )
    # What the standard does not allow, and every code of this network has.
    usual = {("format_unknown", "00"), ("tlv_broken", "82"), ("duplicate_id", "82"), ("tlv_broken", "62.90")}
    return replace(
        reading,
        violations=tuple(one for one in reading.violations if one.fatal or (one.code, one.where) not in usual),
    )


def hkfps(payload: emvco.Payload) -> Reading | None:
    """The Faster Payment System of Hong Kong: an FPS identifier, a mobile number or an e-mail address is paid."""
    own = _template(payload, "hk.com.hkicl")
    if own is None:
        return None
    account = own.get("02", "") or own.get("03", "") or own.get("04", "")
    found = _unexpected(payload, "HK", "HKD", "CNY")
    if not account:
        found.append(Violation("account_missing", "26", _("It does not say who is paid."), True))
    return emvco.reading(
        payload,
        profile="hkfps",
        title="FPS (Hong Kong)",
        confirmation="unconfirmed",
        account=account,
        reference=payload.template("62").get("05", "") or payload.template("62").get("01", ""),
        expires_at=_second(own.get("05", "")),
        fields=_told({"clearing_code": own.get("01", ""), "mobile": own.get("03", ""), "email": own.get("04", "")}),
        violations=found,
    )


def mmqr(payload: emvco.Payload) -> Reading | None:
    """MMQR of Myanmar."""
    own = _template(payload, "com.mmqrpay.www")
    if own is None:
        return None
    return emvco.reading(
        payload,
        profile="mmqr",
        title="MMQR",
        confirmation="unconfirmed",
        account=own.get("01", ""),
        reference=payload.template("62").get("05", ""),
        fields=_told({"name": payload.template("64").get("01", ""), "city": payload.template("64").get("02", "")}),
        violations=_unexpected(payload, "MM", "MMK"),
    )


def bharat(payload: emvco.Payload) -> Reading | None:
    """Bharat QR of India: a UPI address beside the cards, and a bank account (IFSC and number) in 08."""
    if _template(payload, "A000000524") is None:
        return None
    address, told = payload.template("26"), payload.template("27")
    objects = payload.objects
    account = address.get("01", "") or objects.get("08", "")
    found = _unexpected(payload, "IN", "INR")
    if address.get("01") and not re.fullmatch(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+", address["01"]):
        detail = _("Who is paid is no UPI address: it should look like name@bank.")
        found.append(Violation("address_malformed", "26.01", detail, True))
    more = payload.template("62")
    fields = {
        "address": address.get("01", ""),
        "minimum": address.get("02", ""),
        "aadhaar": payload.template("28").get("01", ""),
        "bank_account": objects.get("08", ""),
        "terminal": more.get("07", ""),
        "cards": _cards(objects),
    }
    return emvco.reading(
        payload,
        profile="bharat",
        title="Bharat QR",
        confirmation="unconfirmed",
        account=account,
        reference=told.get("01", "") or more.get("05", ""),
        fields=_told(fields),
        violations=found,
    )


def generic(payload: emvco.Payload) -> Reading:
    """A payload of EMVCo by a network that we do not know: whose it is by the names that its templates give."""
    names = [payload.template(id_).get(GUID, "") for id_ in sorted(ACCOUNT_TEMPLATES & payload.objects.keys())]
    plain = [payload.objects[id_] for id_ in sorted((ACCOUNTS - ACCOUNT_TEMPLATES) & payload.objects.keys())]
    cards = _cards(payload.objects)
    return emvco.reading(
        payload,
        profile=GENERIC,
        title=_("A payment code of an unknown network"),
        confirmation="unconfirmed",
        account=", ".join(name for name in names if name) or cards or next(iter(plain), ""),
        reference=payload.template("62").get("05", "") or payload.template("62").get("01", ""),
        fields=_told({"networks": ", ".join(name for name in names if name), "cards": cards}),
    )


def _template(payload: emvco.Payload, name: str) -> Mapping[str, str] | None:
    """The account template of a network by the name it gives itself; None when it is not among them."""
    id_ = payload.owned_by(name)
    return payload.template(id_) if id_ else None


def _unexpected(payload: emvco.Payload, country: str, *currencies: str) -> list[Violation]:
    """What says that it is of another country than its network."""
    found = emvco.currency_violations(payload, *currencies)
    if payload.objects.get(COUNTRY, country).upper() != country:
        found.append(Violation("country_foreign", COUNTRY, _("It names another country than its network's.")))
    return found


def _cards(objects: Mapping[str, str]) -> str:
    return ", ".join(name for ids, name in _CARDS if any(id_ in objects for id_ in ids))


def _told(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _end_of_day(text: str) -> datetime | None:
    """The moment after a day of Singapore that is written as 20261231."""
    start = _second(f"{text}000000") if _DAY.fullmatch(text) else None
    return start + timedelta(days=1) if start else None


def _second(text: str) -> datetime | None:
    if not _SECOND.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=_EAST)
    except ValueError:
        return None
