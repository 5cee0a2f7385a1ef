"""Shops with a past: payments and scans of many days, planted as the book and the pay pages would have left them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from merchants import ids
from merchants.models import Code, ScanCount
from payments.models import Payment, PaymentIntent
from tests.till import platform


def sold(sales: Iterable[tuple[Code, datetime]]) -> list[Payment]:
    """A payment by each code at its moment."""
    account = platform()
    made = [
        PaymentIntent(
            id=ids.new(at), shop_id=code.shop_id, code=code, item_id=code.item_id, provider_account=account, amount=200,
            currency="CNY", description="Apples", state="paid", page=uuid.uuid4(), payer="x", receipt=ids.secret(),
            created_at=at, expires_at=at + timedelta(minutes=15),
        )
        for code, at in sales
    ]  # fmt: skip
    PaymentIntent.objects.bulk_create(made, batch_size=2000)
    return Payment.objects.bulk_create(
        [
            Payment(
                id=ids.new(intent.created_at), provider_account=account, object_id=intent.receipt, amount=200,
                shop_id=intent.shop_id, intent=intent, currency="CNY", match="exact", placed=True,
                occurred_at=intent.created_at, recorded_at=intent.created_at,
            )
            for intent in made
        ],
        batch_size=2000,
    )  # fmt: skip


def day_of(codes: list[Code], begin: datetime, count: int) -> list[tuple[Code, datetime]]:
    """So many sales of a day, one code after the other, every twenty-four minutes."""
    return [(codes[number % len(codes)], begin + timedelta(minutes=24 * number)) for number in range(count)]


def scanned(code: Code, begin: datetime, scans: Iterable[int]) -> None:
    """So many scans in each hour from then on."""
    ScanCount.objects.bulk_create(
        ScanCount(code=code, hour=begin + timedelta(hours=hour), scans=count) for hour, count in enumerate(scans)
    )
