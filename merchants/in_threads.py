"""Django's WSGI application behind a server that speaks ASGI: each request in a thread, once its body has come.

The server's loop reads the bodies, so a slow client holds no thread; threads are bounded, and so are those who wait for
one. Ours, because Django's own ASGI handler changes threads several times for one request through synchronous
middleware, and so does a2wsgi (1.10: four times; a third of a millisecond of a processor, where this takes 40 µs).
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[bytes, bytes]]

LOOP = "pushcart.loop"  # In a request's environ: the server's loop, for a thread that has something done there.
THREADS = 64  # A request waits for the database most of its time, so there are more of them than cores.
WAITING_MAX = 256  # For a thread: some seconds of pages. Who comes after them is told to come again.
AHEAD_MAX = 65_536  # A longer body is read by the thread as it comes: a photo, a settlement file.
LARGE_MAX = 16  # As many such requests at once, so that threads are left whoever sends them, however slowly.
SILENT_S = 20.0  # Of a client that sends, or takes, nothing for so long we expect nothing more.
SLOWEST = 8_192  # Bytes a second, on the whole: a body that drips in holds nothing for ever either.
RETRY_AFTER_S = 5


class TooSlow(Exception):
    """A body that does not come."""


class Gone(Exception):
    """The client has gone in the middle of its request."""


async def body_of(receive: Receive, length: int) -> bytes:
    """A whole body of an announced length. Raises TooSlow and Gone."""
    try:
        async with asyncio.timeout(SILENT_S + length / SLOWEST):
            message = await receive()
            pieces = [_piece(message)]
            while message.get("more_body") and sum(map(len, pieces)) < length:
                message = await receive()
                pieces.append(_piece(message))
    except TimeoutError:
        raise TooSlow
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """A whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def say_too_slow(send: Send) -> None:
    """The answer to a body that does not come; nothing else will on this connection."""
    await _refuse(send, HTTPStatus.REQUEST_TIMEOUT, (b"connection", b"close"))


def length_of(scope: Scope) -> int:
    """The announced length of the body; 0 without one, for then WSGI reads nothing."""
    found = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(found[0]) if len(found) == 1 and found[0].isdigit() else 0


def in_threads(application: Wsgi, *, threads: int = 0) -> Application:
    """The WSGI application as one for ASGI, with so many threads of its own, or THREADS."""
    return _InThreads(application, threads or THREADS)


class _InThreads:
    def __init__(self, application: Wsgi, threads: int) -> None:
        self._application = application
        self._inside_max = threads + WAITING_MAX
        self._pool = ThreadPoolExecutor(threads, "web")
        self._inside = 0  # Those that have a thread, and those that wait for one.
        self._large = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = length_of(scope)
        exchange = _Exchange(asyncio.get_running_loop(), receive, send)
        try:
            if length > AHEAD_MAX:
                await self._large_one(scope, exchange, length)
            else:
                body = await body_of(receive, length) if length else b""
                await self._in_thread(scope, exchange, io.BytesIO(body))
        except TooSlow:
            if exchange.begun:
                raise  # The server cuts it off, so that nobody takes it for whole.
            await say_too_slow(send)
        except Gone:
            pass  # Nobody is there to be answered.

    async def _large_one(self, scope: Scope, exchange: _Exchange, length: int) -> None:
        if self._large >= LARGE_MAX:
            await _say_busy(exchange.send)
            return
        self._large += 1
        try:
            exchange.coming = _BodyAsItComes(exchange.loop, exchange.receive, length)
            await self._in_thread(scope, exchange, io.BufferedReader(exchange.coming, AHEAD_MAX))
        finally:
            self._large -= 1

    async def _in_thread(self, scope: Scope, exchange: _Exchange, body: BinaryIO) -> None:
        if self._inside >= self._inside_max:
            await _say_busy(exchange.send)
            return
        self._inside += 1
        try:
            environ = environ_of(scope, body)
            environ[LOOP] = exchange.loop
            whole = await exchange.loop.run_in_executor(self._pool, exchange.run, self._application, environ)
        finally:
            self._inside -= 1
        if whole is not None:
            await answer(exchange.send, exchange.status, exchange.headers, whole)


class _BodyAsItComes(io.RawIOBase):
    """A long body, for a thread to read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Receive, length: int) -> None:
        self._loop, self._receive, self._left = loop, receive, length
        self._ends_at = loop.time() + SILENT_S + length / SLOWEST
        self._piece = memoryview(b"")
        self.failure: TooSlow | Gone | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if not self._piece and self._left > 0:
            try:
                self._piece = memoryview(asyncio.run_coroutine_threadsafe(self._next(), self._loop).result())
            except (TooSlow, Gone) as failure:
                self.failure = failure
                raise OSError("the body has not come") from failure  # Django knows that of every server.
            self._left = self._left - len(self._piece) if self._piece else 0
        size = min(len(into), len(self._piece))
        into[:size], self._piece = self._piece[:size], self._piece[size:]
        return size

    async def _next(self) -> bytes:
        """The next piece; nothing at the end of the body."""
        try:
            async with asyncio.timeout_at(min(self._ends_at, self._loop.time() + SILENT_S)):
                more = True
                while more:
                    message = await self._receive()
                    if piece := _piece(message):
                        return piece
                    more = message.get("more_body", False)
        except TimeoutError:
            raise TooSlow
        return b""


class _Exchange:
    """One request in its thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Receive, send: Send) -> None:
        self.loop, self.receive, self.send = loop, receive, send
        self.status = 0
        self.headers: Headers = []
        self.begun = False
        self.coming: _BodyAsItComes | None = None

    def run(self, application: Wsgi, environ: Environ) -> bytes | None:
        """The whole body of the answer, which is still to be sent; None when it was sent from here in its pieces."""
        said = application(environ, self._start)
        try:
            pieces = iter(said)
            first, second = next(pieces, b""), next(pieces, None)
            if self.coming is not None and self.coming.failure is not None:
                raise self.coming.failure  # Whatever was made of a body that was cut off.
            if second is None:
                return first
            self.begun = True
            self._send_pieces(_all(first, second, pieces))
            return None
        finally:
            getattr(said, "close", lambda: None)()

    def _start(self, status: str, headers: list[tuple[str, str]], _failure: object = None) -> None:
        self.status = int(status[:3])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    def _send_pieces(self, pieces: Iterator[bytes]) -> None:
        """Returns when the client has taken all of it, or has gone. Raises TooSlow for one that takes nothing."""
        leaves = asyncio.run_coroutine_threadsafe(self._leaves(), self.loop)
        try:
            self._tell({"type": "http.response.start", "status": self.status, "headers": self.headers})
            for piece in pieces:
                if leaves.done():
                    return
                self._tell({"type": "http.response.body", "body": piece, "more_body": True})
            self._tell({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaves.cancel()

    def _tell(self, message: Message) -> None:
        """Returns when the server has room for more."""
        asyncio.run_coroutine_threadsafe(self._told(message), self.loop).result()

    async def _told(self, message: Message) -> None:
        try:
            async with asyncio.timeout(SILENT_S):
                await self.send(message)
        except TimeoutError:
            raise TooSlow

    async def _leaves(self) -> None:
        """Ends when the client goes away."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


def environ_of(scope: Scope, body: BinaryIO) -> Environ:
    """The request in WSGI's words (PEP 3333).

    A header with an underscore in its name is left out: it would pass for the one with a hyphen, which a proxy writes.
    """
    prefix = scope.get("root_path", "")
    path = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
    server = scope.get("server") or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": prefix,
        "PATH_INFO": path.removeprefix(prefix) or "/",
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue
        variable = _variable(name)
        text = value.decode("latin-1")
        if variable in environ:
            text = environ[variable] + ("; " if variable == "HTTP_COOKIE" else ",") + text
        environ[variable] = text
    return environ


def _variable(name: bytes) -> str:
    variable = name.decode("latin-1").upper().replace("-", "_")
    return variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"


def _piece(message: Mapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise Gone
    piece: bytes = message.get("body", b"")
    return piece


def _all(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


async def _say_busy(send: Send) -> None:
    await _refuse(send, HTTPStatus.SERVICE_UNAVAILABLE, (b"retry-after", b"%d" % RETRY_AFTER_S))


async def _refuse(send: Send, status: HTTPStatus, header: tuple[bytes, bytes]) -> None:
    await answer(send, status, [(b"content-type", b"text/plain; charset=utf-8"), header], status.phrase.encode())
