"""The shop's own statement of a day or a month: what stood at its beginning, every movement, what stood at its end.

A past moment is looked at in one of two ways. **Recorded** is as we knew it then: by the time at which our book learned
of a movement, which never changes. **Effective** is as it was: by the time at which it happened, so money that we hear
of late still finds its day. Days are those of the shop's own time zone, from its midnight to just before the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from merchants import ids
from merchants.models import Shop
from payments import boundary, ledger, replica
from payments.ledger import Balance
from payments.models import Account

_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_MILLISECOND = timedelta(milliseconds=1)  # What ids carry of a time.
_AT_ONCE = 1000  # Lines in memory at a time, whatever the period holds.

# Longer than any transaction of ours may live: no entry of before can still become visible.
FINAL_AFTER = timedelta(minutes=15)
# An entry is recorded within these of its moment, or stands in the small index of those that are not.
EARLY, LATE = timedelta(days=1), timedelta(days=2)


class Basis(StrEnum):
    """By which of its two times a movement belongs to a period."""

    RECORDED = "recorded"
    EFFECTIVE = "effective"


class PeriodWrong(ValueError):
    """What was asked for is no day and no month that a statement can be of; the message says why, to a person."""


@dataclass(frozen=True, slots=True)
class Period:
    """A day ("2026-11-22") or a month ("2026-11") of one time zone, from `start` to just before `end` (both UTC)."""

    name: str
    zone: ZoneInfo
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to the book. `known_at` leaves out what was recorded after it.

    `everything` asks for movements that leave the total as it is, too: from pending to available, confirmed refunds.
    """

    shop: Shop
    period: Period
    basis: Basis
    everything: bool
    known_at: datetime

    @property
    def until(self) -> datetime:
        """Up to which moment (not included) the period is told: its end, or what is known of an unfinished one."""
        return min(self.period.end, _after(self.known_at))

    def final(self, now: datetime) -> bool:
        """Whether the same question will have the same answer for ever."""
        last = self.until if self.basis is Basis.RECORDED else self.known_at
        return now - last >= FINAL_AFTER


@dataclass(frozen=True, slots=True)
class Total:
    """All movements of one kind: how many, and what they did to the shop's total together."""

    kind: str
    count: int
    change: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A statement without its lines. `opening` and the changes of `totals` make `closing`, part by part."""

    opening: Balance
    closing: Balance
    money_in: int
    money_out: int
    totals: list[Total]


@dataclass(frozen=True, slots=True)
class Line:
    """One movement: what it did to the shop's total, and the total after it, in minor units.

    `pending` and `direct` are the parts of it that it did to those parts; `number` is the chain's.
    """

    entry_id: UUID
    recorded_at: datetime
    occurred_at: datetime
    kind: str
    change: int
    balance: int
    number: int
    pending: int
    direct: int
    payment_id: UUID | None
    refund_id: UUID | None
    dispute_id: UUID | None
    receipt: str
    description: str
    reason: str


def period(*, day: str, month: str, zone: str, known_at: datetime) -> Period:
    """The day or the month that is named, exactly one of the two. Raises PeriodWrong; a future one is wrong as well.

    A day begins when its clock first shows midnight (or passes it by), so days have 23, 24 or 25 hours, follow each
    other without a gap, and one that the zone has skipped is empty.
    """
    if bool(day) == bool(month):
        raise PeriodWrong(_("Name a day (day=2026-11-22) or a month (month=2026-11)."))
    found = _DAY.fullmatch(day) if day else _MONTH.fullmatch(month)
    try:
        first = date(*(int(part) for part in (*(found.groups() if found else ()), 1)[:3]))
    except (TypeError, ValueError):
        raise PeriodWrong(_("A day is written as 2026-11-22 and a month as 2026-11."))
    if not 1971 <= first.year <= 9998:
        raise PeriodWrong(_("Our book does not reach so far."))
    following = first + timedelta(days=1) if day else (first + timedelta(days=31)).replace(day=1)
    clock = ZoneInfo(zone)
    start, end = (datetime.combine(each, time(), tzinfo=clock).astimezone(UTC) for each in (first, following))
    if start > known_at:
        raise PeriodWrong(_("This period has not begun."))
    return Period(name=day or month, zone=clock, start=start, end=end)


def require_here(asked: Asked) -> None:
    """Raises Refused (`archived`) when entries that the statement needs are not in the database any more."""
    early = timedelta(0) if asked.basis is Basis.RECORDED else EARLY
    boundary.require(asked.period.start, shop=asked.shop, early=early)


def opening(asked: Asked) -> Balance:
    """What stood just before the period began, on the asked basis."""
    if asked.basis is Basis.RECORDED:
        return ledger.balance(shop=asked.shop, at=asked.period.start - _MILLISECOND)
    return _happened_before(asked.shop, asked.period.start, _after(asked.known_at))


def effective_balance(*, shop: Shop, at: datetime, known_at: datetime) -> Balance:
    """The balance as it was at the end of that millisecond, by what was recorded until the end of `known_at`'s.

    Raises Refused (`archived`) for a moment whose entries are not all here.
    """
    boundary.require(_after(at), shop=shop, early=EARLY)
    return _happened_before(shop, _after(at), _after(known_at))


def summary(asked: Asked) -> Summary:
    """The statement without its lines."""
    first, within = opening(asked), _sums(_SUMS_SQL[asked.basis], _bounds(asked))
    moved = _balance(asked.shop, within)
    return Summary(
        opening=first,
        closing=_added(first, moved),
        money_in=sum(row.money_in for row in within),
        money_out=sum(row.money_in - row.change for row in within),
        totals=[Total(row.kind, row.count, row.change) for row in within if row.count],
    )


def count(asked: Asked) -> int:
    """How many lines there would be, as far as can be seen now."""
    return sum(row.count for row in _sums(_SUMS_SQL[asked.basis], _bounds(asked)))


def lines(asked: Asked, first: Balance) -> Iterator[Line]:
    """Every movement of the period in the order of its time, the total going on from `first`, a few at a time.

    One question to the database, so all lines are of one moment. They lie ready there while they are read (a cursor
    WITH HOLD), and no transaction stays open for a reader who is slow.
    """
    total = first.total
    with replica.connection().chunked_cursor() as cursor:
        cursor.execute(_LINES_SQL[asked.basis], _bounds(asked))
        while rows := cursor.fetchmany(_AT_ONCE):
            for entry_id, recorded_at, occurred_at, kind, change, *about in rows:
                total += change
                yield Line(entry_id, recorded_at, occurred_at, kind, change, total, *about)


# --- Sums ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sum:
    """The movements of one kind, and what they did to each part."""

    kind: str
    count: int
    change: int
    pending: int
    direct: int
    money_in: int


def _after(moment: datetime) -> datetime:
    """The end of a moment's millisecond, as ids know it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000) + _MILLISECOND


def _bounds(asked: Asked) -> dict[str, Any]:
    """Which entries are of the period, as the statements below ask for them."""
    period, known = asked.period, ids.first_of(_after(asked.known_at))
    recorded = asked.basis is Basis.RECORDED
    return {
        **_whose(asked.shop),
        "since": ids.first_of(period.start if recorded else period.start - EARLY),
        "until": ids.first_of(asked.until) if recorded else min(ids.first_of(_after(period.end + LATE)), known),
        "known": known,
        "start": period.start,
        "end": period.end,
        "everything": asked.everything,
    }


def _whose(shop: Shop) -> dict[str, Any]:
    kinds = [str(Account.Kind.SHOP_PENDING), str(Account.Kind.SHOP_AVAILABLE)]
    return {"shop": shop.id, "currency": shop.currency, "kinds": kinds}


def _happened_before(shop: Shop, moment: datetime, known: datetime) -> Balance:
    """What stood before `moment`, by what was recorded before `known` (each the beginning of a millisecond).

    What was recorded long before it had happened by then, and of what was recorded long after it nothing had, but for
    the entries of the small index of those that are apart: so few days are read, however many there are.
    """
    early = min(moment - EARLY, known)
    stood = ledger.balance(shop=shop, at=early - _MILLISECOND)
    bounds = {
        **_whose(shop),
        "since": ids.first_of(early),
        "until": min(ids.first_of(_after(moment + LATE)), ids.first_of(known)),
        "known": ids.first_of(known),
        "end": moment,
    }
    return _added(stood, _balance(shop, _sums(_BEFORE_SQL, bounds)))


def _sums(statement: str, bounds: dict[str, Any]) -> list[_Sum]:
    with replica.connection().cursor() as cursor:
        cursor.execute(statement, bounds)
        return [
            _Sum(kind, count, int(change), int(pending), int(direct), int(money_in))
            for kind, count, change, pending, direct, money_in in cursor.fetchall()
        ]


def _added(one: Balance, other: Balance) -> Balance:
    return Balance(
        currency=one.currency,
        available=one.available + other.available,
        pending=one.pending + other.pending,
        direct=one.direct + other.direct,
    )


def _balance(shop: Shop, rows: list[_Sum]) -> Balance:
    pending = sum(row.pending for row in rows)
    return Balance(
        currency=shop.currency,
        available=sum(row.change for row in rows) - pending,
        pending=pending,
        direct=sum(row.direct for row in rows),
    )


# What an entry does to the shop: its credits to the shop's own accounts less its debits to them.
_OWN_SQL = """
WITH own AS (
    SELECT id, (kind = 'shop_pending')::int AS pending, (funds = 'direct')::int AS direct
      FROM payments_account WHERE shop_id = %(shop)s AND currency = %(currency)s AND kind = ANY(%(kinds)s)
), booked AS (
"""
_BOOKED_SQL = """
    SELECT *, {sign} AS sign FROM payments_ledgerentry
     WHERE shop_id = %(shop)s AND currency = %(currency)s AND """
_ENTRY_SQL = """
), entry AS (
    SELECT booked.*,
           sign * booked.amount * ((credit.id IS NOT NULL)::int - (debit.id IS NOT NULL)::int) AS change,
           sign * booked.amount * (coalesce(credit.pending, 0) - coalesce(debit.pending, 0)) AS pending_change,
           sign * booked.amount * (coalesce(credit.direct, 0) - coalesce(debit.direct, 0)) AS direct_change
      FROM booked
      LEFT JOIN own debit ON debit.id = booked.debit_id
      LEFT JOIN own credit ON credit.id = booked.credit_id
)
"""
_BY_ID_SQL = "id >= %(since)s AND id < %(until)s"
# As the index `ledger_entry_apart` says it.
APART_SQL = "(recorded_at - occurred_at < '-1 day'::interval OR recorded_at - occurred_at > '2 days'::interval)"
_WITHIN_SQL = "occurred_at >= %(start)s AND occurred_at < %(end)s"

_OF_PERIOD_SQL = {
    Basis.RECORDED: _OWN_SQL + _BOOKED_SQL.format(sign=1) + _BY_ID_SQL + _ENTRY_SQL,
    Basis.EFFECTIVE: _OWN_SQL
    + _BOOKED_SQL.format(sign=1)
    + f"{_BY_ID_SQL} AND {_WITHIN_SQL} AND NOT {APART_SQL} UNION ALL"
    + _BOOKED_SQL.format(sign=1)
    + f"{APART_SQL} AND {_WITHIN_SQL} AND id < %(known)s"
    + _ENTRY_SQL,
}
_ADDED_UP_SQL = """
SELECT kind, count(*) FILTER (WHERE change <> 0 OR {everything}),
       sum(change), sum(pending_change), sum(direct_change), sum(greatest(change, 0))
  FROM entry GROUP BY kind ORDER BY kind
"""
_SUMS_SQL = {basis: of + _ADDED_UP_SQL.format(everything="%(everything)s") for basis, of in _OF_PERIOD_SQL.items()}
# Beside what was recorded before `since`: what had happened by then, and less what had not.
_BEFORE_SQL = (
    _OWN_SQL
    + _BOOKED_SQL.format(sign=1)
    + f"{_BY_ID_SQL} AND occurred_at < %(end)s UNION ALL"
    + _BOOKED_SQL.format(sign=1)
    + f"{APART_SQL} AND id >= %(until)s AND id < %(known)s AND occurred_at < %(end)s UNION ALL"
    + _BOOKED_SQL.format(sign=-1)
    + f"{APART_SQL} AND id < %(since)s AND occurred_at >= %(end)s"
    + _ENTRY_SQL
    + _ADDED_UP_SQL.format(everything="true")
)

_FOUND_SQL = """
SELECT entry.id, entry.recorded_at, entry.occurred_at, entry.kind, entry.change,
       entry.number, entry.pending_change::bigint, entry.direct_change::bigint,
       entry.payment_id, entry.refund_id, entry.dispute_id, coalesce(intent.receipt, ''),
       coalesce(intent.description, ''), coalesce(refund.reason, '')
  FROM entry
  LEFT JOIN payments_payment payment ON payment.id = entry.payment_id
  LEFT JOIN payments_paymentintent intent ON intent.id = payment.intent_id
  LEFT JOIN payments_refund refund ON refund.id = entry.refund_id
 WHERE entry.change <> 0 OR %(everything)s
 ORDER BY """
_LINES_SQL = {
    Basis.RECORDED: _OF_PERIOD_SQL[Basis.RECORDED] + _FOUND_SQL + "entry.id",
    Basis.EFFECTIVE: _OF_PERIOD_SQL[Basis.EFFECTIVE] + _FOUND_SQL + "entry.occurred_at, entry.id",
}
