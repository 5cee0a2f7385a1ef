"""Fills a database with any number of payments in bounded time, consistent enough for every law of the book.

Rows are made by PostgreSQL itself, set by set, in a session without triggers; the indexes of the filled tables are
dropped before and built after. Payments are spread over the months before now and over shops of all sizes: one in ten
belongs to the first shop, so ten million give it a million. Each shop is paid into its own account at a wallet, so a
payment is one entry. Raw bodies are written for the last 30 days alone: those of before count as retired, as their
delivery's names stay. Called again it adds to what is there.

    python -m bench.fill 1000000     (into the database that DATABASE_URL names; a superuser's, since triggers are off)
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import django
from django.db import connection, transaction

SHOPS = 5_000
MONTHS, BODIES = timedelta(days=365), timedelta(days=30)
AT_ONCE = 500_000
SESSIONS = 2  # Of PostgreSQL: what is written is halved between them, as are the indexes.
LARGE_SHOPS = 6  # The first takes 10 %, five more 1 % each.
TABLES = (
    "payments_paymentintent", "payments_payment", "payments_ledgerentry", "payments_entrykey", "payments_delivery",
    "merchants_notice",
)  # fmt: skip


def fill(count: int, *, now: datetime, say: bool = True) -> float:
    """Adds so many payments; answers how many were made in a second, indexes and analysis included."""
    from payments import ledger  # noqa: PLC0415  Django is set up only now.

    began = time.perf_counter()
    make_months(now)
    make_shops(now)
    first = payments()
    with ThreadPoolExecutor(SESSIONS) as pool, _without_indexes(pool):
        for done in range(0, count, AT_ONCE):
            some = min(AT_ONCE, count - done)
            chunk = _chunk(first + done, some, count, done, now)
            list(pool.map(partial(_add, chunk, now - BODIES), ((*_EXPECTED_SQL, _HOURS_SQL), _BOOKED_SQL)))
            if say:
                print(f"  {done + some:>10} payments, {time.perf_counter() - began:6.0f} s", flush=True)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_UNHURRIED)
        # What was added lies before snapshots that there may be: they are taken anew, as on the last two midnights.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM payments_balancesnapshot")
        for table in (*TABLES, "payments_webhookevent", "payments_account", "payments_accountbalance"):
            cursor.execute(f"ANALYZE {table}")
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for moment in (midnight - timedelta(days=1), midnight):
            ledger.take_snapshots(moment=moment)
    return count / (time.perf_counter() - began)


def make_months(now: datetime) -> None:
    """The months of the past, instead of one part for all of it; only where that is still empty."""
    for table in ("payments_webhookevent", "payments_ledgerentry"):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT name FROM pushcart_partitions(%s) WHERE since IS NULL AND NOT rest", [table])
            for (name,) in cursor.fetchall():
                if _scalar(f"SELECT EXISTS (SELECT FROM {name})"):
                    continue
                cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {name}")
                cursor.execute(f"DROP TABLE {name}")
            for back in range(13):
                month = (now.year * 12 + now.month - 1 - back) // 12, (now.month - 1 - back) % 12 + 1
                cursor.execute("SELECT pushcart_make_partition(%s, make_date(%s, %s, 1))", [table, *month])


def make_shops(now: datetime) -> None:
    """SHOPS shops, each with a code, an account of its own at a wallet, and its two accounts in the book."""
    from merchants.models import Code, Shop  # noqa: PLC0415  Django is set up only now.
    from payments import credentials  # noqa: PLC0415
    from payments.models import ProviderAccount  # noqa: PLC0415

    if _scalar("SELECT to_regclass('bench_shop')"):
        return
    sealed = credentials.sealed({"api_key": "a-key-of-the-bench", "webhook_secrets": ""})
    common = {"country": "CN", "currency": "CNY", "time_zone": "Asia/Shanghai", "currency_locked_at": now}
    shops = [Shop(name=f"Stall {n}", check_word=f"filled stall {n}", **common) for n in range(SHOPS)]
    Shop.objects.bulk_create(shops, batch_size=1000)
    codes = Code.objects.bulk_create((Code(shop=shop, kind="shop") for shop in shops), batch_size=1000)
    accounts = ProviderAccount.objects.bulk_create(
        (
            ProviderAccount(
                provider="sandbox", name=f"fill-{n}", shop=shop, funds="direct", sealed_credentials=sealed
            )
            for n, shop in enumerate(shops)
        ),
        batch_size=1000,
    )  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bench_shop (no int PRIMARY KEY, shop_id uuid, code_id uuid, account_id uuid,"
            " debit_id bigint, credit_id bigint)"
        )
        cursor.execute(
            "INSERT INTO bench_shop SELECT * FROM unnest(%s::int[], %s::uuid[], %s::uuid[], %s::uuid[])",
            [list(range(SHOPS)), *([one.id for one in rows] for rows in (shops, codes, accounts))],
        )
        cursor.execute(_ACCOUNTS_SQL)


def payments() -> int:
    """How many payments were filled in until now."""
    return _scalar("SELECT coalesce(sum(last), 0)::bigint FROM merchants_noticecounter JOIN bench_shop USING (shop_id)")


def sizes() -> list[tuple[str, int, int, int]]:
    """Each table's name, rows, bytes without indexes, and bytes of its indexes; partitions counted to their parent."""
    with connection.cursor() as cursor:
        cursor.execute(_SIZES_SQL)
        return cursor.fetchall()


def print_sizes(payments: int) -> None:
    print(f"  {'':<28} {'rows':>11} {'table MB':>9} {'index MB':>9} {'bytes/payment':>13}")
    rows = sizes()
    for name, count, table, index in [*rows, ("all", 0, sum(r[2] for r in rows), sum(r[3] for r in rows))]:
        each = (table + index) / max(payments, 1)
        print(f"  {name:<28} {count:>11} {table / 1e6:>9.0f} {index / 1e6:>9.0f} {each:>13.0f}", flush=True)


# --- Making rows -----------------------------------------------------------------------------------------------------


def _chunk(first: int, count: int, whole: int, done: int, now: datetime) -> dict[str, Any]:
    """Times go evenly over the months, so ids ascend; chunks follow each other in time."""
    step = MONTHS / whole
    start = now - MONTHS + step * done
    return {"first": first, "last": first + count - 1, "start": start, "step": step, "shops": SHOPS}


def _add(chunk: dict[str, Any], bodies: datetime, statements: Sequence[str]) -> None:
    """One session's share of a chunk, committed. Each makes the chunk for itself: that costs less than to share it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_UNHURRIED)
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(_CHUNK_SQL, chunk)
        for statement in statements:
            cursor.execute(statement, {"bodies": bodies})
    connection.close()


@contextmanager
def _without_indexes(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Drops what is cheaper to build once than to keep: all but keys that others point to, which come in order."""
    with connection.cursor() as cursor:
        cursor.execute(_INDEXES_SQL, [list(TABLES)])
        dropped = cursor.fetchall()
        for table, name, constraint, _made in dropped:
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"' if constraint else f'DROP INDEX "{name}"')
    try:
        yield
    finally:
        statements = [
            f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {rule}' if rule else made.replace(" ON ONLY ", " ON ")
            for table, name, rule, made in dropped
        ]
        list(pool.map(_build, statements))


def _build(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_UNHURRIED)
        cursor.execute(statement)
    connection.close()


def _scalar(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        found = cursor.fetchone()[0]
        return found if isinstance(found, int) else int(found is not None)


_UNHURRIED = """
SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL work_mem = '128MB'; SET LOCAL maintenance_work_mem = '512MB';
"""
_ACCOUNTS_SQL = """
WITH made AS (
    INSERT INTO payments_account (key, kind, currency, funds, shop_id, provider_account_id)
    SELECT concat_ws('|', 'settled_direct', 'CNY', 'direct', replace(shop_id::text, '-', ''),
                     replace(account_id::text, '-', '')), 'settled_direct', 'CNY', 'direct', shop_id, account_id
      FROM bench_shop
     UNION ALL
    SELECT concat_ws('|', 'shop_available', 'CNY', 'direct', replace(shop_id::text, '-', ''), ''),
           'shop_available', 'CNY', 'direct', shop_id, NULL
      FROM bench_shop
    RETURNING id, kind, shop_id
)
UPDATE bench_shop SET debit_id = debit.id, credit_id = credit.id FROM made debit JOIN made credit USING (shop_id)
 WHERE debit.kind = 'settled_direct' AND credit.kind = 'shop_available' AND bench_shop.shop_id = debit.shop_id
"""

# An id is a moment and bits of a hash of the payment's number; the ids of the rows of one payment differ in a letter.
_ID = (
    "(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')"
    " || '7' || substr(hash, 1, 3) || '{}' || substr(hash, {}, 15))::uuid"
)
_CHUNK_SQL = f"""
CREATE TEMP TABLE chunk ON COMMIT DROP AS
SELECT n, at, hash, 100 + n %% 4900 AS amount, shop.*,
       {_ID.format("8", 4)} AS payment_id, {_ID.format("9", 4)} AS intent_id, {_ID.format("a", 4)} AS entry_id,
       {_ID.format("b", 4)} AS event_id, {_ID.format("8", 18)} AS page_id
  FROM (SELECT n, date_trunc('milliseconds', %(start)s + (n - %(first)s) * %(step)s::interval) AS at,
               md5('fill' || n) AS hash,
               CASE WHEN n %% 10 = 0 THEN 0 WHEN n %% 20 = 1 THEN 1 + n / 20 %% 5
                    ELSE 6 + (hashint8(n) & 2147483647) %% (%(shops)s - 6) END AS no
          FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS made
  JOIN bench_shop shop USING (no)
"""
_KEY = "'paid|' || replace(payment_id::text, '-', '')"
_NAME = "'fill-' || hash"
# What one session writes: what was expected, and what happened.
_EXPECTED_SQL = (
    """INSERT INTO payments_paymentintent
        (id, shop_id, code_id, provider_account_id, amount, currency, quantity, description, state, closing, single_use,
         page, payer, receipt, provider_object_id, redirect_url, handover, start_failure, created_at, expires_at,
         closed_at)
    SELECT intent_id, shop_id, code_id, account_id, amount, 'CNY', 1, 'Apples', 'paid', '', false, page_id,
           hash || hash, substr(hash, 11, 22), 'wor_' || substr(hash, 1, 24), 'https://wallet.example/' || hash, '{}',
           '', at, at + interval '15 minutes', at
      FROM chunk""",
    """INSERT INTO payments_payment
        (id, provider_account_id, object_id, shop_id, intent_id, amount, currency, match, placed, occurred_at,
         recorded_at, fee_amount)
    SELECT payment_id, account_id, 'wpy_' || hash, shop_id, intent_id, amount, 'CNY', 'exact', true, at, at, 0
      FROM chunk""",
    f"""INSERT INTO payments_webhookevent
        (id, provider_account_id, delivery_id, raw, headers, key_id, authority, received_at)
    SELECT event_id, account_id, {_NAME},
           convert_to(format('{{"id":"wpy_%%s","reference":"%%s","amount":%%s,"currency":"CNY","state":"succeeded",'
                             '"occurred_at":"%%s","note":"%%s"}}', hash, intent_id, amount, at, repeat('x', 700)),
                      'UTF8'),
           jsonb_build_object('webhook-id', hash, 'webhook-timestamp', at::text, 'webhook-signature', 'v1,' || hash),
           '', 'signed', at
      FROM chunk WHERE at >= %(bodies)s""",
)
_HOURS_SQL = """INSERT INTO payments_hourrollup AS kept (hour, currency, slot, payments, amount)
    SELECT date_trunc('hour', at, 'UTC'), 'CNY', 0, count(*), sum(amount) FROM chunk GROUP BY 1
        ON CONFLICT (hour, currency, slot) DO UPDATE
       SET payments = kept.payments + EXCLUDED.payments, amount = kept.amount + EXCLUDED.amount"""
# And what the other one writes: what was booked and told.
_BOOKED_SQL = (
    f"""INSERT INTO payments_ledgerentry
        (id, key, kind, debit_id, credit_id, amount, currency, shop_id, payment_id, event_id, occurred_at, recorded_at)
    SELECT entry_id, {_KEY}, 'paid', debit_id, credit_id, amount, 'CNY', shop_id, payment_id, event_id, at, at
      FROM chunk""",
    f"INSERT INTO payments_entrykey SELECT {_KEY}, entry_id FROM chunk",
    f"INSERT INTO payments_delivery SELECT account_id, {_NAME}, event_id FROM chunk",
    """INSERT INTO merchants_notice (id, shop_id, number, kind, data, about, created_at)
    SELECT event_id, chunk.shop_id,
           coalesce(counter.last, 0) + row_number() OVER (PARTITION BY chunk.shop_id ORDER BY n), 'payment_received',
           jsonb_build_object('payment', payment_id, 'amount', amount, 'currency', 'CNY', 'match', 'exact',
                              'occurred_at', at), payment_id, at
      FROM chunk LEFT JOIN merchants_noticecounter counter ON counter.shop_id = chunk.shop_id""",
    """INSERT INTO merchants_noticecounter AS counter (shop_id, last)
    SELECT shop_id, count(*) FROM chunk GROUP BY shop_id ORDER BY shop_id
        ON CONFLICT (shop_id) DO UPDATE SET last = counter.last + EXCLUDED.last""",
    """INSERT INTO payments_accountbalance AS held (account_id, debits, credits)
    SELECT debit_id, sum(amount), 0 FROM chunk GROUP BY debit_id
     UNION ALL
    SELECT credit_id, 0, sum(amount) FROM chunk GROUP BY credit_id
        ON CONFLICT (account_id) DO UPDATE
       SET debits = held.debits + EXCLUDED.debits, credits = held.credits + EXCLUDED.credits""",
)
_INDEXES_SQL = """
SELECT held.relname, made.relname, pg_get_constraintdef(rule.oid), pg_get_indexdef(made.oid)
  FROM pg_index JOIN pg_class made ON made.oid = indexrelid JOIN pg_class held ON held.oid = indrelid
  LEFT JOIN pg_constraint rule ON rule.conindid = made.oid AND rule.contype IN ('p', 'u')
 WHERE held.relname = ANY(%s)
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = made.oid AND contype = 'f')
   AND (NOT indisprimary OR held.relname IN ('payments_entrykey', 'payments_delivery'))
 ORDER BY 1, 2
"""
_SIZES_SQL = """
SELECT coalesce(parent.relname, held.relname), sum(greatest(held.reltuples, 0))::bigint AS rows,
       sum(pg_table_size(held.oid))::bigint, sum(pg_indexes_size(held.oid))::bigint
  FROM pg_class held
  LEFT JOIN pg_inherits ON inhrelid = held.oid LEFT JOIN pg_class parent ON parent.oid = inhparent
 WHERE held.relkind = 'r' AND held.relnamespace = current_schema()::regnamespace
 GROUP BY 1 HAVING sum(pg_total_relation_size(held.oid)) > 1000000 ORDER BY sum(pg_total_relation_size(held.oid)) DESC
"""


def main() -> None:
    if len(sys.argv) != 2 or not sys.argv[1].isdigit() or "DATABASE_URL" not in os.environ:
        sys.exit("usage, with DATABASE_URL and the rest of the environment set: python -m bench.fill PAYMENTS")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.utils import timezone  # noqa: PLC0415  Django is set up only now.

    from payments import books  # noqa: PLC0415

    count = int(sys.argv[1])
    print(f"filled: {fill(count, now=timezone.now()):.0f} payments/s")
    print_sizes(_scalar("SELECT count(*) FROM payments_payment"))
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    broken = list(books.breaches())
    print("books:", broken[:5] or "every law holds")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
