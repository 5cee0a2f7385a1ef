"""Answers `bench/drain.py`: fills what one way needs, has it book so many events, and checks its sums."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.peers.posting.settings"
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from bench.peers.posting import by_hand, hordak_ways, ledger_way  # noqa: E402

VENDORS = 500

Way = tuple[Callable[[int], None], Callable[[int], float], Callable[[int], None]]
WAYS: dict[str, Way] = {
    "hordak": (lambda _: hordak_ways.fill(VENDORS), hordak_ways.one_by_one, hordak_ways.check),
    "hordak in bulk": (lambda _: hordak_ways.fill(VENDORS), hordak_ways.in_bulk, hordak_ways.check),
    "django-ledger": (lambda _: ledger_way.fill(), ledger_way.one_by_one, ledger_way.check),
    "orm": (lambda events: by_hand.fill(events, VENDORS), lambda _: by_hand.in_a_loop(), by_hand.check),
    "celery": (lambda events: by_hand.fill(events, VENDORS), lambda _: by_hand.by_tasks(), by_hand.check),
}


def main() -> None:
    with open(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # Whatever a package prints goes where it disturbs nobody.
        call_command("migrate", "--run-syncdb", verbosity=0)
        worker = by_hand.worker()
        try:
            print("{}", file=answers)
            for line in sys.stdin:
                asked = json.loads(line)
                fill, book, check = WAYS[asked["way"]]
                took = 0.0
                match asked["do"]:
                    case "fill":
                        fill(asked["events"])
                        with connection.cursor() as cursor:
                            cursor.execute("ANALYZE")
                    case "book":
                        took = book(asked["events"])
                    case "check":
                        check(asked["events"])
                print(json.dumps({"took": took}), file=answers)
        finally:
            worker.terminate()
            worker.wait(30)


if __name__ == "__main__":
    main()
