"""What reading costs by how much there is: a balance, and a page of the book or of payments, wherever it lies.

One shop of a million entries and one of ten thousand stand in the same database. Beside what the API does stand what
is usually done: to add up, to count, to number pages. Each figure is of one process that asks again and again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any

from bench import ground, peer
from bench.rounds import Arm, Figures, Goal, compare, size

BIG, SMALL = size(1_000_000, 10_000), size(10_000, 1_000)
LEGS = size(100_000, 1_000)
OFTEN, SELDOM = size(300, 10), size(10, 2)  # Questions in a round: of what takes a moment, of what takes long.
US, SMALLER = "Pushcart", f"Pushcart, {SMALL:,} entries"


def main() -> None:
    with ground.stores(), ExitStack() as stack:
        from django.conf import settings  # noqa: PLC0415  Django is set up only now.
        from django.utils import timezone  # noqa: PLC0415

        from bench import one_shop, ways_to_read  # noqa: PLC0415

        settings.DEBUG = False  # While it is on, Django keeps every statement.
        settings.ALLOWED_HOSTS = ["testserver"]
        big, small = (
            ways_to_read.Book(*one_shop.filled(entries, until=timezone.now(), phone=f"+86136{entries:08}"), entries)
            for entries in (BIG, SMALL)
        )
        one_shop.settle()
        theirs = {"PEERS_DATABASE_URL": ground.another_database("bench_peers")}
        hordak = stack.enter_context(peer.running_peer("hordak_balance", theirs))
        hordak.ask(do="fill", legs=LEGS)
        balances(big, small, hordak)
        pages(big, small)
        requests(big, small)


def balances(big: Any, small: Any, hordak: peer.Peer) -> None:
    added_up = "the entries added up"
    compare(
        "reads_balance",
        [
            Arm(US, "product", lambda: timed(big.balance, OFTEN), f"What the API asks, of a shop of {BIG:,} entries."),
            Arm(SMALLER, "product", lambda: timed(small.balance, OFTEN)),
            Arm("one row by its key", "limit", lambda: timed(big.one_row, OFTEN), "The least that a question costs."),
            Arm(added_up, "peer", lambda: timed(big.added_up, SELDOM), "`sum(amount)` by the index of the shop."),
            Arm(
                "django-hordak",
                "peer",
                lambda: hordak.ask(do="read", legs=LEGS, times=SELDOM),
                f"`get_balance()` of an account of {LEGS:,} legs.",
            ),
        ],
        title=f"The balance of a shop of {BIG:,} entries",
        unit="balances",
        figure="p50_ms",
        goals=[
            Goal("A balance takes at most a millisecond", "p50_ms", at_most=1),
            Goal(f"It takes as long as with {SMALL:,} entries", "p50_ms", against=SMALLER, at_most=1.3),
            Goal("It takes a hundredth of adding up", "p50_ms", against=added_up, at_most=0.01),
        ],
        notes=["Our balance is a row that the posting transaction moves; its own moments are told by snapshots."],
    )


def pages(big: Any, small: Any) -> None:
    offset = "OFFSET to the middle"
    compare(
        "reads_page",
        [
            Arm(US, "product", lambda: timed(big.middle, OFTEN), "Fifty entries from the middle, by the last id."),
            Arm("Pushcart, the first page", "product", lambda: timed(big.first, OFTEN)),
            Arm("Pushcart, the last page", "product", lambda: timed(big.last, OFTEN)),
            Arm(SMALLER, "product", lambda: timed(small.middle, OFTEN)),
            Arm(offset, "peer", lambda: timed(big.by_offset, SELDOM), "The same page by its number."),
            Arm("COUNT(*)", "peer", lambda: timed(big.counted, SELDOM), "What numbered pages ask besides."),
        ],
        title=f"A page of the book, of {BIG:,} entries",
        unit="pages",
        figure="p50_ms",
        goals=[
            Goal("A page of the book takes at most 3 ms in the database and Django", "p50_ms", at_most=3),
            Goal(f"It takes as long as with {SMALL:,} entries", "p50_ms", against=SMALLER, at_most=1.3),
            Goal(
                "The first page takes as long", "p50_ms", arm="Pushcart, the first page", against=SMALLER, at_most=1.3
            ),
            Goal("The last page takes as long", "p50_ms", arm="Pushcart, the last page", against=SMALLER, at_most=1.3),
        ],
        notes=["Asked through Django as the API asks, and read whole."],
    )


def requests(big: Any, small: Any) -> None:
    numbered = "DRF's numbered pages"
    compare(
        "reads_request",
        [
            Arm(
                US, "product", lambda: timed(big.request, OFTEN), "`GET /api/v1/ledger/entries`, a page of the middle."
            ),
            Arm(SMALLER, "product", lambda: timed(small.request, OFTEN)),
            Arm(
                "Pushcart, payments", "product", lambda: timed(big.payments, OFTEN), "`GET /api/v1/payments`, the same."
            ),
            Arm("Pushcart, balance", "product", lambda: timed(big.balance_request, OFTEN)),
            Arm(
                numbered,
                "peer",
                lambda: timed(big.numbered, SELDOM),
                "The same view with `PageNumberPagination`, the page of the middle.",
            ),
        ],
        title=f"A page of the book as an answer of the API, of {BIG:,} entries",
        unit="answers",
        figure="p50_ms",
        goals=[
            Goal(f"An answer takes as long as with {SMALL:,} entries", "p50_ms", against=SMALLER, at_most=1.3),
            Goal("It takes a tenth of a numbered page", "p50_ms", against=numbered, at_most=0.1),
        ],
        notes=[
            "The whole request inside this process, by Django's test client: middleware, token, view, JSON; no socket.",
            "No request opens a connection to the database. Each asks who is calling (two questions) and for the page.",
        ],
    )


def timed(read: Callable[[], object], times: int) -> Figures:
    """How long one of them took: the middle one, the slowest of a hundred, and what of it was Python of ours."""
    read()
    took = []
    cpu = time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        read()
        took.append((time.perf_counter() - began) * 1000)
    used = (time.process_time() - cpu) / times
    return {"p50_ms": median(took), "p99_ms": sorted(took)[int(times * 0.99)], "cpu_us": used * 1e6}


if __name__ == "__main__":
    main()
