"""Loads an HTTP server with prepared requests, in a process of its own whose processor time is counted apart.

Two ways: as fast as answers come over so many connections (closed), or at a fixed rate whatever the server does (open).
In the open way a request's time begins when it was due, not when a connection was free for it: a server that stalls
cannot hide the requests that would have come meanwhile. Plain sockets, one loop, bytes made before: what a request
costs here is a third of what asyncio's streams cost, and is taken from the product on the same two cores.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"connection: *close", re.IGNORECASE)
_CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.IGNORECASE)
_AGAIN_S = 0.05  # Before a server that is not there is tried again.
_SILENT_S = 30.0  # A request without an answer for this long ends the run.


@dataclass(frozen=True)
class Answers:
    """What became of the requests, by their place: seconds of the monotonic clock, and the status (0: none came).

    `again` counts requests that were sent once more because their connection broke, as a provider would.
    """

    due_at: array[float]
    answered_at: array[float]
    status: array[int]
    cpu_s: float
    again: int
    began: float
    ended: float

    @property
    def kept(self) -> list[int]:
        """The places of those that were answered by 2xx."""
        return [place for place, status in enumerate(self.status) if 200 <= status < 300]

    @property
    def sent(self) -> int:
        return sum(1 for due in self.due_at if due)

    @property
    def rate(self) -> float:
        """2xx answers per second, from the first request to the last answer."""
        return len(self.kept) / (self.ended - self.began)

    def waits_ms(self) -> list[float]:
        """How long each 2xx took, ascending."""
        return sorted((self.answered_at[place] - self.due_at[place]) * 1000 for place in self.kept)


def centile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of the ascending values does not exceed."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class Load:
    """A load with its connections open: `begin`, `wait`, then `answers`."""

    def __init__(
        self,
        port: int,
        requests: Iterable[bytes],
        *,
        connections: int,
        seconds: float | None = None,
        rate: float | None = None,
        patience_s: float = 0.0,
    ) -> None:
        """Sends every request once, or as many as fit into `seconds`.

        With `patience_s`, whatever gets no answer because the server is gone is sent again for so long.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="pushcart-load-")
        place = Path(self._folder.name)
        with (place / "requests").open("wb") as file:
            for request in requests:
                file.write(struct.pack(">I", len(request)) + request)
        plan = {
            "port": port, "connections": connections, "seconds": seconds, "rate": rate, "patience_s": patience_s,
            "folder": str(place),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.load", json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin and self.process.stdout
        self.process.stdout.readline()  # It has read its requests and is connected.

    def begin(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def wait(self) -> None:
        """Returns when the last request has been answered, within milliseconds."""
        assert self.process.stdout
        self.process.stdout.readline()

    def answers(self) -> Answers:
        """What became of it, after `wait`."""
        assert self.process.stdout
        said = self.process.stdout.read()
        if self.process.wait():
            raise RuntimeError("the load ended early: its last words are above")
        due_at, answered_at, status = array("d"), array("d"), array("H")
        for column, name in ((due_at, "due_at"), (answered_at, "answered_at"), (status, "status")):
            column.frombytes((Path(self._folder.name) / name).read_bytes())
        self._folder.cleanup()
        return Answers(due_at, answered_at, status, **json.loads(said))


def send(
    port: int, requests: Iterable[bytes], *, connections: int, seconds: float | None = None, rate: float | None = None
) -> Answers:
    """A whole load, from its beginning to its end."""
    load = Load(port, requests, connections=connections, seconds=seconds, rate=rate)
    load.begin()
    load.wait()
    return load.answers()


# --- In the process of its own ----------------------------------------------------------------------------------------


class _Connection:
    __slots__ = ("answer", "place", "sock")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.answer = b""
        self.place = -1  # Of the request that waits for its answer; -1: none does.


class _Sender:
    def __init__(self, port: int, requests: Sequence[bytes], connections: int, patience_s: float) -> None:
        self.port, self.requests, self.patience_s = port, requests, patience_s
        self.due_at = array("d", bytes(8 * len(requests)))
        self.answered_at = array("d", bytes(8 * len(requests)))
        self.status = array("H", bytes(2 * len(requests)))
        self.again = 0
        self.poll = select.epoll()
        self.open: dict[int, _Connection] = {}
        self.idle: list[_Connection] = []
        self.waiting: deque[int] = deque()  # Due, and no connection is free.
        self.missing = 0  # Connections that could not be made (again) yet.
        self.connect_at = 0.0
        self.failing_since = 0.0
        for _ in range(connections):
            self._connect()

    def closed(self, seconds: float | None) -> None:
        """Every connection sends its next request when its last was answered."""
        places = iter(range(len(self.requests)))
        end = time.perf_counter() + (seconds or 1e9)
        more = True
        while True:
            now = time.perf_counter()
            while more and self.idle and not self.waiting:
                place = next(places, -1) if now < end else -1
                if place < 0:
                    more = False
                    break
                self.due_at[place] = time.perf_counter()
                self._give(self.idle.pop(), place)
            self._give_waiting()
            if not more and not self.waiting and self._busy() == 0:
                return
            self._hear(None)

    def at_rate(self, rate: float, seconds: float | None) -> None:
        """Each request when it is due, over whatever connection is free; else over the first that becomes free."""
        count = len(self.requests) if seconds is None else min(len(self.requests), int(rate * seconds))
        began = time.perf_counter()
        place = 0
        while True:
            now = time.perf_counter()
            while place < count and (due := began + place / rate) <= now:
                self.due_at[place] = due
                self.waiting.append(place)
                place += 1
            self._give_waiting()
            if place == count and not self.waiting and self._busy() == 0:
                return
            self._hear(began + place / rate if place < count else None)

    def _busy(self) -> int:
        return len(self.open) - len(self.idle)

    def _give_waiting(self) -> None:
        while self.waiting and self.idle:
            self._give(self.idle.pop(), self.waiting.popleft())

    def _give(self, connection: _Connection, place: int) -> None:
        connection.place = place
        try:
            sent = connection.sock.send(self.requests[place])
        except OSError:
            self._lost(connection)
            return
        assert sent == len(self.requests[place]), "a request is larger than the socket's buffer"

    def _hear(self, until: float | None) -> None:
        """Takes what has been answered; waits for that, but not beyond the moment `until`."""
        if self.missing and time.perf_counter() >= self.connect_at:
            self._connect_missing()
            if self.waiting and self.idle:
                return  # Nothing would be heard before it is given something.
        if until is None:
            events = self.poll.poll(_AGAIN_S if self.missing else _SILENT_S)
            if not events and not self.missing:
                raise TimeoutError(f"no answer for {_SILENT_S:.0f} s, {self._busy()} requests wait")
        else:
            # epoll counts in whole milliseconds; select takes microseconds, and a poll is a file it can wait for.
            wait_s = max(until - time.perf_counter(), 0)
            select.select([self.poll], [], [], min(wait_s, _AGAIN_S) if self.missing else wait_s)
            events = self.poll.poll(0)
        for number, _ in events:
            self._take(self.open[number])

    def _take(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._lost(connection)
            return
        data = connection.answer + data
        end = data.find(b"\r\n\r\n")
        if end < 0 or not _is_whole(data, end):
            connection.answer = data
            return
        place, connection.place, connection.answer = connection.place, -1, b""
        self.answered_at[place] = time.perf_counter()
        self.status[place] = int(data[9:12])
        self.failing_since = 0.0
        if _CLOSES.search(data, 0, end):
            self._drop(connection)
            self.missing += 1
            self._connect_missing()
        else:
            self.idle.append(connection)

    def _lost(self, connection: _Connection) -> None:
        """The server has closed it: an idle one is replaced; a request under way is sent again, as by a provider."""
        place = connection.place
        self._drop(connection)
        if place >= 0:
            self.again += 1
            self.waiting.appendleft(place)
        self.missing += 1
        self.connect_at = min(self.connect_at, time.perf_counter())

    def _drop(self, connection: _Connection) -> None:
        self.poll.unregister(connection.sock)
        del self.open[connection.sock.fileno()]
        if connection in self.idle:
            self.idle.remove(connection)
        connection.sock.close()

    def _connect(self) -> None:
        connection = _Connection(self.port)
        self.poll.register(connection.sock, select.EPOLLIN)
        self.open[connection.sock.fileno()] = connection
        self.idle.append(connection)

    def _connect_missing(self) -> None:
        now = time.perf_counter()
        try:
            while self.missing:
                self._connect()
                self.missing -= 1
        except OSError:
            self.failing_since = self.failing_since or now
            if now - self.failing_since > self.patience_s:
                raise
            self.connect_at = now + _AGAIN_S


def _is_whole(data: bytes, end: int) -> bool:
    if found := _LENGTH.search(data, 0, end + 2):
        return len(data) - end - 4 >= int(found[1])
    return not _CHUNKED.search(data, 0, end + 2) or data.endswith(b"0\r\n\r\n")


def _read(file: Path) -> list[bytes]:
    data, requests, position = file.read_bytes(), [], 0
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        requests.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return requests


def main() -> None:
    plan = json.loads(sys.argv[1])
    place = Path(plan["folder"])
    sender = _Sender(plan["port"], _read(place / "requests"), plan["connections"], plan["patience_s"])
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    cpu, began = time.process_time(), time.perf_counter()
    if plan["rate"]:
        sender.at_rate(plan["rate"], plan["seconds"])
    else:
        sender.closed(plan["seconds"])
    ended = time.perf_counter()
    print("ended", flush=True)
    figures = {"cpu_s": time.process_time() - cpu, "again": sender.again, "began": began, "ended": ended}
    for name in ("due_at", "answered_at", "status"):
        (place / name).write_bytes(getattr(sender, name).tobytes())
    print(json.dumps(figures), flush=True)
    os._exit(0)  # Tens of thousands of requests need not be taken apart one by one.


if __name__ == "__main__":
    main()
