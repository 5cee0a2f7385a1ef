"""The signed statement on a receipt: what was paid, to whom and when, in 126 bytes that a phone verifies by itself.

Every number is big-endian and unsigned. What is signed is CONTEXT and the first 62 bytes:

    0   1  version 1 in the high four bits, flags in the low four (1: the pretend wallet, no real money)
    1   4  number of the key
    5  16  id of the shop
    21 16  id of the payment
    37  6  amount, in minor units
    43  6  of which this much was sent back
    49  3  currency, three capital letters
    52  4  when it was paid (seconds since 1970)
    56  4  when the statement was issued
    60  2  for how many seconds it is good
    62 64  Ed25519 signature

Written in base64url without padding (168 letters) it is the last part of an address of ours: a vendor's phone reads
the statement, any other camera opens our page about it.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from django.conf import settings

from payments import receipt_keys
from payments.models import Payment, PaymentIntent, ReceiptKey, Refund
from qr import receipts

CONTEXT = b"pushcart receipt 1\0"  # So that nothing else we may ever sign with such a key can be taken for a receipt.
STILL_LIFE = receipt_keys.STATEMENT_LIFE_MAX  # A picture that stands still, for browsers without script.
MOVING_LIFE = timedelta(seconds=60)  # One that the page replaces every 20 s.
# An older payment needs no proof: the goods are gone. A phone remembers what it was shown for longer than that.
PROVABLE_FOR = timedelta(hours=1)
LENGTH = 168

Verdict = Literal["real", "expired", "early", "forged", "unknown_key"]

_VERSION = 1
_PRETEND = 1
_FIELDS = struct.Struct(">BI16s16s6s6s3sIIH")
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{LENGTH}}}")


@dataclass(frozen=True)
class Statement:
    """What the signature covers. `refunded` is a part of `amount` (minor units)."""

    key: int
    shop: UUID
    payment: UUID
    amount: int
    refunded: int
    currency: str
    paid_at: datetime
    issued_at: datetime
    expires_at: datetime
    pretend: bool


def provable(intent: PaymentIntent, payments: Sequence[Payment], refunds: Sequence[Refund], *, now: datetime) -> bool:
    """Whether a receipt may prove itself: one payment as asked, booked to the shop, recent, and not all sent back."""
    if len(payments) != 1:
        return False
    [payment] = payments
    exact = payment.match == Payment.Match.EXACT and payment.placed and payment.shop_id == intent.shop_id
    return exact and _sent_back(refunds) < payment.amount and now - payment.occurred_at < PROVABLE_FOR


def address(
    intent: PaymentIntent, payments: Sequence[Payment], refunds: Sequence[Refund], *, life: timedelta, now: datetime
) -> str:
    """The content of the receipt's code, signed now; "" where there is nothing to prove."""
    if not provable(intent, payments, refunds, now=now):
        return ""
    [payment] = payments
    key = receipt_keys.signing(now=now)
    body = _FIELDS.pack(
        _VERSION << 4 | (_PRETEND if intent.provider_account.provider == receipts.PRETEND else 0),
        key.number,
        intent.shop_id.bytes,
        payment.id.bytes,
        payment.amount.to_bytes(6),
        _sent_back(refunds).to_bytes(6),
        payment.currency.encode("ascii"),
        int(payment.occurred_at.timestamp()),
        int(now.timestamp()),
        int(life.total_seconds()),
    )
    token = base64.urlsafe_b64encode(body + receipt_keys.signature(key, CONTEXT + body)).decode()
    return f"{settings.PUBLIC_URL}/p/{token}"


def check(token: str, *, now: datetime) -> tuple[Verdict, Statement | None]:
    """What a statement is worth at this moment. What it says comes with it only where we have really signed it."""
    claimed = _read(_raw(token))
    if claimed is None:
        return "forged", None
    key = receipt_keys.trusted(claimed.key, now=now)
    if key is None:
        return "unknown_key", None
    statement = genuine(token, key)
    if statement is None:
        return "forged", None
    # A copy of our own clock may run ahead; never by more than what phones are allowed.
    if statement.issued_at > now + receipt_keys.CLOCK_SLACK:
        return "early", statement
    return ("real" if now < statement.expires_at else "expired"), statement


def genuine(token: str, key: ReceiptKey) -> Statement | None:
    """What the statement says, if this key has signed it as it stands; its times are not looked at."""
    raw = _raw(token)
    statement = _read(raw)
    if statement is None or statement.key != key.number:
        return None
    return statement if receipt_keys.signed(key, CONTEXT + raw[: _FIELDS.size], raw[_FIELDS.size :]) else None


def _raw(token: str) -> bytes:
    return base64.urlsafe_b64decode(token) if _TOKEN.fullmatch(token) else b""


def _read(raw: bytes) -> Statement | None:
    """The fields as they stand; None for what `address` never writes."""
    if len(raw) != _FIELDS.size + 64:
        return None
    head, key, shop, payment, amount, refunded, currency, paid, issued, life = _FIELDS.unpack_from(raw)
    if head >> 4 != _VERSION or head & 0xF & ~_PRETEND or not (currency.isalpha() and currency.isupper()):
        return None
    issued_at = datetime.fromtimestamp(issued, UTC)
    return Statement(
        key=key,
        shop=UUID(bytes=shop),
        payment=UUID(bytes=payment),
        amount=int.from_bytes(amount),
        refunded=int.from_bytes(refunded),
        currency=currency.decode("ascii"),
        paid_at=datetime.fromtimestamp(paid, UTC),
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=life),
        pretend=bool(head & _PRETEND),
    )


def _sent_back(refunds: Sequence[Refund]) -> int:
    return sum(refund.amount for refund in refunds if refund.state == Refund.State.SUCCEEDED)
