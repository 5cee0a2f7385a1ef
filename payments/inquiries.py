"""What an unproved notification makes us ask: a row per question, kept until the provider has answered it.

A hint, or a notification signed by a key that we do not have yet, is believed in nothing; it only puts a question here.
The errand that asks stands in `asking`, and the answer comes in by the inbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet

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


def close(inquiry: Inquiry) -> None:
    """The provider has answered, or will never know anything of it."""
    Inquiry.objects.filter(id=inquiry.id).delete()


def note_failure(inquiry: Inquiry, failure: str) -> None:
    Inquiry.objects.filter(id=inquiry.id).update(failure=failure[:200])


# One that was given up is asked again when it is told of again.
_OPEN_SQL = """
INSERT INTO payments_inquiry AS held (due_at, asked_at, provider_account_id, object_id, attempts, failure)
SELECT %s, %s, wanted.account_id, wanted.object_id, 0, ''
  FROM unnest(%s::uuid[], %s::text[]) AS wanted(account_id, object_id)
ON CONFLICT (provider_account_id, object_id) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0
 WHERE held.due_at IS NULL
"""
