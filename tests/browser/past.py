"""A shop with a past of which a month has retired: its entries are in an archive alone; all else is where it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Product, Vendor


@dataclass(frozen=True)
class Past:
    """Her shop sold once in that month, on `day`; her takings are told from `since` on. `entry` and `payment` are ids,
    `archive` is the name of the month's part of the ledger."""

    vendor: Vendor
    receipt: str
    entry: str
    payment: str
    archive: str
    day: date
    since: date


# The month that is four months old: with three kept, it is the last to retire, and no day that another test asks for is
# near its end. The ledger's first part has no beginning, and gets one behind that month.
RETIRE = """
import json, time, uuid
from datetime import timedelta
from pathlib import Path
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from merchants import ids, notify
from merchants.models import Code, Shop
from payments import archive, chain, chart, ledger, partitions, retiring, rollups
from payments.models import LedgerEntry, Payment, PaymentIntent, ProviderAccount
now = timezone.now()
month, end = partitions.months_before(now, 4), partitions.months_before(now, 3)
[first, *_] = partitions.of(archive.ENTRIES)
assert first.since is None, first
with transaction.atomic(), connection.cursor() as cursor:
    cursor.execute(f"ALTER TABLE {archive.ENTRIES} DETACH PARTITION {first.name}")
    cursor.execute(
        f"ALTER TABLE {archive.ENTRIES} ATTACH PARTITION {first.name} FOR VALUES FROM ('{ids.first_of(end)}')"
        f" TO ('{first.until}')"
    )
    cursor.execute("SELECT pushcart_make_partition(%s, %s)", [archive.ENTRIES, month.date()])
at = month + timedelta(days=9, hours=4)
code = Code.objects.filter(kind="shop").latest("id")
Shop.objects.filter(id=code.shop_id).update(created_at=month, time_zone="Asia/Shanghai")
wallet = ProviderAccount.objects.get(provider="sandbox", name="platform")
with transaction.atomic():
    intent = PaymentIntent.objects.create(
        id=ids.new(at), shop_id=code.shop_id, code=code, provider_account=wallet, amount=200, currency="CNY",
        description="Red apples", state="paid", page=uuid.uuid4(), payer="x", receipt=ids.secret(), created_at=at,
        expires_at=at + timedelta(minutes=15), closed_at=at,
    )
    payment = Payment.objects.create(
        id=ids.new(at), provider_account=wallet, object_id="wpy_of_long_ago", shop_id=code.shop_id, intent=intent,
        amount=200, currency="CNY", match="exact", placed=True, occurred_at=at, recorded_at=at,
    )
    pending = chart.Place("shop_pending", "held", code.shop_id)
    ways = (("paid", chart.receivable(wallet.id), pending), ("due", pending, chart.available(code.shop_id)))
    ledger.post(
        [
            chart.Movement(f"{kind}|{payment.id}", kind, debit, credit, 200, "CNY", at, code.shop_id,
                           payment_id=payment.id)
            for kind, debit, credit in ways
        ],
        now=at,
    )
    rollups.add([("CNY", 200)], now=at)
    amount = {"amount": 200, "currency": "CNY"}
    told = {"payment": ids.public("pay", payment.id), "amount": amount, "expected": amount, "match": "exact",
            "description": "Red apples", "occurred_at": at.isoformat()}
    notify.tell([notify.Telling(code.shop_id, "payment_received", told, payment.id)], now=at)
entry = ids.public("ent", LedgerEntry.objects.filter(payment_id=payment.id).earliest("id").id)
[part] = [part for part in partitions.of(archive.ENTRIES) if part.until == ids.first_of(end)]
until = time.monotonic() + 30  # Whoever seals at the same moment, the product or we, does it.
while archive.wanted(archive.ENTRIES, part):
    assert time.monotonic() < until
    chain.seal(now=timezone.now())
    time.sleep(0.05)
folder = Path(settings.DATA_DIR) / "archives"
for later in (timedelta(0), retiring.AFTER_CLOSING):
    told = list(retiring.retire_due(now=now + later, kept=3, folder=folder))
assert [said.split(" to ")[0] for _part, said in told] == ["2 rows, retired"], told
since = (end + timedelta(days=2)).date()  # Where the shop is, a month of UTC ends in the morning; and a day is early.
print(json.dumps([intent.receipt, entry, ids.public("pay", payment.id), told[0][0].name, str(at.date()), str(since)]))
"""


def retired(product: Product) -> Past:
    """Retires that month. Called before anybody has asked the product for its book: each process remembers for some
    minutes from when on there are entries."""
    vendor = product.vendor()
    told = json.loads(product.manage("shell", "--no-imports", "-c", RETIRE).splitlines()[-1])
    receipt, entry, payment, archive, day, since = told
    return Past(
        vendor=vendor,
        receipt=f"{product.url}/r/{receipt}",
        entry=entry,
        payment=payment,
        archive=archive,
        day=date.fromisoformat(day),
        since=date.fromisoformat(since),
    )
