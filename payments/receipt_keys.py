"""The keys that sign receipts: made on demand, published before they sign, replaced without a gap, withdrawn at once.

A phone without network knows the keys it read when it last had one. So the key that follows is published
PUBLISHED_AHEAD of its first signature: whoever was online within that time can verify whatever is signed today.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.db import connection, transaction
from django.utils.translation import gettext as _

from merchants import audit, ids, seals
from merchants.models import User
from payments.models import ReceiptKey

SIGNS_FOR = timedelta(days=30)
PUBLISHED_AHEAD = timedelta(days=14)
STATEMENT_LIFE_MAX = timedelta(minutes=5)  # No statement outlives its signature by more.
CLOCK_SLACK = timedelta(minutes=2)  # What a phone's clock may be wrong by, either way.

_MAKING = 7_303_014_906_118_520_441  # The advisory lock of whoever makes or withdraws a key: any number of our own.


def signing(*, now: datetime) -> ReceiptKey:
    """The one key that signs at this moment; made now when there is none yet."""
    key = _signing(now)
    if key is None:
        renew(now=now)
        key = _signing(now)
    assert key is not None, "renew leaves no moment without a key"
    return key


def signature(key: ReceiptKey, message: bytes) -> bytes:
    """The 64 bytes of Ed25519 (RFC 8032) under this key. Raises seals.Unreadable where its seal cannot be opened."""
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seals.unseal(key.sealed_private_key)))
    return private.sign(message)


def signed(key: ReceiptKey, message: bytes, claimed: bytes) -> bool:
    """Whether the signature is this key's, over exactly this message."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes(key.public_key)).verify(claimed, message)
    except InvalidSignature:
        return False
    return True


def trusted(number: int, *, now: datetime) -> ReceiptKey | None:
    """The key of that number, if what it signed may still be believed."""
    return ReceiptKey.objects.filter(number=number, withdrawn_at=None, trusted_until__gt=now).first()


def published(*, now: datetime) -> list[ReceiptKey]:
    """Every key that phones may trust, from the oldest to the one that signs next."""
    signing(now=now)
    return list(ReceiptKey.objects.filter(withdrawn_at=None, trusted_until__gt=now).order_by("signs_from"))


def renew(*, now: datetime) -> int:
    """Makes the keys that are missing from now until PUBLISHED_AHEAD, each where the last one ends; answers how many.

    One at a time does this: of two at the same moment the second finds what the first has made. A key that signs no
    more keeps its public half alone.
    """
    with transaction.atomic():
        _alone()
        ReceiptKey.objects.filter(signs_until__lt=now - CLOCK_SLACK).update(sealed_private_key=b"")
        every = list(ReceiptKey.objects.order_by("number"))
        number = every[-1].number if every else 0
        gaps = _gaps(every, now)
        for place, (begins, ends) in enumerate(gaps, start=1):
            _make(number=number + place, begins=begins, ends=ends, now=now)
    return len(gaps)


def withdraw(*, number: int, reason: str, operator: User, now: datetime) -> ReceiptKey:
    """Ends all trust in a key now, for good, and puts another in its place. Raises audit.UnableToAct."""
    with transaction.atomic():
        _alone()
        key = ReceiptKey.objects.filter(number=number).first()
        if key is None:
            raise audit.UnableToAct("key_unknown", _("There is no receipt key %(number)s.") % {"number": number})
        if key.withdrawn_at is not None:
            raise audit.UnableToAct(
                "key_withdrawn", _("Receipt key %(number)s was withdrawn already.") % {"number": number}
            )
        key.withdrawn_at, key.sealed_private_key = now, b""
        key.save(update_fields=["withdrawn_at", "sealed_private_key"])
        audit.record(
            operator=operator,
            act="withdraw_receipt_key",
            subject=key,
            reason=reason,
            before={"number": number, "withdrawn_at": None},
            after={"number": number, "withdrawn_at": now.isoformat()},
            now=now,
        )
        renew(now=now)
    return key


def _signing(now: datetime) -> ReceiptKey | None:
    return ReceiptKey.objects.filter(withdrawn_at=None, signs_from__lte=now, signs_until__gt=now).first()


def _gaps(keys: Sequence[ReceiptKey], now: datetime) -> list[tuple[datetime, datetime]]:
    """The periods of the keys that are missing. Where another already follows, a key signs only until then."""
    good = sorted((key for key in keys if key.withdrawn_at is None), key=lambda key: key.signs_from)
    gaps: list[tuple[datetime, datetime]] = []
    covered = now
    # Another process may have read its clock a moment earlier, and must find the same key.
    earliest = max([now - CLOCK_SLACK, *(key.signs_until for key in good if key.signs_until <= now)])
    while covered <= now + PUBLISHED_AHEAD:
        here = [key for key in good if key.signs_from <= covered < key.signs_until]
        if here:
            covered = here[0].signs_until
            continue
        follows = [key.signs_from for key in good if key.signs_from > covered]
        ends = min([covered + SIGNS_FOR, *follows])
        gaps.append((covered if gaps or covered > now else earliest, ends))
        covered = ends
    return gaps


def _make(*, number: int, begins: datetime, ends: datetime, now: datetime) -> None:
    private = Ed25519PrivateKey.generate()
    ReceiptKey.objects.create(
        id=ids.new(now),
        number=number,
        public_key=private.public_key().public_bytes_raw(),
        sealed_private_key=seals.seal(base64.b64encode(private.private_bytes_raw()).decode()),
        created_at=now,
        signs_from=begins,
        signs_until=ends,
        trusted_until=ends + STATEMENT_LIFE_MAX + CLOCK_SLACK,
    )


def _alone() -> None:
    """Waits for whoever else makes or withdraws a key; holds until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_MAKING])
