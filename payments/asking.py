"""What we ask providers of our own accord: how silent intents stand, and to close those that nobody will pay.

Their answers enter the inbox like notifications do, and only `reconcile` draws conclusions. A row is moved ahead to its
next turn and committed before the call, so a killed worker or a slow provider delays it and never loses it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet

from merchants.journal import journal
from payments import inbox, providers
from payments.models import PaymentIntent
from payments.providers.base import ProviderError

ASK = "payments.ask_providers"

_log = journal(__name__)

# Closing is tried again this long after a failure: the intent cannot end before its provider has closed it.
_CLOSE_AGAIN = timedelta(seconds=30)


def has_due(*, now: datetime) -> bool:
    """Whether any intent waits to be asked about or to be closed."""
    # Not `exists`, which would forget the order and with it the index.
    return any(due.values("id").first() for due in (_silent(now), _overdue(now)))


def query_silent(*, now: datetime, limit: int = 100) -> int:
    """Asks about intents from which nothing was heard, on the schedule of settings.QUERY_AFTER; answers how many."""
    asked = 0
    while asked < limit and (intent := _take_silent(now)):
        _keep_answer(intent, "query", now)
        asked += 1
    return asked


def close_overdue(*, now: datetime, limit: int = 100) -> int:
    """Closes, at the provider first, the intents whose time is over or whose shop was frozen; answers how many."""
    closed = 0
    while closed < limit and (intent := _take_overdue(now)):
        _keep_answer(intent, "close", now)
        closed += 1
    return closed


def _keep_answer(intent: PaymentIntent, question: Literal["query", "close"], now: datetime) -> None:
    account = intent.provider_account
    provider = providers.named(account.provider)
    try:
        closing = question == "close"
        verified = provider.close(account, intent) if closing else provider.query(account, intent.reference)
    except ProviderError as failure:
        _log.warning(f"{question}_failed", intent=intent.reference, failure=str(failure))
        return
    inbox.keep(account=account, verified=verified, now=now)


def _take_silent(now: datetime) -> PaymentIntent | None:
    with transaction.atomic():
        intent = _first(_silent(now))
        if intent is not None:
            later = [intent.created_at + after for after in settings.QUERY_AFTER if intent.created_at + after > now]
            PaymentIntent.objects.filter(id=intent.id).update(
                queries=F("queries") + 1, next_query_at=min(later) if later else None
            )
    return intent


def _take_overdue(now: datetime) -> PaymentIntent | None:
    with transaction.atomic():
        intent = _first(_overdue(now))
        if intent is not None:
            closing = intent.closing or PaymentIntent.Closing.EXPIRED
            PaymentIntent.objects.filter(id=intent.id).update(closing=closing, next_close_at=now + _CLOSE_AGAIN)
    return intent


# Ordered as their partial indexes are: whoever waits longest is next, and finished intents are never walked through.


def _silent(now: datetime) -> QuerySet[PaymentIntent]:
    return PaymentIntent.objects.filter(next_query_at__lte=now).order_by("next_query_at")


def _overdue(now: datetime) -> QuerySet[PaymentIntent]:
    still_open = PaymentIntent.objects.filter(state=PaymentIntent.State.OPEN)
    return still_open.filter(next_close_at__lte=now).order_by("next_close_at")


def _first(due: QuerySet[PaymentIntent]) -> PaymentIntent | None:
    free = due.select_for_update(of=("self",), skip_locked=True, no_key=True)
    return free.select_related("provider_account").first()
