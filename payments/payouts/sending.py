"""Payouts by an API: paid under their own reference as often as it takes, and asked about until their end is known.

A payout is moved ahead to its next call and committed before the call, so that a killed worker only delays it. While
the bank has not named it, it is asked for again under the same reference, which is the same payout there; afterwards
it is asked about. One that was paid is asked about for settings.PAYOUT_WATCHED_AFTER: it may still be returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from merchants.journal import journal
from merchants.seals import Unreadable
from payments import circuit
from payments.models import Payout, PayoutBatch, ProviderAccount
from payments.payouts import accounts, batches, channels, outcomes
from payments.payouts.channels import Told
from payments.providers.base import ProviderError

SEND = batches.SEND

_log = journal(__name__)
_State = Payout.State


def has_due(*, now: datetime) -> bool:
    return _due(now, circuit.resting()).exists()


def send_due(*, now: datetime, limit: int = 50, in_time: Callable[[], bool] = lambda: True) -> int:
    """Pays, or asks about, the payouts whose call is due; answers how many.

    An account that fails once is left alone for the rest of the round.
    """
    sent, resting = 0, circuit.resting()
    while sent < limit and in_time() and (payout := _take(now, resting)):
        batch = PayoutBatch.objects.select_related("provider_account").get(payouts=payout)
        assert batch.provider_account is not None, "only an API is called"
        if not _call(payout, batch, batch.provider_account, now):
            resting.append(batch.provider_account.id)
        sent += 1
    return sent


def _due(now: datetime, resting: Sequence[UUID]) -> QuerySet[Payout]:
    due = Payout.objects.filter(next_call_at__lte=now, batch__provider_account__isnull=False)
    return due.exclude(batch__provider_account__in=resting)


def _take(now: datetime, resting: Sequence[UUID]) -> Payout | None:
    """One payout to call about, sent by us and moved ahead to its next turn. One that may not leave is given back."""
    while first := _due(now, resting).order_by("next_call_at").values_list("id", flat=True).first():
        with transaction.atomic():
            [payout] = outcomes.locked([first])
            if payout.next_call_at is None or payout.next_call_at > now:
                continue  # Another worker has taken it.
            if payout.state == _State.PREPARED and not batches.may_leave([payout]):
                outcomes.give_back([payout], failure=batches.HELD_BACK, now=now)
                continue
            outcomes.called(payout, next_call_at=now + _again(payout))
            if payout.state == _State.PREPARED:
                outcomes.sent([payout], now=now)
        return payout
    return None


def _again(payout: Payout) -> timedelta:
    """Until its end is known we keep asking, at last once a day: asking again changes nothing."""
    return settings.RETRY_AFTER[min(payout.attempts, len(settings.RETRY_AFTER) - 1)]


def _call(payout: Payout, batch: PayoutBatch, ours: ProviderAccount, now: datetime) -> bool:
    """Whether the API answered; what it said is taken in."""
    channel = channels.api(batch.channel)
    if channel is None:  # It was switched off meanwhile: the payout keeps its turns.
        return False
    try:
        if payout.object_id:
            told = channel.ask(ours, payout)
        else:
            told = channel.pay(ours, payout, accounts.number(payout.account))
    except (ProviderError, Unreadable) as failure:
        # A number that no key of ours opens is our own trouble, and a person's to end.
        said, permanent = str(failure), isinstance(failure, Unreadable) or failure.permanent
        _log.warning("payout_not_sent", payout=payout.reference, failure=said, permanent=permanent)
        outcomes.not_taken(payout_id=payout.id, failure=said, permanent=permanent, now=now)
        return permanent
    _take_in(payout, told, now)
    return True


def _take_in(payout: Payout, told: Told, now: datetime) -> None:
    if told.state == "pending":
        outcomes.named(payout_id=payout.id, object_id=told.object_id)
        return
    watched = _watched(payout, now) if told.state == "paid" else None
    changed = outcomes.end(
        payout_id=payout.id,
        word=told.state,
        at=told.at,
        now=now,
        object_id=told.object_id,
        failure=told.failure,
        next_call_at=watched,
    )
    if not changed:
        outcomes.watch(payout_id=payout.id, next_call_at=watched)


def _watched(payout: Payout, now: datetime) -> datetime | None:
    """When a paid payout is looked at again; None when nobody looks any more."""
    paid_at = payout.settled_at or now
    later = [paid_at + after for after in settings.PAYOUT_WATCHED_AFTER if paid_at + after > now]
    return min(later) if later else None
