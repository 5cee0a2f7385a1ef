"""Batches are taken and read ahead of their turn, and given back when nobody came for them."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pytest
from django.conf import LazySettings
from django.db import OperationalError
from django.utils import timezone

from payments import ledger, reconcile, taking
from payments.models import Payment, QueuedEvent
from payments.providers import sandbox
from tests.cast import MEI_PHONE, open_shop
from tests.till import assert_books_hold, drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.usefixtures("real_db")


def deliver(count: int) -> None:
    """So many payments of one shop wait in the inbox."""
    code = shop_code(open_shop(MEI_PHONE, "Mei's fruit").shop)
    platform()
    for amount in range(1, count + 1):
        paid(expect(code, amount)).deliver()


def test_a_full_queue_is_read_ahead_and_every_event_is_booked_once(settings: LazySettings) -> None:
    deliver(7)
    settings.DRAIN_BATCH_MAX = 2
    with mock.patch.object(taking.Ahead, "begin", autospec=True, side_effect=taking.Ahead.begin) as begun:
        assert drain() == 7
    assert begun.call_count == 3  # Beside each of the three full batches; the fourth is the last.
    assert sorted(Payment.objects.values_list("amount", flat=True)) == [1, 2, 3, 4, 5, 6, 7]
    assert not QueuedEvent.objects.exists()
    assert_books_hold()


def test_what_was_taken_ahead_is_given_back_when_the_batch_before_it_fails(settings: LazySettings) -> None:
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
