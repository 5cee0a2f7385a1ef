"""The shop's own statement: its periods, opening + movements = closing, and both ways of looking at a past moment."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from merchants.models import Shop
from payments import ledger, statement
from payments.chart import Movement, Place
from payments.models import LedgerEntry, ProviderAccount
from payments.statement import Asked, Basis, Period, PeriodWrong
from tests.cast import Person
from tests.races.together import together
from tests.test_ledger import NOON, SUSPENSE, available, movement, numbers, pending, post, receivable
from tests.till import direct, platform

LATER = datetime(2027, 6, 1, tzinfo=UTC)
RECORDED, EFFECTIVE = Basis.RECORDED, Basis.EFFECTIVE


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return platform()


def period(name: str, zone: str = "Asia/Shanghai", known_at: datetime = LATER) -> Period:
    parts = {"month": name, "day": ""} if len(name) == 7 else {"day": name, "month": ""}
    return statement.period(**parts, zone=zone, known_at=known_at)


def ask(shop: Shop, name: str, basis: Basis = RECORDED, *, everything: bool = False, at: datetime = LATER) -> Asked:
    return Asked(shop, period(name, shop.time_zone, at), basis, everything, at)


def told(asked: Asked) -> list[tuple[str, int, int]]:
    """The lines: kind, change, balance."""
    return [(line.kind, line.change, line.balance) for line in statement.lines(asked, statement.opening(asked))]


def totals(asked: Asked) -> tuple[int, int, int, int]:
    """Opening, in, out, closing."""
    found = statement.summary(asked)
    return found.opening.total, found.money_in, found.money_out, found.closing.total


# --- Periods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "name", "start", "hours"),
    [
        ("Asia/Shanghai", "2026-11-22", "2026-11-21T16:00:00+00:00", 24),
        ("Asia/Kolkata", "2026-11-22", "2026-11-21T18:30:00+00:00", 24),
        ("UTC", "2024-02-29", "2024-02-29T00:00:00+00:00", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00+00:00", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00+00:00", 25),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00+00:00", 24.5),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00+00:00", 23),  # Its clock never shows this midnight.
        ("America/Havana", "2025-11-02", "2025-11-02T04:00:00+00:00", 25),  # It shows this one twice.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00+00:00", 0),  # The day that Samoa left out.
        ("Asia/Shanghai", "2026-11", "2026-10-31T16:00:00+00:00", 720),
        ("Europe/Berlin", "2026-03", "2026-02-28T23:00:00+00:00", 743),
        ("Asia/Kolkata", "2026-12", "2026-11-30T18:30:00+00:00", 744),
        ("UTC", "2024-02", "2024-02-01T00:00:00+00:00", 696),
    ],
)
def test_a_period_is_of_the_shops_own_time_zone(zone: str, name: str, start: str, hours: float) -> None:
    found = period(name, zone)
    assert (found.name, found.start.isoformat()) == (name, start)
    assert found.end - found.start == timedelta(hours=hours)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Africa/Cairo", "America/Havana", "Asia/Kolkata", "America/St_Johns"]
)
def test_days_and_months_follow_each_other_without_a_gap(zone: str) -> None:
    days = [period((date(2025, 1, 1) + timedelta(days=day)).isoformat(), zone) for day in range(366)]
    months = [period(f"2025-{month:02}", zone) for month in range(1, 13)]
    for row in (days, months):
        assert [each.end for each in row[:-1]] == [each.start for each in row[1:]]
    assert months[0].start == days[0].start
    assert months[-1].end == days[-1].start
    for day in days:
        assert day.start.astimezone(ZoneInfo(zone)).date().isoformat() == day.name


@pytest.mark.parametrize(
    ("day", "month", "says"),
    [
        ("", "", "Name a day"),
        ("2026-11-22", "2026-11", "Name a day"),
        ("yesterday", "", "is written as"),
        ("2026-11", "", "is written as"),
        ("", "2026-11-22", "is written as"),
        ("20261122", "", "is written as"),
        ("2026-W47-7", "", "is written as"),
        ("2026-02-29", "", "is written as"),
        ("", "2026-13", "is written as"),
        ("٢٠٢٦-١١-٢٢", "", "is written as"),
        ("2026-11-22\n", "", "is written as"),
        ("1970-12-31", "", "does not reach"),
        ("", "9999-12", "does not reach"),
        ("2026-11-24", "", "has not begun"),
        ("", "2026-12", "has not begun"),
    ],
)
def test_what_is_no_period_is_refused(day: str, month: str, says: str) -> None:
    with pytest.raises(PeriodWrong, match=says):
        statement.period(day=day, month=month, zone="Asia/Shanghai", known_at=NOON + timedelta(days=1))


def test_a_period_may_be_asked_for_from_its_first_moment(mei: Person) -> None:
    start = datetime(2026, 11, 22, 16, tzinfo=UTC)
    assert period("2026-11-23", known_at=start).start == start
    with pytest.raises(PeriodWrong):
        period("2026-11-23", known_at=start - timedelta(microseconds=1))


# --- A statement -----------------------------------------------------------------------------------------------------


def test_opening_and_movements_make_the_closing(account: ProviderAccount, mei: Person) -> None:
    flight = Place("refunds_in_flight", "held", mei.shop.id)
    post(movement(mei.shop, 1000), now=NOON - timedelta(days=1))
    post(movement(mei.shop, 200), now=NOON)
    post(movement(mei.shop, 300), now=NOON + timedelta(seconds=1))
    back: dict[str, Any] = {"debit": pending(mei.shop), "credit": flight, "kind": "refund_asked"}
    post(movement(mei.shop, 70, **back), now=NOON + timedelta(seconds=2))
    post(movement(mei.shop, 5000), now=NOON + timedelta(days=1))
    asked = ask(mei.shop, "2026-11-22")
    assert told(asked) == [("paid", 200, 1200), ("paid", 300, 1500), ("refund_asked", -70, 1430)]
    assert totals(asked) == (1000, 500, 70, 1430)
    found = statement.summary(asked)
    assert [(each.kind, each.count, each.change) for each in found.totals] == [
        ("paid", 2, 500),
        ("refund_asked", 1, -70),
    ]
    assert found.opening == ledger.balance(shop=mei.shop, at=asked.period.start - timedelta(milliseconds=1))
    assert found.closing == ledger.balance(shop=mei.shop, at=asked.period.end - timedelta(milliseconds=1))


def test_a_period_begins_on_its_stroke_and_ends_before_the_next(account: ProviderAccount, mei: Person) -> None:
    start, end = datetime(2026, 11, 21, 16, tzinfo=UTC), datetime(2026, 11, 22, 16, tzinfo=UTC)
    moment = timedelta(milliseconds=1)
    for amount, at in ((1, start - moment), (2, start), (4, end - moment), (8, end)):
        post(movement(mei.shop, amount, occurred_at=at), now=at)
    for basis in Basis:
        assert told(ask(mei.shop, "2026-11-22", basis)) == [("paid", 2, 3), ("paid", 4, 7)]
        assert totals(ask(mei.shop, "2026-11-22", basis)) == (1, 6, 0, 7)
        assert totals(ask(mei.shop, "2026-11-23", basis)) == (7, 8, 0, 15)


def test_what_leaves_the_total_as_it_is_is_told_when_everything_is_asked_for(
    account: ProviderAccount, mei: Person
) -> None:
    post(movement(mei.shop, 200))
    turns: dict[str, Any] = {"debit": pending(mei.shop), "credit": available(mei.shop), "kind": "due"}
    post(movement(mei.shop, 150, **turns), now=NOON + timedelta(seconds=1))
    for basis in Basis:
        assert told(ask(mei.shop, "2026-11-22", basis)) == [("paid", 200, 200)]
        assert told(ask(mei.shop, "2026-11-22", basis, everything=True)) == [("paid", 200, 200), ("due", 0, 200)]
        for everything, kinds in ((False, ["paid"]), (True, ["due", "paid"])):
            found = statement.summary(ask(mei.shop, "2026-11-22", basis, everything=everything))
            assert [each.kind for each in found.totals] == kinds
            assert numbers(found.closing) == (150, 50, 200, 0)


def test_direct_money_suspense_other_currencies_and_other_shops(
    account: ProviderAccount, mei: Person, arjun: Person
) -> None:
    settled = Place("settled_direct", "direct", mei.shop.id, direct(mei.shop).id)
    post(
        movement(mei.shop, 70, debit=settled, credit=available(mei.shop, "direct")),
        movement(mei.shop, 5000, credit=SUSPENSE),
        movement(mei.shop, 300, currency="USD"),
        movement(arjun.shop, 900, currency="INR"),
    )
    for basis in Basis:
        asked = ask(mei.shop, "2026-11-22", basis)
        assert told(asked) == [("paid", 70, 70)]
        assert numbers(statement.summary(asked).closing) == (70, 0, 70, 70)
        everything = [change for _kind, change, _sum in told(ask(mei.shop, "2026-11-22", basis, everything=True))]
        assert sorted(everything) == [0, 70]  # The suspense of her currency, and nothing of the others.


def test_a_shop_without_a_book_has_an_empty_statement(mei: Person) -> None:
    for basis in Basis:
        for name in ("2026-11-22", "1999-01", "1971-01-01"):
            asked = ask(mei.shop, name, basis)
            assert (told(asked), totals(asked), statement.summary(asked).totals) == ([], (0, 0, 0, 0), [])


# --- As we knew it, and as it was ------------------------------------------------------------------------------------


def test_money_that_we_heard_of_late_is_in_its_own_day_and_in_the_day_we_learned_of_it(
    account: ProviderAccount, mei: Person
) -> None:
    post(movement(mei.shop, 200), now=NOON)
    post(movement(mei.shop, 35), now=NOON + timedelta(days=2))  # It happened at NOON, too.
    assert totals(ask(mei.shop, "2026-11-22", RECORDED)) == (0, 200, 0, 200)
    assert totals(ask(mei.shop, "2026-11-22", EFFECTIVE)) == (0, 235, 0, 235)
    assert totals(ask(mei.shop, "2026-11-24", RECORDED)) == (200, 35, 0, 235)
    assert totals(ask(mei.shop, "2026-11-24", EFFECTIVE)) == (235, 0, 0, 235)
    # What was effective then, as we knew it then: the statement that was printed on that evening.
    evening = NOON + timedelta(hours=3)
    assert totals(ask(mei.shop, "2026-11-22", EFFECTIVE, at=evening)) == (0, 200, 0, 200)


def test_an_effective_statement_is_in_the_order_in_which_things_happened(account: ProviderAccount, mei: Person) -> None:
    for amount, minutes in ((1, 30), (2, 10), (4, 20)):
        post(movement(mei.shop, amount, occurred_at=NOON + timedelta(minutes=minutes)), now=NOON)
    assert [change for _kind, change, _sum in told(ask(mei.shop, "2026-11-22", RECORDED))] == [1, 2, 4]
    assert [change for _kind, change, _sum in told(ask(mei.shop, "2026-11-22", EFFECTIVE))] == [2, 4, 1]


@pytest.mark.parametrize(
    ("basis", "known", "now", "final"),
    [
        (RECORDED, "2026-11-22T15:00:00", "2026-11-22T15:00:00", False),
        (RECORDED, "2026-11-22T16:14:59", "2026-11-22T16:14:59", False),
        (RECORDED, "2026-11-22T16:15:00", "2026-11-22T16:15:00", True),
        (RECORDED, "2026-11-22T12:00:00", "2026-11-22T12:16:00", True),
        (EFFECTIVE, "2026-12-22T16:15:00", "2026-12-22T16:15:00", False),
        (EFFECTIVE, "2026-11-22T12:00:00", "2026-11-22T12:15:00", True),
    ],
)
def test_a_statement_says_whether_it_can_still_change(
    mei: Person, basis: Basis, known: str, now: str, final: bool
) -> None:
    asked = ask(mei.shop, "2026-11-22", basis, at=datetime.fromisoformat(f"{known}+00:00"))
    assert asked.final(datetime.fromisoformat(f"{now}+00:00")) is final


def month_of_trade(shop: Shop) -> tuple[list[datetime], list[tuple[int, int, int, int]]]:
    """Three weeks, in which much is heard of late; at every moment of them, what the balance said right then."""
    dice = random.Random(4)
    settled = Place("settled_direct", "direct", shop.id, direct(shop).id)
    flight = Place("payouts_in_flight", "held", shop.id)
    ways: list[Callable[[], dict[str, Any]]] = [
        dict,
        lambda: {"debit": pending(shop), "credit": available(shop), "kind": "due"},
        lambda: {"debit": settled, "credit": available(shop, "direct")},
        lambda: {"debit": available(shop), "credit": receivable(), "kind": "refund_reported"},
        lambda: {"debit": pending(shop), "credit": Place("fee_income"), "kind": "fee"},
        lambda: {"debit": available(shop, "direct"), "credit": settled, "kind": "provider_fee"},
        lambda: {"debit": available(shop), "credit": flight, "kind": "payout_asked"},
        lambda: {"debit": flight, "credit": Place("bank"), "kind": "payout_paid"},
        lambda: {"debit": flight, "credit": available(shop), "kind": "payout_failed"},
        lambda: {"debit": Place("bank"), "credit": available(shop), "kind": "payout_returned"},
        lambda: {"debit": Place("adjustments"), "credit": available(shop), "kind": "adjusted"},
        lambda: {"debit": available(shop), "credit": Place("adjustments"), "kind": "adjusted"},
        lambda: {"debit": settled, "credit": available(shop, "direct"), "kind": "reversed"},
    ]
    moments, said = [], []
    at = NOON
    while at < NOON + timedelta(days=21):
        late = timedelta(seconds=dice.choice([0, 0, 1, 600, 90_000, 400_000]), milliseconds=dice.randint(-5, 5))
        batch: list[Movement] = [
            movement(shop, dice.randint(1, 999), **{"occurred_at": at - late, **dice.choice(ways)()})
            for _ in range(dice.randint(1, 4))
        ]
        post(*batch, now=at)
        moments.append(at)
        said.append(numbers(ledger.balance(shop=shop)))
        at += timedelta(milliseconds=dice.choice([1, 3, 1000, 3_600_000, 20_000_000]))
    return moments, said


def recomputed(entries: list[LedgerEntry], clock: str, at: datetime) -> tuple[int, int, int, int]:
    """The balance from nothing but the entries of the shop: those of a time not after the end of that millisecond."""
    end = at.replace(microsecond=at.microsecond // 1000 * 1000) + timedelta(milliseconds=1)
    parts = {("shop_available", "held"): 0, ("shop_available", "direct"): 0, ("shop_pending", "held"): 0}
    for entry in entries:
        if getattr(entry, clock) < end:
            for side, sign in ((entry.credit, 1), (entry.debit, -1)):
                if (side.kind, side.funds) in parts:
                    parts[side.kind, side.funds] += sign * entry.amount
    held, direct_, pending_ = parts.values()
    return held + direct_, pending_, held + direct_ + pending_, direct_


def test_at_a_thousand_past_moments_the_book_says_what_it_said_then_and_what_the_entries_add_up_to(
    account: ProviderAccount, mei: Person
) -> None:
    moments, said = month_of_trade(mei.shop)
    assert len(moments) > 150
    assert set(LedgerEntry.objects.values_list("kind", flat=True)) >= {
        "paid", "due", "fee", "refund_reported", "provider_fee", "payout_asked", "payout_paid", "payout_failed",
        "payout_returned", "adjusted", "reversed",
    }  # fmt: skip
    dice = random.Random(5)
    span = (moments[-1] - moments[0]).total_seconds() + 86_400
    asked = [moments[0] + timedelta(seconds=dice.uniform(-86_400, span)) for _ in range(900)]
    asked += [dice.choice(moments) + timedelta(milliseconds=dice.choice([-1, 0, 1])) for _ in range(100)]
    entries = list(LedgerEntry.objects.filter(shop=mei.shop).select_related("debit", "credit"))
    for number, at in enumerate(asked):
        if number % 100 == 50:  # Asked with no snapshot at first, and with one of every few days in the end.
            day = moments[0].replace(hour=0) + timedelta(days=1 + number // 50)
            ledger.take_snapshots(moment=day)
        known = bisect_right(moments, at)
        reported = said[known - 1] if known else (0, 0, 0, 0)
        assert numbers(ledger.balance(shop=mei.shop, at=at)) == reported == recomputed(entries, "recorded_at", at), at
        effective = statement.effective_balance(shop=mei.shop, at=at, known_at=LATER)
        assert numbers(effective) == recomputed(entries, "occurred_at", at), at


@pytest.mark.parametrize("basis", list(Basis))
def test_the_statements_of_all_days_are_one_book(account: ProviderAccount, mei: Person, basis: Basis) -> None:
    month_of_trade(mei.shop)
    ledger.take_snapshots(moment=NOON.replace(hour=0) + timedelta(days=9))
    names = [f"2026-11-{day}" for day in range(16, 31)] + [f"2026-12-{day:02}" for day in range(1, 18)]
    closing, found = 0, 0
    for name in names:
        asked = ask(mei.shop, name, basis, everything=True)
        first, money_in, money_out, last = totals(asked)
        lines = told(asked)
        assert first == closing, name
        assert last == first + money_in - money_out == (lines[-1][2] if lines else first), name
        closing, found = last, found + len(lines)
    assert closing == ledger.balance(shop=mei.shop).total
    assert found == LedgerEntry.objects.filter(shop=mei.shop).count()
    by_month = [statement.summary(ask(mei.shop, name, basis)) for name in ("2026-11", "2026-12")]
    assert by_month[0].closing == by_month[1].opening
    assert by_month[1].closing == ledger.balance(shop=mei.shop)


# --- Long ones -------------------------------------------------------------------------------------------------------


def test_lines_are_of_one_moment_and_leave_no_transaction_open(
    real_db: None, mei: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform()
    monkeypatch.setattr(statement, "_AT_ONCE", 10)
    post(*(movement(mei.shop, 1) for _ in range(30)))
    asked = ask(mei.shop, "2026-11-22", EFFECTIVE)
    lines = statement.lines(asked, statement.opening(asked))
    assert [next(lines).balance for _ in range(5)] == [1, 2, 3, 4, 5]
    together([lambda: post(movement(mei.shop, 1000), now=NOON + timedelta(hours=1))])
    assert not connection.in_atomic_block
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in transaction%%'"
        )
        assert cursor.fetchone() == (0,)
    assert [line.balance for line in lines] == list(range(6, 31))
    assert totals(asked) == (0, 1030, 0, 1030)


def test_a_reader_who_goes_away_leaves_nothing_behind(real_db: None, mei: Person) -> None:
    platform()
    post(*(movement(mei.shop, 1) for _ in range(30)))
    asked = ask(mei.shop, "2026-11-22")
    lines = statement.lines(asked, statement.opening(asked))
    next(lines)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        before = cursor.fetchone()
        lines.close()  # type: ignore[attr-defined]  # What the server does with the answer of a client that is gone.
        cursor.execute("SELECT count(*) FROM pg_cursors")
        assert (before, cursor.fetchone()) == ((1,), (0,))
