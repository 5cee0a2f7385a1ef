"""The QR-bill of Switzerland and Liechtenstein (SPC 0200, SIX's implementation guidelines): lines in a fixed order.

Addresses are written in their parts (S); bills of before November 2025 could also have them in two lines (K), which
are read and reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.translation import gettext as _

from merchants import money
from payments.payouts import bank_numbers
from qr.payloads.base import Reading, Unwritable, Violation
from qr.payloads.epc import is_creditor_reference

PROFILE = "swiss"
LEVEL = "M"
BYTES_MAX = 997
AMOUNT_MAX = 99_999_999_999  # Hundredths.
MESSAGE_LONGEST = 140  # Of the message and the bill's information together.
_PARTY = ("kind", "name", "street", "number", "postcode", "town", "country")
_PARTIES = ("creditor", "final", "debtor")
LINES = (
    "service", "version", "charset", "iban",
    *(f"creditor.{part}" for part in _PARTY), *(f"final.{part}" for part in _PARTY),
    "amount", "currency", *(f"debtor.{part}" for part in _PARTY),
    "reference_kind", "reference", "message", "trailer", "information", "procedure1", "procedure2",
)  # fmt: skip
_NEEDED = LINES.index("trailer") + 1
_LONGEST = {"name": 70, "street": 70, "number": 16, "postcode": 16, "town": 35}
_LONGEST_COMBINED = {"name": 70, "street": 70, "number": 70}

_AMOUNT = re.compile(r"[0-9]{1,9}\.[0-9]{2}")
_COUNTRY = re.compile(r"[A-Z]{2}")
# What the guidelines allow: Latin letters of Unicode, with their marks, and a few signs.
_LETTERS = re.compile(r"[\x20-\x7e\u00a0-\u017f\u0218-\u021b\u20ac]*")
_MOD10 = (0, 9, 4, 6, 8, 2, 7, 1, 3, 5)


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody with a structured address. `country` is ISO 3166, two letters."""

    name: str
    postcode: str
    town: str
    country: str
    street: str = ""
    number: str = ""


def reads(text: str) -> Reading | None:
    """What a QR-bill says; None for any text whose first line is not SPC."""
    lines = [line.rstrip("\r") for line in text.lstrip("\ufeff").split("\n")]
    if lines[0].strip() != "SPC":
        return None
    while len(lines) > _NEEDED and not lines[-1]:
        lines.pop()
    told = dict(zip(LINES, lines, strict=False))
    violations = [*_of_form(told, lines), *_of_account(told), *_of_reference(told)]
    for party in _PARTIES:
        violations += _of_party(told, party)
    amount, wrong = _amount(told.get("amount", ""), told.get("currency", ""))
    if wrong:
        violations.append(wrong)
    return Reading(
        profile=PROFILE,
        title=_("A Swiss QR-bill"),
        text=text,
        confirmation="unconfirmed",
        payee=told.get("creditor.name", "").strip(),
        account=told.get("iban", "").strip(),
        city=_town(told),
        country=told.get("creditor.country", "").strip(),
        amount=amount,
        currency=told.get("currency", "").strip(),
        reference=told.get("reference", "").strip() or told.get("message", "").strip(),
        fields={name: value for name, value in told.items() if value},
        violations=tuple(violations),
    )


def write(
    *,
    iban: str,
    creditor: Party,
    currency: str,
    amount: int | None = None,
    debtor: Party | None = None,
    reference: str = "",
    message: str = "",
    information: str = "",
) -> str:
    """The lines of a bill; `amount` in hundredths, None lets the payer enter it. Raises Unwritable.

    The kind of reference follows from it: 27 digits are a QR reference (which wants a QR-IBAN), RF… a creditor's.
    """
    account = _account(iban)
    told = dict.fromkeys(LINES, "")
    told |= {"service": "SPC", "version": "0200", "charset": "1", "iban": account, "trailer": "EPD"}
    told |= {
        "reference_kind": reference_kind(reference),
        "reference": reference,
        "message": message,
        "information": information,
    }
    told |= _written(creditor, "creditor") | (_written(debtor, "debtor") if debtor else {})
    told["currency"] = currency
    for name, value in told.items():
        if not value.isprintable():
            raise Unwritable("text_unfit", name, _("Line breaks and marks that cannot be seen cannot stand in a bill."))
    if amount is not None:
        if not 0 < amount <= AMOUNT_MAX:
            raise Unwritable("amount_out_of_range", "amount", _("An amount is between 0.01 and 999,999,999.99."))
        told["amount"] = str(money.decimal(amount, "CHF"))
    lines = [told[name] for name in LINES]
    while len(lines) > _NEEDED and not lines[-1]:
        lines.pop()
    written = "\r\n".join(lines)
    # What the reader would report must not be written.
    reading = reads(written)
    assert reading is not None
    for violation in reading.violations:
        raise Unwritable(violation.code, violation.where, violation.detail)
    return written


def reference_kind(reference: str) -> str:
    """QRR, SCOR or NON, by the look of a reference."""
    if not reference:
        return "NON"
    return "SCOR" if reference.startswith("RF") else "QRR"


def qr_check_digit(digits: str) -> str:
    """The last digit of a QR reference: modulo 10, recursive, over the 26 before it."""
    carry = 0
    for digit in digits:
        carry = _MOD10[(carry + int(digit)) % 10]
    return str((10 - carry) % 10)


def _account(iban: str) -> str:
    try:
        return bank_numbers.iban(iban).number
    except bank_numbers.Wrong as wrong:
        raise Unwritable(wrong.code, "iban", wrong.detail) from None


def _written(party: Party, name: str) -> dict[str, str]:
    values = ("S", party.name, party.street, party.number, party.postcode, party.town, party.country)
    return {f"{name}.{part}": value for part, value in zip(_PARTY, values, strict=True)}


def _town(told: dict[str, str]) -> str:
    """A combined address has its post code and town in the fourth of its lines."""
    return told.get("creditor.number" if told.get("creditor.kind") == "K" else "creditor.town", "").strip()


def _of_form(told: dict[str, str], lines: list[str]) -> list[Violation]:
    found = []
    if told.get("version") != "0200":
        found.append(Violation("version_unknown", "version", _("Its version is not 0200."), True))
    if told.get("charset") != "1":
        found.append(Violation("charset_unknown", "charset", _("It does not say that its letters are UTF-8.")))
    if len(lines) > len(LINES):
        found.append(Violation("lines_too_many", "", _("It has more lines than a bill can have.")))
    if told.get("trailer") != "EPD":
        found.append(Violation("trailer_missing", "trailer", _("Its end mark EPD is missing: lines are lost."), True))
    if len("\r\n".join(lines).encode()) > BYTES_MAX:
        found.append(Violation("too_long", "", _("It is longer than %s bytes.") % BYTES_MAX))
    if not all(_LETTERS.fullmatch(line) for line in lines):
        found.append(Violation("letters_unfit", "", _("It holds letters that a bill may not have.")))
    if len(told.get("message", "")) + len(told.get("information", "")) > MESSAGE_LONGEST:
        found.append(Violation("text_too_long", "message", _("Its message is longer than 140 letters.")))
    if any(len(told.get(name, "")) > 100 for name in ("procedure1", "procedure2")):
        found.append(Violation("text_too_long", "procedure1", _("Another procedure of it is longer than 100 letters.")))
    return found


def _of_account(told: dict[str, str]) -> list[Violation]:
    try:
        account = bank_numbers.iban(told.get("iban", ""))
    except bank_numbers.Wrong as wrong:
        return [Violation(wrong.code, "iban", wrong.detail, True)]
    if account.country not in {"CH", "LI"}:
        detail = _("A bill is paid to an account in Switzerland or Liechtenstein only.")
        return [Violation("iban_country_unfit", "iban", detail, True)]
    if account.number != told["iban"]:
        return [Violation("iban_spaced", "iban", _("Its IBAN is not written in capitals without spaces."))]
    return []


def _of_reference(told: dict[str, str]) -> list[Violation]:
    kind, reference = told.get("reference_kind", ""), told.get("reference", "")
    # The bank's number tells a QR-IBAN (30000 to 31999), which is for payments with a QR reference and no others.
    bank = told.get("iban", "")[4:9]
    by_qr = bank.isascii() and bank.isdigit() and 30000 <= int(bank) <= 31999
    if kind == "NON":
        wrong = _("It says that it has no reference, and has one.") if reference else ""
    elif kind == "QRR":
        fits = re.fullmatch(r"[0-9]{27}", reference) and qr_check_digit(reference[:26]) == reference[26]
        wrong = "" if fits else _("The check digit of its reference is not right.")
    elif kind == "SCOR":
        wrong = "" if is_creditor_reference(reference) else _("The check digits of its reference are not right.")
    else:
        return [Violation("reference_kind_unknown", "reference_kind", _("Its kind of reference is unknown."), True)]
    found = [Violation("reference_wrong", "reference", wrong, True)] if wrong else []
    if by_qr != (kind == "QRR"):
        detail = _("A QR-IBAN and a QR reference belong together; it has one of them only.")
        found.append(Violation("reference_unfit", "reference_kind", detail, True))
    return found


def _of_party(told: dict[str, str], party: str) -> list[Violation]:
    parts = {part: told.get(f"{party}.{part}", "") for part in _PARTY}
    if not any(parts.values()):
        wanted = party == "creditor"
        return [Violation("party_missing", party, _("It does not say who is paid."), True)] if wanted else []
    if party == "final":
        return [Violation("final_not_used", party, _("It names an ultimate creditor, which is not in use."))]
    found = []
    kind = parts["kind"]
    if kind not in {"S", "K"}:
        found.append(Violation("address_kind_unknown", f"{party}.kind", _("Its kind of address is unknown."), True))
    if kind == "K":
        detail = _("Its address is in two lines: since November 2025 banks want it in its parts.")
        found.append(Violation("address_combined", f"{party}.kind", detail))
    for part in ("name", "country", *(("number",) if kind == "K" else ("postcode", "town"))):
        if not parts[part].strip():
            detail = _("A part of its address is missing.")
            found.append(Violation("address_part_missing", f"{party}.{part}", detail, part == "name"))
    if parts["country"] and not _COUNTRY.fullmatch(parts["country"]):
        found.append(Violation("country_malformed", f"{party}.country", _("Its country is not two letters.")))
    for part, longest in (_LONGEST_COMBINED if kind == "K" else _LONGEST).items():
        if len(parts[part]) > longest:
            found.append(Violation("text_too_long", f"{party}.{part}", _("A part of its address is too long.")))
    return found


def _amount(text: str, currency: str) -> tuple[int | None, Violation | None]:
    if currency not in {"CHF", "EUR"}:
        return None, Violation("currency_unfit", "currency", _("A bill is in francs or euros only."), True)
    if not text:
        return None, None
    if text == "0.00":
        return None, Violation("amount_zero", "amount", _("It is a notice: nothing is to be paid by it."), True)
    amount = money.minor_units(text, currency) if _AMOUNT.fullmatch(text) else 0
    if not amount:
        detail = _("Its amount cannot be read: it should look like 12.50.")
        return None, Violation("amount_malformed", "amount", detail, True)
    return amount, None
