"""Batches are worked on by two threads at once, each in its turn, and given back when they cannot be."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from unittest import mock

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import LazySettings
from django.db import OperationalError, connections
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from payments import facts, inbox, ledger, reconcile, taking
from payments.chart import Movement
from payments.models import Payment, ProviderAccount, QueuedEvent
from payments.providers import sandbox
from tests.cast import MEI_PHONE, open_shop
from tests.till import assert_books_hold, direct, drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.usefixtures("real_db")


def deliver(count: int) -> None:
    """So many payments of one shop wait in the inbox."""
    code = shop_code(open_shop(MEI_PHONE, "Mei's fruit").shop)
    platform()
    for amount in range(1, count + 1):
        paid(expect(code, amount)).deliver()


def test_a_full_queue_is_worked_on_by_two_threads_and_every_event_is_booked_once(settings: LazySettings) -> None:
    deliver(7)
    settings.DRAIN_BATCH_MAX = 2
    both, real, threads = threading.Barrier(2), ledger.post, []

    def post(movements: Sequence[Movement], *, now: datetime) -> None:
        threads.append(threading.get_ident())
        if len(threads) <= 2:
            both.wait(10)  # Each of the first two batches is in the middle of its transaction.
        real(movements, now=now)

    with mock.patch.object(ledger, "post", post):
        assert drain() == 7
    assert (len(threads), len(set(threads))) == (4, 2)
    assert sorted(Payment.objects.values_list("amount", flat=True)) == [1, 2, 3, 4, 5, 6, 7]
    assert not QueuedEvent.objects.exists()
    assert_books_hold()


def test_a_queue_that_is_not_full_is_worked_on_by_one_thread() -> None:
    deliver(3)
    with mock.patch.object(reconcile, "apply", side_effect=reconcile.apply) as applied:
        before = threading.active_count()
        assert drain() == 3
    assert (applied.call_count, threading.active_count()) == (1, before)


def test_what_is_about_the_same_payment_waits_for_its_turn_and_nothing_else_does(settings: LazySettings) -> None:
    code = shop_code(open_shop(MEI_PHONE, "Mei's fruit").shop)
    platform()
    word = paid(expect(code, 1))
    for one in (word, replace(word, delivery="told again"), paid(expect(code, 2))):
        one.deliver()
    settings.DRAIN_BATCH_MAX = 1
    turns, came = taking.Turns(timezone.now), []

    def take(name: str) -> None:
        with turns.batch() as batch:
            came.append((name, batch.read[0].events[0].amount))
        connections.close_all()

    again, other = (threading.Thread(target=take, args=[name]) for name in ("again", "other"))
    with turns.batch() as first:
        again.start()
        while QueuedEvent.objects.filter(attempts=1).count() < 2:
            time.sleep(0.01)
        other.start()
        other.join(10)
        came.append(("first", first.read[0].events[0].amount))
    again.join(10)
    assert came == [("other", 2), ("first", 1), ("again", 1)]


def test_a_time_limit_that_strikes_while_a_batch_waits_for_its_turn_costs_no_attempt() -> None:
    deliver(2)
    with (
        mock.patch.object(threading.Condition, "wait_for", side_effect=SoftTimeLimitExceeded),
        pytest.raises(SoftTimeLimitExceeded),
        taking.Turns(timezone.now).batch(),
    ):
        pytest.fail("it had no turn")
    assert sorted(QueuedEvent.objects.values_list("state", "attempts")) == [("queued", 0)] * 2


def test_what_two_threads_have_taken_is_given_back_when_the_database_fails(settings: LazySettings) -> None:
    deliver(4)
    settings.DRAIN_BATCH_MAX = 2
    with mock.patch.object(ledger, "post", side_effect=OperationalError), pytest.raises(OperationalError):
        drain()
    assert sorted(QueuedEvent.objects.values_list("state", "attempts")) == [("queued", 0)] * 4
    QueuedEvent.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert drain() == 4
    assert_books_hold()


def test_an_adapter_that_breaks_on_one_message_holds_up_no_other() -> None:
    deliver(3)
    real = sandbox.normalise

    def breaks(account: object, verified: object) -> object:
        events = real(account, verified)  # type: ignore[arg-type]
        if events[0].amount == 2:
            raise ZeroDivisionError("what nobody thought of")
        return events

    with mock.patch.object(sandbox, "normalise", breaks):
        assert drain() == 3
    assert sorted(Payment.objects.values_list("amount", flat=True)) == [1, 3]
    (waiting,) = QueuedEvent.objects.all()
    assert (waiting.state, waiting.reason) == ("parked", "ZeroDivisionError: what nobody thought of")


def test_when_the_database_fails_while_a_batch_is_read_it_is_given_back() -> None:
    deliver(1)
    with mock.patch.object(sandbox, "normalise", side_effect=OperationalError), pytest.raises(OperationalError):
        drain()
    assert list(QueuedEvent.objects.values_list("state", "attempts")) == [("queued", 0)]


def test_halves_hold_every_event_once_with_what_it_says() -> None:
    deliver(5)
    whole = taking.batch(clock=timezone.now)
    first, second = whole.halves()
    assert [len(half.leased) for half in (first, second)] == [2, 3]
    assert [*first.read, *second.read] == list(whole.read)
    assert [one.event_id for one in second.read] == [leased.event_id for leased in second.leased]
    assert reconcile.apply(second, clock=timezone.now).events == 3
    assert Payment.objects.count() == 3


def test_an_account_is_read_once_until_it_changes(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    deliver(4)
    platform_account = platform()
    # The lease, the events, and at first the account.
    for wanted, statements in (("", 3), ("", 2), ("changed", 3), ("changed", 2)):
        if wanted and statements == 3:
            ProviderAccount.objects.filter(id=platform_account.id).update(identity={"id": wanted})
        with django_assert_num_queries(statements):
            [read] = taking.read(inbox.lease(limit=1, now=timezone.now())).read
        assert (read.account.id, read.account.identity == {"id": "changed"}) == (platform_account.id, bool(wanted))


def test_what_was_changed_after_it_was_named_is_read_and_not_remembered_under_its_old_name() -> None:
    deliver(2)
    [first, second] = [inbox.lease(limit=1, now=timezone.now()) for _ in range(2)]
    [(_, as_it_was, _)] = facts.stored_events([first[0].event_id])
    ProviderAccount.objects.update(identity={"id": "changed"})
    assert facts.accounts_as_they_are([as_it_was])[as_it_was].identity == {"id": "changed"}
    [(_, as_it_is, _)] = facts.stored_events([second[0].event_id])
    assert as_it_was != as_it_is
    ProviderAccount.objects.update(identity={"id": "changed again"})
    # Neither name is the one of the row now, so neither answers from memory.
    found = facts.accounts_as_they_are([as_it_was]) | facts.accounts_as_they_are([as_it_is])
    assert [row.identity for row in found.values()] == [{"id": "changed again"}] * 2


def test_an_account_of_a_shop_is_read_each_time_with_its_shop(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    account = direct(mei.shop)
    for _ in range(2):
        paid(account=account, amount=200, currency="CNY").deliver()
    for _ in range(2):
        with django_assert_num_queries(3):
            [read] = taking.read(inbox.lease(limit=1, now=timezone.now())).read
            assert read.account.shop == mei.shop
