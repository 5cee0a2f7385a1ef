"""Runs calls at the same moment, each in a thread with its own connection, and collects what each answered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import connections
from django.db.models import QuerySet

from payments import facts

# How long a call waits for the others in `slow_after`: with the locks in place they never come.
_gate_s = 0.5


def together(calls: Sequence[Callable[[], Any]], *, timeout_s: float = 60) -> list[Any]:
    """The answers, in the order of the calls; an exception that was raised is the answer of that call."""
    answers: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            start.wait(timeout_s)
            answers[place] = call()
        except Exception as failure:  # noqa: BLE001  The refusal is the answer that the test asserts.
            answers[place] = failure
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place, call)) for place, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout_s)
        assert not thread.is_alive(), "a call never came back"
    return answers


@contextmanager
def without_row_locks() -> Iterator[None]:
    """The same code with its row locks taken out: how a race is shown before it is shown to be closed."""

    def unlocked(self: QuerySet[Any], *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return self.all()

    intents = facts._INTENTS_SQL.replace("FOR NO KEY UPDATE", "")  # The one lock of theirs that is written out.
    assert intents != facts._INTENTS_SQL
    with (
        mock.patch.object(QuerySet, "select_for_update", unlocked),
        mock.patch.object(facts, "_INTENTS_SQL", intents),
        mock.patch(f"{__name__}._gate_s", 2.0),  # Nothing keeps the other away but a slow machine.
    ):
        yield


@contextmanager
def slow_after(target: str, *, callers: int) -> Iterator[None]:
    """Makes the calls of `target` wait for each other (a moment at most), so that a race that can happen does."""
    module, _, name = target.rpartition(".")
    original = _resolve(module, name)
    gate = threading.Barrier(callers)

    def waiting(*args: Any, **kwargs: Any) -> Any:
        answer = original(*args, **kwargs)
        try:
            gate.wait(_gate_s)
        except threading.BrokenBarrierError:
            return answer
        return answer

    with mock.patch(target, waiting):
        yield


def _resolve(module: str, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(__import__(module, fromlist=[name]), name)
    return found
