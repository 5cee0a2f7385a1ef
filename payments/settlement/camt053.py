"""Our bank's own statement as camt.053 (ISO 20022, versions 02 and 08): read entry by entry, or refused whole.

Only what is booked counts. A batch booked as one entry becomes a line for each transaction in it. A file must be of
our account, in its currency, and its opening balance and its entries must make its closing balance. Entities and
document types are refused before anything of them is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat

from payments.models import BankAccount
from payments.providers.base import ProviderError, RawLine, StatementRow, UnableToRead
from payments.settlement.bank_csv import minor

NAMESPACES = tuple(f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}" for version in ("02", "08"))

_DEPTH_MAX = 40  # The deepest path of the schema has about fifteen.
_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,5})?")
_SIGNS = {"CRDT": 1, "DBIT": -1}
_NO_REFERENCE = {"", "NOTPROVIDED", "NONREF"}


def lines(account: BankAccount, file: IO[bytes]) -> Iterator[RawLine]:
    """The booked entries, each transaction of a batch by itself, once every statement in the file adds up.

    A line's number is its place among them. Raises ProviderError, which names the entry.
    """
    _refuse_types(file)
    for _ in _read(account, file):
        pass
    for number, raw in enumerate(_read(account, file), start=1):
        yield RawLine(number, raw)


def meaning(raw: Mapping[str, Any]) -> StatementRow | None:
    """What a line says; None where nothing moved. Raises UnableToRead.

    `reference`: the payer's end-to-end id wherever there is one, else what she wrote. `parent_object_id`:
    `return/<reason>` for a payment that came back, `reversal` for an entry that undoes another.
    """
    try:
        amount = _SIGNS[raw["direction"]] * minor(raw["amount"], raw["currency"])
        moment = datetime.fromisoformat(raw["booked"])
        back = "reversal" if raw.get("reversal") else ""
        return StatementRow(
            kind="credit" if amount > 0 else "debit",
            object_id=raw["servicer_reference"],
            reference=raw["end_to_end_id"] or raw["remittance"][:200],
            amount=amount,
            fee=0,
            currency=raw["currency"],
            occurred_at=moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC),
            parent_object_id=f"return/{raw['return_reason']}"[:120] if raw.get("return_reason") else back,
        ) if amount else None  # fmt: skip
    except (KeyError, ValueError, TypeError) as failure:
        raise UnableToRead(f"an entry of the statement: {failure!r}"[:200]) from failure


# --- Reading ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stand:
    """What was read so far of one statement, and of the entry that is being read. Amounts in minor units."""

    name: str = ""
    balances: dict[str, int] = field(default_factory=dict)
    moved: int = 0
    entries: int = 0
    parts: int = 0
    parts_amount: int = 0


def _read(account: BankAccount, file: IO[bytes]) -> Iterator[dict[str, str]]:
    file.seek(0)
    path: list[Element] = []
    stand, statements = _Stand(), 0
    try:
        # What makes this dangerous, types and entities, was refused before (see `_refuse_types`).
        for event, element in ElementTree.iterparse(file, events=("start", "end")):  # noqa: S314
            if event == "start":
                path.append(element)
                if len(path) == 1:
                    _check_root(element)
                if _name(element) == "Stmt":
                    stand, statements = _Stand(), statements + 1
                continue
            path.pop()
            yield from _ended(element, path, stand, account)
    except ElementTree.ParseError as failure:
        raise ProviderError(f"the statement is no XML: {failure}", permanent=True) from failure
    if not statements:
        raise ProviderError("the file holds no statement", permanent=True)


def _ended(element: Element, path: list[Element], stand: _Stand, account: BankAccount) -> Iterator[dict[str, str]]:
    """What an element adds, once it is whole; what was read is let go, so that no file fills the memory."""
    name = _name(element)
    try:
        if name == "TxDtls":
            entry = path[-2]
            stand.parts += 1
            raw = _line(entry, element, stand, account)
            stand.parts_amount += _SIGNS[raw["direction"]] * minor(raw["amount"], raw["currency"])
            path[-1].remove(element)
            if _status(entry) == "BOOK":
                yield raw
        elif name == "Ntry":
            yield from _entry(element, stand, account)
            path[-1].remove(element)
        elif name == "Bal":
            code = _text(element, "Tp", "CdOrPrtry", "Cd")
            stand.balances[code] = _signed(element, account)
        elif name == "Acct" and _name(path[-1]) == "Stmt":
            _check_account(element, account)
        elif name == "Id" and _name(path[-1]) == "Stmt":
            stand.name = (element.text or "").strip()
        elif name == "Stmt":
            _check_sum(element, stand)
            path[-1].remove(element)
    except (KeyError, ValueError) as failure:
        told = f"entry {stand.entries + 1} of statement {stand.name[:40]}: {failure}"
        raise ProviderError(told[:250], permanent=True) from failure


def _entry(entry: Element, stand: _Stand, account: BankAccount) -> Iterator[dict[str, str]]:
    """Counts an entry; one without transactions is a line by itself."""
    status = _status(entry)
    if not status:
        raise ValueError("it does not say whether it is booked")
    amount, parts = _signed(entry, account), stand.parts_amount
    name = _text(entry, "AcctSvcrRef") or _text(entry, "NtryRef")
    if stand.parts and parts != amount:
        raise ValueError(f"it does not add up: {name} is {amount}, its {stand.parts} transactions are {parts}")
    alone, stand.parts, stand.parts_amount = not stand.parts, 0, 0
    if status == "BOOK":
        stand.moved += amount
        if alone:
            yield _line(entry, entry, stand, account)
    stand.entries += 1


def _line(entry: Element, part: Element, stand: _Stand, account: BankAccount) -> dict[str, str]:
    """A transaction (or an entry without any) as it stands in the file, its values by names of ours."""
    told = part.find("{*}Amt")
    if told is None:
        told = _find(part, "AmtDtls", "TxAmt", "Amt")
    if told is None:
        told = _find(entry, "Amt")
    raw = {
        "entry": _text(entry, "NtryRef"),
        "amount": _amount(told, account),
        "currency": account.currency,
        "direction": _text(part, "CdtDbtInd") or _text(entry, "CdtDbtInd"),
        "reversal": "true" if _text(entry, "RvslInd") in ("true", "1") else "",
        "booked": _text(entry, "BookgDt", "Dt") or _text(entry, "BookgDt", "DtTm"),
        "servicer_reference": _servicer_reference(entry, part, stand),
        "end_to_end_id": _reference(_text(part, "Refs", "EndToEndId")),
        "remittance": _remittance(part) or _text(entry, "AddtlNtryInf"),
        "return_reason": _text(part, "RtrInf", "Rsn", "Cd") or _text(part, "RtrInf", "Rsn", "Prtry"),
        "counterparty": _counterparty(part),
        "code": "/".join(filter(None, _codes(entry))),
    }
    if raw["direction"] not in _SIGNS or not raw["booked"]:
        raise ValueError("it does not say in which direction, or when")
    return raw


def _status(entry: Element) -> str:
    """Of version 08 a code in a choice, of version 02 the text itself."""
    return _text(entry, "Sts", "Cd") or _text(entry, "Sts")


def _servicer_reference(entry: Element, part: Element, stand: _Stand) -> str:
    """The bank's own name for it; for one of several in an entry, its place there besides."""
    own = _reference(_text(part, "Refs", "AcctSvcrRef"))
    whole = _reference(_text(entry, "AcctSvcrRef")) or _reference(_text(entry, "NtryRef"))
    whole = whole or f"{stand.name}/{stand.entries + 1}"
    if own and own != whole:
        return own[:120]
    return (f"{whole}/{stand.parts}" if stand.parts > 1 else whole)[:120]


def _remittance(part: Element) -> str:
    told = [piece.text or "" for piece in part.iterfind("{*}RmtInf/{*}Strd/{*}CdtrRefInf/{*}Ref")]
    told += [piece.text or "" for piece in part.iterfind("{*}RmtInf/{*}Ustrd")]
    return " ".join(" ".join(told).split())[:500]


def _counterparty(part: Element) -> str:
    """Who is on the other side: of version 08 a party in a wrapper, of version 02 itself."""
    debited = _text(part, "CdtDbtInd") == "DBIT"
    for role in ("Cdtr", "Dbtr") if debited else ("Dbtr", "Cdtr"):
        name = _text(part, "RltdPties", role, "Pty", "Nm") or _text(part, "RltdPties", role, "Nm")
        if name:
            return name[:140]
    return ""


def _codes(entry: Element) -> tuple[str, str, str]:
    domain = ("BkTxCd", "Domn")
    family = (*domain, "Fmly")
    return _text(entry, *domain, "Cd"), _text(entry, *family, "Cd"), _text(entry, *family, "SubFmlyCd")


# --- Checks ----------------------------------------------------------------------------------------------------------


def _refuse_types(file: IO[bytes]) -> None:
    """Raises ProviderError for a document type (and with it every entity), for no XML, and for endless nesting."""
    file.seek(0)
    parser, depth = expat.ParserCreate(), 0

    def refuse(*told: object) -> None:
        raise ProviderError("the statement declares a document type: that is no statement of a bank", permanent=True)

    def opened(*told: object) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH_MAX:
            raise ProviderError("the statement is nested deeper than any we know", permanent=True)

    def closed(*told: object) -> None:
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    try:
        parser.ParseFile(file)
    except expat.ExpatError as failure:
        raise ProviderError(f"the statement is no XML: {failure}", permanent=True) from failure


def _check_root(root: Element) -> None:
    if root.tag not in {f"{{{name}}}Document" for name in NAMESPACES}:
        raise ProviderError("the file is no camt.053 of version 02 or 08", permanent=True)


def _check_account(element: Element, account: BankAccount) -> None:
    told = _text(element, "Id", "IBAN") or _text(element, "Id", "Othr", "Id")
    if _plain(told) != _plain(account.number):
        raise ValueError(f"it is of another account: {told[:34]}")
    if (currency := _text(element, "Ccy")) and currency != account.currency:
        raise ValueError(f"the account is in {account.currency}, the statement in {currency[:3]}")


def _check_sum(statement: Element, stand: _Stand) -> None:
    opening = stand.balances.get("OPBD", stand.balances.get("PRCD"))
    closing = stand.balances.get("CLBD")
    if _find(statement, "Acct") is None or opening is None or closing is None:
        raise ValueError("it names no account, no opening or no closing balance")
    if opening + stand.moved != closing:
        told = f"it does not add up: after {stand.entries} entries {opening} and {stand.moved} are not {closing}"
        raise ValueError(told)


def _signed(element: Element, account: BankAccount) -> int:
    direction = _text(element, "CdtDbtInd")
    if direction not in _SIGNS:
        raise ValueError("it does not say in which direction")
    return _SIGNS[direction] * minor(_amount(_find(element, "Amt"), account), account.currency)


def _amount(element: Element | None, account: BankAccount) -> str:
    text = (element.text or "").strip() if element is not None else ""
    if element is None or not _AMOUNT.fullmatch(text):
        raise ValueError(f"not an amount: {text[:20]!r}")
    if element.get("Ccy") != account.currency:
        raise ValueError(f"an amount in another currency: {str(element.get('Ccy'))[:3]}")
    return text


# --- Single values ---------------------------------------------------------------------------------------------------


def _find(element: Element, *path: str) -> Element | None:
    return element.find("/".join(f"{{*}}{name}" for name in path))


def _text(element: Element, *path: str) -> str:
    found = _find(element, *path)
    return (found.text or "").strip() if found is not None else ""


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _reference(text: str) -> str:
    return "" if text in _NO_REFERENCE else text


def _plain(number: str) -> str:
    return "".join(number.split()).upper()
