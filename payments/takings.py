"""What a shop took on one day, from its book: payments, what went back, by item, wallet and seller, and days before.

All sums are those of the entries, read by one statement: they are the shop's statement of that day in another order.
A day is the shop's own, by when things **happened**, or by when our book **recorded** them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from merchants import ids
from merchants.models import Item, Shop, Staff
from payments import boundary, replica, search, statement
from payments.models import Account, Payment
from payments.statement import APART_SQL, EARLY, LATE, Basis, Period


class Part(StrEnum):
    """What an entry is to a day: each is in one of these, or leaves the total as it is."""

    PAYMENTS = "payments"
    IN_QUESTION = "in_question"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    FEES = "fees"
    PAYOUTS = "payouts"
    CORRECTIONS = "corrections"


@dataclass(slots=True)
class Sum:
    """How many, and how much in minor units."""

    count: int = 0
    amount: int = 0


@dataclass(slots=True)
class Group:
    """What came by one item, wallet or seller (`key` is empty where there is none), and what of such went back."""

    key: Any
    name: str = ""
    count: int = 0
    amount: int = 0
    refunded: int = 0


@dataclass(slots=True)
class Day:
    """One day up to `until`: what came and what went back. `changes` holds what else changed the shop's total."""

    period: Period
    until: datetime
    payments: Sum = field(default_factory=Sum)
    refunds: Sum = field(default_factory=Sum)
    direct: int = 0  # Of the payments, what has reached the shop by itself.
    changes: dict[Part, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def net(self) -> int:
        return self.payments.amount - self.refunds.amount

    @property
    def change(self) -> int:
        """What the day did to the shop's total: the closing of its statement less the opening."""
        return self.net + sum(self.changes.values())


@dataclass(slots=True)
class Takings(Day):
    """A whole answer. `in_question` by currency waits in suspense and is in no sum; `wants_look` counts payments."""

    in_question: dict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))
    wants_look: int = 0
    items: list[Group] = field(default_factory=list)
    wallets: list[Group] = field(default_factory=list)
    sellers: list[Group] = field(default_factory=list)
    before: list[Day] = field(default_factory=list)


def of_day(*, shop: Shop, day: str, basis: Basis, now: datetime) -> Takings:
    """That day ("2026-11-22"; today for "") by what is known now, beside the day and the week before.

    While it is not over, the others are told up to the same time of their own clocks. Of those, one whose entries are
    not here any more is left out; such a day itself raises Refused (`archived`). Raises statement.PeriodWrong.
    """
    zone = ZoneInfo(shop.time_zone)
    period = statement.period(
        day=day or now.astimezone(zone).date().isoformat(), month="", zone=shop.time_zone, known_at=now
    )
    early = timedelta(0) if basis is Basis.RECORDED else EARLY
    boundary.require(period.start, shop=shop, early=early)
    here = boundary.since()
    found = Takings(period=period, until=min(period.end, now))
    rows = _rows(shop, period, period.end, basis, now)
    _add_up(found, rows, shop.currency)
    found.items = _grouped(rows, "item", shop.currency, _item_names)
    found.wallets = _grouped(rows, "provider", shop.currency, lambda _keys: {})
    found.sellers = _grouped(rows, "staff", shop.currency, _seller_names)
    of_that_day = Payment.objects.filter(shop=shop, occurred_at__gte=period.start, occurred_at__lt=period.end)
    found.wants_look = search.wanting_a_look(of_that_day, shop=shop, wanting=True).count()
    for back in (1, 7):
        earlier = _earlier(period, back, now)
        if here is not None and earlier.start - early < here:
            continue
        before = Day(period=earlier, until=_same_clock(earlier, period, now))
        _add_up(before, _rows(shop, earlier, before.until, basis, now), shop.currency)
        found.before.append(before)
    return found


def _earlier(period: Period, days: int, now: datetime) -> Period:
    name = (date.fromisoformat(period.name) - timedelta(days=days)).isoformat()
    return statement.period(day=name, month="", zone=period.zone.key, known_at=now)


def _same_clock(earlier: Period, period: Period, now: datetime) -> datetime:
    """The end of an earlier day; of one that is held against an unfinished day, the time that its clock shows now."""
    if now >= period.end:
        return earlier.end
    clock = now.astimezone(period.zone).time()
    moment = datetime.combine(date.fromisoformat(earlier.name), clock, tzinfo=period.zone)
    return min(max(moment.astimezone(earlier.start.tzinfo), earlier.start), earlier.end)


def _rows(shop: Shop, period: Period, until: datetime, basis: Basis, now: datetime) -> list[dict[str, Any]]:
    """The day's movements, added up by what they are and whose: a few rows, however many entries there are."""
    known = ids.first_of(now + timedelta(milliseconds=1))
    recorded = basis is Basis.RECORDED
    bounds: dict[str, Any] = {
        "since": ids.first_of(period.start if recorded else period.start - EARLY),
        "until": min(ids.first_of(until if recorded else until + LATE + timedelta(milliseconds=1)), known),
        "known": known,
        "start": period.start,
        "end": until,
    }
    kinds = [str(Account.Kind.SHOP_PENDING), str(Account.Kind.SHOP_AVAILABLE)]
    with replica.connection().cursor() as cursor:
        cursor.execute(_SQL[basis], {"shop": shop.id, "currency": shop.currency, "kinds": kinds, **bounds})
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _add_up(day: Day, rows: Iterable[dict[str, Any]], currency: str) -> None:
    for row in rows:
        part, change = Part(row["part"]), int(row["change"])
        if part is Part.IN_QUESTION:
            if isinstance(day, Takings):
                waits = day.in_question[row["currency"]]
                waits.count, waits.amount = waits.count + row["count"], waits.amount + int(row["amount"])
        elif row["currency"] != currency:
            continue
        elif part is Part.PAYMENTS:
            day.payments.count += row["count"]
            day.payments.amount += change
            day.direct += int(row["direct"])
        elif part is Part.REFUNDS:
            day.refunds.count += row["count"]
            day.refunds.amount -= change
        else:
            day.changes[part] += change


def _grouped(
    rows: Iterable[dict[str, Any]], column: str, currency: str, names: Callable[[set[Any]], dict[Any, str]]
) -> list[Group]:
    """The greatest first; what belongs to none last."""
    groups: dict[Any, Group] = {}
    for row in rows:
        if row["currency"] != currency or row["part"] not in (Part.PAYMENTS, Part.REFUNDS):
            continue
        group = groups.setdefault(row[column], Group(row[column]))
        if row["part"] == Part.PAYMENTS:
            group.count += row["count"]
            group.amount += int(row["change"])
        else:
            group.refunded -= int(row["change"])
    found = names({key for key in groups if key is not None})
    for group in groups.values():
        group.name = found.get(group.key, "")
    return sorted(groups.values(), key=lambda group: (group.key is None, -group.amount, str(group.key)))


def _item_names(keys: set[UUID]) -> dict[UUID, str]:
    return dict(Item.objects.filter(id__in=keys).values_list("id", "name"))


def _seller_names(keys: set[UUID]) -> dict[UUID, str]:
    return dict(Staff.objects.filter(id__in=keys).values_list("id", "user__name"))


_OWN_SQL = """
WITH own AS (
    SELECT id, (funds = 'direct')::int AS direct
      FROM payments_account WHERE shop_id = %(shop)s AND currency = %(currency)s AND kind = ANY(%(kinds)s)
), entry AS (
"""
_ENTRY_SQL = """
    SELECT id, kind, amount, currency, debit_id, credit_id, payment_id, refund_id FROM payments_ledgerentry
     WHERE shop_id = %(shop)s AND """
_BY_ID_SQL = "id >= %(since)s AND id < %(until)s"
_HAPPENED_SQL = " AND occurred_at >= %(start)s AND occurred_at < %(end)s"

_GROUPS_SQL = """
), moved AS (
    SELECT CASE WHEN entry.kind = 'paid' AND debit.id IS NULL AND credit.id IS NULL THEN 'in_question'
                WHEN entry.kind = 'paid' THEN 'payments'
                WHEN entry.kind LIKE 'refund_%%' THEN 'refunds'
                WHEN entry.kind LIKE 'dispute_%%' THEN 'disputes'
                WHEN entry.kind LIKE 'payout_%%' THEN 'payouts'
                WHEN entry.kind = 'fee' THEN 'fees'
                ELSE 'corrections' END AS part,
           entry.currency, entry.payment_id, coalesce(entry.refund_id, entry.id) AS of_one, sum(entry.amount) AS amount,
           sum(entry.amount * ((credit.id IS NOT NULL)::int - (debit.id IS NOT NULL)::int)) AS change,
           sum(entry.amount * (coalesce(credit.direct, 0) - coalesce(debit.direct, 0))) AS direct
      FROM entry
      LEFT JOIN own debit ON debit.id = entry.debit_id
      LEFT JOIN own credit ON credit.id = entry.credit_id
     WHERE entry.kind = 'paid' OR (credit.id IS NULL) <> (debit.id IS NULL)
     GROUP BY 1, 2, 3, 4
)
SELECT moved.part, moved.currency, intent.item_id AS item, account.provider, intent.staff_id AS staff,
       count(*) FILTER (WHERE moved.part <> 'refunds' OR moved.change < 0) AS count,
       sum(moved.amount) AS amount, sum(moved.change) AS change, sum(moved.direct) AS direct
  FROM moved
  LEFT JOIN payments_payment payment ON payment.id = moved.payment_id
  LEFT JOIN payments_paymentintent intent ON intent.id = payment.intent_id
  LEFT JOIN payments_provideraccount account ON account.id = payment.provider_account_id
 GROUP BY 1, 2, 3, 4, 5
"""
_SQL = {
    Basis.RECORDED: _OWN_SQL + _ENTRY_SQL + _BY_ID_SQL + _GROUPS_SQL,
    Basis.EFFECTIVE: _OWN_SQL
    + _ENTRY_SQL
    + _BY_ID_SQL
    + _HAPPENED_SQL
    + f" AND NOT {APART_SQL} UNION ALL "
    + _ENTRY_SQL
    + APART_SQL
    + " AND id < %(known)s"
    + _HAPPENED_SQL
    + _GROUPS_SQL,
}
