"""Today as operators see it: what came, what waits and what does not fit; each number leads to its list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from merchants import ids
from merchants.desk import Page, desk
from merchants.lists import shown_money
from payments import figures, today
from payments.admin.parts import ROWS, Part, at, chart, linked, named
from payments.models import Discrepancy, Payout, QueuedEvent
from payments.operating import SET_ASIDE


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Every part that this operator may see."""
    now = timezone.now()
    request.current_app = desk.name
    parts = [part for make in _PARTS for part in make(request.user.has_perm, now)]
    context = {
        **desk.each_context(request),
        "title": _("Today, %(day)s (UTC)") % {"day": date_format(now)},
        "parts": parts,
    }
    return TemplateResponse(request, "admin/payments/today.html", context)


May = Callable[[str], bool]


def _volume(may: May, now: datetime) -> Iterator[Part]:
    wanted = [name for name in ("payment", "refund") if may(f"payments.view_{name}")]
    if not wanted:
        return
    told = today.volumes(wanted, now=now)
    if told.get("payment") == []:
        yield Part("paid", _("Paid today"), [], [], empty=_("Nobody has paid yet."))
    for of in told.get("payment", ()):
        title = _("Paid today in %(currency)s, by hour: %(total)s in all, most at %(hour)s (%(most)s)")
        counts = [
            ngettext("%(count)d payment", "%(count)d payments", hour.count) % {"count": hour.count} for hour in of.hours
        ]
        yield Part(
            f"paid-{of.currency.lower()}",
            _("Paid today in %(currency)s") % {"currency": of.currency},
            [_("Hour"), "#" + _("Payments"), "#" + _("Amount")],
            _hours(of, "payments.payment", now),
            before=_bars(of, title, counts),
        )
    for of in told.get("refund", ()):
        title = _("Given back today in %(currency)s, by hour: %(total)s in all, most at %(hour)s (%(most)s)")
        counts = [
            ngettext("%(count)d refund", "%(count)d refunds", hour.count) % {"count": hour.count} for hour in of.hours
        ]
        yield Part(
            f"back-{of.currency.lower()}",
            _("Given back today in %(currency)s") % {"currency": of.currency},
            [_("Hour"), "#" + _("Refunds"), "#" + _("Amount")],
            _hours(of, "payments.refund", now, state__in="requested,succeeded"),
            before=_bars(of, title, counts),
        )


def _bars(of: today.Volume, title: str, counts: list[str]) -> SafeString:
    """The 24 hours of one currency, each with its amount and how many made it."""
    busiest = max(of.hours, key=lambda hour: hour.amount)
    most = shown_money(busiest.amount, of.currency)
    said = {
        "currency": of.currency,
        "total": shown_money(of.amount, of.currency),
        "hour": f"{busiest.begins:%H:%M}",
        "most": most,
    }
    bars = [
        (f"{hour.begins:%H:%M}", hour.amount, f"{shown_money(hour.amount, of.currency)}, {count}")
        for hour, count in zip(of.hours, counts, strict=True)
    ]
    return chart(title % said, bars, most)


def _hours(of: today.Volume, table: str, now: datetime, **filters: str) -> list[list[Any]]:
    """The hours in which something was, and the whole day; each number leads to those rows, by their ids."""

    def counted(since: datetime, hours: int, count: int) -> str:
        first, end = ids.first_of(since), ids.first_of(since + timedelta(hours=hours))
        return linked(at(table, currency=of.currency, id__gte=first, id__lt=end, **filters), count)

    rows = [
        [f"{hour.begins:%H:%M}", counted(hour.begins, 1, hour.count), shown_money(hour.amount, of.currency)]
        for hour in of.hours
        if hour.count
    ]
    return [*rows, [_("in all"), counted(today.midnight(now), 24, of.count), shown_money(of.amount, of.currency)]]


def _lag(may: May, now: datetime) -> Iterator[Part]:
    if not may("payments.view_ledgerentry"):
        return
    told = today.lag(now=now)
    every = at("payments.ledgerentry", kind="paid", id__gte=ids.first_of(today.midnight(now)))
    rows = [[linked(every, told.payments), *map(_span, (told.median_s, told.p99_s, told.longest_s))]] if told else []
    yield Part(
        "lag",
        _("From received to decided"),
        ["#" + _("Newest payments"), "#" + _("Half of them within"), "#" + _("99 in 100 within"), "#" + _("Longest")],
        rows,
        empty=_("Nothing was decided today."),
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
    columns = [_("State"), "#" + _("Events"), "#" + _("Oldest")]
    yield Part("events", _("Events not applied"), columns, rows, empty=_("All are applied."))


def _unmatched(may: May, now: datetime) -> Iterator[Part]:
    if may("payments.view_discrepancy"):
        yield _discrepancies(now)
    if not may("payments.view_statementline"):
        return
    told = today.lines(now=now)
    hour, day, moment = (since.isoformat() for since in (now - timedelta(hours=1), now - timedelta(days=1), now))
    rows = [
        [name, linked(at("payments.statementline", **filters), count)]
        for name, count, filters in (
            (_("for less than an hour"), told.under_1h, {"look_at__gt": hour, "look_at__lte": moment}),
            (_("for less than a day"), told.under_1d, {"look_at__gt": day, "look_at__lte": hour}),
            (_("for longer"), told.older, {"look_at__lte": day}),
            (_("not due yet: looked at, and again later"), told.later, {"look_at__gt": moment}),
        )
        if count
    ]
    yield Part("lines", _("Lines of statements not matched yet"), [_("Due"), "#" + _("Lines")], rows)


_AGES = {
    "under_1d": gettext_lazy("under a day"),
    "under_7d": gettext_lazy("under 7 days"),
    "under_30d": gettext_lazy("under 30 days"),
    "older": gettext_lazy("older"),
}


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
        rows.append([_("all"), "", linked(every, total), ""])
    columns = [_("Open since"), _("What does not fit"), "#" + _("Discrepancies"), "#" + _("Amount")]
    return Part("discrepancies", _("Open discrepancies"), columns, rows, every=every)


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
    columns = [_("Currency"), "#" + _("Stands at")]
    yield Part("suspense", _("Suspense: money without an owner"), columns, rows)


def _providers(may: May, now: datetime) -> Iterator[Part]:
    if not may("payments.view_provideraccount"):
        return
    rows = [
        [
            named(account, account),
            _("left alone after failures") if account.rests else _("called as usual"),
            _ago(account.last_paid_at, now),
        ]
        for account in today.providers()
    ]
    columns = [_("Account"), _("Calls"), _("Last payment")]
    yield Part("providers", _("Providers"), columns, rows, every=at("payments.provideraccount"))


def _starts(may: May, now: datetime) -> Iterator[Part]:
    """What providers made of those who began to pay; the foot of a bar is what failed."""
    if not may("payments.view_paymentintent"):
        return
    told = today.starts(now=now)
    if not told:
        return
    failing = sorted(told.items(), key=lambda one: (-sum(hour.failed for hour in one[1]), one[0]))
    rows = [
        [name, sum(hour.count for hour in hours), sum(hour.failed for hour in hours)] for name, hours in failing[:ROWS]
    ]
    hours = [
        (f"{hours[0].begins:%H:%M}", sum(hour.count for hour in hours), sum(hour.failed for hour in hours))
        for hours in zip(*told.values(), strict=True)
    ]
    said = _("%(failed)d of %(count)d failed")
    bars = [(name, count, said % {"failed": failed, "count": count}) for name, count, failed in hours]
    total = {"failed": sum(hour[2] for hour in hours), "count": sum(hour[1] for hour in hours)}
    title = _("Payments begun at providers today, by hour: %(failed)d of %(count)d failed") % total
    most = str(max(count for _name, count, _failed in hours))
    yield Part(
        "starts",
        _("Payments begun at providers today"),
        [_("Account"), "#" + _("Begun"), "#" + _("Of these failed")],
        rows,
        more=len(told) > ROWS,
        every=at("payments.paymentintent", id__gte=ids.first_of(today.midnight(now))),
        before=chart(title, bars, most, wrong=[failed for _name, _count, failed in hours]),
    )


def _payouts(may: May, now: datetime) -> Iterator[Part]:
    if not may("payments.view_payout"):
        return
    rows = []
    for row in figures.payouts_under_way():
        every = at("payments.payout", state__exact=row["state"], currency=row["currency"])
        state = Payout.State(row["state"]).label
        rows.append([state, linked(every, row["count"]), shown_money(row["amount"], row["currency"])])
    columns = [_("State"), "#" + _("Payouts"), "#" + _("Amount")]
    yield Part("payouts", _("Payouts under way"), columns, rows)


# What waits for a person: what it is called, and the list that shows these and no others.
_WAITING: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "refund": (gettext_lazy("refunds to look at"), "payments.refund", {"held": "yes"}),
    "codealarm": (gettext_lazy("open alarms about codes"), "merchants.codealarm", {"ended_at__isnull": True}),
    "dispute": (gettext_lazy("open disputes"), "payments.dispute", {"state__exact": "open"}),
    "adjustment": (
        gettext_lazy("adjustments for a second operator"),
        "payments.adjustment",
        {"state__exact": "proposed"},
    ),
    "payoutbatch": (
        gettext_lazy("batches of payouts to release"),
        "payments.payoutbatch",
        {"state__exact": "prepared"},
    ),
    "payoutaccount": (
        gettext_lazy("payout accounts to prove"),
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
    yield Part("waiting", _("Waits for a person"), [_("What"), "#" + _("How many")], rows)


_PARTS = (_volume, _waiting, _unmatched, _events, _lag, _providers, _starts, _suspense, _payouts)


def _span(seconds: float) -> str:
    """So many seconds, as one says them: in the units of every language."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return _("never")
    if now - moment < timedelta(minutes=1):
        return _("just now")
    return _("%(time)s ago") % {"time": timesince(moment, now, depth=1)}


desk.add_page(
    Page("today", gettext_lazy("Today"), gettext_lazy("what came in, what waits, and what does not fit"), page)
)
