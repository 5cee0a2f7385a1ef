"""When intents are asked about and closed of our own accord: one narrow row for each that may still be paid.

Whoever writes here holds the intent's lock, or has just made it. An intent that ended unpaid may be paid late and its
notification lost, so it goes on being asked about; when nothing is to come any more, its row goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import F

from merchants import columns
from payments.models import IntentTimer, PaymentIntent


def begin(intent: PaymentIntent) -> None:
    """An intent made in this transaction is asked about while it is silent, and closed when its time is over."""
    IntentTimer.objects.create(
        intent=intent,
        provider_account_id=intent.provider_account_id,
        next_query_at=intent.created_at + settings.QUERY_AFTER[0],
        next_close_at=intent.expires_at,
    )


def end(*, paid: Sequence[UUID], unpaid: Sequence[UUID]) -> None:
    """These intents are open no more: none is closed again, and only those that nobody paid are asked about on."""
    with columns.cursor() as cursor:
        if paid:
            cursor.execute(_END_SQL, [columns.literal(paid)])
        if unpaid:
            ended = [columns.literal(unpaid)]
            cursor.execute(_END_UNASKED_SQL, ended)
            cursor.execute(_END_CLOSING_SQL, ended)


def asked(timer: IntentTimer, *, again_at: datetime | None) -> None:
    """Its turn is over; the next one is then, or never."""
    row = IntentTimer.objects.filter(intent=timer.intent_id)
    if again_at is None and timer.next_close_at is None:
        row.delete()
    else:
        row.update(queries=F("queries") + 1, next_query_at=again_at)


def put_back(timer: IntentTimer, *, at: datetime) -> None:
    """It was not asked after all: it keeps its turn, unless something else was heard meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(_PUT_BACK_SQL, [timer.queries, at, timer.intent_id, timer.intent.state])


def ask_at_once(intent_ids: Sequence[UUID], *, now: datetime) -> None:
    """These intents are asked about at once, whatever became of them; the schedule goes on as before."""
    with columns.cursor() as cursor:
        cursor.execute(_ASK_AT_ONCE_SQL, [now, columns.literal(intent_ids)])


def close_at(intent_ids: Sequence[UUID], *, at: datetime) -> None:
    """These open intents are closed then, and not before."""
    with columns.cursor() as cursor:
        cursor.execute(_CLOSE_SQL, [at, columns.literal(intent_ids)])


_END_SQL = "DELETE FROM payments_intenttimer WHERE intent_id = ANY(%s::uuid[])"
_END_UNASKED_SQL = "DELETE FROM payments_intenttimer WHERE intent_id = ANY(%s::uuid[]) AND next_query_at IS NULL"
_END_CLOSING_SQL = """
UPDATE payments_intenttimer SET next_close_at = NULL
 WHERE intent_id = ANY(%s::uuid[]) AND next_close_at IS NOT NULL
"""
# The last turn may have taken the row away.
_PUT_BACK_SQL = """
INSERT INTO payments_intenttimer AS held (intent_id, provider_account_id, queries, next_query_at)
SELECT id, provider_account_id, %s, %s FROM payments_paymentintent WHERE id = %s AND state = %s FOR NO KEY UPDATE
    ON CONFLICT (intent_id) DO UPDATE
   SET queries = greatest(held.queries - 1, 0), next_query_at = EXCLUDED.next_query_at
"""
_ASK_AT_ONCE_SQL = """
INSERT INTO payments_intenttimer AS held (intent_id, provider_account_id, next_query_at)
SELECT id, provider_account_id, %s FROM payments_paymentintent WHERE id = ANY(%s::uuid[]) ORDER BY id
    ON CONFLICT (intent_id) DO UPDATE SET next_query_at = EXCLUDED.next_query_at
 WHERE held.next_query_at IS NULL OR held.next_query_at > EXCLUDED.next_query_at
"""
_CLOSE_SQL = """
INSERT INTO payments_intenttimer AS held (intent_id, provider_account_id, next_close_at)
SELECT id, provider_account_id, %s FROM payments_paymentintent WHERE id = ANY(%s::uuid[]) ORDER BY id
    ON CONFLICT (intent_id) DO UPDATE SET next_close_at = EXCLUDED.next_close_at
"""
