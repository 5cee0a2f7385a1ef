"""The inbox's queue: leased, retried on a schedule, and what cannot be applied ends somewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from merchants.models import Item, Notice
from payments import inbox, reconcile
from payments.models import AccountBalance, Payment, PaymentIntent, ProviderAccount, QueuedEvent, WebhookEvent
from payments.providers.base import AMOUNT_MAX
from tests.cast import Person
from tests.test_inbox import counted, receive, signed
from tests.till import Notification, assert_books_hold, expect, paid, platform, total


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return platform()


@pytest.fixture
def intent(account: ProviderAccount, apples: Item) -> PaymentIntent:
    """Somebody is about to pay 200 for a pile of apples."""
    return expect(apples.codes.get())


def drain_at(moment: datetime) -> int:
    return reconcile.drain(clock=lambda: moment)


def waiting() -> tuple[str, int]:
    """State and attempts of the one event that waits."""
    row = QueuedEvent.objects.get()
    return row.state, row.attempts


# --- The queue -------------------------------------------------------------------------------------------------------


def test_events_are_leased_oldest_first_for_thirty_seconds(intent: PaymentIntent, now: datetime) -> None:
    for second in (2, 0, 1):
        paid(intent).deliver(now + timedelta(seconds=second))
    later = now + timedelta(seconds=5)
    taken = inbox.lease(limit=2, now=later)
    assert [leased.attempts for leased in taken] == [1, 1]
    received = [WebhookEvent.objects.get(id=leased.event_id).received_at for leased in taken]
    assert received == [now, now + timedelta(seconds=1)]
    assert set(QueuedEvent.objects.filter(attempts=1).values_list("due_at", flat=True)) == {
        later + timedelta(seconds=30)
    }
    assert len(inbox.lease(limit=10, now=later)) == 1
    assert inbox.lease(limit=10, now=later) == []


def test_an_event_that_is_not_due_is_left(intent: PaymentIntent, now: datetime) -> None:
    paid(intent).deliver(now)
    assert inbox.has_due(now=now - timedelta(milliseconds=1)) is False
    assert inbox.lease(limit=10, now=now - timedelta(milliseconds=1)) == []
    assert inbox.has_due(now=now) is True


def test_events_whose_worker_was_killed_come_back_after_the_lease_one_by_one(
    intent: PaymentIntent, now: datetime
) -> None:
    for _ in range(3):
        paid(intent).deliver(now)
    assert len(inbox.lease(limit=10, now=now)) == 3  # And the worker is gone.

    early = now + timedelta(seconds=29)
    assert inbox.lease(limit=10, now=early) == inbox.lease_suspect(now=early) == []
    late = now + timedelta(seconds=30)
    assert inbox.lease(limit=10, now=late) == []  # Never in a batch with others again.
    assert [leased.attempts for leased in inbox.lease_suspect(now=late)] == [2]
    assert len(inbox.lease_suspect(now=late)) == len(inbox.lease_suspect(now=late)) == 1
    assert inbox.lease_suspect(now=late) == []


def test_a_drain_applies_what_a_killed_worker_left(mei: Person, intent: PaymentIntent, now: datetime) -> None:
    paid(intent).deliver(now)
    inbox.lease(limit=10, now=now)
    assert drain_at(now + timedelta(seconds=30)) == 1
    assert QueuedEvent.objects.count() == 0
    assert total("shop_pending", shop=mei.shop) == 200
    assert_books_hold()


def test_an_event_that_kills_its_worker_every_time_is_dead_after_its_last_attempt(
    intent: PaymentIntent, now: datetime
) -> None:
    paid(intent).deliver(now)
    assert len(inbox.lease(limit=10, now=now)) == 1
    for attempt in range(2, 8):  # Seven attempts, as for an event that fails politely.
        now += timedelta(days=1)
        assert [leased.attempts for leased in inbox.lease_suspect(now=now)] == [attempt]
    now += timedelta(days=1)
    assert inbox.lease_suspect(now=now) == []
    assert QueuedEvent.objects.get().state == "dead"
    assert QueuedEvent.objects.get().reason
    assert inbox.has_due(now=now + timedelta(days=1)) is False


def test_two_drains_at_once_never_take_the_same_event(real_db: None, mei: Person, apples: Item, now: datetime) -> None:
    platform()
    intent = expect(apples.codes.get())
    for _ in range(40):
        paid(intent).deliver(now)
    taken: list[list[inbox.Leased]] = []
    ready = threading.Barrier(4)

    def work() -> None:
        ready.wait()
        while batch := inbox.lease(limit=3, now=now):
            taken.append(batch)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    events = [leased.event_id for batch in taken for leased in batch]
    assert len(events) == len(set(events)) == 40
    assert set(QueuedEvent.objects.values_list("attempts", flat=True)) == {1}


def test_a_drain_does_not_wait_for_rows_that_another_holds(
    real_db: None, mei: Person, apples: Item, now: datetime
) -> None:
    platform()
    intent = expect(apples.codes.get())
    first, second = paid(intent), paid(intent)
    first.deliver(now)
    second.deliver(now + timedelta(seconds=1))
    held = WebhookEvent.objects.get(delivery_id=first.message["id"])
    taken: list[inbox.Leased] = []

    def work() -> None:
        taken.extend(inbox.lease(limit=10, now=now + timedelta(seconds=2)))
        connections.close_all()

    with transaction.atomic():
        QueuedEvent.objects.select_for_update().get(event=held)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(timeout=5)
        assert not thread.is_alive()
    assert [leased.event_id for leased in taken] == [
        WebhookEvent.objects.get(delivery_id=second.message["id"]).id,
    ]


def test_parking_follows_the_schedule_and_ends(intent: PaymentIntent, now: datetime) -> None:
    paid(intent).deliver(now)
    event = QueuedEvent.objects.get().event_id
    waits = []
    for attempts in range(1, 7):
        inbox.park(event_id=event, attempts=attempts, reason="x" * 400, now=now)
        row = QueuedEvent.objects.get()
        assert (row.state, row.reason) == ("parked", "x" * 300)
        waits.append((row.due_at - now).total_seconds())
    assert waits == [5, 30, 300, 3600, 21_600, 86_400]

    inbox.park(event_id=event, attempts=7, reason="still wrong", now=now)
    row = QueuedEvent.objects.get()
    assert (row.state, row.reason, row.due_at) == ("dead", "still wrong", now)
    assert inbox.lease(limit=10, now=now + timedelta(days=9)) == inbox.lease_suspect(now=now + timedelta(days=9)) == []
    assert inbox.has_due(now=now + timedelta(days=9)) is False


def test_a_quarantined_event_waits_for_a_person(intent: PaymentIntent, now: datetime) -> None:
    paid(intent).deliver(now)
    event = QueuedEvent.objects.get().event_id
    inbox.quarantine(event_id=event, reason="somebody else's")
    assert drain_at(now + timedelta(days=9)) == 0
    assert waiting() == ("quarantined", 0)

    assert inbox.requeue(event_ids=[event], now=now) == 1
    assert drain_at(now) == 1
    assert Payment.objects.count() == 1


@pytest.mark.parametrize("state", ["parked", "dead", "quarantined", "queued"])
def test_a_requeued_event_begins_anew(intent: PaymentIntent, now: datetime, state: str) -> None:
    paid(intent).deliver(now)
    QueuedEvent.objects.update(state=state, attempts=7, reason="was wrong", due_at=now + timedelta(days=1))
    assert inbox.requeue(event_ids=[QueuedEvent.objects.get().event_id], now=now) == 1
    row = QueuedEvent.objects.get()
    assert (row.state, row.attempts, row.reason, row.due_at) == ("queued", 0, "", now)


def test_an_applied_event_can_be_requeued_and_an_unknown_one_cannot(mei: Person, intent: PaymentIntent) -> None:
    paid(intent).deliver()
    drain_at(timezone.now())
    event = WebhookEvent.objects.get().id
    assert inbox.requeue(event_ids=[event, intent.id], now=timezone.now()) == 1
    assert drain_at(timezone.now()) == 1
    assert total("shop_pending", shop=mei.shop) == 200
    assert Notice.objects.count() == 1


# --- Poison ----------------------------------------------------------------------------------------------------------


def poisoned(intent: PaymentIntent, change: Callable[[dict[str, Any]], object]) -> Notification:
    told = paid(intent)
    change(told.message)
    return told


def payment_of(message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = message["data"]["payment"]
    return found


POISON: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a NUL in the payment's id": (lambda m: payment_of(m).update(id="wpy_\x00"), "NUL"),
    "half a surrogate pair in the payment's id": (lambda m: payment_of(m).update(id="wpy_\ud800"), "surrogates"),
    "an id longer than the column": (lambda m: payment_of(m).update(id="w" * 81), "too long"),
    "a currency longer than the column": (lambda m: payment_of(m).update(currency="YUAN"), "too long"),
    "a time before any calendar": (
        lambda m: payment_of(m).update(occurred_at="0001-01-01T00:00:00+23:59"),
        "Error",
    ),
    "no data at all": (lambda m: m.pop("data"), "KeyError('data')"),
    "data that is a list": (lambda m: m.update(data=[]), "TypeError"),
    "no payment": (lambda m: m["data"].update(payment=None), "TypeError"),
    "an amount as text": (lambda m: payment_of(m).update(amount="200"), "not an amount: '200'"),
    "an amount that is a truth": (lambda m: payment_of(m).update(amount=True), "not an amount: True"),
    "an amount of nothing": (lambda m: payment_of(m).update(amount=0), "not an amount: 0"),
    "a negative amount": (lambda m: payment_of(m).update(amount=-200), "not an amount: -200"),
    "a broken amount": (lambda m: payment_of(m).update(amount=200.5), "not an amount: 200.5"),
    "an amount beyond the book": (lambda m: payment_of(m).update(amount=2**62), "not an amount: 4611686018427387904"),
    "a time without a zone": (
        lambda m: payment_of(m).update(occurred_at="2026-11-22T18:00:00"),
        "a time without a zone",
    ),
    "a kind of event that nobody knows": (lambda m: m.update(type="moon.full"), "a kind that we do not know"),
}


@pytest.mark.parametrize("poison", POISON)
def test_one_poisonous_event_is_parked_alone_and_the_rest_of_its_batch_is_booked(
    mei: Person, intent: PaymentIntent, now: datetime, poison: str
) -> None:
    change, reason = POISON[poison]
    events = [paid(intent) for _ in range(7)]
    events.insert(4, bad := poisoned(intent, change))
    for event in events:
        event.deliver(now)

    assert drain_at(now) == 8

    row = QueuedEvent.objects.select_related("event").get()
    assert (row.event.delivery_id, row.state, row.attempts) == (bad.message["id"], "parked", 1)
    assert row.due_at == now + timedelta(seconds=5)
    assert reason in row.reason
    assert Payment.objects.count() == Notice.objects.count() == 7
    assert total("shop_pending", shop=mei.shop) == 1400
    assert_books_hold()


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"7", b'"a text"', b"{", b"[" * 100_000, b'{"type": "payment.succeeded"}', b"1" * 5000]
)
def test_a_signed_body_that_makes_no_sense_is_parked_and_not_lost(account: ProviderAccount, raw: bytes) -> None:
    assert receive(raw, signed(raw)) is True
    assert drain_at(timezone.now()) == 1
    assert waiting() == ("parked", 1)
    assert bytes(WebhookEvent.objects.get().raw) == raw


def test_an_event_that_the_database_refuses_is_parked_alone_and_booked_once_it_no_longer_does(
    mei: Person, account: ProviderAccount, apples: Item, now: datetime
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_payment ADD CONSTRAINT no_sevens CHECK (amount <> 777)")
    intent = expect(apples.codes.get())
    for amount in (200, 777, 200):
        paid(intent, amount=amount).deliver(now)

    assert drain_at(now) == 3
    row = QueuedEvent.objects.get()
    assert (row.state, row.attempts) == ("parked", 1)
    assert "no_sevens" in row.reason
    assert total("shop_pending", shop=mei.shop) == 400

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE payments_payment DROP CONSTRAINT no_sevens")
    assert drain_at(now + timedelta(seconds=5)) == 1
    assert QueuedEvent.objects.count() == 0
    assert total("shop_pending", shop=mei.shop) == 1177
    assert_books_hold()


def test_an_amount_beyond_any_payment_is_parked_unread_and_the_book_stays_far_from_its_end(
    mei: Person, intent: PaymentIntent, now: datetime
) -> None:
    """Of the largest amount that is read, nine thousand fit into a balance."""
    paid(intent, amount=AMOUNT_MAX).deliver(now)
    paid(intent, amount=AMOUNT_MAX + 1).deliver(now)
    drain_at(now)
    assert waiting() == ("parked", 1)
    assert "not an amount" in QueuedEvent.objects.get().reason
    assert total("shop_pending", shop=mei.shop) == 10**15
    assert 9_000 * AMOUNT_MAX < 2**63
    assert_books_hold()


def test_money_that_would_run_over_the_end_of_a_balance_is_parked_and_the_balance_stays_true(
    mei: Person, intent: PaymentIntent, now: datetime
) -> None:
    """Nobody earns so much: the balance is set near its end by hand."""
    paid(intent, amount=1).deliver(now)
    drain_at(now)
    AccountBalance.objects.filter(account__kind="shop_pending").update(credits=2**63 - 100)
    paid(intent, amount=200).deliver(now)
    drain_at(now)
    assert waiting() == ("parked", 1)
    assert "out of range" in QueuedEvent.objects.get().reason
    assert total("shop_pending", shop=mei.shop) == 2**63 - 100
    assert Payment.objects.count() == 1


def test_a_poisonous_event_is_tried_on_its_schedule_and_is_dead_after_the_last_attempt(
    intent: PaymentIntent, now: datetime
) -> None:
    poisoned(intent, POISON["a NUL in the payment's id"][0]).deliver(now)
    moment = now
    for attempt, wait_s in enumerate((5, 30, 300, 3600, 21_600, 86_400), start=1):
        assert drain_at(moment) == 1
        assert waiting() == ("parked", attempt)
        assert drain_at(moment + timedelta(seconds=wait_s, milliseconds=-1)) == 0
        moment += timedelta(seconds=wait_s)
    assert drain_at(moment) == 1
    assert waiting() == ("dead", 7)
    assert drain_at(moment + timedelta(days=30)) == 0
    assert Payment.objects.count() == 0


def test_a_batch_of_nothing_but_poison_comes_to_an_end(intent: PaymentIntent, now: datetime) -> None:
    for poison in ("a NUL in the payment's id", "an id longer than the column", "no data at all"):
        poisoned(intent, POISON[poison][0]).deliver(now)
    assert drain_at(now) == 3
    assert set(QueuedEvent.objects.values_list("state", "attempts")) == {("parked", 1)}
    assert QueuedEvent.objects.count() == 3


def test_what_became_of_events_is_counted(intent: PaymentIntent, now: datetime) -> None:
    before = {outcome: counted("events", outcome=outcome) for outcome in ("applied", "parked")}
    paid(intent).deliver(now)
    poisoned(intent, POISON["no data at all"][0]).deliver(now)
    drain_at(now)
    after = {outcome: counted("events", outcome=outcome) for outcome in ("applied", "parked")}
    assert {name: after[name] - before[name] for name in after} == {"applied": 1, "parked": 1}


def test_a_lease_keeps_to_its_limit_under_whatever_plan(
    account: ProviderAccount, mei: Person, apples: Item, now: datetime
) -> None:
    """As a subquery the choice was made again for each row of a nested loop: every due event was taken at once."""
    for _ in range(6):
        paid(expect(apples.codes.get())).deliver(now)
    with connection.cursor() as cursor:
        for switch in ("enable_hashjoin", "enable_mergejoin", "enable_hashagg", "enable_sort", "enable_material"):
            cursor.execute(f"SET LOCAL {switch} = off")
    assert len(inbox.lease(limit=2, now=now)) == 2
    assert QueuedEvent.objects.filter(attempts=1).count() == 2
