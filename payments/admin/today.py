"""Today as operators see it: what came, what waits and what does not fit; each number leads to its list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.http import require_safe

from merchants import ids
from merchants.desk import Page, desk
from merchants.lists import shown_money
from payments import figures, today
from payments.admin.parts import Part, at, chart, linked, named
from payments.models import Discrepancy, QueuedEvent
from payments.operating import SET_ASIDE


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Every part that this operator may see."""
    now = timezone.now()
    request.current_app = desk.name
    parts = [part for make in _PARTS for part in make(request.user.has_perm, now)]
    context = {**desk.each_context(request), "title": f"Today, {now:%d %B %Y} (UTC)", "parts": parts}
    return TemplateResponse(request, "admin/payments/today.html", context)


May = Callable[[str], bool]


def _volume(may: May, now: datetime) -> Iterator[Part]:
    if not may("payments.view_payment"):
        return
    told = today.volume(now=now)
    if not told:
        yield Part("paid", "Paid today", [], [], empty="Nobody has paid yet.")
    for of in told:
        total = shown_money(of.amount, of.currency)
        busiest = max(of.hours, key=lambda hour: hour.amount)
        most = shown_money(busiest.amount, of.currency)
        title = f"Paid today in {of.currency}, by hour: {total} in all, most at {busiest.begins:%H:%M} ({most})"
        bars = [
            (f"{hour.begins:%H:%M}", hour.amount, f"{shown_money(hour.amount, of.currency)}, {hour.count} payments")
            for hour in of.hours
        ]
        rows = [
            [
                f"{hour.begins:%H:%M}",
                _payments(of.currency, hour.begins, 1, hour.count),
                shown_money(hour.amount, of.currency),
            ]
            for hour in of.hours
            if hour.count
        ]
        rows.append(["in all", _payments(of.currency, today.midnight(now), 24, of.count), total])
        yield Part(
            f"paid-{of.currency.lower()}",
            f"Paid today in {of.currency}",
            ["Hour", "#Payments", "#Amount"],
            rows,
            before=chart(title, bars, most),
        )


def _payments(currency: str, since: datetime, hours: int, count: int) -> str:
    """The number as a link to those payments: their ids begin with the time they were recorded at."""
    first, end = ids.first_of(since), ids.first_of(since + timedelta(hours=hours))
    return linked(at("payments.payment", currency=currency, id__gte=first, id__lt=end), count)


def _lag(may: May, now: datetime) -> Iterator[Part]:
    if not may("payments.view_ledgerentry"):
        return
    told = today.lag(now=now)
    every = at("payments.ledgerentry", kind="paid", id__gte=ids.first_of(today.midnight(now)))
    rows = [[linked(every, told.payments), *map(_span, (told.median_s, told.p99_s, told.longest_s))]] if told else []
    yield Part(
        "lag",
        "From received to decided",
        ["#Newest payments", "#Half of them within", "#99 % within", "#Longest"],
        rows,
        empty="Nothing was decided today.",
    )


def _events(may: May, now: datetime) -> Iterator[Part]:
    if not may("payments.view_queuedevent"):
        return
    told = figures.events(now)
    rows = []
    for state in QueuedEvent.State:
        found = told.get(state)
        # What is only waiting its turn has no list of its own: it is gone before anybody has read it.
        every = at("payments.queuedevent", state=state) if state in SET_ASIDE else at("payments.webhookevent", since=1)
        if found:
            rows.append([state.label, linked(every, found["count"]), _span(found["oldest_s"])])
    yield Part("events", "Events not applied", ["State", "#Events", "#Oldest"], rows, empty="All are applied.")


def _unmatched(may: May, now: datetime) -> Iterator[Part]:
    if may("payments.view_discrepancy"):
        yield _discrepancies(now)
    if not may("payments.view_statementline"):
        return
    told = today.lines(now=now)
    hour, day = now - timedelta(hours=1), now - timedelta(days=1)
    rows = [
        [name, linked(at("payments.statementline", **filters), count)]
        for name, count, filters in (
            (
                "for less than an hour",
                told.under_1h,
                {"look_at__gt": hour.isoformat(), "look_at__lte": now.isoformat()},
            ),
            ("for less than a day", told.under_1d, {"look_at__gt": day.isoformat(), "look_at__lte": hour.isoformat()}),
            ("for longer", told.older, {"look_at__lte": day.isoformat()}),
            ("not due yet: looked at, and again later", told.later, {"look_at__gt": now.isoformat()}),
        )
        if count
    ]
    yield Part("lines", "Lines of statements not matched yet", ["Due", "#Lines"], rows)


_AGES = {"under_1d": "under a day", "under_7d": "under 7 days", "under_30d": "under 30 days", "older": "older"}


def _discrepancies(now: datetime) -> Part:
    rows = []
    total = 0
    bounds = _bounds(now)
    for row in sorted(figures.unmatched(now), key=lambda row: (list(_AGES).index(row["age"]), row["reason"])):
        total += row["count"]
        filters = {"state__exact": "open", "reason__exact": row["reason"], "currency": row["currency"]}
        every = at("payments.discrepancy", **filters, **bounds[row["age"]])
        label = Discrepancy.Reason(row["reason"]).label
        rows.append(
            [_AGES[row["age"]], label, linked(every, row["count"]), shown_money(row["amount"], row["currency"])]
        )
    every = at("payments.discrepancy", state__exact="open")
    if rows:
        rows.append(["all", "", linked(every, total), ""])
    columns = ["Open since", "What does not fit", "#Discrepancies", "#Amount"]
    return Part("discrepancies", "Open discrepancies", columns, rows, every=every)


def _bounds(now: datetime) -> dict[str, dict[str, str]]:
    """The filters that choose one age and no other."""
    found: dict[str, dict[str, str]] = {}
    younger: dict[str, str] = {}
    for name, limit in figures.AGES:
        since = (now - limit).isoformat()
        found[name] = {**younger, "opened_at__gt": since}
        younger = {"opened_at__lte": since}
    return {**found, "older": younger}


def _suspense(may: May, now: datetime) -> Iterator[Part]:
    if not may("payments.view_account"):
        return
    rows = [
        [code, linked(at("payments.account", kind__exact="suspense", currency=code), shown_money(amount, code))]
        for code, amount in sorted(figures.suspense().items())
        if amount
    ]
    yield Part("suspense", "Suspense: money without an owner", ["Currency", "#Stands at"], rows)


def _providers(may: May, now: datetime) -> Iterator[Part]:
    if not may("payments.view_provideraccount"):
        return
    rows = [
        [
            named(account, account),
            "left alone after failures" if account.rests else "called as usual",
            _ago(account.last_paid_at, now),
        ]
        for account in today.providers()
    ]
    columns = ["Account", "Calls", "Last payment"]
    yield Part("providers", "Providers", columns, rows, every=at("payments.provideraccount"))


def _payouts(may: May, now: datetime) -> Iterator[Part]:
    if not may("payments.view_payout"):
        return
    rows = []
    for row in figures.payouts_under_way():
        every = at("payments.payout", state__exact=row["state"], currency=row["currency"])
        rows.append([row["state"], linked(every, row["count"]), shown_money(row["amount"], row["currency"])])
    yield Part("payouts", "Payouts under way", ["State", "#Payouts", "#Amount"], rows)


# What waits for a person: what it is called, and the list that shows these and no others.
_WAITING: dict[str, tuple[str, str, dict[str, Any]]] = {
    "codealarm": ("open alarms about codes", "merchants.codealarm", {"ended_at__isnull": True}),
    "dispute": ("open disputes", "payments.dispute", {"state__exact": "open"}),
    "adjustment": ("adjustments for a second operator", "payments.adjustment", {"state__exact": "proposed"}),
    "payoutbatch": ("batches of payouts to release", "payments.payoutbatch", {"state__exact": "prepared"}),
    "payoutaccount": (
        "payout accounts to prove",
        "payments.payoutaccount",
        {"state__exact": "waiting", "verified_at__isnull": True},
    ),
}


def _waiting(may: May, now: datetime) -> Iterator[Part]:
    names = [name for name, (_said, table, _filters) in _WAITING.items() if may(table.replace(".", ".view_"))]
    if not names:
        return
    told = today.waiting(names)
    rows = [[_WAITING[name][0], linked(at(_WAITING[name][1], **_WAITING[name][2]), told[name])] for name in names]
    yield Part("waiting", "Waits for a person", ["What", "#How many"], rows)


_PARTS = (_volume, _waiting, _unmatched, _events, _lag, _providers, _suspense, _payouts)


def _span(seconds: float) -> str:
    """So many seconds, as one says them."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    return f"{timesince(moment, now, depth=1)} ago" if now - moment >= timedelta(minutes=1) else "just now"


desk.add_page(Page("today", "Today", "what came in, what waits, and what does not fit", page))
