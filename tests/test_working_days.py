"""The days on which banks pay, against days that are written out, and against a package that others keep."""

from __future__ import annotations

from datetime import date, timedelta

import holidays
import pytest

from payments.payouts.working_days import TARGET, NoWorkingDay, calendar, easter, target_days

MONDAY, SATURDAY, SUNDAY = date(2027, 2, 1), date(2027, 2, 6), date(2027, 2, 7)


def test_weekends_are_free_holidays_are_free_and_a_worked_saturday_is_not() -> None:
    days = calendar("CN", [(MONDAY, False), (SATURDAY, True)])
    assert [days.works(day) for day in (MONDAY, MONDAY + timedelta(days=1), SATURDAY, SUNDAY)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_the_next_and_the_last_working_day_are_the_day_itself_when_it_is_one() -> None:
    days = calendar("CN", [(MONDAY, False)])
    tuesday, friday_before = date(2027, 2, 2), date(2027, 1, 29)
    assert (days.next_working(MONDAY), days.next_working(tuesday)) == (tuesday, tuesday)
    assert (days.last_working(MONDAY), days.last_working(tuesday)) == (friday_before, tuesday)


def test_a_calendar_without_working_days_is_a_mistake_with_a_name() -> None:
    days = calendar("CN", [(MONDAY + timedelta(days=number), False) for number in range(90)])
    with pytest.raises(NoWorkingDay):
        days.next_working(MONDAY)


def test_easter_of_years_that_are_known() -> None:
    assert [easter(year) for year in (2000, 2024, 2026, 2027, 2038)] == [
        date(2000, 4, 23), date(2024, 3, 31), date(2026, 4, 5), date(2027, 3, 28), date(2038, 4, 25),
    ]  # fmt: skip


def test_target_is_closed_on_its_six_days_and_no_row_is_needed() -> None:
    assert sorted(target_days(2027)) == [
        date(2027, 1, 1), date(2027, 3, 26), date(2027, 3, 29), date(2027, 5, 1), date(2027, 12, 25),
        date(2027, 12, 26),
    ]  # fmt: skip
    assert not calendar(TARGET, []).works(date(2027, 3, 26))
    assert calendar("DE", []).works(date(2027, 3, 26))


@pytest.mark.parametrize("year", range(2020, 2041))
def test_target_is_as_a_package_that_others_keep_has_it(year: int) -> None:
    assert target_days(year) == set(holidays.financial_holidays("ECB", years=year))
