"""Where a settlement's three sides differ: the question is asked, follows the amounts, and ends when they agree.

The provider's lines, the sum that it tells, and what our bank got. What operators have booked to end a difference
counts as explained. "In transit" is no difference: it is a matter of time, until that has passed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from merchants import ids
from payments.models import Discrepancy, ProviderAccount, Settlement

Reason, State = Discrepancy.Reason, Discrepancy.State

LINES_AND_TOLD, PROVIDER_AND_BANK = "lines and told", "provider and bank"


def expected(row: Settlement) -> int:
    """What has to arrive: what the provider tells, or what its lines make until it tells anything."""
    return row.lines_amount if row.told_amount is None else row.told_amount


def left(question: Discrepancy) -> int:
    """By how much the two sides of the question differ now, explanations counted: above zero for what is missing."""
    row = question.settlement
    assert row is not None
    explained = _explained([row.id])[row.id]
    if question.reason == Reason.SETTLEMENT_OVERDUE:
        return expected(row) - row.arrived_amount - explained[PROVIDER_AND_BANK]
    return _differences(row, explained)[question.details["between"]]


def review(*, settlement_ids: Collection[UUID], now: datetime) -> None:
    """Opens, corrects and ends the questions about these settlements, whose rows the caller has locked."""
    rows = list(
        Settlement.objects.filter(id__in=settlement_ids, provider_account__funds=ProviderAccount.Funds.HELD).order_by(
            "id"
        )
    )
    explained = _explained([row.id for row in rows])
    asked = _asked([row.id for row in rows])
    for row in rows:
        differing = _differences(row, explained[row.id])
        for between, amount in differing.items():
            _follow(row, between, amount, asked[row.id], now)
        _follow_overdue(row, differing[PROVIDER_AND_BANK], asked[row.id], now)


def ask_overdue(*, settlement_ids: Collection[UUID], now: datetime) -> None:
    """Asks about settlements that have been waited for long enough."""
    rows = Settlement.objects.filter(id__in=settlement_ids).order_by("id")
    asked = _asked([row.id for row in rows])
    explained = _explained([row.id for row in rows])
    for row in rows:
        amount = expected(row) - explained[row.id][PROVIDER_AND_BANK]
        if amount and not _open(asked[row.id], Reason.SETTLEMENT_OVERDUE):
            number = sum(question.reason == Reason.SETTLEMENT_OVERDUE for question in asked[row.id])
            key = f"{Reason.SETTLEMENT_OVERDUE}|{row.id.hex}|{number}"
            _open_question(row, Reason.SETTLEMENT_OVERDUE, key, amount, _details(row, PROVIDER_AND_BANK), now)


def _differences(row: Settlement, explained: dict[str, int]) -> dict[str, int]:
    told = row.lines_amount - expected(row) - explained[LINES_AND_TOLD]
    missing = expected(row) - row.arrived_amount - explained[PROVIDER_AND_BANK]
    # Until something arrives (or a person has booked that some of it will not), waiting is all there is to it.
    waits = not row.arrived_amount and not explained[PROVIDER_AND_BANK]
    return {LINES_AND_TOLD: told, PROVIDER_AND_BANK: 0 if waits else missing}


def _follow(row: Settlement, between: str, amount: int, asked: list[Discrepancy], now: datetime) -> None:
    before = [q for q in asked if q.reason == Reason.SETTLEMENT_DIFFERS and q.details.get("between") == between]
    question = next((q for q in before if q.state == State.OPEN), None)
    details = _details(row, between)
    if question is None:
        overdue = between == PROVIDER_AND_BANK and not row.arrived_amount and _open(asked, Reason.SETTLEMENT_OVERDUE)
        answered = any(q.details == details for q in before)  # A person has looked at just these amounts.
        if amount and not overdue and not answered:
            key = f"{Reason.SETTLEMENT_DIFFERS}|{row.id.hex}|{between.split()[-1]}|{len(before)}"
            _open_question(row, Reason.SETTLEMENT_DIFFERS, key, amount, details, now)
    elif not amount:
        _end(question, "By itself: the sides agree again.", now)
    elif (question.amount, question.details) != (abs(amount), details):
        Discrepancy.objects.filter(id=question.id).update(amount=abs(amount), details=details)


def _follow_overdue(row: Settlement, missing: int, asked: list[Discrepancy], now: datetime) -> None:
    question = _open(asked, Reason.SETTLEMENT_OVERDUE)
    if question is None:
        return
    if row.arrived_amount or not expected(row):
        _end(question, "By itself: it has arrived." if row.arrived_amount else "By itself: nothing is expected.", now)
    elif question.details != (details := _details(row, PROVIDER_AND_BANK)):
        amount = abs(missing or expected(row))
        Discrepancy.objects.filter(id=question.id).update(amount=amount, details=details)


def _open(asked: list[Discrepancy], reason: str) -> Discrepancy | None:
    return next((q for q in asked if q.reason == reason and q.state == State.OPEN), None)


def _open_question(row: Settlement, reason: str, key: str, amount: int, details: dict[str, Any], now: datetime) -> None:
    Discrepancy.objects.create(
        id=ids.new(now),
        key=key,
        reason=reason,
        provider_account_id=row.provider_account_id,
        settlement=row,
        amount=abs(amount),
        currency=row.currency,
        details=details,
        opened_at=now,
    )


def _end(question: Discrepancy, note: str, now: datetime) -> None:
    Discrepancy.objects.filter(id=question.id).update(state=State.RESOLVED, resolved_at=now, resolution=note)


def _details(row: Settlement, between: str) -> dict[str, Any]:
    return {
        "between": between,
        "lines": row.lines_amount,
        "told": row.told_amount,
        "arrived": row.arrived_amount,
        "settlement": row.reference,
    }


def _asked(settlement_ids: Collection[UUID]) -> dict[UUID, list[Discrepancy]]:
    """Every question about these settlements, locked in the order of their ids."""
    asked: dict[UUID, list[Discrepancy]] = defaultdict(list)
    about = (Reason.SETTLEMENT_DIFFERS, Reason.SETTLEMENT_OVERDUE)
    for row in (
        Discrepancy.objects.select_for_update(of=("self",), no_key=True)
        .filter(settlement__in=settlement_ids, reason__in=about)
        .order_by("id")
    ):
        assert row.settlement_id is not None
        asked[row.settlement_id].append(row)
    return asked


def _explained(settlement_ids: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """What operators have booked of each settlement's receivable to end its questions, between which two sides."""
    found: dict[UUID, dict[str, int]] = defaultdict(lambda: {LINES_AND_TOLD: 0, PROVIDER_AND_BANK: 0})
    for settlement_id, between, amount in _posted(sorted(settlement_ids)):
        found[settlement_id][between] += amount
    return found


def _posted(settlement_ids: list[UUID]) -> Iterator[tuple[UUID, str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_EXPLAINED_SQL, [settlement_ids])
        yield from cursor.fetchall()


# An adjustment whose entry has left the database says itself what that did.
_EXPLAINED_SQL = """
SELECT question.settlement_id, question.details->>'between',
       sum(coalesce(adjustment.explains,
                    CASE WHEN credit.kind = 'provider_receivable' THEN entry.amount ELSE -entry.amount END))::bigint
  FROM payments_discrepancy question
  JOIN payments_adjustment adjustment ON adjustment.discrepancy_id = question.id AND adjustment.state = 'posted'
  LEFT JOIN payments_ledgerentry entry ON entry.cause_id = adjustment.id AND adjustment.explains IS NULL
  LEFT JOIN payments_account credit ON credit.id = entry.credit_id
 WHERE (adjustment.explains IS NOT NULL OR entry.id IS NOT NULL)
   AND question.settlement_id = ANY(%s) AND question.reason IN ('settlement_differs', 'settlement_overdue')
 GROUP BY 1, 2
"""
