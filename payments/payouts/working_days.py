"""The days on which banks pay: weekends, holidays and the weekend days that are worked instead. Pure.

A calendar is a country's (rows of `Holiday`), or TARGET, the euro's, whose days are computed: New Year, Good Friday,
Easter Monday, 1 May, 25 and 26 December (Guideline (EU) 2022/912 of the ECB, annex I).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

TARGET = "TARGET"

_SATURDAY = 5
# The longest row of free days we know is eleven (a Golden Week); a calendar without a working day in this is a mistake.
_FREE_DAYS_MAX = 60
_ONE = timedelta(days=1)


class NoWorkingDay(ValueError):
    """A calendar on which nobody works for two months: somebody has entered it wrongly."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """`free`: days off beside Saturdays and Sundays; `worked`: days on which banks work all the same."""

    free: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()
    target: bool = False

    def works(self, day: date) -> bool:
        if day in self.worked:
            return True
        if day in self.free or day.weekday() >= _SATURDAY:
            return False
        return not (self.target and day in target_days(day.year))

    def next_working(self, day: date) -> date:
        """The day itself when it is a working day, else the first one after it. Raises NoWorkingDay."""
        return self._first(day, _ONE)

    def last_working(self, day: date) -> date:
        """The day itself when it is a working day, else the last one before it. Raises NoWorkingDay."""
        return self._first(day, -_ONE)

    def _first(self, day: date, step: timedelta) -> date:
        for _ in range(_FREE_DAYS_MAX):
            if self.works(day):
                return day
            day += step
        raise NoWorkingDay(f"no working day around {day}")


def calendar(name: str, rows: Iterable[tuple[date, bool]]) -> Calendar:
    """A calendar of that name from its rows (day, whether it is worked)."""
    listed = list(rows)
    return Calendar(
        free=frozenset(day for day, worked in listed if not worked),
        worked=frozenset(day for day, worked in listed if worked),
        target=name == TARGET,
    )


@cache
def target_days(year: int) -> frozenset[date]:
    """The days of a year on which TARGET is closed, weekends left out."""
    sunday = easter(year)
    return frozenset(
        {
            date(year, 1, 1),
            sunday - timedelta(days=2),
            sunday + _ONE,
            date(year, 5, 1),
            date(year, 12, 25),
            date(year, 12, 26),
        }
    )


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, after the anonymous algorithm that Meeus printed (1991)."""
    golden, century, rest = year % 19, year // 100, year % 100
    leap, skipped = century // 4, century % 4
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap - moon_shift + 15) % 30
    weekday = (32 + 2 * skipped + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
