"""Retires old partitions to files that are proved before anything is dropped, and brings them back bit for bit.

A file is compressed lines of JSON: what it is, one line for each row in the order of their ids, and an end that counts
them and says the hash of all before. It is written aside, brought to the disk, read back and held against the table row
by row, while nobody can add to that; only then the partition leaves, in the transaction that says so. A kill at any
moment leaves either the table or the table and a file, and the next run goes on from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import closing
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from merchants.journal import journal
from payments import archive_files, boundary, chain, whole_book
from payments.archive_files import Damaged as Damaged
from payments.archive_files import Head
from payments.models import Archive, Discrepancy, LedgerEntry, QueuedEvent, WebhookEvent
from payments.partitions import Partition

_log = journal(__name__)

EVENTS, ENTRIES = WebhookEvent._meta.db_table, LedgerEntry._meta.db_table
# Disputes come up to four months after a payment and a year is compared with the one before: with one month to spare,
# nobody asks any more what exactly a provider's bytes were. What they meant is in the book.
BODIES_MONTHS = 13
# What tax law asks of account books in most countries that we know. The files are kept for as long as yours asks.
ENTRIES_YEARS = 10
_PATIENCE = "2s"
_AT_ONCE = 2000


class Differs(Exception):
    """A file and its table do not hold the same rows."""


class StillWanted(Exception):
    """Somebody still needs rows of this partition where they are."""


def wanted(table: str, part: Partition) -> str:
    """Why the partition cannot go yet, in words; empty when it may."""
    span = (part.since or UUID(int=0), part.until)
    if table == ENTRIES:
        newest = chain.head()
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT max(number) FROM "{part.name}"')  # noqa: S608
            last = cursor.fetchone()[0]
        return "" if last is None or (newest and last <= newest.last) else "entries that no seal covers"
    queued = QueuedEvent.objects.filter(event_id__gte=span[0], event_id__lt=span[1]).count()
    asked = Discrepancy.objects.filter(state="open", event_id__gte=span[0], event_id__lt=span[1]).count()
    reasons = [
        f"{queued} events that are not applied" if queued else "",
        f"{asked} open discrepancies about its events" if asked else "",
    ]
    return " and ".join(filter(None, reasons))


def write(table: str, part: Partition, *, folder: Path, now: datetime) -> Archive:
    """Writes the partition's file and reads it back against the table; one that was written before is read only.

    Raises StillWanted, Damaged and Differs, with the table untouched; such a file is written anew next time.
    """
    if why := wanted(table, part):
        raise StillWanted(why)
    row = Archive.objects.filter(partition=part.name).first()
    if row is None:
        head = Head(table, part.name, part.since, part.until, _columns(part.name))
        file = folder / f"{part.name}.jsonl.gz"
        with transaction.atomic(), closing(_rows(part.name, head.columns)) as lines:
            rows, digest = archive_files.write(file, head, lines)
        row = Archive.objects.create(
            partition=part.name, table=table, since=part.since, until=part.until, rows=rows, sha256=digest,
            file=str(file), written_at=now,
        )  # fmt: skip
    try:
        with transaction.atomic():
            compare(row)
    except (Differs, Damaged):
        row.delete()  # The table is whole: the next run writes the file anew.
        raise
    Archive.objects.filter(partition=part.name).update(verified_at=now)
    return row


def retire(part: Partition, *, now: datetime) -> None:
    """Takes a partition that is written and proved out of the table of raw events: all of it, or nothing happens.

    The rows are held against the file once more where nobody can add to them. Raises StillWanted and Differs, and what
    the database says when it does not get its locks in two seconds.
    """
    take_out(Archive.objects.get(partition=part.name, table=EVENTS, verified_at__isnull=False), part, now=now)


def take_out(row: Archive, part: Partition, *, now: datetime) -> None:
    """The same for a partition of either table; for one of the ledger, `retiring` has proved before that it may go."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true)", [_PATIENCE]
        )
        cursor.execute(f'LOCK TABLE "{part.name}" IN SHARE MODE')
        compare(row)
        cursor.execute(f'ALTER TABLE {row.table} DETACH PARTITION "{part.name}"')
        # Asked again: the whole table is ours now, so nobody can queue an event of it any more.
        if why := wanted(row.table, part):
            raise StillWanted(why)
        cursor.execute(f'DROP TABLE "{part.name}"')
        Archive.objects.filter(partition=part.name).update(
            verified_at=now, retired_at=now, restored_at=None, looked_at=now, failure=""
        )
    _log.info("partition_retired", partition=part.name, rows=row.rows, sha256=row.sha256, file=row.file)


def damage(row: Archive, path: Path) -> str:
    """What is wrong with a file, which is read to its end; empty for what was written."""
    try:
        deque(archive_files.read(path, row.sha256), maxlen=0)
    except Damaged as failure:
        return str(failure)
    return ""


def look_at_files(*, now: datetime) -> list[str]:
    """Looks whether the files of all that has left the database are there, and reads the one that was longest not read.

    Keeps what is wrong, and answers it, one sentence for each.
    """
    gone = Archive.objects.filter(retired_at__isnull=False).order_by(F("looked_at").asc(nulls_first=True), "partition")
    found = []
    for place, row in enumerate(gone):
        if place and not row.failure and Path(row.file).exists():
            continue
        wrong = damage(row, Path(row.file))
        Archive.objects.filter(partition=row.partition).update(looked_at=now, failure=wrong[:500])
        if wrong:
            _log.error("archive_damaged", partition=row.partition, file=row.file, failure=wrong)
            found.append(wrong)
    return found


def restore(partition: str, *, file: Path | None = None, now: datetime) -> Archive:
    """Brings a retired partition back to where it was, and proves by its hash that it is the same, bit for bit.

    Raises Archive.DoesNotExist, Damaged and Differs, with nothing restored.
    """
    row = Archive.objects.get(partition=partition, retired_at__isnull=False)
    path = file or Path(row.file)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', '0', true)")
        cursor.execute(
            f'CREATE TABLE "{partition}" (LIKE {row.table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES'
            " INCLUDING STORAGE INCLUDING COMPRESSION)"
        )
        whole_book.fill(partition, row, path)
        compare(row, path)
        cursor.execute(
            "SELECT pushcart_attach_partition(%s, %s, %s, %s)",
            [row.table, partition, row.since or UUID(int=0), row.until],
        )
        Archive.objects.filter(partition=partition).update(
            closed_at=None, retired_at=None, restored_at=now, verified_at=now
        )
    boundary.forget()
    _log.info("partition_restored", partition=partition, rows=row.rows, sha256=row.sha256)
    return row


def retired(since: UUID) -> list[str]:
    """The partitions of raw events that are in files alone and reach beyond this id."""
    found = Archive.objects.filter(table=EVENTS, retired_at__isnull=False, until__gt=since)
    return list(found.order_by("until").values_list("partition", flat=True))


# --- Tables ----------------------------------------------------------------------------------------------------------


def _columns(partition: str) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [partition],
        )
        return dict(cursor.fetchall())


def _rows(partition: str, columns: dict[str, str]) -> Generator[bytes, None, None]:
    """Each row as PostgreSQL writes it in JSON, in the order of ids. Bytes are hex, moments UTC to the microsecond."""
    pairs = ", ".join(f"'{name}', \"{name}\"" for name in columns)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('timezone', 'UTC', true), set_config('statement_timeout', '0', true)")
    with connection.chunked_cursor() as cursor:
        cursor.execute(f'SELECT jsonb_build_object({pairs})::text FROM "{partition}" ORDER BY id')  # noqa: S608
        while rows := cursor.fetchmany(_AT_ONCE):
            yield from (line.encode() for (line,) in rows)


def compare(row: Archive, path: Path | None = None) -> None:
    """Holds every row of the file against the table's."""
    path = path or Path(row.file)
    with closing(_rows(row.partition, archive_files.head_of(path).columns)) as table:
        for number, (kept, there) in enumerate(zip_longest(archive_files.read(path, row.sha256), table), 1):
            if kept != there:
                raise Differs(f"{row.partition}: row {number} is not the same in the table and in {path}")
