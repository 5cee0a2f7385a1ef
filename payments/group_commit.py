"""Notifications that arrive together are kept together: one INSERT and one commit, and each is answered after it.

The first to come is written at once; while it is written the next ones gather, and then all of those are written. So
nobody ever waits for company, and the more arrive the less each costs. Each process has one connection that writes, and
the loop itself hears its answer: a thread for it and the loop would take the interpreter from each other all the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cache

import psycopg
from django.db import connection
from prometheus_client import Counter

from merchants import bell
from merchants.journal import journal
from payments import inbox
from payments.inbox import Proved, UnableToReceive

GROUP_MAX = 128  # Rows in one statement: beyond it a group gains nothing and keeps its first ones waiting.
# Four groups: at some thousands a second a tenth of a second. Who comes after them is told to come again.
WAITING_MAX = 512
STUCK_S = 2.0  # A commit takes milliseconds. One that takes this long will not be waited for by anybody else.
_CONNECT_S = 2  # libpq's smallest. Everybody waits for it, and the next one tries again.

_groups_written = Counter("pushcart_webhook_groups", "Groups of notifications that were committed together")

_log = journal(__name__)

Outcome = bool | UnableToReceive | None
Waiting = asyncio.Future[bool | None] | Future[bool | None]  # In the loop, or in a thread.


def keep(proved: Proved) -> asyncio.Future[bool | None]:
    """Keeps one notification with whatever comes at the same time: done after the commit, as `inbox.keep_all` says.

    Called in the loop. UnableToReceive 503, raised here or by the future: `overloaded` with nothing stored;
    `unavailable` when the database did not say that it is kept (it may be: the provider sends it again, and it is kept
    once). Whoever no longer waits for the future is kept or not, like one whose answer is lost on its way.
    """
    loop = asyncio.get_running_loop()
    kept = loop.create_future()
    _group(loop).place(proved, kept)
    return kept


def keep_from_thread(loop: asyncio.AbstractEventLoop, proved: Proved) -> bool | None:
    """The same for a thread beside the loop, which waits until it is done, and not for ever."""
    kept: Future[bool | None] = Future()
    loop.call_soon_threadsafe(_place_for_thread, loop, proved, kept)
    try:
        return kept.result(8 * STUCK_S)
    except TimeoutError:  # The loop has ended, and the process will.
        raise UnableToReceive("unavailable", 503)


def _place_for_thread(loop: asyncio.AbstractEventLoop, proved: Proved, kept: Future[bool | None]) -> None:
    try:
        _group(loop).place(proved, kept)
    except UnableToReceive as refusal:
        kept.set_exception(refusal)


class _Place:
    """One notification that waits for its commit."""

    __slots__ = ("came", "kept", "proved")

    def __init__(self, proved: Proved, kept: Waiting, came: float) -> None:
        self.proved, self.kept, self.came = proved, kept, came

    def end(self, outcome: Outcome) -> None:
        if self.kept.done():  # Nobody waits for it any more, or it was told that it takes too long.
            return
        if isinstance(outcome, UnableToReceive):
            self.kept.set_exception(outcome)
        else:
            self.kept.set_result(outcome)


@cache
def _group(loop: asyncio.AbstractEventLoop) -> _Group:
    """One for the process, which has one loop."""
    return _Group(loop)


class _Group:
    """Everything happens in the loop, and needs no lock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[_Place] = []
        self._writing: list[_Place] = []
        self._busy_since: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None  # Held here, because the loop holds none.
        self._database = _Database()

    def place(self, proved: Proved, kept: Waiting) -> None:
        now = self._loop.time()
        stuck = self._busy_since is not None and now - self._busy_since > STUCK_S
        if stuck or len(self._waiting) >= WAITING_MAX:
            raise UnableToReceive("overloaded", 503)
        self._waiting.append(_Place(proved, kept, now))
        if self._busy_since is None:
            self._busy_since = now
            self._loop.call_soon(self._give)  # With those that this turn of the loop brings.

    def _give(self) -> None:
        """Has those who wait written, or rests."""
        self._refuse_late()
        taken, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
        self._writing = [place for place in taken if not place.kept.done()]
        if not self._writing:
            self._busy_since = None
            if self._waiting:  # Beyond a whole group of those who have gone.
                self._busy_since = self._loop.time()
                self._loop.call_soon(self._give)
            return
        self._busy_since = self._loop.time()
        self._watch = self._loop.call_later(STUCK_S, self._look)
        self._task = self._loop.create_task(self._write(self._writing))

    def _look(self) -> None:
        """While a group takes too long: nobody waits for ever, whatever the database does."""
        self._refuse_late()
        assert self._busy_since is not None
        if self._loop.time() - self._busy_since > 4 * STUCK_S:  # Beyond its own limits: nothing comes back at all.
            for place in self._writing:
                place.end(UnableToReceive("unavailable", 503))
        self._watch = self._loop.call_later(STUCK_S, self._look)

    def _refuse_late(self) -> None:
        """Those who have waited too long for their turn are told so; they are not stored."""
        late = self._loop.time() - 2 * STUCK_S
        while self._waiting and self._waiting[0].came < late:
            self._waiting.pop(0).end(UnableToReceive("overloaded", 503))

    def _written(self, group: Sequence[_Place], outcomes: Sequence[Outcome]) -> None:
        assert self._watch is not None
        self._watch.cancel()
        self._busy_since = self._loop.time()
        try:
            for place, outcome in zip(group, outcomes, strict=True):
                place.end(outcome)
        finally:
            # After their answers: what comes meanwhile is written with the others, and a group has a price of its own.
            self._loop.call_soon(self._give)

    async def _write(self, group: Sequence[_Place]) -> None:
        try:
            outcomes = await self._database.write([place.proved for place in group])
        except Exception:  # noqa: BLE001  Whatever is wrong, each of them is answered, and the next group is written.
            _log.exception("webhook_group_failed", count=len(group))
            outcomes = [UnableToReceive("unavailable", 503) for _ in group]
        self._written(group, outcomes)


class _Database:
    """The process's connection for groups, which one group at a time uses."""

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection | None = None

    async def write(self, group: Sequence[Proved]) -> list[Outcome]:
        """What became of each, after the commit; rings once when anything is new."""
        try:
            kept = await self._keep(group)
        except psycopg.Error as failure:
            await self.drop()
            _log.warning("webhooks_not_kept", count=len(group), failure=repr(failure))
            return [UnableToReceive("unavailable", 503) for _ in group]
        _groups_written.inc()
        if any(kept):
            bell.ring(inbox.DRAIN)
        return list(kept)

    async def drop(self) -> None:
        """A database that has become a replica's, or that is stuck, answers too: the next group asks it afresh."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _keep(self, group: Sequence[Proved]) -> list[bool | None]:
        used = self._connection
        try:
            return await self._keep_once(group)
        except psycopg.OperationalError:
            # A connection that lay idle while the database restarted says so only now. What may have been committed in
            # its last moment is not kept twice.
            if used is None or not used.broken:
                raise
            self._connection = None
            return await self._keep_once(group)

    async def _keep_once(self, group: Sequence[Proved]) -> list[bool | None]:
        if self._connection is None:
            self._connection = await _connect()
        return await inbox.keep_all(self._connection, group)


async def _connect() -> psycopg.AsyncConnection:
    """As Django connects, but each statement is a transaction of its own, is prepared, and ends when we are stuck.

    The server's own cursors: values go as bytes, where Django's write them into the statement.
    """
    parameters = connection.get_connection_params()
    options = f"{parameters.pop('options', '')} -c statement_timeout={int(STUCK_S * 1000)}".strip()
    parameters.update(autocommit=True, prepare_threshold=1, connect_timeout=_CONNECT_S, options=options)
    parameters["cursor_factory"] = psycopg.AsyncCursor
    return await psycopg.AsyncConnection.connect(**parameters)
