"""On what terms a shop is paid out, and by which calendar: its own, or those that hold for its currency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q

from merchants import audit
from merchants.models import Shop, User
from payments.models import Holiday, PayoutTerms
from payments.payouts import owed
from payments.payouts.working_days import Calendar, calendar

DELAY_MAX = 30  # Working days.
# One run of a worker looks no further back or ahead than this for working days.
_YEARS = 1


def of(shop: Shop, currency: str) -> PayoutTerms | None:
    """The shop's own terms, else those of its currency; None while nobody has set any."""
    rows = PayoutTerms.objects.filter(Q(shop=shop) | Q(shop=None), currency=currency)
    return rows.order_by("shop_id").first()  # PostgreSQL sorts the row without a shop last.


def on_the_clock_of(shop: Shop, row: PayoutTerms) -> owed.Terms:
    return owed.Terms(row.minimum_amount, row.delay_days, row.cut_off, ZoneInfo(shop.time_zone))


def days(name: str, around: date) -> Calendar:
    """The calendar of that name, as far as it is needed around a day."""
    rows = Holiday.objects.filter(
        calendar=name, day__range=(date(around.year - _YEARS, 1, 1), date(around.year + _YEARS, 12, 31))
    )
    return calendar(name, rows.values_list("day", "working"))


def put(row: PayoutTerms, *, operator: User, reason: str, now: datetime) -> None:
    """Keeps terms that an operator entered or changed, with a line in the trail."""
    with transaction.atomic():
        known = PayoutTerms.objects.select_for_update(no_key=True).filter(id=row.id).first() if row.id else None
        row.save()
        audit.record(
            operator=operator,
            act="set_payout_terms",
            subject=row,
            reason=reason,
            before=_plain(known) if known else {},
            after=_plain(row),
            now=now,
        )


def add_holiday(row: Holiday, *, operator: User, now: datetime) -> None:
    """Keeps a day that an operator entered, with a line in the trail."""
    with transaction.atomic():
        row.save()
        after = {"calendar": row.calendar, "day": row.day.isoformat(), "name": row.name, "working": row.working}
        audit.record(operator=operator, act="add_holiday", subject=row, reason="", before={}, after=after, now=now)


def load_holidays(rows: Sequence[Holiday]) -> int:
    """Keeps a year's days; those that are known stay as they are. Answers how many were added."""
    before = Holiday.objects.count()
    Holiday.objects.bulk_create(rows, ignore_conflicts=True)
    return Holiday.objects.count() - before


def _plain(row: PayoutTerms) -> Mapping[str, Any]:
    cut_off: time = row.cut_off
    return {
        "shop": str(row.shop_id or ""),
        "currency": row.currency,
        "minimum_amount": row.minimum_amount,
        "delay_days": row.delay_days,
        "cut_off": cut_off.isoformat(),
        "channel": row.channel,
        "calendar": row.calendar,
    }
