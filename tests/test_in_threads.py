"""Requests in threads behind the server's loop, over real sockets on the product's own server with its options."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from config import product
from config.processes import wait_until
from merchants import in_threads
from merchants.in_threads import Application, Environ
from tests.test_up import free_ports

pytestmark = pytest.mark.xdist_group("servers")

CLOSED: list[str] = []


class Pieces:
    """An answer in pieces, which is told when it is let go; `/broken` fails in its middle, `/endless` has no end."""

    def __init__(self, path: str) -> None:
        self.path, self.sent = path, 0

    def __iter__(self) -> Iterator[bytes]:
        while self.sent < 5 or self.path == "/endless":
            self.sent += 1
            yield b"%d" % self.sent * (100_000 if self.path == "/endless" else 10)
            if self.path == "/broken":
                raise RuntimeError("in the middle")

    def close(self) -> None:
        CLOSED.append(self.path)


def application(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path in ("/pieces", "/broken", "/endless"):
        start("200 OK", [("Content-Type", "text/plain")])
        return Pieces(path)
    if path == "/wait":
        time.sleep(0.6)
    try:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    except OSError:
        start("500 Internal Server Error", [])
        return [b"as Django says it"]
    texts = {name: value for name, value in environ.items() if isinstance(value, str)}
    said = json.dumps({**texts, "body": len(body), "sum": sum(body), "closed": CLOSED}).encode()
    start("200 OK", [("Content-Type", "application/json"), ("X-Twice", "1"), ("X-Twice", "2"),
                     ("Content-Length", str(len(said)))])  # fmt: skip
    return [said]


def small() -> Application:
    """With limits that a test can reach."""
    in_threads.THREADS, in_threads.WAITING_MAX, in_threads.LARGE_MAX, in_threads.SILENT_S = 2, 1, 1, 0.5
    return in_threads.in_threads(application)


@contextmanager
def serving() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_ports()
    command = [sys.executable, "-m", "granian", "tests.test_in_threads:small", *product.WEB[1:], f"--port={port}"]
    process = subprocess.Popen(command, cwd=Path(__file__).parent.parent, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: answers(port), limit_s=20)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        finally:
            process.kill()


def answers(port: int) -> bool:
    try:
        return asked(port, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")[0] == 200
    except (OSError, ValueError):
        return False


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as (port, _process):
        yield port


def sent(port: int, words: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(words)
    return connection


def answer(connection: socket.socket) -> tuple[int, bytes, bytes]:
    """Status, head and body of what comes until the end of the connection."""
    with connection:
        got = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = got.partition(b"\r\n\r\n")
    return int(head.split()[1] if head else 0), head.lower(), body


def asked(port: int, words: bytes) -> tuple[int, bytes, bytes]:
    return answer(sent(port, words))


def seen(port: int, path: bytes, headers: bytes = b"", body: bytes = b"", method: bytes = b"POST") -> dict[str, Any]:
    """What the application saw of a request."""
    head = method + b" " + path + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + headers + b"\r\n"
    status, _head, said = asked(port, head + body)
    assert status == 200
    told: dict[str, Any] = json.loads(said)
    return told


def test_a_request_in_wsgis_words(port: int) -> None:
    headers = b"Content-Type: text/x\r\nContent-Length: 3\r\nX-Two: 1\r\nX-Two: 2\r\nCookie: a=1\r\nCookie: b=2\r\n"
    told = seen(port, b"/a%C3%A9%ff//b?x=%41&y", headers, b"abc")
    expected = {
        "REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": "/a\u00c3\u00a9\u00ff//b", "QUERY_STRING": "x=%41&y",
        "SERVER_PORT": str(port), "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http",
        "CONTENT_TYPE": "text/x", "CONTENT_LENGTH": "3", "HTTP_X_TWO": "1,2", "HTTP_COOKIE": "a=1; b=2", "body": 3,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected


def test_a_header_with_an_underscore_never_passes_for_the_one_that_a_proxy_writes(port: int) -> None:
    forged = b"X_Forwarded_For: 203.0.113.9\r\nX-Forwarded_For: 203.0.113.9\r\nX_Client_Certificate: forged\r\n"
    told = seen(port, b"/", forged + b"X-Forwarded-For: 198.51.100.7\r\n", method=b"GET")
    assert told["HTTP_X_FORWARDED_FOR"] == "198.51.100.7"
    assert "HTTP_X_FORWARDED_FOR" not in seen(port, b"/", forged, method=b"GET")
    assert "HTTP_X_CLIENT_CERTIFICATE" not in told


def test_bodies_come_whole_whatever_their_length(port: int) -> None:
    for length in (0, 1, 65_536, 65_537, 700_000):
        told = seen(port, b"/", b"Content-Length: %d\r\n" % length, b"\x01" * length)
        assert (told["body"], told["sum"]) == (length, length)
    chunked = seen(port, b"/", b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n")
    assert (chunked["body"], "CONTENT_LENGTH" in chunked) == (0, False)  # WSGI reads no body without a length.


def test_answers_to_head_and_repeated_headers(port: int) -> None:
    status, head, body = asked(port, b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert (status, body) == (200, b"")
    assert b"x-twice: 1\r\nx-twice: 2\r\n" in head
    assert int(head.partition(b"content-length: ")[2].split()[0]) > 100


def test_an_answer_in_pieces_is_whole_and_a_broken_one_does_not_pass_for_whole(port: int) -> None:
    pieces = b"GET /%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    status, head, body = asked(port, pieces % b"pieces")
    assert (status, b"transfer-encoding: chunked" in head) == (200, True)
    assert body.endswith(b"0\r\n\r\n")
    assert [number for number in b"12345" if bytes([number]) * 10 in body] == list(b"12345")
    assert not asked(port, pieces % b"broken")[2].endswith(b"0\r\n\r\n")
    assert {"/pieces", "/broken"} <= set(seen(port, b"/", method=b"GET")["closed"])


def test_a_client_that_goes_or_takes_nothing_holds_no_thread(port: int) -> None:
    for reads in (True, False):
        before = seen(port, b"/", method=b"GET")["closed"].count("/endless")
        connection = sent(port, b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        if reads:
            connection.recv(1000)
            connection.close()

        def over(before: int = before) -> bool:
            return bool(seen(port, b"/", method=b"GET")["closed"].count("/endless") == before + 1)

        assert wait_until(over, limit_s=5)
        connection.close()


def test_slow_bodies_hold_no_thread_and_are_not_waited_for_without_end(port: int) -> None:
    slow = [sent(port, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc") for _ in range(2)]
    assert seen(port, b"/", method=b"GET")["body"] == 0  # Both threads are free.
    assert [answer(connection)[0] for connection in slow] == [408, 408]
    gone = sent(port, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
    gone.close()
    large = sent(port, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 700000\r\n\r\nabc")
    time.sleep(0.1)
    assert refused(port, b"Content-Length: 700000\r\n")  # One at once, as LARGE_MAX is here.
    assert answer(large)[0] == 408  # Whatever the application made of what had come.
    assert seen(port, b"/", b"Content-Length: 70000\r\n", bytes(70_000))["body"] == 70_000


def refused(port: int, headers: bytes) -> bool:
    status, head, _body = asked(port, b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + headers + b"\r\n")
    return (status, b"retry-after: 5" in head) == (503, True)


def test_with_every_thread_busy_so_many_wait_and_the_next_is_told_to_come_again(port: int) -> None:
    wait = b"GET /wait HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    waiting = [sent(port, wait) for _ in range(3)]
    time.sleep(0.2)
    assert refused(port, b"")
    assert [answer(connection)[0] for connection in waiting] == [200, 200, 200]


def test_what_is_being_answered_at_the_end_is_answered() -> None:
    with serving() as (port, process):
        waiting = sent(port, b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGTERM)
        assert answer(waiting)[0] == 200
        assert process.wait(10) == 0
