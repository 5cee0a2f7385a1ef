"""The one writer of settlements: what their lines make, what the provider tells, what arrived, and how they stand.

All of it is counted anew from the lines and the matches that hold, so nothing here can drift; and where the sides
differ then, the question is asked in the same transaction. A settlement of a shop's own account goes to her own bank,
which we never see: there is none of it here.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from merchants import ids
from payments.settlement import differences


def note(*, statement_id: UUID, now: datetime) -> list[UUID]:
    """Makes the settlements that the lines of an imported statement name, where they are new, and counts them.

    Answers their ids. Must run in the transaction that imports the statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NAMED_SQL, [statement_id])
        named = cursor.fetchall()
        cursor.execute(
            _MAKE_SQL, [now, now + settings.SETTLEMENT_OVERDUE, [ids.new(now) for _ in named], *_columns(named)]
        )
        cursor.execute(_FOUND_SQL, _columns(named))
        found = sorted(row[0] for row in cursor.fetchall())
    recount(settlement_ids=found, now=now)
    return found


def recount(*, settlement_ids: Collection[UUID], now: datetime) -> None:
    """Counts settlements anew, with their rows locked in the order of their ids, and says how each stands.

    Must run before the balances are locked: the questions about the settlements come first.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM payments_settlement WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [sorted(settlement_ids)],
        )
        wanted: dict[str, Any] = {"ids": sorted(settlement_ids), "overdue_after": settings.SETTLEMENT_OVERDUE}
        cursor.execute(_RECOUNT_SQL, wanted)
    differences.review(settlement_ids=settlement_ids, now=now)


def mark_overdue(*, settlement_ids: Collection[UUID]) -> None:
    """Says that these have been waited for long enough; what arrives all the same is counted as ever."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_settlement SET state = 'overdue', look_at = NULL"
            " WHERE id = ANY(%s) AND state = 'in_transit'",
            [sorted(settlement_ids)],
        )


def _columns(named: list[tuple[UUID, str, str]]) -> list[list[object]]:
    return [[row[column] for row in named] for column in range(3)]


_NAMED_SQL = """
SELECT DISTINCT line.provider_account_id, line.settlement_id, line.currency
  FROM payments_statementline line
  JOIN payments_provideraccount account ON account.id = line.provider_account_id AND account.funds = 'held'
 WHERE line.statement_id = %s AND line.settlement_id <> '' AND line.currency <> ''
 ORDER BY 1, 2, 3
"""

_MAKE_SQL = """
INSERT INTO payments_settlement (created_at, look_at, id, provider_account_id, reference, currency, lines_amount,
                                 arrived_amount, state)
SELECT %s, %s, *, 0, 0, 'in_transit' FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[])
ON CONFLICT (provider_account_id, reference, currency) DO NOTHING
"""

_FOUND_SQL = """
SELECT settlement.id FROM payments_settlement settlement
  JOIN unnest(%s::uuid[], %s::text[], %s::text[]) AS named(account_id, reference, currency)
    ON settlement.provider_account_id = named.account_id AND settlement.reference = named.reference
   AND settlement.currency = named.currency
"""

# A line counts while its statement is the one that holds; a payout line tells the sum, the others make it. Files may
# overlap (a day that was fetched, and its month by hand): what several of them tell counts as often as one tells it.
# A settlement that waits again (its match was undone) is waited for as long as it would have been.
_RECOUNT_SQL = """
WITH told AS (
    SELECT settlement.id AS settlement_id, line.statement_id, line.kind, line.object_id, line.occurred_at,
           CASE line.object_id WHEN '' THEN line.id END AS nameless, line.amount, line.fee, count(*) AS times
      FROM payments_settlement settlement
      JOIN payments_statementline line
        ON line.provider_account_id = settlement.provider_account_id AND line.settlement_id = settlement.reference
       AND line.currency = settlement.currency AND line.settlement_id <> ''
      JOIN payments_statement statement ON statement.id = line.statement_id AND statement.state = 'imported'
     WHERE settlement.id = ANY(%(ids)s)
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), once AS (
    SELECT settlement_id, kind, occurred_at, amount * max(times) AS amount, fee * max(times) AS fee
      FROM told GROUP BY settlement_id, kind, object_id, occurred_at, nameless, told.amount, told.fee
), counted AS (
    SELECT settlement.id,
           coalesce(sum(once.amount - once.fee) FILTER (WHERE once.kind <> 'payout'), 0) AS lines_amount,
           -sum(once.amount) FILTER (WHERE once.kind = 'payout') AS told_amount,
           max(once.occurred_at) FILTER (WHERE once.kind = 'payout') AS told_at
      FROM payments_settlement settlement LEFT JOIN once ON once.settlement_id = settlement.id
     WHERE settlement.id = ANY(%(ids)s)
     GROUP BY settlement.id
), arrived AS (
    SELECT part.settlement_id AS id, sum(part.amount) AS amount
      FROM payments_settlementmatch part JOIN payments_match made ON made.id = part.match_id AND made.undone_at IS NULL
     WHERE part.settlement_id = ANY(%(ids)s)
     GROUP BY part.settlement_id
), standing AS (
    SELECT counted.*, coalesce(arrived.amount, 0) AS arrived_amount,
           coalesce(counted.told_amount, counted.lines_amount) AS expected
      FROM counted LEFT JOIN arrived ON arrived.id = counted.id
)
UPDATE payments_settlement settlement
   SET lines_amount = standing.lines_amount, told_amount = standing.told_amount, told_at = standing.told_at,
       arrived_amount = standing.arrived_amount,
       state = CASE WHEN standing.arrived_amount = 0 AND standing.expected <> 0
                    THEN CASE settlement.state WHEN 'overdue' THEN 'overdue' ELSE 'in_transit' END
                    WHEN standing.arrived_amount = standing.expected THEN 'arrived'
                    ELSE 'differs' END,
       look_at = CASE WHEN standing.arrived_amount = 0 AND standing.expected <> 0
                      THEN CASE settlement.state WHEN 'overdue' THEN NULL
                           ELSE coalesce(settlement.look_at, settlement.created_at + %(overdue_after)s) END
                 END
  FROM standing WHERE settlement.id = standing.id
"""
