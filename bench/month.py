"""A month of PAYMENTS payments with nine kinds of faults at one percent: found by name, resolved, undone; and how fast.

Seeded through the inbox, played evening by evening, each with its file. What is printed as matching is all looks of the
whole month by one worker, those included that only find that a provider has not answered yet.
"""

from __future__ import annotations

import gc
import os
import time
from functools import partial
from typing import Any

from bench import ground
from bench.rounds import Arm, Figures, Goal, compare, size

PAYMENTS = int(os.environ.get("PAYMENTS", size(100_000, 1_000)))
MATCHING_MAX_S = 60


def main() -> None:
    with ground.stores():
        from django.conf import settings  # noqa: PLC0415  Django is set up only now.
        from django.db import connection  # noqa: PLC0415
        from django.utils import timezone  # noqa: PLC0415

        from bench import planted  # noqa: PLC0415
        from merchants.models import User  # noqa: PLC0415
        from payments import books  # noqa: PLC0415

        settings.DEBUG = False  # While it is on, Django keeps every statement.
        operator = User.objects.create_user("+8613700137000")
        planted.contract(operator)
        month = planted.Month(PAYMENTS)
        began = time.perf_counter()
        month.seed()
        print(f"seeded     {PAYMENTS} payments in {time.perf_counter() - began:.0f} s, through the inbox", flush=True)
        gc.collect()
        gc.freeze()  # What this program remembers of the month is none of a worker's memory.
        compare(
            "month",
            [Arm("Pushcart", "product", partial(played, month))],
            title=f"A month of {PAYMENTS:,} payments against statements and bank",
            unit="looks",
            rounds=1,
            few="Once: a month is played evening by evening.",
            goals=[Goal("All looks of a month take a minute of one worker", "looking_s", at_most=MATCHING_MAX_S)],
            notes=["Nine kinds of faults at one percent each; all are found by their names, and nothing else is."],
        )
        found = month.found()
        for name, there in month.planted().items():
            print(
                f"           {name:<17} {len(found[name] & there):5} of {len(there):5}, {len(found[name] - there)} else"
            )
        print(f"           falsely matched {month.falsely_matched()}, unexplained questions {month.questions_beside()}")
        assert found == month.planted()
        assert (month.falsely_matched(), month.questions_beside()) == (0, {})
        hold(books)
        month.resolve(operator, timezone.now())
        print(f"resolved   suspense {planted.suspense()}")
        assert set(planted.suspense().values()) == {0}
        began = time.perf_counter()
        undone = month.undo_everything(operator, timezone.now())
        differing = planted.moved_by_matches()
        print(f"undone     {undone} matches in {time.perf_counter() - began:.0f} s; accounts that differ: {differing}")
        assert differing == 0
        hold(books)
        connection.close()


def played(month: Any) -> Figures:
    month.play()
    return {
        "rate": month.looks / month.look_s,
        "cpu_us": month.look_cpu_s / month.looks * 1e6,
        "looking_s": month.look_s,
        "seeking_s": month.seek_s,
    }


def hold(books: object) -> None:
    """Every law of the book; a whole month is read, so there is no limit on how long it may take."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    broken = list(books.breaches())  # type: ignore[attr-defined]
    assert not broken, broken[:3]
    print("           every law of the book holds")


if __name__ == "__main__":
    main()
