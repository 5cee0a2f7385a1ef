"""Retires months of the ledger: closes one to its readers, proves that nothing needs its entries, and takes it out.

A month is closed some minutes before it leaves, so that whoever began to read before has ended. Both steps can be
killed at any moment and are gone through again. A month leaves when its file holds its rows, as they were sealed; when
the snapshots of its end say of every account what those of its beginning and its entries make; and when everything that
it is about has ended.
"""

from __future__ import annotations

import fcntl
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from merchants import columns
from merchants.journal import journal
from payments import archive, archive_files, boundary, chain, ledger, partitions
from payments.archive import ENTRIES, Differs, StillWanted
from payments.models import Archive
from payments.partitions import Partition
from payments.statement import EARLY, FINAL_AFTER

_log = journal(__name__)

AFTER_CLOSING = FINAL_AFTER  # Whoever reads, or posts, since before it was closed has ended by then.


@dataclass(slots=True)
class _Sums:
    """What the rows of a file make."""

    accounts: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    currencies: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    numbers: list[int] = field(default_factory=list)  # The first and the last.


def due(*, now: datetime, kept: int) -> list[Partition]:
    """The months that end more than `kept` full months before this one, oldest first."""
    bound = partitions.months_before(now, kept)
    return [part for part in partitions.of(ENTRIES) if partitions.datetime_of(part.until) <= bound]


def step(part: Partition, *, folder: Path, now: datetime) -> str:
    """Goes one step on with a month, the older ones first; says in words how far it is.

    Raises StillWanted, Differs, archive.Damaged and chain.NotAsSealed, with the month where it was and open to readers.
    """
    with _alone(folder):
        row = Archive.objects.filter(partition=part.name, closed_at__isnull=False).first()
        if row is None:
            _close(part, folder, now)
            return f"closed: what needs it is refused; it leaves with a run from {now + AFTER_CLOSING:%H:%M} on"
        assert row.closed_at is not None
        if now - row.closed_at < AFTER_CLOSING:
            return f"closed; it leaves with a run from {row.closed_at + AFTER_CLOSING:%H:%M} on"
        if row.retired_at is None:
            _take_out(row, part, now)
        return f"{row.rows} rows, retired to {row.file}, sha256 {row.sha256}"


def retire_due(*, now: datetime, kept: int, folder: Path) -> Iterator[tuple[Partition, str]]:
    """A step for each month that is old enough, until one stays; tells of each how far it is."""
    for part in due(now=now, kept=kept):
        if Archive.objects.filter(partition=part.name, restored_at__isnull=False, closed_at=None).exists():
            yield part, "restored, and stays"
            return
        try:
            yield part, step(part, folder=folder, now=now)
        except StillWanted as why:
            yield part, f"stays, for there are {why}"
            return


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else writes into the folder meanwhile. Raises StillWanted when somebody does."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "retiring.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StillWanted("other runs that have not ended") from None
        yield


def _close(part: Partition, folder: Path, now: datetime) -> None:
    if why := _wanted(part):
        raise StillWanted(why)
    row = archive.write(ENTRIES, part, folder=folder, now=now)
    end = partitions.datetime_of(part.until)
    with _unhurried():
        ledger.take_snapshots(moment=end)
    sums = _proved(row, part)
    seal = chain.prove(part.name, *sums.numbers) if sums.numbers else None
    with _unhurried(), connection.cursor() as cursor:
        cursor.execute(_EXPLAIN_SQL.format(part.name))
        Archive.objects.filter(partition=part.name).update(
            closed_at=now,
            first_number=sums.numbers[0] if sums.numbers else None,
            last_number=sums.numbers[1] if sums.numbers else None,
            seal=seal and seal.number,
            seal_hash=seal.hash if seal else "",
            sums=dict(sorted(sums.currencies.items())),
        )
    boundary.forget()
    _log.info("ledger_month_closed", partition=part.name, rows=row.rows, sha256=row.sha256, file=row.file)


@contextmanager
def _unhurried() -> Iterator[None]:
    """A transaction whose statements may take as long as a month is large."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        yield


def _take_out(row: Archive, part: Partition, now: datetime) -> None:
    """What was proved when it was closed is proved again: of the file as it is now, and of what has ended since."""
    try:
        if why := _wanted(part):
            raise StillWanted(why)
        with transaction.atomic():
            _proved(row, part)
            archive.take_out(row, part, now=now)
    except (StillWanted, Differs, archive_files.Damaged):
        # Open again: everything is where it was. A file that is not right is written anew with the next run.
        Archive.objects.filter(partition=part.name).update(closed_at=None)
        boundary.forget()
        raise


def _proved(row: Archive, part: Partition) -> _Sums:
    """The sums of the file. Raises Differs when the snapshots of its end are not those of its beginning plus these."""
    sums = _Sums()
    for line in archive_files.read(Path(row.file), row.sha256):
        _add(sums, json.loads(line))
    moved = columns.literals((account, *totals) for account, totals in sorted(sums.accounts.items()))
    with _unhurried(), connection.cursor() as cursor:
        values = {
            "accounts": moved[0] if sums.accounts else "{}",
            "debits": moved[1] if sums.accounts else "{}",
            "credits": moved[2] if sums.accounts else "{}",
            "beginning": part.since and partitions.datetime_of(part.since),
            "end": partitions.datetime_of(part.until),
        }
        cursor.execute(_WRONG_SNAPSHOTS_SQL, values)
        if wrong := cursor.fetchone():
            raise Differs(f"{part.name}: account {wrong[0]} does not stand at its end where its entries say")
    return sums


def _add(sums: _Sums, entry: dict[str, Any]) -> None:
    sums.accounts[entry["debit_id"]][0] += entry["amount"]
    sums.accounts[entry["credit_id"]][1] += entry["amount"]
    sums.currencies[entry["currency"]] += entry["amount"]
    number = entry["number"]
    sums.numbers = [min(number, *sums.numbers[:1]), max(number, *sums.numbers[1:])] if sums.numbers else [number] * 2


def _wanted(part: Partition) -> str:
    """Why the month has to stay, in words: what it is about has not ended, or older months are still open."""
    closed = set(Archive.objects.filter(table=ENTRIES, closed_at__isnull=False).values_list("partition", flat=True))
    older = [one.name for one in partitions.of(ENTRIES) if one.until < part.until and one.name not in closed]
    if older:
        return f"older months that stay: {', '.join(older)}"
    with _unhurried(), connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {ENTRIES}_default WHERE id < %s", [part.until])  # noqa: S608
        if strayed := cursor.fetchone()[0]:
            return f"{strayed} entries of older months that nobody has made"
        cursor.execute(_UNFINISHED_SQL.format(part.name), [partitions.datetime_of(part.until) + EARLY])
        counts = cursor.fetchone()
    return " and ".join(f"{count} entries {of}" for count, of in zip(counts, _UNFINISHED, strict=True) if count)


_UNFINISHED = (
    "of payments that wait to be released",
    "of refunds that have not ended",
    "of open disputes",
    "of payouts under way",
    "that open discrepancies are about",
    "of settlements that have not arrived",
    f"that happened more than {EARLY.days} day after its end",
)
_UNFINISHED_SQL = """
SELECT count(*) FILTER (WHERE payment_id IN (SELECT payment_id FROM payments_pendingrelease)),
       count(*) FILTER (WHERE refund_id IN (SELECT id FROM payments_refund WHERE state = 'requested')),
       count(*) FILTER (WHERE dispute_id IN (SELECT id FROM payments_dispute WHERE state = 'open')),
       count(*) FILTER (WHERE cause_id IN (SELECT id FROM payments_payout WHERE state IN ('prepared', 'sent'))),
       count(*) FILTER (WHERE payment_id IN (SELECT payment_id FROM payments_discrepancy
                                              WHERE state = 'open' AND payment_id IS NOT NULL)
                           OR cause_id IN (SELECT payout_id FROM payments_discrepancy
                                            WHERE state = 'open' AND payout_id IS NOT NULL)
                           OR cause_id IN (SELECT match_id FROM payments_statementline line
                                             JOIN payments_discrepancy question ON question.line_id = line.id
                                            WHERE question.state = 'open' AND match_id IS NOT NULL)),
       count(*) FILTER (WHERE cause_id IN (SELECT match_id FROM payments_settlementmatch part
                                             JOIN payments_settlement settlement ON settlement.id = part.settlement_id
                                            WHERE settlement.state <> 'arrived')),
       count(*) FILTER (WHERE occurred_at >= %s)
  FROM "{0}"
"""

# Every account, moved or not, is asked. One without a snapshot of the end has its last one from before: it stood still.
# Added up, and not joined: nobody knows how many rows an array will have, and a plan for few takes hours for many.
_WRONG_SNAPSHOTS_SQL = """
SELECT account_id FROM (
    SELECT account.id AS account_id, coalesce(after.debits, 0) - coalesce(before.debits, 0) AS debits,
           coalesce(after.credits, 0) - coalesce(before.credits, 0) AS credits
      FROM payments_account account
      LEFT JOIN LATERAL (SELECT debits, credits FROM payments_balancesnapshot
                          WHERE account_id = account.id AND moment <= %(beginning)s::timestamptz
                          ORDER BY moment DESC LIMIT 1) AS before ON true
      LEFT JOIN LATERAL (SELECT debits, credits FROM payments_balancesnapshot
                          WHERE account_id = account.id AND moment <= %(end)s::timestamptz
                          ORDER BY moment DESC LIMIT 1) AS after ON true
    UNION ALL
    SELECT account_id, -debits, -credits
      FROM unnest(%(accounts)s::bigint[], %(debits)s::bigint[], %(credits)s::bigint[])
           AS moved(account_id, debits, credits)
) AS difference
 GROUP BY account_id HAVING sum(debits) <> 0 OR sum(credits) <> 0
 LIMIT 1
"""

# What settlements ask of adjustments, when their entries can be asked no more.
_EXPLAIN_SQL = """
UPDATE payments_adjustment adjustment
   SET explains = CASE WHEN credit.kind = 'provider_receivable' THEN entry.amount ELSE -entry.amount END
  FROM "{0}" entry JOIN payments_account credit ON credit.id = entry.credit_id
 WHERE entry.cause_id = adjustment.id AND entry.kind = 'adjusted'
"""
