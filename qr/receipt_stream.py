"""The line on which a receipt that is looked at is rung: at once when it says something else, and never of whose it is.

`GET {STREAM_URL}/r/{receipt}/events` stands beside the shops' own stream, in the same process, and shares its one
subscription: a shop that is announced wakes whoever looks at its receipts. All that is sent is the version of what the
receipt says (see qr/live.py); the page then asks the web process, as it would without this line.

Anybody can begin payments, so whatever a line costs has a bound: how many there are of a receipt, of a shop and in all
(beside those of vendors, whom they cannot crowd out), how long each may last, and how many look into the database. A
page that is refused asks again and again instead, as one without script does.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_noop

from merchants import stream
from merchants.announcements import Listener
from merchants.stream import Office, Receive, Refusal, Scope, Send
from payments import checkout
from qr import live, receipts

LINES_PER_RECEIPT = 3
LINES_PER_SHOP = 60
LINES_PER_PROCESS = 1000
LOOKS_WAITING_MAX = 200
LINE_LIFE_S = 300.0  # Whoever has not paid by then has put the phone away; her page asks now and then.
HEARTBEAT_S = 15.0
LOOK_S = 10.0  # Time runs out without an announcement; with Redis away nothing else rings either.
DATABASE_THREADS = 2

_PATH = re.compile(r"/r/([0-9A-Za-z]{1,32})/events")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application of the whole process: these lines, and whatever `merchants.stream` answers."""
    found = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
    if found is None:
        await stream.application(scope, receive, send)
        return
    cors = stream.cross_origin(scope)
    try:
        if scope["method"] != "GET":
            raise Refusal(405, "method_not_allowed", gettext_noop("Only GET."))
        await _line(found[1], receive, send, cors)
    except Refusal as refusal:
        await stream.refuse(send, refusal, cors, stream.asked_language(scope))


@dataclass
class _Lines:
    """What the lines of this process share; each count is of those that are open now."""

    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="receipts")
    )
    of_receipt: Counter[str] = field(default_factory=Counter)
    of_shop: Counter[UUID] = field(default_factory=Counter)
    looks_waiting: int = 0

    async def look(self, secret: str) -> _Look | None:
        """What the receipt says now, or None where there is no such receipt. Raises Refusal 503."""
        if self.looks_waiting >= LOOKS_WAITING_MAX:
            raise Refusal(503, "too_many_streams", gettext_noop("Too many are looking. Ask again in a moment."))
        self.looks_waiting += 1
        try:
            return await stream.this_office().ask_database(lambda: _looked(secret), self.threads)
        finally:
            self.looks_waiting -= 1

    def full(self, secret: str, shop: UUID | None = None) -> bool:
        return (
            self.of_receipt[secret] >= LINES_PER_RECEIPT
            or self.of_receipt.total() >= LINES_PER_PROCESS
            or (shop is not None and self.of_shop[shop] >= LINES_PER_SHOP)
        )


@dataclass(frozen=True)
class _Look:
    shop: UUID
    version: str
    awaited: bool


@cache
def _lines() -> _Lines:
    return _Lines()


async def _line(secret: str, receive: Receive, send: Send, cors: stream.Headers) -> None:
    """Admits the page, or raises Refusal; then rings until nothing more is awaited, it leaves, or its time is up."""
    office, lines = stream.this_office(), _lines()
    if office.closing or lines.full(secret):
        raise _too_many()
    first = await lines.look(secret)
    if first is None:
        raise Refusal(404, "not_found", gettext_noop("There is no such receipt."))
    if not first.awaited:
        # The one answer after which browsers do not come back by themselves.
        await stream.reply(send, 204, b"", cors)
        return
    # Nothing is awaited between the question and the count, so the limits are exact.
    if lines.full(secret, first.shop):
        raise _too_many()
    listener = Listener(first.shop)
    lines.of_receipt[secret] += 1
    lines.of_shop[first.shop] += 1
    office.listeners.add(listener)
    watching = asyncio.create_task(stream.watch(receive, listener))
    try:
        await office.announcements.join(listener)
        await stream.begin(send, cors)
        await _ring(office, listener, secret, send)
        await send({"type": "http.response.body", "body": b""})
    finally:
        watching.cancel()
        office.listeners.discard(listener)
        _less(lines.of_receipt, secret)
        _less(lines.of_shop, first.shop)
        await office.announcements.leave(listener)


async def _ring(office: Office, listener: Listener, secret: str, send: Send) -> None:
    """Sends each new version; the first one always, since the page may be older than this line."""
    clock = asyncio.get_running_loop().time
    spoke_at = began_at = clock()
    told = ""
    while not (listener.gone or office.closing) and clock() - began_at < LINE_LIFE_S:
        # Cleared before the look: what is announced meanwhile makes us look once more.
        listener.wake.clear()
        try:
            look = await _lines().look(secret)
        except Refusal:
            return
        if look is None:
            return
        if look.version != told:
            await stream.write(send, f"data: {look.version}\n\n".encode())
            told, spoke_at = look.version, clock()
        if not look.awaited:
            return
        if clock() - spoke_at >= HEARTBEAT_S:
            await stream.write(send, b": still here\n\n")
            spoke_at = clock()
        wait_s = stream.POLL_S if not office.announcements.hears(listener) else LOOK_S
        with suppress(TimeoutError):
            await asyncio.wait_for(listener.wake.wait(), min(wait_s, LINE_LIFE_S))


def _looked(secret: str) -> _Look | None:
    story = checkout.receipt_story(secret)
    if story is None:
        return None
    intent, payments, refunds = story
    now = timezone.now()
    told = receipts.tell(intent, payments, refunds, now=now)
    version = live.version(told, intent, payments, refunds, now=now)
    return _Look(intent.shop_id, version, told.refresh_s is not None)


def _too_many() -> Refusal:
    return Refusal(503, "too_many_streams", gettext_noop("Too many receipts are looked at. Ask again in a moment."))


def _less(counts: Counter[Any], key: Any) -> None:
    """One less, and nothing that is left of a count of none."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
