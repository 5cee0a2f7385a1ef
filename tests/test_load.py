"""The load of the benches: what it counts as kept, from when, and that a broken connection loses no request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from bench import load

ANSWERS = {b"/kept": b"200 OK", b"/full": b"503 Service Unavailable"}


class Server:
    """Answers on one port, a thread for each connection; breaks the first so many without a word."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks
        self.heard: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(65536):
                if self.breaks:
                    self.breaks -= 1
                    return
                path = request.split()[1]
                self.heard.append(path)
                # In two pieces, as the network may bring them.
                connection.sendall(b"HTTP/1.1 %b\r\nContent-Len" % ANSWERS[path])
                connection.sendall(b"gth: 5\r\n\r\nkept\n")


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server(breaks=2)
    yield started
    started.close()


def request(path: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" % path


def test_every_request_is_answered_once_through_broken_connections_and_only_2xx_is_kept(server: Server) -> None:
    paths = [b"/kept", b"/full", b"/kept"] * 10
    answers = load.send(server.port, map(request, paths), connections=3)
    assert sorted(server.heard) == sorted(paths)
    assert [int(status) for status in answers.status] == [200, 503, 200] * 10
    assert (answers.sent, len(answers.kept), answers.again) == (30, 20, 2)
    assert len(answers.waits_ms()) == 20


def test_at_a_rate_a_request_counts_from_when_it_was_due_and_not_from_when_it_could_be_sent(server: Server) -> None:
    """One connection cannot bring them all in time; each is due at its own moment all the same."""
    answers = load.send(server.port, [request(b"/kept")] * 40, connections=1, rate=2000, seconds=0.01)
    assert answers.sent == len(answers.kept) == 20
    first = answers.due_at[0]
    assert [round((due - first) * 2000) for due in answers.due_at[:20]] == list(range(20))
    assert list(answers.due_at[20:]) == [0.0] * 20
    assert list(answers.answered_at[:20]) == sorted(answers.answered_at[:20])
