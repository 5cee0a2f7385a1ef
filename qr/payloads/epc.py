"""The SEPA credit transfer's code ("Girocode") of the European Payments Council, EPC069-12: lines, not fields.

A bank's app fills a transfer in from it. Whether the transfer is ever made, nobody tells the payee but her own bank.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from merchants import money
from payments.payouts import bank_numbers
from qr.payloads.base import Reading, Unwritable, Violation

PROFILE = "epc"
LEVEL = "M"  # The guideline fixes how much of the symbol may be lost.
BYTES_MAX = 331
AMOUNT_MAX = 99_999_999_999  # Cents.
CHARSETS = ("utf-8", "iso8859-1", "iso8859-2", "iso8859-4", "iso8859-5", "iso8859-7", "iso8859-10", "iso8859-15")
LINES = (
    "service",
    "version",
    "charset",
    "kind",
    "bic",
    "name",
    "iban",
    "amount",
    "purpose",
    "reference",
    "text",
    "info",
)
LONGEST = {"name": 70, "purpose": 4, "reference": 35, "text": 140, "info": 70}
_TOO_LONG = {
    "name": gettext_noop("Its name is longer than %(longest)s letters."),
    "purpose": gettext_noop("Its purpose is longer than %(longest)s letters."),
    "reference": gettext_noop("Its reference is longer than %(longest)s letters."),
    "text": gettext_noop("Its text is longer than %(longest)s letters."),
    "info": gettext_noop("Its note is longer than %(longest)s letters."),
}

_AMOUNT = re.compile(r"EUR([0-9]{1,9}(?:\.[0-9]{1,2})?)")
_PURPOSE = re.compile(r"[A-Z0-9]{1,4}")
_CREDITOR_REFERENCE = re.compile(r"RF[0-9]{2}[A-Z0-9]{1,21}")


def reads(text: str) -> Reading | None:
    """What such a code says; None for any text whose first line is not BCD."""
    lines = [line.rstrip("\r") for line in text.lstrip("\ufeff").split("\n")]
    if lines[0].strip() != "BCD":
        return None
    while len(lines) > len(LINES) and not lines[-1].strip():
        lines.pop()
    told = dict(zip(LINES, lines, strict=False))
    violations: list[Violation] = []
    if len(lines) > len(LINES):
        violations.append(Violation("lines_too_many", "", _("It has more lines than such a code can have.")))
    violations += [*_of_form(told), *_of_account(told), *_of_texts(told)]
    amount, wrong = _amount(told.get("amount", ""))
    if wrong:
        violations.append(wrong)
    return Reading(
        profile=PROFILE,
        title=_("A bank transfer in euros (SEPA)"),
        text=text,
        confirmation="unconfirmed",
        payee=told.get("name", "").strip(),
        account=told.get("iban", "").strip(),
        country=told.get("iban", "").strip()[:2].upper(),
        amount=amount,
        currency="EUR",
        reference=told.get("reference", "").strip() or told.get("text", "").strip(),
        fields={name: value for name, value in told.items() if value},
        violations=tuple(violations),
    )


def write(
    *,
    name: str,
    iban: str,
    amount: int | None = None,
    bic: str = "",
    purpose: str = "",
    reference: str = "",
    text: str = "",
    info: str = "",
) -> str:
    """The lines of version 002 in UTF-8; `amount` in cents, None lets the payer enter it. Raises Unwritable.

    `reference` is a creditor's reference (ISO 11649 or of the payee's own), `text` free words: one of them at most.
    """
    try:
        account = bank_numbers.iban(iban, bic)
    except bank_numbers.Wrong as wrong:
        raise Unwritable(wrong.code, "iban" if wrong.field == "number" else "bic", wrong.detail) from None
    if not name.strip():
        raise Unwritable("name_missing", "name", _("A transfer needs the name of who is paid."))
    if amount is not None and not 0 < amount <= AMOUNT_MAX:
        raise Unwritable("amount_out_of_range", "amount", _("An amount is between 0.01 and 999,999,999.99 euros."))
    if purpose and not _PURPOSE.fullmatch(purpose):
        raise Unwritable("purpose_malformed", "purpose", _("A purpose has at most four capital letters."))
    if reference and text:
        raise Unwritable("reference_and_text", "text", _("It carries a reference or a text, never both."))
    if reference.startswith("RF") and not is_creditor_reference(reference):
        raise Unwritable("reference_check_failed", "reference", _("The check digits of the reference are not right."))
    for line, value in {"name": name, "reference": reference, "text": text, "info": info}.items():
        if len(value) > LONGEST[line] or not value.isprintable():
            detail = _("At most %s letters, without line breaks, can stand here.") % LONGEST[line]
            raise Unwritable("text_unfit", line, detail)
    euros = f"EUR{money.decimal(amount, 'EUR')}" if amount is not None else ""
    lines = ["BCD", "002", "1", "SCT", account.bank_code, name, account.number, euros, purpose, reference, text, info]
    written = "\n".join(lines).rstrip("\n")
    if len(written.encode()) > BYTES_MAX:
        raise Unwritable("too_long", "", _("All of it may have at most %s bytes.") % BYTES_MAX)
    return written


def decoded(data: bytes) -> str | None:
    """The text of the bytes in the charset that they themselves name; None when they are no such code or do not fit."""
    lines = data.split(b"\n")
    charset = lines[2].strip() if len(lines) > 2 and lines[0].strip() == b"BCD" else b""
    if charset not in {b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8"}:
        return None
    try:
        return data.decode(CHARSETS[int(charset) - 1])
    except UnicodeError:
        return None


def is_creditor_reference(text: str) -> bool:
    """ISO 11649: RF, two check digits, up to 21 letters and digits."""
    return bool(_CREDITOR_REFERENCE.fullmatch(text)) and bank_numbers.mod97(text) == 1


def _of_form(told: dict[str, str]) -> list[Violation]:
    found = []
    if told.get("version") not in {"001", "002"}:
        found.append(Violation("version_unknown", "version", _("Its version is neither 001 nor 002."), True))
    if told.get("charset") not in set("12345678"):
        found.append(Violation("charset_unknown", "charset", _("It does not say how its letters are written.")))
    if told.get("kind") != "SCT":
        found.append(
            Violation("kind_unknown", "kind", _("It asks for something else than a SEPA credit transfer."), True)
        )
    if told.get("version") == "001" and not told.get("bic"):
        found.append(Violation("bic_missing", "bic", _("Version 001 wants the bank's BIC.")))
    if len(told.get("text", "") + told.get("name", "")) and len("\n".join(told.values()).encode()) > BYTES_MAX:
        found.append(Violation("too_long", "", _("It is longer than %s bytes.") % BYTES_MAX))
    return found


def _of_account(told: dict[str, str]) -> list[Violation]:
    try:
        account = bank_numbers.iban(told.get("iban", ""))
    except bank_numbers.Wrong as wrong:
        return [Violation(wrong.code, "iban", wrong.detail, True)]
    found = []
    bic = told.get("bic", "").strip()
    if bic and not bank_numbers.BIC.fullmatch(bic):
        found.append(Violation("bic_malformed", "bic", _("The bank's BIC is malformed.")))
    if account.number != told["iban"].strip():
        found.append(Violation("iban_spaced", "iban", _("Its IBAN is not written in capitals without spaces.")))
    return found


def _of_texts(told: dict[str, str]) -> list[Violation]:
    found = []
    if not told.get("name", "").strip():
        found.append(Violation("name_missing", "name", _("The name of who is paid is missing."), True))
    for line, longest in LONGEST.items():
        if len(told.get(line, "")) > longest:
            found.append(Violation("text_too_long", line, _(_TOO_LONG[line]) % {"longest": longest}))
    reference = told.get("reference", "").strip()
    if reference and told.get("text", "").strip():
        found.append(Violation("reference_and_text", "text", _("It carries a reference and a text; only one may be.")))
    if reference.startswith("RF") and not is_creditor_reference(reference.replace(" ", "")):
        detail = _("The check digits of its reference are not right.")
        found.append(Violation("reference_check_failed", "reference", detail))
    return found


def _amount(text: str) -> tuple[int | None, Violation | None]:
    if not text.strip():
        return None, None
    written = _AMOUNT.fullmatch(text.strip())
    amount = money.minor_units(written[1], "EUR") if written else 0
    if not amount:
        detail = _("Its amount cannot be read: it should look like EUR12.50.")
        return None, Violation("amount_malformed", "amount", detail, True)
    return amount, None
