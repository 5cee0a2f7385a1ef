"""Codes sent by text that prove a phone for one purpose: kept only as a keyed hash, guessed at a few times, used once.

A guess is counted by one atomic statement that is committed whatever the guess is worth, so however many arrive at once
no more than settings.ONE_TIME_CODE_ATTEMPTS_MAX are compared with a code. Using the right one is a second step: it
belongs in the transaction of what the code is for, so that nothing is done twice and no code is spent on nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from merchants import ids, limits, phones, texts
from merchants.models import OneTimeCode
from merchants.phones import Phone
from merchants.refusals import Refused

DIGITS = 6


def send(*, phone: Phone, purpose: str, text: str, address: str, now: datetime) -> None:
    """Sends a code to the phone. `text` says what it is for, with %(code)s and %(minutes)s; `address` is the asker's.

    Raises Refused: 400 `country_not_served`, 429 `too_many_codes`, 503 `codes_unavailable`. Nothing is sent then.
    """
    if phone.country not in settings.SMS_COUNTRIES:
        raise Refused(400, "country_not_served", _("Codes are not sent to phones of this country yet."))
    limits.spend_on_code(phone, address)
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    expires_at = now + settings.ONE_TIME_CODE_LIFE
    minutes = int(settings.ONE_TIME_CODE_LIFE.total_seconds() // 60)
    with transaction.atomic():
        OneTimeCode.objects.create(
            id=ids.new(now),
            phone=phone.e164,
            purpose=purpose,
            digest=_digest(phone.e164, purpose, code),
            expires_at=expires_at,
            created_at=now,
        )
        texts.queue(
            phone=phone.e164,
            text=text % {"code": code, "minutes": minutes},
            code=code,
            now=now,
            expires_at=expires_at,
        )


def matching(*, phone: str, purpose: str, code: str, now: datetime) -> UUID | None:
    """The newest code of this phone (E.164) and purpose, when the guess is right; the guess is counted in any case.

    Must not be called inside a transaction: what is rolled back was not counted.
    """
    attempt = _count_attempt(phone, purpose, now)
    digest = _digest(phone, purpose, phones.digits(code))
    if attempt is None or not hmac.compare_digest(attempt.digest, digest):
        return None
    return attempt.id


def redeem(code_id: UUID, *, now: datetime) -> bool:
    """Whether it was we who used the code: of many right guesses at once, one is answered yes.

    Call it in the transaction of what the code is for; the others wait for its end.
    """
    return OneTimeCode.objects.filter(id=code_id, redeemed_at=None).update(redeemed_at=now) == 1


@dataclass(frozen=True, slots=True)
class _Attempt:
    id: UUID
    digest: bytes


def _count_attempt(phone: str, purpose: str, now: datetime) -> _Attempt | None:
    """Counts a guess at the newest code, or finds that none may be made.

    Under any number of parallel guesses PostgreSQL checks the condition again on the row as the one before left it.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE merchants_onetimecode SET attempts = attempts + 1"
            " WHERE id = (SELECT id FROM merchants_onetimecode WHERE phone = %s AND purpose = %s"
            "             ORDER BY id DESC LIMIT 1)"
            " AND attempts < %s AND redeemed_at IS NULL AND expires_at > %s"
            " RETURNING id, digest",
            [phone, purpose, settings.ONE_TIME_CODE_ATTEMPTS_MAX, now],
        )
        row = cursor.fetchone()
    return _Attempt(row[0], bytes(row[1])) if row else None


def _digest(phone: str, purpose: str, code: str) -> bytes:
    """Keyed, because a million codes are quickly hashed; bound to phone and purpose, so that no row serves another."""
    message = f"{purpose}:{phone}:{code}"
    return hmac.new(settings.SECRET_KEY.encode(), message.encode(), hashlib.sha256).digest()
