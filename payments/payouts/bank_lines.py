"""What our own bank says of payouts: a debit under a payout's reference confirms it, a credit is its return.

Every other line of the bank is somebody else's (`reference` decides). A line that is not exactly what was ordered
confirms nothing: it is a question, because money of ours has left in a way that nobody here asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop

from merchants import ids
from payments.models import Discrepancy, Match, Payout, StatementLine
from payments.payouts import outcomes
from payments.payouts.endings import Word

LOOK = "payments.look_at_payout_lines"

# Banks write our `pyo-…` in capitals, or with another sign in it, or with none.
_FORM = rf"{Payout.prefix}[^0-9a-z]?([0-7][0-9a-hjkmnp-tv-z]{{25}})"
_REFERENCE = re.compile(_FORM, re.IGNORECASE)
# Which of the bank's lines are looked at here, and nowhere else.
OURS = Q(provider_account=None, reference__iregex=f"^{_FORM}$")
_Outcome = StatementLine.Outcome


@dataclass(frozen=True, slots=True)
class _Found:
    """What a line turned out to be, and the question it raises, if any."""

    outcome: str
    question: str = ""
    why: str = ""


def look(*, now: datetime, limit: int) -> int:
    """Looks at the bank's lines about payouts that are due; answers how many. Each in a transaction of its own."""
    due = list(_due(now).values_list("id", flat=True)[:limit])
    return sum(_look(line_id, now) for line_id in due)


def payout_id(reference: str) -> UUID | None:
    """The payout that a line's reference names; None when it names none."""
    found = _REFERENCE.fullmatch(reference.strip())
    return ids.parse(Payout.prefix, f"{Payout.prefix}_{found[1].lower()}") if found else None


def _due(now: datetime) -> QuerySet[StatementLine]:
    return StatementLine.objects.filter(OURS, look_at__lte=now).order_by("look_at", "id")


def _look(line_id: int, now: datetime) -> bool:
    named = payout_id(StatementLine.objects.values_list("reference", flat=True).get(id=line_id))
    with transaction.atomic():
        payout = next(iter(outcomes.locked([named] if named else [])), None)
        line = StatementLine.objects.select_for_update(of=("self",), no_key=True).get(id=line_id)
        if line.look_at is None or line.look_at > now:
            return False
        found = _judge(line, payout)
        if payout is not None and found.outcome == _Outcome.MATCHED:
            line.match = _match(line, payout, now)
            word: Word = "paid" if line.amount < 0 else "returned"
            at = line.occurred_at or now
            outcomes.end(payout_id=payout.id, word=word, at=at, now=now, failure=_failure(line))
        line.outcome, line.look_at, line.looks = found.outcome, None, line.looks + 1
        line.save(update_fields=["outcome", "look_at", "looks", "match"])
        if found.question:
            _ask(line, payout, found, now)
    return True


def _judge(line: StatementLine, payout: Payout | None) -> _Found:
    question = Discrepancy.Reason.UNKNOWN_DEBIT if line.amount < 0 else Discrepancy.Reason.UNKNOWN_CREDIT
    if payout is None:
        return _Found(_Outcome.MISSING_IN_BOOKS, question, "no payout of ours has this reference")
    if line.currency != payout.currency:
        return _Found(_Outcome.CURRENCY_DIFFERS, question, f"the payout is in {payout.currency}")
    if abs(line.amount) != payout.amount:
        return _Found(_Outcome.AMOUNT_DIFFERS, question, f"the payout is of {payout.amount}")
    same = StatementLine.objects.filter(match__payout_id=payout.id, match__undone_at=None).exclude(id=line.id)
    if same.filter(amount=line.amount).exists():
        return _Found(_Outcome.DUPLICATE, question, "another line says this already")
    return _Found(_Outcome.MATCHED)


def _match(line: StatementLine, payout: Payout, now: datetime) -> Match:
    """The match of that payout: its debit and its return belong to the same one."""
    compared = {"reference": line.reference, "amount": line.amount, "payout": payout.reference, "owed": payout.amount}
    known = Match.objects.select_for_update(no_key=True).filter(payout_id=payout.id, undone_at=None).first()
    if known is not None:
        known.why = {**known.why, "returned" if line.amount > 0 else "paid": compared}
        known.save(update_fields=["why"])
        return known
    return Match.objects.create(
        id=ids.new(now),
        rule=Match.Rule.REFERENCE,
        payout_id=payout.id,
        why={"returned" if line.amount > 0 else "paid": compared},
        made_at=now,
    )


def _failure(line: StatementLine) -> str:
    """Why it came back, as far as the bank's line says it."""
    return gettext_noop("returned by the bank") if line.amount > 0 else ""


def _ask(line: StatementLine, payout: Payout | None, found: _Found, now: datetime) -> None:
    Discrepancy.objects.bulk_create(
        [
            Discrepancy(
                id=ids.new(now),
                key=f"{found.question}|line|{line.id}",
                reason=found.question,
                line=line,
                payout=payout,
                shop_id=payout.shop_id if payout else None,
                amount=abs(line.amount),
                currency=line.currency,
                details={"reference": line.reference, "amount": line.amount, "why": found.why},
                opened_at=now,
            )
        ],
        ignore_conflicts=True,
    )
