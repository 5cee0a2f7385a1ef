"""What an event about a refund means: the half of the pure decision that sends money back.

A refund is asked for by us or reported by the provider. Its state follows the provider's latest word by the time the
provider gives it, so words that come in another order end in the same state. A refusal (`refund.failed` that names no
refund of the provider's) is only its word on one asking, by our own clock: it ends a refund of which nothing else was
heard, and is overtaken by whatever tells that it was made all the same.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from merchants import ids
from merchants.notify import Telling
from payments import chart
from payments.chart import Movement, Subject
from payments.known import (
    AccountFacts,
    Decision,
    Known,
    PaymentFacts,
    Question,
    RefundFacts,
    contested,
    pending_left,
    refund_id,
    refunded,
)
from payments.models import Discrepancy, Payment, Refund
from payments.providers.base import Event, Kind

Reason = Discrepancy.Reason
_TOTAL = "total:"  # Names a row that only a total told of; no provider's own id begins so.


def decide(event: Event, account: AccountFacts, known: Known, event_id: UUID | None) -> Decision:
    """What a word of the provider about a refund changes: confirmed, failed, or reported though nobody here asked."""
    payment = known.payments.get((account.id, event.parent_object_id))
    if payment is None:
        return Decision("parked", "a refund whose payment we have not heard of yet")
    refund = _refund_named(event, payment, known)
    if refund is not None and refund.payment_id != payment.id:
        return Decision("quarantined", "the refund belongs to another payment")
    if event.currency != payment.currency:
        return Decision("quarantined", "a refund in another currency than its payment")
    if event.kind == "refund.total":
        return _total_told(event, payment, known, event_id)
    if refund is not None and (twin := _twin(event, payment, refund, known)):
        return _recognised(event, payment, refund, twin, known, event_id)
    return _told(event, payment, refund, known, event_id)


def _told(
    event: Event, payment: PaymentFacts, refund: RefundFacts | None, known: Known, event_id: UUID | None
) -> Decision:
    if event.kind == "refund.pending":
        if refund is None or refund.object_id == event.object_id or refund.state != Refund.State.REQUESTED:
            return Decision("ignored", "a refund that is only under way")
        return Decision("applied", refund=replace(refund, object_id=event.object_id))
    if refund is not None and _overtaken(event, refund):
        return Decision("ignored", "overtaken by a later word on this refund")
    if event.kind == "refund.failed":
        return _refund_failed(event, payment, refund, known, event_id)
    if refund is None and (ours := _confirmed_in_total(event, payment, known)):
        return Decision(
            "applied", "booked already, and now has its name", refund=replace(ours, object_id=event.object_id)
        )
    if refund is None and (total := _in_total(event, payment, known)):
        return _told_apart(event, payment, total, known, event_id)
    if refund is None:
        return _refund_reported(event, payment, known, event_id)
    return _refund_succeeded(event, payment, refund, known, event_id)


def _total_told(event: Event, payment: PaymentFacts, known: Known, event_id: UUID | None) -> Decision:
    """The provider tells all that was ever refunded, not what was refunded now: the difference is booked.

    While refunds that we asked for are under way, the difference may be theirs. The one that the provider names is
    confirmed; for any other the event waits until their own answers have come. Of one that is held for an operator no
    provider can tell.
    """
    if event.refunded_total is None:
        return Decision("parked", "a total that does not say how much")
    refunds = known.refunds_of(payment.id)
    new = event.refunded_total - sum(r.amount for r in refunds if r.state == Refund.State.SUCCEEDED)
    if new <= 0:
        return Decision("ignored", "booked already")
    under_way = [refund for refund in refunds if refund.state == Refund.State.REQUESTED and not refund.held]
    named = next((refund for refund in refunds if refund.id == refund_id(event.reference)), None)
    part = replace(event, kind="refund.succeeded")
    if (
        named is not None
        and named.state != Refund.State.SUCCEEDED
        and not _overtaken(part, named)
        and (named.amount <= new)
    ):
        part = replace(part, object_id=named.object_id or event.reference, amount=named.amount)
        confirmed = _refund_succeeded(part, payment, named, known, event_id)
        more = named.amount < new  # Of something else, which this event is applied again for.
        return replace(confirmed, outcome="parked", reason="tells of more than one refund") if more else confirmed
    if under_way:
        return Decision("parked", "may tell of a refund that we asked for and that is under way")
    rest = replace(event, object_id=f"{_TOTAL}{event.refunded_total}", amount=new, reference="")
    return _refund_reported(rest, payment, known, event_id)


def _confirmed_in_total(event: Event, payment: PaymentFacts, known: Known) -> RefundFacts | None:
    """A refund of ours of this amount that a total has confirmed, so that the provider's own name for it is not known.

    It is more likely what is told of than one that nobody here asked for; and the next one is then not it.
    """
    rows = [
        row
        for row in known.refunds_of(payment.id)
        if row.object_id == ids.public(Refund.prefix, row.id)
        and (row.state, row.amount) == (Refund.State.SUCCEEDED, event.amount)
    ]
    return min(rows, key=lambda row: row.id, default=None)


def _in_total(event: Event, payment: PaymentFacts, known: Known) -> RefundFacts | None:
    """The row under which a refund was booked when only a total told of it: the smallest that can hold it."""
    rows = [
        row
        for row in known.refunds_of(payment.id)
        if row.object_id.startswith(_TOTAL) and row.state == Refund.State.SUCCEEDED and row.amount >= event.amount
    ]
    return min(rows, key=lambda row: (row.amount, row.object_id)) if rows else None


def _told_apart(
    event: Event, payment: PaymentFacts, total: RefundFacts, known: Known, event_id: UUID | None
) -> Decision:
    """A refund that was booked within a total is now told of by itself: it gets its name, and is not booked again."""
    if total.amount == event.amount:
        return Decision("applied", refund=replace(total, object_id=event.object_id, settled_at=event.occurred_at))
    drawn = event.amount if total.pending_amount else 0
    alone = replace(
        total,
        id=known.new_id(),
        object_id=event.object_id,
        amount=event.amount,
        pending_amount=drawn,
        settled_at=event.occurred_at,
    )
    rest = replace(total, amount=total.amount - event.amount, pending_amount=total.pending_amount - drawn)
    pending, at = drawn > 0 and payment.due_at is not None, event.occurred_at
    movements = (
        chart.refund_divided(_subject(payment, total, event_id), event.amount, at, event.object_id, pending=pending),
        chart.refund_reported(_subject(payment, alone, event_id), event.amount, at, pending=pending),
    )
    return Decision("applied", refund=rest, new_refund=alone, movements=movements)


def _twin(event: Event, payment: PaymentFacts, refund: RefundFacts, known: Known) -> RefundFacts | None:
    """The row of a refund that the provider first reported without our reference, and now says was ours."""
    if not event.object_id:
        return None
    same = [r for r in known.refunds_of(payment.id) if r.id != refund.id and r.object_id == event.object_id]
    return next((r for r in same if r.origin == Refund.Origin.PROVIDER), None)


def _recognised(
    event: Event, payment: PaymentFacts, refund: RefundFacts, twin: RefundFacts, known: Known, event_id: UUID | None
) -> Decision:
    """One refund, booked as somebody else's before we knew that it was ours: that is undone, and ours goes on."""
    if twin.settled_at is not None and (event.kind == "refund.pending" or _overtaken(event, twin)):
        # Whose it is, is news all the same; how it stands, the later word has said.
        kind: Kind = "refund.succeeded" if twin.state == Refund.State.SUCCEEDED else "refund.failed"
        event = replace(event, kind=kind, amount=twin.amount, occurred_at=twin.settled_at)
    at = event.occurred_at
    undone = replace(twin, state=Refund.State.FAILED, object_id=f"{twin.object_id[:75]}:ours", settled_at=at)
    movements = _returned(event, payment, twin, event_id) if twin.state == Refund.State.SUCCEEDED else []
    ours = _told(event, payment, refund, known, event_id)
    tellings = () if ours.refund and ours.refund.state == twin.state else ours.tellings  # It was told of already.
    return replace(
        ours, outcome="applied", merged_refund=undone, movements=(*movements, *ours.movements), tellings=tellings
    )


def _refund_named(event: Event, payment: PaymentFacts, known: Known) -> RefundFacts | None:
    named = refund_id(event.reference)
    if named and named in known.refunds:
        return known.refunds[named]
    for refund in known.refunds_of(payment.id):
        if event.object_id and refund.object_id == event.object_id:
            return refund
    return None


def _overtaken(event: Event, refund: RefundFacts) -> bool:
    """Whether a later word was heard already. Of two words of one moment failure is the later one."""
    if refund.settled_at is None:
        return False
    if refund.state == Refund.State.FAILED and not refund.object_id:
        return False  # It was only refused: nothing that the provider has made was heard of before.
    if event.occurred_at == refund.settled_at:
        return event.kind == "refund.succeeded" and refund.state == Refund.State.FAILED
    return event.occurred_at < refund.settled_at


def _refund_succeeded(
    event: Event, payment: PaymentFacts, refund: RefundFacts, known: Known, event_id: UUID | None
) -> Decision:
    if refund.state == Refund.State.SUCCEEDED:
        if refund.amount == event.amount:
            return Decision("ignored", "booked already")
        return Decision("applied", questions=(_refund_differs(event, payment, refund),))
    subject = _subject(payment, refund, event_id)
    at, drawn = event.occurred_at, refund.pending_amount
    if refund.state == Refund.State.FAILED:  # It was reversed, and succeeded after all: booked anew.
        movements = [chart.refund_revived(subject, event.amount, at)]
        drawn = 0
    else:
        movements = [chart.refund_confirmed(subject, min(event.amount, refund.amount), at)]
        if event.amount < refund.amount:
            pending = drawn > 0 and payment.due_at is not None
            movements.append(chart.refund_failed(subject, refund.amount - event.amount, at, pending=pending))
            drawn = min(drawn, event.amount)
        elif event.amount > refund.amount:
            movements.append(chart.refund_reported(subject, event.amount - refund.amount, at, pending=False))
    settled = replace(
        refund,
        state=Refund.State.SUCCEEDED,
        object_id=event.object_id,
        amount=event.amount,
        pending_amount=drawn,
        settled_at=event.occurred_at,
    )
    questions = [_refund_differs(event, payment, refund)] if event.amount != refund.amount else []
    questions += _excess(event, payment, settled, known)
    return Decision(
        "applied",
        refund=settled,
        movements=tuple(movements),
        questions=tuple(questions),
        tellings=_told_of_refund("refund_succeeded", payment, settled),
    )


def _refund_reported(event: Event, payment: PaymentFacts, known: Known, event_id: UUID | None) -> Decision:
    """Refunded at the provider's own desk: we did not ask for it, and it is booked all the same."""
    pending = event.amount <= pending_left(payment, known)
    refund = RefundFacts(
        id=known.new_id(),
        payment_id=payment.id,
        object_id=event.object_id,
        amount=event.amount,
        state=Refund.State.SUCCEEDED,
        pending_amount=event.amount if pending else 0,
        origin=Refund.Origin.PROVIDER,
        settled_at=event.occurred_at,
    )
    subject = _subject(payment, refund, event_id)
    return Decision(
        "applied",
        new_refund=refund,
        movements=(chart.refund_reported(subject, event.amount, event.occurred_at, pending=pending),),
        questions=tuple(_excess(event, payment, refund, known)),
        tellings=_told_of_refund("refund_succeeded", payment, refund),
    )


def _refund_failed(
    event: Event, payment: PaymentFacts, refund: RefundFacts | None, known: Known, event_id: UUID | None
) -> Decision:
    if refund is None:
        return _failure_reported(event, payment, known)
    if refund.state == Refund.State.FAILED:
        return Decision("ignored", "booked already")
    if not event.object_id and refund.state == Refund.State.SUCCEEDED:
        return Decision("ignored", "only a later asking was refused")
    if not event.object_id and refund.object_id:
        return Decision("applied", "refused, and yet known", questions=(_refused(event, payment, refund),))
    if refund.state == Refund.State.SUCCEEDED:
        movements = _returned(event, payment, refund, event_id)
    else:
        pending = refund.pending_amount > 0 and payment.due_at is not None
        subject = _subject(payment, refund, event_id)
        movements = [chart.refund_failed(subject, refund.amount, event.occurred_at, pending=pending)]
    failed = replace(refund, state=Refund.State.FAILED, object_id=event.object_id, settled_at=event.occurred_at)
    # What an operator returned is in suspense again, and nobody would look for it there.
    questions = (_refused(event, payment, refund),) if refund.origin == Refund.Origin.OPERATOR else ()
    return Decision(
        "applied",
        refund=failed,
        movements=tuple(movements),
        questions=questions,
        tellings=_told_of_refund("refund_failed", payment, failed),
    )


def _returned(event: Event, payment: PaymentFacts, refund: RefundFacts, event_id: UUID | None) -> list[Movement]:
    """The money is the shop's again: what was drawn of the pending is pending as it was, unless that is due by now."""
    drawn = min(refund.pending_amount, refund.amount) if payment.due_at is not None else 0
    parts = [(drawn, True), (refund.amount - drawn, False)]
    subject = _subject(payment, refund, event_id)
    return [chart.refund_returned(subject, part, event.occurred_at, pending=side) for part, side in parts if part]


def _failure_reported(event: Event, payment: PaymentFacts, known: Known) -> Decision:
    """A refund of the provider's own desk came to nothing: kept, so that an earlier word of success is overtaken."""
    if not event.object_id:
        return Decision("ignored", "a refund that was never made")
    refund = RefundFacts(
        id=known.new_id(),
        payment_id=payment.id,
        object_id=event.object_id,
        amount=event.amount,
        state=Refund.State.FAILED,
        pending_amount=0,
        origin=Refund.Origin.PROVIDER,
        settled_at=event.occurred_at,
    )
    return Decision("applied", new_refund=refund)


def _subject(payment: PaymentFacts, refund: RefundFacts, event_id: UUID | None) -> Subject:
    return Subject(payment.source, payment.currency, payment.id, refund.id, event_id)


def _refused(event: Event, payment: PaymentFacts, refund: RefundFacts) -> Question:
    """The provider refuses what it has told us to be under way: it stays in flight, and somebody has to look."""
    return Question(
        key=f"refund_refused|{refund.id.hex}",
        reason=Reason.REFUND_REFUSED,
        amount=refund.amount,
        currency=payment.currency,
        shop_id=payment.shop_id,
        payment_id=payment.id,
        intent_id=payment.intent_id,
        details={"refund": ids.public(Refund.prefix, refund.id), "failure": event.reason},
    )


def _refund_differs(event: Event, payment: PaymentFacts, refund: RefundFacts) -> Question:
    return Question(
        key=f"refund_differs|{refund.id.hex}|{event.amount}",
        reason=Reason.REFUND_DIFFERS,
        amount=abs(event.amount - refund.amount),
        currency=payment.currency,
        shop_id=payment.shop_id,
        payment_id=payment.id,
        intent_id=payment.intent_id,
        details={"asked": refund.amount, "refunded": event.amount},
    )


def _excess(event: Event, payment: PaymentFacts, refund: RefundFacts, known: Known) -> list[Question]:
    """What went back (or is contested) beyond what had been received, as a question; the money itself is booked."""
    same = (refund.id, event.object_id)  # A row of the same object is the same refund, before it was recognised.
    others = [other for other in known.refunds_of(payment.id) if other.id not in same and other.object_id not in same]
    excess = refunded(others) + contested(known.disputes_of(payment.id)) + event.amount - payment.amount
    if excess <= 0:
        return []
    return [
        Question(
            key=f"refund_excess|{refund.id.hex}",
            reason=Reason.REFUND_EXCESS,
            amount=excess,
            currency=payment.currency,
            shop_id=payment.shop_id,
            payment_id=payment.id,
            intent_id=payment.intent_id,
        )
    ]


def _told_of_refund(kind: str, payment: PaymentFacts, refund: RefundFacts) -> tuple[Telling, ...]:
    if payment.shop_id is None:
        return ()
    data = {
        "payment": ids.public(Payment.prefix, payment.id),
        "refund": ids.public(Refund.prefix, refund.id),
        "amount": {"amount": refund.amount, "currency": payment.currency},
    }
    return (Telling(payment.shop_id, kind, data, payment.id),)
