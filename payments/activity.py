"""What a code did: how often its page was opened, and what was paid by it, day by day in its shop's own zone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, Max, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce, TruncDate

from merchants import ids
from merchants.models import Code, ScanCount, Staff
from payments.models import Payment, Refund

DAYS_MAX = 366
# A payment is recorded after it happened, by clocks that agree within this: ids bound what is read by the index.
_CLOCKS_APART = timedelta(days=1)


@dataclass(kw_only=True)
class Told:
    """Of one day, or of all: scans, payments, and for each currency what came and what of it went back."""

    scans: int = 0
    payments: int = 0
    sums: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refunded: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(kw_only=True)
class Day(Told):
    day: date


@dataclass(kw_only=True)
class Activity(Told):
    """The sum of `days`: each day asked for, the first one first, also those on which nothing was."""

    code: UUID
    staff: Staff | None
    days: list[Day]
    last_scan_at: datetime | None = None
    last_payment_at: datetime | None = None


def of_code(*, code: Code, days: int, now: datetime) -> Activity:
    """The last so many days of the code, today included. Payments are those booked for the shop, by when they happened.

    An hour of scans that spans midnight counts for the day in which it begins.
    """
    zone = ZoneInfo(code.shop.time_zone)
    today = now.astimezone(zone).date()
    first = today - timedelta(days=days - 1)
    since = datetime.combine(first, time(), zone)
    days_of = {day: Day(day=day) for day in (first + timedelta(days=n) for n in range(days))}
    told = Activity(code=code.id, staff=code.staff, days=list(days_of.values()))
    for row in _scans(code, since, zone):
        for part in _of_day(told, days_of, row["day"]):
            part.scans += row["total"]
        told.last_scan_at = _later(told.last_scan_at, row["last"] or row["last_hour"])
    for row in _payments(code, since, zone):
        for part in _of_day(told, days_of, row["day"]):
            part.payments += row["count"]
            part.sums[row["currency"]] += row["total"]
            part.refunded[row["currency"]] += row["back"]
        told.last_payment_at = _later(told.last_payment_at, row["last"])
    return told


def _scans(code: Code, since: datetime, zone: ZoneInfo) -> Any:
    found = ScanCount.objects.filter(code=code, hour__gte=since)
    by_day = found.values(day=TruncDate("hour", tzinfo=zone)).order_by()
    return by_day.annotate(total=Sum("scans"), last=Max("last_at"), last_hour=Max("hour"))


def _payments(code: Code, since: datetime, zone: ZoneInfo) -> Any:
    """Sums by day and currency, found through the shop's payments of the time, however old and busy the code is."""
    refunds = Refund.objects.filter(payment=OuterRef("pk")).exclude(state=Refund.State.FAILED)
    back = refunds.order_by().values("payment").annotate(total=Sum("amount")).values("total")
    found = Payment.objects.filter(
        shop_id=code.shop_id,
        id__gte=ids.first_of(since - _CLOCKS_APART),
        intent__code=code,
        placed=True,
        occurred_at__gte=since,
    )
    by_day = found.annotate(went_back=Coalesce(Subquery(back), 0)).values(
        "currency", day=TruncDate("occurred_at", tzinfo=zone)
    )
    return by_day.order_by().annotate(
        count=Count("pk"), total=Sum("amount"), back=Sum("went_back"), last=Max("occurred_at")
    )


def _of_day(told: Activity, days: dict[date, Day], day: date) -> tuple[Told, Told]:
    """What a row of this day is added to. One that a provider dates ahead of our clock is of today."""
    return told, days[min(day, told.days[-1].day)]


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None or other > one else one
