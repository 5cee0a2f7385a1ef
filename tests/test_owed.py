"""What a shop is owed and when: turns on a calendar that is written out, and each reason for which nothing is paid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.payouts.owed import Account, Owed, Reason, Standing, Terms, Turn, next_turn, owed, without_terms
from payments.payouts.working_days import Calendar, calendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
PLAIN = calendar("CN", [])
# A Golden Week: 1 to 7 October 2026 are free, Saturday the 10th is worked instead.
GOLDEN = calendar("CN", [*((date(2026, 10, day), False) for day in range(1, 8)), (date(2026, 10, 10), True)])
TERMS = Terms(minimum_amount=100, delay_days=1, cut_off=time(18), zone=SHANGHAI)
STANDING = Standing(shop_state="active", available=500, pending=0, came_since=0, account=Account.READY)


def at(day: date, hour: int = 9) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=SHANGHAI).astimezone(UTC)


def days(now: datetime, days_later: int = 1, handled: date | None = None, known: Calendar = PLAIN) -> tuple[date, date]:
    turn = next_turn(now, replace(TERMS, delay_days=days_later), known, handled=handled)
    return turn.earned_day, turn.pay_day


# 5 October 2026 is a Monday; the plain calendar knows of no holiday.
MON, TUE, WED, THU, FRI, SAT, SUN = (date(2026, 10, day) for day in range(12, 19))
NEXT_MON = date(2026, 10, 19)


@pytest.mark.parametrize(
    ("today", "delay", "expected"),
    [
        (TUE, 1, (MON, TUE)),
        (MON, 1, (date(2026, 10, 11), MON)),  # What was earned on Friday, Saturday and Sunday, on Monday.
        (SAT, 1, (SUN, NEXT_MON)),
        (WED, 2, (MON, WED)),
        (TUE, 2, (date(2026, 10, 11), TUE)),
        (MON, 2, (date(2026, 10, 8), MON)),
        (FRI, 0, (FRI, FRI)),
        (SUN, 0, (NEXT_MON, NEXT_MON)),
    ],
)
def test_the_turn_of_a_day(today: date, delay: int, expected: tuple[date, date]) -> None:
    assert days(at(today), delay) == expected


def test_a_turn_that_was_handled_is_followed_by_the_next_working_days() -> None:
    assert days(at(FRI), 1, handled=THU) == (SUN, NEXT_MON)


def test_a_golden_week_pays_on_the_eighth_and_on_the_saturday_that_is_worked() -> None:
    assert days(at(date(2026, 10, 1)), 1, known=GOLDEN) == (date(2026, 10, 7), date(2026, 10, 8))
    assert days(at(date(2026, 10, 10)), 1, known=GOLDEN) == (date(2026, 10, 9), date(2026, 10, 10))


def test_the_cut_off_is_on_the_shops_own_clock_and_a_turn_of_the_same_day_opens_with_it() -> None:
    turn = next_turn(at(FRI), replace(TERMS, delay_days=0), PLAIN, handled=None)
    assert turn.cut_off_at == turn.opens_at == datetime(2026, 10, 16, 10, tzinfo=UTC)
    turn = next_turn(at(FRI), TERMS, PLAIN, handled=None)
    assert (turn.cut_off_at, turn.opens_at) == (
        datetime(2026, 10, 15, 10, tzinfo=UTC),
        datetime(2026, 10, 15, 16, tzinfo=UTC),
    )


@given(
    today=st.dates(date(2026, 1, 1), date(2028, 12, 31)),
    delay=st.integers(0, 10),
    free=st.sets(st.dates(date(2026, 1, 1), date(2028, 12, 31)), max_size=30),
)
def test_a_turn_is_the_latest_day_whose_delay_is_over(today: date, delay: int, free: set[date]) -> None:
    known = calendar("CN", [(day, False) for day in free])
    earned, pay = days(at(today), delay, known=known)
    assert pay >= today
    assert known.works(pay)

    def paid_on(day: date) -> date:
        """The definition, counted forwards."""
        found = known.next_working(day) if delay == 0 else day
        for _ in range(delay):
            found = known.next_working(found + timedelta(days=1))
        return found

    assert paid_on(earned) <= pay < paid_on(earned + timedelta(days=1))


TURN = Turn(MON, TUE, at(MON, 18), at(TUE, 0))


def decided(now: datetime | None = None, **changes: object) -> Owed:
    return owed(replace(STANDING, **changes), TERMS, TURN, now=now or at(TUE))  # type: ignore[arg-type]


def test_all_that_was_available_at_the_cut_off_is_paid_and_what_came_since_waits() -> None:
    assert decided() == Owed(500, None)
    assert decided(came_since=120) == Owed(380, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shop_state": "restricted"}, Reason.SHOP_RESTRICTED),
        ({"shop_state": "frozen"}, Reason.SHOP_FROZEN),
        ({"shop_state": "closed"}, Reason.SHOP_CLOSED),
        ({"account": Account.NONE}, Reason.NO_ACCOUNT),
        ({"account": Account.UNVERIFIED}, Reason.ACCOUNT_UNVERIFIED),
        ({"account": Account.CHANGING}, Reason.ACCOUNT_CHANGING),
        ({"account": Account.FAILED}, Reason.PAYOUT_FAILED),
        ({"available": -1}, Reason.BALANCE_NEGATIVE),
        ({"available": 500, "pending": -501}, Reason.BALANCE_NEGATIVE),
        ({"available": 0}, Reason.NOTHING_AVAILABLE),
        ({"available": 500, "came_since": 700}, Reason.NOTHING_AVAILABLE),
        ({"available": 500, "came_since": 401}, Reason.BELOW_MINIMUM),
        ({"now": at(MON, 23)}, Reason.NOT_YET),
    ],
)
def test_each_reason_for_which_nothing_is_paid(changes: dict[str, object], reason: Reason) -> None:
    assert decided(**changes).reason is reason  # type: ignore[arg-type]


def test_a_shop_without_terms_is_told_so_unless_it_is_frozen() -> None:
    assert (without_terms("active"), without_terms("frozen")) == (Reason.NO_TERMS, Reason.SHOP_FROZEN)


@given(
    available=st.integers(-1000, 1000),
    pending=st.integers(-1000, 1000),
    came=st.integers(0, 2000),
    account=st.sampled_from(Account),
    state=st.sampled_from(["active", "restricted", "frozen", "closed"]),
)
def test_never_more_than_is_there_never_below_zero_and_never_while_anything_is_held_back(
    available: int, pending: int, came: int, account: Account, state: str
) -> None:
    found = owed(Standing(state, available, pending, came, account), TERMS, TURN, now=at(TUE))
    assert 0 <= found.amount <= max(0, available)
    if found.reason is None:
        assert (state, account) == ("active", Account.READY)
        assert TERMS.minimum_amount <= found.amount <= available - came
        assert available + pending >= 0
