"""What a code did: scans, payments and what went back, by the days of its shop's own zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from merchants import codes, ids
from merchants.models import Code, ScanCount, Shop, Staff, User
from payments import activity
from payments.models import Payment, PaymentIntent
from tests.cast import Person, field_problems, problem
from tests.till import direct, drain, expect, paid, platform, refund_told

NOON = datetime(2026, 11, 28, 4, tzinfo=UTC)  # In Guangzhou.


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    with time_machine.travel(NOON):
        yield


@pytest.fixture
def stall(mei: Person) -> Code:
    platform()
    return Code.objects.get(shop=mei.shop)


def of(code: Code, days: int = 3, now: datetime = NOON) -> activity.Activity:
    return activity.of_code(code=Code.objects.get(id=code.id), days=days, now=now)


def scanned(code: Code, hour: datetime, scans: int, last: datetime | None = None) -> None:
    ScanCount.objects.create(code=code, hour=hour, scans=scans, last_at=last)


def sold(code: Code, amount: int, at: datetime) -> Payment:
    """A payment that happened, and was recorded, at that time."""
    intent = expect(code, amount)
    paid(intent).deliver()
    drain()
    payment = Payment.objects.get(intent=intent)
    Payment.objects.filter(id=payment.id).update(occurred_at=at)
    return payment


def shown(code: Code, api: APIClient, query: str = "") -> Any:
    return api.get(f"/api/v1/codes/{ids.public('cod', code.id)}/activity{query}")


def test_days_are_the_shops_own(stall: Code) -> None:
    midnight = datetime(2026, 11, 27, 16, tzinfo=UTC)  # Of the 28th in Guangzhou.
    scanned(stall, midnight - timedelta(hours=1), 5)
    scanned(stall, midnight, 7)
    for day in (-3, 1):  # Before the first day, and after the last by a clock ahead of ours.
        scanned(stall, midnight + timedelta(days=day, hours=-1), 100)
    told = of(stall)
    assert [(str(day.day), day.scans) for day in told.days] == [
        ("2026-11-26", 0),
        ("2026-11-27", 5),
        ("2026-11-28", 107),
    ]
    assert told.scans == 112


def test_an_hour_that_spans_midnight_belongs_to_the_day_it_begins_in(stall: Code) -> None:
    Shop.objects.update(time_zone="Asia/Kolkata")
    scanned(stall, datetime(2026, 11, 27, 18, tzinfo=UTC), 4)  # From 23:30 to 00:30 there.
    assert [(str(day.day), day.scans) for day in of(stall, 2).days] == [("2026-11-27", 4), ("2026-11-28", 0)]


def test_payments_stand_in_the_day_they_happened_with_what_went_back_apart(stall: Code) -> None:
    first = sold(stall, 500, NOON - timedelta(days=1))
    sold(stall, 300, NOON - timedelta(hours=1))
    sold(stall, 200, NOON - timedelta(hours=2))
    refund_told(first, "succeeded", amount=120).deliver()
    drain()
    told = of(stall)
    days = [
        (str(day.day), day.payments, dict(day.sums), {k: v for k, v in day.refunded.items() if v}) for day in told.days
    ]
    assert days == [
        ("2026-11-26", 0, {}, {}),
        ("2026-11-27", 1, {"CNY": 500}, {"CNY": 120}),
        ("2026-11-28", 2, {"CNY": 500}, {}),
    ]
    assert (told.payments, told.sums, told.refunded) == (3, {"CNY": 1000}, {"CNY": 120})
    assert told.last_payment_at == NOON - timedelta(hours=1)


def test_what_waits_in_suspense_another_code_and_another_time_are_left_out(mei: Person, stall: Code) -> None:
    other = codes.create(shop=mei.shop, kind="shop", now=NOON)
    sold(stall, 500, NOON - timedelta(days=3))
    sold(other, 500, NOON)
    intent = expect(stall, 700)
    paid(intent, currency="USD").deliver()
    drain()
    assert Payment.objects.filter(intent=intent, placed=False).count() == 1
    told = of(stall)
    assert (told.payments, dict(told.sums), told.last_payment_at) == (0, {}, None)


def test_money_that_reached_the_shop_by_itself_counts(mei: Person, stall: Code) -> None:
    direct(mei.shop)
    sold(stall, 500, NOON)
    assert PaymentIntent.objects.get().provider_account.shop == mei.shop
    assert of(stall).sums == {"CNY": 500}


def test_the_last_scan_is_told_to_the_second_where_it_is_known(stall: Code) -> None:
    hour = NOON - timedelta(hours=5)
    scanned(stall, hour - timedelta(hours=1), 1)
    assert of(stall).last_scan_at == hour - timedelta(hours=1)
    scanned(stall, hour, 1, hour + timedelta(minutes=7))
    assert of(stall).last_scan_at == hour + timedelta(minutes=7)


def test_over_the_api_with_staff_whose_sales_they_are(mei: Person, lan: Person) -> None:
    platform()
    User.objects.filter(id=lan.user.id).update(name="Lan")
    code = codes.create(shop=mei.shop, kind="shop", staff=lan.staff, label="Lan", now=NOON)
    payment = sold(code, 250, datetime.now(UTC))
    assert payment.intent is not None
    assert payment.intent.staff == lan.staff
    told = shown(code, mei.api()).json()
    hers = ids.public(Staff.prefix, lan.staff.id)
    assert told["staff"] == {"id": hers, "name": "Lan"}
    assert (told["code"], told["scans"], told["payments"]) == (ids.public("cod", code.id), 0, 1)
    assert told["sums"] == [{"amount": 250, "currency": "CNY"}]
    assert (told["refunded"], told["last_scan_at"], len(told["days"])) == ([], None, 30)
    assert told["days"][-1] | {"day": ""} == {
        "day": "", "scans": 0, "payments": 1, "sums": told["sums"], "refunded": [],
    }  # fmt: skip
    (listed,) = mei.api().get("/api/v1/payments").json()["results"]
    assert listed["staff"] == hers


def test_a_staff_code_stays_hers_through_its_replacement(mei: Person, lan: Person) -> None:
    platform()
    code = codes.create(shop=mei.shop, kind="shop", staff=lan.staff, now=NOON)
    new = codes.replace(code=code, forward=True, now=NOON)
    payment = sold(new, 100, NOON)
    assert payment.intent is not None
    assert payment.intent.staff == lan.staff


@pytest.mark.parametrize(("days", "refusal"), [("0", "min_value"), ("367", "max_value"), ("x", "invalid")])
def test_days_that_make_no_sense_are_refused(mei: Person, stall: Code, days: str, refusal: str) -> None:
    assert field_problems(shown(stall, mei.api(), f"?days={days}")) == {"days": refusal}


def test_nobody_reads_anothers(arjun: Person, stall: Code, stranger: APIClient) -> None:
    assert problem(shown(stall, arjun.api())) == (404, "not_found")
    assert problem(shown(stall, stranger))[0] == 401
    assert problem(arjun.api().get("/api/v1/codes/cod_x/activity")) == (404, "not_found")


def test_it_asks_the_same_few_questions_however_much_there_is(stall: Code, mei: Person) -> None:
    for number in range(3):
        scanned(stall, NOON - timedelta(hours=number), 1)
        sold(stall, 100, NOON - timedelta(days=number))
    code = codes.of_shop(mei.shop, stall.id)
    assert code is not None
    with CaptureQueriesContext(connection) as asked:
        activity.of_code(code=code, days=366, now=NOON)
    assert len(asked) == 2
