"""What operators do to matches and lines: undo a match, have lines looked at again, make a match by hand.

Undoing reverses by new entries whatever was posted for the match, so every balance is what it would be without it. Its
lines are free then; a provider's wait until a person has them looked at again, or the same match would come back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.utils.translation import gettext as _

from merchants import audit, bell, ids
from merchants.audit import UnableToAct
from merchants.models import User
from payments import boundary, fees, ledger
from payments.chart import Movement, Place
from payments.models import (
    Account,
    Discrepancy,
    LedgerEntry,
    Match,
    Payment,
    Refund,
    SettlementMatch,
    Statement,
    StatementLine,
)
from payments.settlement import candidates, judging, pairing, totals
from payments.settlement.matching import MATCH
from payments.settlement.repairs import of_row
from payments.settlement.stated import Book, Line, Ours, Verdict

Outcome = StatementLine.Outcome
# What a person may have looked at again: whatever was not matched.
_OPEN = (
    Outcome.UNDONE, Outcome.MISSING_IN_BOOKS, Outcome.CURRENCY_DIFFERS, Outcome.DUPLICATE, Outcome.TIMING,
    Outcome.ASKED, Outcome.UNREADABLE,
)  # fmt: skip
_BY_ITSELF = (Discrepancy.Reason.AMOUNT_DIFFERS, Discrepancy.Reason.FEE_DIFFERS)


def undo(*, match_id: UUID, operator: User, reason: str, now: datetime) -> None:
    """Undoes a match: its entries are reversed, its lines are free, its settlements are counted anew.

    Questions that only the match had raised are answered with it. Raises UnableToAct `undone_already`, `archived`
    when its entries may have left the database, or `of_a_payout`, whose matches follow what the payout's own provider
    says.
    """
    undo_all(match_ids=[match_id], operator=operator, reason=reason, now=now)


def undo_all(*, match_ids: Sequence[UUID], operator: User, reason: str, now: datetime) -> int:
    """The same for several at once, all or none; answers how many."""
    with transaction.atomic():
        _lock_subjects(match_ids)
        settlements = sorted(
            SettlementMatch.objects.filter(match__in=match_ids).values_list("settlement_id", flat=True).distinct()
        )
        _lock_settlements(settlements)
        rows = StatementLine.objects.select_for_update(no_key=True).filter(match__in=match_ids).order_by("id")
        line_of = dict(rows.values_list("id", "match_id"))
        matches = list(Match.objects.select_for_update(no_key=True).filter(id__in=match_ids).order_by("id"))
        if any(match.undone_at is not None for match in matches):
            raise UnableToAct("undone_already", _("Undone already; nothing was changed."))
        if any(match.payout_id is not None for match in matches):
            raise UnableToAct("of_a_payout", _("A payout's match follows what its bank says; it is not undone here."))
        here = boundary.since()
        if here is not None and any(match.made_at < here for match in matches):
            raise UnableToAct(
                "archived", _("What was booked for it is in an archive: bring its month back first, then undo it.")
            )
        undone = Match.objects.filter(id__in=match_ids)
        undone.update(undone_at=now, undone_by=operator, undone_reason=reason)
        _free(line_of, now)
        raised = Discrepancy.objects.filter(line__in=line_of, reason__in=_BY_ITSELF, state=Discrepancy.State.OPEN)
        keys = list(raised.values_list("key", flat=True))
        pairing.answer(keys, note=f"Answered by itself: its match was undone ({reason}).", now=now)
        if settlements:
            totals.recount(settlement_ids=settlements, now=now)
        _reverse(match_ids, now)
        lines_of: dict[UUID, list[int]] = defaultdict(list)
        for line_id, match_id in line_of.items():
            lines_of[match_id].append(line_id)
        for match in matches:
            audit.record(
                operator=operator,
                act="undo",
                subject=match,
                reason=reason,
                before={"undone": False},
                after={"undone": True, "rule": match.rule, "lines": lines_of[match.id]},
                now=now,
            )
    return len(matches)


def look_again(*, line_ids: Sequence[int], operator: User, reason: str, now: datetime) -> int:
    """Has lines looked at again, from the first look on; answers how many. A match then is a new one.

    Raises UnableToAct `matched_already` for lines whose match holds, and `replaced` for those of a statement that was.
    """
    with transaction.atomic():
        rows = _lines(line_ids)
        if any(row.match_id or row.outcome not in _OPEN for row in rows):
            raise UnableToAct("matched_already", _("Only lines that are matched with nothing can be looked at again."))
        if any(row.statement.state != Statement.State.IMPORTED for row in rows):
            raise UnableToAct("replaced", _("The statement was replaced by another; look at that one's lines."))
        for row in rows:
            StatementLine.objects.filter(id=row.id).update(look_at=now, looks=0, outcome="")
            before, after = {"outcome": row.outcome, "looks": row.looks}, {"outcome": "", "looks": 0}
            audit.record(
                operator=operator, act="look_again", subject=row, reason=reason, before=before, after=after, now=now
            )
        transaction.on_commit(lambda: bell.ring(MATCH))
        return len(rows)


def match_by_hand(
    *,
    line_ids: Sequence[int],
    operator: User,
    reason: str,
    now: datetime,
    payment_id: UUID | None = None,
    refund_id: UUID | None = None,
) -> Match:
    """Makes a match that a person has found: of these lines with one payment, or with one refund.

    A difference of amounts or fees raises its question, as in any match. Raises UnableToAct `unknown`,
    `matched_already`, `other_account`, `other_kind`, `other_currency`.
    """
    with transaction.atomic():
        book, ours = _chosen(payment_id, refund_id)
        rows = _lines(line_ids)
        lines = [of_row(row) for row in rows if row.provider_account_id is not None]
        if not lines or len(lines) < len(set(line_ids)):
            raise UnableToAct("unknown", _("There are no such lines of a provider's statement."))
        _require_fit(lines, rows, ours, book)
        made = judging.pair(
            lines[0], ours, Match.Rule.BY_HAND, book, partial(ids.new, now), reason=f"{operator}: {reason}"
        )
        for line in lines[1:]:
            made.add(line)
        terms = fees.cost_terms(account_ids={ours.account_id})
        verdicts = [Verdict(line, "", pairing=made) for line in lines]
        pairing.record(verdicts, [judging.conclude(made, terms)], now=now, made_by=operator)
        match = Match.objects.get(id=made.id)
        audit.record(
            operator=operator,
            act="match_by_hand",
            subject=match,
            reason=reason,
            before={},
            after={"lines": [line.name for line in lines], ours.about: ours.name},
            now=now,
        )
        return match


def _chosen(payment_id: UUID | None, refund_id: UUID | None) -> tuple[Book, Ours]:
    """What a person has chosen, with its row locked."""
    if refund_id is not None:
        payment_id = Refund.objects.filter(id=refund_id).values_list("payment_id", flat=True).first()
    book = candidates.load_only(payment_ids=[payment_id] if payment_id else [])
    ours = book.ours.get(("refund", refund_id) if refund_id else ("payment", payment_id))  # type: ignore[arg-type]
    if ours is None:
        raise UnableToAct("unknown", _("There is no such payment or refund."))
    return book, ours


def _require_fit(lines: Sequence[Line], rows: Sequence[StatementLine], ours: Ours, book: Book) -> None:
    if ours.key in book.pairings:
        raise UnableToAct(
            "matched_already", _("%(name)s is matched already; undo that match first.") % {"name": ours.name}
        )
    if any(row.match_id for row in rows):
        raise UnableToAct("matched_already", _("One of the lines is matched already; undo that match first."))
    if any(line.account_id != ours.account_id for line in lines):
        raise UnableToAct(
            "other_account", _("A line of another account says nothing of %(name)s.") % {"name": ours.name}
        )
    if any(line.kind != ours.about for line in lines):
        raise UnableToAct(
            "other_kind",
            _("A line of another kind says nothing of a %(about)s.") % {"about": _(ours.about)},
        )
    if any(line.currency != ours.currency for line in lines):
        raise UnableToAct("other_currency", _("Amounts of two currencies cannot be compared."))


def _lines(line_ids: Sequence[int]) -> list[StatementLine]:
    rows = StatementLine.objects.select_for_update(of=("self",), no_key=True).filter(id__in=line_ids)
    return list(rows.select_related("statement", "provider_account").order_by("id"))


# --- Reversing -------------------------------------------------------------------------------------------------------


def _lock_subjects(match_ids: Sequence[UUID]) -> None:
    """What the matches are about, in the fixed order: nobody matches it anew while it is being freed."""
    about = Match.objects.filter(id__in=match_ids)
    payments = Payment.objects.select_for_update(no_key=True).filter(id__in=about.values("payment"))
    refunds = Refund.objects.select_for_update(no_key=True).filter(id__in=about.values("refund"))
    for locking in (payments, refunds):
        list(locking.order_by("id").values_list("id", flat=True))


def _free(line_ids: Collection[int], now: datetime) -> None:
    """A provider's line then waits for a person. One of our bank is looked at at once: its money stands somewhere, and
    the two that were taken apart are not put together again by themselves."""
    freed = StatementLine.objects.filter(id__in=line_ids)
    freed.filter(provider_account__isnull=False).update(outcome=Outcome.UNDONE, match=None, look_at=None)
    freed.filter(provider_account=None).update(outcome="", match=None, look_at=now)


def _lock_settlements(settlement_ids: Sequence[UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM payments_settlement WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [list(settlement_ids)],
        )


def _reverse(match_ids: Sequence[UUID], now: datetime) -> None:
    """Posts every entry of the matches once more with its sides swapped."""
    entries = list(
        LedgerEntry.objects.filter(cause_id__in=match_ids).exclude(kind=LedgerEntry.Kind.REVERSED).order_by("id")
    )
    places = _places({account for entry in entries for account in (entry.debit_id, entry.credit_id)})
    ledger.post(
        [
            Movement(
                key=f"reversed|{entry.key}",
                kind=LedgerEntry.Kind.REVERSED,
                debit=places[entry.credit_id],
                credit=places[entry.debit_id],
                amount=entry.amount,
                currency=entry.currency,
                occurred_at=now,
                shop_id=entry.shop_id,
                payment_id=entry.payment_id,
                refund_id=entry.refund_id,
                dispute_id=entry.dispute_id,
                event_id=entry.event_id,
                cause_id=entry.cause_id,
            )
            for entry in entries
        ],
        now=now,
    )


def _places(account_ids: set[int]) -> dict[int, Place]:
    rows = Account.objects.filter(id__in=account_ids)
    return {row.id: Place(row.kind, row.funds, row.shop_id, row.provider_account_id) for row in rows}
