"""Rings Celery to say that rows are waiting; the rows are the queue, so a lost bell costs only time.

Ringing never slows or breaks the caller: one thread per process does it, many rings become one, and with the broker
gone the ring is dropped (the sweep finds the rows). A key in Redis keeps other processes from ringing for the same
rows. Whoever rings while a ring is still to be made costs nothing, and after each ring the thread rests for a moment:
so however many rows come, there are few rings. None is left out for that: a row that came after the drain began to look
must ring, and nobody here can know when that was.

A message through Celery takes several milliseconds of both sides: the web makes it, the worker reads, marks, starts and
acknowledges it. The tasks of `HEARD` go without: workers of the queue `celery` wait for their bells themselves.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import redis
from django.conf import settings
from django.utils.module_loading import import_string

from merchants.journal import journal

if TYPE_CHECKING:
    from celery import Celery

_log = journal(__name__)

HEARD = frozenset({"payments.drain_inbox"})
_BELLS = "bells"  # In Redis a sorted set: a task that is rung twice stands in it once.
# How long a ring counts as "already rung" when nobody answers it: after this, another may ring again.
_RUNG_MS = 2_000
_REST_S = 0.002  # Between two rings: a drain takes longer, and a first ring waits for nothing.


def ring(task: str) -> None:
    """Wakes the task of that name soon, from another thread. Call it after commit. Never raises, never waits."""
    _ringer(os.getpid()).ring(task)


def answered(task: str) -> None:
    """Says that the task has begun to look at the rows: what comes after this moment must ring again."""
    try:
        store().delete(_key(task))
    except redis.RedisError as failure:
        _log.warning("bell_not_cleared", task=task, failure=str(failure))


class Line:
    """A worker's own connection, on which it waits for the next of `HEARD` that is rung.

    Each ring is taken by one worker only, and whoever rings after that rings anew. Any failure is a ConnectionError.
    """

    def __init__(self) -> None:
        self._client = redis.Redis.from_url(  # Kept: its connections end with it.
            settings.REDIS_URL,
            socket_timeout=settings.REDIS_TIMEOUT_S,
            socket_connect_timeout=settings.REDIS_TIMEOUT_S,
            retry=None,
            protocol=2,  # In which nothing is said but answers.
        )
        with _failing_as_connections_do():
            # redis-py has no types for it, and no other way to its socket than the one that kombu takes.
            self._connection = cast("Any", self._client.connection_pool.get_connection())
        self._number: int = self._connection._sock.fileno()

    def fileno(self) -> int:
        """For whoever waits for several things at once: there is something to read when `take` need not wait."""
        return self._number

    def wait(self) -> None:
        """Asks for the next one. Nothing is heard before, and nothing is taken from other workers."""
        with _failing_as_connections_do():
            self._connection.send_command("BZPOPMIN", _BELLS, 0)

    def take(self) -> str:
        """The name of the task that was rung; asked for by `wait`."""
        with _failing_as_connections_do():
            return str(self._connection.read_response()[1], "utf-8")

    def close(self) -> None:
        """What it was given and has not taken is lost, like any bell."""
        self._client.connection_pool.disconnect()


@contextmanager
def _failing_as_connections_do() -> Iterator[None]:
    """A server that is another's replica now, or still loading, is one to leave and come back to."""
    try:
        yield
    except redis.RedisError as failure:
        raise ConnectionError(repr(failure))


@cache
def store() -> redis.Redis:
    """This process's Redis client: short timeouts and no retries, because nothing here is worth waiting for."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_TIMEOUT_S,
        socket_connect_timeout=settings.REDIS_TIMEOUT_S,
        retry=None,
    )


def _key(task: str) -> str:
    return f"rung:{task}"


@cache
def _app() -> Celery:
    """Loaded by the first ring, a tenth of a second: whoever never rings does without Celery's memory and start."""
    return cast("Celery", import_string("config.celery.app"))


@cache
def _ringer(process: int) -> _Ringer:
    """One per process: a forked child must not believe that its parent's thread rings for it."""
    return _Ringer()


class _Ringer:
    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="bell", daemon=True).start()

    def ring(self, task: str) -> None:
        with self._changed:
            if task not in self._waiting:
                self._waiting.add(task)
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                tasks, self._waiting = self._waiting, set()
            for task in tasks:
                self._ring_now(task)
            time.sleep(_REST_S)

    def _ring_now(self, task: str) -> None:
        try:
            if task in HEARD:
                store().zadd(_BELLS, {task: 0})
            elif store().set(_key(task), 1, nx=True, px=_RUNG_MS):
                _app().send_task(task, ignore_result=True, expires=60)
        except Exception as failure:  # noqa: BLE001  Whatever the broker does, the rows wait and the sweep finds them.
            _log.warning("bell_lost", task=task, failure=repr(failure))
