"""What the chain over the ledger costs the posting: the same drain without it, with its numbers, and beside a sealer.

In turn, in one run: the ledger without the chain's column and index; with them; and with them while another process
seals every second, where the product does so every minute. Beside the rate stands what the drain itself used of a
processor, in Python and in its database connection: that moves less with what else the machine does. Then the chain by
itself: a tail of ENTRIES entries is sealed, exported and verified.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import ground

ROUNDS, EVENTS, SHOPS = 6, 5000, 500
TAIL = int(os.environ.get("ENTRIES", "200000"))

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
NO_NUMBERS = """
DROP INDEX ledger_entry_number;
ALTER TABLE payments_ledgerentry ALTER COLUMN number DROP IDENTITY, ALTER COLUMN number DROP NOT NULL;
"""

Figures = tuple[float, float]  # Events per second, and µs of a processor for each.


def main() -> None:
    with ground.stores():
        from importlib import import_module  # noqa: PLC0415  Django is set up only now.

        from django.conf import settings  # noqa: PLC0415
        from django.db import connection  # noqa: PLC0415

        settings.DEBUG = False  # While it is on, Django keeps every statement.
        ground.say_conditions()
        migration = import_module("payments.migrations.0005_chain")
        found: dict[str, list[Figures]] = {"without": [], "numbered": [], "sealing": []}
        drained()  # The first drain of a process is slower, and nobody's fault.
        ways = {"without": drained, "numbered": drained, "sealing": lambda: beside_a_sealer(drained)}
        for number in range(ROUNDS):
            for name in [*ways][number % 3 :] + [*ways][: number % 3]:
                renumber(migration.NOT_NUMBERED, migration.NUMBERED)  # Each on tables that were just written anew.
                if name == "without":
                    with connection.cursor() as cursor:
                        cursor.execute(NO_NUMBERS)
                found[name].append(ways[name]())
            print(
                "  " + ", ".join(f"{name} {rows[-1][0]:5.0f}/s {rows[-1][1]:4.0f} µs" for name, rows in found.items())
            )
        for name, rows in found.items():
            pairs = list(zip(rows, found["without"], strict=True))
            rate, faster = median(row[0] for row in rows), median(row[0] / base[0] for row, base in pairs)
            cost, dearer = median(row[1] for row in rows), median(row[1] / base[1] for row, base in pairs)
            print(f"{name:<10} {rate:5.0f} events/s ({faster:.2f} of without), {cost:4.0f} µs each ({dearer:.2f})")
        by_itself()
        connection.close()


def drained() -> Figures:
    """One drain over a full inbox."""
    from django.db import connection  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from bench import cast  # noqa: PLC0415
    from merchants import ids  # noqa: PLC0415
    from merchants.models import Code  # noqa: PLC0415
    from payments import reconcile  # noqa: PLC0415
    from payments.models import QueuedEvent, WebhookEvent  # noqa: PLC0415

    codes = list(Code.objects.all()) or cast.shops(SHOPS)
    account, now = cast.account(), timezone.now()
    events = []
    for n, intent in enumerate(cast.intents(codes, EVENTS)):
        request = ground.signed_request("http://bench/x", intent.reference, f"wpy_{intent.id.hex}", cast.AMOUNT)
        raw = request.partition(b"\r\n\r\n")[2]
        delivery = f"{intent.id.hex}-{n}"
        events.append(
            WebhookEvent(
                id=ids.new(now), provider_account=account, delivery_id=delivery, raw=raw, authority="signed",
                received_at=now,
            )
        )  # fmt: skip
    WebhookEvent.objects.bulk_create(events, batch_size=1000)
    QueuedEvent.objects.bulk_create(
        (QueuedEvent(event_id=event.id, due_at=now, received_at=now) for event in events), batch_size=1000
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        database = cursor.fetchone()[0]
    used, began = time.process_time() + ground.used_by(database), time.perf_counter()
    assert reconcile.drain(clock=timezone.now) == EVENTS
    took, used = time.perf_counter() - began, time.process_time() + ground.used_by(database) - used
    return EVENTS / took, used / EVENTS * 1e6


def beside_a_sealer(measured: Callable[[], Figures]) -> Figures:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    sealer = subprocess.Popen([sys.executable, "-c", SEALER], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert sealer.stdout is not None and sealer.stdout.readline() == "ready\n"
        return measured()
    finally:
        sealer.kill()
        sealer.wait()


def renumber(undo: str, do: str) -> None:
    """Gives the chain's column back as its migration makes it, over the entries that are there; seals begin anew."""
    from django.db import connection, transaction  # noqa: PLC0415

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica; DELETE FROM payments_seal")
        cursor.execute(undo)
        cursor.execute(do)


def by_itself() -> None:
    """Seals, exports and verifies a tail of plain entries."""
    from django.db import connection  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from payments import chain, verify_chain  # noqa: PLC0415

    while chain.seal(now=timezone.now()):
        continue
    for first in range(1, TAIL, 100_000):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO payments_ledgerentry (id, key, kind, debit_id, credit_id, amount, currency, shop_id,"
                " payment_id, event_id, occurred_at, recorded_at) SELECT gen_random_uuid(), 'bench|' || n, kind,"
                " debit_id, credit_id, n, currency, shop_id, payment_id, event_id, now(), now()"
                " FROM generate_series(%s, %s) AS n, (SELECT * FROM payments_ledgerentry LIMIT 1) AS like_this",
                [first, min(first + 99_999, TAIL)],
            )
    before, began = peak_mb(), time.perf_counter()
    sealed = chain.seal(now=timezone.now())
    took, more = time.perf_counter() - began, peak_mb() - before
    assert sealed == TAIL
    print(f"sealed     {sealed} entries in {took:.1f} s: {took / sealed * 1e6:.0f} µs each; peak memory +{more:.0f} MB")
    with TemporaryDirectory(prefix="pushcart-bench-") as folder:
        file = Path(folder) / "ledger.jsonl"
        before, began = peak_mb(), time.perf_counter()
        with file.open("wb") as output:
            for line in chain.export(now=timezone.now()):
                output.write(line + b"\n")
        took = time.perf_counter() - began
        print(
            f"exported   {file.stat().st_size / 1e6:.0f} MB in {took:.1f} s; peak memory +{peak_mb() - before:.0f} MB"
        )
        before, began = peak_mb(), time.perf_counter()
        proof = verify_chain.verify(file)
        took = time.perf_counter() - began
        print(f"verified   {proof.entries} entries in {took:.1f} s; peak memory +{peak_mb() - before:.0f} MB")
        assert proof.unsealed == 0


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
