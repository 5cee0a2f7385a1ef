"""How the product's figures move as one database grows: to 10,000,000 payments, or through the sizes that are named.

    python -m bench.growth [0 10000 1000000 10000000]

The database begins empty and freshly analysed, when plans for small tables are tempting; it is filled by `bench.fill`
between the sizes and never emptied. At each size the same is asked in turn, of the shop that has a tenth of everything:
the drain of a full inbox, a notification kept, the balance now and of yesterday noon, pages of entries and payments.
"""

from __future__ import annotations

import gc
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from statistics import median
from typing import Any

from bench import fill, ground, rounds

ROUNDS = 5
EVENTS = rounds.size(5_000, 500)
CALLS = rounds.size(200, 20)
WALKED = 100.0  # What the planner thinks that reading a table from end to end costs, of some thousand rows and more.
HOLDS = 1.3  # A figure that does not grow stays within so much of what it was.

Figures = dict[str, float]


def main() -> None:
    named = [int(one) for one in sys.argv[1:] if one.isdigit()]
    sizes = sorted(named) or ([0, 5_000, 20_000] if rounds.QUICK else [0, 10_000, 1_000_000, 10_000_000])
    with ground.stores():
        from django.conf import settings  # noqa: PLC0415  Django is set up only now.
        from django.db import connection  # noqa: PLC0415
        from django.utils import timezone  # noqa: PLC0415

        settings.DEBUG = False  # While it is on, Django keeps every statement.
        settings.ALLOWED_HOSTS = ["testserver"]
        fill.make_months(timezone.now())
        fill.make_shops(timezone.now())
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("VACUUM ANALYZE")  # What autovacuum does to an empty database on its first day.
        found: dict[int, list[Figures]] = {}
        notes = []
        work = Work()
        for size in sizes:
            there = fill.payments()
            if size > there:
                rate = fill.fill(size - there, now=timezone.now())
                notes.append(f"From {there:,} to {size:,} payments were filled in at {rate:,.0f} a second.")
                print(notes[-1])
                fill.print_sizes(size)
            work.prove_plans(size)
            print(f"{size} payments", flush=True)
            found[size] = [work.once() for _ in range(2 if rounds.QUICK else ROUNDS)]
            print(f"  {rounds._said({name: median(one[name] for one in found[size]) for name in found[size][0]})}")
        tell(found, notes)
        hold()
        connection.close()


class Work:
    """What is measured at every size, by the same shop and in the same session."""

    def __init__(self) -> None:
        from django.utils import timezone  # noqa: PLC0415
        from rest_framework.test import APIClient  # noqa: PLC0415

        from bench import cast  # noqa: PLC0415
        from merchants.models import Shop, Staff, Token, User  # noqa: PLC0415

        self.shop = Shop.objects.get(check_word="filled stall 0")
        user = User.objects.create_user("+8613800138000")
        Staff.objects.create(user=user, shop=self.shop, role="owner")
        _row, token = Token.objects.create(user, shop=self.shop)
        self.client = APIClient()
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        self.codes, self.account = cast.shops(200), cast.account()
        self.yesterday = timezone.now() - timedelta(hours=12)
        self.delivered = 0
        gc.collect()
        gc.freeze()  # As each of the product's processes does when it has begun.

    def once(self) -> Figures:
        """One round: everything once, each figure the median of its calls."""
        from payments import ledger  # noqa: PLC0415

        return {
            "rate": self.drain(),
            "keep_ms": self.timed(self.keep),
            "balance_ms": self.timed(lambda: ledger.balance(shop=self.shop)),
            "balance_at_ms": self.timed(lambda: ledger.balance(shop=self.shop, at=self.yesterday), 10),
            "entries_sql_ms": self.timed(lambda: list(self.entries()[:51])),
            "entries_middle_sql_ms": self.timed(lambda: list(self.entries().filter(id__lt=self.middle())[:51])),
            "entries_ms": self.timed(lambda: self.get("/api/v1/ledger/entries"), CALLS // 4),
            "payments_ms": self.timed(lambda: self.get("/api/v1/payments"), CALLS // 4),
            "calibration_ms": rounds.calibrate_ms(),
        }

    def drain(self) -> float:
        """Events of a full inbox that are applied in a second by one worker."""
        from django.utils import timezone  # noqa: PLC0415

        from bench import cast  # noqa: PLC0415
        from payments import reconcile  # noqa: PLC0415
        from payments.models import Delivery, QueuedEvent, WebhookEvent  # noqa: PLC0415

        made, now = cast.intents(self.codes, EVENTS), timezone.now()
        events = [
            WebhookEvent(
                id=one.page, provider_account=self.account, delivery_id=f"drain-{one.id.hex}", authority="signed",
                raw=ground.signed_request("http://bench/x", one.reference, f"wpy_{one.id.hex}", cast.AMOUNT).partition(
                    b"\r\n\r\n"
                )[2],
                received_at=now,
            )
            for one in made
        ]  # fmt: skip
        told = [Delivery(provider_account=self.account, delivery_id=one.delivery_id, event_id=one.id) for one in events]
        Delivery.objects.bulk_create(told, batch_size=1000)
        WebhookEvent.objects.bulk_create(events, batch_size=1000)
        QueuedEvent.objects.bulk_create(
            (QueuedEvent(event_id=one.id, due_at=now, received_at=now) for one in events), batch_size=1000
        )
        gc.collect()
        began = time.perf_counter()
        taken = 0
        while taken < EVENTS:  # One drain gives way to other tasks after settings.DRAIN_FOR.
            more = reconcile.drain(clock=timezone.now)
            assert more, f"{taken} of {EVENTS} events were taken"
            taken += more
        return taken / (time.perf_counter() - began)

    def keep(self) -> None:
        from django.utils import timezone  # noqa: PLC0415

        from payments import inbox  # noqa: PLC0415
        from payments.providers.base import Verified  # noqa: PLC0415

        self.delivered += 1
        word = Verified(f"kept-{self.delivered}", b"{}" + b" " * 1400, "signed", headers={"webhook-id": "x"})
        assert inbox.keep(account=self.account, verified=word, now=timezone.now())
        inbox.settle([self.newest("kept", self.delivered)])

    def newest(self, word: str, number: int) -> Any:
        from payments.models import Delivery  # noqa: PLC0415

        return Delivery.objects.get(provider_account=self.account, delivery_id=f"{word}-{number}").event_id

    def entries(self) -> Any:
        """The query of the list of entries (payments/book_views.py), as its pages put it."""
        from payments.book_views import ENTRY  # noqa: PLC0415
        from payments.models import LedgerEntry  # noqa: PLC0415

        return LedgerEntry.objects.filter(shop=self.shop).values(*ENTRY).order_by("-id")

    def middle(self) -> Any:
        from django.utils import timezone  # noqa: PLC0415

        from merchants import ids  # noqa: PLC0415

        return ids.first_of(timezone.now() - fill.MONTHS / 2)

    def get(self, address: str) -> None:
        answer = self.client.get(address)
        assert answer.status_code == 200, answer.content

    def timed(self, call: Callable[[], object], calls: int = CALLS) -> float:
        """Milliseconds of one call, the median of so many."""
        took = []
        for _ in range(calls):
            began = time.perf_counter()
            call()
            took.append((time.perf_counter() - began) * 1000)
        return median(took)

    def prove_plans(self, size: int) -> None:
        """No page, and no look-up by ids, walks through a table of this size."""
        from payments.models import EntryKey, Payment, WebhookEvent  # noqa: PLC0415

        if size < 100_000:
            return
        asked = {
            "entries": self.entries()[:51],
            "entries from the middle": self.entries().filter(id__lt=self.middle())[:51],
            "payments": Payment.objects.filter(shop=self.shop).order_by("-occurred_at", "-id")[:51],
            "events by their ids": WebhookEvent.objects.filter(id__in=[self.middle()]),
            "a key": EntryKey.objects.filter(key="paid|x"),
        }
        for name, rows in asked.items():
            plan = rows.explain()
            costs = re.findall(r"Seq Scan on (\w+).*?\.\.([\d.]+)", plan)
            # A month that holds nothing, and the few accounts of a shop, are read as they are.
            walked = [table for table, cost in costs if float(cost) > WALKED and table != "payments_account"]
            assert not walked, (name, plan)


def tell(found: dict[int, list[Figures]], notes: list[str]) -> None:
    """Prints how each figure moved, and keeps the result."""
    names = [f"{size:,} payments" for size in found]
    first, last = min(found), max(found)
    small = f"{next((size for size in sorted(found) if size), first):,} payments"  # Where a page has rows.
    print(f"  {'':<24}" + "".join(f"{name:>24}" for name in names) + f"{'last ÷ first':>14}")
    for figure in found[first][0]:
        row = [median(one[figure] for one in found[size]) for size in found]
        print(f"  {figure:<24}" + "".join(f"{value:>24.4g}" for value in row) + f"{row[-1] / row[0]:>14.2f}")
    arms = []
    for name, measured in zip(reversed(names), [found[size] for size in reversed(found)], strict=True):
        what = "the same work in the same database" if name != names[-1] else "one database that has grown"
        arms.append(rounds.Arm(name, "product", replayed(iter(measured)), what=what))
    rounds.compare(
        "growth",
        arms,
        title="As the database grows",
        rounds=min(map(len, found.values())),
        goals=[
            rounds.Goal(f"the drain keeps its pace at {last:,}", against=names[0], at_least=0.8),
            rounds.Goal("a notification is kept as fast", figure="keep_ms", against=names[0], at_most=HOLDS),
            rounds.Goal("a balance takes at most 1 ms", figure="balance_ms", at_most=1),
            rounds.Goal(f"a balance takes what it took at {small}", figure="balance_ms", against=small, at_most=HOLDS),
            rounds.Goal("the first page of entries: at most 3 ms", figure="entries_sql_ms", at_most=3),
            rounds.Goal(
                f"the first page takes what it took at {small}", figure="entries_sql_ms", against=small, at_most=HOLDS
            ),
            rounds.Goal("a page in the middle: at most 3 ms", figure="entries_middle_sql_ms", at_most=3),
            rounds.Goal(
                f"a page in the middle takes what it took at {small}",
                figure="entries_middle_sql_ms",
                against=small,
                at_most=HOLDS,
            ),
        ],
        notes=[
            *notes,
            f"Sizes were measured one after another, {first:,} first; each has its own calibration among its figures.",
        ],
    )


def replayed(measured: Iterator[Figures]) -> Callable[[], Figures]:
    """What was measured at its time, told round by round."""
    return lambda: next(measured)


def hold() -> None:
    from payments import books  # noqa: PLC0415

    broken = list(books.breaches(limit=3))
    print("books:", broken or "every law holds")
    assert not broken


if __name__ == "__main__":
    main()
