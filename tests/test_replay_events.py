"""Applying stored events again: what was right stays as it is, and what was not understood is booked."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from merchants.models import Item, Notice
from payments import ledger, reconcile, refunds
from payments.models import Payment, QueuedEvent, WebhookEvent
from payments.providers import sandbox
from tests.cast import Person
from tests.till import assert_books_hold, closed, direct, drain, expect, paid, platform, refund_told


def replay(*options: str) -> str:
    out = StringIO()
    call_command("replay_events", *options, stdout=out)
    return out.getvalue()


def dump() -> dict[str, list[str]]:
    """Every row of every table but the queue, as text."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table != "payments_queuedevent":
                cursor.execute(f'SELECT row::text FROM "{table}" AS row ORDER BY 1')
                found[table] = [text for (text,) in cursor.fetchall()]
    return found


@pytest.fixture
def day(mei: Person, arjun: Person, apples: Item) -> None:
    """Every kind of event, applied in an order in which they may well arrive."""
    platform()
    code = apples.codes.get()
    noon = timezone.now() - timedelta(hours=1)
    exact, short, late, refusing, dollars, twice = (expect(code) for _ in range(6))
    for told in (
        paid(exact, object_id="wpy_exact"),
        paid(exact, object_id="wpy_exact"),
        paid(exact, object_id="wpy_exact", amount=900),
        paid(short, amount=150),
        closed(late),
        paid(late),
        closed(refusing, refused=True),
        paid(dollars, currency="USD"),
        paid(twice),
        paid(twice),
        paid(reference="nobody", amount=77),
        paid(exact, account=direct(arjun.shop)),
    ):
        told.deliver()
    drain()
    payment = Payment.objects.select_related("provider_account").get(object_id="wpy_exact")
    for amount, words in ((60, ["succeeded"]), (30, ["failed"]), (20, ["succeeded", "failed"])):
        refund = refunds.request(staff=mei.staff, payment=payment, amount=amount, reason="", now=timezone.now())
        for minute, word in enumerate(words):
            at = noon + timedelta(minutes=minute)
            refund_told(payment, word, refund=refund, object_id=f"wrf_{amount}", at=at).deliver()
            drain()
    refund_told(payment, "succeeded", amount=10, object_id="wrf_desk").deliver()
    drain()
    reconcile.release_due(now=timezone.now() + timedelta(days=2), limit=100)


def test_a_replay_changes_nothing_that_was_right(day: None) -> None:
    assert_books_hold()
    before = dump()
    assert sum(len(rows) for name, rows in before.items() if name.startswith("payments_")) > 60

    assert replay() == f"{WebhookEvent.objects.count()} events applied again\n"

    after = dump()
    assert {table for table in before if before[table] != after[table]} == set()
    assert list(QueuedEvent.objects.values_list("state", flat=True)) == ["quarantined"]
    assert_books_hold()


def test_a_second_replay_changes_nothing_either(day: None) -> None:
    replay()
    before = dump()
    replay()
    assert dump() == before


def test_a_corrected_adapter_books_what_was_parked(mei: Person, apples: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wallet has begun to call a payment by a new name; the adapter that knows it comes a day later."""
    platform()
    right, renamed = paid(expect(apples.codes.get())), paid(expect(apples.codes.get()))
    renamed.message["type"] = "payment.completed"
    right.deliver()
    renamed.deliver()
    drain()
    assert QueuedEvent.objects.get().state == "parked"
    QueuedEvent.objects.update(state="dead", attempts=7)
    assert ledger.balance(shop=mei.shop).pending == 200

    corrected: dict[str, Any] = {**sandbox._KINDS, "payment.completed": "payment.succeeded"}
    monkeypatch.setattr(sandbox, "_KINDS", corrected)
    read = sandbox._read_notification
    monkeypatch.setattr(
        sandbox,
        "_read_notification",
        lambda message: read({**message, "type": corrected.get(message["type"], message["type"])}),
    )
    assert replay() == "2 events applied again\n"

    assert QueuedEvent.objects.count() == 0
    assert Payment.objects.count() == Notice.objects.count() == 2
    assert ledger.balance(shop=mei.shop).pending == 400
    assert_books_hold()


def test_an_event_that_was_signed_long_ago_is_replayed_without_asking_the_clock(mei: Person, apples: Item) -> None:
    platform()
    paid(expect(apples.codes.get())).deliver()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE payments_webhookevent SET received_at = received_at - interval '90 days'")
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert replay() == "1 events applied again\n"
    assert ledger.balance(shop=mei.shop).pending == 200


def test_only_the_events_that_are_named_are_replayed(day: None) -> None:
    assert replay("--provider", "nobody") == "0 events applied again\n"
    later = (timezone.now() + timedelta(minutes=1)).isoformat()
    assert replay("--since", later) == "0 events applied again\n"
    earlier = (timezone.now() - timedelta(minutes=1)).isoformat()
    assert (
        replay("--since", earlier, "--provider", "sandbox") == f"{WebhookEvent.objects.count()} events applied again\n"
    )


def test_more_events_than_one_batch_holds_are_all_replayed(mei: Person, apples: Item, settings: Any) -> None:
    platform()
    for _ in range(7):
        paid(expect(apples.codes.get())).deliver()
    settings.DRAIN_BATCH_MAX = 3
    assert replay() == "7 events applied again\n"
    assert ledger.balance(shop=mei.shop).pending == 1400
    assert QueuedEvent.objects.count() == 0
