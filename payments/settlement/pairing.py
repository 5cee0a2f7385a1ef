"""Writes what was judged: matches, what became of their lines, fees and questions, set-based and in one fixed order.

Must run in the transaction that holds the locks under which it was judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from merchants import columns, ids
from merchants.models import User
from payments import chart, ledger
from payments.chart import Movement, Source
from payments.models import Discrepancy, LedgerEntry, Match
from payments.settlement.stated import Conclusion, Pairing, Question, Verdict

MISSING_AT_PROVIDER = "missing_at_provider"


def record(
    verdicts: Sequence[Verdict], conclusions: Sequence[Conclusion], *, now: datetime, made_by: User | None = None
) -> None:
    """Writes every match and line, asks every question, and posts every fee."""
    _insert_matches([made for made in conclusions if made.pairing.new], now, made_by)
    _update_matches([made for made in conclusions if not made.pairing.new])
    outcomes = {made.pairing.id: made.outcome for made in conclusions}
    _update_lines(verdicts, outcomes, now)
    ask([*_questions(verdicts), *(question for made in conclusions for question in made.questions)], now=now)
    _answer_by_themselves(conclusions, now)
    ledger.post([_fee(made, now) for made in conclusions if made.fee], now=now)


def ask(questions: Iterable[Question], *, now: datetime) -> None:
    """Opens discrepancies, each once; one that had answered itself is asked anew."""
    ordered = sorted({question.key: question for question in questions}.values(), key=lambda question: question.key)
    if not ordered:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _ASK_SQL,
            [
                now,
                [ids.new(now) for _ in ordered],
                [q.key for q in ordered],
                [q.reason for q in ordered],
                [q.account_id for q in ordered],
                [q.shop_id for q in ordered],
                [q.payment_id for q in ordered],
                [q.refund_id for q in ordered],
                [q.line_id or None for q in ordered],
                [q.amount for q in ordered],
                [q.currency for q in ordered],
                [json.dumps(q.details) for q in ordered],
            ],
        )


def answer(keys: Iterable[str], *, note: str, now: datetime) -> None:
    """Resolves open questions that have answered themselves: without an owner, so that everybody sees it was nobody."""
    rows = Discrepancy.objects.filter(key__in=sorted(keys), state=Discrepancy.State.OPEN)
    for row in rows.select_for_update(no_key=True).order_by("id").values_list("id", flat=True):
        Discrepancy.objects.filter(id=row).update(
            state=Discrepancy.State.RESOLVED, owner=None, resolved_at=now, resolution=note[:500]
        )


def missing_key(pairing: Pairing) -> str:
    """The key of the question why no statement confirms something of ours."""
    return f"{MISSING_AT_PROVIDER}|{pairing.ours.about}|{pairing.ours.id.hex}"


def _questions(verdicts: Sequence[Verdict]) -> list[Question]:
    return [verdict.question for verdict in verdicts if verdict.question]


def _answer_by_themselves(conclusions: Sequence[Conclusion], now: datetime) -> None:
    """What was missing on one side is stated or booked by now; a part has got its rest."""
    for made in conclusions:
        if made.answered:
            answer(made.answered, note=f"Answered by itself: {', '.join(made.pairing.names)[:400]}.", now=now)
    by_key = {missing_key(made.pairing): made for made in conclusions if made.pairing.new}
    by_key |= {
        f"{Discrepancy.Reason.MISSING_IN_BOOKS}|{line.id}": made for made in conclusions for line in made.pairing.lines
    }
    payments = list({made.pairing.ours.payment_id for made in conclusions})
    lines = [line.id for made in conclusions for line in made.pairing.lines]
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_SQL, [payments, lines])
        waiting = [key for (key,) in cursor.fetchall() if key in by_key]
    for key in waiting:
        made = by_key[key]
        where = f"{made.pairing.lines[-1].name} is about {made.pairing.ours.name}"
        answer([key], note=f"Answered by itself: {where}.", now=now)


def _insert_matches(made: Sequence[Conclusion], now: datetime, made_by: User | None) -> None:
    if not made:
        return
    rows = [
        {
            "id": str(one.pairing.id),
            "rule": one.pairing.rule,
            "account": str(one.pairing.ours.account_id),
            "payment": str(one.pairing.ours.payment_id),
            "refund": str(one.pairing.ours.id) if one.pairing.ours.about == "refund" else None,
            "dispute": str(one.pairing.ours.id) if one.pairing.ours.about == "dispute" else None,
            "why": one.why,
        }
        for one in sorted(made, key=lambda one: one.pairing.id.int)
    ]
    with connection.cursor() as cursor:
        # As one document: in an array, every quotation mark of every row would be escaped once more.
        cursor.execute(_INSERT_SQL, [now, made_by.pk if made_by else None, json.dumps(rows)])


def _update_matches(joined: Sequence[Conclusion]) -> None:
    for one in sorted(joined, key=lambda one: one.pairing.id):
        Match.objects.filter(id=one.pairing.id).update(rule=one.pairing.rule, why=one.why)
        # What its earlier lines said by themselves, they say together with these.
        with connection.cursor() as cursor:
            cursor.execute(_TOGETHER_SQL, [one.outcome, one.pairing.id])


def _update_lines(verdicts: Sequence[Verdict], outcomes: dict[UUID, str], now: datetime) -> None:
    if not verdicts:
        return
    rows = [
        (
            verdict.line.id,
            str(outcomes[verdict.pairing.id] if verdict.pairing else verdict.outcome),
            verdict.pairing.id if verdict.pairing else None,
            now + verdict.again if verdict.again is not None else None,
        )
        for verdict in sorted(verdicts, key=lambda verdict: verdict.line.id)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_LINES_SQL, columns.literals(rows))


def _fee(made: Conclusion, now: datetime) -> Movement:
    """What the provider kept: its cost of ours from what it owes us, or the shop's own on her own account.

    A fee that it gives back goes the other way.
    """
    pairing, ours = made.pairing, made.pairing.ours
    key = f"provider_fee|{pairing.id.hex}"
    if ours.funds == "direct":
        assert ours.shop_id is not None
        owed = Source(ours.account_id, ours.funds, ours.shop_id, placed=True).outside
        cost, shop_id = chart.available(ours.shop_id, "direct"), ours.shop_id
    else:
        cost, owed, shop_id = chart.provider_fees(ours.account_id), chart.receivable(ours.account_id), None
    return Movement(
        key=key if pairing.new else f"{key}|{pairing.lines[-1].id}",
        kind=LedgerEntry.Kind.PROVIDER_FEE,
        debit=cost if made.fee > 0 else owed,
        credit=owed if made.fee > 0 else cost,
        amount=abs(made.fee),
        currency=ours.currency,
        occurred_at=pairing.lines[-1].occurred_at or now,
        shop_id=shop_id,
        payment_id=ours.payment_id,
        cause_id=pairing.id,
    )


_INSERT_SQL = """
INSERT INTO payments_match (made_at, made_by_id, undone_reason, id, rule, provider_account_id, payment_id, refund_id,
                            dispute_id, why)
SELECT %s, %s::uuid, '', made.*
  FROM jsonb_to_recordset(%s::jsonb)
    AS made(id uuid, rule text, account uuid, payment uuid, refund uuid, dispute uuid, why jsonb)
"""

_WAITING_SQL = """
SELECT key FROM payments_discrepancy
 WHERE state = 'open' AND reason = 'missing_at_provider' AND payment_id = ANY(%s::uuid[])
UNION
SELECT key FROM payments_discrepancy
 WHERE state = 'open' AND reason = 'missing_in_books' AND line_id = ANY(%s::bigint[])
"""

_LINES_SQL = """
UPDATE payments_statementline AS line
   SET outcome = judged.outcome, match_id = judged.match_id, look_at = judged.look_at, looks = line.looks + 1
  FROM unnest(%s::bigint[], %s::text[], %s::uuid[], %s::timestamptz[]) AS judged(id, outcome, match_id, look_at)
 WHERE line.id = judged.id
"""

_TOGETHER_SQL = "UPDATE payments_statementline SET outcome = %s WHERE match_id = %s"

_ASK_SQL = """
INSERT INTO payments_discrepancy AS held
       (opened_at, state, resolution, id, key, reason, provider_account_id, shop_id, payment_id, refund_id, line_id,
        amount, currency, details)
SELECT %s, 'open', '', * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::uuid[], %s::uuid[],
                                     %s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::jsonb[])
ON CONFLICT (key) DO UPDATE SET state = 'open', resolution = '', resolved_at = NULL, opened_at = EXCLUDED.opened_at
 WHERE held.state = 'resolved' AND held.owner_id IS NULL
"""
