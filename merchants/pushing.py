"""Payments pushed to phones whose app is closed: each subscription is told what is above the last number it was told.

Nothing is written when money is posted: the notice is the message, and the subscription's row is the queue. It is
leased by moving its `due_at` ahead, so no lock is held while a service thinks; of one subscription one push is under
way, so they leave in order, and the number moves on when the service has taken it. A worker killed between the two
makes that push leave again, under the same tag. A lost bell costs time until the sweep.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as clock
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _
from prometheus_client import Counter
from rest_framework.exceptions import AuthenticationFailed

from merchants import ids, notify, push_encryption, push_services, push_words, seals, vapid
from merchants.journal import journal
from merchants.models import Notice, NoticeCounter, PushSubscription, Staff, Token
from merchants.push_services import Answer, Outcome
from merchants.refusals import Refused

SEND_TASK = notify.PUSH_TASK
# Older than this a payment is no news: the app shows it when it is opened.
NEWS_FOR = timedelta(hours=1)
# Longer than one call can take: settings.OUTWARD_TIMEOUT_S.
LEASE = timedelta(seconds=60)
RETRY_AFTER = [timedelta(seconds=s) for s in (2, 10, 30, 60, 300, 600)]
# A service that has refused this many in a row will not take the next: the phone may subscribe again.
FAILURES_MAX = 20
AT_ONCE = 16  # Calls that wait for services side by side.
ROUND_S = 15.0
_LOOKED_AT = 200  # Notices of a shop in one look for the next payment.

_log = journal(__name__)
_pushes = Counter("pushcart_pushes", "Pushes to phones, by what became of them", ["outcome"])


@dataclass(frozen=True, slots=True)
class Wishes:
    """When a phone wants to be told. Quiet hours are the shop's; an amount from `big_amount` on is told in them too."""

    language: str
    quiet_from: clock | None
    quiet_until: clock | None
    big_amount: int | None


def subscribe(
    *, token: Token, address: str, p256dh: bytes, auth: bytes, wishes: Wishes, now: datetime
) -> PushSubscription:
    """Keeps where a signed-in phone is told, from the next notice on, in the place of what it said before.

    An address belongs to whoever subscribed with it last: signed in to another shop, a phone is told of that one only.
    Raises Refused: 400 `push_service_unknown`, `push_keys_wrong`; 409 `push_unavailable`.
    """
    if not vapid.has_key():
        raise Refused(409, "push_unavailable", _("Push is not set up here."))
    if not push_services.is_known(address):
        raise Refused(400, "push_service_unknown", _("This is no address of a push service that we call."))
    try:
        push_encryption.check(p256dh, auth)
    except push_encryption.BadKeys:
        raise Refused(400, "push_keys_wrong", _("These are not the keys of a push subscription.")) from None
    digest = hashlib.sha256(address.encode()).digest()
    kept = {"address": address, "p256dh": vapid.to_base64url(p256dh), "auth": vapid.to_base64url(auth)}
    with transaction.atomic():
        # Two requests of one phone, or for one address, must not both find nothing to replace.
        if not Token.objects.select_for_update().filter(pk=token.pk).exists():
            raise AuthenticationFailed(_("This phone has just signed out."))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(digest[:8], "big", signed=True)])
        PushSubscription.objects.filter(token=token).delete()
        PushSubscription.objects.filter(address_digest=digest).delete()
        return PushSubscription.objects.create(
            id=ids.new(now),
            user_id=token.user_id,
            shop_id=token.shop_id,
            token=token,
            address_digest=digest,
            sealed_address=seals.seal(json.dumps(kept)),
            told=NoticeCounter.objects.get(shop_id=token.shop_id).last,
            due_at=now,
            created_at=now,
            **_fields(wishes),
        )


def of(staff: Staff) -> QuerySet[PushSubscription]:
    """The subscriptions of this person's phones in this shop, newest first; ended ones stay seen for a week."""
    return PushSubscription.objects.filter(user_id=staff.user_id, shop_id=staff.shop_id).order_by("-id")


def change(*, subscription: PushSubscription, wishes: Wishes) -> PushSubscription:
    """Keeps other wishes."""
    for field, value in (fields := _fields(wishes)).items():
        setattr(subscription, field, value)
    subscription.save(update_fields=list(fields))
    return subscription


def end(*, subscription: PushSubscription, why: str, now: datetime) -> None:
    """Tells that phone no more, and forgets how to. Ending twice changes nothing."""
    PushSubscription.objects.filter(id=subscription.id, ended_at=None).update(
        ended_at=now, ended_why=why, sealed_address=b""
    )


def has_due(*, now: datetime) -> bool:
    return vapid.has_key() and _due(now).exists()


def send_due(*, now: datetime) -> int:
    """Pushes what is due, side by side for many phones and in order for each; answers how many were taken."""
    if not vapid.has_key():
        return 0
    began = time.monotonic()

    def moment() -> datetime:
        return now + timedelta(seconds=time.monotonic() - began)

    taken = 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="push") as threads:
        while time.monotonic() - began < ROUND_S:
            leased = _lease(moment())
            if not leased:
                break
            parcels = [parcel for row in leased if (parcel := _next(row, moment())) is not None]
            for parcel, answer in zip(parcels, threads.map(lambda parcel: parcel.send(moment()), parcels), strict=True):
                taken += _record(parcel, answer, moment())
    return taken


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One push on its way: of which subscription and notice, and what is to be sent where."""

    subscription: PushSubscription
    number: int
    address: str
    body: bytes
    lives_s: int

    def send(self, now: datetime) -> Answer:
        """Runs in a thread of its own and asks nothing of the database."""
        return push_services.push(self.address, self.body, lives_s=self.lives_s, now=now)


def _due(now: datetime) -> QuerySet[PushSubscription]:
    """Subscriptions with notices above the last told. Asked every few seconds over all of them: one join, no more."""
    waiting = NoticeCounter.objects.filter(shop_id=OuterRef("shop_id"), last__gt=OuterRef("told"))
    return PushSubscription.objects.filter(Exists(waiting), ended_at=None, due_at__lte=now)


def _lease(now: datetime) -> list[PushSubscription]:
    """Takes those that wait longest, for ourselves alone."""
    with transaction.atomic():
        found = (
            _due(now)
            .select_related("shop", "user", "token")
            .order_by("due_at")
            .select_for_update(of=("self",), skip_locked=True)
        )
        rows = list(found[:AT_ONCE])
        PushSubscription.objects.filter(id__in=[row.id for row in rows]).update(due_at=now + LEASE)
    for row in rows:
        row.due_at = now + LEASE
    return rows


def _next(row: PushSubscription, now: datetime) -> _Parcel | None:
    """The next payment that this phone is to be told of; what it is not told of is passed over for good."""
    if not _belongs(row, now):
        end(subscription=row, why=PushSubscription.Ended.LEFT, now=now)
        return None
    notices = list(Notice.objects.filter(shop_id=row.shop_id, number__gt=row.told).order_by("number")[:_LOOKED_AT])
    for notice in notices:
        if not _wanted(row, notice, now):
            continue
        try:
            kept = json.loads(seals.unseal(bytes(row.sealed_address)))
        except seals.Unreadable as broken:
            _log.error("push_unreadable", subscription=str(row.id), reason=str(broken))
            end(subscription=row, why=PushSubscription.Ended.UNREACHABLE, now=now)
            return None
        body = push_encryption.encrypted(
            push_words.said(notice, language=row.language, big=_is_big(row, notice)),
            p256dh=vapid.from_base64url(kept["p256dh"]),
            auth=vapid.from_base64url(kept["auth"]),
        )
        lives_s = int((notice.created_at + NEWS_FOR - now).total_seconds())
        return _Parcel(row, notice.number, kept["address"], body, lives_s)
    if notices:
        _ours(row).update(told=notices[-1].number, due_at=now)
    return None


def _belongs(row: PushSubscription, now: datetime) -> bool:
    """Whether whoever holds that phone is still signed in and works in the shop."""
    signed_in = row.user.is_active and (row.token.expiry is None or row.token.expiry > now)
    return signed_in and Staff.objects.filter(shop_id=row.shop_id, user_id=row.user_id).exists()


def _wanted(row: PushSubscription, notice: Notice, now: datetime) -> bool:
    if notice.kind != push_words.RECEIVED or notice.created_at + NEWS_FOR <= now:
        return False
    return _is_big(row, notice) or not _is_quiet(row, now)


def _is_big(row: PushSubscription, notice: Notice) -> bool:
    amount: Mapping[str, Any] = notice.data["amount"]
    same = amount["currency"] == row.shop.currency
    return row.big_amount is not None and same and bool(amount["amount"] >= row.big_amount)


def _is_quiet(row: PushSubscription, now: datetime) -> bool:
    """Whether it is between the two hours there; they may lie on both sides of midnight."""
    if row.quiet_from is None or row.quiet_until is None:
        return False
    there = now.astimezone(ZoneInfo(row.shop.time_zone)).time()
    if row.quiet_from < row.quiet_until:
        return row.quiet_from <= there < row.quiet_until
    return there >= row.quiet_from or there < row.quiet_until


def _record(parcel: _Parcel, answer: Answer, now: datetime) -> bool:
    row = parcel.subscription
    _pushes.labels(answer.outcome).inc()
    if answer.outcome == Outcome.TAKEN:
        _ours(row).update(told=parcel.number, due_at=now, failures=0, last_success=now)
        return True
    _log.warning("push_not_taken", subscription=str(row.id), outcome=answer.outcome, reason=answer.reason)
    if answer.outcome == Outcome.GONE:
        end(subscription=row, why=PushSubscription.Ended.GONE, now=now)
        return False
    if row.failures + 1 >= FAILURES_MAX:
        end(subscription=row, why=PushSubscription.Ended.UNREACHABLE, now=now)
        return False
    pause = max(RETRY_AFTER[min(row.failures, len(RETRY_AFTER) - 1)], timedelta(seconds=answer.wait_s))
    passed = {"told": parcel.number} if answer.outcome == Outcome.REFUSED else {}
    _ours(row).update(failures=row.failures + 1, due_at=now + pause, **passed)
    return False


def _ours(row: PushSubscription) -> QuerySet[PushSubscription]:
    """The row while our lease holds: a process that was slower must not undo what another did."""
    return PushSubscription.objects.filter(id=row.id, due_at=row.due_at)


def _fields(wishes: Wishes) -> dict[str, Any]:
    return {
        "language": wishes.language,
        "quiet_from": wishes.quiet_from,
        "quiet_until": wishes.quiet_until,
        "big_amount": wishes.big_amount,
    }
