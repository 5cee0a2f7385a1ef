"""Razorpay's settlement rows of one day (GET /v1/settlements/recon/combined), each of which must add up by itself.

The collection has no total of its own, so every row is held to what its columns mean: what is credited is the amount
less the fee, what is debited is the amount and the fee (which holds the tax). Amounts are in paise.
https://razorpay.com/docs/api/settlements/fetch-recon
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import IO, Any, Literal
from zoneinfo import ZoneInfo

from payments.models import ProviderAccount
from payments.providers import json_lines
from payments.providers import razorpay_calls as calls
from payments.providers.base import ProviderError, RawLine, StatementRow, UnableToRead
from payments.providers.razorpay_events import amount_of, currency_of, id_of, moment_of, reference_in

ZONE = ZoneInfo("Asia/Kolkata")
_PAGE = 1000  # The most that it gives at once.
_PAGES_MAX = 1000  # A million rows, as many as the largest settlement file we take.
_PREFIXES = {"payment": "pay", "refund": "rfnd", "transfer": "trf", "adjustment": "adj"}


def write(account: ProviderAccount, day: date, into: IO[bytes]) -> int:
    """Writes all rows that were settled on that day of India's calendar; answers how many. Raises ProviderError."""
    query = {"year": day.year, "month": f"{day.month:02d}", "day": f"{day.day:02d}"}
    given = calls.pages(account, "/v1/settlements/recon/combined", query, size=_PAGE, pages_max=_PAGES_MAX)
    count = json_lines.write((item for page in given for item in page), into)
    if count >= _PAGE * _PAGES_MAX:
        raise ProviderError(f"{count} entries and more: too many to look through", permanent=False)
    return count


def lines(file: IO[bytes]) -> Iterator[RawLine]:
    """The rows, once each was seen to add up and to be there once. Raises ProviderError, which names the row."""
    seen: set[int] = set()
    for line in json_lines.read(file):
        _check(line, seen)
    yield from json_lines.read(file)


def meaning(raw: Mapping[str, Any]) -> StatementRow:
    """What a row says. Raises UnableToRead, also for a type of row that we do not know."""
    try:
        row = _row(raw)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as failure:
        raise UnableToRead(f"a row of the settlement: {failure!r}"[:200]) from failure
    if row is None:
        raise UnableToRead("a row of the settlement contradicts itself")
    return row


def _check(line: RawLine, seen: set[int]) -> None:
    """Holds a row to its columns; what is of a type that we do not know is only seen to be there once."""
    name = f"row {line.number} ({str(line.raw.get('entity_id'))[:40]})"
    try:
        known = line.raw["type"] in _PREFIXES
        if known and _row(line.raw) is None:
            raise ProviderError(f"{name} does not add up", permanent=False)
        # Pages are counted from the newest: a row that was settled meanwhile would move one to the next page. A
        # million ids would fill the memory; of each its hash is kept, which two of them share once in many millennia.
        identity = hash((line.raw["entity_id"], line.raw.get("settlement_id")))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as failure:
        raise ProviderError(f"{name} has not the form we know: {failure!r}"[:200], permanent=False) from failure
    if identity in seen:
        raise ProviderError(f"{name} is there twice", permanent=False)
    seen.add(identity)


def _row(item: Mapping[str, Any]) -> StatementRow | None:
    """The row in our words, or None when its columns contradict each other."""
    amount, fee, tax = amount_of(item["amount"]), _column(item, "fee"), _column(item, "tax")
    credit, debit = _column(item, "credit"), _column(item, "debit")
    told = item["type"]
    incoming = told == "payment" or (told == "adjustment" and credit > 0)
    if (credit, debit) != ((amount - fee, 0) if incoming else (0, amount + fee)) or tax > fee:
        return None
    return StatementRow(
        kind=_kind(item),
        object_id=id_of(item["entity_id"], _PREFIXES[told]),
        reference=_reference(item),
        amount=amount if incoming else -amount,
        fee=fee,
        currency=currency_of(item["currency"]),
        occurred_at=moment_of(item["created_at"]),
        parent_object_id=id_of(item["payment_id"], "pay") if item.get("payment_id") else "",
        settlement_id=id_of(item["settlement_id"], "setl") if item.get("settlement_id") else "",
    )


def _kind(item: Mapping[str, Any]) -> Literal["payment", "refund", "chargeback", "adjustment"]:
    match item["type"]:
        case "payment":
            return "payment"
        case "refund":
            return "refund"
        case _:
            return "chargeback" if item.get("dispute_id") else "adjustment"


def _reference(item: Mapping[str, Any]) -> str:
    """Ours: of an order its receipt (only we write it), else what stands in the notes, which may be mere text."""
    if item["type"] == "payment" and item.get("order_id"):
        return reference_in({"reference": item.get("order_receipt")})
    return reference_in(item.get("notes"))


def _column(item: Mapping[str, Any], name: str) -> int:
    return amount_of(item[name], zero=True)
