"""The wallet's HTTP server: the standard library's, made to keep connections, hold its limits and end cleanly."""

import logging
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

from .app import answer
from .exchange import Answer, Refusal, Request, error_answer
from .office import Office

LONGEST_BODY = 128 * 1024  # A thousand references to approve are 100 kB; an order is less than 3 kB.
MOST_CONNECTIONS = 256  # Each has a thread of its own.
IDLE_TIMEOUT_S = 30.0

log = logging.getLogger(__name__)


class WalletServer(ThreadingHTTPServer):
    """A thread per connection, at most `MOST_CONNECTIONS` of them; `stop` lets every request under way be answered."""

    daemon_threads = False
    block_on_close = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int]) -> None:
        """Bind to `address`; the caller sets `office` before it serves."""
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.office: Office
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, WalletHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection its thread, or turn it away when there are too many."""
        with self._open_lock:
            full = len(self._open) >= MOST_CONNECTIONS
            if not full:
                self._open.add(request)
        if full:
            log.warning("turned a connection away: %s are open", MOST_CONNECTIONS)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget and close a connection."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what broke a connection; peers that hang up are not worth a word."""
        log.debug("a connection broke: %r", sys.exc_info()[1])

    def stop(self) -> None:
        """Accept nothing more, wake connections that wait for a request that will not come, and join all threads."""
        self.shutdown()
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RD)
                except OSError:
                    log.debug("a connection was closed by its peer meanwhile")
        self.server_close()


class WalletHandler(BaseHTTPRequestHandler):
    """Reads requests off one connection and writes the answers back."""

    server: WalletServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "pretend-wallet", ""
    timeout = IDLE_TIMEOUT_S
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024  # Head and body leave in one piece; `handle_one_request` flushes it.

    def do_GET(self) -> None:
        """Answer a request of any method: the routes know which are allowed."""
        try:
            body = self._read_body()
        except Refusal as refusal:
            self.close_connection = True  # The body was not read, so what follows is not a new request.
            self._write(error_answer(refusal))
            return
        if body is not None:
            self._write(answer(self.server.office, self._request(body)))

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815 - http.server names them

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that cannot be parsed in the API's own shape, and end the connection."""
        self.close_connection = True
        self.request_version = "HTTP/1.0"  # What could not be read has no version, and an answer needs a head.
        self._write(error_answer(Refusal(int(code), "bad_request", message or "This is not an HTTP request.")))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has in http.server
        """Log requests for those who ask for debugging only."""
        log.debug(format, *args)

    def _read_body(self) -> bytes | None:
        """Read the body; None when the peer hung up in the middle of it."""
        if self.headers.get("Transfer-Encoding"):
            raise Refusal(411, "length_required", "Send a Content-Length.")
        lengths = self.headers.get_all("Content-Length", ["0"])
        if len(lengths) != 1 or not lengths[0].isascii() or not lengths[0].isdigit():
            raise Refusal(400, "bad_request", "The Content-Length is not a number.")
        if len(lengths[0]) > 9 or int(lengths[0]) > LONGEST_BODY:
            raise Refusal(413, "too_large", f"A body may have {LONGEST_BODY} bytes.")
        length = int(lengths[0])
        body = self.rfile.read(length)
        if len(body) == length:
            return body
        self.close_connection = True
        return None

    def _request(self, body: bytes) -> Request:
        path, _, query = self.path.partition("?")
        return Request(
            method=self.command,
            path=unquote(path),
            query=parse_qs(query),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )

    def _write(self, reply: Answer) -> None:
        self.send_response(reply.status)
        if reply.status != 204:
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if getattr(self, "command", None) != "HEAD":
            self.wfile.write(reply.body)
