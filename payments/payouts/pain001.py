"""A batch as a file for our bank: ISO 20022 pain.001.001.09 (customer credit transfer initiation). Pure.

One PmtInf holds the batch, one CdtTrfTxInf each payout. Amounts carry their currency's own decimals, and the control
sums are those of the amounts.

What an IBAN is paid by keeps to the Latin set that every bank takes (EPC217-08): letters lose their accents, and what
is no Latin letter becomes a full stop. A local number is paid inside its country, whose banks compare names in their
own script: there the name stays as it is. References keep to the Latin set too: `pyo_…` is written `pyo-…`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from xml.etree import ElementTree as ET

from merchants import money
from payments.payouts.bank_numbers import BIC, FORMS, IBAN_LENGTHS

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"

_NAME_MAX, _BANK_NUMBER_MAX = 70, 34
_FORBIDDEN = re.compile(r"[^A-Za-z0-9/?:().,'+ -]")
# Letters that are no letter with an accent to Unicode.
_LATIN = str.maketrans(
    {"ß": "ss", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o", "Œ": "OE", "œ": "oe", "Ł": "L", "ł": "l", "Đ": "D", "đ": "d",
     "Þ": "Th", "þ": "th", "Ð": "D", "ð": "d", "ı": "i", "&": "+", "_": "-"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Payer:
    """Our own account: its holder, its number (IBAN or the bank's own), and the BIC or national code of the bank."""

    holder: str
    number: str
    bank_code: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """One payout as the bank has to carry it out; `amount` in minor units of the batch's currency."""

    reference: str
    amount: int
    scheme: str
    country: str
    bank_code: str
    holder: str
    number: str


def write(
    *,
    name: str,
    made_at: datetime,
    execution_day: date,
    currency: str,
    payer: Payer,
    transfers: Sequence[Transfer],
) -> bytes:
    """The file: the same bytes for the same batch. `name` identifies it at the bank, `made_at` is its release."""
    root = ET.Element("Document", {"xmlns": NAMESPACE})
    top = ET.SubElement(root, "CstmrCdtTrfInitn")
    count, summed = str(len(transfers)), _amount(sum(transfer.amount for transfer in transfers), currency)
    header = ET.SubElement(top, "GrpHdr")
    _text(header, "MsgId", reference(name))
    _text(header, "CreDtTm", made_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _text(header, "NbOfTxs", count)
    _text(header, "CtrlSum", summed)
    _text(header, "InitgPty/Nm", latin(payer.holder))
    batch = ET.SubElement(top, "PmtInf")
    _text(batch, "PmtInfId", reference(name))
    _text(batch, "PmtMtd", "TRF")
    _text(batch, "NbOfTxs", count)
    _text(batch, "CtrlSum", summed)
    _text(batch, "ReqdExctnDt/Dt", execution_day.isoformat())
    _text(batch, "Dbtr/Nm", latin(payer.holder))
    debtor = ET.SubElement(batch, "DbtrAcct")
    _number(debtor, payer.number, is_iban=IBAN_LENGTHS.get(payer.number[:2]) == len(payer.number))
    _text(debtor, "Ccy", currency)
    _bank(ET.SubElement(batch, "DbtrAgt"), payer.bank_code, clearing="")
    for transfer in transfers:
        _transfer(batch, transfer, currency)
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=False)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def latin(text: str, length: int = _NAME_MAX) -> str:
    """The text in the set that every bank takes: no accents, no other scripts, not longer than the bank reads."""
    plain = unicodedata.normalize("NFKD", text.translate(_LATIN))
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(_FORBIDDEN.sub(".", bare).split())[:length].strip() or "."


def reference(name: str) -> str:
    """A name of ours as it is written to banks."""
    return name.replace("_", "-")


def _transfer(batch: ET.Element, transfer: Transfer, currency: str) -> None:
    made = ET.SubElement(batch, "CdtTrfTxInf")
    _text(made, "PmtId/EndToEndId", reference(transfer.reference))
    amount = ET.SubElement(ET.SubElement(made, "Amt"), "InstdAmt", {"Ccy": currency})
    amount.text = _amount(transfer.amount, currency)
    if transfer.bank_code:
        form = FORMS.get(transfer.country)
        clearing = form.clearing if form is not None and transfer.scheme == "local" else ""
        _bank(ET.SubElement(made, "CdtrAgt"), transfer.bank_code, clearing)
    is_iban = transfer.scheme == "iban"
    _text(made, "Cdtr/Nm", latin(transfer.holder) if is_iban else _own_script(transfer.holder))
    _number(ET.SubElement(made, "CdtrAcct"), transfer.number, is_iban=is_iban)


def _own_script(text: str) -> str:
    printable = "".join(letter for letter in text if letter.isprintable())
    return " ".join(printable.split())[:_NAME_MAX].strip() or "."


def _number(account: ET.Element, number: str, *, is_iban: bool) -> None:
    _text(account, "Id/IBAN" if is_iban else "Id/Othr/Id", number[:_BANK_NUMBER_MAX])


def _bank(agent: ET.Element, code: str, clearing: str) -> None:
    """The bank by its BIC, by its code in a clearing system, or as one that is not named."""
    found = ET.SubElement(agent, "FinInstnId")
    if BIC.fullmatch(code):
        _text(found, "BICFI", code)
    elif code and clearing:
        member = ET.SubElement(found, "ClrSysMmbId")
        _text(member, "ClrSysId/Cd" if len(clearing) == _CLEARING_CODE else "ClrSysId/Prtry", clearing)
        _text(member, "MmbId", code)
    elif code:
        _text(found, "ClrSysMmbId/MmbId", code)
    else:
        _text(found, "Othr/Id", "NOTPROVIDED")


_CLEARING_CODE = 5  # Letters of an external clearing system code of ISO 20022.


def _amount(amount: int, currency: str) -> str:
    """Minor units with the decimal point of their currency, in whole numbers: 1234 of CNY is 12.34, of JPY 1234."""
    places = money.exponent(currency)
    if not places:
        return str(amount)
    whole, rest = divmod(amount, 10**places)
    return f"{whole}.{rest:0{places}d}"


def _text(parent: ET.Element, path: str, text: str) -> None:
    """An element below `parent`, with those between them."""
    for tag in path.split("/"):
        parent = ET.SubElement(parent, tag)
    parent.text = text
