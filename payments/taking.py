"""Takes batches off the queue and reads what their events say; the next one already while the one before is written.

Reading needs no lock and no fact of ours: stored bytes never change, and their meaning is decided later. So a full
queue is read by a thread with a connection of its own, in the time in which the posting thread waits for the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, connections

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

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two, for when it fails as a whole."""
        middle = len(self.leased) // 2
        first = {leased.event_id for leased in self.leased[:middle]}
        earlier = [read for read in self.read if read.event_id in first]
        later = [read for read in self.read if read.event_id not in first]
        return Batch(self.leased[:middle], earlier), Batch(self.leased[middle:], later)


class Ahead:
    """Takes the next batch in a thread of its own. A batch that nobody came for is given back at the end."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._thread: ThreadPoolExecutor | None = None
        self._next: Future[Batch] | None = None

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_failure: object) -> None:
        if self._thread is None:
            return
        try:
            if (left := self.end()) is not None and left.leased:
                inbox.give_back(left.leased, now=self._clock())
        finally:
            self._thread.submit(connections.close_all)
            self._thread.shutdown()

    def begin(self) -> None:
        """Begins to take the batch that `end` will answer with."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="taking")
        self._next = self._thread.submit(batch, clock=self._clock)

    def end(self) -> Batch | None:
        """The batch that was begun, or None when there is none. Raises what its taking has raised."""
        begun, self._next = self._next, None
        return begun.result() if begun is not None else None


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
    found = facts.accounts({account_id for _, account_id, _ in rows})
    accounts = {str(account_id): account for account_id, account in found.items()}
    return Batch(leased, [_one(event_id, accounts[account_id], verified) for event_id, account_id, verified in rows])


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
