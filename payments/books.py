"""The laws of the book as questions to the whole database: each finds the rows that break it, or nothing.

`check_books` asks them all; so do the tests after every story. Each is one statement over whole tables, so that the
proof is the database's and not a repetition of the code that wrote the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db import connection, transaction

from payments import archive, whole_book
from payments.models import Archive


@dataclass(frozen=True, slots=True)
class Breach:
    """A row that breaks a law: the law in words, and the row as the database shows it."""

    law: str
    row: str


def breaches(*, limit: int = 20, archives: Path | None = None) -> Iterator[Breach]:
    """Every breach of every law, at most `limit` for each.

    Entries that have left the database are read from their archives (in that folder, when they are there). Without
    them there is no book that could be asked, so then nothing but the broken archives is told.
    """
    broken = [Breach(ARCHIVES, wrong) for wrong in _wrong_archives(archives)]
    yield from broken
    if broken:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        whole = whole_book.load(archives)
        # Whole tables are joined. A plan made while they were thought to be small would go through one for each row.
        cursor.execute("SET LOCAL enable_nestloop = off")
        for law, statement in LAWS.items():
            cursor.execute(_ASK.format(_OF_ENTRIES.sub(rf"\1 {whole}", statement)), [limit])
            for (row,) in cursor.fetchall():
                yield Breach(law, row)


def _wrong_archives(folder: Path | None) -> list[str]:
    gone = Archive.objects.filter(retired_at__isnull=False).order_by("partition")
    return list(filter(None, (archive.damage(row, whole_book.where(row, folder)) for row in gone)))


ARCHIVES = "what has left the database is in its archive, as it was written"
_OF_ENTRIES = re.compile(rf"\b(FROM|JOIN) {whole_book.LEDGER}\b")
_ASK = "SELECT to_jsonb(broken)::text FROM ({}) AS broken LIMIT %s"

LAWS = {
    "an account's balance is the sum of its entries": """
        SELECT account.id, account.kind, account.currency, balance.debits, balance.credits,
               sums.debits AS entry_debits, sums.credits AS entry_credits
          FROM payments_account account
          LEFT JOIN payments_accountbalance balance ON balance.account_id = account.id
          LEFT JOIN (SELECT account_id, sum(debits) AS debits, sum(credits) AS credits
                       FROM (SELECT debit_id AS account_id, amount AS debits, 0 AS credits FROM payments_ledgerentry
                             UNION ALL
                             SELECT credit_id, 0, amount FROM payments_ledgerentry) AS sides
                      GROUP BY account_id) AS sums ON sums.account_id = account.id
         WHERE coalesce(balance.debits, 0) <> coalesce(sums.debits, 0)
            OR coalesce(balance.credits, 0) <> coalesce(sums.credits, 0)""",
    "a snapshot is the sum of the entries before its moment": """
        SELECT kept.account_id, kept.moment, kept.debits, kept.credits,
               coalesce(sum(side.debits), 0) AS entry_debits, coalesce(sum(side.credits), 0) AS entry_credits
          FROM (SELECT DISTINCT ON (account_id) account_id, moment, debits, credits
                  FROM payments_balancesnapshot ORDER BY account_id, moment DESC) AS kept
          LEFT JOIN (SELECT debit_id AS account_id, amount AS debits, 0 AS credits, recorded_at
                       FROM payments_ledgerentry
                      UNION ALL
                     SELECT credit_id, 0, amount, recorded_at FROM payments_ledgerentry) AS side
                 ON side.account_id = kept.account_id AND side.recorded_at < kept.moment
         GROUP BY kept.account_id, kept.moment, kept.debits, kept.credits
        HAVING kept.debits <> coalesce(sum(side.debits), 0) OR kept.credits <> coalesce(sum(side.credits), 0)""",
    "debits equal credits in every currency": """
        SELECT account.currency, sum(balance.debits) AS debits, sum(balance.credits) AS credits
          FROM payments_accountbalance balance JOIN payments_account account ON account.id = balance.account_id
         GROUP BY account.currency HAVING sum(balance.debits) <> sum(balance.credits)""",
    "an entry's accounts exist and carry its currency": """
        SELECT entry.id, entry.key FROM payments_ledgerentry entry
          LEFT JOIN payments_account debit ON debit.id = entry.debit_id AND debit.currency = entry.currency
          LEFT JOIN payments_account credit ON credit.id = entry.credit_id AND credit.currency = entry.currency
         WHERE debit.id IS NULL OR credit.id IS NULL""",
    "every payment is posted once, with its own amount": """
        SELECT payment.id, payment.amount, count(entry.id) AS entries, sum(entry.amount) AS posted
          FROM payments_payment payment
          LEFT JOIN payments_ledgerentry entry ON entry.payment_id = payment.id AND entry.kind = 'paid'
               AND entry.currency = payment.currency
         GROUP BY payment.id
        HAVING count(entry.id) <> 1 OR sum(entry.amount) <> payment.amount""",
    "every posted payment is a payment": """
        SELECT entry.id, entry.key FROM payments_ledgerentry entry
         WHERE entry.kind = 'paid' AND NOT EXISTS (SELECT FROM payments_payment WHERE id = entry.payment_id)""",
    "an hour's sums are those of its payments": """
        SELECT coalesce(kept.hour, came.hour) AS hour, coalesce(kept.currency, came.currency) AS currency,
               kept.payments AS kept_payments, kept.amount AS kept_amount, came.payments, came.amount
          FROM (SELECT hour, currency, sum(payments) AS payments, sum(amount) AS amount
                  FROM payments_hourrollup GROUP BY hour, currency) AS kept
          FULL JOIN (SELECT date_trunc('hour', recorded_at, 'UTC') AS hour, currency,
                            count(*) AS payments, sum(amount) AS amount
                       FROM payments_payment GROUP BY 1, 2) AS came
            ON came.hour = kept.hour AND came.currency = kept.currency
         WHERE (coalesce(kept.payments, 0), coalesce(kept.amount, 0))
            <> (coalesce(came.payments, 0), coalesce(came.amount, 0))""",
    "an hour's starts are those of its intents": """
        SELECT kept.hour, kept.provider_account_id, kept.starts, count(intent.id) AS intents
          FROM payments_startrollup kept
          LEFT JOIN payments_paymentintent intent ON intent.provider_account_id = kept.provider_account_id
               AND date_trunc('hour', intent.created_at, 'UTC') = kept.hour
         GROUP BY kept.id HAVING kept.starts <> count(intent.id)""",
    "a refund's entries are what its state says": """
        SELECT refund.id, refund.state, refund.amount, coalesce(moved.net, 0) AS net
          FROM payments_refund refund
          LEFT JOIN (
              SELECT entry.refund_id,
                     sum(CASE WHEN credit.kind IN ('provider_receivable', 'settled_direct') THEN entry.amount
                              WHEN debit.kind IN ('provider_receivable', 'settled_direct') THEN -entry.amount
                              ELSE 0 END) AS net,
                     sum(CASE WHEN credit.kind = 'refunds_in_flight' THEN entry.amount
                              WHEN debit.kind = 'refunds_in_flight' THEN -entry.amount
                              ELSE 0 END) AS flying
                FROM payments_ledgerentry entry
                JOIN payments_account debit ON debit.id = entry.debit_id
                JOIN payments_account credit ON credit.id = entry.credit_id
               WHERE entry.refund_id IS NOT NULL
               GROUP BY entry.refund_id) AS moved ON moved.refund_id = refund.id
         WHERE (coalesce(moved.net, 0), coalesce(moved.flying, 0)) <> (
                   CASE refund.state WHEN 'succeeded' THEN refund.amount ELSE 0 END,
                   CASE refund.state WHEN 'requested' THEN refund.amount ELSE 0 END)""",
    "a dispute holds what is open and has moved what is lost": """
        SELECT dispute.id, dispute.state, dispute.amount, moved.net, moved.held
          FROM payments_dispute dispute
          LEFT JOIN (SELECT entry.dispute_id,
                     sum(CASE WHEN credit.kind IN ('provider_receivable', 'settled_direct') THEN entry.amount
                              WHEN debit.kind IN ('provider_receivable', 'settled_direct') THEN -entry.amount
                              ELSE 0 END) AS net,
                     sum(CASE WHEN credit.kind = 'disputes_held' THEN entry.amount
                              WHEN debit.kind = 'disputes_held' THEN -entry.amount
                              ELSE 0 END) AS held
                FROM payments_ledgerentry entry
                JOIN payments_account debit ON debit.id = entry.debit_id
                JOIN payments_account credit ON credit.id = entry.credit_id
               WHERE entry.dispute_id IS NOT NULL
               GROUP BY entry.dispute_id) AS moved ON moved.dispute_id = dispute.id
         WHERE (coalesce(moved.net, 0), coalesce(moved.held, 0)) <> (
                   CASE dispute.state WHEN 'lost' THEN dispute.amount ELSE 0 END,
                   CASE dispute.state WHEN 'open' THEN dispute.amount ELSE 0 END)""",
    "what went back or is contested beyond what was received has raised a question": """
        SELECT payment.id, payment.amount, back.amount AS went_back
          FROM (SELECT payment_id, sum(amount) AS amount
                  FROM (SELECT payment_id, amount FROM payments_refund WHERE state <> 'failed'
                        UNION ALL
                        SELECT payment_id, amount FROM payments_dispute WHERE state IN ('open', 'lost')) AS parts
                 GROUP BY payment_id) AS back
          JOIN payments_payment payment ON payment.id = back.payment_id
         WHERE back.amount > payment.amount
           AND NOT EXISTS (SELECT FROM payments_discrepancy question WHERE question.payment_id = payment.id
                              AND question.reason IN ('refund_excess', 'dispute_excess'))""",
    "what is pending is what is left of payments that are not due": """
        SELECT account.shop_id, account.currency, balance.credits - balance.debits AS pending,
               coalesce(sum(left_of.rest), 0) AS due_later
          FROM payments_account account
          JOIN payments_accountbalance balance ON balance.account_id = account.id
          LEFT JOIN (SELECT payment.shop_id, payment.currency,
                            payment.amount - coalesce((SELECT sum(refund.pending_amount) FROM payments_refund refund
                                                        WHERE refund.payment_id = payment.id
                                                          AND refund.state <> 'failed'), 0)
                                           - coalesce((SELECT sum(dispute.pending_amount) FROM payments_dispute dispute
                                                        WHERE dispute.payment_id = payment.id), 0) AS rest
                       FROM payments_payment payment
                      WHERE payment.due_at IS NOT NULL AND payment.placed) AS left_of
            ON left_of.shop_id = account.shop_id AND left_of.currency = account.currency
         WHERE account.kind = 'shop_pending'
         GROUP BY account.shop_id, account.currency, balance.credits, balance.debits
        HAVING balance.credits - balance.debits <> coalesce(sum(left_of.rest), 0)""",
    "a payment's fee is what was booked as its fee": """
        SELECT payment.id, payment.fee_amount, charged.payment_id, charged.amount AS booked
          FROM payments_payment payment
          FULL JOIN (SELECT payment_id, currency, sum(amount) AS amount FROM payments_ledgerentry
                      WHERE kind = 'fee' GROUP BY payment_id, currency) AS charged
                 ON charged.payment_id = payment.id AND charged.currency = payment.currency
         WHERE coalesce(payment.fee_amount, 0) <> coalesce(charged.amount, 0)""",
    "a payment waits to be released exactly while it has a day for it": """
        SELECT coalesce(payment.id, waits.payment_id) AS id, payment.due_at, waits.due_at AS waits_until
          FROM (SELECT id, shop_id, due_at FROM payments_payment WHERE due_at IS NOT NULL) AS payment
          FULL JOIN payments_pendingrelease waits
                 ON waits.payment_id = payment.id AND waits.due_at = payment.due_at AND waits.shop_id = payment.shop_id
         WHERE payment.id IS NULL OR waits.payment_id IS NULL""",
    "a fee is charged on what became available, and never more": """
        SELECT payment.id, payment.fee_amount, payment.amount, payment.due_at, payment.placed
          FROM payments_payment payment
         WHERE payment.fee_amount < 0 OR payment.fee_amount > payment.amount
            OR (payment.fee_amount > 0 AND (payment.due_at IS NOT NULL OR NOT payment.placed))""",
    "what is in flight to shops is what their payouts say": """
        SELECT coalesce(flying.shop_id, owed.shop_id) AS shop_id, coalesce(flying.currency, owed.currency) AS currency,
               flying.amount AS in_flight, owed.amount AS payouts
          FROM (SELECT account.shop_id, account.currency, balance.credits - balance.debits AS amount
                  FROM payments_account account JOIN payments_accountbalance balance ON balance.account_id = account.id
                 WHERE account.kind = 'payouts_in_flight') AS flying
          FULL JOIN (SELECT shop_id, currency, sum(amount) AS amount FROM payments_payout
                      WHERE state IN ('prepared', 'sent') GROUP BY shop_id, currency) AS owed
            ON owed.shop_id = flying.shop_id AND owed.currency = flying.currency
         WHERE coalesce(flying.amount, 0) <> coalesce(owed.amount, 0)""",
    "a payout's entries are what its state says": """
        SELECT payout.id, payout.state, payout.amount, moved.paid, moved.flying
          FROM payments_payout payout
          LEFT JOIN (SELECT entry.cause_id,
                     sum(CASE WHEN credit.kind = 'bank' THEN entry.amount
                              WHEN debit.kind = 'bank' THEN -entry.amount ELSE 0 END) AS paid,
                     sum(CASE WHEN credit.kind = 'payouts_in_flight' THEN entry.amount
                              WHEN debit.kind = 'payouts_in_flight' THEN -entry.amount ELSE 0 END) AS flying
                FROM payments_ledgerentry entry
                JOIN payments_account debit ON debit.id = entry.debit_id
                JOIN payments_account credit ON credit.id = entry.credit_id
               WHERE entry.kind IN ('payout_asked', 'payout_paid', 'payout_failed', 'payout_returned')
               GROUP BY entry.cause_id) AS moved ON moved.cause_id = payout.id
         WHERE (coalesce(moved.paid, 0), coalesce(moved.flying, 0)) <> (
                   CASE payout.state WHEN 'paid' THEN payout.amount ELSE 0 END,
                   CASE WHEN payout.state IN ('prepared', 'sent') THEN payout.amount ELSE 0 END)""",
    "every entry of a payout has its payout, of its own shop": """
        SELECT entry.id, entry.key FROM payments_ledgerentry entry
         WHERE entry.kind IN ('payout_asked', 'payout_paid', 'payout_failed', 'payout_returned')
           AND NOT EXISTS (SELECT FROM payments_payout payout
                            WHERE payout.id = entry.cause_id AND payout.shop_id = entry.shop_id
                              AND payout.currency = entry.currency)""",
    "a paid intent has money, and money that was placed for an open intent does not exist": """
        SELECT intent.id, intent.state FROM payments_paymentintent intent
         WHERE (intent.state = 'paid') <> EXISTS (
                   SELECT FROM payments_payment WHERE intent_id = intent.id AND placed AND match <> 'late')
           AND NOT (intent.state IN ('expired', 'canceled')
                    AND EXISTS (SELECT FROM payments_payment WHERE intent_id = intent.id AND match = 'late'))""",
    "only an intent that is open waits to be closed, each asked by the account it was started with": """
        SELECT timer.intent_id AS id, intent.state, timer.next_close_at
          FROM payments_intenttimer timer LEFT JOIN payments_paymentintent intent ON intent.id = timer.intent_id
         WHERE intent.id IS NULL OR intent.provider_account_id <> timer.provider_account_id
            OR (timer.next_close_at IS NOT NULL AND intent.state <> 'open')""",
    "a payment that does not fit has raised a question": """
        SELECT payment.id, payment.match FROM payments_payment payment
         WHERE payment.match <> 'exact'
           AND NOT EXISTS (SELECT FROM payments_discrepancy WHERE payment_id = payment.id)""",
    "a settlement's arrived amount is what its matches say and what was posted": """
        SELECT settlement.id, settlement.arrived_amount, said.amount AS matched, said.posted
          FROM payments_settlement settlement
          LEFT JOIN (SELECT part.settlement_id,
                            sum(CASE WHEN made.undone_at IS NULL THEN part.amount ELSE 0 END) AS amount,
                            sum(coalesce(booked.amount, 0)) AS posted,
                            bool_and(coalesce(booked.amount, 0)
                                     = CASE WHEN made.undone_at IS NULL THEN part.amount ELSE 0 END) AS each
                       FROM payments_settlementmatch part
                       JOIN payments_match made ON made.id = part.match_id
                       LEFT JOIN LATERAL (
                           SELECT sum(CASE credit.kind WHEN 'provider_receivable' THEN entry.amount
                                                       ELSE -entry.amount END) AS amount
                             FROM payments_ledgerentry entry JOIN payments_account credit ON credit.id = entry.credit_id
                            WHERE entry.cause_id = made.id AND entry.kind IN ('settled', 'reversed')
                              AND right(entry.key, 32) = replace(part.settlement_id::text, '-', '')) AS booked ON true
                      GROUP BY part.settlement_id) AS said ON said.settlement_id = settlement.id
         WHERE settlement.arrived_amount <> coalesce(said.amount, 0) OR NOT coalesce(said.each, true)""",
    "an adjustment is posted once, and above the limit by two": """
        SELECT adjustment.id, adjustment.state, adjustment.amount, adjustment.four_eyes, count(entry.id) AS entries
          FROM payments_adjustment adjustment
          LEFT JOIN payments_ledgerentry entry ON entry.cause_id = adjustment.id
         GROUP BY adjustment.id
        HAVING count(entry.id) <> (adjustment.state = 'posted' AND adjustment.remedy <> 'book_from_statement')::int
            OR sum(entry.amount) <> adjustment.amount
            OR (adjustment.state <> 'proposed') <> (adjustment.decided_by_id IS NOT NULL)
            OR (adjustment.state = 'posted' AND adjustment.four_eyes
                AND adjustment.decided_by_id = adjustment.proposed_by_id)""",
    "an adjusting entry was posted for an adjustment of its amount": """
        SELECT entry.id, entry.key, entry.amount FROM payments_ledgerentry entry
         WHERE entry.kind = 'adjusted'
           AND NOT EXISTS (SELECT FROM payments_adjustment adjustment
                            WHERE adjustment.id = entry.cause_id AND adjustment.state = 'posted'
                              AND adjustment.currency = entry.currency)""",
    "every payment of a shop was told once": """
        SELECT payment.id, count(notice.id) AS notices FROM payments_payment payment
          LEFT JOIN merchants_notice notice
                 ON notice.shop_id = payment.shop_id AND notice.kind IN ('payment_received', 'payment_in_question')
                AND notice.about = payment.id
         WHERE payment.shop_id IS NOT NULL GROUP BY payment.id HAVING count(notice.id) <> 1""",
    "a shop's notices are numbered without a gap": """
        SELECT shop_id, count(*) AS notices, max(number) AS newest FROM merchants_notice
         GROUP BY shop_id HAVING count(*) <> max(number)""",
    "a match that holds has lines, and books the fee that it says": """
        SELECT made.id, made.why -> 'fee' ->> 'booked' AS said, coalesce(fee.net, 0) AS posted, of_it.lines
          FROM payments_match made
          LEFT JOIN LATERAL (SELECT sum(CASE WHEN credit.kind IN ('provider_receivable', 'settled_direct')
                                             THEN entry.amount ELSE -entry.amount END) AS net
                               FROM payments_ledgerentry entry
                               JOIN payments_account credit ON credit.id = entry.credit_id
                              WHERE entry.cause_id = made.id AND entry.kind = 'provider_fee') AS fee ON true
          LEFT JOIN LATERAL (SELECT count(*) AS lines FROM payments_statementline
                              WHERE match_id = made.id) AS of_it ON true
         WHERE made.undone_at IS NULL AND made.payment_id IS NOT NULL
           AND (coalesce((made.why -> 'fee' ->> 'booked')::bigint, 0) <> coalesce(fee.net, 0) OR of_it.lines = 0)""",
    "a line names a match that holds, and a provider's does when it is called matched": """
        SELECT line.id, line.outcome, line.match_id FROM payments_statementline line
          LEFT JOIN payments_match made ON made.id = line.match_id AND made.undone_at IS NULL
         WHERE (line.match_id IS NOT NULL AND made.id IS NULL)
            OR (line.provider_account_id IS NOT NULL
                AND (line.outcome IN ('matched', 'amount_differs', 'fee_differs')) <> (made.id IS NOT NULL))""",
    "the entries of an undone match come to nothing": """
        SELECT side.cause_id, side.account_id, sum(side.net) AS net
          FROM (SELECT cause_id, credit_id AS account_id, amount AS net FROM payments_ledgerentry
                 WHERE cause_id IS NOT NULL
                UNION ALL
                SELECT cause_id, debit_id, -amount FROM payments_ledgerentry WHERE cause_id IS NOT NULL) AS side
          JOIN payments_match made ON made.id = side.cause_id AND made.undone_at IS NOT NULL
         GROUP BY side.cause_id, side.account_id HAVING sum(side.net) <> 0""",
    "a key was claimed by the entry that has it": """
        SELECT coalesce(entry.id, claim.entry_id) AS id, coalesce(entry.key, claim.key) AS key
          FROM payments_ledgerentry entry
          FULL JOIN payments_entrykey claim ON claim.entry_id = entry.id AND claim.key = entry.key
         WHERE entry.id IS NULL OR claim.key IS NULL""",
    "the triggers that keep the book are in place": """
        SELECT whole.name AS table, wanted.name AS missing
          FROM (SELECT 'payments_ledgerentry' AS name, 'entries_fit' AS own
                UNION ALL
                SELECT name, 'through_parent' FROM pushcart_partitions('payments_ledgerentry')
                UNION ALL
                SELECT 'payments_ledgerentry_default', 'month_is_here') AS whole
         CROSS JOIN LATERAL (VALUES ('append_only'), ('append_only_whole'), (whole.own)) AS wanted(name)
         WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = wanted.name AND tgenabled <> 'D'
                              AND tgrelid = whole.name::regclass)""",
}
