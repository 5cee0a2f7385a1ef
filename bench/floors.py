"""How fast the database alone can post: set-based SQL without any decision or check, and lean tables beside it.

Each is an upper bound for what a program in front of it can reach; none is a product. Imported only after Django is
set up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

BATCH = 1000
FEE = 2


def set_based() -> None:
    """One statement for each batch writes every row that our posting writes; foreign keys and triggers are off."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET enable_seqscan = off")
        try:
            _until_empty(cursor, _POST_SQL, {"limit": BATCH})
        finally:
            cursor.execute("SET session_replication_role = DEFAULT")
            cursor.execute("RESET enable_seqscan")


def lay_out_lean(events: int) -> None:
    """Tables of nothing but what a book needs: a transaction, three legs without keys to others, vendors' balances."""
    with connection.cursor() as cursor:
        cursor.execute(_LEAN_TABLES_SQL, {"events": events})
        cursor.execute("ANALYZE lean.waiting; ANALYZE lean.balance; CHECKPOINT")


def lean() -> None:
    """The same work on the lean tables, by one statement for each batch."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        _until_empty(cursor, _LEAN_SQL, {"limit": BATCH, "fee": FEE})
        cursor.execute("RESET enable_seqscan")


def lean_by_arrays() -> None:
    """The same, but the rows go through a client, which reads a batch and sends it back as arrays."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        while _one_batch_by_arrays(cursor):
            continue
        cursor.execute("RESET enable_seqscan")


def prove_lean(events: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM lean.waiting), (SELECT count(*) FROM lean.txn), count(*), sum(amount),"
            " (SELECT sum(amount) FROM lean.balance) FROM lean.leg"
        )
        assert cursor.fetchone() == (0, events, 3 * events, 0, events * (200 - FEE))


def _until_empty(cursor: Any, statement: str, values: dict[str, int]) -> None:
    while True:
        cursor.execute(statement, values)
        if not cursor.fetchone()[0]:
            return


def _one_batch_by_arrays(cursor: Any) -> int:
    with transaction.atomic():
        cursor.execute(_TAKE_SQL, [BATCH])
        taken = cursor.fetchall()
        if taken:
            cursor.execute("SELECT nextval('lean.txn_id') FROM generate_series(1, %s)", [len(taken)])
            txns = [row[0] for row in cursor.fetchall()]
            legs: list[Sequence[int]] = []
            moved: dict[int, int] = {}
            for txn, (_event, vendor, amount) in zip(txns, taken, strict=True):
                legs += [(txn, 0, -1, -amount), (txn, 1, -2, FEE), (txn, 2, vendor, amount - FEE)]
                moved[vendor] = moved.get(vendor, 0) + amount - FEE
            cursor.execute(
                "INSERT INTO lean.txn SELECT * FROM unnest(%s::bigint[], %s::uuid[])", [txns, [row[0] for row in taken]]
            )
            columns = [list(column) for column in zip(*legs, strict=True)]
            cursor.execute(
                "INSERT INTO lean.leg SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[])",
                columns,
            )
            vendors = sorted(moved)
            cursor.execute(
                "UPDATE lean.balance SET amount = balance.amount + moved.amount"
                " FROM unnest(%s::bigint[], %s::bigint[]) AS moved(vendor, amount)"
                " WHERE balance.vendor = moved.vendor",
                [vendors, [moved[vendor] for vendor in vendors]],
            )
    return len(taken)


# What a notification says is read from its body, as ours must read it; who is paid, from the intent that it names. A
# body is parsed once, and rows are sought by arrays: each batch looks up what is its own, whatever else is there.
_POST_SQL = """
WITH taken AS (
    DELETE FROM payments_queuedevent WHERE event_id = ANY (ARRAY(
        SELECT event_id FROM payments_queuedevent WHERE state IN ('queued', 'parked')
         ORDER BY due_at, event_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING event_id
), body AS MATERIALIZED (
    SELECT id, provider_account_id, convert_from(raw, 'UTF8')::jsonb #> '{data,payment}' AS payment
      FROM payments_webhookevent WHERE id = ANY (ARRAY(SELECT event_id FROM taken))
), told_by AS MATERIALIZED (
    SELECT id AS event_id, provider_account_id, payment ->> 'id' AS object_id,
           (payment ->> 'amount')::bigint AS amount, payment ->> 'currency' AS currency,
           (payment ->> 'occurred_at')::timestamptz AS occurred_at, substr(payment ->> 'id', 5)::uuid AS intent_id,
           'provider_receivable|CNY|held||' || replace(provider_account_id::text, '-', '') AS debit
      FROM body
), intent AS MATERIALIZED (
    SELECT id, shop_id, receipt, description,
           'shop_pending|CNY|held|' || replace(shop_id::text, '-', '') || '|' AS credit
      FROM payments_paymentintent WHERE id = ANY (ARRAY(SELECT intent_id FROM told_by))
), said AS (
    SELECT told_by.*, uuidv7() AS payment_id, uuidv7() AS entry_id, intent.shop_id, receipt, description, credit
      FROM told_by JOIN intent ON intent.id = told_by.intent_id
), placed AS MATERIALIZED (
    SELECT said.*, debit.id AS debit_id, credit.id AS credit_id
      FROM said
      JOIN payments_account debit ON debit.key = said.debit
      JOIN payments_account credit ON credit.key = said.credit
), paid AS (
    INSERT INTO payments_payment (recorded_at, id, provider_account_id, object_id, shop_id, intent_id, amount, currency,
                                  match, placed, occurred_at, due_at)
    SELECT now(), payment_id, provider_account_id, object_id, shop_id, intent_id, amount, currency, 'exact', true,
           occurred_at, occurred_at + interval '1 day'
      FROM placed ON CONFLICT (provider_account_id, object_id) DO NOTHING
    RETURNING id, shop_id, due_at
), waits AS (
    INSERT INTO payments_pendingrelease (payment_id, shop_id, due_at) SELECT id, shop_id, due_at FROM paid
), ended AS (
    UPDATE payments_paymentintent AS intent SET state = 'paid', closed_at = coalesce(intent.closed_at, now())
     WHERE intent.id = ANY (ARRAY(SELECT intent_id FROM placed))
), untimed AS (
    DELETE FROM payments_intenttimer WHERE intent_id = ANY (ARRAY(SELECT intent_id FROM placed))
), keyed AS (
    INSERT INTO payments_entrykey (key, entry_id)
    SELECT 'paid|' || replace(payment_id::text, '-', ''), entry_id FROM placed ON CONFLICT (key) DO NOTHING
), entered AS (
    INSERT INTO payments_ledgerentry (id, key, kind, debit_id, credit_id, amount, currency, shop_id, payment_id,
                                      event_id, occurred_at, recorded_at)
    SELECT entry_id, 'paid|' || replace(payment_id::text, '-', ''), 'paid', debit_id, credit_id, amount, currency,
           shop_id, payment_id, event_id, occurred_at, now()
      FROM placed
), moved AS (
    INSERT INTO payments_accountbalance AS held (account_id, debits, credits)
    SELECT account_id, sum(debits), sum(credits)
      FROM (SELECT debit_id AS account_id, amount AS debits, 0 AS credits FROM placed
            UNION ALL
            SELECT credit_id, 0, amount FROM placed) AS sides
     GROUP BY account_id ORDER BY account_id
        ON CONFLICT (account_id) DO UPDATE
       SET debits = held.debits + EXCLUDED.debits, credits = held.credits + EXCLUDED.credits
), summed AS (
    INSERT INTO payments_hourrollup AS kept (hour, currency, slot, payments, amount)
    SELECT date_trunc('hour', now(), 'UTC'), currency, pg_backend_pid() %% 16, count(*), sum(amount)
      FROM placed GROUP BY currency
        ON CONFLICT (hour, currency, slot) DO UPDATE
       SET payments = kept.payments + EXCLUDED.payments, amount = kept.amount + EXCLUDED.amount
), counted AS (
    INSERT INTO merchants_noticecounter AS counter (shop_id, last)
    SELECT shop_id, count(*) FROM placed GROUP BY shop_id ORDER BY shop_id
        ON CONFLICT (shop_id) DO UPDATE SET last = counter.last + EXCLUDED.last
    RETURNING shop_id, last
), told AS (
    INSERT INTO merchants_notice (created_at, id, shop_id, number, kind, data, about)
    SELECT now(), uuidv7(), placed.shop_id,
           counted.last - count(*) OVER shop + row_number() OVER (PARTITION BY placed.shop_id ORDER BY event_id),
           'payment_received',
           jsonb_build_object('payment', payment_id, 'match', 'exact', 'occurred_at', occurred_at,
                              'amount', jsonb_build_object('amount', amount, 'currency', currency),
                              'expected', jsonb_build_object('amount', amount, 'currency', currency),
                              'description', description, 'quantity', 1, 'receipt', receipt),
           payment_id
      FROM placed JOIN counted ON counted.shop_id = placed.shop_id
    WINDOW shop AS (PARTITION BY placed.shop_id)
)
SELECT count(*) FROM taken
"""

_LEAN_TABLES_SQL = """
DROP SCHEMA IF EXISTS lean CASCADE;
CREATE SCHEMA lean;
CREATE SEQUENCE lean.txn_id;
CREATE TABLE lean.waiting (event_id uuid PRIMARY KEY, vendor bigint NOT NULL, amount bigint NOT NULL);
CREATE TABLE lean.txn (id bigint PRIMARY KEY, event_id uuid NOT NULL);
CREATE TABLE lean.leg (txn_id bigint, leg smallint, account bigint NOT NULL, amount bigint NOT NULL,
                       PRIMARY KEY (txn_id, leg));
CREATE INDEX leg_of_account ON lean.leg (account, txn_id);
CREATE TABLE lean.balance (vendor bigint PRIMARY KEY, amount bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO lean.balance SELECT number, 0 FROM generate_series(0, 499) AS number;
INSERT INTO lean.waiting SELECT uuidv7(), number %% 500, 200 FROM generate_series(1, %(events)s) AS number;
"""
_TAKE_SQL = """
DELETE FROM lean.waiting WHERE event_id = ANY (ARRAY(
    SELECT event_id FROM lean.waiting ORDER BY event_id LIMIT %s FOR UPDATE SKIP LOCKED))
RETURNING event_id, vendor, amount
"""
_LEAN_SQL = """
WITH taken AS (
    DELETE FROM lean.waiting WHERE event_id = ANY (ARRAY(
        SELECT event_id FROM lean.waiting ORDER BY event_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING event_id, vendor, amount
), numbered AS MATERIALIZED (
    SELECT nextval('lean.txn_id') AS txn_id, taken.* FROM taken
), kept AS (
    INSERT INTO lean.txn SELECT txn_id, event_id FROM numbered
), legs AS (
    INSERT INTO lean.leg
    SELECT txn_id, 0, -1, -amount FROM numbered
    UNION ALL SELECT txn_id, 1, -2, %(fee)s FROM numbered
    UNION ALL SELECT txn_id, 2, vendor, amount - %(fee)s FROM numbered
), moved AS (
    UPDATE lean.balance SET amount = balance.amount + sums.amount
      FROM (SELECT vendor, sum(amount - %(fee)s) AS amount FROM numbered GROUP BY vendor) AS sums
     WHERE balance.vendor = sums.vendor
)
SELECT count(*) FROM taken
"""
