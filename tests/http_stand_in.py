"""A local HTTP server that stands in for an outside service: keeps every request as it came, and answers as told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """A request as it stood on the wire: header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Received], tuple[int, bytes]]


@dataclass
class StandIn:
    """Where it listens, what it received, and how it answers: a function from request to (status, body).

    `headers` go with every answer.
    """

    url: str
    answer: Answer
    received: list[Received] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def stand_in(answer: Answer) -> Iterator[StandIn]:
    """A server on a free port of 127.0.0.1, stopped at the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Received(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            outside.received.append(request)
            status, reply = outside.answer(request)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            for name, value in outside.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    outside = StandIn(f"http://127.0.0.1:{server.server_port}", answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield outside
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
