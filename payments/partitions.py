"""Makes the monthly partitions of raw events and ledger entries ahead of time, and tells how far ahead they reach.

There is no moment without a place for a row: what no month takes goes into a partition for the rest. That one is empty
as long as somebody makes months ahead; when it is not, making its month moves the rows there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from django.db import DatabaseError, connection, transaction

from merchants.journal import journal
from payments.models import LedgerEntry, WebhookEvent

_log = journal(__name__)

TABLES = (WebhookEvent._meta.db_table, LedgerEntry._meta.db_table)
AHEAD_MONTHS = 3  # A daily task that has failed for a quarter of a year has been told of ninety times.
WORRYING_DAYS = 45  # Half of the way: somebody should look, and has a month and a half to do so.
_PATIENCE = "2s"  # Attaching waits for long reports, and meanwhile others wait for it: rather tomorrow again.
_COUNTED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a table: its ids are from `since` (None: from the beginning) to before `until`."""

    name: str
    since: UUID | None
    until: UUID


def of(table: str) -> list[Partition]:
    """The partitions of a table in order of time, without the one for the rest."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, since, until FROM pushcart_partitions(%s) WHERE NOT rest", [table])
        return [Partition(*row) for row in cursor.fetchall()]


def make_ahead(*, now: datetime) -> int:
    """Makes what is missing of this month and the next AHEAD_MONTHS, and counts the tables anew; answers how many."""
    made = 0
    for table in TABLES:
        for month in _months(now.astimezone(UTC).date()):
            try:
                made += _make(table, month)
            except DatabaseError as failure:
                _log.warning("partition_not_made", table=table, month=str(month), failure=str(failure))
        _count(table)
    return made


def ahead_days(*, now: datetime) -> float:
    """For how many days from now every table has its partitions: the shorter of the two; negative when it has ended."""
    ends = [min((datetime_of(part.until) for part in of(table)[-1:]), default=now) for table in TABLES]
    return round((min(ends) - now).total_seconds() / 86400, 1)


def strayed() -> int:
    """Rows that found no month: normally 0; counted up to 10,000."""
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"(SELECT FROM {table}_default LIMIT {_COUNTED_MAX})" for table in TABLES))
        return int(cursor.rowcount)


def months_before(now: datetime, months: int) -> datetime:
    """The beginning of the month (UTC) that many months before this one's."""
    count = now.year * 12 + now.month - 1 - months
    return datetime(max(count // 12, 1970), count % 12 + 1, 1, tzinfo=UTC)


def datetime_of(bound: UUID) -> datetime:
    """The moment of an id, to the millisecond."""
    return datetime.fromtimestamp((bound.int >> 80) / 1000, UTC)


def _months(day: date) -> list[date]:
    return [
        date(day.year + (day.month - 1 + ahead) // 12, (day.month - 1 + ahead) % 12 + 1, 1)
        for ahead in range(AHEAD_MONTHS + 1)
    ]


def _count(table: str) -> None:
    """What no autovacuum ever does for a whole table, only for its parts; without it joins are planned by guesses."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        only = "ONLY " if int(cursor.fetchone()[0]) >= 180_000 else ""  # Older ones count the parts again too.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(f"ANALYZE {only}{table}")


def _make(table: str, month: date) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [_PATIENCE])
        cursor.execute("SELECT pushcart_make_partition(%s, %s)", [table, month])
        return bool(cursor.fetchone()[0])
