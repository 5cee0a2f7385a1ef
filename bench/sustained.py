"""Accepted and posted events per second, by the whole product, with its load on the same two cores.

Closed: as fast as it answers, over 32 connections. Open: at a fixed rate. At last the worker and the web process are
ended by SIGKILL under load, twice each. After all of it every event that was answered by 2xx is posted once, and every
law holds; else the bench fails. `python -m bench.sustained --kill` does the last part alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import psycopg

from bench import ground, load, receivers
from bench.ground import PARTS
from bench.load import Answers, Load
from bench.rounds import Arm, Goal, compare, size

PORT = 8770
CONNECTIONS = 32
RATE = size(3500, 300)
SECONDS = size(12, 3)
SHOPS = 500
BATCH = 1000
POSTED_LIMIT_S = 120.0


def main() -> None:
    with ground.product(PORT, **ground.IN_PRODUCTION) as supervisor, ExitStack() as running:
        ground.warm_wal()
        ours = _Product(supervisor)
        if "--kill" in sys.argv:
            ours.survive()
            return
        naive = running.enter_context(receivers.naive(PORT + 10))
        compare(
            "sustained",
            [
                Arm("product", "product", ours.closed,
                    "the whole product, as fast as it answers 32 connections: posted when it is said to be posted"),
                Arm(f"product at {RATE}/s", "product", ours.at_rate,
                    "the same at a fixed rate, whatever it answers"),
                Arm("one task for each event", "peer", partial(_naive, naive),
                    "DRF, get_or_create and one Celery task for each event, which books it by the ORM"),
            ],
            title="Accepted and posted",
            goals=[
                Goal("at least 3,000 events/s posted", at_least=3000),
                Goal("at least 20 × one task for each event", against="one task for each event", at_least=20),
                Goal("backlog at the end of load at most one batch", figure="backlog", at_most=BATCH),
                Goal("the same at a fixed rate", figure="backlog", arm=f"product at {RATE}/s", at_most=BATCH),
            ],
            notes=[
                (
                    f"{SECONDS} s of load a round, {CONNECTIONS} connections, {SHOPS} shops. `rate` counts from the "
                    "first request until the last accepted event is posted; `backlog` is what waited when the last was "
                    "answered."
                ),
                (
                    "Each event of the product meets an open intent of its shop, and a notice is written for it; "
                    "the peer only books three legs and a balance."
                ),
            ],
        )  # fmt: skip
        ours.prove()
        ours.survive()


class _Product:
    """The running product under load."""

    def __init__(self, supervisor: int) -> None:
        from bench import cast  # noqa: PLC0415  Django is set up only now.

        cast.account()
        self.supervisor = supervisor
        self.codes = cast.shops(SHOPS)
        self.guess = size(4000, 800)
        self.accepted = 0
        self.closed_for(1.0)  # Connections, plans and caches are those of a product that runs.

    def closed(self) -> dict[str, float]:
        return self.closed_for(SECONDS)

    def closed_for(self, seconds: float) -> dict[str, float]:
        requests, _ = self._requests(int(self.guess * seconds * 1.3))
        sending = Load(PORT, requests, connections=CONNECTIONS, seconds=seconds)
        figures = self._measured(sending)
        self.guess = max(int(figures["accepted"]), 100)
        return figures

    def at_rate(self) -> dict[str, float]:
        requests, _ = self._requests(RATE * SECONDS)
        return self._measured(Load(PORT, requests, connections=CONNECTIONS * 2, rate=RATE))

    def survive(self) -> None:
        """SIGKILL for the worker and for the web process while they work; then everything must be there, once."""
        requests, objects = self._requests(size(30_000, 4_000))
        sending = Load(PORT, requests, connections=CONNECTIONS, rate=size(1500, 300), patience_s=60)
        sending.begin()
        for pause_s, name in ((3, "worker"), (3, "web"), (2, "worker"), (1, "web")):
            time.sleep(pause_s)
            print(f"SIGKILL for the {name}: {_kill(self.supervisor, PARTS[name])}", flush=True)
        sending.wait()
        answers = sending.answers()
        self.accepted += len(answers.kept)
        _until(lambda: _waiting(os.environ["DATABASE_URL"], _OURS_SQL) == 0)
        self.prove(acknowledged={objects[place] for place in answers.kept})
        print(
            f"{answers.again} requests were sent again, {len(answers.kept)} of {answers.sent} acknowledged and posted"
        )

    def prove(self, acknowledged: set[str] | None = None) -> None:
        """Every event that was answered by 2xx is posted, once; nothing else is; every law holds."""
        from payments import books  # noqa: PLC0415
        from payments.models import LedgerEntry, Payment, QueuedEvent, WebhookEvent  # noqa: PLC0415

        payments = Payment.objects.count()
        # A delivery that was kept and not answered may have been given up by its sender: it is booked all the same.
        assert payments == WebhookEvent.objects.count() >= self.accepted, (payments, self.accepted)
        assert payments == Payment.objects.values("object_id").distinct().count()
        assert LedgerEntry.objects.filter(kind="paid").count() == payments
        assert not QueuedEvent.objects.exists()
        if acknowledged is not None:
            missing = acknowledged - set(Payment.objects.values_list("object_id", flat=True))
            assert not missing, f"{len(missing)} acknowledged and not posted"
        broken = list(books.breaches())
        print(f"{payments} payments, each posted once; {self.accepted} were acknowledged;", broken or "every law holds")
        assert not broken

    def _requests(self, count: int) -> tuple[list[bytes], list[str]]:
        from bench import cast  # noqa: PLC0415

        url = f"http://127.0.0.1:{PORT}{receivers.PATH}"
        made = cast.intents(self.codes, count)
        objects = [f"wpy_{intent.id.hex}" for intent in made]
        pairs = zip(made, objects, strict=True)
        return [ground.signed_request(url, intent.reference, name, cast.AMOUNT) for intent, name in pairs], objects

    def _measured(self, sending: Load) -> dict[str, float]:
        figures, answers = _watched(sending, os.environ["DATABASE_URL"], _OURS_SQL, [self.supervisor])
        assert len(answers.kept) == answers.sent, "something was refused"
        self.accepted += len(answers.kept)
        return figures


def _naive(receiver: receivers.Receiver) -> dict[str, float]:
    receiver.empty()
    requests = [receiver.make() for _ in range(int(receiver.guess * SECONDS * 1.3))]
    with receivers.naive_worker(receiver.database) as worker:
        load.send(receiver.port, requests[:50], connections=8)
        sending = Load(receiver.port, requests[50:], connections=CONNECTIONS, seconds=SECONDS)
        trees = [receiver.process, worker, ground.postgres()]
        figures, answers = _watched(sending, receiver.database, _THEIRS_SQL, trees)
    receivers.prove_naive(receiver.database, 50 + len(answers.kept))
    receiver.guess = max(figures["accepted"], 50.0)
    return figures


def _watched(sending: Load, database: str, question: str, trees: list[int]) -> tuple[dict[str, float], Answers]:
    """Runs the load, and waits until everything that was accepted is posted."""
    used = sum(map(ground.used_by_tree, trees))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(question)  # Once before: then the answer at the end of load takes no time.
        sending.begin()
        sending.wait()
        backlog = _waiting(database, question, connection)
        posted_at = _until(lambda: _waiting(database, question, connection) == 0)
    used = sum(map(ground.used_by_tree, trees)) - used
    answers = sending.answers()
    done, waits = len(answers.kept), answers.waits_ms()
    figures = {
        "rate": done / (posted_at - answers.began),
        "accepted": answers.rate,
        "backlog": backlog,
        "p50_ms": load.centile(waits, 0.5),
        "p99_ms": load.centile(waits, 0.99),
        "cpu_us": used / done * 1e6,
        "load_us": answers.cpu_s / done * 1e6,
    }
    return figures, answers


_OURS_SQL = "SELECT count(*) FROM payments_queuedevent"
_THEIRS_SQL = "SELECT count(*) FROM naive_webhookevent WHERE status = 'pending'"


def _waiting(database: str, question: str, connection: psycopg.Connection | None = None) -> int:
    if connection is None:
        with psycopg.connect(database) as own:
            return _waiting(database, question, own)
    (count,) = connection.execute(question).fetchone() or (0,)
    return int(count)


def _until(condition: Callable[[], bool]) -> float:
    """The moment at which it came true."""
    end = time.perf_counter() + POSTED_LIMIT_S
    while not condition():
        if time.perf_counter() > end:
            raise RuntimeError(f"not everything was posted in {POSTED_LIMIT_S:.0f} s")
        time.sleep(0.02)
    return time.perf_counter()


def _kill(supervisor: int, words: str) -> list[int]:
    """Kills the supervisor's child of this command line, and that child's own children."""
    child = ground.child_of(supervisor, words)
    killed = [child, *ground.children_of(child)]
    for process in killed:
        os.kill(process, signal.SIGKILL)
    return killed


if __name__ == "__main__":
    main()
