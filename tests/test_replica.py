"""What may be some seconds old is read from a real replica while it keeps up, and from the primary otherwise."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection, connections
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from bench import standby
from config.databases import databases
from config.embedded import Server
from config.postgresql.base import DatabaseWrapper
from config.processes import wait_until
from merchants.models import Shop
from payments import replica
from tests.cast import MEI_PHONE, Person, open_shop
from tests.test_layout import ROOT, python_files
from tests.till import drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.xdist_group("replica")


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Server]:
    """A replica of the tests' own PostgreSQL."""
    made = standby.follow(standby.running_at(os.environ["DATABASE_URL"]), name=f"replica_{os.getpid()}")
    yield made
    made.stop()
    shutil.rmtree(made.folder, ignore_errors=True)
    made.log.unlink(missing_ok=True)


@pytest.fixture
def follower(
    server: Server, real_db: None, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> Iterator[psycopg.Connection[Any]]:
    """The product knows the replica; what is answered is a session there, with which its replay is stopped."""
    name = connection.settings_dict["NAME"]
    url = urlsplit(server.url)._replace(path=f"/{name}").geturl()
    configured = connections.configure_settings(databases(url, url, connections_max=2))["replica"]
    configured["OPTIONS"]["pool"]["timeout"] = 30  # However busy the machine is.
    settings.REPLICA_LAG_MAX = timedelta(hours=1)
    monkeypatch.setitem(connections.settings, "replica", configured)
    monkeypatch.setattr(replica, "_watch", replica._Watch())
    with psycopg.connect(url, autocommit=True) as session:
        yield session
        with suppress(psycopg.OperationalError):  # It ended with its server.
            session.execute("SELECT pg_wal_replay_resume()")
    cast(DatabaseWrapper, connections["replica"]).close_pool()
    del connections["replica"]


@pytest.fixture
def mei(real_db: None) -> Person:
    """Mei, with a platform's account to be paid on."""
    platform()
    return open_shop(MEI_PHONE, "Mei's fruit")


def sell(person: Person, amount: int) -> datetime:
    """One payment, posted; answers the moment after it."""
    paid(expect(shop_code(person.shop), amount)).deliver()
    assert drain() == 1
    return timezone.now()


def replayed(session: psycopg.Connection) -> None:
    """Waits until the replica holds what the primary has written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn()::text")
        length = cursor.fetchone()[0]
    question = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
    assert wait_until(lambda: session.execute(question, [length]).fetchone() == (True,), limit_s=30)


def entries(person: Person) -> tuple[int, datetime]:
    """How many movements the API shows, and the moment of which it says that it tells."""
    answer = person.api().get("/api/v1/ledger/entries")
    assert answer.status_code == 200, answer.content
    return len(answer.json()["results"]), datetime.fromisoformat(answer.headers["As-Of"])


def stopped_behind(person: Person, session: psycopg.Connection) -> tuple[datetime, datetime]:
    """The replica knows of one payment and not of the second; answers a moment between them, and one after both."""
    first = sell(person, 200)
    replayed(session)
    assert entries(person)[0] == 1
    session.execute("SELECT pg_wal_replay_pause()")
    return first, sell(person, 300)


def test_a_replica_that_keeps_up_answers_and_says_of_which_moment(
    mei: Person, follower: psycopg.Connection[Any]
) -> None:
    first, second = stopped_behind(mei, follower)
    count, as_of = entries(mei)
    assert count == 1
    assert first < as_of < second
    follower.execute("SELECT pg_wal_replay_resume()")
    replayed(follower)
    count, as_of = entries(mei)
    assert count == 2
    assert as_of > second


def test_every_form_of_a_statement_and_the_days_takings_come_from_it(
    mei: Person, follower: psycopg.Connection[Any], settings: LazySettings
) -> None:
    stopped_behind(mei, follower)
    day = timezone.now().astimezone(ZoneInfo(mei.shop.time_zone)).date().isoformat()
    for address in ("statement", "statement.csv", "statement.pdf", "statement.html", "statement.xml"):
        answer = mei.api().get(f"/api/v1/ledger/{address}", {"day": day})
        assert answer.status_code == 200, answer.content
        said = b"".join(answer) if answer.streaming else answer.content
        assert datetime.fromisoformat(answer.headers["As-Of"]) < timezone.now()
        if address == "statement.csv":
            assert said.count(b",Payment,") == 1, said.decode()
        if address == "statement":
            assert answer.json()["closing"]["total"]["amount"] == 200
    assert mei.api().get("/api/v1/ledger/day", {"day": day}).json()["payments"]["amount"]["amount"] == 200
    settings.REPLICA_LAG_MAX = timedelta(0)
    assert mei.api().get("/api/v1/ledger/day", {"day": day}).json()["payments"]["amount"]["amount"] == 500


def test_a_replica_that_lags_further_than_it_may_answers_nobody(
    mei: Person, follower: psycopg.Connection[Any], settings: LazySettings
) -> None:
    _first, second = stopped_behind(mei, follower)
    assert entries(mei)[0] == 1
    settings.REPLICA_LAG_MAX = timedelta(0)
    count, as_of = entries(mei)
    assert count == 2
    assert as_of > second


def test_the_balance_is_the_primarys(mei: Person, follower: psycopg.Connection[Any]) -> None:
    """A payout or a refund may follow from it."""
    stopped_behind(mei, follower)
    answer = mei.api().get("/api/v1/ledger/balance")
    assert answer.json()["total"]["amount"] == 500
    assert "As-Of" not in answer.headers


def test_nothing_is_written_to_a_replica(mei: Person, follower: psycopg.Connection[Any]) -> None:
    replayed(follower)
    with replica.Served("replica", timezone.now()):
        assert Shop.objects.get(id=mei.shop.id)._state.db == "replica"
        with pytest.raises(OperationalError, match="read-only"):
            Shop.objects.using("replica").update(name="Nobody's")
        Shop.objects.filter(id=mei.shop.id).update(name="Mei's melons")
    assert Shop.objects.get(id=mei.shop.id).name == "Mei's melons"


def test_one_that_was_promoted_answers_nobody_and_neither_does_one_that_is_gone(
    mei: Person, follower: psycopg.Connection[Any], server: Server
) -> None:
    """A promoted one has a life of its own: what the other primary books it will never know."""
    sell(mei, 200)
    replayed(follower)
    standby.promote(server)
    second = sell(mei, 300)
    count, as_of = entries(mei)
    assert (count, as_of > second) == (2, True)
    standby.kill(server)
    count, as_of = entries(mei)
    assert (count, as_of > second) == (2, True)
    assert replica._watch._left_alone_until > time.monotonic()


def test_only_what_people_read_is_ever_asked_of_a_replica() -> None:
    """Whatever decides about money, or lets somebody in, must see what was committed a moment ago."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in python_files("merchants", "payments", "qr"):
        for name in re.findall(r"\breplica\.([a-z]+)|replica import (.+)", (ROOT / path).read_text()):
            found["".join(name)].add(str(path))
    assert found == {
        "choose": {"payments/book_views.py"},
        "Served": {"payments/book_views.py"},
        "connection": {"payments/ledger.py", "payments/statement.py", "payments/takings.py"},
    }
