"""Razorpay's settlement rows of one day (GET /v1/settlements/recon/combined), each of which must add up by itself.

The collection has no total of its own, so every row is held to what its columns mean: what is credited is the amount
less the fee, what is debited is the amount and the fee (which holds the tax). Amounts are in paise.
https://razorpay.com/docs/api/settlements/fetch-recon
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from payments.models import ProviderAccount
from payments.providers import razorpay_calls as calls
from payments.providers.base import ProviderError, StatementRow
from payments.providers.razorpay_events import amount_of, currency_of, id_of, moment_of, reference_in

_PAGE = 1000  # The most that it gives at once.
_PAGES_MAX = 1000  # A million rows, as many as the largest settlement file we take.
_PREFIXES = {"payment": "pay", "refund": "rfnd", "transfer": "trf", "adjustment": "adj"}


def rows(account: ProviderAccount, day: date) -> list[StatementRow]:
    """All rows that were settled on that day of India's calendar. Raises ProviderError for one that does not add up."""
    query = {"year": day.year, "month": f"{day.month:02d}", "day": f"{day.day:02d}"}
    items = calls.every(account, "/v1/settlements/recon/combined", query, size=_PAGE, pages_max=_PAGES_MAX)
    read: dict[tuple[str, str], StatementRow] = {}
    for number, item in enumerate(items, start=1):
        name = f"row {number} ({str(item.get('entity_id'))[:40]})"
        try:
            row = _row(item)
        except (KeyError, TypeError, ValueError, OverflowError) as failure:
            raise ProviderError(f"{name} has not the form we know: {failure!r}"[:200], permanent=False) from failure
        if row is None:
            raise ProviderError(f"{name} does not add up", permanent=False)
        # Pages are counted from the newest: a row that was settled meanwhile would move one to the next page.
        if (row.object_id, row.settlement_id) in read:
            raise ProviderError(f"{name} is there twice", permanent=False)
        read[row.object_id, row.settlement_id] = row
    return list(read.values())


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
