"""The evening for tests: what a provider and our bank tell, line by line, and the undoing of what was matched by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction

from merchants.models import User
from payments import ledger
from payments.chart import Movement, Place
from payments.models import BankAccount, Match, ProviderAccount, Settlement, Statement, StatementLine
from payments.settlement import banking, totals, undoing
from tests.till import platform

HOUR = timedelta(hours=1)


def bank_account(currency: str = "CNY") -> BankAccount:
    found, _ = BankAccount.objects.get_or_create(
        name=f"our-{currency.lower()}",
        defaults={"holder": "Pushcart", "number": f"6222-{currency}", "currency": currency},
    )
    return found


def bank_says(
    *lines: dict[str, Any], now: datetime, currency: str = "CNY", account: BankAccount | None = None
) -> list[StatementLine]:
    """A statement of our bank with these lines (`amount`, and what else is not as usual), taken in and due."""
    statement = _statement(now, bank_account=account or bank_account(currency), line_count=len(lines))
    return [
        StatementLine.objects.create(
            **{
                "statement": statement,
                "number": number,
                "raw": {"text": line.get("reference", "")},
                "kind": "credit" if line["amount"] > 0 else "debit",
                "currency": currency,
                "occurred_at": now,
                "look_at": now,
                **line,
            }
        )
        for number, line in enumerate(lines, 1)
    ]


def credit(amount: int, reference: str = "", **more: Any) -> dict[str, Any]:
    return {"amount": amount, "reference": reference, **more}


def settled(
    reference: str,
    amount: int,
    *,
    now: datetime,
    told: int | None = None,
    account: ProviderAccount | None = None,
    currency: str = "CNY",
) -> Settlement:
    """A settlement of the provider: its lines make `amount`, and it tells `told` (the same, when left out)."""
    provider_says((amount, reference), now=now, account=account, currency=currency)
    if told != 0:
        provider_says((-(amount if told is None else told), reference, "payout"), now=now, account=account,
                      currency=currency)  # fmt: skip
    return Settlement.objects.get(provider_account=account or platform(), reference=reference, currency=currency)


def provider_says(
    *lines: tuple[Any, ...],
    now: datetime,
    account: ProviderAccount | None = None,
    currency: str = "CNY",
    object_id: str = "",
) -> Statement:
    """A provider's statement with lines of (amount, settlement's reference, kind "payment"), and its settlements."""
    where = account or platform()
    with transaction.atomic():
        statement = _statement(now, provider_account=where, line_count=len(lines))
        StatementLine.objects.bulk_create(
            StatementLine(
                statement=statement,
                provider_account=where,
                number=number,
                raw={},
                kind=kind[0] if kind else "payment",
                object_id=object_id or f"{reference}-{uuid4().hex[:8]}",
                settlement_id=reference,
                amount=amount,
                currency=currency,
                occurred_at=now,
            )
            for number, (amount, reference, *kind) in enumerate(lines, 1)
        )
        totals.note(statement_id=statement.id, now=now)
    return statement


def owed(amount: int, *, account: ProviderAccount | None = None, now: datetime, currency: str = "CNY") -> None:
    """The provider owes us this, for money whose other side stands in adjustments here: its owners do not matter."""
    with transaction.atomic():
        place = Place("provider_receivable", "held", None, (account or platform()).id)
        other = Place("adjustments")
        key = f"owed|{uuid4().hex}"
        ledger.post([Movement(key, "paid_in_a_test", place, other, amount, currency, now)], now=now)


def look(now: datetime) -> int:
    """What the worker does every minute."""
    return banking.look(now=now, limit=100)


def undo(match: Match, *, operator: User, now: datetime) -> None:
    undoing.undo(match_id=match.id, operator=operator, reason="not that one", now=now)


def _statement(now: datetime, **columns: Any) -> Statement:
    return Statement.objects.create(
        state="imported", fetched=True, sha256=uuid4().hex * 2, created_at=now, imported_at=now, **columns
    )


def amounts(settlements: Sequence[Settlement]) -> list[tuple[str, int, int | None, int, str]]:
    """How settlements stand: reference, lines, told, arrived, state."""
    rows = Settlement.objects.filter(id__in=[row.id for row in settlements]).order_by("created_at", "reference")
    return [(row.reference, row.lines_amount, row.told_amount, row.arrived_amount, row.state) for row in rows]
