"""What we ask providers of our own accord: how silent intents stand, what was hinted at, and to close what is over.

Their answers enter the inbox like notifications do, and only `reconcile` draws conclusions. A row is moved ahead to its
next turn and committed before the call, so a killed worker or a slow provider delays it and never loses it. A provider
is asked no more than settings.QUERY_BUDGET allows; one whose circuit is open is left alone, and its rows keep their
turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from merchants import bell, limits
from merchants.journal import journal
from payments import circuit, inbox, inquiries, providers, timers
from payments.models import Inquiry, IntentTimer, PaymentIntent, ProviderAccount
from payments.providers.base import ProviderError, Ref, Verified

ASK = inquiries.ASK

_log = journal(__name__)

# Closing is tried again: the intent cannot end before its provider has closed it. What takes a provider days to decide
# (a bank debit under way) is asked about ever less often, a tenth of its delay later.
_CLOSE_AGAIN, _CLOSE_AGAIN_MAX = timedelta(seconds=30), timedelta(hours=1)
# A question for which the provider's budget had nothing left waits this long, and loses no turn.
_ASK_AGAIN = timedelta(seconds=10)

Row = TypeVar("Row", IntentTimer, Inquiry)


def has_due(*, now: datetime) -> bool:
    """Whether any intent waits to be asked about or to be closed, or an inquiry to be made."""
    resting = circuit.resting()
    # Not `exists`, which would forget the order and with it the index.
    if any(due.values("pk").first() for due in (_silent(now, resting), _overdue(now, resting))):
        return True
    return _hinted(now, resting).values("id").first() is not None


def query_silent(*, now: datetime, limit: int = 100, in_time: Callable[[], bool] = lambda: True) -> int:
    """Asks about intents from which nothing was heard, on the schedule of settings.QUERY_AFTER; answers how many."""
    return _in_turn(limit, in_time, lambda resting: _take_silent(now, resting), lambda timer: _query(timer, now))


def close_overdue(*, now: datetime, limit: int = 100, in_time: Callable[[], bool] = lambda: True) -> int:
    """Closes, at the provider first, the intents whose time is over or whose shop was frozen; answers how many."""
    return _in_turn(
        limit, in_time, lambda resting: _take_overdue(now, resting), lambda timer: _close(timer.intent, now)
    )


def inquire(*, now: datetime, limit: int = 100, in_time: Callable[[], bool] = lambda: True) -> int:
    """Asks about what was only hinted at, and for keys that are missing; answers how many."""
    return _in_turn(limit, in_time, lambda resting: _take_hinted(now, resting), lambda inquiry: _inquire(inquiry, now))


def ask_again(*, intent_ids: Sequence[UUID], now: datetime) -> None:
    """Has these intents asked about at once, whatever their schedule says; it goes on as before. Rings."""
    if not intent_ids:
        return
    with transaction.atomic():
        rows = PaymentIntent.objects.select_for_update(no_key=True).filter(id__in=intent_ids).order_by("id")
        timers.ask_at_once(list(rows.values_list("id", flat=True)), now=now)
        transaction.on_commit(lambda: bell.ring(ASK))


def _in_turn(
    limit: int, in_time: Callable[[], bool], take: Callable[[Sequence[UUID]], Row | None], ask: Callable[[Row], bool]
) -> int:
    """Takes rows one by one and asks; an account that fails once is left alone for the rest of this round."""
    asked, resting = 0, circuit.resting()
    while asked < limit and in_time() and (row := take(resting)) is not None:
        if not ask(row):
            resting.append(row.provider_account_id)
        asked += 1
    return asked


# --- Asking: True when the provider answered -------------------------------------------------------------------------


def _query(timer: IntentTimer, now: datetime) -> bool:
    intent = timer.intent
    account = intent.provider_account
    if not limits.may_question(account.provider):
        timers.put_back(timer, at=now + _ASK_AGAIN)
        return False
    ref = Ref(intent.reference, intent.provider_object_id, intent.created_at)
    return _keep_answer(account, lambda: providers.named(account.provider).query(account, ref), intent.reference, now)


def _close(intent: PaymentIntent, now: datetime) -> bool:
    account = intent.provider_account
    return _keep_answer(
        account, lambda: providers.named(account.provider).close(account, intent), intent.reference, now
    )


def _inquire(inquiry: Inquiry, now: datetime) -> bool:
    account = inquiry.provider_account
    if not limits.may_question(account.provider, hinted=True):
        inquiries.put_back(inquiry, now=now, after=_ASK_AGAIN)
        return False
    try:
        verified = providers.named(account.provider).query(account, Ref(object_id=inquiry.object_id))
    except ProviderError as failure:
        _log.warning("inquiry_failed", inquiry=inquiry.id, failure=str(failure))
        inquiries.note_failure(inquiry, str(failure))
        return False
    with transaction.atomic():
        inbox.keep(account=account, verified=verified, now=now)
        inquiries.close(inquiry, now=now)
    return True


def _keep_answer(account: ProviderAccount, question: Callable[[], Verified], about: str, now: datetime) -> bool:
    try:
        verified = question()
    except ProviderError as failure:
        _log.warning("question_failed", provider=account.provider, about=about, failure=str(failure))
        return False
    inbox.keep(account=account, verified=verified, now=now)
    return True


# --- Taking: the row is moved ahead, committed, and only then asked about --------------------------------------------


def _take_silent(now: datetime, resting: Sequence[UUID]) -> IntentTimer | None:
    with transaction.atomic():
        timer = _first_timer(_silent(now, resting))
        if timer is not None:
            turns = [timer.intent.created_at + after for after in settings.QUERY_AFTER]
            timers.asked(timer, again_at=min((turn for turn in turns if turn > now), default=None))
    return timer


def _take_overdue(now: datetime, resting: Sequence[UUID]) -> IntentTimer | None:
    with transaction.atomic():
        timer = _first_timer(_overdue(now, resting))
        if timer is not None:
            intent = timer.intent
            PaymentIntent.objects.filter(id=intent.id).update(closing=intent.closing or PaymentIntent.Closing.EXPIRED)
            again = min(max((now - intent.expires_at) / 10, _CLOSE_AGAIN), _CLOSE_AGAIN_MAX)
            timers.close_at([intent.id], at=now + again)
    return timer


def _take_hinted(now: datetime, resting: Sequence[UUID]) -> Inquiry | None:
    with transaction.atomic():
        free = _hinted(now, resting).select_for_update(of=("self",), skip_locked=True, no_key=True)
        inquiry = free.select_related("provider_account").first()
        if inquiry is not None:
            inquiries.postpone(inquiry, now=now)
    return inquiry


# Ordered as their partial indexes are: whoever waits longest is next, and finished intents are never walked through.


def _silent(now: datetime, resting: Sequence[UUID]) -> QuerySet[IntentTimer]:
    due = IntentTimer.objects.filter(next_query_at__lte=now).exclude(provider_account__in=resting)
    return due.order_by("next_query_at")


def _overdue(now: datetime, resting: Sequence[UUID]) -> QuerySet[IntentTimer]:
    still_open = IntentTimer.objects.filter(intent__state=PaymentIntent.State.OPEN, next_close_at__lte=now)
    return still_open.exclude(provider_account__in=resting).order_by("next_close_at")


def _hinted(now: datetime, resting: Sequence[UUID]) -> QuerySet[Inquiry]:
    return inquiries.due(now=now).exclude(provider_account__in=resting)


def _first_timer(due: QuerySet[IntentTimer]) -> IntentTimer | None:
    """Locked with its intent, neither waited for: so nobody who locks one after the other meets us in a circle."""
    free = due.select_for_update(of=("self", "intent"), skip_locked=True, no_key=True)
    return free.select_related("intent__provider_account").first()
