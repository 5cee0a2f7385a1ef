"""Sums by the hour: exactly those of the rows, whoever wrote them, and read in place of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F

from merchants import ids
from merchants.models import Code
from payments import books, rollups, today
from payments.models import HourRollup, PaymentIntent, StartRollup
from payments.rollups import Started
from tests.cast import Person
from tests.till import drain, expect, paid, platform, shop_code

LAWS = {"an hour's sums are those of its payments", "an hour's starts are those of its intents"}
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def stall(mei: Person) -> Code:
    platform()
    return shop_code(mei.shop)


def broken() -> set[str]:
    return {breach.law for breach in books.breaches()} & LAWS


def began(code: Code, at: datetime, failure: str = "") -> PaymentIntent:
    intent = expect(code, 200, now=at)
    PaymentIntent.objects.filter(id=intent.id).update(created_at=at, start_failure=failure)
    return intent


def test_a_batch_adds_each_of_its_payments_to_the_hour_that_records_them(stall: Code, now: datetime) -> None:
    for amount in (200, 300, 500):
        paid(expect(stall, amount, now=now)).deliver()
    paid(expect(stall, 200, now=now), currency="INR").deliver()
    again = paid(expect(stall, 100, now=now))
    again.deliver()
    drain()
    again.deliver()
    drain()
    told = {(row.currency, row.payments, row.amount) for row in HourRollup.objects.all()}
    assert told == {("CNY", 4, 1100), ("INR", 1, 200)}
    assert broken() == set()
    HourRollup.objects.filter(currency="INR").update(amount=F("amount") + 1)
    assert broken() == {"an hour's sums are those of its payments"}


def test_slots_of_one_hour_are_one_sum(db: None) -> None:
    with transaction.atomic():
        rollups.add([("CNY", 200), ("CNY", 1), ("INR", 7)], now=NOON + timedelta(minutes=59))
        rollups.add([("CNY", 2)], now=NOON)
        rollups.add([], now=NOON)
    HourRollup.objects.create(hour=NOON, currency="CNY", slot=rollups.SLOTS, payments=10, amount=4000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() %% %s", [rollups.SLOTS])
        (slot,) = cursor.fetchone()
    kept = HourRollup.objects.order_by("currency", "slot").values_list("hour", "currency", "slot", "payments", "amount")
    assert list(kept) == [
        (NOON, "CNY", slot, 3, 203), (NOON, "CNY", rollups.SLOTS, 10, 4000), (NOON, "INR", slot, 1, 7),
    ]  # fmt: skip
    yuan, rupees = today.volume(now=NOON)
    assert [(of.currency, of.count, of.amount) for of in (yuan, rupees)] == [("CNY", 13, 4203), ("INR", 1, 7)]
    assert yuan.hours[12].count == 13


def test_starts_of_hours_that_are_over_are_added_up_once_and_the_rest_is_counted(stall: Code) -> None:
    for minutes, failure in ((-61, ""), (-60, ""), (-1, "no answer"), (0, ""), (59, "refused"), (60, "")):
        began(stall, NOON + timedelta(minutes=minutes), failure)
    counted = rollups.started(since=NOON - timedelta(hours=1))
    assert sorted(counted, key=lambda row: row.hour) == [
        Started("sandbox", "platform", NOON + timedelta(hours=hour), *sums)
        for hour, sums in ((-1, (2, 1)), (0, (2, 1)), (1, (1, 0)))
    ]
    soon = NOON + timedelta(hours=1, minutes=29)
    assert [rollups.close_hours(now=soon), rollups.close_hours(now=soon)] == [2, 0]
    assert list(StartRollup.objects.order_by("hour").values_list("hour", "starts", "failed")) == [
        (NOON - timedelta(hours=2), 1, 0), (NOON - timedelta(hours=1), 2, 1),
    ]  # fmt: skip
    assert rollups.started(since=NOON - timedelta(hours=1)) == sorted(counted, key=lambda row: row.hour)
    PaymentIntent.objects.filter(id__lt=ids.first_of(NOON)).update(start_failure="")  # Nobody looks there again.
    assert rollups.started(since=NOON - timedelta(hours=1))[0].failed == 1
    assert rollups.close_hours(now=NOON + timedelta(hours=2, minutes=30)) == 2
    assert broken() == set()
    StartRollup.objects.filter(hour=NOON).update(starts=9)
    assert broken() == {"an hour's starts are those of its intents"}


def test_hours_that_nobody_added_up_in_time_are_left_out(stall: Code) -> None:
    began(stall, NOON - timedelta(days=3))
    began(stall, NOON - timedelta(hours=36))
    assert rollups.close_hours(now=NOON) == 1
    assert StartRollup.objects.get().hour == NOON - timedelta(hours=36)
