"""What is usual for each code, learnt anew once a day from the payments and the scans of its last weeks.

A shop is learnt when it sells, at most once a day; the rules stand in `swap_alarm`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q

from merchants import ids
from merchants.models import Code, CodeAlarm, CodeRhythm, ScanCount, Shop
from payments import swap_alarm
from payments.swap_alarm import Chance, Rhythm

LEARNT_EVERY = timedelta(days=1)
SOLD_WITHIN = timedelta(minutes=15)  # Three looks: whoever sold while one of them was lost is looked at by the next.
SALES_MAX = 10_000  # A busy shop's last weeks; what is older tells less.
ANSWER_REMEMBERED = timedelta(days=364)

SILENT, UNPAID_SCANS = CodeAlarm.Kind.SILENT, CodeAlarm.Kind.UNPAID_SCANS


@dataclass(frozen=True, slots=True)
class Sale:
    """A payment by one of a shop's codes."""

    payment: UUID
    code: UUID
    at: datetime
    recorded_at: datetime


def learn_due(*, now: datetime, limit: int, in_time: Callable[[], bool] = lambda: True) -> int:
    """Learns shops that sell and were not learnt today, as long as there is time; answers how many."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE_SQL, [ids.first_of(now - SOLD_WITHIN), now - LEARNT_EVERY, limit])
        due = [shop_id for (shop_id,) in cursor.fetchall()]
    learnt = 0
    for shop in Shop.objects.filter(id__in=due).order_by("id"):
        if not in_time():
            break
        learn(shop=shop, now=now)
        learnt += 1
    return learnt


def learn(*, shop: Shop, now: datetime) -> None:
    """Learns what is usual for each code of a shop that does not end by itself."""
    since = now - timedelta(days=swap_alarm.BASELINE_DAYS)
    sold = sales(shop=shop, since=since)
    zone = ZoneInfo(shop.time_zone)
    codes = list(shop.codes.filter(~Q(kind=Code.Kind.ONE_TIME), state=Code.State.ACTIVE).order_by("id"))
    fine = _found_fine(shop, now)
    scans: dict[UUID, dict[datetime, int]] = defaultdict(dict)
    for code_id, hour, count in ScanCount.objects.filter(code__in=codes, hour__gte=since).values_list(
        "code_id", "hour", "scans"
    ):
        scans[code_id][hour] = count
    places = [(sale.code, *_place(sale.at, zone)) for sale in sold]
    newest = {sale.code: sale for sale in sold}
    rows = []
    for code in codes:
        learnt = {
            SILENT: swap_alarm.learn(_chances_of_sales(places, code.id)),
            UNPAID_SCANS: swap_alarm.learn(_chances_of_scans(scans[code.id], sold, code.id, zone)),
        }
        last = newest.get(code.id)
        rows += [
            CodeRhythm(
                shop=shop,
                code=code,
                kind=kind,
                learnt_at=now,
                rhythm=stored(rhythm, fine.get((code.id, kind), 0.0)) if rhythm else None,
                least=rhythm.least if rhythm else None,
                last_paid=last.payment if last else None,
                quiet_since=last.recorded_at if last else None,
            )
            for kind, rhythm in learnt.items()
        ]
    CodeRhythm.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["code", "kind"],
        update_fields=["learnt_at", "rhythm", "least", "last_paid", "quiet_since"],
    )


def sales(*, shop: Shop, since: datetime, after: UUID | None = None) -> list[Sale]:
    """The newest of a shop's payments by its codes, in the order in which they were recorded."""
    with connection.cursor() as cursor:
        cursor.execute(_SALES_SQL, [shop.id, max(after or ids.first_of(since), ids.first_of(since)), SALES_MAX])
        return [Sale(*row) for row in reversed(cursor.fetchall())]


def missed(sold: Iterable[Sale], zone: ZoneInfo) -> dict[int, dict[int, int]]:
    """Payments by other codes, by day and block."""
    found: dict[int, dict[int, int]] = {}
    for sale in sold:
        day, block = _place(sale.at, zone)
        blocks = found.setdefault(day, {})
        blocks[block] = blocks.get(block, 0) + 1
    return found


def unpaid(scans: Mapping[datetime, int], zone: ZoneInfo) -> dict[int, dict[int, int]]:
    """Scans by day; all of a day are of one block."""
    found: dict[int, dict[int, int]] = {}
    for hour, count in scans.items():
        blocks = found.setdefault(_place(hour, zone)[0], {0: 0})
        blocks[0] += count
    return found


def stored(rhythm: Rhythm, fine: float = 0.0) -> dict[str, Any]:
    """As the table keeps it. `fine`: the weight by days of a silence that the vendor called normal."""
    return {
        "shares": {str(block): list(share) for block, share in rhythm.shares.items()},
        "recent": round(rhythm.recent, 4),
        "runs": rhythm.runs,
        "days": [round(day, 3) for day in rhythm.days],
        "longest": round(max(rhythm.longest, fine), 3),
        "span": rhythm.span,
    }


def loaded(kept: Mapping[str, Any]) -> Rhythm:
    """What `stored` kept."""
    shares = {int(block): (share[0], share[1]) for block, share in kept["shares"].items()}
    return Rhythm(**{**kept, "shares": shares})


def _chances_of_sales(places: Sequence[tuple[UUID, int, int]], code: UUID) -> list[Chance]:
    """Every payment of the shop is a chance for the code, from its first to its last payment."""
    own = [number for number, place in enumerate(places) if place[0] == code]
    if not own:
        return []
    found: list[Chance] = []
    for other, day, block in places[own[0] : own[-1] + 1]:
        if other == code:
            found.append(Chance(day, block, 1, 1))
        elif found[-1].paid or (found[-1].day, found[-1].block) != (day, block):
            found.append(Chance(day, block, 1, 0))
        else:
            found[-1] = Chance(day, block, found[-1].chances + 1, 0)
    return found


def _chances_of_scans(scans: Mapping[datetime, int], sold: Sequence[Sale], code: UUID, zone: ZoneInfo) -> list[Chance]:
    """Every scan of the code is a chance, hour by hour, up to the last hour in which it was paid."""
    paid: dict[datetime, int] = defaultdict(int)
    for sale in sold:
        if sale.code == code:
            paid[sale.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)] += 1
    hours = sorted(scans)
    last = max((number for number, hour in enumerate(hours) if paid.get(hour)), default=-1)
    return [Chance(_place(hour, zone)[0], 0, scans[hour], paid.get(hour, 0)) for hour in hours[: last + 1]]


def _place(at: datetime, zone: ZoneInfo) -> tuple[int, int]:
    local = at.astimezone(zone)
    return local.toordinal(), swap_alarm.block_of(local.hour)


def _found_fine(shop: Shop, now: datetime) -> dict[tuple[UUID, str], float]:
    """The weight by days of what the vendor looked at and found normal: a silence like it is no alarm again."""
    found: dict[tuple[UUID, str], float] = {}
    for alarm in CodeAlarm.objects.filter(
        shop=shop, ending=CodeAlarm.Ending.FINE, raised_at__gte=now - ANSWER_REMEMBERED
    ):
        key = (alarm.code_id, alarm.kind)
        found[key] = max(found.get(key, 0.0), float(alarm.evidence["by_days"]))
    return found


_DUE_SQL = """
SELECT sold.shop_id
  FROM (SELECT DISTINCT shop_id FROM payments_payment WHERE id >= %s AND shop_id IS NOT NULL) AS sold
 WHERE NOT EXISTS (SELECT FROM merchants_coderhythm rhythm
                    WHERE rhythm.shop_id = sold.shop_id AND rhythm.learnt_at > %s)
 LIMIT %s
"""

_SALES_SQL = """
SELECT payment.id, intent.code_id, payment.occurred_at, payment.recorded_at
  FROM payments_payment payment JOIN payments_paymentintent intent ON intent.id = payment.intent_id
 WHERE payment.shop_id = %s AND payment.id > %s
 ORDER BY payment.id DESC
 LIMIT %s
"""
