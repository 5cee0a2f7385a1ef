"""Evenings for tests: statements of providers as they are imported, of lines as an adapter would have read them."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils import timezone

from payments.models import (
    AccountBalance,
    Discrepancy,
    FeeContract,
    LedgerEntry,
    Match,
    Payment,
    PaymentIntent,
    ProviderAccount,
    Refund,
    Statement,
    StatementLine,
)
from payments.settlement import matching
from tests.cast import Person
from tests.till import drain, expect, paid, platform, shop_code


def told(of: Payment | Refund | None = None, /, **changed: Any) -> dict[str, Any]:
    """A line as the provider states it: of a payment or a refund of ours as it is, unless told otherwise."""
    line: dict[str, Any] = {"kind": "payment", "amount": 200, "fee": 0, "currency": "CNY"}
    if isinstance(of, Payment):
        line |= {
            "object_id": of.object_id,
            "reference": of.intent.reference if of.intent else "",
            "amount": of.amount,
            "currency": of.currency,
            "occurred_at": of.occurred_at,
        }
    if isinstance(of, Refund):
        line |= {
            "kind": "refund",
            "object_id": of.object_id,
            "parent_object_id": of.payment.object_id,
            "reference": of.reference if of.origin == "shop" else "",
            "amount": -of.amount,
            "currency": of.currency,
            "occurred_at": of.settled_at or of.created_at,
        }
    return {"occurred_at": timezone.now() - timedelta(minutes=1), **line, **changed}


def stated(
    *lines: dict[str, Any],
    account: ProviderAccount | None = None,
    fetched: bool = True,
    day: date | None = None,
    operator: Any = None,
    now: datetime | None = None,
) -> list[StatementLine]:
    """An imported statement of these lines; all of them are due."""
    now = now or timezone.now()
    account = account or platform()
    statement = Statement.objects.create(
        provider_account=account,
        format="settlement" if fetched and day else uuid.uuid4().hex[:12],
        day=day,
        state=Statement.State.IMPORTED,
        sha256=hashlib.sha256(uuid.uuid4().bytes).hexdigest(),
        line_count=len(lines),
        fetched=fetched,
        uploaded_by=operator,
        created_at=now,
        imported_at=now,
    )
    return StatementLine.objects.bulk_create(
        StatementLine(statement=statement, provider_account=account, number=number, raw={}, look_at=now, **line)
        for number, line in enumerate(lines, start=2)
    )


def look(after: timedelta = timedelta(0)) -> int:
    """What the worker does when lines are due, that much later."""
    return matching.look(now=timezone.now() + after)


def sale(mei: Person, amount: int = 200, *, at: datetime | None = None, **word: Any) -> Payment:
    """A customer has paid, and the wallet has told us."""
    platform()
    object_id = f"wpy_{uuid.uuid4().hex[:16]}"
    paid(expect(shop_code(mei.shop), amount), object_id=object_id, at=at, **word).deliver()
    drain()
    return Payment.objects.select_related("intent", "provider_account").get(object_id=object_id)


def lost_sale(mei: Person, amount: int = 200) -> tuple[PaymentIntent, str]:
    """A customer has paid, and the wallet's word was lost: the intent, and the wallet's id of the payment."""
    platform()
    return expect(shop_code(mei.shop), amount), f"wpy_{uuid.uuid4().hex[:16]}"


def contract(operator: Any, *, per_million: int = 6000, fixed: int = 0, tolerance: int = 1) -> FeeContract:
    """What the pretend wallet may keep of a payment in yuan."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return FeeContract.objects.create(
        side="cost", provider="sandbox", currency="CNY", version=1, valid_from=moment, parts_per_million=per_million,
        fixed_amount=fixed, tolerance_amount=tolerance, note="as signed", made_by=operator, made_at=moment,
    )  # fmt: skip


def outcomes(lines: list[StatementLine]) -> list[str]:
    """What became of the lines, in their order."""
    found = dict(StatementLine.objects.values_list("id", "outcome"))
    return [found[line.id] for line in lines]


def questions() -> list[tuple[str, int]]:
    """Open questions, by reason, with what does not fit."""
    return list(Discrepancy.objects.filter(state="open").order_by("reason", "amount").values_list("reason", "amount"))


def entries_of(match: Match) -> list[tuple[str, str, str, int]]:
    """The movements of a match: kind, debit, credit, amount."""
    return list(
        LedgerEntry.objects.filter(cause_id=match.id)
        .order_by("id")
        .values_list("kind", "debit__kind", "credit__kind", "amount")
    )


def balances() -> dict[str, int]:
    """Credits less debits of every account that has any."""
    rows = AccountBalance.objects.values_list("account__key", "debits", "credits")
    return {key: credits_ - debits for key, debits, credits_ in rows if credits_ != debits}
