"""Alive, ready, and whether the books agree: what supervisors see, and from which port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from merchants.models import Item
from payments import circuit
from payments.models import ProviderAccount, QueuedEvent
from tests.cast import problem
from tests.till import drain, expect, paid, platform


class Caller(Client):
    """Somebody who calls at one of our ports."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def generic(self, *args: Any, **options: Any) -> Any:
        return super().generic(*args, **{**options, "SERVER_PORT": str(self.port)})


@pytest.fixture
def public() -> Client:
    """Somebody on the public port."""
    return Caller(8000)


@pytest.fixture
def internal() -> Client:
    """A supervisor on the internal port."""
    return Caller(8003)


@pytest.fixture
def trade(apples: Item) -> None:
    """200 received, 77 in suspense, one event that waits."""
    platform()
    paid(expect(apples.codes.get())).deliver()
    paid(reference="nobody", amount=77).deliver()
    drain()
    waiting = paid(expect(apples.codes.get()))
    waiting.message["type"] = "moon.full"
    waiting.deliver()
    drain()
    QueuedEvent.objects.update(state="dead")


@pytest.fixture
def unreachable(db: None) -> Iterator[None]:
    """The database refuses every statement."""

    def refuse(execute: Callable[..., object], sql: str, params: object, many: bool, context: object) -> object:
        return execute("SELECT no_such_thing", None, False, context)

    with connection.execute_wrapper(refuse):
        yield


def metrics(text: str) -> dict[tuple[str, str], float]:
    """Each figure by its name and the value of its label."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if len(sample.labels) < 2
    }


def test_a_process_that_answers_is_alive_without_any_database(public: Client, internal: Client) -> None:
    for client in (public, internal):
        response = client.get("/healthz/live")
        assert (response.status_code, response.json()) == (200, {"live": True})


def test_it_is_ready_when_the_database_answers_and_is_migrated(db: None, public: Client) -> None:
    response = public.get("/healthz/ready")
    assert (response.status_code, response.json()) == (200, {"ready": True})


def test_it_is_not_ready_while_a_migration_is_pending(db: None, public: Client) -> None:
    with connection.cursor() as cursor:
        # Not the row of those made at once: Django writes that again when all they stand for are there.
        newest = "(SELECT max(id) FROM django_migrations WHERE app = 'payments' AND name NOT LIKE '%squashed%')"
        cursor.execute(f"DELETE FROM django_migrations WHERE id = {newest}")
    response = public.get("/healthz/ready")
    assert (response.status_code, response.json()) == (503, {"ready": False, "why": "migrations are pending"})


def test_it_is_not_ready_without_the_database_and_does_not_say_where_that_is(unreachable: None, public: Client) -> None:
    response = public.get("/healthz/ready")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "why": "ProgrammingError"}


def test_a_backlog_and_dead_events_do_not_make_it_unready(trade: None, public: Client) -> None:
    assert QueuedEvent.objects.get().state == "dead"
    assert public.get("/healthz/ready").status_code == 200


@pytest.mark.parametrize("path", ["/healthz/books", "/metrics"])
@pytest.mark.parametrize(
    "headers", [{}, {"X-Forwarded-Port": "8003"}, {"Host": "127.0.0.1:8003"}, {"X-Forwarded-Host": "127.0.0.1:8003"}]
)
def test_on_the_public_port_the_books_do_not_exist(
    db: None, public: Client, path: str, headers: dict[str, str]
) -> None:
    assert problem(public.get(path, headers=headers)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/healthz/books", "/metrics"])
def test_without_an_internal_port_the_books_do_not_exist(
    db: None, settings: LazySettings, internal: Client, path: str
) -> None:
    settings.INTERNAL_PORT = 0
    assert internal.get(path).status_code == 404
    assert Caller(0).get(path).status_code == 404


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready", "/healthz/books", "/metrics"])
def test_health_is_only_read(db: None, internal: Client, path: str) -> None:
    assert internal.post(path).status_code == 405
    assert internal.head(path).status_code == 200


def test_the_books_say_what_balances_waits_and_asks(trade: None, internal: Client) -> None:
    response = internal.get("/healthz/books")
    assert response.status_code == 200
    told = response.json()
    oldest = told["events"]["dead"].pop("oldest_s")
    assert 0 <= oldest < 60
    assert 0 < told["unsealed"].pop("oldest_s") < 60
    assert told["partitions"].pop("ahead_days") > 45
    assert told == {
        "balanced": True,
        "currencies": {"CNY": {"debits": 277, "credits": 277}},
        "suspense": {"CNY": 77},
        "events": {"dead": {"count": 1}},
        "circuits_open": [],
        "inquiries": 0,
        "inquiries_given_up": 0,
        "disputes": 0,
        "in_the_red": 0,
        "code_alarms": 0,
        "discrepancies": 1,
        "unsealed": {"count": 2},
        "partitions": {"strayed": 0, "health": "well"},
        "archives": {"retired": 0, "wrong": 0, "read_s": 0, "entries_since": None, "health": "well"},
        "unmatched": [{"reason": "unknown_reference", "currency": "CNY", "age": "under_1d", "count": 1, "amount": 77}],
        "lines": {"waiting": 0, "later": 0, "oldest_s": 0},
        "statements": {"wanted": 0, "oldest_s": 0, "refused": 0},
        "settlements": [],
        "receivable": [{"account": "sandbox/platform", "currency": "CNY", "amount": 277}],
        "payouts": [],
        "adjustments_waiting": {"count": 0, "oldest_s": 0},
    }


def test_books_that_do_not_balance_are_an_alarm(trade: None, internal: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_accountbalance SET credits = credits + 5 WHERE credits > debits AND credits = 200"
        )
    response = internal.get("/healthz/books")
    assert (response.status_code, response.json()["balanced"]) == (503, False)
    assert response.json()["currencies"]["CNY"] == {"debits": 277, "credits": 282}
    assert metrics(internal.get("/metrics").content.decode())["pushcart_imbalance", "CNY"] == -5


def test_prometheus_reads_the_counters_and_the_figures_of_the_books(trade: None, internal: Client) -> None:
    QueuedEvent.objects.update(received_at=QueuedEvent.objects.get().received_at - timedelta(hours=1))
    response = internal.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    told = metrics(response.content.decode())
    assert told["pushcart_imbalance", "CNY"] == 0
    assert told["pushcart_suspense", "CNY"] == 77
    assert told["pushcart_events_waiting", "dead"] == 1
    assert 3600 <= told["pushcart_events_oldest_seconds", "dead"] < 3660
    assert told["pushcart_discrepancies_open", ""] == 1
    assert told["pushcart_webhooks_received_total", "sandbox"] >= 3
    assert told["pushcart_events_total", "applied"] >= 2


def test_the_counters_of_several_processes_are_added_up(
    db: None, internal: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    response = internal.get("/metrics")
    assert response.status_code == 200
    found = metrics(response.content.decode())
    assert found.pop(("pushcart_partitions_ahead_days", "")) > 45
    assert found == {
        ("pushcart_partitions_strayed", ""): 0,
        ("pushcart_archives", ""): 0,
        ("pushcart_archives_wrong", ""): 0,
        ("pushcart_archives_read_seconds", ""): 0,
        ("pushcart_adjustments_waiting", ""): 0,
        ("pushcart_adjustments_waiting_seconds", ""): 0,
        ("pushcart_chain_unsealed", ""): 0,
        ("pushcart_chain_unsealed_seconds", ""): 0,
        ("pushcart_discrepancies_open", ""): 0,
        ("pushcart_disputes_open", ""): 0,
        ("pushcart_inquiries", "given_up"): 0,
        ("pushcart_code_alarms_open", ""): 0,
        ("pushcart_inquiries", "waiting"): 0,
        ("pushcart_shops_in_the_red", ""): 0,
        ("pushcart_statement_lines", "later"): 0,
        ("pushcart_statement_lines", "waiting"): 0,
        ("pushcart_statement_lines_seconds", ""): 0,
        ("pushcart_statements_refused", ""): 0,
        ("pushcart_statements_wanted", ""): 0,
        ("pushcart_statements_wanted_seconds", ""): 0,
    }


def test_nothing_secret_stands_in_the_figures(trade: None, internal: Client) -> None:
    answers = [internal.get(path) for path in ("/metrics", "/healthz/books")]
    assert [answer.status_code for answer in answers] == [200, 200]
    text = b"".join(answer.content for answer in answers)
    account = ProviderAccount.objects.get()
    for secret in (b"whsec", account.id.hex.encode(), b"+86138"):
        assert secret not in text


def test_a_provider_that_is_left_alone_is_shown(trade: None, internal: Client) -> None:
    account = ProviderAccount.objects.get()
    for _ in range(5):
        circuit.failed(account.id, account.provider)
    assert internal.get("/healthz/books").json()["circuits_open"] == ["sandbox/platform"]
    assert metrics(internal.get("/metrics").content.decode())["pushcart_circuit_open", "sandbox/platform"] == 1
