"""Events posted per second from a full inbox: our drain, what the database alone could do, and other people's ledgers.

Every way works on the same inbox and on tables that were just emptied; every way's sums are proved after each round.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from urllib.parse import urlsplit

from bench import ground, peer
from bench.peer import Peer
from bench.rounds import Arm, Figures, Goal, compare, size

EVENTS = size(20_000, 1_000)
OF_HORDAK, OF_HORDAK_IN_BULK, OF_LEDGER, OF_ORM, OF_CELERY = (
    size(full, 20) for full in (400, 4_000, 100, 300, 600)
)  # fmt: skip
US, FLOOR, HORDAK, CELERY = "Pushcart", "SQL that decides nothing", "django-hordak", "a Celery task per event"


def main() -> None:
    with ground.stores(), ExitStack() as stack:
        from django.conf import settings  # noqa: PLC0415  Django is set up only now.
        from django.db import connection  # noqa: PLC0415
        from django.test import override_settings  # noqa: PLC0415

        from bench import floors  # noqa: PLC0415
        from bench.full_inbox import FullInbox, timed  # noqa: PLC0415

        settings.DEBUG = False  # While it is on, Django keeps every statement.
        inbox = FullInbox(EVENTS)
        inbox.measured(drain)  # Opens the shops' accounts; the first drain of a process is slower, and nobody's fault.
        ground.warm_wal()
        others = stack.enter_context(peer.running_peer("posting", _their_stores()))
        workers = [stack.enter_context(peer.another_of_us("bench.one_worker")) for _ in range(2)]

        def theirs(way: str, events: int) -> Figures:
            others.ask(way=way, do="fill", events=events)
            figures = timed(lambda: others.ask(way=way, do="book", events=events), events, others.used)
            others.ask(way=way, do="check", events=events)
            return figures

        def lean(work: Callable[[], None]) -> Figures:
            floors.lay_out_lean(EVENTS)
            figures = timed(work, EVENTS)
            floors.prove_lean(EVENTS)
            return figures

        def two_workers() -> Figures:
            inbox.lay_out()
            deadlocks = _deadlocks()
            used = lambda: sum(worker.used() for worker in workers)  # noqa: E731
            figures = timed(lambda: _at_once(workers, EVENTS), EVENTS, used)
            inbox.prove()
            assert _deadlocks() == deadlocks, "the workers have met in a deadlock"
            return figures

        compare(
            "drain",
            [
                Arm(US, "product", lambda: inbox.measured(drain), _OURS),
                Arm("Pushcart, two workers", "product", two_workers, "The same inbox, two processes at once."),
                Arm(FLOOR, "limit", lambda: inbox.measured(floors.set_based), _FLOOR),
                Arm("lean SQL", "limit", lambda: lean(floors.lean), _LEAN),
                Arm("lean, through a client", "limit", lambda: lean(floors.lean_by_arrays), _ARRAYS),
                Arm(HORDAK, "peer", lambda: theirs("hordak", OF_HORDAK), _HORDAK),
                Arm("django-hordak in bulk", "peer", lambda: theirs("hordak in bulk", OF_HORDAK_IN_BULK), _BULK),
                Arm("django-ledger", "peer", lambda: theirs("django-ledger", OF_LEDGER), _LEDGER),
                Arm("the ORM, event by event", "peer", lambda: theirs("orm", OF_ORM), _ORM),
                Arm(CELERY, "peer", lambda: theirs("celery", OF_CELERY), _CELERY),
            ],
            title="Posting from a full inbox",
            goals=[
                Goal("One worker posts 10,000 events a second", at_least=10_000),
                Goal("It posts 40 × as fast as django-hordak", against=HORDAK, at_least=40),
                Goal("It posts half as fast as SQL that decides nothing", against=FLOOR, at_least=0.5),
            ],
            notes=[_INBOX, _PROCESSORS],
        )
        _by_batch_size(inbox, override_settings)
        connection.close()


def drain() -> None:
    from django.utils import timezone  # noqa: PLC0415

    from payments import reconcile  # noqa: PLC0415

    while reconcile.drain(clock=timezone.now):
        continue


def _by_batch_size(inbox: object, override_settings: Callable[..., object]) -> None:
    """How the cost of an event falls as load rises: batches are as large as what waits, up to 1,000."""

    def in_batches(of: int, events: int) -> Figures:
        with override_settings(DRAIN_BATCH_MAX=of):  # type: ignore[attr-defined]
            return inbox.measured(drain, events)  # type: ignore[attr-defined,no-any-return]

    sizes = {1000: EVENTS, 100: size(10_000, 500), 10: size(2_000, 100), 1: size(400, 20)}
    compare(
        "drain-batches",
        [
            Arm(f"batches of {of:,}", "product", partial(in_batches, of, min(events, EVENTS)))
            for of, events in sizes.items()
        ],
        title="Posting in batches of other sizes",
        notes=["A batch takes what waits: few events under little load, up to 1,000 when many come at once."],
    )


def _at_once(workers: list[Peer], events: int) -> None:
    taken = 0
    while taken < events:
        for worker in workers:
            worker.tell()
        taken += sum(int(worker.hear()["taken"]) for worker in workers)


def _deadlocks() -> int:
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def _their_stores() -> dict[str, str]:
    broker = urlsplit(os.environ["REDIS_URL"])._replace(path="/15").geturl()
    return {"PEERS_DATABASE_URL": ground.another_database("bench_peers"), "PEERS_REDIS_URL": broker}


_INBOX = (
    f"{EVENTS:,} distinct notifications of 1.3 kB for intents of 500 shops; slower ways post fewer, on tables as empty."
    " Tables are analysed while they are empty, as plans meet them on a first day."
)
_PROCESSORS = (
    "*Client* is what the program used of a processor for each event, *postgres* what the server with all its processes"
    " did. Waking the streams of the shops is in ours; what Valkey uses of it is not shown."
)
_OURS = (
    "`payments.reconcile.drain` in one process with two threads, in batches of 1,000: reads each notification, decides,"
    " and writes the payment, the intent's state, the entry with its key, the balances, the hour's sums, the vendor's"
    " numbered notice."
)
_FLOOR = (
    "One statement for each 1,000 events writes the same rows, without any question, foreign key or trigger; it reads"
    " the amount from the notification as ours does, and its book is proved by the same laws."
)
_LEAN = "A transaction with three legs and a vendor's balance on tables of nothing else, without foreign keys."
_ARRAYS = "The same lean tables, when the rows go to a Python program and come back as arrays."
_HORDAK = (
    "2.0, as its documentation writes it: one database transaction, `Transaction` and three times `Leg.objects.create`."
    " It reads and marks no inbox."
)
_BULK = "The same by `bulk_create`, 500 events at a time. It reads and marks no inbox."
_LEDGER = "0.8, `commit_txs` of three lines, posted. It reads and marks no inbox."
_ORM = "The naive design: the event locked, a transaction, three legs, the vendor's balance, the event marked."
_CELERY = "The same, each event sent as a task through the broker to a real worker with two processes."


if __name__ == "__main__":
    main()
