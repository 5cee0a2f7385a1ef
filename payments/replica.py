"""What may be some seconds old is read from a replica where one keeps up, and says of which moment it tells.

Only reading for people is: statements, entries, a day's takings. Whatever decides about money, and whoever signs in,
asks the primary. A replica that is gone, that lags more than settings.REPLICA_LAG_MAX, or that was promoted answers
nobody: the primary does.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponseBase

from merchants.journal import journal

ALIAS = "replica"
HEADER = "As-Of"
_LEFT_ALONE_S = 5.0  # After it did not answer: nobody else waits for it so long.
_MARK_EVERY = timedelta(milliseconds=10)

_log = journal(__name__)
_using: ContextVar[str] = ContextVar("database", default=DEFAULT_DB_ALIAS)
_Response = TypeVar("_Response", bound=HttpResponseBase)
_Piece = TypeVar("_Piece")


@dataclass(slots=True)
class Served:
    """Which database answers, and the moment until which it is known to hold everything. `with` it, or by `pieces`."""

    using: str
    as_of: datetime
    _before: list[Token[str]] = field(default_factory=list)

    def __enter__(self) -> Served:
        self._before.append(_using.set(self.using))
        return self

    def __exit__(self, *_: object) -> None:
        _using.reset(self._before.pop())

    def pieces(self, pieces: Iterator[_Piece]) -> Iterator[_Piece]:
        """The same for what is made while it is sent, when whoever chose has long returned."""
        while True:
            with self:
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def said(self, response: _Response) -> _Response:
        """The answer, with the moment of which it tells."""
        response[HEADER] = self.as_of.isoformat().replace("+00:00", "Z")
        return response


def choose(*, now: datetime) -> Served:
    """Who answers a question that may be some seconds old; `as_of` is `now` when the primary does."""
    if ALIAS in connections.settings and (as_of := _watch.reached(now)):
        return Served(ALIAS, as_of)
    return Served(DEFAULT_DB_ALIAS, now)


def connection() -> BaseDatabaseWrapper:
    """The connection of whoever was chosen, for statements that are written out."""
    return connections[_using.get()]


class Router:
    """Django's questions are read where was chosen; everything is written at the primary."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return _using.get()

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == DEFAULT_DB_ALIAS


class _Watch:
    """How far the replica has come, measured by the primary's log and our own clock.

    The primary is asked how long its log is; when the replica has replayed so much, it holds whatever was committed
    before that moment. Its own word on its lag would say nothing when it has lost the primary, or nothing happens.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: deque[tuple[datetime, int]] = deque()
        self._left_alone_until = 0.0

    def reached(self, now: datetime) -> datetime | None:
        """Until when the replica knows everything; None when that is too long ago, or when it follows nobody."""
        if time.monotonic() < self._left_alone_until:
            return None
        self._mark(now, int(_asked(DEFAULT_DB_ALIAS, "SELECT pg_current_wal_lsn() - '0/0'")[0]))
        try:
            follows, replayed = _asked(
                ALIAS, "SELECT pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn() - '0/0', 0)"
            )
        except (OperationalError, InterfaceError) as failure:
            self._left_alone_until = time.monotonic() + _LEFT_ALONE_S
            _log.warning("replica_not_answering", failure=str(failure))
            connections[ALIAS].close()
            return None
        with self._lock:
            moment = next((moment for moment, length in reversed(self._marks) if length <= replayed), None)
        return moment if follows and moment and now - moment <= settings.REPLICA_LAG_MAX else None

    def _mark(self, now: datetime, length: int) -> None:
        with self._lock:
            while self._marks and now - self._marks[0][0] > settings.REPLICA_LAG_MAX:
                self._marks.popleft()
            if self._marks and self._marks[-1][1] == length and self._marks[-1][0] < now:
                self._marks.pop()  # Nothing was written since: the later moment says more.
            if not self._marks or now - self._marks[-1][0] >= _MARK_EVERY:
                self._marks.append((now, length))


_watch = _Watch()


def _asked(using: str, question: str) -> Any:
    with connections[using].cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()
