"""A day's takings: exact sums from the book, in the shop's own day, those of its statement, beside days before."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from rest_framework.test import APIClient

from merchants import ids
from merchants.models import Code, Item, Shop, Staff
from payments import refunds, statement, takings
from payments.chart import Place
from payments.models import Payment
from payments.statement import Asked, Basis
from payments.takings import Day, Part, Takings
from tests.cast import Person, field_problems, hire, problem
from tests.test_ledger import available, movement, pending, post, receivable
from tests.test_search import sold
from tests.till import disputed, drain, platform, refund_told, shop_code

NOON = datetime(2026, 11, 28, 4, tzinfo=UTC)  # In Guangzhou, on a Saturday.
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EFFECTIVE, RECORDED = Basis.EFFECTIVE, Basis.RECORDED


def of(shop: Shop, day: str = "2026-11-28", basis: Basis = EFFECTIVE, now: datetime = NOON + 9 * HOUR) -> Takings:
    return takings.of_day(shop=shop, day=day, basis=basis, now=now)


def told(day: Day) -> tuple[int, int, int, int]:
    return day.payments.count, day.payments.amount, day.refunds.count, day.refunds.amount


def stated(shop: Shop, day: str, basis: Basis, now: datetime) -> int:
    """What the shop's statement of that day says that it did to her total."""
    named = statement.period(day=day, month="", zone=shop.time_zone, known_at=now)
    found = statement.summary(Asked(shop, named, basis, everything=False, known_at=now))
    return found.closing.total - found.opening.total


@pytest.fixture
def stall(mei: Person) -> Code:
    platform()
    return shop_code(mei.shop)


def paid_at(code: Code, amount: int, at: datetime, **how: Any) -> Payment:
    with time_machine.travel(at, tick=False):
        return sold(code, amount, at=at, **how)


# --- What happened on a day ------------------------------------------------------------------------------------------


def test_a_day_says_what_came_what_went_back_and_by_what(mei: Person, lan: Person, apples: Item, stall: Code) -> None:
    hers = Code.objects.create(shop=mei.shop, kind=Code.Kind.ITEM, item=apples, staff=lan.staff)
    for at in (NOON, NOON + HOUR):
        paid_at(hers, 200, at, asked=200)
    big = paid_at(stall, 5000, NOON + 2 * HOUR)
    short = paid_at(stall, 150, NOON + 2 * HOUR, asked=200)
    assert short.match == "short"
    with time_machine.travel(NOON + 3 * HOUR, tick=False):
        for amount, word in ((1000, "succeeded"), (300, "failed"), (200, "")):
            refund = refunds.request(staff=mei.staff, payment=big, amount=amount, reason="", now=NOON + 3 * HOUR)
            if word:
                refund_told(big, word, refund=refund).deliver()
                drain()
        disputed(big, "opened", amount=700).deliver()
        drain()
    found = of(mei.shop)
    assert told(found) == (4, 5550, 2, 1200)
    assert (found.net, found.direct, found.wants_look) == (4350, 0, 2)
    assert dict(found.changes) == {Part.DISPUTES: -700}
    assert found.change == 3650 == stated(mei.shop, "2026-11-28", EFFECTIVE, NOON + 9 * HOUR)
    assert [(g.key, g.name, g.count, g.amount, g.refunded) for g in found.items] == [
        (apples.id, "Apples", 2, 400, 0),
        (None, "", 2, 5150, 1200),
    ]
    assert [(g.key, g.count, g.amount, g.refunded) for g in found.wallets] == [("sandbox", 4, 5550, 1200)]
    assert [(g.key, g.count, g.amount, g.refunded) for g in found.sellers] == [
        (lan.staff.id, 2, 400, 0),
        (None, 2, 5150, 1200),
    ]


def test_money_in_question_is_in_no_sum(mei: Person, stall: Code) -> None:
    with time_machine.travel(NOON, tick=False):
        sold(stall, 200)
        waits = sold(stall, 300, asked=500, currency="USD")
    assert (waits.placed, waits.currency) == (False, "USD")
    found = of(mei.shop)
    assert (told(found), found.change, found.wants_look) == ((1, 200, 0, 0), 200, 1)
    assert {currency: (each.count, each.amount) for currency, each in found.in_question.items()} == {"USD": (1, 300)}


def test_fees_and_corrections_stand_apart(mei: Person, stall: Code) -> None:
    held, ours = pending(mei.shop), available(mei.shop)
    moved: list[tuple[str, int, dict[str, Any]]] = [
        ("paid", 1000, {}),
        ("due", 30, {"debit": held, "credit": ours}),
        ("fee", 5, {"debit": held, "credit": Place("fee_income")}),
        ("payout_asked", 20, {"debit": ours, "credit": Place("payouts_in_flight", "held", mei.shop.id)}),
        ("adjusted", 7, {}),
    ]
    for kind, amount, sides in moved:
        post(movement(mei.shop, amount, kind=kind, occurred_at=NOON, **sides), now=NOON)
    found = of(mei.shop)
    assert (found.payments.amount, found.net, found.change) == (1000, 1000, 982)
    assert dict(found.changes) == {Part.FEES: -5, Part.PAYOUTS: -20, Part.CORRECTIONS: 7}


def test_another_shops_money_is_in_nobody_elses_day(mei: Person, arjun: Person, stall: Code) -> None:
    paid_at(shop_code(arjun.shop), 900, NOON)
    found = of(mei.shop)
    assert (told(found), found.items, found.wallets, found.sellers) == ((0, 0, 0, 0), [], [], [])
    assert told(of(arjun.shop)) == (1, 900, 0, 0)


@pytest.mark.parametrize(
    ("zone", "day", "first", "last"),
    [
        ("Asia/Shanghai", "2026-11-28", "2026-11-27T16:00:00+00:00", "2026-11-28T15:59:59+00:00"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00+00:00", "2026-10-25T22:59:59+00:00"),  # 25 hours.
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00+00:00", "2026-03-29T21:59:59+00:00"),  # 23 hours.
        ("America/Havana", "2025-11-02", "2025-11-02T04:00:00+00:00", "2025-11-03T04:59:59+00:00"),
    ],
)
@pytest.mark.parametrize("basis", [EFFECTIVE, RECORDED])
def test_a_day_is_the_shops_own_when_clocks_change(
    mei: Person, stall: Code, zone: str, day: str, first: str, last: str, basis: Basis
) -> None:
    mei.shop.time_zone = zone
    second = timedelta(seconds=1)
    begins, ends = datetime.fromisoformat(first), datetime.fromisoformat(last)
    for amount, at in ((1, begins - second), (20, begins), (300, ends), (4000, ends + second)):
        post(movement(mei.shop, amount, occurred_at=at), now=at)
    now = ends + DAY
    found = of(mei.shop, day, basis, now)
    assert (told(found), found.until) == ((2, 320, 0, 0), ends + second)
    assert found.change == stated(mei.shop, day, basis, now)


def test_what_is_told_late_or_early_belongs_to_its_day(mei: Person, stall: Code) -> None:
    """Entries beside their ids' time are found by an index of their own, and those at its edge are found once."""
    for amount, delay in ((1, -25 * HOUR), (20, -24 * HOUR), (300, 0 * HOUR), (4000, 48 * HOUR), (50000, 90 * DAY)):
        post(movement(mei.shop, amount, occurred_at=NOON), now=NOON + delay)
    post(movement(mei.shop, 7, occurred_at=NOON - DAY), now=NOON + 60 * DAY)
    now = NOON + 100 * DAY
    assert told(of(mei.shop, now=now)) == (5, 54321, 0, 0)
    assert told(of(mei.shop, "2026-11-27", now=now)) == (1, 7, 0, 0)
    assert told(of(mei.shop, now=NOON + DAY)) == (3, 321, 0, 0)  # By what is known then.
    assert told(of(mei.shop, basis=RECORDED, now=now)) == (1, 300, 0, 0)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            f"EXPLAIN SELECT 1 FROM payments_ledgerentry WHERE shop_id = %s AND {statement.APART_SQL}", [mei.shop.id]
        )
        assert "ledger_entry_apart" in "".join(row[0] for row in cursor.fetchall())


def test_any_days_sums_are_those_of_their_statements(mei: Person, stall: Code) -> None:
    chance = random.Random(20261128)
    mei.shop.time_zone = "Europe/Berlin"
    begin = datetime(2026, 10, 22, tzinfo=UTC)
    flights = [pending(mei.shop), available(mei.shop)]
    for _ in range(60):
        at = begin + chance.random() * 7 * DAY
        kind = chance.choice(["paid", "due", "refund_asked", "refund_failed", "fee", "dispute_held", "payout_asked"])
        sides: dict[str, Any] = {"debit": flights[0], "credit": flights[1]} if kind == "due" else {}
        if kind in ("refund_asked", "fee", "dispute_held", "payout_asked"):
            sides = {"debit": chance.choice(flights), "credit": receivable()}
        late = chance.choice([0, 1, 3600, 86_400 * 3]) * timedelta(seconds=1)
        post(movement(mei.shop, chance.randrange(1, 999), kind=kind, occurred_at=at, **sides), now=at + late)
    now, changes = begin + 20 * DAY, {}
    for basis in (EFFECTIVE, RECORDED):
        for number in range(12):
            day = (begin + number * DAY).date().isoformat()
            found = of(mei.shop, day, basis, now)
            assert found.change == stated(mei.shop, day, basis, now), (day, basis)
            changes[basis, day] = found.change
    assert sum(v for (basis, _), v in changes.items() if basis is EFFECTIVE) == sum(
        v for (basis, _), v in changes.items() if basis is RECORDED
    )
    assert len(set(changes.values())) > 8


# --- Days before -----------------------------------------------------------------------------------------------------


def test_an_unfinished_day_is_held_against_the_same_time_of_days_before(mei: Person, stall: Code) -> None:
    for back in (0, 1, 7):
        for amount, at in ((100, NOON), (1000, NOON + 5 * HOUR)):
            post(movement(mei.shop, amount + back, occurred_at=at - back * DAY), now=at - back * DAY)
    unfinished, over = of(mei.shop, now=NOON + HOUR), of(mei.shop, now=NOON + 2 * DAY)
    assert [(d.period.name, told(d)[1], d.until) for d in unfinished.before] == [
        ("2026-11-27", 101, NOON + HOUR - DAY),
        ("2026-11-21", 107, NOON + HOUR - 7 * DAY),
    ]
    assert unfinished.until == NOON + HOUR
    assert [(d.period.name, told(d)[1], d.until) for d in over.before] == [
        ("2026-11-27", 1102, NOON + 12 * HOUR - DAY),
        ("2026-11-21", 1114, NOON + 12 * HOUR - 7 * DAY),
    ]


def test_the_same_time_is_the_clocks_own_where_it_was_changed(mei: Person, stall: Code) -> None:
    mei.shop.time_zone = "Europe/Berlin"
    now = datetime(2026, 10, 25, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert [day.until.astimezone(now.tzinfo).isoformat() for day in of(mei.shop, "", now=now).before] == [
        "2026-10-24T12:00:00+02:00",
        "2026-10-18T12:00:00+02:00",
    ]


# --- Over HTTP -------------------------------------------------------------------------------------------------------


def test_the_api_tells_it_whole(api: APIClient, mei: Person, apples: Item) -> None:
    platform()
    payment = paid_at(apples.codes.get(), 200, NOON)
    with time_machine.travel(NOON + HOUR, tick=False):
        refunds.request(staff=mei.staff, payment=payment, amount=50, reason="", now=NOON + HOUR)
        told_now = api.get("/api/v1/ledger/day").json()
        assert api.get("/api/v1/ledger/day?day=2026-11-28&basis=recorded").json() == told_now

    def yuan(amount: int) -> dict[str, Any]:
        return {"amount": amount, "currency": "CNY"}

    group = {"count": 1, "amount": yuan(200), "refunded": yuan(50)}
    none = {"count": 0, "amount": yuan(0)}
    earlier = {"payments": none, "refunds": none, "net": yuan(0)}
    assert told_now == {
        "day": "2026-11-28",
        "until": "2026-11-28T05:00:00Z",
        "payments": {"count": 1, "amount": yuan(200)},
        "refunds": {"count": 1, "amount": yuan(50)},
        "net": yuan(150),
        "period": {
            "name": "2026-11-28", "start": "2026-11-27T16:00:00Z", "end": "2026-11-28T16:00:00Z",
            "time_zone": "Asia/Shanghai",
        },
        "direct": yuan(0), "disputes": yuan(0), "fees": yuan(0), "payouts": yuan(0), "corrections": yuan(0),
        "change": yuan(150),
        "in_question": [],
        "wants_look": 0,
        "by_item": [{**group, "item": ids.public("itm", apples.id), "name": "Apples"}],
        "by_wallet": [{**group, "provider": "sandbox", "wallet": "Pretend wallet"}],
        "by_seller": [{**group, "staff": None, "name": ""}],
        "before": [
            {"day": "2026-11-27", "until": "2026-11-27T05:00:00Z", **earlier},
            {"day": "2026-11-21", "until": "2026-11-21T05:00:00Z", **earlier},
        ],
    }  # fmt: skip


def test_a_day_is_for_owners_and_managers(api: APIClient, mei: Person, lan: Person, stranger: APIClient) -> None:
    day = "/api/v1/ledger/day"
    assert problem(lan.api().get(day)) == (403, "role_too_low")
    assert problem(stranger.get(day)) == (401, "not_authenticated")
    assert hire(mei.shop, "+8613700137000", Staff.Role.MANAGER).api().get(day).status_code == 200
    assert problem(api.get(f"{day}?day=2999-01-01")) == (400, "period_wrong")
    assert problem(api.get(f"{day}?day=today")) == (400, "period_wrong")
    assert field_problems(api.get(f"{day}?basis=guessed")) == {"basis": "invalid_choice"}
