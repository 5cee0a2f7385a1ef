"""Notifications that arrive together are kept together: one INSERT and one commit, and each is answered after it.

The first to come writes at once, alone; while it writes the next ones gather, and the first of those writes for all of
them. So nobody ever waits for company, and the more arrive the less each costs. Each process has one connection for it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from functools import cache

import psycopg
from django.db import connection
from prometheus_client import Counter

from merchants import bell
from merchants.journal import journal
from payments import inbox
from payments.inbox import Proved, UnableToReceive

GROUP_MAX = 128  # Rows in one statement: beyond it a group gains nothing and keeps its first ones waiting.
WAITING_MAX = 48  # Each holds a thread of the web, and pages want some too: who comes after them is told to come again.
STUCK_S = 2.0  # A commit takes milliseconds. One that takes this long will not be waited for by anybody else.
_CONNECT_S = 2  # libpq's smallest. Everybody waits for it, and the next one tries again.

_groups_written = Counter("pushcart_webhook_groups", "Groups of notifications that were committed together")

_log = journal(__name__)


def keep(proved: Proved) -> bool | None:
    """Keeps one notification with whatever comes at the same time; returns after the commit, as `inbox.keep_all` says.

    Raises UnableToReceive 503: `overloaded` with nothing stored; `unavailable` when the database did not say that it
    is kept (it may be: the provider sends it again, and it is kept once).
    """
    return _group(os.getpid()).keep(proved)


class _Place:
    """One notification that waits for its commit, and the thread that brought it."""

    __slots__ = ("group", "outcome", "proved", "woken")

    def __init__(self, proved: Proved) -> None:
        self.proved = proved
        self.woken = threading.Lock()
        self.woken.acquire()
        self.group: list[_Place] = []  # Whom it writes for, once it is its turn to write.
        self.outcome: bool | UnableToReceive | None = UnableToReceive("unavailable", 503)


@cache
def _group(process: int) -> _Group:
    """One per process: a forked child has neither its parent's threads nor its connection."""
    return _Group()


class _Group:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Place] = []
        self._writing_since: float | None = None
        self._database = _Database()

    def keep(self, proved: Proved) -> bool | None:
        place = _Place(proved)
        with self._lock:
            now = time.monotonic()
            if self._writing_since is None:
                self._writing_since, place.group = now, [place]
            elif len(self._waiting) >= WAITING_MAX or now - self._writing_since > STUCK_S:
                raise UnableToReceive("overloaded", 503)
            else:
                self._waiting.append(place)
        if not place.group:
            self._wait(place)
        if place.group:
            self._write(place.group)
        if isinstance(place.outcome, UnableToReceive):
            raise place.outcome
        return place.outcome

    def _wait(self, place: _Place) -> None:
        """Returns when the place's outcome is known, or when it is its turn to write."""
        if place.woken.acquire(timeout=2 * STUCK_S):
            return
        with self._lock:
            if place in self._waiting:
                self._waiting.remove(place)
                raise UnableToReceive("overloaded", 503)
        # Somebody is writing it, or has called it to write in this very moment: that is known by its group.

    def _write(self, group: list[_Place]) -> None:
        try:
            outcomes = self._database.write([place.proved for place in group])
            for place, outcome in zip(group, outcomes, strict=True):
                place.outcome = outcome
        finally:
            self._hand_over()
            for place in group[1:]:  # The first is who writes.
                place.woken.release()

    def _hand_over(self) -> None:
        """Calls the first of those who wait to write for all of them."""
        with self._lock:
            taken, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
            self._writing_since = time.monotonic() if taken else None
            if taken:
                taken[0].group = taken
        if taken:
            taken[0].woken.release()


class _Database:
    """The process's connection for groups: used by whoever writes, so by one thread at a time."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection | None = None

    def write(self, group: Sequence[Proved]) -> list[bool | UnableToReceive | None]:
        """What became of each, after the commit; rings once when anything is new."""
        try:
            kept = self._keep(group)
        except psycopg.Error as failure:
            self._drop()
            _log.warning("webhooks_not_kept", count=len(group), failure=repr(failure))
            return [UnableToReceive("unavailable", 503) for _ in group]
        _groups_written.inc()
        if any(kept):
            bell.ring(inbox.DRAIN)
        return list(kept)

    def _keep(self, group: Sequence[Proved]) -> list[bool | None]:
        used = self._connection
        try:
            return self._keep_once(group)
        except psycopg.OperationalError:
            # A connection that lay idle while the database restarted says so only now. What may have been committed in
            # its last moment is not kept twice.
            if used is None or not used.broken:
                raise
            self._connection = None
            return self._keep_once(group)

    def _keep_once(self, group: Sequence[Proved]) -> list[bool | None]:
        if self._connection is None:
            self._connection = _connect()
        return inbox.keep_all(self._connection, group)

    def _drop(self) -> None:
        """A database that has become a replica's, or that is stuck, answers too: the next group asks it afresh."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect() -> psycopg.Connection:
    """As Django connects, but each statement is a transaction of its own, is prepared, and ends when we are stuck.

    The server's own cursors: values go as bytes, where Django's write them into the statement.
    """
    parameters = connection.get_connection_params()
    options = f"{parameters.pop('options', '')} -c statement_timeout={int(STUCK_S * 1000)}".strip()
    parameters.update(autocommit=True, prepare_threshold=1, connect_timeout=_CONNECT_S, options=options)
    parameters["cursor_factory"] = psycopg.Cursor
    return psycopg.connect(**parameters)
