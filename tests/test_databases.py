"""Addresses of databases as Django is told them, and sessions with a server that is gone or writes no more."""

from __future__ import annotations

import os
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.utils import timezone

from config.databases import databases
from payments import reconcile, taking
from payments.models import Payment, QueuedEvent
from tests.cast import Person
from tests.till import drain, expect, paid, platform, shop_code

ONE = "postgresql://mei:p%40ss@db1:5433/book"
SEVERAL = "postgresql://mei:p%40ss@db1:5433,db2,[fd00::1]:5434/book"


def told(primary: str, replica: str = "") -> dict[str, dict[str, Any]]:
    return databases(primary, replica, connections_max=8)


def test_one_host_is_told_as_it_stands() -> None:
    found = told(ONE)
    assert list(found) == ["default"]
    one = found["default"]
    assert [one[name] for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD")] == [
        "db1",
        "5433",
        "book",
        "mei",
        "p@ss",
    ]
    assert "target_session_attrs" not in one["OPTIONS"]
    assert "statement_timeout=30s" in one["OPTIONS"]["options"]


def test_of_several_hosts_the_one_that_writes_is_wanted() -> None:
    several = told(SEVERAL)["default"]
    assert (several["HOST"], several["PORT"]) == ("db1,db2,fd00::1", "5433,,5434")
    assert several["OPTIONS"]["target_session_attrs"] == "read-write"


def test_a_replicas_hosts_may_all_answer_and_its_tests_are_the_primarys() -> None:
    replica = told(ONE, SEVERAL)["replica"]
    assert "target_session_attrs" not in replica["OPTIONS"]
    assert replica["TEST"] == {"MIRROR": "default"}


def test_what_else_stands_in_an_address_is_libpqs() -> None:
    options = told(f"{SEVERAL}?sslmode=verify-full&target_session_attrs=primary")["default"]["OPTIONS"]
    assert (options["sslmode"], options["target_session_attrs"]) == ("verify-full", "primary")


@pytest.mark.parametrize("address", ["mysql://db1/book", "postgresql://db1:x/book"])
def test_what_is_no_address_of_a_postgresql_is_refused(address: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        told(address)


def session() -> int:
    """Our session's process at the server; a new request gets whichever the pool has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.usefixtures("real_db")
def test_sessions_that_ended_in_the_pool_cost_no_request() -> None:
    ended = session()
    connection.close()
    end_all_from_outside()
    assert session() != ended


def end_all_from_outside() -> None:
    """As the server does when it stops: sessions in the pool are told, and nobody is there to hear it."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(os.environ["DATABASE_URL"], dbname=name, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.usefixtures("real_db")
def test_a_server_that_writes_no_more_is_our_trouble_and_is_left() -> None:
    before = session()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        with pytest.raises(OperationalError, match="read-only transaction"):
            cursor.execute("DELETE FROM payments_queuedevent")
    connection.close_if_unusable_or_obsolete()
    assert session() != before
    with connection.cursor() as cursor:
        cursor.execute("SHOW default_transaction_read_only")
        assert cursor.fetchone() == ("off",)


@pytest.mark.usefixtures("real_db")
def test_a_session_that_came_to_write_no_more_in_the_pool_is_not_handed_out() -> None:
    before = session()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    connection.close()
    assert session() != before


def test_an_event_that_meets_such_a_server_is_neither_parked_nor_lost(real_db: None, mei: Person) -> None:
    platform()
    paid(expect(shop_code(mei.shop), 200)).deliver()
    with connection.cursor() as cursor:
        # The lease is committed already when the server is fenced off.
        leased = taking.batch(clock=timezone.now)
        cursor.execute("SET default_transaction_read_only = on")
    with pytest.raises(OperationalError):
        reconcile.apply(leased, clock=timezone.now)
    connection.close()
    assert list(QueuedEvent.objects.values_list("state", "reason")) == [("queued", "")]
    QueuedEvent.objects.update(due_at=timezone.now())
    assert drain() == 1
    assert Payment.objects.count() == 1
