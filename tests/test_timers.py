"""What waits for its moment: there while it may come, gone with it, and beside rows that are rewritten in place."""

from __future__ import annotations

import copy
import uuid
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from merchants import ids
from payments import asking, reconcile, timers
from payments.models import IntentTimer, PaymentIntent, PendingRelease
from tests.cast import Person
from tests.till import assert_books_hold, closed, drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.django_db
MANY = 60  # Some pages of each table, every row of which is rewritten in one transaction.


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


@pytest.fixture
def intent(mei: Person) -> PaymentIntent:
    return expect(shop_code(mei.shop), 200)


def rewritten(table: str) -> tuple[int, int]:
    """How many rows of a table this transaction has rewritten, and how many of them in place."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_get_xact_tuples_updated(%s::regclass), pg_stat_get_xact_tuples_hot_updated(%s::regclass)",
            [table, table],
        )
        updated, in_place = cursor.fetchone()
    return updated, in_place


def many(intent: PaymentIntent) -> list[PaymentIntent]:
    """As many customers at once as the pages of some minutes hold."""
    copies = []
    for _ in range(MANY):
        row = copy.copy(intent)
        row.id, row.page, row.receipt = ids.new(timezone.now()), uuid.uuid4(), ids.secret(22)
        copies.append(row)
    PaymentIntent.objects.bulk_create(copies)
    for row in copies:
        timers.begin(row)
    return copies


def test_paying_and_releasing_rewrite_every_row_in_place(intent: PaymentIntent) -> None:
    for row in many(intent):
        paid(row).deliver()
    before = rewritten("payments_paymentintent")
    assert drain() == MANY
    after = rewritten("payments_paymentintent")
    assert [now - then for now, then in zip(after, before, strict=True)] == [MANY, MANY]
    assert (IntentTimer.objects.count(), PendingRelease.objects.count()) == (1, MANY)

    before = rewritten("payments_payment")
    assert reconcile.release_due(now=timezone.now() + timedelta(days=2), limit=1000) == MANY
    after = rewritten("payments_payment")
    assert [now - then for now, then in zip(after, before, strict=True)] == [MANY, MANY]
    assert PendingRelease.objects.count() == 0
    assert_books_hold()


def test_one_that_ended_unpaid_is_asked_about_on_and_never_closed_again(intent: PaymentIntent) -> None:
    closed(intent).deliver()
    drain()
    timer = IntentTimer.objects.get(intent=intent)
    assert (timer.next_query_at, timer.next_close_at) == (intent.created_at + timedelta(seconds=10), None)
    assert_books_hold()


def test_one_that_ended_when_all_was_asked_leaves_nothing(intent: PaymentIntent) -> None:
    IntentTimer.objects.update(next_query_at=None)
    closed(intent).deliver()
    drain()
    assert IntentTimer.objects.count() == 0


def test_the_last_question_about_one_that_ended_leaves_nothing(intent: PaymentIntent, now: datetime) -> None:
    closed(intent).deliver()
    drain()
    assert asking._take_silent(intent.created_at + timedelta(hours=23), []) is not None
    assert IntentTimer.objects.count() == 1
    assert asking._take_silent(intent.created_at + timedelta(hours=24), []) is not None
    assert IntentTimer.objects.count() == 0


def test_a_question_that_was_not_asked_has_its_turn_again_be_it_the_last(intent: PaymentIntent, now: datetime) -> None:
    closed(intent).deliver()
    drain()
    last = asking._take_silent(intent.created_at + timedelta(days=1), [])
    assert last is not None and IntentTimer.objects.count() == 0
    timers.put_back(last, at=now)
    timer = IntentTimer.objects.get()
    assert (timer.intent_id, timer.queries, timer.next_query_at, timer.next_close_at) == (intent.id, 0, now, None)


def test_one_that_was_paid_meanwhile_has_no_turn_again(intent: PaymentIntent, now: datetime) -> None:
    taken = asking._take_silent(intent.created_at + timedelta(seconds=10), [])
    assert taken is not None
    paid(intent).deliver()
    drain()
    timers.put_back(taken, at=now)
    assert IntentTimer.objects.count() == 0


def test_asking_at_once_hurries_what_waits_and_begins_again_with_what_was_over(intent: PaymentIntent) -> None:
    early, late = intent.created_at, intent.created_at + timedelta(hours=1)
    IntentTimer.objects.update(queries=3, next_query_at=late)
    asking.ask_again(intent_ids=[intent.id], now=early)
    asking.ask_again(intent_ids=[intent.id], now=late)  # It waits for that already.
    timer = IntentTimer.objects.get()
    assert (timer.queries, timer.next_query_at, timer.next_close_at) == (3, early, intent.expires_at)
    timer.delete()
    asking.ask_again(intent_ids=[intent.id], now=late)
    timer = IntentTimer.objects.get()
    assert (timer.queries, timer.next_query_at, timer.next_close_at) == (0, late, None)
    timers.close_at([intent.id], at=early)
    timer.refresh_from_db()
    assert (timer.queries, timer.next_query_at, timer.next_close_at) == (0, late, early)
