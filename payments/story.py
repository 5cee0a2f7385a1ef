"""The last thirty days of one shop in sums: its money by day and currency, and what each of its codes did.

Days are of the shop's own zone. Each function asks one or two questions, bounded by the shop and the days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncDate

from merchants import ids
from merchants.models import Code, ScanCount, Shop
from payments.models import Payment, Refund

DAYS = 30
# A payment is recorded after it happened, by clocks that agree within this: ids bound what is read by the index.
_CLOCKS_APART = timedelta(days=1)


@dataclass(slots=True)
class Sums:
    """Payments and what they make; refunds (asked or told, not the failed ones) and what they make. Minor units."""

    payments: int = 0
    came: int = 0
    refunds: int = 0
    went_back: int = 0

    def add(self, other: Sums) -> None:
        self.payments += other.payments
        self.came += other.came
        self.refunds += other.refunds
        self.went_back += other.went_back


@dataclass(slots=True)
class Money:
    """One currency: the days, the first one first and today last, also those on which nothing was."""

    currency: str
    days: dict[date, Sums]

    @property
    def today(self) -> Sums:
        return self.days[max(self.days)]

    @property
    def whole(self) -> Sums:
        told = Sums()
        for day in self.days.values():
            told.add(day)
        return told


@dataclass(slots=True)
class Did:
    """What one code did: scans, payments, and what they make by currency."""

    scans: int = 0
    payments: int = 0
    sums: dict[str, int] = field(default_factory=dict)


def money(*, shop: Shop, now: datetime) -> list[Money]:
    """What the shop was paid and gave back, in its own currency and every other that came."""
    zone = ZoneInfo(shop.time_zone)
    first, since = _since(shop, now)
    told: dict[str, dict[date, Sums]] = defaultdict(
        lambda: {first + timedelta(days=number): Sums() for number in range(DAYS)}
    )
    told[shop.currency]  # A shop without a sale has a day of nothing.
    last = first + timedelta(days=DAYS - 1)
    paid = _placed(shop, since).values("currency", day=TruncDate("occurred_at", tzinfo=zone)).order_by()
    for row in paid.annotate(count=Count("pk"), total=Sum("amount")):
        told[row["currency"]][min(row["day"], last)].add(Sums(payments=row["count"], came=int(row["total"])))
    back = Refund.objects.filter(shop=shop, id__gte=ids.first_of(since - _CLOCKS_APART), created_at__gte=since)
    by_day = back.exclude(state=Refund.State.FAILED).values("currency", day=TruncDate("created_at", tzinfo=zone))
    for row in by_day.order_by().annotate(count=Count("pk"), total=Sum("amount")):
        told[row["currency"]][min(row["day"], last)].add(Sums(refunds=row["count"], went_back=int(row["total"])))
    return [
        Money(currency, told[currency]) for currency in sorted(told, key=lambda code: (code != shop.currency, code))
    ]


def of_codes(*, shop: Shop, codes: Sequence[Code], now: datetime) -> dict[UUID, Did]:
    """What each of these codes of the shop did."""
    _first, since = _since(shop, now)
    did = {code.id: Did() for code in codes}
    scans = ScanCount.objects.filter(code__in=did, hour__gte=since).order_by().values_list("code")
    for code, total in scans.annotate(Sum("scans")):
        did[code].scans = total
    paid = _placed(shop, since).filter(intent__code__in=did).order_by().values_list("intent__code", "currency")
    for code, currency, count, total in paid.annotate(Count("pk"), Sum("amount")):
        did[code].payments += count
        did[code].sums[currency] = int(total)
    return did


def _since(shop: Shop, now: datetime) -> tuple[date, datetime]:
    """The first of the days, and when it began on the shop's clock."""
    zone = ZoneInfo(shop.time_zone)
    first = now.astimezone(zone).date() - timedelta(days=DAYS - 1)
    return first, datetime.combine(first, time(), zone)


def _placed(shop: Shop, since: datetime) -> QuerySet[Payment]:
    """The payments that are the shop's, by when they happened."""
    return Payment.objects.filter(
        shop=shop, id__gte=ids.first_of(since - _CLOCKS_APART), placed=True, occurred_at__gte=since
    )
