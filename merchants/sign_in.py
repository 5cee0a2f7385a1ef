"""Signing in with nothing but a phone: a code by text, and for the code a token; the first time also a shop.

The answers do not tell known phones from unknown ones. Guesses are counted by one atomic statement, so however many
arrive at once no more than settings.ONE_TIME_CODE_ATTEMPTS_MAX are compared with a code.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction

from merchants import countries, ids, limits, phones, texts
from merchants.models import Code, NoticeCounter, OneTimeCode, Shop, Staff, Token, User
from merchants.phones import Phone
from merchants.refusals import Refused

DIGITS = 6
SHOP_NAME = "My shop"  # Until the owner gives it another; nobody should have to think of a name before selling.


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in where. `token` is told this once and kept only as a hash; `created` says that the shop is new."""

    user: User
    shop: Shop
    role: str
    token: str
    created: bool


def send_code(*, phone: str, address: str, now: datetime) -> None:
    """Sends a code to the phone, whoever's it is. `address` is the asker's, for the budgets.

    Raises Refused: 400 `phone_invalid`, `phone_not_mobile`, `country_not_served`; 429 `too_many_codes`;
    503 `codes_unavailable`. Nothing is sent then.
    """
    number = phones.mobile(phone)
    if number.country not in settings.SMS_COUNTRIES:
        raise Refused(400, "country_not_served", "Codes are not sent to phones of this country yet.")
    limits.spend_on_code(number, address)
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    expires_at = now + settings.ONE_TIME_CODE_LIFE
    minutes = int(settings.ONE_TIME_CODE_LIFE.total_seconds() // 60)
    with transaction.atomic():
        OneTimeCode.objects.create(
            id=ids.new(now),
            phone=number.e164,
            purpose=OneTimeCode.Purpose.SIGN_IN,
            digest=_digest(number.e164, code),
            expires_at=expires_at,
            created_at=now,
        )
        texts.queue(
            phone=number.e164,
            text=f"{code} is your Pushcart code. It works for {minutes} minutes. We never ask you for it: tell nobody.",
            code=code,
            now=now,
            expires_at=expires_at,
        )


def redeem(*, phone: str, code: str, shop_name: str, now: datetime) -> SignedIn:
    """Signs in with the newest code of the phone; makes User, Shop, its Code and its owner the first time.

    Raises Refused 400 `code_invalid` for everything that is wrong, so that an answer teaches nothing.
    """
    try:
        number = phones.mobile(phone)
    except Refused:
        raise _code_invalid() from None
    row = _count_attempt(number.e164, now)
    digest = _digest(number.e164, phones.digits(code))
    if row is None or not hmac.compare_digest(row.digest, digest):
        raise _code_invalid()
    with transaction.atomic():
        if not _redeem_once(row.id, now):
            raise _code_invalid()
        return _sign_in(number, shop_name, now)


@dataclass(frozen=True, slots=True)
class _Attempt:
    id: UUID
    digest: bytes


def _count_attempt(phone: str, now: datetime) -> _Attempt | None:
    """Counts a guess at the newest code, or finds that none may be made.

    One statement, committed whatever the guess is worth: under any number of parallel guesses PostgreSQL checks the
    condition again on the row as the one before left it.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE merchants_onetimecode SET attempts = attempts + 1"
            " WHERE id = (SELECT id FROM merchants_onetimecode WHERE phone = %s AND purpose = %s"
            "             ORDER BY id DESC LIMIT 1)"
            " AND attempts < %s AND redeemed_at IS NULL AND expires_at > %s"
            " RETURNING id, digest",
            [phone, OneTimeCode.Purpose.SIGN_IN, settings.ONE_TIME_CODE_ATTEMPTS_MAX, now],
        )
        row = cursor.fetchone()
    return _Attempt(row[0], bytes(row[1])) if row else None


def _redeem_once(code_id: UUID, now: datetime) -> bool:
    """Whether it was we who redeemed the code: of many right guesses at once, one is answered yes."""
    return OneTimeCode.objects.filter(id=code_id, redeemed_at=None).update(redeemed_at=now) == 1


def _sign_in(phone: Phone, shop_name: str, now: datetime) -> SignedIn:
    user, _new = User.objects.get_or_create(phone=phone.e164, defaults={"password": make_password(None)})
    # Two codes of one phone can be redeemed at once: the second waits here and finds the shop of the first.
    User.objects.select_for_update().get(id=user.id)
    if not user.is_active:
        raise _code_invalid()
    roles = Staff.objects.select_related("shop").filter(user=user).order_by("id")
    known = roles.filter(role=Staff.Role.OWNER).first() or roles.first()
    staff = known or _open_shop(user, phone.country, shop_name, now)
    _row, token = Token.objects.create(user, shop=staff.shop)
    return SignedIn(user, staff.shop, staff.role, token, created=known is None)


def _open_shop(owner: User, country: str, name: str, now: datetime) -> Staff:
    """A shop with its code, its counter of notices and its owner, who is returned."""
    shop = Shop.objects.create(
        id=ids.new(now),
        name=name.strip() or SHOP_NAME,
        country=country,
        currency=countries.currency(country),
        time_zone=countries.time_zone(country),
    )
    Code.objects.create(id=ids.new(now), shop=shop, kind=Code.Kind.SHOP)
    NoticeCounter.objects.create(shop=shop)
    return Staff.objects.create(id=ids.new(now), user=owner, shop=shop, role=Staff.Role.OWNER)


def _digest(phone: str, code: str) -> bytes:
    """Keyed, because a million codes are quickly hashed; bound to phone and purpose, so that no row serves another."""
    message = f"{OneTimeCode.Purpose.SIGN_IN}:{phone}:{code}"
    return hmac.new(settings.SECRET_KEY.encode(), message.encode(), hashlib.sha256).digest()


def _code_invalid() -> Refused:
    return Refused(400, "code_invalid", "This code is not right, or it is too late for it. Ask for a new one.")
