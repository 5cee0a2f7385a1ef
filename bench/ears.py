"""Listens to many streams of the product at once, and to its announcements, in a process of its own.

Whatever arrives is kept as it came, with its moment; it is read only when the load is over, so that listening costs
the two cores as little as it can. Moments are of the monotonic clock, which is the same in every process.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from urllib.parse import unquote, urlsplit

_RECEIPT = re.compile(rb'"receipt":"([^"]+)"')
_ANNOUNCED = re.compile(rb"notices:([0-9a-f]{32})\r\n\$4\r\nlook\r\n")

Chunks = list[tuple[float, bytes]]


class Ears:
    """Phones that listen, one for each token, and one subscription of what the worker announces after its commits."""

    def __init__(self, stream_url: str, redis_url: str, tokens: Sequence[str] = ()) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pushcart-ears-")
        plan = {
            "stream": stream_url, "redis": redis_url, "tokens": list(tokens),
            "file": str(Path(self._folder.name) / "heard"),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.ears"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(plan) + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("not every stream could be heard")

    def close(self) -> Heard:
        """Ends listening, and answers what was heard."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)
        with (Path(self._folder.name) / "heard").open("rb") as file:
            streams, announcements, cpu_s = pickle.load(file)
        self._folder.cleanup()
        return Heard(streams, announcements, cpu_s)


class Heard:
    """When each receipt was told on a stream, and when it was announced that a shop (its id in hex) has news."""

    def __init__(self, streams: Sequence[Chunks], announcements: Chunks, cpu_s: float) -> None:
        self.cpu_s = cpu_s
        self.told: dict[str, list[float]] = defaultdict(list)
        for chunks in streams:
            for moment, found in _found(_RECEIPT, chunks):
                self.told[found[1].decode()].append(moment)
        self.announced: dict[str, list[float]] = defaultdict(list)
        for moment, found in _found(_ANNOUNCED, announcements):
            self.announced[found[1].decode()].append(moment)


def _found(pattern: re.Pattern[bytes], chunks: Chunks) -> list[tuple[float, re.Match[bytes]]]:
    """What is found in all chunks together, each with the moment of the chunk in which it came to its end."""
    ends = list(accumulate(len(data) for _, data in chunks))
    whole = b"".join(data for _, data in chunks)
    return [(chunks[bisect_left(ends, found.end())][0], found) for found in pattern.finditer(whole)]


# --- In the process of its own ----------------------------------------------------------------------------------------


def _stream(url: str, token: str) -> socket.socket:
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=10)
    sock.sendall(
        f"GET /api/v1/notices/stream HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: text/event-stream\r\n\r\n".encode()
    )
    return sock


def _announcements(url: str) -> socket.socket:
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname or "", parts.port or 6379), timeout=10)
    password = unquote(parts.password or "")
    words = [["AUTH", password]] if password else []
    for command in [*words, ["PSUBSCRIBE", "notices:*"]]:
        said = "".join(f"${len(word)}\r\n{word}\r\n" for word in command)
        sock.sendall(f"*{len(command)}\r\n{said}".encode())
    return sock


def _wait_for(sock: socket.socket, words: bytes) -> None:
    said = b""
    while words not in said:
        data = sock.recv(65536)
        if not data:
            raise RuntimeError(said.decode())
        said += data


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    streams = [_stream(plan["stream"], token) for token in plan["tokens"]]
    for sock in streams:
        _wait_for(sock, b"welcome")
    announcements = _announcements(plan["redis"])
    _wait_for(announcements, b"psubscribe")
    poll = select.epoll()
    chunks: dict[int, Chunks] = {}
    of = {sock.fileno(): sock for sock in [*streams, announcements]}
    for number in of:
        poll.register(number, select.EPOLLIN)
        chunks[number] = []
    poll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
    print("ready", flush=True)
    cpu = time.process_time()
    while True:
        for number, _ in poll.poll():
            if number == sys.stdin.fileno():
                kept = [chunks[sock.fileno()] for sock in streams], chunks[announcements.fileno()]
                with Path(plan["file"]).open("wb") as file:
                    pickle.dump((*kept, time.process_time() - cpu), file)
                os._exit(0)
            data = of[number].recv(1 << 20)
            if not data:
                raise RuntimeError("a stream has ended")
            chunks[number].append((time.perf_counter(), data))


if __name__ == "__main__":
    main()
