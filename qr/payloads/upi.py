"""UPI deep links of India (`upi://pay?…`): what a wallet opens when it scans one, after NPCI's linking specification.

A link that carries a signature is never changed: the signature is over its text as it stands, order included.
"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote, unquote_plus

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from merchants import money
from qr.payloads.base import Reading, Unwritable, Violation

PROFILE = "upi"
MODES = {
    "00": "default",
    "01": "QR",
    "02": "secure QR",
    "03": "Bharat QR",
    "04": "intent",
    "05": "secure intent",
    "13": "static secure QR mandate",
    "15": "dynamic QR, offline",
    "16": "dynamic secure QR, offline",
    "19": "online static QR",
    "20": "online static secure QR",
    "22": "online dynamic QR",
    "23": "online dynamic secure QR",
}
STATIC, DYNAMIC = {"19", "20"}, {"15", "16", "22", "23"}
SECURE = {"02", "05", "13", "16", "20", "23"}
NAME_LONGEST, NOTE_LONGEST, REFERENCE_LONGEST = 99, 50, 35

_LINK = re.compile(r"upi:(?://)?(?P<does>[^/?#]*)/?(?:\?(?P<query>.*))?", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"[A-Za-z0-9._-]{1,255}@[A-Za-z][A-Za-z0-9.-]{1,63}")
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{0,2})?")
_REFERENCE = re.compile(rf"[A-Za-z0-9]{{1,{REFERENCE_LONGEST}}}")
_CATEGORY = re.compile(r"[0-9]{4}")
_NO_CATEGORY = {"", "0000"}


def reads(text: str) -> Reading | None:
    """What a `upi:` link says; None for any other text. A mandate is one, and no payment: a fatal violation."""
    link = _LINK.fullmatch(text.strip())
    if link is None:
        return None
    told, violations = _parameters(link["query"] or "")
    if link["does"].lower() != "pay":
        violations.append(Violation("not_a_payment", "", _("This link asks for something else than a payment."), True))
    violations += [*_of_payee(told), *_of_merchant(told)]
    amount = _amount(told, "am", violations)
    minimum = _amount(told, "mam", violations)
    if amount is not None and minimum is not None and minimum > amount:
        violations.append(Violation("minimum_above_amount", "mam", _("Its smallest amount is above its amount.")))
    mode = told.get("mode", "")
    return Reading(
        profile=PROFILE,
        title="UPI",
        text=text,
        confirmation="unconfirmed",
        payee=told.get("pn", "").strip(),
        account=told.get("pa", ""),
        country="IN",
        amount=amount,
        currency="INR",
        reference=told.get("tr", ""),
        once=True if mode in DYNAMIC else False if mode in STATIC else None,
        expires_at=_moment(told.get("qrexpire", "")),
        fields=told,
        violations=tuple(violations),
    )


def write(
    *,
    address: str,
    payee: str,
    amount: int | None = None,
    minimum: int | None = None,
    reference: str = "",
    note: str = "",
    category: str = "",
    mode: str = "",
    purpose: str = "",
    url: str = "",
) -> str:
    """A link to pay `address` (pa), called `payee` (pn); amounts in paise; None lets the payer enter it.

    `reference` (tr) must be given with a merchant's `category` (mc) and with a dynamic `mode`. Raises Unwritable.
    """
    if not _ADDRESS.fullmatch(address):
        raise Unwritable("address_malformed", "pa", _("A UPI address looks like name@bank."))
    _within(payee, "pn", NAME_LONGEST, needed=True)
    _within(note, "tn", NOTE_LONGEST)
    if category and not _CATEGORY.fullmatch(category):
        raise Unwritable("category_malformed", "mc", _("A merchant category has four digits."))
    if mode and (mode not in MODES or mode in SECURE):
        raise Unwritable(
            "mode_unknown", "mode", _("We write no links of this mode: it is unknown, or wants a signature.")
        )
    if purpose and not re.fullmatch(r"[0-9]{2}", purpose):
        raise Unwritable("purpose_malformed", "purpose", _("A purpose has two digits."))
    if reference and not _REFERENCE.fullmatch(reference):
        raise Unwritable("reference_malformed", "tr", _("A reference has at most 35 letters and digits."))
    if not reference and (category not in _NO_CATEGORY or mode in DYNAMIC):
        raise Unwritable("reference_missing", "tr", _("A merchant's link and a dynamic one need a reference."))
    if url and not re.fullmatch(r"https://[!-~]{1,200}", url):
        raise Unwritable("url_malformed", "url", _("The address for more information must begin with https://."))
    if amount is not None and minimum is not None and minimum > amount:
        raise Unwritable("minimum_above_amount", "mam", _("The smallest amount is above the amount."))
    told = {
        "pa": address, "pn": payee, "mc": category, "tr": reference, "tn": note, "am": _written("am", amount),
        "mam": _written("mam", minimum), "cu": "INR", "mode": mode, "purpose": purpose, "url": url,
    }  # fmt: skip
    return "upi://pay?" + "&".join(f"{name}={quote(value, safe='@')}" for name, value in told.items() if value)


def priced(text: str, amount: int) -> str:
    """The same link with an amount, in paise, and nothing else of it changed. Raises Unwritable: `signed`,
    `amount_present`, `not_payable` (what must not be paid by as it is)."""
    reading = reads(text)
    if reading is None or not reading.sound:
        raise Unwritable("not_payable", "", _("This is no UPI link that could be paid by."))
    if reading.fields.get("sign"):
        raise Unwritable("signed", "sign", _("This link is signed: nothing in it may be changed."))
    if reading.amount is not None:
        raise Unwritable("amount_present", "am", _("This link has an amount already."))
    head, _mark, query = text.strip().partition("?")
    kept = [part for part in query.split("&") if part.partition("=")[0].lower() not in {"am", "cu"}]
    return f"{head}?{'&'.join(kept)}&am={_written('am', amount)}&cu=INR"


def _parameters(query: str) -> tuple[dict[str, str], list[Violation]]:
    """The parameters by their names in lower case, decoded; of one that stands twice the first."""
    told: dict[str, str] = {}
    violations: list[Violation] = []
    escaped = False
    for part in query.split("&"):
        name, _sign, value = part.partition("=")
        # Exports of some banks have their first separator escaped for HTML.
        if name.lower().startswith("amp;"):
            name, escaped = name[4:], True
        name = name.lower()
        if not name:
            continue
        if name in told:
            detail = _("“%s” stands in it twice: wallets differ in which of them they take.") % name[:20]
            violations.append(Violation("stated_twice", name, detail, True))
            continue
        told[name] = unquote_plus(value)
    if escaped:
        violations.append(
            Violation("html_escaped", "", _("It was escaped for a web page, and some wallets misread it."))
        )
    return told, violations


def _of_payee(told: dict[str, str]) -> list[Violation]:
    found = []
    address = told.get("pa", "")
    if not address:
        found.append(Violation("address_missing", "pa", _("It does not say who is paid."), True))
    elif not _ADDRESS.fullmatch(address):
        detail = _("Who is paid is no UPI address: it should look like name@bank.")
        found.append(Violation("address_malformed", "pa", detail, True))
    if not told.get("pn", "").strip():
        found.append(Violation("payee_missing", "pn", _("The name of who is paid is missing.")))
    if told.get("cu", "INR").upper() not in {"", "INR"}:
        found.append(
            Violation("currency_not_inr", "cu", _("It asks for another currency; UPI pays rupees only."), True)
        )
    return found


def _of_merchant(told: dict[str, str]) -> list[Violation]:
    found = []
    reference, mode = told.get("tr", ""), told.get("mode", "")
    if not reference and (told.get("mc", "") not in _NO_CATEGORY or mode in DYNAMIC):
        found.append(Violation("reference_missing", "tr", _("A shop's code should carry a reference, and has none.")))
    if len(reference) > REFERENCE_LONGEST:
        found.append(Violation("reference_too_long", "tr", _("Its reference is longer than 35 letters.")))
    if mode and mode not in MODES:
        found.append(Violation("mode_unknown", "mode", _("Its mode is unknown.")))
    if mode in SECURE and not told.get("sign"):
        found.append(Violation("signature_missing", "sign", _("It says that it is signed, and carries no signature.")))
    return found


def _amount(told: dict[str, str], name: str, violations: list[Violation]) -> int | None:
    """Paise; None where the payer enters it: no amount, an empty one, or (as some print it) zero."""
    text = told.get(name, "").strip()
    if not text or (name == "mam" and text == "null"):
        return None
    if not _AMOUNT.fullmatch(text):
        detail = _("Its amount cannot be read: it should look like 20 or 20.50.")
        violations.append(Violation("amount_malformed", name, detail, True))
        return None
    amount = money.minor_units(text, "INR")
    if not amount:
        violations.append(Violation("amount_zero", name, _("Its amount is zero: wallets let the payer enter one.")))
    return amount or None


def _moment(text: str) -> datetime | None:
    """A plus that was not escaped has become a space by now."""
    try:
        moment = parse_datetime(text.strip().replace(" ", "+"))
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def _written(name: str, amount: int | None) -> str:
    if amount is None:
        return ""
    if not 0 < amount < 10**14:
        raise Unwritable("amount_out_of_range", name, _("An amount must be above zero."))
    return str(money.decimal(amount, "INR"))


def _within(value: str, name: str, longest: int, *, needed: bool = False) -> None:
    if needed and not value.strip():
        raise Unwritable("payee_missing", name, _("A UPI link needs a name."))
    if len(value) > longest or not value.isprintable():
        detail = _("At most %s letters, without line breaks, can stand here.") % longest
        raise Unwritable("text_unfit", name, detail)
