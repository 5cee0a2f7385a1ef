"""What one payment weighs: rows, bytes and index entries by table, write-ahead log, and time on a processor.

A payment is started, told of by the provider, posted, released and sealed, each by the product's own code, in one
process. `docs/scaling.md` reckons with what is printed here. Bytes do not move with the machine; processor time does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from bench import ground, rounds

PAYMENTS, SHOPS = rounds.size(50_000, 1_000), 500


def main() -> None:
    with ground.stores():
        from django.db import connection  # noqa: PLC0415  Django is set up only now.
        from django.utils import timezone  # noqa: PLC0415

        from bench import cast  # noqa: PLC0415
        from payments import books, chain, inbox, reconcile  # noqa: PLC0415
        from payments.providers.base import Verified  # noqa: PLC0415

        print(f"{PAYMENTS} payments of {SHOPS} shops")
        codes, account = cast.shops(SHOPS), cast.account()
        _run("VACUUM ANALYZE")
        before = _sizes()
        with _measured("started"):
            made = cast.intents(codes, PAYMENTS)
        words = []
        for intent in made:
            raw = ground.signed_request("http://bench/x", intent.reference, f"wpy_{intent.id.hex}", cast.AMOUNT)
            body = raw.partition(b"\r\n\r\n")[2]
            words.append(Verified(f"evt_{intent.id.hex}", body, "signed", headers=_HEADERS))
        with _measured("kept"):
            for word in words:
                assert inbox.keep(account=account, verified=word, now=timezone.now())
        with _measured("posted"):
            while inbox.has_due(now=timezone.now()):
                reconcile.drain(clock=timezone.now)
        later = timezone.now() + timedelta(days=2)
        with _measured("released"):
            while reconcile.release_due(now=later, limit=1000) == 1000:
                continue
        with _measured("sealed"):
            chain.seal(now=timezone.now(), in_time=lambda: True)
        _run("VACUUM")
        _print_sizes(before)
        broken = list(books.breaches())
        print(broken or "every law holds")
        connection.close()
        sys.exit(1 if broken else 0)


_HEADERS = {"webhook-id": "evt_" + "0" * 32, "webhook-timestamp": "1764400000", "webhook-signature": "v1," + "x" * 44}


@contextmanager
def _measured(step: str) -> Iterator[None]:
    """Prints what the step wrote to the log and what it took, for one payment."""
    log, ours, theirs, began = _log(), time.process_time(), _server_s(), time.perf_counter()
    yield
    bytes_, records, images = (after - was for after, was in zip(_log(), log, strict=True))
    print(
        f"  {step:<9} log {bytes_ / PAYMENTS:7.0f} bytes ({records / PAYMENTS:5.1f} records,"
        f" {images / PAYMENTS:5.2f} page images)   Python {(time.process_time() - ours) / PAYMENTS * 1e6:5.0f} µs"
        f"   PostgreSQL {(_server_s() - theirs) / PAYMENTS * 1e6:5.0f} µs"
        f"   {PAYMENTS / (time.perf_counter() - began):6.0f}/s",
        flush=True,
    )


def _log() -> tuple[int, int, int]:
    """Bytes, records and whole pages written to the write-ahead log so far."""
    _run("SELECT pg_stat_force_next_flush()")
    [(length, records, images)] = _run(
        "SELECT pg_current_wal_insert_lsn() - '0/0', wal_records, wal_fpi FROM pg_stat_wal"
    )
    return int(length), int(records), int(images)


def _server_s() -> float:
    """Seconds of a processor that our session has used at the server."""
    return ground.used_by(int(_run("SELECT pg_backend_pid()")[0][0]))


def _sizes() -> dict[str, tuple[int, int, int]]:
    """Rows, bytes of the table and bytes of its indexes; partitions count for the table that they are part of."""
    rows = _run(_SIZES_SQL)
    return {name: (int(rows_), int(heap), int(indexes)) for name, rows_, heap, indexes in rows}


def _print_sizes(before: dict[str, tuple[int, int, int]]) -> None:
    print(f"  {'table':<30} rows   bytes of it   of its indexes   for one payment")
    total = 0
    for name, now in sorted(_sizes().items(), key=lambda item: -item[1][1] - item[1][2]):
        rows, heap, indexes = (after - was for after, was in zip(now, before.get(name, (0, 0, 0)), strict=True))
        if heap + indexes >= PAYMENTS:  # Less than a byte for each is no payment's.
            print(f"  {name:<30} {rows / PAYMENTS:4.2f}   {heap / PAYMENTS:11.0f}   {indexes / PAYMENTS:14.0f}")
            total += heap + indexes
    print(f"  {'together':<30}        {total / PAYMENTS:11.0f} bytes for one payment")
    for name, inserted, updated, hot, deleted, indexes in _run(_WRITES_SQL):
        if inserted + updated + deleted >= PAYMENTS / 2:
            print(
                f"  {name:<30} inserted {inserted / PAYMENTS:4.2f}   updated {updated / PAYMENTS:4.2f}"
                f" (in place {hot / PAYMENTS:4.2f})   deleted {deleted / PAYMENTS:4.2f}   indexes {indexes}"
            )


def _run(question: str) -> list[Any]:
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(question)
        return list(cursor.fetchall()) if cursor.description else []


_SIZES_SQL = """
SELECT coalesce(pg_partition_root(oid), oid)::regclass::text AS name, sum(greatest(reltuples, 0))::bigint,
       sum(pg_table_size(oid)), sum(pg_indexes_size(oid))
  FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace GROUP BY 1
"""
_WRITES_SQL = """
SELECT coalesce(pg_partition_root(relid), relid)::regclass::text, sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_hot_upd),
       sum(n_tup_del), max((SELECT count(*) FROM pg_index WHERE indrelid = relid))
  FROM pg_stat_user_tables GROUP BY 1 ORDER BY 1
"""

if __name__ == "__main__":
    main()
