"""What an unproved notification makes us ask: a row per question, kept until the provider has answered it.

A hint, or a notification signed by a key that we do not have yet, is believed in nothing; it only puts a question here.
The errand that asks stands in `asking`, and the answer comes in by the inbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest

from merchants import bell
from payments.models import Inquiry

ASK = "payments.ask_providers"


def open_all(wanted: Iterable[tuple[UUID, str]], *, now: datetime) -> None:
    """Notes what is to be asked, as (provider account, object), once while it is unanswered; rings after commit."""
    pairs = sorted(set(wanted))
    if not pairs:
        return
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_SQL, [now, now, [account for account, _ in pairs], [about for _, about in pairs]])
    transaction.on_commit(lambda: bell.ring(ASK))


def due(*, now: datetime) -> QuerySet[Inquiry]:
    return Inquiry.objects.filter(due_at__lte=now).order_by("due_at")


def postpone(inquiry: Inquiry, *, now: datetime) -> None:
    """Moves it ahead to its next turn, before it is asked: a killed worker only delays it. After the last it ends."""
    again = settings.RETRY_AFTER[inquiry.attempts : inquiry.attempts + 1]
    Inquiry.objects.filter(id=inquiry.id).update(attempts=F("attempts") + 1, due_at=now + again[0] if again else None)


def put_back(inquiry: Inquiry, *, now: datetime, after: timedelta) -> None:
    """It could not be asked, and loses no turn by that; one that was opened anew meanwhile has all of them."""
    taken = Inquiry.objects.filter(id=inquiry.id)
    taken.update(attempts=Greatest(F("attempts") - 1, 0), due_at=now + after)


def close(inquiry: Inquiry, *, now: datetime) -> None:
    """The provider has answered; what was hinted at again meanwhile may be news to the answer, and is asked again."""
    taken = Inquiry.objects.filter(id=inquiry.id)
    if not taken.filter(asked_at=inquiry.asked_at).delete()[0]:
        taken.update(due_at=now)


def note_failure(inquiry: Inquiry, failure: str) -> None:
    Inquiry.objects.filter(id=inquiry.id).update(failure=failure[:200])


# One that was given up is asked again when it is told of again; of one that waits, the time of the latest hint is kept.
_OPEN_SQL = """
INSERT INTO payments_inquiry AS held (due_at, asked_at, provider_account_id, object_id, attempts, failure)
SELECT %s, %s, wanted.account_id, wanted.object_id, 0, ''
  FROM unnest(%s::uuid[], %s::text[]) AS wanted(account_id, object_id)
ON CONFLICT (provider_account_id, object_id) DO UPDATE
   SET asked_at = EXCLUDED.asked_at,
       due_at = coalesce(held.due_at, EXCLUDED.due_at),
       attempts = CASE WHEN held.due_at IS NULL THEN 0 ELSE held.attempts END
"""
