"""Taking a settlement file in, as a whole or not at all, whether we fetched it or a person brought it.

A file is read twice: first to see that it adds up by its own footer, digest or balances, then to write its rows. All of
it is one transaction: a worker that is killed leaves nothing. The same bytes twice are one statement. A file of a day
that was taken in before, with other content, replaces that one (see `replacing`). What is refused is kept as a row that
says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import IO

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import QuerySet

from merchants import audit, ids
from merchants.models import User
from payments.models import BankAccount, Discrepancy, Statement, StatementLine
from payments.providers.base import ProviderError, RawLine
from payments.settlement import formats, replacing, storing, totals
from payments.settlement.formats import Source

_CHUNK = 1_048_576
_REREAD_AT_ONCE = 2_000

State = Statement.State


class Busy(Exception):
    """Another file of the same source is being taken in at this moment; nothing was done."""


@dataclass(frozen=True, slots=True)
class _Brought:
    """A file, and how it came to us."""

    source: Source
    form: str
    name: str
    day: date | None
    fetched: bool
    uploaded_by: User | None
    sha256: str = ""
    size: int = 0


def take_in(
    *,
    source: Source,
    form: str,
    file: IO[bytes],
    name: str,
    day: date | None,
    fetched: bool,
    uploaded_by: User | None,
    now: datetime,
) -> Statement:
    """Takes a file in and answers its statement: imported (perhaps long ago, by the same bytes), or refused.

    `file` can be sought in. `day` is of the provider's own calendar, None for a file of several days. Raises Busy.
    """
    sha256, size = _digest(file)
    brought = _Brought(source, form, name[:200], day, fetched, uploaded_by, sha256, size)
    try:
        rows = formats.lines(source, form, file)
        # The first row is only given when all of the file adds up: no transaction waits for that.
        first = next(rows, None)
        return _stored(brought, chain([first], rows) if first is not None else (), now)
    except ProviderError as failure:
        return _refused(brought, str(failure), now)


def nothing_happened(*, source: Source, day: date, now: datetime) -> Statement:
    """Notes a day of which the provider itself says that nothing happened. Raises Busy."""
    brought = _Brought(source, next(iter(formats.of(source))), "", day, fetched=True, uploaded_by=None)
    return _stored(brought, (), now)


def reread(*, statement: Statement, now: datetime, operator: User | None = None, reason: str = "") -> int:
    """Reads the lines that have no match again, with today's adapter; answers how many have another meaning now.

    They are looked at anew, and the questions of those that could not be read are closed where they can be now.
    """
    source = statement.provider_account or statement.bank_account
    assert source is not None, "a statement has one source"
    changed, after = 0, 0
    with transaction.atomic():
        while lines := _unmatched(statement, after):
            changed += _read_again(statement, source, lines, now)
            after = lines[-1].id
        if changed:
            totals.note(statement_id=statement.id, now=now)
        if operator is not None:
            after_it = {"changed": changed}
            audit.record(
                operator=operator, act="reread", subject=statement, reason=reason, before={}, after=after_it, now=now
            )
    return changed


def _digest(file: IO[bytes]) -> tuple[str, int]:
    file.seek(0)
    summed, size = hashlib.sha256(), 0
    while piece := file.read(_CHUNK):
        summed.update(piece)
        size += len(piece)
    return summed.hexdigest(), size


# --- Storing ---------------------------------------------------------------------------------------------------------


def _stored(brought: _Brought, rows: Iterable[RawLine], now: datetime) -> Statement:
    try:
        with transaction.atomic():
            _take_turn(brought.source)
            known = _same_bytes(brought)
            return _store(brought, rows, now) if known is None else _known_already(brought, known)
    except IntegrityError:
        # The second lock: whoever took the same bytes in at the same moment was first.
        with transaction.atomic():
            known = _same_bytes(brought)
            if known is None:
                raise
            return _known_already(brought, known)


def _take_turn(source: Source) -> None:
    """Files of one source are taken in one after the other. Raises Busy after the time that any lock is waited for."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [source.id.int >> 65])
    except OperationalError as failure:
        raise Busy(f"another file of {source} is being taken in") from failure


def _same_bytes(brought: _Brought) -> Statement | None:
    of = _of(brought.source)
    return of.filter(sha256=brought.sha256, state=State.IMPORTED, line_count__gt=0).first() if brought.size else None


def _known_already(brought: _Brought, known: Statement) -> Statement:
    """The statement of the same bytes; a row that still waited for them (a person was faster) waits no more."""
    if brought.fetched:
        _of_this_day(brought).filter(state=State.WANTED).exclude(id=known.id).update(
            state=State.REPLACED, due_at=None, failure=f"{known} brought the same file before"
        )
    return known


def _store(brought: _Brought, rows: Iterable[RawLine], now: datetime) -> Statement:
    older = _older(brought)
    if older is not None:
        replacing.lock(older=older)
        Statement.objects.filter(id=older.id).update(state=State.REPLACED, due_at=None)
    statement = _begun(brought, now)
    count = storing.keep(statement=statement, source=brought.source, rows=rows, now=now)
    Statement.objects.filter(id=statement.id).update(state=State.IMPORTED, imported_at=now, line_count=count)
    statement.refresh_from_db()
    if older is not None:
        replacing.hand_over(older=older, newer=statement, now=now)
    totals.note(statement_id=statement.id, now=now)
    _record(brought, statement, now)
    return statement


def _older(brought: _Brought) -> Statement | None:
    """The file that holds for this day until now. A file of several days replaces none."""
    if brought.day is None or isinstance(brought.source, BankAccount):
        return None
    return _of_this_day(brought).filter(state=State.IMPORTED).order_by("-created_at").first()


def _begun(brought: _Brought, now: datetime) -> Statement:
    """The row that waited for this file, or a new one; it is `imported` only when all of its lines are there."""
    told = {
        "name": brought.name,
        "sha256": brought.sha256,
        "size": brought.size,
        "failure": "",
        "due_at": None,
    }
    wanted = _of_this_day(brought).select_for_update(no_key=True).filter(state=State.WANTED).first()
    if brought.fetched and wanted is not None:
        Statement.objects.filter(id=wanted.id).update(**told)
        return wanted
    return Statement.objects.create(
        id=ids.new(now),
        provider_account=None if isinstance(brought.source, BankAccount) else brought.source,
        bank_account=brought.source if isinstance(brought.source, BankAccount) else None,
        format=brought.form,
        day=brought.day,
        state=State.REFUSED,
        fetched=brought.fetched,
        uploaded_by=brought.uploaded_by,
        created_at=now,
        **told,
    )


def _refused(brought: _Brought, failure: str, now: datetime) -> Statement:
    with transaction.atomic():
        statement = _begun(brought, now)
        Statement.objects.filter(id=statement.id).update(state=State.REFUSED, failure=failure[:300])
        statement.refresh_from_db()
        _record(brought, statement, now)
    return statement


def _record(brought: _Brought, statement: Statement, now: datetime) -> None:
    if brought.uploaded_by is not None:
        audit.record(
            operator=brought.uploaded_by,
            act="upload",
            subject=statement,
            reason=statement.failure,
            before={},
            after={"state": statement.state, "name": statement.name, "sha256": statement.sha256,
                   "lines": statement.line_count},
            now=now,
        )  # fmt: skip


def _of(source: Source) -> QuerySet[Statement]:
    of_bank = isinstance(source, BankAccount)
    return Statement.objects.filter(**{"bank_account" if of_bank else "provider_account": source})


def _of_this_day(brought: _Brought) -> QuerySet[Statement]:
    return _of(brought.source).filter(format=brought.form, day=brought.day, day__isnull=False)


# --- Reading again ---------------------------------------------------------------------------------------------------


def _unmatched(statement: Statement, after: int) -> list[StatementLine]:
    lines = StatementLine.objects.select_for_update(no_key=True).filter(statement=statement, match=None, id__gt=after)
    return list(lines.order_by("id")[:_REREAD_AT_ONCE])


def _read_again(statement: Statement, source: Source, lines: list[StatementLine], now: datetime) -> int:
    read = formats.reader(source, statement.format)
    told = [(line, storing.meaning(read, line.raw)) for line in lines]
    changed = [(line, meaning) for line, meaning in told if not _reads_as(line, meaning)]
    storing.change(changed, now)
    rows = [storing.identity(line.number, meaning) for line, meaning in changed if meaning.kind]
    replacing.set_aside(statement=statement, before=replacing.tellers(statement), rows=rows)
    unread = [(line.number, line.raw, meaning) for line, meaning in changed if meaning.why]
    storing.ask(statement=statement, source=source, unread=unread, now=now)
    Discrepancy.objects.filter(
        line__in=[line.id for line, meaning in changed if not meaning.why],
        reason=Discrepancy.Reason.LINE_UNREADABLE,
        state=Discrepancy.State.OPEN,
    ).update(state=Discrepancy.State.RESOLVED, resolved_at=now, resolution="The line was read again, and can be read.")
    return len(changed)


def _reads_as(line: StatementLine, meaning: storing.Meaning) -> bool:
    return all(getattr(line, name) == getattr(meaning, name) for name in storing.READ)
