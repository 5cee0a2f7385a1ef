"""What a new file of a day takes over from the one it replaces, and what a second file tells again.

Lines that stand unchanged keep what became of them, so nothing is looked at twice. A line that had its match and is
gone, or is told otherwise now, keeps that match: what was booked for it stays until a person has seen the question that
is opened here. What another file of the same source has told already (a report over several days, a bank's week after
its days) is kept, and counted once.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import connection

from merchants import ids
from payments.models import Discrepancy, Statement, StatementLine
from payments.settlement import totals


def lock(*, older: Statement) -> None:
    """Locks the settlements that its lines name, then the lines: the order of every writer of them."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_SETTLEMENTS_SQL, [older.id])
        cursor.execute(_LOCK_LINES_SQL, [older.id])


def hand_over(*, older: Statement, newer: Statement, now: datetime) -> None:
    """Gives the matches, outcomes and questions of unchanged lines to the new ones; asks about those that are gone."""
    with connection.cursor() as cursor:
        cursor.execute(_HAND_OVER_SQL, {"older": older.id, "newer": newer.id})
    StatementLine.objects.filter(statement=older, look_at__isnull=False).update(look_at=None)
    _ask_about_vanished(older, newer, now)
    totals.note(statement_id=older.id, now=now)


def set_aside_told_before(*, statement: Statement) -> int:
    """Marks lines that another imported file of the same source has told already; answers how many.

    They are not looked at. Where both name the same settlement, only the first does from now on; where only the second
    does (Stripe's report beside its list), it goes on doing so.
    """
    of_bank = statement.bank_account_id is not None
    with connection.cursor() as cursor:
        cursor.execute(
            _TOLD_BEFORE_BY_BANK_SQL if of_bank else _TOLD_BEFORE_SQL,
            {"statement": statement.id, "account": statement.bank_account_id or statement.provider_account_id},
        )
        return int(cursor.rowcount)


def _ask_about_vanished(older: Statement, newer: Statement, now: datetime) -> None:
    gone = StatementLine.objects.filter(statement=older, match__isnull=False).select_related("match__payment")
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
            for line in gone.iterator(chunk_size=1000)
        ),
        batch_size=1000,
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
_LOCK_LINES_SQL = "SELECT 1 FROM payments_statementline WHERE statement_id = %s ORDER BY id FOR NO KEY UPDATE"

# Lines of one identity are told apart by their order: two alike in the old file and two in the new are two pairs.
_HAND_OVER_SQL = """
WITH numbered AS (
    SELECT id, statement_id, kind, object_id, amount, fee, currency, match_id, outcome, look_at, looks,
           CASE WHEN kind = '' THEN md5(raw::text) ELSE '' END AS unread,
           row_number() OVER (PARTITION BY statement_id, kind, object_id, amount, fee, currency,
                              CASE WHEN kind = '' THEN md5(raw::text) ELSE '' END ORDER BY number) AS nth
      FROM payments_statementline WHERE statement_id IN (%(older)s, %(newer)s)
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
UPDATE payments_statementline line SET match_id = NULL FROM paired WHERE line.id = paired.old_id
"""

_TOLD_BEFORE_SQL = """
UPDATE payments_statementline line
   SET look_at = NULL, outcome = 'nothing',
       settlement_id = CASE WHEN told.settlement_id = line.settlement_id THEN '' ELSE line.settlement_id END
  FROM payments_statementline told JOIN payments_statement other ON other.id = told.statement_id,
       payments_statement own
 WHERE line.statement_id = %(statement)s AND own.id = line.statement_id
   AND told.provider_account_id = %(account)s AND told.kind = line.kind AND told.object_id = line.object_id
   AND told.amount = line.amount AND told.fee = line.fee AND told.currency = line.currency
   AND line.object_id <> '' AND line.outcome = ''
   AND other.id <> own.id AND other.state = 'imported'
   AND (other.format <> own.format OR other.day IS NULL OR own.day IS NULL)
"""

# A bank's entry has its name and its day; the next statement that repeats it tells of the same.
_TOLD_BEFORE_BY_BANK_SQL = """
UPDATE payments_statementline line SET look_at = NULL, outcome = 'nothing'
  FROM payments_statementline told JOIN payments_statement other ON other.id = told.statement_id
 WHERE line.statement_id = %(statement)s AND told.provider_account_id IS NULL
   AND told.kind = line.kind AND told.object_id = line.object_id AND told.amount = line.amount
   AND told.currency = line.currency AND told.occurred_at = line.occurred_at
   AND line.object_id <> '' AND line.outcome = ''
   AND other.bank_account_id = %(account)s AND other.id <> line.statement_id AND other.state = 'imported'
"""
