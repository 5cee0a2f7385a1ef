"""A year of holidays, from a package or from a file; loaded twice it is the same, and a wrong file loads nothing."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from payments.models import Holiday
from payments.payouts import terms

pytestmark = pytest.mark.django_db


def load(*arguments: str, **options: object) -> str:
    output = io.StringIO()
    call_command("load_holidays", *arguments, stdout=output, **options)
    return output.getvalue()


def test_a_golden_week_and_the_saturdays_that_are_worked_for_it() -> None:
    said = load("CN", "2025")
    days = terms.days("CN", date(2025, 6, 1))
    free = [day for day in range(1, 9) if not days.works(date(2025, 10, day))]
    assert free == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [days.works(date(2025, 9, 28)), days.works(date(2025, 10, 11)), days.works(date(2025, 10, 12))] == [
        True, True, False,
    ]  # fmt: skip
    count = Holiday.objects.count()
    assert said == f"CN 2025: {count} days added, 0 were known.\n"
    assert load("cn", "2025") == f"CN 2025: 0 days added, {count} were known.\n"


def test_where_the_weekend_is_friday_and_saturday_sundays_are_worked() -> None:
    load("KW", "2027")
    days = terms.days("KW", date(2027, 9, 1))
    assert [days.works(date(2027, 9, day)) for day in (2, 3, 4, 5, 6)] == [True, False, False, True, True]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    path.write_text("day,name,working\n2027-02-06,Worked,1\n2027-02-08,New Year,\n2028-01-01,Next year,0\n")
    assert load("CN", "2027", file=path) == "CN 2027: 2 days added, 0 were known.\n"
    assert list(Holiday.objects.order_by("day").values_list("day", "name", "working")) == [
        (date(2027, 2, 6), "Worked", True),
        (date(2027, 2, 8), "New Year", False),
    ]


@pytest.mark.parametrize(
    "text", ["", "day,name\n2027-13-01,x\n", "date,name\n2027-01-01,x\n", "day,name,working\n2027-01-01,x,maybe\n"]
)
def test_a_file_that_is_wrong_loads_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "days.csv"
    path.write_text(text)
    with pytest.raises(CommandError):
        load("CN", "2027", file=path)
    assert Holiday.objects.count() == 0


@pytest.mark.parametrize("calendar", ["TARGET", "ZZ"])
def test_a_calendar_that_is_computed_or_unknown_is_refused(calendar: str) -> None:
    with pytest.raises(CommandError):
        load(calendar, "2027")
