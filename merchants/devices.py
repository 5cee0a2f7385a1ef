"""The phones that are signed in: what each is called, when it was last used, and how one or all are signed out.

A device that was signed out is told nothing more: its push subscription goes with its token, and the shop's streams
are woken, each of which asks before it tells whether its token is still good.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet

from merchants import ids, notify, user_agents
from merchants.models import Staff, Token, User

NOTICE = "device_signed_in"
USE_NOTED_EVERY = timedelta(hours=1)  # Every request would be a write otherwise.


def sign_in(*, staff: Staff, user_agent: str, now: datetime) -> str:
    """Signs a device in and answers its token, which is told this once; the shop's other devices are told of it.

    Must run in a transaction. A notice and not a text: whoever has taken over her number would be the one to read it.
    """
    browser, system = user_agents.told_by(user_agent)
    token: str
    row, token = Token.objects.create(
        staff.user, shop=staff.shop, device=ids.new(now), browser=browser, system=system, used_at=now
    )
    if of_shop(staff, now=now).exclude(pk=row.pk).exists():
        data = {
            "device": ids.public(Token.prefix, row.device),
            "browser": browser,
            "system": system,
            "person": ids.public(User.prefix, staff.user_id),
        }
        notify.tell([notify.Telling(staff.shop_id, NOTICE, data)], now=now)
        transaction.on_commit(lambda: notify.announce([staff.shop_id]))
    return token


def of(staff: Staff, *, now: datetime) -> QuerySet[Token]:
    """The devices on which this person is signed in to this shop, in no order."""
    return of_shop(staff, now=now).filter(user_id=staff.user_id)


def of_shop(staff: Staff, *, now: datetime) -> QuerySet[Token]:
    """The devices on which anybody who works in this shop is signed in to it."""
    found: QuerySet[Token] = _good(now).filter(shop_id=staff.shop_id)
    return found


def good(digests: Collection[str], *, now: datetime) -> set[str]:
    """The hashes, of these, of tokens that still are what a request needs: of phones that were not signed out, and of
    people who work there."""
    return set(_good(now).filter(pk__in=digests).values_list("pk", flat=True))


def note_use(token: Token, *, now: datetime) -> None:
    """Keeps that the device was used, once an hour."""
    if token.used_at <= now - USE_NOTED_EVERY:
        Token.objects.filter(pk=token.pk, used_at=token.used_at).update(used_at=now)


def sign_out(devices: QuerySet[Token]) -> int:
    """Signs these devices out, their push with them, and ends their streams; answers how many there were."""
    with transaction.atomic():
        # A phone that subscribes to push at this moment holds its token's row: then we wait, and its subscription
        # is seen and goes, too.
        rows = list(Token.objects.filter(pk__in=devices.values("pk")).select_for_update().order_by("pk"))
        Token.objects.filter(pk__in=[row.pk for row in rows]).delete()
        shops = {row.shop_id for row in rows}
        transaction.on_commit(lambda: notify.announce(shops))
    return len(rows)


def _good(now: datetime) -> QuerySet[Token]:
    unexpired = Q(expiry=None) | Q(expiry__gt=now)
    found: QuerySet[Token] = Token.objects.filter(unexpired, user__is_active=True, user__roles__shop_id=F("shop_id"))
    return found
