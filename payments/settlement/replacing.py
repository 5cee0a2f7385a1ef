"""What a new file of a day takes over from the one it replaces, and what a second file tells again.

Lines that stand unchanged keep what became of them, so nothing is looked at twice. A line that had its match and is
gone, or is told otherwise now, keeps that match: what was booked for it stays until a person has seen the question that
is opened here. What another file of the same source has told already (a report over several days, a bank's week after
its days) is kept, and counted once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

from django.db import connection
from django.db.models import Q

from merchants import ids
from payments.models import Discrepancy, Statement, StatementLine
from payments.settlement import totals

_LINES_AT_ONCE, _ASKED_AT_ONCE = 100_000, 1_000

# A line by what tells it from others: its number, kind, object id, amount, fee, currency, time.
Row = tuple[int, str, str, int, int, str, datetime | None]


def lock(*, older: Statement) -> None:
    """Locks the settlements that its lines name, then the lines: the order of every writer of them."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_SETTLEMENTS_SQL, [older.id])
        cursor.execute(_LOCK_LINES_SQL, [older.id])


def hand_over(*, older: Statement, newer: Statement, now: datetime) -> None:
    """Gives the matches, outcomes and questions of unchanged lines to the new ones; asks about those that are gone."""
    parts = 1 + (older.line_count + newer.line_count) // _LINES_AT_ONCE
    with connection.cursor() as cursor:
        for part in range(parts):
            cursor.execute(_HAND_OVER_SQL, {"older": older.id, "newer": newer.id, "parts": parts, "part": part})
    StatementLine.objects.filter(statement=older, look_at__isnull=False).update(look_at=None)
    _ask_about_vanished(older, newer, now)
    totals.note(statement_id=older.id, now=now)


def tellers(statement: Statement) -> list[UUID]:
    """The files that may have told before what this one tells: of the same source, and not simply of another day."""
    if statement.bank_account_id is not None:
        others = Statement.objects.filter(bank_account=statement.bank_account_id)
    else:
        others = Statement.objects.filter(provider_account=statement.provider_account_id)
        if statement.day is not None:
            others = others.filter(~Q(format=statement.format) | Q(day=None))
    return list(others.filter(state=Statement.State.IMPORTED).exclude(id=statement.id).values_list("id", flat=True))


def set_aside(*, statement: Statement, before: Sequence[UUID], rows: Sequence[Row]) -> None:
    """Marks those of its lines that one of these other files has told already.

    They are not looked at. Where both name the same settlement, only the first does from now on; where only the second
    does (Stripe's report beside its list), it goes on doing so.
    """
    if not before or not rows:
        return
    columns: list[list[object]] = [[row[place] for row in rows] for place in range(7)]
    sql = _SET_ASIDE_SQL if statement.bank_account_id is None else _SET_ASIDE_OF_BANK_SQL
    with connection.cursor() as cursor:
        cursor.execute(sql, [*columns, statement.provider_account_id, list(before), statement.id])


def _ask_about_vanished(older: Statement, newer: Statement, now: datetime) -> None:
    gone = StatementLine.objects.filter(statement=older, match__isnull=False).select_related("match__payment")
    left = gone.order_by("id").iterator(chunk_size=_ASKED_AT_ONCE)
    while lines := list(islice(left, _ASKED_AT_ONCE)):
        _ask_about(lines, older, newer, now)


def _ask_about(lines: Sequence[StatementLine], older: Statement, newer: Statement, now: datetime) -> None:
    Discrepancy.objects.bulk_create(
        (
            Discrepancy(
                id=ids.new(now),
                key=f"line_vanished|{line.id}",
                reason=Discrepancy.Reason.CONTRADICTION,
                provider_account_id=line.provider_account_id,
                shop_id=_shop_of(line),
                payment_id=line.match.payment_id if line.match else None,
                line_id=line.id,
                amount=line.amount,
                currency=line.currency,
                details={"stood_in": str(older), "replaced_by": str(newer), "line": line.number},
                opened_at=now,
            )
            for line in lines
        ),
        ignore_conflicts=True,
    )


def _shop_of(line: StatementLine) -> UUID | None:
    payment = line.match.payment if line.match else None
    return payment.shop_id if payment else None


_LOCK_SETTLEMENTS_SQL = """
SELECT settlement.id FROM payments_settlement settlement
 WHERE (settlement.provider_account_id, settlement.reference) IN
       (SELECT provider_account_id, settlement_id FROM payments_statementline
         WHERE statement_id = %s AND settlement_id <> '')
 ORDER BY settlement.id FOR NO KEY UPDATE
"""
_LOCK_LINES_SQL = """
SELECT count(*) FROM (SELECT id FROM payments_statementline WHERE statement_id = %s
                       ORDER BY id FOR NO KEY UPDATE) AS locked
"""

# Lines of one identity are told apart by their order: two alike in the old file and two in the new are two pairs. Large
# files are done in parts, by a hash that puts all of an identity into one.
_HAND_OVER_SQL = """
WITH numbered AS (
    SELECT id, statement_id, kind, object_id, amount, fee, currency, match_id, outcome, look_at, looks,
           CASE WHEN kind = '' THEN md5(raw::text) ELSE '' END AS unread,
           row_number() OVER (PARTITION BY statement_id, kind, object_id, amount, fee, currency,
                              CASE WHEN kind = '' THEN md5(raw::text) ELSE '' END ORDER BY number) AS nth
      FROM payments_statementline
     WHERE statement_id IN (%(older)s, %(newer)s) AND mod(abs(hashtext(object_id)::bigint), %(parts)s) = %(part)s
), paired AS (
    SELECT old.id AS old_id, new.id AS new_id, old.match_id, old.outcome, old.look_at, old.looks
      FROM numbered old JOIN numbered new USING (kind, object_id, amount, fee, currency, unread, nth)
     WHERE old.statement_id = %(older)s AND new.statement_id = %(newer)s
), given AS (
    UPDATE payments_statementline line
       SET match_id = paired.match_id, outcome = paired.outcome, look_at = paired.look_at, looks = paired.looks
      FROM paired WHERE line.id = paired.new_id
), asked AS (
    UPDATE payments_discrepancy question SET line_id = paired.new_id FROM paired WHERE line_id = paired.old_id
)
UPDATE payments_statementline line SET match_id = NULL, look_at = NULL FROM paired WHERE line.id = paired.old_id
"""

# Looked up one by one, by the index of what moved: a plan for all at once would read every line that there is.
_SET_ASIDE_SQL = """
UPDATE payments_statementline line
   SET look_at = NULL, outcome = 'nothing',
       settlement_id = CASE WHEN found.settlement_id = line.settlement_id THEN '' ELSE line.settlement_id END
  FROM (SELECT asked.number, told.settlement_id
          FROM unnest(%s::int[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[])
               AS asked(number, kind, object_id, amount, fee, currency, occurred_at)
         CROSS JOIN LATERAL (
             SELECT settlement_id FROM payments_statementline told
              WHERE told.provider_account_id = %s AND told.kind = asked.kind AND told.object_id = asked.object_id
                AND told.object_id <> '' AND told.amount = asked.amount AND told.fee = asked.fee
                AND told.currency = asked.currency AND told.statement_id = ANY(%s)
              ORDER BY told.id LIMIT 1) AS told) AS found
 WHERE line.statement_id = %s AND line.number = found.number
"""

# A bank's entry has its name and its day; the next statement that repeats it tells of the same.
_SET_ASIDE_OF_BANK_SQL = _SET_ASIDE_SQL.replace(
    "told.provider_account_id = %s", "told.provider_account_id IS NOT DISTINCT FROM %s"
).replace("told.fee = asked.fee", "told.occurred_at = asked.occurred_at")
