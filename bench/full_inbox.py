"""A full inbox, the same for every way to post it: made once, laid out anew before each, and proved afterwards.

Imported only after Django is set up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from bench import cast, ground
from bench.rounds import Figures
from merchants import ids
from merchants.models import Code
from payments import books
from payments.models import Payment, PaymentIntent, QueuedEvent, WebhookEvent

SHOPS = 500
KEPT = (
    "payments_paymentintent", "payments_intenttimer", "payments_webhookevent", "payments_delivery",
    "payments_queuedevent",
)  # fmt: skip
WRITTEN = (
    "payments_payment", "payments_pendingrelease", "payments_ledgerentry", "payments_entrykey",
    "payments_accountbalance", "payments_hourrollup", "merchants_notice", "merchants_noticecounter",
)  # fmt: skip


class FullInbox:
    """So many open intents over SHOPS shops, and for each a signed notification of 1.3 kB that it was paid."""

    def __init__(self, events: int) -> None:
        self.events = events
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")  # Whole tables are laid out and proved.
        tables = set(connection.introspection.table_names())
        self._kept = [name for name in KEPT if name in tables]
        self._written = [name for name in WRITTEN if name in tables]
        self._columns = {name: written_columns(name) for name in self._kept}
        self._make()

    def lay_out(self, count: int | None = None) -> None:
        """Empties every table that posting writes, fills the inbox, and has it written to the disk before we time."""
        ground.empty(*self._kept, *self._written)
        with connection.cursor() as cursor:
            for name in self._kept:
                own = self._columns[name]
                by = next(key for key in ("event_id", "intent_id", "id") if key in own)
                some = ", ".join(own)
                cursor.execute(
                    f"INSERT INTO {name} ({some}) SELECT {some} FROM bench.{name} ORDER BY {by} LIMIT %s", [count]
                )
            # As a database that was analysed while it was empty: plans must be right all the same.
            cursor.execute(f"ANALYZE {', '.join([*self._kept, *self._written])}")
            cursor.execute("CHECKPOINT")

    def prove(self, count: int | None = None) -> None:
        """Every event was posted once, nothing waits, and every law of the book holds."""
        expected = count or self.events
        assert QueuedEvent.objects.count() == 0, QueuedEvent.objects.values("state", "reason").first()
        assert Payment.objects.filter(match="exact", placed=True).count() == expected
        assert PaymentIntent.objects.filter(state="paid").count() == expected
        broken = list(books.breaches())
        assert not broken, broken[:3]

    def measured(self, work: Callable[[], None], count: int | None = None, *, prove: bool = True) -> Figures:
        """Lays it out, times the work, and answers its rate with what each event used of a processor."""
        self.lay_out(count)
        figures = timed(work, count or self.events)
        if prove:
            self.prove(count)
        return figures

    def _make(self) -> None:
        ground.empty(*self._kept, *self._written)
        made, now = (
            cast.intents(list(Code.objects.filter(shop__name__startswith="Stall ")) or cast.shops(SHOPS), self.events),
            timezone.now(),
        )
        account = cast.account()
        events = [
            WebhookEvent(
                id=ids.new(now), provider_account=account, delivery_id=f"evt_{intent.id.hex}",
                raw=notification(intent.reference, intent.id, now.isoformat()), authority="signed", received_at=now,
            )
            for intent in made
        ]  # fmt: skip
        WebhookEvent.objects.bulk_create(events, batch_size=1000)
        QueuedEvent.objects.bulk_create(
            (QueuedEvent(event_id=event.id, due_at=now, received_at=now) for event in events), batch_size=1000
        )
        later = timezone.now() + timedelta(days=1)
        with connection.cursor() as cursor:
            if "payments_delivery" in self._kept:
                cursor.execute(
                    "INSERT INTO payments_delivery (provider_account_id, delivery_id, event_id)"
                    " SELECT provider_account_id, delivery_id, id FROM payments_webhookevent"
                )
            cursor.execute(
                "WITH intents AS (UPDATE payments_paymentintent SET expires_at = %s)"
                " UPDATE payments_intenttimer SET next_query_at = %s, next_close_at = %s",
                [later] * 3,
            )
            cursor.execute("DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench")
            for name in self._kept:
                cursor.execute(f"CREATE TABLE bench.{name} AS TABLE {name}")


def written_columns(table: str) -> list[str]:
    """The columns of a table without those that the database computes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = '' ORDER BY attnum",
            [table],
        )
        return [row[0] for row in cursor.fetchall()]


def notification(reference: str, intent_id: UUID, occurred_at: str) -> bytes:
    """The body of one, as `ground.signed_request` sends it."""
    payment = {
        "id": f"wpy_{intent_id.hex}", "order_id": "wor_1", "reference": reference, "amount": cast.AMOUNT,
        "currency": "CNY", "state": "succeeded", "occurred_at": occurred_at, "note": "x" * 700,
    }  # fmt: skip
    order = {"id": "wor_1", "reference": reference, "amount": cast.AMOUNT, "currency": "CNY", "state": "paid"}
    body = {
        "id": f"evt_{intent_id.hex}", "type": "payment.succeeded", "account": "bench", "occurred_at": occurred_at,
        "data": {"order": order, "payment": payment, "refund": None},
    }  # fmt: skip
    return json.dumps(body).encode()


def timed(work: Callable[[], None], events: int, used_elsewhere: Callable[[], float] = lambda: 0.0) -> Figures:
    """The rate of the work, and µs of a processor for each event: here (or elsewhere), and in the database server."""
    server = ground.postgres()
    before = time.process_time() + used_elsewhere(), ground.used_by_tree(server), time.perf_counter()
    work()
    after = time.process_time() + used_elsewhere(), ground.used_by_tree(server), time.perf_counter()
    client, database, took = (ended - began for began, ended in zip(before, after, strict=True))
    micro = 1e6 / events
    return {
        "rate": events / took,
        "cpu_us": (client + database) * micro,
        "client_us": client * micro,
        "postgres_us": database * micro,
    }
