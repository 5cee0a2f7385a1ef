"""Whoever takes webhooks in a bench: the product's web process, what a server can do at most, and peers.

A receiver knows how its requests are made, and proves its work: as many rows kept as requests answered with 2xx, and
the same requests sent again keep nothing more.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from bench import ground, load, peer, serving
from bench.load import Answers
from bench.rounds import size
from config import product
from config.data_folder import DataFolder
from merchants import in_threads

PATH = "/webhooks/sandbox/bench"
WARM = size(400, 64)  # Requests before the clock: connections, plans and caches are those of a server that runs.
AGAIN = size(400, 64)  # Requests that are sent once more afterwards.
SHOPS = 200  # Of the naive design.
# For a WSGI application in the product's place: as many threads of the server as the product gives to Django.
_IN_THREADS = ("--interface=wsgi", f"--blocking-threads={in_threads.THREADS}")
NAIVE_REDIS = "/7"  # Valkey has 32 databases; the product uses the first.


@dataclass
class Receiver:
    """A running server: `make` builds its next request, `empty` clears its tables, `kept` counts what it keeps."""

    port: int
    process: int
    make: Callable[[], bytes]
    empty: Callable[[], None] = lambda: None
    kept: Callable[[], int] | None = None
    database: str = ""
    guess: float = 3000.0  # Requests per second, so that enough of them are made before the clock runs.

    def measure(self, *, connections: int, seconds: float) -> dict[str, float]:
        """One closed load on empty tables: 2xx per second, how long they took, and what each cost of a processor."""
        self.empty()
        requests = [self.make() for _ in range(int(self.guess * seconds * 1.5) + WARM)]
        warm = load.send(self.port, requests[:WARM], connections=connections)
        database = ground.postgres()
        used = ground.used_by_tree(self.process), ground.used_by_tree(database)
        answers = load.send(self.port, requests[WARM:], connections=connections, seconds=seconds)
        server_s = ground.used_by_tree(self.process) - used[0]
        database_s = ground.used_by_tree(database) - used[1]
        self._prove(requests, warm, answers, connections)
        done, waits = len(answers.kept), answers.waits_ms()
        self.guess = max(answers.rate, 100.0)
        return {
            "rate": answers.rate,
            "p50_ms": load.centile(waits, 0.5),
            "p99_ms": load.centile(waits, 0.99),
            "server_us": server_s / done * 1e6,
            "postgres_us": database_s / done * 1e6,
            "load_us": answers.cpu_s / done * 1e6,
        }

    def _prove(self, requests: list[bytes], warm: Answers, answers: Answers, connections: int) -> None:
        refused = {status for status in (*warm.status, *answers.status[: answers.sent]) if not 200 <= status < 300}
        assert not refused, f"answered {refused}"
        assert warm.again == answers.again == 0, "connections broke"
        if self.kept is None:
            return
        wanted = len(warm.kept) + len(answers.kept)
        assert self.kept() == wanted, f"{self.kept()} rows for {wanted} answers of 2xx"
        again = load.send(self.port, requests[: min(AGAIN, wanted)], connections=connections)
        assert len(again.kept) == again.sent, "a repeated request was refused"
        assert self.kept() == wanted, "a repeated request was kept twice"


# --- The product -----------------------------------------------------------------------------------------------------


def web(
    folder: DataFolder, port: int, application: str = "", options: Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of the product's web process, for another `application` if one is named.

    The last of an option counts: `options` come behind the product's own.
    """
    variables = {**product.variables(folder, port), **ground.IN_PRODUCTION}
    metrics = Path(folder.path) / f"metrics-{port}"
    metrics.mkdir(exist_ok=True)
    variables |= {
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "REDIS_URL": os.environ["REDIS_URL"],
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }
    (found,) = (one for one in product.programs(folder, variables, variables) if one.name == "web")
    if not application:
        return found.command, variables
    # An application in the product's place, for the same server with the same options.
    command = [application if part == product.WEB[0] else part for part in found.command if part != "--factory"]
    assert application in command, found.command
    return [*command, *options], variables


@contextmanager
def pushcart(folder: DataFolder, port: int, application: str = "") -> Iterator[Receiver]:
    """The product's web process alone: whatever it keeps stays in the inbox."""
    from bench import cast  # noqa: PLC0415  Django is set up only now.

    cast.account()
    command, variables = web(folder, port, application)
    with serving.served(command, variables, port=port) as process:
        yield Receiver(port, process, _notification(port), _empty_inbox, _count_inbox)


def _notification(port: int) -> Callable[[], bytes]:
    url = f"http://127.0.0.1:{port}{PATH}"
    return lambda: ground.signed_request(url, f"int_{uuid.uuid4().hex}", f"wpy_{uuid.uuid4().hex}", 200)


def _empty_inbox() -> None:
    from django.apps import apps  # noqa: PLC0415

    tables = {model._meta.db_table for model in apps.get_app_config("payments").get_models()}
    ground.empty(*(tables & {"payments_queuedevent", "payments_delivery", "payments_webhookevent"}))


def _count_inbox() -> int:
    """The events, each of which must have its row in the queue."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        events, queued = connection.execute(
            "SELECT (SELECT count(*) FROM payments_webhookevent), (SELECT count(*) FROM payments_queuedevent)"
        ).fetchone() or (0, 0)
    assert events == queued
    return int(events)


# --- Limits ----------------------------------------------------------------------------------------------------------


@contextmanager
def limit(folder: DataFolder, port: int, application: str) -> Iterator[Receiver]:
    """`nothing` or `insert` of bench/peers/limits.py, on the product's own server with the product's options.

    `insert` has threads of the server instead of its loop.
    """
    from bench.peers import limits  # noqa: PLC0415

    database = ground.another_database(f"limit_{application}")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(limits.TABLE_SQL)
    options = _IN_THREADS if application == "insert" else ()
    command, variables = web(folder, port, f"bench.peers.limits:{application}", options)
    with serving.served(
        command, {**variables, "DATABASE_URL": database, "WEBHOOK_SECRET": ground.SECRET}, port=port
    ) as process:
        receiver = Receiver(port, process, _notification(port))
        if application == "insert":
            receiver.empty = lambda: _execute(database, "TRUNCATE received")
            receiver.kept = lambda: _count(database, "received")
        yield receiver


def pgbench(folder: DataFolder) -> Callable[..., dict[str, float]]:
    """PostgreSQL's own program: one durable row of the same size in every transaction, with nothing around it."""
    from bench.peers import limits  # noqa: PLC0415

    database = ground.another_database("limit_pgbench")
    _execute(database, limits.TABLE_SQL)
    script = Path(folder.path) / "insert.sql"
    script.write_text(
        "INSERT INTO received (id, delivery_id, raw, headers) VALUES (gen_random_uuid(), gen_random_uuid()::text,"
        f" '{'x' * 1500}', '{{\"webhook-timestamp\": \"1795935771\"}}') ON CONFLICT (delivery_id) DO NOTHING;\n"
    )
    program = Path(os.readlink(f"/proc/{ground.postgres()}/exe")).parent / "pgbench"

    def measure(*, connections: int, seconds: float) -> dict[str, float]:
        _execute(database, "TRUNCATE received")
        server = ground.postgres()
        used = ground.used_by_tree(server)
        # A number of rows and no time: connecting would be part of that.
        each = max(int(size(10_000, 1_000) * seconds / connections), 1)
        said = serving.output(
            [program, "-n", "-M", "prepared", "-c", connections, "-j", 1, "-t", each, "-f", script, database]
        )
        used = ground.used_by_tree(server) - used
        figures = {line.partition(" = ")[0]: line.partition(" = ")[2] for line in said.splitlines()}
        rows = _count(database, "received")
        assert rows == each * connections, said
        return {
            "rate": float(figures["tps"].split()[0]),
            "mean_ms": float(figures["latency average"].split()[0]),
            "postgres_us": used / rows * 1e6,
        }

    return measure


# --- Peers -----------------------------------------------------------------------------------------------------------


@contextmanager
def dj_stripe(port: int) -> Iterator[Receiver]:
    """dj-stripe on gunicorn with threads; each of its events has a row of its trigger and one of its own."""
    database, address = ground.another_database("peer_dj_stripe"), str(uuid.uuid4())
    variables = {"DATABASE_URL": database}
    secret = ground.SECRET
    serving.run([peer.PYTHON, "-m", "bench.peers.dj_stripe.prepare", secret, address], variables)

    def kept() -> int:
        events, whole = _row(
            database,
            "SELECT (SELECT count(*) FROM djstripe_event), (SELECT count(DISTINCT event_id)"
            " FROM djstripe_webhookeventtrigger WHERE valid AND processed AND exception = '')",
        )
        assert events == whole
        return int(events)

    command = gunicorn("bench.peers.dj_stripe.wsgi:application", port)
    with serving.served(command, variables, port=port) as process:
        yield Receiver(
            port,
            process,
            lambda: stripe_request(port, address, secret),
            lambda: _execute(database, "TRUNCATE djstripe_webhookeventtrigger, djstripe_event"),
            kept,
            guess=150.0,
        )


@contextmanager
def naive(port: int) -> Iterator[Receiver]:
    """The naive design's web process; `naive_worker` posts what it keeps."""
    database = ground.another_database("peer_naive")
    variables = naive_variables(database)
    serving.run([peer.PYTHON, "-m", "bench.peers.naive.prepare", str(SHOPS)], variables)
    numbers = iter(range(10**9))
    url = f"http://127.0.0.1:{port}{PATH}"

    def make() -> bytes:
        return ground.signed_request(url, f"shop_{next(numbers) % SHOPS}", f"wpy_{uuid.uuid4().hex}", 200)

    def empty() -> None:
        redis.Redis.from_url(variables["REDIS_URL"]).flushdb()
        _execute(database, "TRUNCATE naive_leg, naive_transaction, naive_webhookevent")
        _execute(database, "UPDATE naive_account SET balance = 0")

    command = gunicorn("bench.peers.naive.wsgi:application", port)
    with serving.served(command, variables, port=port) as process:
        yield Receiver(port, process, make, empty, lambda: _count(database, "naive_webhookevent"), database, 300.0)


@contextmanager
def naive_worker(database: str) -> Iterator[int]:
    """Its Celery worker with two processes; answers the number of the first."""
    command = [peer.PYTHON, "-m", "celery", "--app=bench.peers.naive.celery", "worker", "--concurrency=2",
               "--loglevel=error"]  # fmt: skip
    variables = naive_variables(database)
    broker = redis.Redis.from_url(variables["REDIS_URL"])
    with serving.served(command, variables, port=None) as process:
        end = time.monotonic() + serving.READY_LIMIT_S
        # It waits at the broker when it is ready, and the broker lists who does.
        while not any(f"/{one['db']}" == NAIVE_REDIS and one["cmd"] == "brpop" for one in broker.client_list()):
            assert time.monotonic() < end, "the naive worker is not ready"
            time.sleep(0.1)
        yield process


def prove_naive(database: str, count: int) -> None:
    """So many events are booked by it, once each, and its balances are what its legs say."""
    events, booked, legs, total, wrong = _row(
        database,
        "SELECT (SELECT count(*) FROM naive_webhookevent WHERE status = 'posted'),"
        " (SELECT count(DISTINCT event_id) FROM naive_transaction), (SELECT count(*) FROM naive_leg),"
        " (SELECT coalesce(sum(amount), 0) FROM naive_leg),"
        " (SELECT count(*) FROM naive_account AS account WHERE reference LIKE 'shop_%' AND balance <>"
        " (SELECT coalesce(sum(amount), 0) FROM naive_leg WHERE account_id = account.id))",
    )
    assert (events, booked, legs, total, wrong) == (count, count, 3 * count, 0, 0)


def naive_variables(database: str) -> dict[str, str]:
    broker = urlunsplit(urlsplit(os.environ["REDIS_URL"])._replace(path=NAIVE_REDIS))
    return {"DATABASE_URL": database, "REDIS_URL": broker, "WEBHOOK_SECRET": ground.SECRET}


def gunicorn(application: str, port: int) -> list[str]:
    """Two processes with four threads each, which its own documentation advises for two cores."""
    return [
        str(peer.PYTHON), "-m", "gunicorn", application, "--worker-class=gthread", "--workers=2",
        "--threads=4", "--preload", f"--bind=127.0.0.1:{port}", "--no-control-socket", "--log-level=error",
    ]  # fmt: skip


def stripe_request(port: int, address: str, secret: str, padding: int = 900) -> bytes:
    """A signed event of Stripe's form for which dj-stripe has no handler: it stores it and asks nobody.

    https://docs.stripe.com/webhooks#verify-manually
    """
    moment = int(datetime.now(UTC).timestamp())
    body = json.dumps(
        {
            "id": f"evt_{uuid.uuid4().hex}", "object": "event", "account": "acct_bench1", "api_version": "2026-05-27",
            "created": moment, "livemode": False, "pending_webhooks": 1, "type": "balance.available",
            "request": {"id": None, "idempotency_key": None},
            "data": {
                "object": {
                    "object": "balance", "livemode": False, "note": "x" * padding,
                    "available": [{"amount": 200, "currency": "cny", "source_types": {"card": 200}}],
                    "pending": [{"amount": 0, "currency": "cny", "source_types": {"card": 0}}],
                }
            },
        }
    )  # fmt: skip
    signature = hmac.digest(secret.encode(), f"{moment}.{body}".encode(), hashlib.sha256).hex()
    head = (
        f"POST /stripe/webhook/{address}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: t={moment},v1={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def _execute(database: str, statement: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(statement)


def _row(database: str, question: str) -> tuple[int, ...]:
    with psycopg.connect(database) as connection:
        return connection.execute(question).fetchone() or ()


def _count(database: str, table: str) -> int:
    return _row(database, f"SELECT count(*) FROM {table}")[0]


def delivery_of(request: bytes) -> str:
    """The delivery id of one of our signed requests."""
    return request.partition(b"webhook-id: ")[2].partition(b"\r\n")[0].decode()
