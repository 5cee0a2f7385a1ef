"""The pretend wallet's settlement file: CSV rows, a footer for each currency, and what was paid out of the day.

A footer (`total`) states how many movements there are and what they add up to; payouts (`payout`) are in none of them:
each is what our bank gets of a settlement. Files without `settlement_id` are those of wallets that pay out by hand.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import IO, Any, Literal

from payments.providers.base import AMOUNT_MAX, ProviderError, RawLine, StatementRow, UnableToRead

_KINDS: dict[str, Literal["payment", "refund", "payout"]] = {
    "payment": "payment",
    "refund": "refund",
    "payout": "payout",
}
_FOOTER = "total"
_COLUMNS = {"kind", "id", "order_reference", "refund_reference", "amount", "fee", "net", "currency", "occurred_at"}
_MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError)

Sums = dict[str, tuple[int, int, int]]  # By currency: how many movements, their amounts, their fees.


def lines(file: IO[bytes]) -> Iterator[RawLine]:
    """The rows, once each of them and every footer was seen to add up. Raises ProviderError, which names the line."""
    counted: Sums = {}
    told: Sums = {}
    for line in _table(file):
        try:
            _count(line.raw, counted, told)
        except _MISSHAPEN as failure:
            words = f"line {line.number} of the settlement file has not the form we know: {failure!r}"
            raise ProviderError(words[:250], permanent=False) from failure
    moved = {currency: sums for currency, sums in told.items() if sums[0]}
    if moved != counted or not told:  # A day on which nothing moved has a footer as well.
        difference = f"{sorted(told.items())} is not {sorted(counted.items())}"
        raise ProviderError(f"the settlement file does not add up: {difference}"[:250], permanent=False)
    yield from (line for line in _table(file) if line.raw["kind"] != _FOOTER)


def meaning(raw: Mapping[str, Any]) -> StatementRow:
    """What a row says. Raises UnableToRead, also for a kind of row that we do not know."""
    try:
        amount, fee = int(raw["amount"]), int(raw["fee"])
        if amount - fee != int(raw["net"]) or max(abs(amount), abs(fee)) > AMOUNT_MAX:
            raise ValueError(f"{amount} less {fee} is not {raw['net']}")
        return StatementRow(
            kind=_KINDS[raw["kind"]],
            object_id=raw["id"],
            reference=raw["refund_reference"] or raw["order_reference"],
            amount=amount,
            fee=fee,
            currency=raw["currency"],
            occurred_at=_moment(raw["occurred_at"]),
            settlement_id=raw.get("settlement_id") or "",
        )
    except _MISSHAPEN as failure:
        raise UnableToRead(f"a row of the settlement file: {failure!r}"[:200]) from failure


def _table(file: IO[bytes]) -> Iterator[RawLine]:
    """Every row with its line's number, the footers too."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        rows = csv.reader(text, strict=True)
        header = next(rows, [])
        if not header:
            raise ProviderError("the settlement file does not add up: it is empty", permanent=False)
        if not _COLUMNS.issubset(header):
            raise ProviderError("line 1 of the settlement file has not the columns we know", permanent=False)
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                told = f"line {number} of the settlement file has not the columns of its header"
                raise ProviderError(told, permanent=False)
            yield RawLine(number, dict(zip(header, row, strict=True)))
    except (csv.Error, UnicodeDecodeError) as failure:
        raise ProviderError(f"the settlement file cannot be read: {failure}"[:250], permanent=False) from failure
    finally:
        text.detach()  # Or it would close the file, which is read a second time.


def _count(raw: Mapping[str, str], counted: Sums, told: Sums) -> None:
    amount, fee, currency = int(raw["amount"]), int(raw["fee"]), raw["currency"]
    if amount - fee != int(raw["net"]):
        raise ValueError(f"{amount} less {fee} is not {raw['net']}")
    if raw["kind"] == _FOOTER:
        if currency in told:
            raise ValueError("a second footer of this currency")
        told[currency] = (int(raw["id"]), amount, fee)
    elif raw["kind"] != "payout":
        _moment(raw["occurred_at"])
        count, amounts, fees = counted.get(currency, (0, 0, 0))
        counted[currency] = (count + 1, amounts + amount, fees + fee)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return moment
