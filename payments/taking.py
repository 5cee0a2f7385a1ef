"""Takes batches off the queue, reads what their events say, and keeps those about the same things in their order.

Two threads of a worker take turns: in the time in which one waits for the database, the other reads and decides. To the
database they are two workers; but what comes in order to one worker leaves it in order.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from billiard.exceptions import SoftTimeLimitExceeded  # Celery's own, without Celery.
from django.conf import settings
from django.db import InterfaceError, OperationalError

from merchants.journal import journal
from merchants.values import value
from payments import facts, inbox, providers
from payments.inbox import Leased
from payments.models import ProviderAccount
from payments.providers.base import Event, UnableToRead, Verified
from payments.settlement import proof

_log = journal(__name__)

# Not the events' fault: the database is in trouble, or Celery's time limit has struck.
OUR_TROUBLE = (OperationalError, InterfaceError, SoftTimeLimitExceeded)


@value
class Read:
    """One stored event and what it says, or why nobody can tell."""

    event_id: UUID
    account: ProviderAccount
    events: Sequence[Event] = ()
    unreadable: str = ""


@value
class Batch:
    """Events that are ours until their lease ends, in the order of their arrival."""

    leased: Sequence[Leased] = ()
    read: Sequence[Read] = ()

    @property
    def full(self) -> bool:
        return len(self.leased) >= settings.DRAIN_BATCH_MAX

    @property
    def about(self) -> frozenset[str]:
        """The provider's and our own names of everything that these events tell of."""
        events = [event for one in self.read for event in one.events]
        names = frozenset(name for e in events for name in (e.object_id, e.parent_object_id, e.reference))
        return names - {""}

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two, for when it fails as a whole."""
        middle = len(self.leased) // 2
        first = {leased.event_id for leased in self.leased[:middle]}
        earlier = [read for read in self.read if read.event_id in first]
        later = [read for read in self.read if read.event_id not in first]
        return Batch(self.leased[:middle], earlier), Batch(self.leased[middle:], later)


class Turns:
    """The batches that threads of one worker have taken and still work on, and what each of them is about.

    What two batches share nothing of is decided and written at once. Of one intent, payment or refund the events are
    decided in the order in which they were taken, each batch knowing what the one before it has committed.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._taking = threading.Lock()
        self._changed = threading.Condition()
        self._open: dict[int, frozenset[str]] = {}
        self._numbers = itertools.count()

    def batch(self) -> AbstractContextManager[Batch]:
        """The next due events, ours while they are worked on. Raises OperationalError, having given them back."""
        return self._turn(batch)

    def suspect(self) -> AbstractContextManager[Batch]:
        """One event whose earlier attempt never came to an end, alone."""
        return self._turn(suspect)

    @contextmanager
    def _turn(self, take: Callable[..., Batch]) -> Iterator[Batch]:
        with self._taking:  # One after the other, so that what was taken first is also known first.
            taken = take(clock=self._clock)
            with self._changed:
                number = next(self._numbers)
                self._open[number] = taken.about
        try:
            try:
                with self._changed:
                    self._changed.wait_for(partial(self._is_first, number))
            except OUR_TROUBLE:
                inbox.give_back(taken.leased, now=self._clock())
                raise
            yield taken
        finally:
            with self._changed:
                del self._open[number]
                self._changed.notify_all()

    def _is_first(self, number: int) -> bool:
        """Whether nothing that was taken earlier, and is still worked on, is about any of the same."""
        about = self._open[number]
        return all(about.isdisjoint(other) for earlier, other in self._open.items() if earlier < number)


def batch(*, clock: Callable[[], datetime]) -> Batch:
    """The next due events, leased and read. Raises OperationalError for trouble of our own, having given them back."""
    return _kept(inbox.lease(limit=settings.DRAIN_BATCH_MAX, now=clock()), clock)


def suspect(*, clock: Callable[[], datetime]) -> Batch:
    """One event whose earlier attempt never came to an end, alone."""
    return _kept(inbox.lease_suspect(now=clock()), clock)


def read(leased: Sequence[Leased]) -> Batch:
    """What the stored events of these leases say, in the order of arrival."""
    if not leased:
        return Batch()
    rows = facts.stored_events([one.event_id for one in leased])
    accounts = facts.accounts_as_they_are({account for _, account, _ in rows})
    return Batch(leased, [_one(event_id, accounts[account], verified) for event_id, account, verified in rows])


def read_event(account: ProviderAccount, verified: Verified) -> Sequence[Event]:
    """What is said in a kept event. What nobody has proved may lead to questions and to nothing else.

    Its account's provider reads it; a line of a file that it settled by is kept in our own words. Raises UnableToRead.
    """
    if verified.authority == "file":
        return proof.read(verified)
    events = providers.named(account.provider).normalise(account, verified)
    if verified.authority != "unsigned_hint":
        return events
    return [
        event
        if event.decision in ("query", "ignore")
        else replace(event, decision="quarantine", reason="nobody has signed it")
        for event in events
    ]


def _kept(leased: Sequence[Leased], clock: Callable[[], datetime]) -> Batch:
    try:
        return read(leased)
    except OUR_TROUBLE:
        inbox.give_back(leased, now=clock())
        raise


def _one(event_id: UUID, account: ProviderAccount, verified: Verified) -> Read:
    try:
        return Read(event_id, account, read_event(account, verified))
    except UnableToRead as failure:
        return Read(event_id, account, unreadable=str(failure))
    except OUR_TROUBLE:
        raise
    except Exception as failure:  # noqa: BLE001  An adapter that breaks on one message must not hold up the others.
        _log.error("event_unreadable", event_id=str(event_id), failure=repr(failure))
        return Read(event_id, account, unreadable=f"{type(failure).__name__}: {failure}")
