"""Webhooks kept per second: signed, committed, answered by 2xx; the product, what a server can do, and its peers.

Web processes alone: nothing is posted meanwhile (`bench.sustained` posts, too). The load shares the two cores.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from bench import ground, receivers
from bench.rounds import Arm, Goal, compare, size

CONNECTIONS = 32
PORT = 8765


def main() -> None:
    seconds = size(5, 1)
    with ground.stores() as folder, ExitStack() as running:
        front = running.enter_context(receivers.pushcart(folder, PORT))
        django = running.enter_context(receivers.pushcart(folder, PORT + 5, "bench.through_django:application"))
        nothing = running.enter_context(receivers.limit(folder, PORT + 10, "nothing"))
        insert = running.enter_context(receivers.limit(folder, PORT + 15, "insert"))
        dj_stripe = running.enter_context(receivers.dj_stripe(PORT + 20))
        naive = running.enter_context(receivers.naive(PORT + 25))
        ground.warm_wal()
        load = {"connections": CONNECTIONS, "seconds": seconds}
        compare(
            "intake",
            [
                Arm("product", "product", partial(front.measure, **load),
                    "a small handler in the server's loop; requests that are there together share one commit"),
                Arm("product through Django", "product", partial(django.measure, **load),
                    "Django's own view and every middleware, in threads; those there together share one commit"),
                Arm("server without a database", "limit", partial(nothing.measure, **load),
                    "raw ASGI on the same server: the signature checked, nothing kept"),
                Arm("one INSERT each", "limit", partial(insert.measure, **load),
                    "raw WSGI in its threads, one INSERT for each request, over a pool of psycopg"),
                Arm("pgbench", "limit", partial(receivers.pgbench(folder), **load),
                    "PostgreSQL's own program: one row of the same size in each transaction, no HTTP"),
                Arm("dj-stripe", "peer", partial(dj_stripe.measure, **load),
                    "dj-stripe 2.11: its webhook view, which stores the request and the event"),
                Arm("DRF and ORM", "peer", partial(naive.measure, **load),
                    "an API view, get_or_create, and one Celery task sent for each event"),
            ],
            title="Intake",
            unit="webhooks",
            goals=[
                Goal("through Django at least 2,000/s", arm="product through Django", at_least=2000),
                Goal("by group commit at least 5,000/s", at_least=5000),
                Goal("at least 30 × dj-stripe", against="dj-stripe", at_least=30),
                Goal("p99 at most 20 ms", figure="p99_ms", at_most=20),
            ],
            notes=[
                f"{CONNECTIONS} connections, {seconds} s a round; distinct signed bodies of 1.5 kB, on empty tables.",
                (
                    "Each round proves that as many rows are kept as requests were answered by 2xx, and that the same "
                    "requests sent again keep nothing more."
                ),
            ],
        )  # fmt: skip


if __name__ == "__main__":
    main()
