"""The hash chain over the ledger: seals entries in the background, says how far it is, publishes and exports it.

Posting knows nothing of it. The database numbers each entry when it is inserted, and numbers become visible out of
order: a transaction that took number 5 may commit after the one that took 6. So a seal ends before whatever a running
transaction may still add. It reads the newest number given out, then lists the transactions that hold the ledger's
writing lock, and waits for those: who has taken a number held this lock before and gives it back after its rows can be
seen, and who comes later takes a higher number. Then everything up to that number is there, or will never be.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from merchants import ids
from merchants.journal import journal
from payments import boundary, verify_chain, whole_book
from payments.models import LedgerEntry, Seal
from payments.verify_chain import EXPORT, EXPORT_FROM, LEAF_BYTES, NOTHING_BEFORE, canonical, leaf

_log = journal(__name__)

_ENTRIES_MAX = 10_000  # Of one seal: what one transaction of the sealer reads, a fraction of a second's work.
_PATIENCE_S = 2.0  # For transactions that are posting; they take a fraction of it, and the next minute tries again.
_LOOK_EVERY_S = 0.02
_SEALING = 4_810_071_201_503_305_313  # The advisory lock of whoever seals: any number that is nobody else's.


class NotAsSealed(Exception):
    """Entries or seals are not what they were when they were sealed; the sentence names the first."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Entries that no seal covers yet: how many, and how old the oldest is (0 when there is none)."""

    entries: int
    oldest_s: float


def seal(*, now: datetime, in_time: Callable[[], bool] = lambda: True) -> int:
    """Seals what nothing can be added to any more, block by block while `in_time`; answers how many entries.

    Any number may call it at once, and be killed at any moment: there is one chain, and a block is sealed whole or not.
    """
    settled = _settled_number()
    sealed = 0
    while settled and in_time():
        count = _seal_block(settled, now)
        sealed += count
        if count < _ENTRIES_MAX:
            break
    return sealed


def head() -> Seal | None:
    """The newest seal, without its leaves."""
    return Seal.objects.defer("leaves").order_by("-number").first()


def tail(*, now: datetime) -> Tail:
    """What stands behind the newest seal."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), min(recorded_at) FROM payments_ledgerentry"
            " WHERE number > coalesce((SELECT last FROM payments_seal ORDER BY number DESC LIMIT 1), 0)"
        )
        count, oldest = cursor.fetchone()
    return Tail(count, round((now - oldest).total_seconds(), 3) if count else 0.0)


def publish(*, now: datetime) -> bool:
    """Once a day (UTC) lets the head leave the database: into the journal, and into DATA_DIR/heads/ledger.jsonl.

    Both are only worth something where a copy of them is kept elsewhere. Answers whether it did.
    """
    newest = head()
    if newest is None:
        return False
    told = {"at": _moment(now), "seal": newest.number, "entries": newest.total, "hash": newest.hash}
    if not _append_of_the_day(Path(settings.DATA_DIR) / "heads" / "ledger.jsonl", told):
        return False
    _log.info("chain_head", seal=newest.number, entries=newest.total, hash=newest.hash)
    return True


def export(*, now: datetime, archived: bool = False) -> Iterator[bytes]:
    """The whole chain as lines of canonical JSON: each seal behind the entries that it covers, then the unsealed ones.

    Rows are streamed. Seals are read from the moment before the entries are, so every sealed entry is among them.
    Entries that are in archives are read from there when they are `archived`; else the first line says that those with
    an id before its `since` are left out. Raises archive_files.Damaged for a file that is not what was written.
    """
    here = None if archived else boundary.since()
    first = here and ids.first_of(here)
    form = EXPORT if first is None else EXPORT_FROM
    yield canonical({"export": form, "at": _moment(now), "since": first and str(first)})
    entries = seals = 0
    with transaction.atomic():  # Outside of one, a streamed statement would be carried out whole first.
        table = whole_book.load() if archived else _LEDGER
        links = _streamed(_SEALS_SQL, at_once=1)
        link = next(links, None)
        statement = f"{_SELECT_SQL.format(table)} WHERE entry.id >= %s ORDER BY entry.number"
        found = _streamed(statement, [first or UUID(int=0)], at_once=2000)
        for number, _entry_id, line in map(_entry, found):
            while link is not None and number > link[5]:
                yield _seal(*link[2:]).line(link[1])
                link, seals = next(links, None), seals + 1
            yield line
            entries += 1
        while link is not None:
            yield _seal(*link[2:]).line(link[1])
            link, seals = next(links, None), seals + 1
    yield canonical({"end": True, "entries": entries, "seals": seals})


def prove(partition: str, first: int, last: int) -> Seal:
    """Holds the entries of a partition, which are numbered from `first` to `last`, against the seals that cover them.

    Answers the last of those seals, without its leaves; raises NotAsSealed, with the first entry or seal that is not
    what was sealed.
    """
    statement = f"{_SELECT_SQL.format(partition)} WHERE entry.number BETWEEN %s AND %s ORDER BY entry.number"
    covering = Seal.objects.filter(last__gte=first, first__lte=last).order_by("number")
    for row in covering.iterator(chunk_size=1):
        made = _seal(row.number, row.previous, row.first, row.last, row.entries, row.total, row.sealed_at, row.leaves)
        if made.hash != row.hash:
            raise NotAsSealed(f"seal {row.number} is not what it was")
        sealed = {made.leaves[at : at + LEAF_BYTES] for at in range(0, len(made.leaves), LEAF_BYTES)}
        for number, entry_id, line in map(
            _entry, _streamed(statement, [max(row.first, first), row.last], at_once=2000)
        ):
            if leaf(entry_id, line) not in sealed:
                raise NotAsSealed(f"entry {entry_id} (number {number}) is not as seal {row.number} has it")
    newest = covering.defer("leaves").order_by("-number").first()
    if newest is None or newest.last < last:
        raise NotAsSealed(f"no seal covers entry number {last}")
    return newest


# --- Sealing ---------------------------------------------------------------------------------------------------------


def _settled_number() -> int | None:
    """A number up to which every entry can be seen or will never be; None while somebody takes too long to post."""
    with connection.cursor() as cursor:
        # In this order: whoever has taken a number until now already holds the lock that is looked for then.
        cursor.execute("SELECT last_value FROM payments_ledgerentry_number_seq WHERE is_called")
        given_out = cursor.fetchone()
        if given_out is None:
            return None
        posting = _posting()
        stop_at = time.monotonic() + _PATIENCE_S
        while posting:
            if time.monotonic() > stop_at:
                _log.warning("chain_waits", transactions=len(posting))
                return None
            time.sleep(_LOOK_EVERY_S)
            posting = {one for one in _posting() if one in posting or one == _PREPARED}
    return int(given_out[0])


def _posting() -> set[str]:
    """The transactions of others that may have added entries nobody sees yet, by their virtual ids.

    INSERT and COPY hold ROW EXCLUSIVE from before their first row until their transaction has ended for everybody. One
    that is prepared meanwhile loses its id, so all prepared ones count as one that never changes its own. Our own
    transaction, when it has posted, is not waited for: seals and entries end with it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_POSTING_SQL)
        return {row[0] for row in cursor.fetchall()}


def _seal_block(settled: int, now: datetime) -> int:
    """Seals the next entries up to that number, as many as one seal covers; answers how many, 0 beside another."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not _alone():
            return 0
        before = head()  # A statement of its own: it sees what the last holder of the lock has committed.
        cursor.execute(_BLOCK_SQL, [before.last if before else 0, settled, _ENTRIES_MAX])
        rows = [_entry(row) for row in cursor.fetchall()]
        if not rows:
            return 0
        made = _seal(
            before.number + 1 if before else 1,
            before.hash if before else NOTHING_BEFORE,
            rows[0][0],
            rows[-1][0],
            len(rows),
            (before.total if before else 0) + len(rows),
            now,
            b"".join(leaf(entry_id, line) for _number, entry_id, line in rows),
        )
        Seal.objects.create(
            number=made.seal,
            previous=made.previous,
            hash=made.hash,
            first=made.first,
            last=made.last,
            entries=made.entries,
            total=made.total,
            leaves=made.leaves,
            sealed_at=now,
        )
        return len(rows)


def _alone() -> bool:
    """Whether nobody else seals, until our transaction ends. (Without it the unique columns refuse a second seal.)"""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_SEALING])
        return bool(cursor.fetchone()[0])


def _seal(
    number: int, previous: str, first: int, last: int, entries: int, total: int, sealed_at: datetime, leaves: Any
) -> verify_chain.Seal:
    return verify_chain.Seal(number, previous, first, last, entries, total, _moment(sealed_at), bytes(leaves))


# --- The canonical form ----------------------------------------------------------------------------------------------

# Every column of an entry, whichever there will be; but of its accounts their names, which mean the same elsewhere.
_COLUMNS = sorted({field.attname for field in LedgerEntry._meta.concrete_fields} - {"debit_id", "credit_id"})
_NAMES = ["number", *_COLUMNS, "debit", "credit"]
_ID = _NAMES.index("id")


def _entry(row: Sequence[Any]) -> tuple[int, UUID, bytes]:
    """An entry's number, its id and its canonical line."""
    told = {name: _plain(value) for name, value in zip(_NAMES, row, strict=True)}
    return row[0], row[_ID], canonical(told)


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return _moment(value) if isinstance(value, datetime) else value


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


# An account goes by what its columns say. Where its key says something else, somebody has exchanged accounts: both are
# written, which is never what was sealed.
_ACCOUNT_SQL = """
  LEFT JOIN (
      SELECT id, CASE WHEN key = named THEN key ELSE key || ' <> ' || named END AS name
        FROM (SELECT id, key, concat_ws('|', kind, currency, funds, coalesce(replace(shop_id::text, '-', ''), ''),
                                        coalesce(replace(provider_account_id::text, '-', ''), '')) AS named
                FROM payments_account) AS told
  ) AS {0} ON {0}.id = entry.{0}_id"""

_LEDGER = LedgerEntry._meta.db_table
_SELECT_SQL = (
    f"SELECT entry.number, {', '.join(f'entry.{name}' for name in _COLUMNS)}, debit.name, credit.name"  # noqa: S608
    f" FROM {{0}} entry {_ACCOUNT_SQL.format('debit')} {_ACCOUNT_SQL.format('credit')}"
)
_BLOCK_SQL = (
    f"{_SELECT_SQL.format(_LEDGER)} WHERE entry.number > %s AND entry.number <= %s ORDER BY entry.number LIMIT %s"
)
_SEALS_SQL = """
SELECT number, hash, number, previous, first, last, entries, total, sealed_at, leaves
  FROM payments_seal ORDER BY number"""
_PREPARED = "prepared"
_POSTING_SQL = """
SELECT CASE WHEN pid IS NULL THEN 'prepared' ELSE virtualtransaction END FROM pg_locks
 WHERE locktype = 'relation' AND relation = 'payments_ledgerentry'::regclass AND mode = 'RowExclusiveLock' AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND pid IS DISTINCT FROM pg_backend_pid()"""


def _streamed(statement: str, values: Sequence[Any] = (), *, at_once: int) -> Iterator[Sequence[Any]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, values)
        while rows := cursor.fetchmany(at_once):
            yield from rows


# --- Publishing ------------------------------------------------------------------------------------------------------


def _append_of_the_day(file: Path, told: dict[str, Any]) -> bool:
    """Adds a line and brings it to the disk, unless one of this day (UTC) stands there."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("a+b") as heads:
        fcntl.flock(heads, fcntl.LOCK_EX)  # Several processes of one machine may have come at once.
        heads.seek(0, os.SEEK_SET)
        kept = heads.read()
        whole = kept[: kept.rfind(b"\n") + 1]
        heads.truncate(len(whole))  # A line that a crash has cut off tells nothing.
        if whole and json.loads(whole.splitlines()[-1])["at"][:10] >= told["at"][:10]:
            return False
        heads.write(canonical(told) + b"\n")
        heads.flush()
        os.fsync(heads.fileno())
    return True
