"""Months of a ledger that is some years ahead, for tests that retire them: with three kept, November 2030 stays."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from django.db import connection

from payments import archive, partitions, retiring
from payments.models import ProviderAccount
from tests.till import platform

SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER = (datetime(2030, month, 1, tzinfo=UTC) for month in (9, 10, 11, 12))
NOW = datetime(2031, 2, 5, 3, tzinfo=UTC)
OF_SEPTEMBER, OF_OCTOBER = "payments_ledgerentry_2030_09", "payments_ledgerentry_2030_10"


def made() -> ProviderAccount:
    """These months, behind the first partition, which has no beginning: the empty ones between take only time."""
    for month in (SEPTEMBER, DECEMBER):
        partitions.make_ahead(now=month)
    with connection.cursor() as cursor:
        for part in partitions.of(archive.ENTRIES)[1:]:
            if partitions.datetime_of(part.until) < SEPTEMBER:
                cursor.execute(f"DROP TABLE {part.name}")
    return platform()


def retire(folder: Path, now: datetime = NOW) -> list[str]:
    """Both steps of every month that is old enough; what was told of the second."""
    list(retiring.retire_due(now=now, kept=3, folder=folder))
    later = now + retiring.AFTER_CLOSING
    return [said for _part, said in retiring.retire_due(now=later, kept=3, folder=folder)]
