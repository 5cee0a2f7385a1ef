"""What the pretend wallet of the seeded month has seen, what it tells of it, and what its file says of a day."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils import timezone

from bench import cast
from merchants import ids
from payments import reconcile
from payments.models import PaymentIntent, QueuedEvent, Statement, StatementLine, WebhookEvent

FAULTS = (
    "lost webhook", "duplicate", "wrong fee", "missing refund", "unknown payment", "double refund", "wrong currency",
    "late settlement", "short settlement",
)  # fmt: skip


@dataclass
class Sale:
    """What really happened at the wallet."""

    number: int
    object_id: str
    intent: PaymentIntent
    amount: int
    at: datetime
    fault: str
    currency: str = "CNY"

    @property
    def reference(self) -> str:
        return "" if self.fault == "unknown payment" else self.intent.reference

    @property
    def refunded(self) -> bool:
        """The wallet's desk gave it back, and told us; one in twenty-five of those without a fault as well."""
        return self.fault in ("missing refund", "double refund") or (not self.fault and self.number % 25 == 9)


# --- What the wallet says --------------------------------------------------------------------------------------------


def keep(messages: list[dict[str, Any]]) -> None:
    """Kept as the inbox keeps them, in bulk, and drained."""
    account, now = cast.account(), timezone.now()
    events = [
        WebhookEvent(
            id=ids.new(now), provider_account=account, delivery_id=message["id"], raw=json.dumps(message).encode(),
            authority="signed", received_at=now,
        )
        for message in messages
    ]  # fmt: skip
    WebhookEvent.objects.bulk_create(events, batch_size=2000)
    QueuedEvent.objects.bulk_create(
        (QueuedEvent(event_id=event.id, due_at=now, received_at=now) for event in events), batch_size=2000
    )
    while reconcile.drain(clock=timezone.now):
        continue


def order(sale: Sale) -> dict[str, Any]:
    told = story(sale)
    terms = {name: told[name] for name in ("id", "reference", "amount", "currency", "state")}
    return word(f"paid_{sale.object_id}", "payment.succeeded", sale, order=terms, payment=told["payments"][0])


def story(sale: Sale) -> dict[str, Any]:
    payment = {
        "id": sale.object_id, "order_id": "wor_1", "reference": sale.reference, "amount": sale.amount,
        "currency": sale.currency, "state": "succeeded", "occurred_at": sale.at.isoformat(),
    }  # fmt: skip
    return {
        "id": "wor_1", "reference": sale.reference, "amount": sale.amount, "currency": "CNY", "state": "paid",
        "created_at": sale.at.isoformat(), "payments": [payment], "refunds": [],
    }  # fmt: skip


def refund(sale: Sale, which: int) -> dict[str, Any]:
    made = {
        "id": f"wrf{which}_{sale.object_id}", "reference": "", "payment_id": sale.object_id, "amount": sale.amount,
        "currency": sale.currency, "state": "succeeded", "created_at": sale.at.isoformat(),
    }  # fmt: skip
    return word(f"back{which}_{sale.object_id}", "refund.succeeded", sale, order={}, refund=made)


def word(name: str, kind: str, sale: Sale, **parts: Any) -> dict[str, Any]:
    data = {"order": {}, "payment": None, "refund": None, **parts}
    return {"id": name, "type": kind, "account": "bench", "occurred_at": sale.at.isoformat(), "data": data}


# --- What its file says ----------------------------------------------------------------------------------------------


def lines_of(sale: Sale) -> list[dict[str, Any]]:
    fee = (sale.amount * 6000 + 500_000) // 1_000_000 if sale.currency == "CNY" else 0
    line = {
        "kind": "payment", "object_id": sale.object_id, "reference": sale.reference, "amount": sale.amount,
        "fee": fee + (fee // 2 + 5 if sale.fault == "wrong fee" else 0), "currency": sale.currency,
        "occurred_at": sale.at,
    }  # fmt: skip
    if sale.fault == "wrong currency" and sale.currency == "CNY":
        line |= {"currency": "USD"}
    back = {
        "kind": "refund", "object_id": f"wrf1_{sale.object_id}", "parent_object_id": sale.object_id,
        "amount": -sale.amount, "fee": 0, "currency": sale.currency, "occurred_at": sale.at,
    }  # fmt: skip
    backs = [back] if sale.refunded and sale.fault != "missing refund" else []
    if sale.fault == "double refund":
        backs.append({**back, "object_id": f"wrf2_{sale.object_id}"})
    return [line, *([dict(line)] if sale.fault == "duplicate" else []), *backs]


def statement_of(lines: list[dict[str, Any]], day: date, now: datetime) -> Statement:
    account = cast.account()
    statement = Statement.objects.create(
        provider_account=account, format="settlement", day=day, state="imported", fetched=True,
        sha256=hashlib.sha256(str(day).encode()).hexdigest(), line_count=len(lines), created_at=now, imported_at=now,
    )  # fmt: skip
    StatementLine.objects.bulk_create(
        (
            StatementLine(
                statement=statement, provider_account=account, number=number, raw={"row": number}, look_at=now,
                **line,
            )
            for number, line in enumerate(lines, start=2)
        ),
        batch_size=2000,
    )  # fmt: skip
    return statement
