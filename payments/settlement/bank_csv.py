"""A bank statement as CSV, in a layout of our own, for banks that offer no camt.053.

Columns, named in the first line: `date` (YYYY-MM-DD, when it was booked), `amount` (whole units with decimals, without
a sign), `currency`, `direction` (`credit` or `debit`), `reference` (what the bank writes beside it), `end_to_end_id`
(the payer's own reference, or empty), `counterparty`, and `balance` (after this row, with a sign). Every balance must
follow from the one before it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any, Literal

from merchants import money
from payments.models import BankAccount
from payments.providers.base import AMOUNT_MAX, ProviderError, RawLine, StatementRow, UnableToRead

_COLUMNS = ("date", "amount", "currency", "direction", "reference", "end_to_end_id", "counterparty", "balance")
_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,4})?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def lines(account: BankAccount, file: IO[bytes]) -> Iterator[RawLine]:
    """The rows, once every balance was seen to follow from the last. Raises ProviderError, which names the line."""
    before: int | None = None
    for line in _table(file):
        try:
            if line.raw["currency"] != account.currency:
                raise ValueError(f"the account is in {account.currency}")
            balance = minor(line.raw["balance"], account.currency)
            change = _read(line.raw).amount
            if before is not None and before + change != balance:
                raise ValueError(f"it does not add up: {before} and {change} are not {balance}")
            before = balance
        except (KeyError, ValueError) as failure:
            raise ProviderError(f"line {line.number} of the statement: {failure}"[:250], permanent=True) from failure
    yield from _table(file)


def meaning(raw: Mapping[str, Any]) -> StatementRow | None:
    """What a row says; None where nothing moved. Raises UnableToRead."""
    try:
        row = _read(raw)
    except (KeyError, ValueError, TypeError) as failure:
        raise UnableToRead(f"a row of the statement: {failure!r}"[:200]) from failure
    return row if row.amount else None


def minor(text: str, currency: str) -> int:
    """Whole units with decimals, in minor units. Raises ValueError."""
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"not an amount: {text[:20]!r}")
    scaled = Decimal(text).scaleb(money.exponent(currency))
    if scaled != scaled.to_integral_value() or abs(scaled) > AMOUNT_MAX:
        raise ValueError(f"not an amount of {currency}: {text[:20]!r}")
    return int(scaled)


def _read(raw: Mapping[str, Any]) -> StatementRow:
    amount, direction = minor(raw["amount"], raw["currency"]), raw["direction"]
    if amount < 0 or direction not in ("credit", "debit") or not _DAY.fullmatch(raw["date"]):
        raise ValueError("a date, an amount without a sign, and credit or debit are wanted")
    kind: Literal["credit", "debit"] = direction
    return StatementRow(
        kind=kind,
        # A row has no id of its own: the balance after it tells it from others of its day, in any file that has it.
        object_id=f"{raw['date']}/{direction}/{raw['amount']}/{raw['balance']}",
        reference=raw["end_to_end_id"] or raw["reference"],
        amount=amount if direction == "credit" else -amount,
        fee=0,
        currency=raw["currency"],
        occurred_at=datetime.fromisoformat(raw["date"]).replace(tzinfo=UTC),
    )


def _table(file: IO[bytes]) -> Iterator[RawLine]:
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        rows = csv.reader(text, strict=True)
        if tuple(next(rows, [])) != _COLUMNS:
            raise ProviderError(f"line 1 of the statement is not {','.join(_COLUMNS)}", permanent=True)
        for number, row in enumerate(rows, start=2):
            if len(row) != len(_COLUMNS):
                told = f"line {number} of the statement has {len(row)} values in {len(_COLUMNS)} columns"
                raise ProviderError(told, permanent=True)
            yield RawLine(number, dict(zip(_COLUMNS, row, strict=True)))
    except (csv.Error, UnicodeDecodeError) as failure:
        raise ProviderError(f"the statement cannot be read: {failure}"[:250], permanent=True) from failure
    finally:
        text.detach()  # Or it would close the file, which is read a second time.
