"""Retires old partitions to files that are proved before anything is dropped, and brings them back bit for bit.

A file is compressed lines of JSON: what it is, one line for each row in the order of their ids, and an end that counts
them and says the hash of all before. It is written aside, brought to the disk, read back and held against the table row
by row, while nobody can add to that; only then the partition leaves, in the transaction that says so. A kill at any
moment leaves either the table or the table and a file, and the next run goes on from there.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import chain as joined
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from merchants.journal import journal
from payments import chain
from payments.models import Archive, Discrepancy, LedgerEntry, QueuedEvent, WebhookEvent
from payments.partitions import Partition
from payments.verify_chain import canonical

_log = journal(__name__)

FORMAT = "pushcart-partition/1"
EVENTS, ENTRIES = WebhookEvent._meta.db_table, LedgerEntry._meta.db_table
# Disputes come up to four months after a payment and a year is compared with the one before: with one month to spare,
# nobody asks any more what exactly a provider's bytes were. What they meant is in the book.
BODIES_MONTHS = 13
# What tax law asks of account books in most countries that we know. The files are kept for as long as yours asks.
ENTRIES_YEARS = 10
_PATIENCE = "2s"
_AT_ONCE = 2000


class Damaged(Exception):
    """A file that is not what was written: cut off, or changed."""


class Differs(Exception):
    """A file and its table do not hold the same rows."""


class StillWanted(Exception):
    """Somebody still needs rows of this partition where they are."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a file."""

    table: str
    partition: str
    since: UUID | None
    until: UUID
    columns: dict[str, str]  # Names and types, in the table's order.

    def line(self) -> bytes:
        return canonical(
            {
                "archive": FORMAT,
                "table": self.table,
                "partition": self.partition,
                "since": self.since and str(self.since),
                "until": str(self.until),
                "columns": [[name, kind] for name, kind in self.columns.items()],
            }
        )


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
            rows, digest = _write(file, head, lines)
        row = Archive.objects.create(
            partition=part.name, table=table, since=part.since, until=part.until, rows=rows, sha256=digest,
            file=str(file), written_at=now,
        )  # fmt: skip
    try:
        with transaction.atomic():
            _compare(row)
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
    row = Archive.objects.get(partition=part.name, table=EVENTS, verified_at__isnull=False)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true)", [_PATIENCE]
        )
        cursor.execute(f'LOCK TABLE "{part.name}" IN SHARE MODE')
        _compare(row)
        cursor.execute(f'ALTER TABLE {EVENTS} DETACH PARTITION "{part.name}"')
        # Asked again: the whole table is ours now, so nobody can queue an event of it any more.
        if why := wanted(EVENTS, part):
            raise StillWanted(why)
        cursor.execute(f'DROP TABLE "{part.name}"')
        Archive.objects.filter(partition=part.name).update(verified_at=now, retired_at=now, restored_at=None)
    _log.info("partition_retired", partition=part.name, rows=row.rows, sha256=row.sha256, file=row.file)


def restore(partition: str, *, file: Path | None = None, now: datetime) -> Archive:
    """Brings a retired partition back to where it was, and proves by its hash that it is the same, bit for bit.

    Raises Archive.DoesNotExist, Damaged and Differs, with nothing restored.
    """
    row = Archive.objects.get(partition=partition, retired_at__isnull=False)
    path = file or Path(row.file)
    head = _head(path)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', '0', true)")
        cursor.execute(
            f'CREATE TABLE "{partition}" (LIKE {row.table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES'
            " INCLUDING STORAGE INCLUDING COMPRESSION)"
        )
        names = ", ".join(f'"{name}"' for name in head.columns)
        values = ", ".join(f"(line ->> '{name}')::{kind}" for name, kind in head.columns.items())
        lines = _read(path, row.sha256)
        while some := [line.decode() for line in islice(lines, _AT_ONCE)]:
            cursor.execute(
                f'INSERT INTO "{partition}" ({names}) SELECT {values} FROM unnest(%s::jsonb[]) AS line',  # noqa: S608
                [some],
            )
        _compare(row, path)
        cursor.execute(
            "SELECT pushcart_attach_partition(%s, %s, %s, %s)",
            [row.table, partition, row.since or UUID(int=0), row.until],
        )
        Archive.objects.filter(partition=partition).update(retired_at=None, restored_at=now, verified_at=now)
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


def _compare(row: Archive, path: Path | None = None) -> None:
    """Holds every row of the file against the table's."""
    path = path or Path(row.file)
    with closing(_rows(row.partition, _head(path).columns)) as table:
        for number, (kept, there) in enumerate(zip_longest(_read(path, row.sha256), table), 1):
            if kept != there:
                raise Differs(f"{row.partition}: row {number} is not the same in the table and in {path}")


# --- Files -----------------------------------------------------------------------------------------------------------


def _write(file: Path, head: Head, rows: Iterable[bytes]) -> tuple[int, str]:
    """Writes beside its name, brings it to the disk, and gives it its name then; answers the rows and their hash."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial, count, digest = file.with_suffix(".partial"), 0, sha256()
    # Whoever reads it knows what every shop was paid: it is its owner's alone.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
            for count, line in enumerate(joined([head.line()], rows)):  # noqa: B007  The count is what is left of it.
                digest.update(line + b"\n")
                packed.write(line + b"\n")
            packed.write(canonical({"end": True, "rows": count, "sha256": digest.hexdigest()}) + b"\n")
        raw.flush()
        os.fsync(raw.fileno())
        os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # What is read back comes from the disk.
    partial.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return count, digest.hexdigest()


def _head(file: Path) -> Head:
    with _lines_of(file) as lines:
        told = _parsed(next(lines, b""), file)
    if told.get("archive") != FORMAT:
        raise Damaged(f"{file} does not begin as an archive")
    since = told.get("since")
    return Head(told["table"], told["partition"], since and UUID(since), UUID(told["until"]), dict(told["columns"]))


def _read(file: Path, expected: str) -> Iterator[bytes]:
    """Its rows. Raises Damaged, at its end at the latest, for anything but what was written."""
    digest, count = sha256(), -1
    with _lines_of(file) as lines:
        for line in lines:
            if line.startswith(b'{"end":true'):
                told = _parsed(line, file)
                if (told["rows"], told["sha256"], expected) != (count, digest.hexdigest(), digest.hexdigest()):
                    raise Damaged(f"{file} was changed: its hash or its count is another")
                return
            digest.update(line + b"\n")
            count += 1
            if count:
                yield line
    raise Damaged(f"{file} has no end")


@contextmanager
def _lines_of(file: Path) -> Iterator[Iterator[bytes]]:
    """The lines of a compressed file; whatever cannot be unpacked is Damaged."""
    try:
        packed = gzip.GzipFile(file, "rb")
    except OSError as failure:
        raise Damaged(f"{file} cannot be read: {failure.strerror}") from failure
    with packed:
        yield _unpacked(packed, file)


def _unpacked(packed: gzip.GzipFile, file: Path) -> Iterator[bytes]:
    try:
        for line in packed:
            yield line.rstrip(b"\n")
    except (OSError, EOFError, zlib.error) as failure:
        raise Damaged(f"{file} cannot be unpacked: {failure}") from failure


def _parsed(line: bytes, file: Path) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError as failure:
        raise Damaged(f"{file} has a line that is no JSON") from failure
    return told if isinstance(told, dict) else {}
