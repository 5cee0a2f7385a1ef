"""Servers that a bench starts beside the product: on databases of their own, and their processor time by tree.

Peers run from `.venv-bench` (`bench/requirements.txt`); they share the product's PostgreSQL server and Valkey, and an
idle one costs nothing, so that arms can take turns.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config import running

PEERS_PYTHON = running.BASE_DIR / ".venv-bench" / "bin" / "python"
READY_LIMIT_S = 60.0

_TICKS = os.sysconf("SC_CLK_TCK")


def database(name: str) -> str:
    """The address of a new, empty database on the product's server."""
    product = os.environ["DATABASE_URL"]
    with psycopg.connect(product, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(product)._replace(path=f"/{name}"))


def postgres_process() -> int:
    """The number of the database server's first process, the parent of all its others."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return parent_of(connection.info.backend_pid)


def parent_of(process: int) -> int:
    return int(_stat(process)[1])


def processor_s(root: int) -> float:
    """Seconds of a processor that a process, its living descendants and those of them that ended have used."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = _stat(int(entry.name))
        except OSError:
            continue  # It ended meanwhile; its parent counts what it used.
        children[int(fields[1])].append(int(entry.name))
        # utime, stime, and the same of the children that were waited for: proc(5).
        used[int(entry.name)] = sum(map(int, fields[11:15])) / _TICKS
    total, todo = 0.0, [root]
    while todo:
        process = todo.pop()
        total += used.get(process, 0.0)
        todo += children[process]
    return total


@contextmanager
def served(command: Sequence[str | Path], environment: Mapping[str, str], *, port: int | None) -> Iterator[int]:
    """A server, from when it listens on the port until it is stopped; answers the number of its process."""
    process = subprocess.Popen(
        command,
        env=_told(environment),
        cwd=running.BASE_DIR,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if port is not None:
            _wait_for(port, process)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    """A short program of a peer, which must succeed."""
    subprocess.run(command, env=_told(environment), cwd=running.BASE_DIR, check=True)


def output(command: Sequence[object]) -> str:
    """What a short program says on its standard output; it must succeed."""
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def _told(environment: Mapping[str, str]) -> dict[str, str]:
    """Our environment without Django's settings, which are the product's unless `environment` names some."""
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"} | dict(environment)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"nothing came to listen on port {port}") from None
            time.sleep(0.05)


def _stat(process: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on: the name before them may hold spaces and brackets."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
