"""The laws of the book as live figures: each from a cheap question, and told twice, as JSON and as Prometheus reads it.

No question walks through what has ended: each reads one row for each account, or the rows of a partial index (what is
open, waits, or is on its way). What is counted, but may be very much, is counted up to a limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BigIntegerField, Case, Count, F, Min, QuerySet, Sum, Value, When
from django.db.models.functions import Abs, Coalesce
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from merchants import ids
from merchants.models import CodeAlarm
from payments import boundary, chain, circuit, partitions
from payments.models import (
    Account,
    AccountBalance,
    Adjustment,
    Archive,
    Discrepancy,
    Dispute,
    Inquiry,
    Payout,
    ProviderAccount,
    QueuedEvent,
    Settlement,
    Statement,
    StatementLine,
)

COUNTED_MAX = 100_000  # A file of a million rows waits for some seconds; how many exactly, nobody has to know.
RECENT = timedelta(days=7)  # What ended badly is shown for so long: its discrepancy stays until somebody closes it.
AGES = (("under_1d", timedelta(days=1)), ("under_7d", timedelta(days=7)), ("under_30d", timedelta(days=30)))

Rows = list[dict[str, Any]]


def told(*, now: datetime) -> dict[str, Any]:
    """Every figure, as `/healthz/books` says it. Amounts are minor units, ages seconds."""
    return {**_of_the_book(now), **_of_the_evening(now)}


def balanced(figures: Mapping[str, Any]) -> bool:
    """Whether debits equal credits in every currency."""
    return all(row["debits"] == row["credits"] for row in figures["currencies"].values())


def suspense() -> dict[str, int]:
    """What waits for an owner, by currency."""
    balances = AccountBalance.objects.filter(account__kind=Account.Kind.SUSPENSE)
    rows = balances.values_list("account__currency", "debits", "credits")
    return {code: credits_ - debits for code, debits, credits_ in rows}


def events(now: datetime) -> dict[str, dict[str, Any]]:
    """Events that are not applied, by state: how many, and the age of the oldest."""
    waiting = QueuedEvent.objects.values_list("state").annotate(Count("event_id"), Min("received_at"))
    return {state: {"count": count, "oldest_s": _age_s(oldest, now)} for state, count, oldest in waiting}


def unmatched(now: datetime) -> Rows:
    """What does not fit, by why, currency and age: what a statement has and the book has not, and the reverse."""
    age = Case(*(When(opened_at__gt=now - limit, then=Value(name)) for name, limit in AGES), default=Value("older"))
    still_open = Discrepancy.objects.filter(state=Discrepancy.State.OPEN).annotate(age=age)
    return _summed(still_open, ("reason", "currency", "age"), Abs("amount"))


def payouts_under_way() -> Rows:
    """Payouts that have not ended, by state and currency."""
    rows = Payout.objects.filter(state__in=[Payout.State.PREPARED, Payout.State.SENT])
    return _summed(rows, ("state", "currency"), F("amount"))


def metrics(figures: dict[str, Any]) -> bytes:
    """The same figures as gauges."""
    registry = CollectorRegistry()
    _gauges_of_the_book(registry, figures)
    _gauges_of_the_evening(registry, figures)
    return generate_latest(registry)


# --- The questions ---------------------------------------------------------------------------------------------------


def _of_the_book(now: datetime) -> dict[str, Any]:
    sums = AccountBalance.objects.values_list("account__currency").annotate(Sum("debits"), Sum("credits"))
    behind = chain.tail(now=now)
    return {
        "currencies": {code: {"debits": debits, "credits": credits_} for code, debits, credits_ in sums},
        "suspense": suspense(),
        "events": events(now),
        "circuits_open": [str(row) for row in ProviderAccount.objects.filter(id__in=circuit.resting()).order_by("id")],
        "inquiries": Inquiry.objects.filter(due_at__isnull=False).count(),
        "inquiries_given_up": Inquiry.objects.filter(due_at=None).count(),
        "disputes": Dispute.objects.filter(state=Dispute.State.OPEN).count(),
        "in_the_red": AccountBalance.objects.filter(
            account__kind__in=[Account.Kind.SHOP_PENDING, Account.Kind.SHOP_AVAILABLE], debits__gt=F("credits")
        ).count(),
        "code_alarms": CodeAlarm.objects.filter(ended_at=None).count(),
        "discrepancies": Discrepancy.objects.filter(state=Discrepancy.State.OPEN).count(),
        "unsealed": {"count": behind.entries, "oldest_s": behind.oldest_s},
        "partitions": _partitions(now),
        "archives": _archives(now),
    }


def _partitions(now: datetime) -> dict[str, Any]:
    """For how long there are months for new rows, how many rows found none, and both in a word."""
    ahead, strayed = partitions.ahead_days(now=now), partitions.strayed()
    well = ahead > partitions.WORRYING_DAYS and not strayed
    return {"ahead_days": ahead, "strayed": strayed, "health": "well" if well else "look"}


def _archives(now: datetime) -> dict[str, Any]:
    """What is in files alone: how many partitions, how many of those files are wrong, and when all were read last."""
    gone = Archive.objects.filter(retired_at__isnull=False)
    wrong = gone.exclude(failure="").count()
    here = boundary.since()
    return {
        "retired": gone.count(),
        "wrong": wrong,
        "read_s": _age_s(gone.aggregate(oldest=Min("looked_at"))["oldest"], now),
        "entries_since": here and here.isoformat(),
        "health": "look" if wrong else "well",
    }


def _of_the_evening(now: datetime) -> dict[str, Any]:
    return {
        "unmatched": unmatched(now),
        "lines": _lines(now),
        "statements": _statements(now),
        "settlements": _settlements(),
        "receivable": _receivable(),
        "payouts": _payouts(now),
        "adjustments_waiting": _waiting(Adjustment.objects.filter(state=Adjustment.State.PROPOSED), "proposed_at", now),
    }


def _lines(now: datetime) -> dict[str, Any]:
    """Lines of statements that wait to be looked at; `later`: looked at already, and again when their time comes."""
    rows = StatementLine.objects.filter(look_at__isnull=False)
    oldest = rows.order_by("look_at").values_list("look_at", flat=True).first()
    return {
        "waiting": rows.filter(look_at__lte=now).values("id")[:COUNTED_MAX].count(),
        "later": rows.filter(look_at__gt=now).values("id")[:COUNTED_MAX].count(),
        "oldest_s": _age_s(oldest, now),
    }


def _statements(now: datetime) -> dict[str, Any]:
    recent = Statement.objects.filter(id__gte=ids.first_of(now - RECENT))
    wanted = _waiting(Statement.objects.filter(state=Statement.State.WANTED), "created_at", now)
    return {
        "wanted": wanted["count"],
        "oldest_s": wanted["oldest_s"],
        "refused": recent.filter(state=Statement.State.REFUSED).count(),
    }


def _settlements() -> Rows:
    """What providers have sent and our bank has not, by currency: still in time, overdue, or another amount."""
    state = Settlement.State
    under_way = Settlement.objects.filter(state__in=[state.IN_TRANSIT, state.OVERDUE, state.DIFFERS])
    missing = Coalesce("told_amount", "lines_amount") - F("arrived_amount")
    return _summed(under_way, ("state", "currency"), missing)


def _receivable() -> Rows:
    """What each provider owes us by our book, at each of our accounts there."""
    balances = AccountBalance.objects.filter(account__kind=Account.Kind.PROVIDER_RECEIVABLE)
    found = balances.select_related("account__provider_account").order_by("account_id")
    return [
        {
            "account": str(row.account.provider_account),
            "currency": row.account.currency,
            "amount": row.debits - row.credits,
        }
        for row in found
    ]


def _payouts(now: datetime) -> Rows:
    """Payouts that have not ended, and those that lately ended badly."""
    state = Payout.State
    bad = Payout.objects.filter(state__in=[state.FAILED, state.RETURNED], id__gte=ids.first_of(now - RECENT))
    return [*payouts_under_way(), *_summed(bad, ("state", "currency"), F("amount"))]


def _summed(rows: QuerySet[Any], labels: tuple[str, ...], amount: Any) -> Rows:
    """Count and amount by these labels."""
    groups = rows.order_by(*labels).values(*labels)
    summed = groups.annotate(count=Count("id"), total=Sum(amount, output_field=BigIntegerField()))
    return [
        {**{label: row[label] for label in labels}, "count": row["count"], "amount": int(row["total"])}
        for row in summed
    ]


def _waiting(rows: QuerySet[Any], since: str, now: datetime) -> dict[str, Any]:
    found = rows.aggregate(count=Count("id"), oldest=Min(since))
    return {"count": found["count"], "oldest_s": _age_s(found["oldest"], now)}


def _age_s(moment: datetime | None, now: datetime) -> float:
    return 0 if moment is None else max(round((now - moment).total_seconds(), 3), 0)


# --- Prometheus ------------------------------------------------------------------------------------------------------


def _gauges_of_the_book(registry: CollectorRegistry, figures: dict[str, Any]) -> None:
    imbalance = Gauge("pushcart_imbalance", "Debits less credits over all accounts", ["currency"], registry=registry)
    for code, row in figures["currencies"].items():
        imbalance.labels(code).set(row["debits"] - row["credits"])
    suspense = Gauge("pushcart_suspense", "Money that waits for an owner", ["currency"], registry=registry)
    for code, amount in figures["suspense"].items():
        suspense.labels(code).set(amount)
    count = Gauge("pushcart_events_waiting", "Events not applied", ["state"], registry=registry)
    oldest = Gauge("pushcart_events_oldest_seconds", "Age of the oldest", ["state"], registry=registry)
    for state, row in figures["events"].items():
        count.labels(state).set(row["count"])
        oldest.labels(state).set(row["oldest_s"])
    resting = Gauge("pushcart_circuit_open", "1: this account's provider is left alone", ["account"], registry=registry)
    for account in figures["circuits_open"]:
        resting.labels(account).set(1)
    waiting = Gauge("pushcart_inquiries", "Questions that hints have raised", ["state"], registry=registry)
    waiting.labels("waiting").set(figures["inquiries"])
    waiting.labels("given_up").set(figures["inquiries_given_up"])
    _single(registry, "pushcart_disputes_open", "Open disputes", figures["disputes"])
    _single(registry, "pushcart_shops_in_the_red", "Shop accounts below zero", figures["in_the_red"])
    _single(registry, "pushcart_code_alarms_open", "Codes that may be swapped", figures["code_alarms"])
    _single(registry, "pushcart_discrepancies_open", "Open questions", figures["discrepancies"])
    unsealed = figures["unsealed"]
    _single(registry, "pushcart_chain_unsealed", "Entries behind the newest seal", unsealed["count"])
    _single(registry, "pushcart_chain_unsealed_seconds", "Age of the oldest", unsealed["oldest_s"])
    ahead, strayed = figures["partitions"]["ahead_days"], figures["partitions"]["strayed"]
    _single(registry, "pushcart_partitions_ahead_days", "Days for which there are partitions", ahead)
    _single(registry, "pushcart_partitions_strayed", "Rows that found no month", strayed)
    archives = figures["archives"]
    _single(registry, "pushcart_archives", "Partitions that are in files alone", archives["retired"])
    _single(registry, "pushcart_archives_wrong", "Their files that are not as they were written", archives["wrong"])
    _single(registry, "pushcart_archives_read_seconds", "Since when all of them were read", archives["read_s"])


def _gauges_of_the_evening(registry: CollectorRegistry, figures: dict[str, Any]) -> None:
    _counted(registry, "pushcart_unmatched", "What does not fit", ("reason", "currency", "age"), figures["unmatched"])
    lines = Gauge("pushcart_statement_lines", "Lines to be looked at", ["state"], registry=registry)
    lines.labels("waiting").set(figures["lines"]["waiting"])
    lines.labels("later").set(figures["lines"]["later"])
    _single(registry, "pushcart_statement_lines_seconds", "Age of the oldest that waits", figures["lines"]["oldest_s"])
    statements = figures["statements"]
    _single(registry, "pushcart_statements_wanted", "Statements that have not come", statements["wanted"])
    _single(registry, "pushcart_statements_wanted_seconds", "Age of the oldest wanted", statements["oldest_s"])
    _single(registry, "pushcart_statements_refused", "Statements refused in seven days", statements["refused"])
    _counted(registry, "pushcart_settlements", "On their way to us", ("state", "currency"), figures["settlements"])
    owed = Gauge("pushcart_receivable", "What providers owe us", ["account", "currency"], registry=registry)
    for row in figures["receivable"]:
        owed.labels(row["account"], row["currency"]).set(row["amount"])
    _counted(
        registry,
        "pushcart_payouts",
        "Under way, or lately failed",
        ("state", "currency"),
        figures["payouts"],
    )
    waiting = figures["adjustments_waiting"]
    _single(registry, "pushcart_adjustments_waiting", "Wait for a second operator", waiting["count"])
    _single(registry, "pushcart_adjustments_waiting_seconds", "Age of the oldest", waiting["oldest_s"])


def _single(registry: CollectorRegistry, name: str, said: str, value: float) -> None:
    Gauge(name, said, registry=registry).set(value)


def _counted(registry: CollectorRegistry, name: str, said: str, labels: tuple[str, ...], rows: Iterable[Any]) -> None:
    """Two gauges with the same labels: how many, and how much."""
    count = Gauge(name, said, labels, registry=registry)
    amount = Gauge(f"{name}_amount", f"{said}: minor units", labels, registry=registry)
    for row in rows:
        values = [row[label] for label in labels]
        count.labels(*values).set(row["count"])
        amount.labels(*values).set(row["amount"])
