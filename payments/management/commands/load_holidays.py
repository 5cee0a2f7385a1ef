"""`load_holidays CN 2027`: the bank holidays of a country's year, from the `holidays` package or from a file.

The package (the extra `holidays`, MIT) keeps public holidays and the weekend days that are worked instead. It knows
nothing of a bank's own free days: compare with what the central bank publishes, or give a CSV (`day,name,working`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from payments.models import Holiday
from payments.payouts import terms
from payments.payouts.working_days import TARGET

_ONE = timedelta(days=1)
_NAME_MAX = 80


class Command(BaseCommand):
    help = "Loads the holidays of a calendar for a year. Safe to repeat: days that are known stay as they are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("calendar", help="a country of ISO 3166, as payout terms name it")
        parser.add_argument("year", type=int)
        parser.add_argument("--file", type=Path, help="a CSV with the columns day (2027-02-06), name, working (0 or 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        calendar, year, file = options["calendar"].upper(), options["year"], options["file"]
        if calendar == TARGET:
            raise CommandError("The days of TARGET are computed: there is nothing to load.")
        found = list(_of_file(file, calendar) if file else _of_package(calendar, year))
        rows = [row for row in found if row.day.year == year]
        if not rows:
            raise CommandError(f"There is no day of {year} in it.")
        added = terms.load_holidays(rows)
        self.stdout.write(f"{calendar} {year}: {added} days added, {len(rows) - added} were known.")


def _of_file(path: Path, calendar: str) -> Iterator[Holiday]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                day = date.fromisoformat(row["day"].strip())
                working = {"": False, "0": False, "1": True}[(row.get("working") or "").strip()]
                yield Holiday(calendar=calendar, day=day, name=row["name"].strip()[:_NAME_MAX], working=working)
    except (OSError, KeyError, ValueError, AttributeError) as failure:
        raise CommandError(f"{path} has not the form day,name,working: {failure!r}") from failure


def _of_package(country: str, year: int) -> Iterator[Holiday]:
    """What the package knows of a country. Where the weekend is not Saturday and Sunday, its days are rows as well."""
    try:
        known: Any = import_module("holidays").country_holidays(country, years=year, language="en_US")
    except ImportError as missing:
        raise CommandError("Install the extra `holidays`, or give a --file.") from missing
    except NotImplementedError as unknown:
        raise CommandError(f"The package has no calendar of {country}: give a --file.") from unknown
    for day, name in sorted(known.items()):
        yield Holiday(calendar=country, day=day, name=str(name)[:_NAME_MAX], working=False)
    day = date(year, 1, 1)
    while day.year == year:
        works = day in known.weekend_workdays or (day.weekday() not in known.weekend and day not in known)
        if works and day.weekday() >= 5:
            yield Holiday(calendar=country, day=day, name="a working day", working=True)
        elif not works and day.weekday() < 5 and day not in known:
            yield Holiday(calendar=country, day=day, name="a day of the weekend", working=False)
        day += _ONE
