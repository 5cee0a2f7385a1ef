"""From a webhook's 2xx to its posting, and to the vendor's phone: at fixed rates, from the moment each was due.

"Posted" is when the worker's announcement, which it makes after its commit, has reached a subscriber: a little later
than the commit itself, never earlier. The phone's moment is when its notice has come over its own stream.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial

import psycopg

from bench import ground, load, receivers
from bench.ears import Ears, Heard
from bench.load import Answers, Load
from bench.rounds import Arm, Goal, compare, size

PORT = 8780
CONNECTIONS = 32
SECONDS = size(10, 3)
SHOPS = 60  # Each with a phone that listens: every payment is heard.
OURS, THEIRS = (100, 1000), (50, 200)
SETTLED_S = 1.0  # What was posted last is on its way to the phones.


def main() -> None:
    with ground.product(PORT, **ground.IN_PRODUCTION) as supervisor, ExitStack() as running:
        ground.warm_wal()
        ours = _Product(supervisor)
        naive = running.enter_context(receivers.naive(PORT + 10))
        theirs = "posted when its task says so, before its commit; no stream"
        compare(
            "latency",
            [
                *(
                    Arm(_ours(rate), "product", partial(ours.measure, rate), f"{SHOPS} shops, each with a phone")
                    for rate in OURS
                ),
                *(
                    Arm(f"one task for each event at {rate}/s", "peer", partial(_naive, naive, rate), theirs)
                    for rate in THEIRS
                ),
            ],
            title="From the 2xx to the posting and to the phone",
            figure="posted_p99_ms",
            goals=[goal for rate in OURS for goal in _goals(rate)],
            notes=[
                f"{SECONDS} s a round; each request counts from the moment it was due, sent or not.",
                (
                    "Posted: when the announcement that the worker makes after its commit has arrived; for the peer, "
                    "the time that its task writes into the row, which is before its commit."
                ),
            ],
        )
        ours.prove()


def _ours(rate: int) -> str:
    return f"product at {rate}/s"


def _goals(rate: int) -> list[Goal]:
    return [
        Goal(f"2xx to posted: p50 at most 5 ms at {rate}/s", "posted_p50_ms", _ours(rate), at_most=5),
        Goal(f"2xx to posted: p99 at most 25 ms at {rate}/s", "posted_p99_ms", _ours(rate), at_most=25),
        Goal(f"2xx to the stream: p99 at most 100 ms at {rate}/s", "stream_p99_ms", _ours(rate), at_most=100),
    ]


class _Product:
    def __init__(self, supervisor: int) -> None:
        from bench import cast  # noqa: PLC0415  Django is set up only now.

        cast.account()
        self.parts = {name: ground.child_of(supervisor, words) for name, words in ground.PARTS.items()}
        self.parts["postgres"] = ground.postgres()
        self.codes = cast.shops(SHOPS)
        self.tokens = cast.tokens(self.codes)
        self.accepted = 0
        self.measure(100)

    def measure(self, rate: int) -> dict[str, float]:
        from django.conf import settings  # noqa: PLC0415

        from bench import cast  # noqa: PLC0415
        from payments.models import QueuedEvent  # noqa: PLC0415

        made = cast.intents(self.codes, rate * SECONDS)
        requests = [
            ground.signed_request(
                f"http://127.0.0.1:{PORT}{receivers.PATH}", intent.reference, f"wpy_{intent.id.hex}", cast.AMOUNT
            )
            for intent in made
        ]
        ears = Ears(settings.STREAM_URL, settings.REDIS_URL, self.tokens)
        sending = Load(PORT, requests, connections=CONNECTIONS, rate=rate)
        used = {name: ground.used_by_tree(process) for name, process in self.parts.items()}
        sending.begin()
        sending.wait()
        answers = sending.answers()
        end = time.monotonic() + 60
        while QueuedEvent.objects.exists():
            assert time.monotonic() < end, "not everything was posted in a minute"
            time.sleep(0.05)
        time.sleep(SETTLED_S)
        cost = {name: ground.used_by_tree(process) - used[name] for name, process in self.parts.items()}
        heard = ears.close()
        assert len(answers.kept) == len(made), "something was refused"
        self.accepted += len(made)
        each_us = {f"{name}_us": seconds / len(made) * 1e6 for name, seconds in cost.items()}
        return {**_figures(answers, *_moments(made, heard)), **each_us}

    def prove(self) -> None:
        from payments import books  # noqa: PLC0415
        from payments.models import Payment  # noqa: PLC0415

        assert Payment.objects.count() == self.accepted
        broken = list(books.breaches())
        print(f"{self.accepted} payments, each told to one phone once;", broken or "every law holds")
        assert not broken


def _moments(made: Sequence[object], heard: Heard) -> tuple[list[float], list[float]]:
    """When each payment was posted, and when it was told to its shop's phone, which must have heard it once.

    The one worker announces a shop once for each batch in which it was told something, and the notices of a batch have
    one time: so the shop's n-th time and its n-th announcement are of the same commit.
    """
    from merchants.models import Notice  # noqa: PLC0415

    written: dict[str, tuple[str, datetime]] = {}
    batches: dict[str, set[datetime]] = defaultdict(set)
    for shop, created_at, data in Notice.objects.filter(
        data__receipt__in=[intent.receipt for intent in made]  # type: ignore[attr-defined]
    ).values_list("shop_id", "created_at", "data"):
        written[data["receipt"]] = shop.hex, created_at
        batches[shop.hex].add(created_at)
    moments: dict[tuple[str, datetime], float] = {}
    for shop, times in batches.items():
        assert len(heard.announced[shop]) == len(times), "a batch was announced more than once, or never"
        moments |= {(shop, at): moment for at, moment in zip(sorted(times), heard.announced[shop], strict=True)}
    receipts: list[str] = [intent.receipt for intent in made]  # type: ignore[attr-defined]
    told = [heard.told[receipt] for receipt in receipts]
    assert all(len(times) == 1 for times in told), "not every payment was told once"
    return [moments[written[receipt]] for receipt in receipts], [moment for (moment,) in told]


def _naive(receiver: receivers.Receiver, rate: int) -> dict[str, float]:
    receiver.empty()
    requests = [receiver.make() for _ in range(rate * SECONDS)]
    wall_less_clock = time.time() - time.perf_counter()
    with receivers.naive_worker(receiver.database):
        sending = Load(receiver.port, requests, connections=CONNECTIONS, rate=rate)
        sending.begin()
        sending.wait()
        answers = sending.answers()
        with psycopg.connect(receiver.database, autocommit=True) as connection:
            while connection.execute("SELECT 1 FROM naive_webhookevent WHERE status <> 'posted' LIMIT 1").fetchone():
                time.sleep(0.1)
            rows = connection.execute(
                "SELECT delivery_id, extract(epoch FROM posted_at)::float8 FROM naive_webhookevent"
            )
            at = {delivery: moment - wall_less_clock for delivery, moment in rows}
    receivers.prove_naive(receiver.database, len(answers.kept))
    return _figures(answers, [at[receivers.delivery_of(request)] for request in requests])


def _figures(answers: Answers, posted: Sequence[float], told: Sequence[float] = ()) -> dict[str, float]:
    figures = {"accepted": answers.rate, **_spread("answered", answers.waits_ms())}
    for name, moments in (("posted", posted), ("stream", told)):
        if moments:
            # What is posted before its 2xx has arrived is posted at once, as far as its sender can tell.
            waits = [max(moments[place] - answers.answered_at[place], 0.0) * 1000 for place in answers.kept]
            figures |= _spread(name, sorted(waits))
    return figures


def _spread(name: str, ordered: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p50_ms": load.centile(ordered, 0.5), f"{name}_p99_ms": load.centile(ordered, 0.99)}


if __name__ == "__main__":
    main()
