"""What the chain over the ledger costs the posting: the same drain without it, with its numbers, and beside a sealer.

In turn, in one run: the ledger without the chain's column and index; with them; and with them while another process
seals every second, where the product does so every minute. Then the chain by itself: a tail of ENTRIES entries is
sealed, exported and verified.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench import ground
from bench.drain import drain
from bench.rounds import Arm, Figures, compare, size

if TYPE_CHECKING:
    from bench.full_inbox import FullInbox

EVENTS = size(5_000, 500)
TAIL = int(os.environ.get("ENTRIES", size(200_000, 2_000)))

SEALER = """
import time
import django
django.setup()
from django.utils import timezone
from payments import chain
print("ready", flush=True)
while True:
    chain.seal(now=timezone.now())
    time.sleep(1)
"""


def main() -> None:
    with ground.stores(), TemporaryDirectory(prefix="pushcart-bench-") as folder:
        from django.conf import settings  # noqa: PLC0415  Django is set up only now.
        from django.db import connection  # noqa: PLC0415

        from bench.full_inbox import FullInbox  # noqa: PLC0415

        settings.DEBUG = False  # While it is on, Django keeps every statement.
        inbox = FullInbox(EVENTS)
        drained(inbox)  # The first drain of a process is slower, and nobody's fault.
        ground.warm_wal()
        compare(
            "chain",
            [
                Arm("Pushcart", "product", partial(drained, inbox), "Entries are numbered for the chain."),
                Arm("Pushcart, beside a sealer", "product", partial(beside_a_sealer, inbox), "Sealed every second."),
                Arm("without the chain", "limit", partial(unnumbered, inbox), "The ledger without its numbers."),
            ],
            title="What the chain over the ledger costs the posting",
        )
        file = Path(folder) / "ledger.jsonl"
        long_tail()
        compare(
            "chain-itself",
            [
                Arm("sealed", "product", partial(by_itself, sealed)),
                Arm("exported", "product", partial(by_itself, partial(exported, file))),
                Arm("verified", "product", partial(by_itself, partial(verified, file))),
            ],
            title="The chain by itself",
            unit="entries",
            rounds=1,
            few="Once: a tail is sealed only once.",
            notes=[f"{TAIL:,} entries that wait to be sealed: sealed, exported, and verified as an outsider does."],
        )
        connection.close()


def drained(inbox: FullInbox) -> Figures:
    ground.empty("payments_seal")
    return inbox.measured(drain)


def beside_a_sealer(inbox: FullInbox) -> Figures:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    sealer = subprocess.Popen([sys.executable, "-c", SEALER], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert sealer.stdout is not None and sealer.stdout.readline() == "ready\n"
        return drained(inbox)
    finally:
        sealer.kill()
        sealer.wait()


def unnumbered(inbox: FullInbox) -> Figures:
    with without_numbers():
        return inbox.measured(drain, prove=False)


@contextmanager
def without_numbers() -> Iterator[None]:
    """The ledger without the chain's index and numbers until the block ends; then it is emptied, and has them again."""
    from django.db import connection  # noqa: PLC0415  Django is set up only now.

    ledger = "payments_ledgerentry"
    ground.empty(ledger, "payments_seal")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef LIKE '%%(number%%'", [ledger]
        )
        indexes = cursor.fetchall()
        assert indexes, "the chain's numbers have an index"
        for name, _definition in indexes:
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute(f"ALTER TABLE {ledger} ALTER number DROP IDENTITY, ALTER number DROP NOT NULL")
    try:
        yield
    finally:
        ground.empty(ledger)
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {ledger} ALTER number SET NOT NULL")
            cursor.execute(f"ALTER TABLE {ledger} ALTER number ADD GENERATED ALWAYS AS IDENTITY")
            for _name, definition in indexes:
                cursor.execute(definition.replace(" ON ONLY ", " ON "))


def long_tail() -> None:
    """So many plain entries that wait to be sealed, like one that was posted."""
    from django.db import connection  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from payments import chain  # noqa: PLC0415

    while chain.seal(now=timezone.now()):
        continue
    for first in range(1, TAIL, 100_000):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO payments_ledgerentry (id, key, kind, debit_id, credit_id, amount, currency, shop_id,"
                " payment_id, event_id, occurred_at, recorded_at) SELECT uuidv7(), 'bench|' || n, kind,"
                " debit_id, credit_id, n, currency, shop_id, payment_id, event_id, now(), now()"
                " FROM generate_series(%s, %s) AS n, (SELECT * FROM payments_ledgerentry LIMIT 1) AS like_this",
                [first, min(first + 99_999, TAIL)],
            )


def by_itself(work: Callable[[], int]) -> Figures:
    """What the work took for each entry, and by how much the greatest memory of this process grew."""
    before, began = peak_mb(), time.perf_counter()
    entries = work()
    took = time.perf_counter() - began
    return {"rate": entries / took, "took_s": took, "more_mb": peak_mb() - before}


def sealed() -> int:
    from django.utils import timezone  # noqa: PLC0415

    from payments import chain  # noqa: PLC0415

    entries = chain.seal(now=timezone.now())
    assert entries == TAIL
    return entries


def exported(file: Path) -> int:
    from django.utils import timezone  # noqa: PLC0415

    from payments import chain  # noqa: PLC0415

    with file.open("wb") as output:
        for line in chain.export(now=timezone.now()):
            output.write(line + b"\n")
    return TAIL


def verified(file: Path) -> int:
    from payments import verify_chain  # noqa: PLC0415

    proof = verify_chain.verify(file)
    assert proof.unsealed == 0
    return proof.entries


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
