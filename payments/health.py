"""Is it alive, is it ready, and do the books agree: for supervisors, proxies and Prometheus.

`books` and `metrics` answer on the internal port only. Readiness asks the database and nothing else: a backlog or a
lost broker must not stop the intake of notifications.
"""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, F, Min, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from payments import chain, circuit
from payments.models import Account, AccountBalance, Discrepancy, Dispute, Inquiry, ProviderAccount, QueuedEvent


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"live": True})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and is migrated, 503 otherwise."""
    try:
        pending = _unmigrated()
    except DatabaseError as failure:
        return JsonResponse({"ready": False, "why": type(failure).__name__}, status=503)
    if pending:
        return JsonResponse({"ready": False, "why": "migrations are pending"}, status=503)
    return JsonResponse({"ready": True})


@require_safe
def books(request: HttpRequest) -> HttpResponse:
    """The laws as live figures; 503 when debits and credits of a currency differ."""
    _internal_only(request)
    figures = _figures()
    balanced = all(row["debits"] == row["credits"] for row in figures["currencies"].values())
    return JsonResponse({"balanced": balanced, **figures}, status=200 if balanced else 503)


@require_safe
def chain_head(request: HttpRequest) -> HttpResponse:
    """The head of the chain over the ledger, to be kept elsewhere: nulls while nothing is sealed."""
    _internal_only(request)
    newest, behind = chain.head(), chain.tail(now=timezone.now())
    return JsonResponse(
        {
            "seal": newest and newest.number,
            "hash": newest and newest.hash,
            "entries": newest.total if newest else 0,
            "sealed_at": newest and newest.sealed_at,
            "unsealed": behind.entries,
            "unsealed_oldest_s": behind.oldest_s,
        }
    )


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus: the counters of all processes on this machine, and the figures of the books."""
    _internal_only(request)
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        counters = generate_latest(registry)
    else:
        counters = generate_latest(REGISTRY)
    return HttpResponse(counters + _gauges(_figures()), content_type=CONTENT_TYPE_LATEST)


def _internal_only(request: HttpRequest) -> None:
    """The port of the socket that took the request, which no header can change."""
    if not settings.INTERNAL_PORT or str(request.META.get("SERVER_PORT")) != str(settings.INTERNAL_PORT):
        raise Http404


def _unmigrated() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _figures() -> dict[str, Any]:
    sums = AccountBalance.objects.values_list("account__currency").annotate(Sum("debits"), Sum("credits"))
    suspense = AccountBalance.objects.filter(account__kind=Account.Kind.SUSPENSE)
    waiting = QueuedEvent.objects.values_list("state").annotate(Count("event_id"), Min("received_at"))
    now = timezone.now()
    behind = chain.tail(now=now)
    return {
        "currencies": {code: {"debits": debits, "credits": credits_} for code, debits, credits_ in sums},
        "suspense": {
            code: credits_ - debits
            for code, debits, credits_ in suspense.values_list("account__currency", "debits", "credits")
        },
        "events": {
            state: {"count": count, "oldest_s": round((now - oldest).total_seconds(), 3)}
            for state, count, oldest in waiting
        },
        "circuits_open": [str(row) for row in ProviderAccount.objects.filter(id__in=circuit.resting()).order_by("id")],
        "inquiries": Inquiry.objects.filter(due_at__isnull=False).count(),
        "inquiries_given_up": Inquiry.objects.filter(due_at=None).count(),
        "disputes": Dispute.objects.filter(state=Dispute.State.OPEN).count(),
        "in_the_red": AccountBalance.objects.filter(
            account__kind__in=[Account.Kind.SHOP_PENDING, Account.Kind.SHOP_AVAILABLE], debits__gt=F("credits")
        ).count(),
        "discrepancies": Discrepancy.objects.filter(state=Discrepancy.State.OPEN).count(),
        "unsealed": {"count": behind.entries, "oldest_s": behind.oldest_s},
    }


def _gauges(figures: dict[str, Any]) -> bytes:
    registry = CollectorRegistry()
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
    Gauge("pushcart_disputes_open", "Open disputes", registry=registry).set(figures["disputes"])
    Gauge("pushcart_shops_in_the_red", "Shop accounts below zero", registry=registry).set(figures["in_the_red"])
    Gauge("pushcart_discrepancies_open", "Open questions", registry=registry).set(figures["discrepancies"])
    unsealed = figures["unsealed"]
    Gauge("pushcart_chain_unsealed", "Entries behind the newest seal", registry=registry).set(unsealed["count"])
    Gauge("pushcart_chain_unsealed_seconds", "Age of the oldest", registry=registry).set(unsealed["oldest_s"])
    return generate_latest(registry)
