"""Today in figures: what was paid in each hour, how long it took to decide, and what waits or does not answer.

Each figure is one question or two, of sums by the hour or of rows up to a limit, so that the whole page costs the same
whatever the day was like. Days are of UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Case, Count, F, Min, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import TruncHour

from merchants import ids
from merchants.models import CodeAlarm
from payments import circuit, rollups
from payments.figures import COUNTED_MAX
from payments.models import (
    Adjustment,
    Dispute,
    LedgerEntry,
    Payment,
    PayoutAccount,
    PayoutBatch,
    ProviderAccount,
    Refund,
    StatementLine,
    WebhookEvent,
)

LAG_OF = 1000  # The newest payments of the day say how long deciding takes now.
LAG_AMONG = 10_000  # Newest entries among which they are looked for: what became available at once may be very much.
PROVIDERS_MAX = 20  # Accounts that are left alone come first.


@dataclass(frozen=True, slots=True)
class Hour:
    """What was recorded from `begins` on, for one hour."""

    begins: datetime
    count: int
    amount: int


@dataclass(frozen=True, slots=True)
class Volume:
    """The day in one currency: its 24 hours, the first one first."""

    currency: str
    hours: list[Hour]

    @property
    def count(self) -> int:
        return sum(hour.count for hour in self.hours)

    @property
    def amount(self) -> int:
        return sum(hour.amount for hour in self.hours)


@dataclass(frozen=True, slots=True)
class Starts:
    """Payments that were begun from `begins` on, for one hour, and how many of them the provider did not take up."""

    begins: datetime
    count: int
    failed: int


@dataclass(frozen=True, slots=True)
class Lag:
    """Seconds from a notification's arrival to the decision about it, over the newest payments of the day."""

    payments: int
    median_s: float
    p99_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of statements that wait for the matcher, by how long they have been due; each counted up to a limit."""

    under_1h: int
    under_1d: int
    older: int
    later: int
    oldest: datetime | None


def midnight(now: datetime) -> datetime:
    """When today began."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def volume(*, now: datetime) -> list[Volume]:
    """The payments that were recorded today, whoever they are for, by currency and hour."""
    return volumes(["payment"], now=now)["payment"]


def volumes(names: Sequence[str], *, now: datetime) -> dict[str, list[Volume]]:
    """The same of payments and of refunds that were asked for or told today and have not failed, in one question."""
    begin = midnight(now)
    counts = [_BY_HOUR[name](begin, begin + timedelta(days=1)).annotate(what=Value(name)) for name in names]
    rows = [found.values_list("what", "currency", "of_hour", "count", "total").order_by() for found in counts]
    told: dict[str, dict[str, dict[datetime, tuple[int, int]]]] = {name: defaultdict(dict) for name in names}
    for name, currency, hour, count, total in rows[0].union(*rows[1:], all=True) if rows[1:] else rows[0]:
        told[name][currency][hour] = (int(count), int(total))
    return {
        name: [
            Volume(currency, [Hour(hour, *of.get(hour, (0, 0))) for hour in _hours(now)])
            for currency, of in sorted(currencies.items())
        ]
        for name, currencies in told.items()
    }


def starts(*, now: datetime) -> dict[str, list[Starts]]:
    """How each account's provider answered those who began to pay today: its 24 hours, the first one first."""
    told: dict[str, dict[datetime, tuple[int, int]]] = defaultdict(dict)
    for row in rollups.started(since=midnight(now)):
        told[f"{row.provider}/{row.account}"][row.hour] = (row.starts, row.failed)
    return {name: [Starts(hour, *of.get(hour, (0, 0))) for hour in _hours(now)] for name, of in sorted(told.items())}


def lag(*, now: datetime) -> Lag | None:
    """How long deciding takes, or nothing while nothing was decided today."""
    received = WebhookEvent.objects.filter(id=OuterRef("event_id")).values("received_at")
    newest = LedgerEntry.objects.filter(id__gte=ids.first_of(midnight(now))).order_by("-id").values("id")[:LAG_AMONG]
    found = LedgerEntry.objects.filter(id__in=newest, kind=LedgerEntry.Kind.PAID, event_id__isnull=False)
    rows = found.order_by("-id").annotate(received=Subquery(received)).values_list("received", "recorded_at")[:LAG_OF]
    spans = sorted(max((decided - came).total_seconds(), 0.0) for came, decided in rows if came is not None)
    if not spans:
        return None
    return Lag(len(spans), _share(spans, 0.5), _share(spans, 0.99), spans[-1])


def lines(*, now: datetime) -> Lines:
    """Lines that nobody has matched yet, the longest due first."""
    waiting = StatementLine.objects.filter(look_at__isnull=False).order_by("look_at").values("look_at")[:COUNTED_MAX]
    hour, day = now - timedelta(hours=1), now - timedelta(days=1)
    found = waiting.aggregate(
        under_1h=Count("look_at", filter=Q(look_at__gt=hour, look_at__lte=now)),
        under_1d=Count("look_at", filter=Q(look_at__gt=day, look_at__lte=hour)),
        older=Count("look_at", filter=Q(look_at__lte=day)),
        later=Count("look_at", filter=Q(look_at__gt=now)),
        oldest=Min("look_at", filter=Q(look_at__lte=now)),
    )
    return Lines(**found)


def providers() -> list[Any]:
    """The platform's accounts that are on, and every one that is left alone now, with `rests` and `last_paid_at`."""
    alone = set(circuit.resting())
    last = Payment.objects.filter(provider_account=OuterRef("pk")).order_by("-occurred_at").values("occurred_at")[:1]
    shown = ProviderAccount.objects.filter(Q(shop=None, active=True) | Q(id__in=alone)).defer("sealed_credentials")
    first = Case(When(id__in=alone, then=Value(0)), default=Value(1))
    rows = list(shown.annotate(last_paid_at=Subquery(last)).order_by(first, "provider", "name")[:PROVIDERS_MAX])
    for row in rows:
        row.rests = row.id in alone  # type: ignore[attr-defined]
    return rows


# What somebody has to look at: each counted by the rows of a partial index, or of a table that stays small.
WAITING: dict[str, QuerySet[Any]] = {
    "refund": Refund.objects.filter(review=Refund.Review.WAITING, state=Refund.State.REQUESTED),
    "codealarm": CodeAlarm.objects.filter(ended_at=None),
    "dispute": Dispute.objects.filter(state=Dispute.State.OPEN),
    "adjustment": Adjustment.objects.filter(state=Adjustment.State.PROPOSED),
    "payoutbatch": PayoutBatch.objects.filter(state=PayoutBatch.State.PREPARED),
    "payoutaccount": PayoutAccount.objects.filter(state=PayoutAccount.State.WAITING, verified_at=None),
}


def waiting(names: list[str]) -> dict[str, int]:
    """How many of these wait for a person, asked at once."""
    counts = [
        WAITING[name]
        .order_by()
        .annotate(what=Value(name))
        .values("what")
        .annotate(n=Count("pk"))
        .values_list("what", "n")
        for name in names
    ]
    if not counts:
        return {}
    found = counts[0].union(*counts[1:], all=True) if counts[1:] else counts[0]
    return dict.fromkeys(names, 0) | dict(found)


def _hours(now: datetime) -> list[datetime]:
    return [midnight(now) + timedelta(hours=hour) for hour in range(24)]


def _paid_by_hour(begin: datetime, end: datetime) -> QuerySet[Any]:
    hours = rollups.paid(since=begin, until=end).values("currency", of_hour=F("hour"))
    return hours.annotate(count=Sum("payments"), total=Sum("amount"))


def _given_back_by_hour(begin: datetime, end: datetime) -> QuerySet[Any]:
    """Added up from the rows: they are few, and one that fails leaves the hour that it was in."""
    rows = Refund.objects.filter(id__gte=ids.first_of(begin), id__lt=ids.first_of(end))
    hours = rows.exclude(state=Refund.State.FAILED).values("currency", of_hour=TruncHour("created_at", tzinfo=UTC))
    return hours.annotate(count=Count("pk"), total=Sum("amount"))


_BY_HOUR: dict[str, Callable[[datetime, datetime], QuerySet[Any]]] = {
    "payment": _paid_by_hour,
    "refund": _given_back_by_hour,
}


def _share(ordered: list[float], share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
