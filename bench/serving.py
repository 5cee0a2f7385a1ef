"""Servers that a bench starts beside the product, from when they listen until the bench ends.

An idle one costs nothing, so all of them stand ready while arms take turns.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import peer
from config import running

READY_LIMIT_S = 120.0


@contextmanager
def served(command: Sequence[str | Path], environment: Mapping[str, str], *, port: int | None) -> Iterator[int]:
    """A server, from when it listens on the port until it is stopped; answers the number of its process."""
    process = subprocess.Popen(
        command,
        env=peer.environment(**environment),
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
    subprocess.run(command, env=peer.environment(**environment), cwd=running.BASE_DIR, check=True)


def output(command: Sequence[object]) -> str:
    """What a short program says on its standard output; it must succeed, and its complaints are seen."""
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout


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
