"""The shell round the decision: what it does when the trouble is not the event's, and when pending money is due."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import LazySettings
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from merchants import ids
from merchants.models import Notice
from payments import facts, inbox, ledger, reconcile, tasks
from payments.models import Payment, PaymentIntent, QueuedEvent
from tests.cast import MEI_PHONE, Person, open_shop
from tests.till import assert_books_hold, drain, expect, paid, platform, shop_code


@pytest.fixture
def paid_at_the_wallet(real_db: None) -> PaymentIntent:
    """An intent of Mei's whose payment stands in the inbox."""
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    intent = expect(shop_code(mei.shop), 200)
    paid(intent).deliver()
    return intent


@contextmanager
def row_held_by_another(intent: PaymentIntent) -> Iterator[None]:
    """Another session holds the intent's row and does not let go."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            PaymentIntent.objects.select_for_update().get(id=intent.id)
            held.set()
            done.wait(30)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    yield
    done.set()
    holder.join()


def test_a_database_that_cannot_keep_up_costs_the_event_no_attempt(paid_at_the_wallet: PaymentIntent) -> None:
    with row_held_by_another(paid_at_the_wallet):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            drain()
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '10s'")

    waiting = QueuedEvent.objects.get()
    assert (waiting.state, waiting.attempts) == ("queued", 0)
    assert timedelta(seconds=3) < waiting.due_at - timezone.now() <= timedelta(seconds=5)
    assert Payment.objects.count() == 0

    QueuedEvent.objects.update(due_at=timezone.now())
    assert drain() == 1
    assert Payment.objects.get().match == "exact"
    assert_books_hold()


def test_celerys_time_limit_gives_the_whole_batch_back(paid_at_the_wallet: PaymentIntent) -> None:
    paid(expect(paid_at_the_wallet.code, 300)).deliver()
    with mock.patch.object(ledger, "post", side_effect=SoftTimeLimitExceeded), pytest.raises(SoftTimeLimitExceeded):
        drain()
    assert sorted(QueuedEvent.objects.values_list("state", "attempts")) == [("queued", 0), ("queued", 0)]
    assert Payment.objects.count() == Notice.objects.count() == 0


def test_a_drain_ends_in_time_for_the_next_though_more_is_due(
    paid_at_the_wallet: PaymentIntent, settings: LazySettings
) -> None:
    for amount in (1, 2, 3):
        paid(expect(paid_at_the_wallet.code, amount)).deliver()
    settings.DRAIN_BATCH_MAX = 1
    start = timezone.now()
    ticks = iter(range(1000))
    clock = lambda: start + settings.DRAIN_FOR / 8 * next(ticks)  # noqa: E731  A clock that runs fast.
    taken = reconcile.drain(clock=clock)
    assert 0 < taken < 4
    assert QueuedEvent.objects.count() == 4 - taken
    assert inbox.has_due(now=timezone.now()) is True


def test_payments_become_available_when_they_are_due_and_not_a_moment_before(db: None, mei: Person) -> None:
    platform()
    paid(expect(shop_code(mei.shop), 200)).deliver()
    drain()
    due_at = Payment.objects.get().due_at
    assert due_at is not None
    assert reconcile.release_due(now=due_at - timedelta(seconds=1), limit=10) == 0
    assert reconcile.release_due(now=due_at, limit=10) == 1
    assert reconcile.release_due(now=due_at, limit=10) == 0
    assert (ledger.balance(shop=mei.shop).available, ledger.balance(shop=mei.shop).pending) == (200, 0)
    assert_books_hold()


def test_what_a_killed_worker_left_has_its_turn_though_the_inbox_stays_full(
    paid_at_the_wallet: PaymentIntent, settings: LazySettings
) -> None:
    (killed,) = inbox.lease(limit=1, now=timezone.now())
    QueuedEvent.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    for amount in range(1, 9):
        paid(expect(paid_at_the_wallet.code, amount)).deliver()
    settings.DRAIN_BATCH_MAX = 1
    start = timezone.now()
    ticks = iter(range(1000))
    reconcile.drain(clock=lambda: start + settings.DRAIN_FOR / 8 * next(ticks))
    assert QueuedEvent.objects.count() > 0
    assert not QueuedEvent.objects.filter(event_id=killed.event_id).exists()


def test_a_bell_tells_of_what_is_new_and_what_a_killed_worker_left_is_the_sweeps(
    paid_at_the_wallet: PaymentIntent,
) -> None:
    (killed,) = inbox.lease(limit=1, now=timezone.now())
    QueuedEvent.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    paid(expect(paid_at_the_wallet.code, 300)).deliver()
    assert reconcile.drain(clock=timezone.now, rung=True) == 1
    assert list(QueuedEvent.objects.values_list("event_id", flat=True)) == [killed.event_id]
    tasks.sweep()
    assert not QueuedEvent.objects.exists()
    assert sorted(Payment.objects.values_list("amount", flat=True)) == [200, 300]
    assert_books_hold()


def test_a_payment_is_never_looked_for_among_all_of_its_account(db: None) -> None:
    """An account that was small when the table was last analysed seemed as good a way as the payment's own key: each
    look-up then read all that had come since, and posting became slower with every batch."""
    with connection.cursor() as cursor:
        # Without its own key, and dear as it is to read them all: what else would be chosen?
        cursor.execute("ALTER TABLE payments_payment DROP CONSTRAINT payment_economic_key")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {facts._PAYMENTS_SQL}", [[ids.new()], ["wpy_1"]])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "payments_payment" in plan
    assert "Index Cond: (provider_account_id" not in plan
