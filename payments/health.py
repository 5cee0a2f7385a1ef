"""Is it alive, is it ready, and do the books agree: for supervisors, proxies and Prometheus.

`books` and `metrics` answer on the internal port only. Readiness asks the database and nothing else: a backlog or a
lost broker must not stop the intake of notifications.
"""

from __future__ import annotations

import os

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from payments import chain, figures


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
    told = figures.told(now=timezone.now())
    balanced = figures.balanced(told)
    return JsonResponse({"balanced": balanced, **told}, status=200 if balanced else 503)


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
    return HttpResponse(counters + figures.metrics(figures.told(now=timezone.now())), content_type=CONTENT_TYPE_LATEST)


def _internal_only(request: HttpRequest) -> None:
    """The port of the socket that took the request, which no header can change."""
    if not settings.INTERNAL_PORT or str(request.META.get("SERVER_PORT")) != str(settings.INTERNAL_PORT):
        raise Http404


def _unmigrated() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
