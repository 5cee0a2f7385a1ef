"""Lines of our bank that fit nothing: which of them stand in suspense, and the question that each has raised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from merchants import ids
from payments.models import Adjustment, Discrepancy, Match, StatementLine

Reason, State = Discrepancy.Reason, Discrepancy.State

_REASONS = {StatementLine.Kind.CREDIT: Reason.UNKNOWN_CREDIT, StatementLine.Kind.DEBIT: Reason.UNKNOWN_DEBIT}


@dataclass(frozen=True, slots=True)
class Suspended:
    """A line's money in suspense: the match by which it was booked there, and its question.

    `kept`: an operator has ended it with money, so suspense does not hold it any more.
    """

    match: Match
    question: Discrepancy
    kept: bool

    def ended_for(self, line: StatementLine) -> bool:
        """Whether there is nothing more to look for: kept, or answered by a person while the line stood here."""
        return self.kept or (self.question.state == State.RESOLVED and line.match_id == self.match.id)


def of(lines: Sequence[StatementLine]) -> dict[int, Suspended]:
    """Which of these lines stand in suspense, by their ids."""
    asked = {row.line_id: row for row in _questions(lines) if row.line_id is not None}
    named = {line_id: UUID(row.details["match"]) for line_id, row in asked.items()}
    holding = {row.id: row for row in Match.objects.filter(id__in=named.values(), undone_at=None)}
    ended = kept(lines)
    return {
        line_id: Suspended(holding[match_id], asked[line_id], line_id in ended)
        for line_id, match_id in named.items()
        if match_id in holding
    }


def kept(lines: Sequence[StatementLine]) -> set[int]:
    """The lines that an operator has ended with money: they pay nothing else, whatever becomes of their match."""
    posted = Adjustment.objects.filter(
        discrepancy__line__in=[line.id for line in lines],
        discrepancy__reason__in=_REASONS.values(),
        state=Adjustment.State.POSTED,
    )
    return {line_id for line_id in posted.values_list("discrepancy__line", flat=True) if line_id is not None}


def ask(lines: Sequence[StatementLine], *, now: datetime) -> None:
    """Asks about lines that went to suspense, and ends the question of those that have found what they pay.

    One whose match was undone by a person is asked about again.
    """
    held = _questions(lines).select_for_update(of=("self",), no_key=True).order_by("id")
    asked = {row.line_id: row for row in held}
    fresh = []
    for line in lines:
        question = asked.get(line.id)
        assert line.match is not None
        if line.match.rule == Match.Rule.NONE:
            if question is None:
                fresh.append(_question(line, now))
            else:
                _ask_again(question, line)
        elif question is not None and question.state == State.OPEN:
            Discrepancy.objects.filter(id=question.id).update(
                state=State.RESOLVED, resolved_at=now, resolution=f"By itself: matched ({line.match})."
            )
    Discrepancy.objects.bulk_create(fresh)


def _questions(lines: Iterable[StatementLine]) -> Any:
    return Discrepancy.objects.filter(line__in=[line.id for line in lines], reason__in=_REASONS.values())


def _question(line: StatementLine, now: datetime) -> Discrepancy:
    reason = _REASONS[StatementLine.Kind(line.kind)]
    return Discrepancy(
        id=ids.new(now),
        key=f"{reason}|{line.id}",
        reason=reason,
        line=line,
        amount=abs(line.amount),
        currency=line.currency,
        details=_details(line),
        opened_at=now,
    )


def _ask_again(question: Discrepancy, line: StatementLine) -> None:
    reopened = {} if kept([line]) else {"state": State.OPEN, "resolved_at": None, "resolution": ""}
    Discrepancy.objects.filter(id=question.id).update(details=_details(line), **reopened)


def _details(line: StatementLine) -> dict[str, Any]:
    assert line.match_id is not None
    return {
        "match": str(line.match_id),
        "line": line.number,
        "reference": line.reference,
        "object": line.object_id,
        "occurred_at": line.occurred_at.isoformat() if line.occurred_at else None,
    }
