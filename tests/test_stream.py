"""The live stream, heard from its own process: in order, once, by its own shop, and through every kind of absence."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import psycopg
import pytest
import requests
from django.db import connection, connections, transaction
from django.utils import timezone

from merchants import ids
from merchants.bell import store
from merchants.models import Notice, Token
from merchants.notify import Telling, announce, tell
from tests.cast import Person

pytestmark = pytest.mark.xdist_group("stream")

PUBLIC = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Server:
    """The stream's process, as the product starts it."""

    url: str
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(**environment: str) -> Iterator[Server]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "config.asgi:application", f"--port={port}", "--no-access-log"],
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            **environment,
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if requests.get(f"http://127.0.0.1:{port}/healthz/live", timeout=1).text == "live\n":
                    break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield Server(f"http://127.0.0.1:{port}/api/v1/notices/stream", process)
    finally:
        process.kill()
        process.wait()


def database_url() -> str:
    """The tests' own database, which is another than the one the settings name."""
    name = str(connection.settings_dict["NAME"])
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


@pytest.fixture(scope="module")
def shared(django_db_setup: None) -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture
def server(shared: Server, real_db: None) -> Server:
    """One process for the module: every test has shops of its own in it."""
    return shared


class Ear:
    """A client that reads a stream in a thread and keeps what it heard."""

    def __init__(self, server: Server, token: str, **headers: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.comments: list[str] = []
        self.heard_at: list[float] = []
        self.ended = threading.Event()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = requests.get(
            server.url, headers={"Authorization": f"Bearer {token}", **names}, stream=True, timeout=60
        )
        assert self.answer.status_code == 200, self.answer.text
        threading.Thread(target=self._read, daemon=True).start()
        self.wait(lambda: self.comments)

    def _read(self) -> None:
        event: dict[str, Any] = {}
        try:
            for line in self.answer.iter_lines(chunk_size=1, decode_unicode=True):
                if line.startswith(":"):
                    self.comments.append(line[2:])
                elif line:
                    field, _, value = line.partition(": ")
                    event[field] = value
                elif "data" in event:
                    self.heard_at.append(time.time())
                    self.events.append(event)
                    event = {}
        except requests.RequestException:
            return
        finally:
            self.ended.set()

    def leave(self) -> None:
        connection: Any = self.answer.raw
        connection.connection.sock.shutdown(socket.SHUT_RDWR)

    @property
    def numbers(self) -> list[int]:
        return [int(event["id"]) for event in self.events]

    def wait(self, condition: Any, limit_s: float = 10.0) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, (self.numbers, self.comments)
            time.sleep(0.005)

    def hears(self, numbers: list[int], limit_s: float = 10.0) -> None:
        self.wait(lambda: self.numbers == numbers, limit_s)


def notify(shop: UUID, text: str = "paid", *, aloud: bool = True) -> None:
    with transaction.atomic():
        tell([Telling(shop, "payment", {"text": text})], now=timezone.now())
    if aloud:
        announce([shop])


def test_a_client_catches_up_and_then_hears_live_in_order(server: Server, mei: Person) -> None:
    for number in range(1, 4):
        notify(mei.shop.id, f"paid {number}")
    ear = Ear(server, mei.token, Last_Event_ID="1")
    ear.hears([2, 3])
    notify(mei.shop.id, "水果")
    ear.hears([2, 3, 4])
    last = ear.events[-1]
    row = Notice.objects.get(number=4)
    assert last["event"] == "notice"
    assert json.loads(last["data"]) == mei.api().get("/api/v1/notices?after=3").json()["results"][0]
    assert json.loads(last["data"]) == {
        "number": 4,
        "kind": "payment",
        "data": {"text": "水果"},
        "created_at": row.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert ear.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert ear.answer.headers["Cache-Control"] == "no-store"


def test_without_a_number_only_what_is_new_is_told(server: Server, mei: Person) -> None:
    notify(mei.shop.id)
    ear = Ear(server, mei.token)
    notify(mei.shop.id)
    ear.hears([2])


def test_a_page_of_catching_up_is_followed_by_the_next(server: Server, mei: Person) -> None:
    with transaction.atomic():
        tell([Telling(mei.shop.id, "payment", {}) for _ in range(450)], now=timezone.now())
    Ear(server, mei.token, Last_Event_ID="0").hears(list(range(1, 451)))


def test_a_shop_hears_nothing_of_another(server: Server, mei: Person, arjun: Person) -> None:
    hers, his = Ear(server, mei.token, Last_Event_ID="0"), Ear(server, arjun.token, Last_Event_ID="0")
    notify(mei.shop.id, "hers")
    notify(arjun.shop.id, "his")
    hers.hears([1])
    his.hears([1])
    assert [json.loads(ear.events[0]["data"])["data"]["text"] for ear in (hers, his)] == ["hers", "his"]


def test_a_late_commit_is_not_skipped(server: Server, mei: Person) -> None:
    """One transaction takes its number first and commits last: the other waits for it, and both are heard in order."""
    ear = Ear(server, mei.token)
    may_commit, has_number = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                tell([Telling(mei.shop.id, "payment", {"text": "slow"})], now=timezone.now())
                has_number.set()
                may_commit.wait(10)
            announce([mei.shop.id])
        finally:
            connections.close_all()

    def quick() -> None:
        try:
            has_number.wait(10)
            notify(mei.shop.id, "quick")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(slow), pool.submit(quick)]
        has_number.wait(10)
        time.sleep(0.5)
        assert ear.numbers == []
        may_commit.set()
        [done.result() for done in waiting]
    ear.hears([1, 2])
    assert [json.loads(event["data"])["data"]["text"] for event in ear.events] == ["slow", "quick"]


def test_many_writers_at_once_are_heard_once_and_in_order(server: Server, mei: Person) -> None:
    ears = [Ear(server, mei.token, Last_Event_ID="0") for _ in range(5)]

    def write(_: int) -> None:
        try:
            for _number in range(10):
                notify(mei.shop.id)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(write, range(5)))
    late = Ear(server, mei.token, Last_Event_ID="0")
    for ear in [*ears, late]:
        ear.hears(list(range(1, 51)))


def test_what_is_committed_is_heard_within_a_tenth_of_a_second(server: Server, mei: Person) -> None:
    ear = Ear(server, mei.token)
    delays = []
    for number in range(1, 31):
        notify(mei.shop.id)
        committed = time.time()
        ear.wait(lambda number=number: number in ear.numbers)
        delays.append(ear.heard_at[-1] - committed)
    delays.sort()
    print(f"commit to client: p50 {delays[15] * 1000:.1f} ms, p97 {delays[29] * 1000:.1f} ms")
    assert delays[15] < 0.1


def test_a_lost_announcement_costs_time_and_nothing_else(server: Server, mei: Person) -> None:
    ear = Ear(server, mei.token)
    notify(mei.shop.id, aloud=False)
    notify(mei.shop.id)
    ear.hears([1, 2])


def test_with_redis_away_the_database_is_looked_at_every_two_seconds(real_db: None, mei: Person) -> None:
    with running(REDIS_URL="redis://127.0.0.1:1/0") as server:
        ear = Ear(server, mei.token)
        notify(mei.shop.id)
        ear.hears([1], limit_s=4)


def test_a_stream_is_resubscribed_when_its_connection_to_redis_breaks(server: Server, mei: Person) -> None:
    ear = Ear(server, mei.token)
    store().client_kill_filter(_type="pubsub", skipme=True)
    notify(mei.shop.id)
    ear.hears([1], limit_s=4)
    time.sleep(1.5)
    notify(mei.shop.id)
    began = time.monotonic()
    ear.hears([1, 2])
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("headers", "query", "status", "code"),
    [
        ({}, "", 401, "not_authenticated"),
        ({"Authorization": "Bearer nonsense"}, "", 401, "authentication_failed"),
        ({"Authorization": "Bearer \xff"}, "", 401, "authentication_failed"),
        ({}, "?token=anything", 401, "not_authenticated"),
        ({"Last-Event-ID": "x"}, "", 400, "after_invalid"),
        ({}, "?after=-1", 400, "after_invalid"),
    ],
)
def test_who_may_not_listen_is_told_why(
    server: Server, headers: dict[str, str], query: str, status: int, code: str
) -> None:
    answer = requests.get(server.url + query, headers=headers, timeout=10)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (status, status, code)


def test_only_the_pages_of_our_own_origin_may_read_the_stream(server: Server, mei: Person) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,last-event-id"}
    ours = requests.options(server.url, headers={"Origin": PUBLIC, **asked}, timeout=10)
    assert ours.status_code == 204
    assert ours.headers["Access-Control-Allow-Origin"] == PUBLIC
    assert ours.headers["Access-Control-Allow-Headers"] == "Authorization, Last-Event-ID"
    for other in ("http://127.0.0.1:8000.evil.example", "http://127.0.0.1:80001", "null", "https://127.0.0.1:8000"):
        theirs = requests.options(server.url, headers={"Origin": other, **asked}, timeout=10)
        assert "Access-Control-Allow-Origin" not in theirs.headers
    assert requests.get(server.url, headers={"Origin": PUBLIC}, timeout=10).headers["Vary"] == "Origin"
    assert Ear(server, mei.token, Origin=PUBLIC).answer.headers["Access-Control-Allow-Origin"] == PUBLIC


def test_other_addresses_and_methods_are_problems(server: Server) -> None:
    root = server.url.removesuffix("/api/v1/notices/stream")
    assert requests.get(f"{root}/api/v1/shop", timeout=10).json()["code"] == "not_found"
    assert requests.post(server.url, timeout=10).json()["code"] == "method_not_allowed"


def test_the_twenty_first_stream_of_a_shop_is_refused_until_one_ends(
    server: Server, mei: Person, arjun: Person
) -> None:
    ears = [Ear(server, mei.token) for _ in range(20)]
    headers = {"Authorization": f"Bearer {mei.token}"}
    refused = requests.get(server.url, headers=headers, timeout=10)
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
    Ear(server, arjun.token)
    ears[0].leave()
    deadline = time.monotonic() + 5
    while requests.get(server.url, headers=headers, stream=True, timeout=10).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_signing_out_ends_that_phones_stream_at_once_and_no_other(server: Server, mei: Person) -> None:
    tokens = [Token.objects.create(mei.user, shop=mei.shop) for _ in range(2)]
    ended, silenced = (Ear(server, token) for _row, token in tokens)
    stays = Ear(server, mei.token)
    began = time.monotonic()
    address = f"/api/v1/devices/{ids.public('dev', tokens[0][0].device)}"
    assert mei.api().delete(address).status_code == 204
    assert ended.ended.wait(5)
    assert time.monotonic() - began < 2
    # Whose signing out was never announced hears nothing of what comes later either.
    tokens[1][0].delete()
    notify(mei.shop.id)
    stays.hears([1])
    assert silenced.ended.wait(5)
    assert (ended.events, silenced.events, stays.ended.is_set()) == ([], [], False)


def test_an_idle_stream_holds_no_connection_to_the_database(server: Server, mei: Person) -> None:
    ears = [Ear(server, mei.token) for _ in range(12)]
    for ear in ears:
        assert not ear.ended.is_set()
    time.sleep(0.2)
    with psycopg.connect(database_url()) as own:
        found = own.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state <> 'idle'"
        ).fetchone()
        assert found == (0,)


def test_a_stop_ends_the_streams_at_once_and_tells_clients_when_to_come_back(real_db: None, mei: Person) -> None:
    with running() as server:
        ear = Ear(server, mei.token)
        raw = requests.get(server.url, headers={"Authorization": f"Bearer {mei.token}"}, stream=True, timeout=10)
        assert next(raw.iter_lines(decode_unicode=True)) == "retry: 1000"
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        server.process.wait(10)
        assert time.monotonic() - began < 2
        assert ear.ended.wait(2)


def test_the_heartbeat_the_check_of_the_token_and_the_look_without_an_announcement(real_db: None, mei: Person) -> None:
    """The three clocks of a stream, run sixty times as fast."""
    quick = "import merchants.stream as s; s.HEARTBEAT_S, s.RECHECK_S = 0.25, 1.0; from config.asgi import application"
    port = free_port()
    program = (
        "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'; django.setup(); "
        f"{quick}; import uvicorn; uvicorn.run(application, port={port}, log_level='warning')"
    )
    environment = {**os.environ, "DATABASE_URL": database_url()}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    server = Server(f"http://127.0.0.1:{port}/api/v1/notices/stream", process)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                ear = Ear(server, mei.token)
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        ear.wait(lambda: ear.comments.count("still here") >= 3)
        notify(mei.shop.id, aloud=False)
        ear.hears([1], limit_s=2)
        assert not ear.ended.is_set()
        mei.api().delete("/api/v1/auth/token")
        assert ear.ended.wait(3)
    finally:
        process.kill()
        process.wait()
