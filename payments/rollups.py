"""The only writer of sums by the hour: payments as they are recorded, and starts once their hour is over.

The drain pays one statement of a few rows for a whole batch. Starts are added up afterwards, because each of them is a
transaction of its own that a customer waits for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncHour

from merchants import columns, ids
from payments.models import HourRollup, PaymentIntent, StartRollup

SLOTS = 16  # More workers than these on one book may wait for each other, as they do for its balances.
# A start may be tried again while its intent is open (settings.INTENT_LIFE), and an answer takes its time.
OVER_AFTER = timedelta(minutes=30)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Started:
    """What was begun at an account from `hour` on, for one hour, and how much of it its provider did not take up."""

    provider: str
    account: str
    hour: datetime
    starts: int
    failed: int


def add(payments: Iterable[tuple[str, int]], *, now: datetime) -> None:
    """Counts payments (currency, amount) that are recorded at `now`.

    Must run in the transaction that inserts them, and after whatever else it locks: these rows are held until its end.
    """
    sums: dict[str, list[int]] = {}
    for currency, amount in payments:
        of = sums.setdefault(currency, [0, 0])
        of[0] += 1
        of[1] += amount
    if not sums:
        return
    ordered = sorted(sums)
    with columns.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_hourrollup AS kept (hour, currency, slot, payments, amount)"
            " SELECT %s, came.currency, pg_backend_pid() %% %s, came.payments, came.amount"
            " FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS came(currency, payments, amount) ORDER BY currency"
            " ON CONFLICT (hour, currency, slot) DO UPDATE"
            " SET payments = kept.payments + EXCLUDED.payments, amount = kept.amount + EXCLUDED.amount",
            [hour_of(now), SLOTS, *columns.literals((code, *sums[code]) for code in ordered)],
        )


def paid(*, since: datetime, until: datetime) -> QuerySet[HourRollup]:
    """The rows of the hours that begin within; several may be of one hour and currency."""
    return HourRollup.objects.filter(hour__gte=since, hour__lt=until)


def started(*, since: datetime) -> list[Started]:
    """The hours from `since` (the beginning of one) on: those that are added up, and the starts of the rest."""
    names = ("provider_account__provider", "provider_account__name", "hour")
    kept = list(StartRollup.objects.filter(hour__gte=since).order_by("hour").values_list(*names, "starts", "failed"))
    open_since = kept[-1][2] + _HOUR if kept else since
    newer = PaymentIntent.objects.filter(id__gte=ids.first_of(open_since)).order_by()
    by_hour = newer.annotate(hour=TruncHour("created_at", tzinfo=UTC)).values_list(*names)
    counted = by_hour.annotate(starts=Count("pk"), failed=Count("pk", filter=~Q(start_failure="")))
    return [Started(*row) for row in (*kept, *counted)]


def close_hours(*, now: datetime) -> int:
    """Adds up the starts of every hour that is over since the last one that was; answers how many rows that made.

    What is older than yesterday and was never added up is read by nobody.
    """
    newest = StartRollup.objects.order_by("-hour").values_list("hour", flat=True).first()
    yesterday = hour_of(now).replace(hour=0) - timedelta(days=1)
    since, until = max(newest + _HOUR if newest else yesterday, yesterday), hour_of(now - OVER_AFTER)
    if since >= until:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_startrollup (hour, provider_account_id, starts, failed)"
            " SELECT date_trunc('hour', created_at, 'UTC'), provider_account_id, count(*),"
            " count(*) FILTER (WHERE start_failure <> '')"
            " FROM payments_paymentintent WHERE id >= %s AND id < %s GROUP BY 1, 2 ON CONFLICT DO NOTHING",
            [ids.first_of(since), ids.first_of(until)],
        )
        return int(cursor.rowcount)


def hour_of(moment: datetime) -> datetime:
    """When the hour of that moment began."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
