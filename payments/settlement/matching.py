"""Looks at the lines of providers' statements that are due: the shell round the judgement, batch by batch.

A batch is leased first: its lines are moved ahead and that is committed, so a killed worker only delays them, and two
workers never take the same ones. What our book may have to say to them is then loaded and locked in bulk, each is
judged in order, and everything is written in one transaction. A batch that fails is halved until the line that breaks
it stands alone; that one is looked at again when its lease ends.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from prometheus_client import Counter

from merchants import ids
from merchants.journal import journal
from payments import fees
from payments.settlement import candidates, judging, pairing, repairs
from payments.settlement.stated import Line, Patience, Verdict

_log = journal(__name__)
_looked = Counter("pushcart_line_looks", "Looks at lines of statements by what became of them", ["outcome"])

MATCH = "payments.match_statements"
_OUR_TROUBLE = (OperationalError, InterfaceError, SoftTimeLimitExceeded)


def has_due(*, now: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_HAS_DUE_SQL, [now])
        return cursor.fetchone() is not None


def look(*, now: datetime, limit: int | None = None, in_time: Callable[[], bool] = lambda: True) -> int:
    """Looks at due lines of providers' statements, at most `limit` of them; answers at how many.

    Raises OperationalError when the database itself is in trouble; what was not looked at is due again soon.
    """
    done = 0
    while in_time() and (limit is None or done < limit):
        batch = _lease(min(settings.LOOK_BATCH_MAX, settings.LOOK_BATCH_MAX if limit is None else limit - done), now)
        if not batch:
            break
        _look_at(batch, now)
        done += len(batch)
    return done


def patience() -> Patience:
    return Patience(settings.LOOK_AGAIN_AFTER, settings.LOOK_AGAIN_IN_TIME, settings.MATCH_BY_AMOUNT_WITHIN)


def _look_at(batch: Sequence[Line], now: datetime) -> None:
    todo = [batch]
    while todo:
        part = todo.pop()
        try:
            with transaction.atomic():
                verdicts = _look_once(part, now)
            repairs.ask_of_intents(verdicts, now=now)
        except _OUR_TROUBLE:
            raise
        except Exception as failure:  # noqa: BLE001  Whatever one line does, the others go on.
            if len(part) > 1:
                middle = len(part) // 2
                todo += [part[middle:], part[:middle]]
                continue
            _log.error("line_not_judged", line=part[0].name, failure=repr(failure))


def _look_once(leased: Sequence[Line], now: datetime) -> list[Verdict]:
    _plan_for_growth()
    book = candidates.load(leased)
    lines = _still_ours(leased, now)
    new_id: Callable[[], UUID] = partial(ids.new, now)
    verdicts = judging.judge(lines, book, patience(), new_id)
    terms = fees.cost_terms(account_ids={line.account_id for line in lines})
    paired = {verdict.pairing.id: verdict for verdict in verdicts if verdict.pairing}
    conclusions = [
        judging.conclude(verdict.pairing, terms, looks=verdict.line.looks + 1)
        for verdict in paired.values()
        if verdict.pairing
    ]
    pairing.record(verdicts, conclusions, now=now)
    repairs.open_all(verdicts, book, now=now)
    outcomes = {made.pairing.id: made.outcome for made in conclusions}
    _count(verdicts, outcomes)
    return verdicts


def _lease(limit: int, now: datetime) -> list[Line]:
    """Takes due lines, none that another worker holds, and moves them ahead before any work."""
    with transaction.atomic(), connection.cursor() as cursor:
        _plan_for_growth()
        cursor.execute(_LEASE_SQL, {"now": now, "until": now + settings.LOOK_LEASE, "limit": limit})
        return sorted(candidates.lines_of(cursor.fetchall()), key=lambda line: line.id)


def _still_ours(leased: Sequence[Line], now: datetime) -> list[Line]:
    """Those of them that nobody has touched since the lease, with their rows locked by id."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_SQL, [[line.id for line in leased], now + settings.LOOK_LEASE])
        locked = {row[0] for row in cursor.fetchall()}
    return [line for line in leased if line.id in locked]


def _plan_for_growth() -> None:
    """Every look-up is by an index; a plan made while the tables were small would go on reading them whole."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")


def _count(verdicts: Sequence[Verdict], outcomes: dict[UUID, str]) -> None:
    became = (str(outcomes[verdict.pairing.id] if verdict.pairing else verdict.outcome) for verdict in verdicts)
    for outcome, count in Tally(became).items():
        _looked.labels(outcome).inc(count)


_HAS_DUE_SQL = """
SELECT 1 FROM payments_statementline WHERE look_at <= %s AND provider_account_id IS NOT NULL
 ORDER BY look_at, id LIMIT 1
"""

_LEASE_SQL = f"""
WITH chosen AS MATERIALIZED (
    SELECT id FROM payments_statementline WHERE look_at <= %(now)s AND provider_account_id IS NOT NULL
     ORDER BY look_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE payments_statementline AS line SET look_at = %(until)s, looks = looks + 1
      FROM chosen WHERE line.id = chosen.id
    RETURNING line.id AS line_id
)
SELECT {candidates.COLUMNS}
  FROM taken JOIN payments_statementline line ON line.id = taken.line_id
  JOIN payments_statement statement ON statement.id = line.statement_id
"""  # noqa: S608  The columns are our own words.

_LOCK_SQL = """
SELECT id FROM payments_statementline WHERE id = ANY(%s) AND look_at = %s AND match_id IS NULL
 ORDER BY id FOR NO KEY UPDATE
"""
