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
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _
from prometheus_client import Counter
from rest_framework.exceptions import AuthenticationFailed

from merchants import bell, ids, notify, push_encryption, push_proofs, push_services, push_words, seals, vapid
from merchants.journal import journal
from merchants.models import Notice, NoticeCounter, PushSubscription, Staff, Token
from merchants.push_proofs import Heard
from merchants.push_services import Answer, Outcome
from merchants.quiet_hours import is_quiet
from merchants.refusals import Refused

SEND_TASK = notify.PUSH_TASK
# Older than this a payment is no news: the app shows it when it is opened.
NEWS_FOR = timedelta(hours=1)
# Longer than one call can take: settings.OUTWARD_TIMEOUT_S.
LEASE = timedelta(seconds=60)
_TEST_LIVES_S = 60  # She looks at her phone: later it would only puzzle her.
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
    place = _place(address, p256dh, auth)
    with transaction.atomic():
        # Two requests of one phone, or for one address, must not both find nothing to replace.
        if not Token.objects.select_for_update().filter(pk=token.pk).exists():
            raise AuthenticationFailed(_("This phone has just signed out."))
        _hold(place)
        PushSubscription.objects.filter(token=token).delete()
        PushSubscription.objects.filter(address_digest=place.digest).delete()
        return PushSubscription.objects.create(
            id=ids.new(now),
            user_id=token.user_id,
            shop_id=token.shop_id,
            token=token,
            address_digest=place.digest,
            sealed_address=place.sealed,
            told=NoticeCounter.objects.get(shop_id=token.shop_id).last,
            due_at=now,
            created_at=now,
            **_fields(wishes),
        )


def renew(*, subscription_id: UUID, address: str, p256dh: bytes, auth: bytes, now: datetime) -> None:
    """The browser itself gave the phone another address: it is told there, what was not told yet first.

    Raises Refused as `subscribe` does, and 404 `subscription_unknown` for one that its person has ended.
    """
    place = _place(address, p256dh, auth)
    with transaction.atomic():
        _hold(place)
        over = [PushSubscription.Ended.ASKED, PushSubscription.Ended.LEFT]
        row = PushSubscription.objects.select_for_update().filter(id=subscription_id).first()
        if row is None or row.ended_why in over:
            raise Refused(404, "subscription_unknown", _("This phone is told no more. Subscribe again in the app."))
        PushSubscription.objects.filter(address_digest=place.digest).exclude(id=row.id).delete()
        PushSubscription.objects.filter(id=row.id).update(
            address_digest=place.digest,
            sealed_address=place.sealed,
            due_at=now,
            failures=0,
            ended_at=None,
            ended_why="",
        )


def ask_test(*, subscription: PushSubscription) -> None:
    """Sends that phone one push that tells of no payment, also in quiet hours. Raises Refused 409 `push_ended`."""
    found = PushSubscription.objects.filter(id=subscription.id, ended_at=None)
    if not found.update(test_asked=True):
        raise Refused(409, "push_ended", _("This phone is told no more. Subscribe again in the app."))
    transaction.on_commit(lambda: bell.ring(SEND_TASK))


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
    _end(PushSubscription.objects.filter(id=subscription.id), why, now)


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


class _Place(NamedTuple):
    """Where a browser is pushed to, as it is kept."""

    digest: bytes
    sealed: bytes


def _place(address: str, p256dh: bytes, auth: bytes) -> _Place:
    """Raises Refused for what is no address or no keys of a browser."""
    if not vapid.has_key():
        raise Refused(409, "push_unavailable", _("Push is not set up here."))
    if not push_services.is_known(address):
        raise Refused(400, "push_service_unknown", _("This is no address of a push service that we call."))
    try:
        push_encryption.check(p256dh, auth)
    except push_encryption.BadKeys:
        raise Refused(400, "push_keys_wrong", _("These are not the keys of a push subscription.")) from None
    kept = {"address": address, "p256dh": vapid.to_base64url(p256dh), "auth": vapid.to_base64url(auth)}
    return _Place(hashlib.sha256(address.encode()).digest(), seals.seal(json.dumps(kept)))


def _hold(place: _Place) -> None:
    """Until the transaction ends, nobody else can be given this address."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(place.digest[:8], "big", signed=True)])


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One push on its way: of which subscription and notice (none: a test), and what is to be sent where."""

    subscription: PushSubscription
    number: int | None
    address: str
    body: bytes
    lives_s: int

    @property
    def done(self) -> dict[str, Any]:
        """What the row says once the push has left, or never will."""
        return {"test_asked": False} if self.number is None else {"told": self.number}

    def send(self, now: datetime) -> Answer:
        """Runs in a thread of its own and asks nothing of the database."""
        return push_services.push(self.address, self.body, lives_s=self.lives_s, now=now)


def _due(now: datetime) -> QuerySet[PushSubscription]:
    """Subscriptions with notices above the last told. Asked every few seconds over all of them: one join, no more."""
    waiting = NoticeCounter.objects.filter(shop_id=OuterRef("shop_id"), last__gt=OuterRef("told"))
    return PushSubscription.objects.filter(Exists(waiting) | Q(test_asked=True), ended_at=None, due_at__lte=now)


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
    if row.test_asked:
        return _packed(row, None, push_words.test(row.language), _TEST_LIVES_S, now)
    notices = list(Notice.objects.filter(shop_id=row.shop_id, number__gt=row.told).order_by("number")[:_LOOKED_AT])
    for notice in notices:
        if not _wanted(row, notice, now):
            continue
        lives_s = int((notice.created_at + NEWS_FOR - now).total_seconds())
        proof = push_proofs.of_heard(Heard(row.shop_id, row.user_id, notice.number))
        text = push_words.said(notice, language=row.language, big=_is_big(row, notice), proof=proof)
        return _packed(row, notice.number, text, lives_s, now)
    if notices:
        _ours(row).update(told=notices[-1].number, due_at=now)
    return None


def _packed(row: PushSubscription, number: int | None, text: bytes, lives_s: int, now: datetime) -> _Parcel | None:
    try:
        kept = json.loads(seals.unseal(bytes(row.sealed_address)))
    except seals.Unreadable as broken:
        _log.error("push_unreadable", subscription=str(row.id), reason=str(broken))
        end(subscription=row, why=PushSubscription.Ended.UNREACHABLE, now=now)
        return None
    p256dh, auth = (vapid.from_base64url(kept[name]) for name in ("p256dh", "auth"))
    return _Parcel(row, number, kept["address"], push_encryption.encrypted(text, p256dh=p256dh, auth=auth), lives_s)


def _belongs(row: PushSubscription, now: datetime) -> bool:
    """Whether whoever holds that phone is still signed in and works in the shop."""
    signed_in = row.user.is_active and (row.token.expiry is None or row.token.expiry > now)
    return signed_in and Staff.objects.filter(shop_id=row.shop_id, user_id=row.user_id).exists()


def _wanted(row: PushSubscription, notice: Notice, now: datetime) -> bool:
    if notice.kind != push_words.RECEIVED or notice.created_at + NEWS_FOR <= now:
        return False
    quiet = is_quiet(begin=row.quiet_from, end=row.quiet_until, zone=row.shop.time_zone, now=now)
    return _is_big(row, notice) or not quiet


def _is_big(row: PushSubscription, notice: Notice) -> bool:
    amount: Mapping[str, Any] = notice.data["amount"]
    same = amount["currency"] == row.shop.currency
    return row.big_amount is not None and same and bool(amount["amount"] >= row.big_amount)


def _record(parcel: _Parcel, answer: Answer, now: datetime) -> bool:
    row = parcel.subscription
    _pushes.labels(answer.outcome).inc()
    if answer.outcome == Outcome.TAKEN:
        _ours(row).update(**parcel.done, due_at=now, failures=0, last_success=now)
        return True
    _log.warning("push_not_taken", subscription=str(row.id), outcome=answer.outcome, reason=answer.reason)
    if answer.outcome == Outcome.GONE:
        _end(_ours(row), PushSubscription.Ended.GONE, now)  # Unless it has another address since.
        return False
    if row.failures + 1 >= FAILURES_MAX:
        _end(_ours(row), PushSubscription.Ended.UNREACHABLE, now)
        return False
    pause = max(RETRY_AFTER[min(row.failures, len(RETRY_AFTER) - 1)], timedelta(seconds=answer.wait_s))
    passed = parcel.done if answer.outcome == Outcome.REFUSED else {}
    _ours(row).update(failures=row.failures + 1, due_at=now + pause, **passed)
    return False


def _end(rows: QuerySet[PushSubscription], why: str, now: datetime) -> None:
    rows.filter(ended_at=None).update(ended_at=now, ended_why=why, sealed_address=b"")


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
