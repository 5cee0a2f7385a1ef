"""Stripe's settlement: the balance transactions of a day, and its payout reconciliation report, held to their own sums.

Neither has totals of its own, so each row must add up by itself: gross less fee is net. In the report, which is made
at Stripe's own desk, every row names the automatic payout that carried it into our bank.
Source: docs.stripe.com/api/balance_transactions, docs.stripe.com/reports/payout-reconciliation (itemized).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any, Literal

from merchants import money
from payments.models import ProviderAccount
from payments.providers import json_lines, stripe_events
from payments.providers.base import AMOUNT_MAX, ProviderError, RawLine, StatementRow, UnableToRead
from payments.providers.stripe_amounts import from_stripe
from payments.providers.stripe_calls import listed

RowKind = Literal["payment", "refund", "fee", "chargeback", "payout", "adjustment"]

_PAGES_OF_DAY = 5_000
_MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
_MAJOR = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,4})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII)
_COLUMNS = {"balance_transaction_id", "created_utc", "currency", "gross", "net", "fee", "reporting_category",
            "source_id", "automatic_payout_id"}  # fmt: skip

# `payment` is what Stripe calls a charge that is not by card. A failed refund or payout is money that came back.
_ROWS: dict[str, RowKind] = {
    "charge": "payment",
    "payment": "payment",
    "refund": "refund",
    "payment_refund": "refund",
    "stripe_fee": "fee",
    "payout": "payout",
}
_CATEGORIES: dict[str, RowKind] = {
    "charge": "payment",
    "refund": "refund",
    "fee": "fee",
    "payout": "payout",
    "dispute": "chargeback",
    "dispute_reversal": "chargeback",
}


def write(account: ProviderAccount, day: date, into: IO[bytes]) -> int:
    """Writes the balance transactions of one day (UTC); answers how many. Raises ProviderError."""
    began = datetime.combine(day, time(), UTC)
    wanted = [
        ("created[gte]", str(int(began.timestamp()))),
        ("created[lt]", str(int((began + timedelta(days=1)).timestamp()))),
        ("expand[]", "data.source"),
    ]
    return json_lines.write(listed(account, "/v1/balance_transactions", wanted, _PAGES_OF_DAY), into)


# --- Balance transactions --------------------------------------------------------------------------------------------


def balance_lines(file: IO[bytes]) -> Iterator[RawLine]:
    """The transactions, once each was seen to add up and to come once. Raises ProviderError, which names the line."""
    return json_lines.read(file, _Once("id", _read_transaction))


def balance_row(raw: Mapping[str, Any]) -> StatementRow:
    """What a transaction says. Raises UnableToRead."""
    try:
        return _read_transaction(raw)
    except _MISSHAPEN as failure:
        raise UnableToRead(f"the balance has not the form we know: {failure!r:.200}") from failure


def _read_transaction(row: Mapping[str, Any]) -> StatementRow:
    amount, fee, net = (stripe_events.whole(row[name]) for name in ("amount", "fee", "net"))
    if amount - fee != net:
        raise ValueError(f"{row['id']} does not add up")
    source = row["source"] if isinstance(row["source"], dict) else {}
    kind: RowKind = _ROWS.get(row["type"], "adjustment")
    if kind == "adjustment" and source.get("object") == "dispute":
        kind = "chargeback"
    parent = stripe_events.payment_id(source) if kind in {"payment", "refund", "chargeback"} and source else ""
    object_id = parent if kind == "payment" and parent else stripe_events.identifier(source or row["source"] or row)
    currency = stripe_events.currency_of(dict(row))
    return StatementRow(
        kind=kind,
        object_id=object_id,
        reference=stripe_events.reference(source),
        amount=from_stripe(amount, currency),
        fee=from_stripe(fee, currency),
        currency=currency,
        occurred_at=stripe_events.moment(row["created"]),
        parent_object_id=parent if kind in {"refund", "chargeback"} else "",
        # The list names the payout only where the row is one; the report names it for every row.
        settlement_id=object_id if kind == "payout" else "",
    )


# --- The report ------------------------------------------------------------------------------------------------------


def report_lines(file: IO[bytes]) -> Iterator[RawLine]:
    """The rows, once each was seen to add up and to be there once. Raises ProviderError, which names the line."""
    check = _Once("balance_transaction_id", _read_known)
    for line in _table(file):
        try:
            check(line.raw)
        except _MISSHAPEN as failure:
            told = f"line {line.number} of the report has not the form we know: {failure!r}"
            raise ProviderError(told[:250], permanent=False) from failure
    yield from _table(file)


def report_row(raw: Mapping[str, Any]) -> StatementRow:
    """What a row says. Raises UnableToRead, also for a category that we do not know."""
    try:
        if raw["reporting_category"] not in _CATEGORIES:
            raise ValueError(f"a category that we do not know: {raw['reporting_category'][:40]}")
        return _read_known(raw)
    except _MISSHAPEN as failure:
        raise UnableToRead(f"a row of the report: {failure!r:.200}") from failure


def _read_known(row: Mapping[str, Any]) -> StatementRow:
    """A row; what is of a category that we do not know is only seen to add up."""
    currency = stripe_events.currency_of(dict(row))
    gross, fee, net = (_minor(row[name], currency) for name in ("gross", "fee", "net"))
    if gross - fee != net:
        raise ValueError(f"{row['balance_transaction_id']} does not add up")
    kind = _CATEGORIES.get(row["reporting_category"], "adjustment")
    payment = row.get("payment_intent_id") or row.get("charge_id") or ""
    own = row["source_id"] or row["balance_transaction_id"]
    payout = own if kind == "payout" else row["automatic_payout_id"]
    return StatementRow(
        kind=kind,
        object_id=stripe_events.identifier(payment if kind == "payment" and payment else own),
        reference=stripe_events.reference({"metadata": {"reference": row.get("payment_metadata[reference]")}}),
        amount=gross,
        fee=fee,
        currency=currency,
        occurred_at=_moment(row["created_utc"]),
        parent_object_id=stripe_events.identifier(payment) if kind in {"refund", "chargeback"} and payment else "",
        settlement_id=stripe_events.identifier(payout) if payout else "",
    )


def _table(file: IO[bytes]) -> Iterator[RawLine]:
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        rows = csv.reader(text, strict=True)
        header = next(rows, [])
        missing = _COLUMNS - set(header)
        if missing or len(set(header)) != len(header):
            told = f"line 1 of the report has not the columns we know: no {min(missing, default='unique names')}"
            raise ProviderError(told, permanent=False)
        yield from _numbered(rows, header)
    except (csv.Error, UnicodeDecodeError) as failure:
        raise ProviderError(f"the report cannot be read: {failure}"[:250], permanent=False) from failure
    finally:
        text.detach()  # Or it would close the file, which is read a second time.


def _numbered(rows: Iterable[list[str]], header: list[str]) -> Iterator[RawLine]:
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            told = f"line {number} of the report has {len(row)} values in {len(header)} columns"
            raise ProviderError(told, permanent=False)
        yield RawLine(number, dict(zip(header, row, strict=True)))


def _minor(text: str, currency: str) -> int:
    """Whole units with decimals, as the report writes them, in our minor units."""
    if not _MAJOR.fullmatch(text):
        raise ValueError(f"not an amount: {text[:20]!r}")
    scaled = Decimal(text).scaleb(money.exponent(currency))
    if scaled != scaled.to_integral_value() or abs(scaled) > AMOUNT_MAX:
        raise ValueError(f"not an amount of {currency}: {text[:20]!r}")
    return int(scaled)


def _moment(text: str) -> datetime:
    if not _TIME.fullmatch(text):
        raise ValueError(f"not a time: {text[:20]!r}")
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class _Once:
    """A check of rows that also sees each of them once: by a hash of its id, or a million would fill the memory."""

    def __init__(self, name: str, read: Any) -> None:
        self._name, self._read = name, read
        self._seen: set[int] = set()

    def __call__(self, raw: Mapping[str, Any]) -> None:
        self._read(raw)
        identity = hash(stripe_events.identifier(raw[self._name]))
        if identity in self._seen:
            raise ValueError(f"{raw[self._name]} comes twice")
        self._seen.add(identity)
