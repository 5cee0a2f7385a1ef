"""Two looks at one silence at once: one alarm, told once."""

from __future__ import annotations

from functools import partial
from typing import Any

from merchants.models import CodeAlarm, CodeRhythm, Notice
from payments import code_watch
from tests.cast import Person
from tests.market import day_of, sold
from tests.races.together import slow_after, together, without_row_locks
from tests.test_code_watch import DAY, EVENING, SALES, SWAPPED, look, open_stall


def looks(person: Person) -> list[Any]:
    """Four looks at a code that has just become an alarm."""
    stall = open_stall(person)
    look(SWAPPED - DAY + EVENING)
    sold(sale for day in range(3) for sale in day_of(stall[:2], SWAPPED + day * DAY, SALES))
    silent = CodeRhythm.objects.get(code=stall[2], kind="silent")
    with slow_after("payments.code_watch._told_already", callers=4):
        return together([partial(code_watch._weigh, silent.id, SWAPPED + 4 * DAY)] * 4)


def test_one_alarm_is_raised_and_told_once(real_db: None, mei: Person) -> None:
    assert sorted(looks(mei)) == [False, False, False, True]
    assert (CodeAlarm.objects.count(), Notice.objects.count()) == (1, 1)


def test_without_the_lock_they_run_into_each_other(real_db: None, mei: Person) -> None:
    with without_row_locks():
        answers = looks(mei)
    assert [type(each).__name__ for each in answers if isinstance(each, Exception)].count("IntegrityError") >= 1
    assert CodeAlarm.objects.count() == 1
