"""What a discrepancy is about, as its remedies see it: the facts of its payment, its line or its settlement."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db.models import Sum

from merchants import ids
from payments import boundary, facts
from payments.chart import Source
from payments.endings import Case
from payments.known import contested, refunded
from payments.models import Discrepancy, Dispute, LedgerEntry, Match, Payment, ProviderAccount, Refund, StatementLine
from payments.settlement import differences, judging, repairs, suspended

Reason = Discrepancy.Reason


def of(question: Discrepancy, payment: Payment | None) -> Case:
    """The case as it is now; of what is booked by it, the caller has locked the rows."""
    account = question.provider_account
    source, left, moving = _source(payment, account, question), 0, False
    if payment is not None and not payment.placed:
        known = facts.of_payments([payment], partial(ids.new, question.opened_at))
        rows, disputes = list(known.refunds.values()), list(known.disputes.values())
        left = payment.amount - refunded(rows) - contested(disputes)
        moving = any(row.state == Refund.State.REQUESTED for row in rows)
        moving = moving or any(row.state == Dispute.State.OPEN for row in disputes)
    elif question.line is not None and account is None:
        waited = suspended.of([question.line]).get(question.line.id)
        left = question.amount if waited and not waited.kept and question.line.match_id == waited.match.id else 0
    return Case(
        reason=question.reason,
        amount=question.amount,
        currency=question.currency,
        missing=_missing(question, payment),
        source=source,
        payment_id=payment.id if payment else None,
        left=left,
        moving=moving,
        pending=payment is not None and payment.due_at is not None,
        shop_known=payment is not None and payment.shop_id is not None,
        provable=_provable(question.line),
    )


def _provable(line: StatementLine | None) -> bool:
    """A line of a provider that our book does not know, and that says enough to be booked."""
    if line is None or line.provider_account_id is None or line.outcome != StatementLine.Outcome.MISSING_IN_BOOKS:
        return False
    return judging.provable(repairs.of_row(line))


def _source(payment: Payment | None, account: ProviderAccount | None, question: Discrepancy) -> Source | None:
    if payment is not None:
        return facts.of_payment(payment).source
    if account is None:
        return None
    return Source(account.id, account.funds, account.shop_id or question.shop_id, placed=True)


def _missing(question: Discrepancy, payment: Payment | None) -> int:
    """Above zero when our book has more than will come, below when it has less; only its sign is used.

    A line's net is what it will bring. What our book has of it already is the payment, the refund, or nothing.
    """
    line = question.line
    match question.reason:
        case Reason.SETTLEMENT_DIFFERS | Reason.SETTLEMENT_OVERDUE:
            return differences.left(question)
        case Reason.FEE_DIFFERS if line is not None:
            return _kept_of(line) - _fee_booked(line.match_id)
        case Reason.MISSING_AT_PROVIDER:
            return -question.amount if question.refund else question.amount
        case Reason.AMOUNT_DIFFERS if line is not None:
            booked = -question.refund.amount if question.refund else payment.amount if payment else 0
            return booked - line.amount
        case Reason.CURRENCY_DIFFERS:
            same = payment is not None and payment.currency == question.currency
            return (-question.amount if question.refund else question.amount) if same else 0
        case Reason.MISSING_IN_BOOKS | Reason.STATED_TWICE | Reason.STATED_OTHERWISE if line is not None:
            return line.fee - line.amount
        case Reason.UNKNOWN_DEBIT:
            return question.amount
        case _:
            return 0


def _kept_of(line: StatementLine) -> int:
    """What the provider kept, by all lines of the match (by the line alone, while it has none)."""
    if line.match_id is None:
        return line.fee
    total = StatementLine.objects.filter(match=line.match_id).aggregate(total=Sum("fee"))["total"]
    return total or 0


def _fee_booked(match_id: UUID | None) -> int:
    """What our book has of it as a fee, for this match; of one whose entries may have left, what it says itself."""
    match = Match.objects.filter(id=match_id, undone_at=None).first() if match_id else None
    if match is None:
        return 0
    here = boundary.since()
    if here is not None and match.made_at < here:
        return int((match.why.get("fee") or {}).get("booked") or 0)
    entries = LedgerEntry.objects.filter(cause_id=match.id, kind=LedgerEntry.Kind.PROVIDER_FEE)
    receiving = ("provider_receivable", "settled_direct")
    rows = entries.values_list("amount", "credit__kind")
    return sum(amount if credit in receiving else -amount for amount, credit in rows)
