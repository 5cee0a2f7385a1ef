"""What every bench stands on: the real product or its stores, distinct signed notifications, honest printing.

Figures move with the machine by a factor of two and more; what is compared must run in the same call. Every bench
prints the database's durability settings, because a fast figure without them would be a lie.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import django
from cryptography.fernet import Fernet

from config import embedded, running
from config.data_folder import DataFolder, claim

_KEY = secrets.token_bytes(32)
SECRET = "whsec_" + base64.b64encode(_KEY).decode()

# Without DEBUG, in which Django keeps the words of every statement; text messages would be tried at a closed door.
IN_PRODUCTION = {
    "DEBUG": "0", "SMS_BACKEND": "twilio", "TWILIO_URL": "http://127.0.0.1:9", "TWILIO_ACCOUNT_SID": "bench",
    "TWILIO_AUTH_TOKEN": "bench", "TWILIO_FROM": "+12025550123",
}  # fmt: skip

# How the product's programs are told apart by their command lines.
PARTS = {"web": "config.web:application", "worker": "--queues=celery", "stream": "config.asgi:application"}


@contextmanager
def product(port: int = 8640, **variables: str) -> Iterator[int]:
    """The whole product as `make up` starts it, on a data folder of its own; this process has joined it.

    Answers the number of its supervisor's process, which is the parent of all of it.
    """
    with tempfile.TemporaryDirectory(prefix="pushcart-bench-") as folder:
        Path(folder).chmod(0o711)
        environment = {**os.environ, "PORT": str(port), "DATA_DIR": folder, **variables}
        process = subprocess.Popen(
            [sys.executable, "-m", "config.up"], env=environment, cwd=running.BASE_DIR, stdout=subprocess.DEVNULL
        )
        try:
            os.environ.update(PORT=str(port), DATA_DIR=folder, **variables)
            _join(process)
            set_up()
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@contextmanager
def stores() -> Iterator[DataFolder]:
    """PostgreSQL and Valkey alone, migrated, for what is measured inside this process; answers their folder."""
    with tempfile.TemporaryDirectory(prefix="pushcart-bench-") as folder:
        Path(folder).chmod(0o711)
        held = claim(Path(folder))
        started = embedded.start(held, say=lambda _: None)
        os.environ.update(
            DATABASE_URL=started.database_url,
            REDIS_URL=started.redis_url,
            DATA_DIR=folder,
            SECRET_KEY=secrets.token_hex(32),
            CREDENTIAL_KEYS=Fernet.generate_key().decode(),
            SANDBOX_URL="http://127.0.0.1:9",
            LOG_LEVEL="ERROR",
            ALLOWED_HOSTS="127.0.0.1,testserver",
            **IN_PRODUCTION,
        )
        try:
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "-v0"], check=True, cwd=running.BASE_DIR, env=os.environ
            )
            set_up()
            yield held
        finally:
            started.stop()
            held.release()


def warm_wal(limit_s: float = 60) -> None:
    """Writes until the write-ahead log has segments to write over: a growing log makes commits four times slower.

    A message in the log is no row of any table. A checkpoint makes old segments into future ones, so as many must be
    written before it as there shall be.
    """
    from django.db import connection  # noqa: PLC0415  Django is set up only now.

    end = time.monotonic() + limit_s
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute(_SEGMENTS_AHEAD_SQL)
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_size_bytes(current_setting('min_wal_size')) / 1024 / 1024")
            for _ in range(cursor.fetchone()[0]):
                cursor.execute("SELECT pg_logical_emit_message(false, 'bench', repeat('x', 1024 * 1024))")
            cursor.execute("CHECKPOINT")


# True when half of what the server keeps at least is ready to be written over.
_SEGMENTS_AHEAD_SQL = """
SELECT sum(size) >= pg_size_bytes(current_setting('min_wal_size')) / 2
  FROM pg_ls_waldir() WHERE name > pg_walfile_name(pg_current_wal_lsn()) AND length(name) = 24
"""


def empty(*tables: str) -> None:
    """Empties tables, whatever forbids it in the product, so that every arm works on tables of the same size."""
    from django.db import connection, transaction  # noqa: PLC0415

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")


def another_database(name: str) -> str:
    """The address of a new, empty database on the same server, for software that has tables of its own."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}"')
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def postgres() -> int:
    """The process id of the database server: the parent of our connection's process."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(_stat(cursor.fetchone()[0])[1])


def say_conditions() -> None:
    """The machine and what the database promises."""
    from django.db import connection  # noqa: PLC0415  Django is set up only now.

    settings = ["fsync", "full_page_writes", "synchronous_commit"]
    with connection.cursor() as cursor:
        values = []
        for name in settings:
            cursor.execute(f"SHOW {name}")
            values.append(f"{name} {cursor.fetchone()[0]}")
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, PostgreSQL with {', '.join(values)}")


def used_by(process_id: int) -> float:
    """Seconds of a processor that a process has used: fields 14 and 15 of its stat file (proc(5))."""
    return sum(int(field) for field in _stat(process_id)[11:13]) / os.sysconf("SC_CLK_TCK")


def used_by_tree(process_id: int) -> float:
    """The same for a process, its children that live, and theirs; and for those that it has seen end."""
    try:
        own = sum(int(field) for field in _stat(process_id)[11:15]) / os.sysconf("SC_CLK_TCK")
        children = children_of(process_id)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # It ended while we looked; its parent has its seconds now.
    return own + sum(used_by_tree(child) for child in children)


def children_of(process_id: int) -> set[int]:
    """The processes whose parent it is."""
    return {
        int(child)
        for thread in Path(f"/proc/{process_id}/task").iterdir()
        for child in (thread / "children").read_text().split()
    }


def child_of(process_id: int, words: str) -> int:
    """Its one child whose command line has these words."""
    (found,) = (
        child
        for child in children_of(process_id)
        if words.encode() in Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
    )
    return found


def _stat(process_id: int) -> list[str]:
    """The fields of a process's stat file from the third on: those before it may hold blanks."""
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()


@dataclass(frozen=True)
class Sent:
    """One notification that was answered: when it was sent, and when the 2xx came (perf_counter seconds)."""

    object_id: str
    sent_at: float
    answered_at: float


def signed_request(url: str, reference: str, object_id: str, amount: int, padding: int = 1000) -> bytes:
    """One whole HTTP request: a signed notification of about 1.5 kB with an id of its own.

    Signed by Standard Webhooks, written out: a load of tens of thousands must be made in a second or two.
    """
    parts = urlsplit(url)
    delivery = f"evt_{uuid.uuid4().hex}"
    now = datetime.now(UTC)
    payment = {
        "id": object_id, "order_id": "wor_1", "reference": reference, "amount": amount, "currency": "CNY",
        "state": "succeeded", "occurred_at": now.isoformat(), "note": "x" * padding,
    }  # fmt: skip
    order = {"id": "wor_1", "reference": reference, "amount": amount, "currency": "CNY", "state": "paid"}
    body = json.dumps(
        {
            "id": delivery, "type": "payment.succeeded", "account": "bench", "occurred_at": now.isoformat(),
            "data": {"order": order, "payment": payment, "refund": None},
        }
    )  # fmt: skip
    moment = int(now.timestamp())
    signature = hmac.digest(_KEY, f"{delivery}.{moment}.{body}".encode(), hashlib.sha256)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"webhook-id: {delivery}\r\nwebhook-timestamp: {moment}\r\n"
        f"webhook-signature: v1,{base64.b64encode(signature).decode()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


async def send_all(
    url: str, requests: Sequence[tuple[str, bytes]], *, connections: int, rate: float | None = None
) -> list[Sent]:
    """Sends every request over so many kept connections, as fast as they are answered or at a fixed rate."""
    parts = urlsplit(url)
    waiting = iter(enumerate(requests))
    done: list[Sent] = []
    began = time.perf_counter()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for number, (object_id, request) in waiting:
            if rate is not None:
                await asyncio.sleep(max(began + number / rate - time.perf_counter(), 0))
            sent_at = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 2"):
                raise RuntimeError(head.decode())
            done.append(Sent(object_id, sent_at, time.perf_counter()))
        writer.close()

    await asyncio.gather(*(connection() for _ in range(connections)))
    return done


def spread(name: str, values: Sequence[float], unit: str = "ms") -> str:
    """Median, 99th percentile and worst, in one line."""
    ordered = sorted(values)
    p99 = ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]
    return f"{name:<28} p50 {statistics.median(ordered):8.2f}   p99 {p99:8.2f}   max {ordered[-1]:8.2f} {unit}"


def _join(process: subprocess.Popen[bytes]) -> None:
    for _ in range(1800):
        if (Path(os.environ["DATA_DIR"]) / running.ENVIRONMENT_FILE).exists():
            running.join(os.environ)
            return
        if process.poll() is not None:
            raise RuntimeError("the product did not start")
        time.sleep(0.1)
    raise RuntimeError("the product was not ready in three minutes")


def set_up() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
