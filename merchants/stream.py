"""The live stream of a shop's notices: Server-Sent Events in an ASGI process of its own, because open streams wait.

The database is the only source of what is told: an announcement in Redis merely says "look now". A stream subscribes
first, then catches up, then looks again at every announcement, always for rows above the last number it told; so each
notice is told once and in order, and a lost announcement costs seconds. With Redis away it looks every two seconds.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html, read by `fetch` with the Authorization header:
a token in an address would end in logs.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override
from rest_framework.exceptions import AuthenticationFailed

from merchants import languages
from merchants.announcements import Announcements, Listener
from merchants.journal import journal
from merchants.models import NoticeCounter, Token
from merchants.news import PAGE, Desk, Look
from merchants.tokens import ShopTokenAuthentication

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
T = TypeVar("T")

PATH = "/api/v1/notices/stream"
HEARTBEAT_S = 15.0  # Proxies and phones drop a connection that says nothing for half a minute.
RECHECK_S = 60.0  # A token is used and renewed by a stream, as by a request, this often.
POLL_S = 2.0  # While Redis cannot announce anything.
RETRY_MS = 1000  # What a client waits before it comes back.
STREAMS_PER_SHOP = 20
STREAMS_PER_PROCESS = 2000
DATABASE_THREADS = 4

_log = journal(__name__)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application (ASGI 3.0): the stream, its preflight, and `/healthz/live`."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "http":
        await _answer(scope, receive, send)
    else:
        assert scope["type"] == "websocket", scope["type"]
        await send({"type": "websocket.close", "code": 1000})


@dataclass
class Refusal(Exception):
    """An answer that is a problem document (RFC 9457) instead of a stream; `detail` in English, said when answered."""

    status: int
    code: str
    detail: str


@dataclass
class Office:
    """What the streams of this process share."""

    announcements: Announcements = field(default_factory=Announcements)
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="database")
    )
    streams: Counter[UUID] = field(default_factory=Counter)
    listeners: set[Listener] = field(default_factory=set)
    closing: bool = False
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.ask_database)

    async def ask_database(self, question: Callable[[], T], threads: ThreadPoolExecutor | None = None) -> T:
        """Runs the question in a thread; its connection goes back to the pool at once, however long we wait then."""

        def ask() -> T:
            try:
                return question()
            finally:
                connections.close_all()

        try:
            return await asyncio.get_running_loop().run_in_executor(threads or self.threads, ask)
        except DatabaseError as failure:
            _log.warning("database_not_answering", failure=str(failure))
            raise Refusal(503, "unavailable", gettext_noop("The stream cannot be read at this moment.")) from failure

    def close(self) -> None:
        """Ends all streams; their clients come back after RETRY_MS."""
        self.closing = True
        for listener in self.listeners:
            listener.wake.set()


@cache
def this_office() -> Office:
    return Office()


async def begin(send: Send, cors: Headers) -> None:
    """Opens a stream of events: nobody keeps it, and no proxy of ours holds a part of it back."""
    headers = [
        *cors,
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def watch(receive: Receive, listener: Listener) -> None:
    """Notices that the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.gone = True
    listener.wake.set()


def cross_origin(scope: Scope) -> Headers:
    """The headers that let the pages of PUBLIC_URL, and of nobody else, read the stream."""
    public = urlsplit(settings.PUBLIC_URL)
    origin = f"{public.scheme}://{public.netloc}"
    headers: Headers = [(b"vary", b"Origin")]
    if _header(scope, b"origin") == origin:
        headers += [
            (b"access-control-allow-origin", origin.encode()),
            (b"access-control-allow-methods", b"GET"),
            (b"access-control-allow-headers", b"Authorization, Last-Event-ID"),
            (b"access-control-max-age", b"3600"),
        ]
    return headers


def asked_language(scope: Scope) -> str:
    """The language that the client asks for, as LocaleMiddleware chooses it elsewhere."""
    return languages.asked(_header(scope, b"accept-language")) or settings.LANGUAGE_CODE


async def refuse(send: Send, refusal: Refusal, cors: Headers, language: str) -> None:
    with override(language):
        detail = _(refusal.detail)
    body = {
        "type": f"urn:pushcart:problem:{refusal.code}",
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": detail,
        "code": refusal.code,
    }
    headers = [*cors, (b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    headers.append((b"content-language", language.encode()))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await reply(send, refusal.status, json.dumps(body).encode(), headers)


async def reply(send: Send, status: int, body: bytes, headers: Headers) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    """The life of the process: from the server's start to its end."""
    office = this_office()
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            hearing = asyncio.create_task(office.announcements.hear())
            _close_on_signals(office)
            await send({"type": "lifespan.startup.complete"})
        else:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing
            office.threads.shutdown(wait=False, cancel_futures=True)
            await send({"type": "lifespan.shutdown.complete"})
            return


def _close_on_signals(office: Office) -> None:
    """A server waits for open connections before it tells the application of its end: we must hear the signal too."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        servers_own = signal.getsignal(number)

        def close(number: int, frame: Any, servers_own: Any = servers_own) -> None:
            loop.call_soon_threadsafe(office.close)
            if callable(servers_own):
                servers_own(number, frame)

        signal.signal(number, close)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    method, path = scope["method"], scope["path"]
    cors = cross_origin(scope)
    try:
        if path == "/healthz/live" and method in {"GET", "HEAD"}:
            await reply(send, 200, b"live\n", [(b"content-type", b"text/plain")])
        elif path != PATH:
            raise Refusal(404, "not_found", gettext_noop("There is nothing at this address."))
        elif method == "OPTIONS":
            await reply(send, 204, b"", cors)
        elif method != "GET":
            raise Refusal(405, "method_not_allowed", gettext_noop("Only GET."))
        else:
            await _stream(scope, receive, send, cors)
    except Refusal as refusal:
        await refuse(send, refusal, cors, asked_language(scope))


async def _stream(scope: Scope, receive: Receive, send: Send, cors: Headers) -> None:
    """Admits the client, or raises Refusal; then tells it everything until it leaves, or we do."""
    office = this_office()
    authorization = _header(scope, b"authorization")
    after = _after(scope)
    if office.closing or office.streams.total() >= STREAMS_PER_PROCESS:
        raise Refusal(503, "too_many_streams", gettext_noop("Too many streams are open here. Try again in a moment."))
    token = await office.ask_database(lambda: _token(authorization))
    shop = token.shop_id
    # Nothing is awaited between the question and the count, so the limit is exact.
    if office.streams[shop] >= STREAMS_PER_SHOP or office.streams.total() >= STREAMS_PER_PROCESS:
        raise Refusal(
            503,
            "too_many_streams",
            gettext_noop("Too many of this shop's phones are listening. Close one and try again."),
        )
    listener = Listener(shop)
    office.streams[shop] += 1
    office.listeners.add(listener)
    watching = asyncio.create_task(watch(receive, listener))
    try:
        await office.announcements.join(listener)
        if after is None:
            after = await office.ask_database(lambda: _newest(shop))
        await begin(send, cors)
        await write(send, f"retry: {RETRY_MS}\n: welcome\n\n".encode())
        await _tell(office, listener, authorization, token.pk, after, send, asked_language(scope))
        await send({"type": "http.response.body", "body": b""})
    finally:
        watching.cancel()
        office.listeners.discard(listener)
        office.streams[shop] -= 1
        await office.announcements.leave(listener)


async def _tell(
    office: Office, listener: Listener, authorization: str, digest: str, last: int, send: Send, language: str
) -> None:
    """Tells what is above `last`, for as long as the client listens and its token (of this hash) is good."""
    clock = asyncio.get_running_loop().time
    spoke_at = checked_at = clock()
    while not (listener.gone or office.closing):
        # Cleared before the look: what is announced meanwhile makes us look once more.
        listener.wake.clear()
        try:
            if clock() - checked_at >= RECHECK_S:
                await office.ask_database(lambda: _token(authorization))
                checked_at = clock()
            events = await office.desk.ask(Look(listener.shop_id, digest, last, language))
            if events is None:
                raise Refusal(401, "authentication_failed", gettext_noop("This phone was signed out."))
        except Refusal as refusal:
            # The client comes back by itself, names what it heard last, and is told then what is wrong.
            _log.info("stream_ended", reason=refusal.code)
            return
        if events:
            # In one piece: each piece costs the server more than the events in it.
            await write(send, b"".join(event for _, event in events))
            last, spoke_at = events[-1][0], clock()
        if len(events) == PAGE:
            continue
        if clock() - spoke_at >= HEARTBEAT_S:
            await write(send, b": still here\n\n")
            spoke_at = clock()
        wait_s = min(HEARTBEAT_S, spoke_at + HEARTBEAT_S - clock(), checked_at + RECHECK_S - clock())
        if not office.announcements.hears(listener):
            wait_s = min(wait_s, POLL_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(listener.wake.wait(), max(wait_s, 0.01))


def _token(authorization: str) -> Token:
    """The caller's token, by the same authentication as the rest of the API. Raises Refusal 401."""
    request = HttpRequest()
    request.META["HTTP_AUTHORIZATION"] = authorization
    try:
        found = ShopTokenAuthentication().authenticate(request)
    except AuthenticationFailed as failure:
        raise Refusal(401, str(failure.get_codes()), str(failure.detail)) from failure
    if found is None:
        raise Refusal(401, "not_authenticated", gettext_noop("Send your token in the header Authorization."))
    token: Token = found[1]
    return token


def _newest(shop: UUID) -> int:
    counter = NoticeCounter.objects.filter(shop_id=shop).first()
    return counter.last if counter else 0


def _after(scope: Scope) -> int | None:
    """The last number the client has heard, or None to be told only what is new."""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    text = _header(scope, b"last-event-id") or query.get("after", [""])[-1]
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refusal(400, "after_invalid", gettext_noop("Last-Event-ID is the number of a notice."))
    return int(text)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
