"""Looks at the lines of providers' statements that are due: the shell round the judgement, batch by batch.

One worker looks at a time: the next finds the turn taken, and goes. What our book may have to say to a batch of lines
is loaded and locked in bulk, each is judged in order, and everything is written in one transaction, so a killed worker
has changed nothing. A batch that fails is halved until the line that breaks it stands alone; that one has to wait.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from billiard.exceptions import SoftTimeLimitExceeded  # Celery's own, without Celery.
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from prometheus_client import Counter

from merchants import columns, ids
from merchants.journal import journal
from payments import fees
from payments.models import StatementLine
from payments.settlement import candidates, judging, pairing, repairs
from payments.settlement.stated import Line, Patience, Verdict

_log = journal(__name__)
_looked = Counter("pushcart_line_looks", "Looks at lines of statements by what became of them", ["outcome"])

MATCH = "payments.match_statements"
_TURN = 0x6C696E6573  # Of the locks by number, this one is ours.
_OUR_TROUBLE = (OperationalError, InterfaceError, SoftTimeLimitExceeded)


class _TurnTaken(Exception):
    """Another worker is looking at lines at this moment."""


def has_due(*, now: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_HAS_DUE_SQL, [now])
        return cursor.fetchone() is not None


def look(*, now: datetime, limit: int | None = None, in_time: Callable[[], bool] = lambda: True) -> int:
    """Looks at due lines of providers' statements, at most `limit` of them; answers at how many.

    None while another worker is at it. Raises OperationalError when the database itself is in trouble; what was not
    looked at stays due.
    """
    done = 0
    while in_time() and (limit is None or done < limit):
        batch = _due(min(settings.LOOK_BATCH_MAX, settings.LOOK_BATCH_MAX if limit is None else limit - done), now)
        try:
            _look_at(batch, now)
        except _TurnTaken:
            break
        done += len(batch)
        if not batch:
            break
    return done


def patience() -> Patience:
    return Patience(settings.LOOK_AGAIN_AFTER, settings.LOOK_AGAIN_IN_TIME, settings.MATCH_BY_AMOUNT_WITHIN)


def _look_at(batch: Sequence[Line], now: datetime) -> None:
    todo = [batch] if batch else []
    while todo:
        part = todo.pop()
        try:
            with transaction.atomic():
                verdicts = _look_once(part, now)
            repairs.ask_of_intents(verdicts, now=now)
        except (*_OUR_TROUBLE, _TurnTaken):
            raise
        except Exception as failure:  # noqa: BLE001  Whatever one line does, the others go on.
            if len(part) > 1:
                middle = len(part) // 2
                todo += [part[middle:], part[:middle]]
                continue
            _log.error("line_not_judged", line=part[0].name, failure=repr(failure))
            StatementLine.objects.filter(id=part[0].id).update(look_at=now + settings.LOOK_AFTER_FAILURE)


def _look_once(chosen: Sequence[Line], now: datetime) -> list[Verdict]:
    _take_turn()
    _plan_for_growth()
    book = candidates.load(chosen)
    lines = _still_due(chosen, now)
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


def _due(limit: int, now: datetime) -> list[Line]:
    """Lines that are due, in the order in which they became so."""
    with transaction.atomic(), connection.cursor() as cursor:
        _plan_for_growth()
        cursor.execute(_DUE_SQL, {"now": now, "limit": limit})
        return sorted(candidates.lines_of(cursor.fetchall()), key=lambda line: line.id)


def _take_turn() -> None:
    """Raises _TurnTaken while another worker judges a batch; our turn ends with our transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_TURN_SQL, [_TURN])
        if cursor.fetchone() != (True,):
            raise _TurnTaken


def _still_due(chosen: Sequence[Line], now: datetime) -> list[Line]:
    """Those of them that nobody has touched since they were chosen, with their rows locked by id."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_SQL, [columns.literal(line.id for line in chosen), now])
        looks = dict(cursor.fetchall())
    return [line for line in chosen if looks.get(line.id) == line.looks]


def _plan_for_growth() -> None:
    """Every look-up is by an index; a plan made while the tables were small would go on reading them whole."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")


def _count(verdicts: Sequence[Verdict], outcomes: dict[UUID, str]) -> None:
    became = (str(outcomes[verdict.pairing.id] if verdict.pairing else verdict.outcome) for verdict in verdicts)
    for outcome, count in Tally(became).items():
        _looked.labels(outcome).inc(count)


_HAS_DUE_SQL = """
SELECT 1 FROM payments_statementline WHERE look_at <= %s AND provider_account_id IS NOT NULL AND match_id IS NULL
 ORDER BY look_at, id LIMIT 1
"""

_DUE_SQL = f"""
SELECT {candidates.COLUMNS}
  FROM payments_statementline line JOIN payments_statement statement ON statement.id = line.statement_id
 WHERE line.look_at <= %(now)s AND line.provider_account_id IS NOT NULL AND line.match_id IS NULL
 ORDER BY line.look_at, line.id LIMIT %(limit)s
"""  # noqa: S608  The columns are our own words.

_TURN_SQL = "SELECT pg_try_advisory_xact_lock(%s)"

_LOCK_SQL = """
SELECT id, looks FROM payments_statementline WHERE id = ANY(%s::bigint[]) AND look_at <= %s AND match_id IS NULL
 ORDER BY id FOR NO KEY UPDATE
"""
