"""What an event about a dispute means: the third part of the pure decision, for money that its payer contests.

While a dispute is open its money is held; won or closed, it is the shop's again; lost, it is the payer's. A dispute
only moves forward: a late word that it was opened changes nothing once its end is known, and of two ends the later one
counts, by the time the provider gives it (of one moment, the one that takes more). Networks take a lost dispute
whatever the shop's balance is, so it is always booked, and may take the balance below zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from merchants import ids
from merchants.notify import Telling
from payments import chart
from payments.chart import Movement, Subject
from payments.known import (
    AccountFacts,
    Decision,
    DisputeFacts,
    Known,
    PaymentFacts,
    Question,
    contested,
    pending_left,
    refunded,
)
from payments.models import Discrepancy, Dispute, Payment
from payments.providers.base import Event

State = Dispute.State

_STATES = {
    "dispute.opened": State.OPEN,
    "dispute.won": State.WON,
    "dispute.lost": State.LOST,
    "dispute.closed": State.CLOSED,
}


def decide(event: Event, account: AccountFacts, known: Known, event_id: UUID | None) -> Decision:
    """What a word of the provider about a dispute changes."""
    payment = known.payments.get((account.id, event.parent_object_id))
    if payment is None:
        return Decision("parked", "a dispute whose payment we have not heard of yet")
    if event.currency != payment.currency:
        return Decision("quarantined", "a dispute in another currency than its payment")
    state = _STATES[event.kind]
    dispute = next((d for d in known.disputes_of(payment.id) if d.object_id == event.object_id), None)
    if dispute is None:
        return _heard_of(event, state, payment, known, event_id)
    if _overtaken(event, state, dispute):
        return Decision("ignored", "overtaken by a later word on this dispute")
    if state == State.OPEN:
        return _goes_on(event, dispute, payment, known, event_id)
    return _ends(event, state, dispute, payment, known, event_id)


def _overtaken(event: Event, state: str, dispute: DisputeFacts) -> bool:
    """Of two words of one moment the end is later than the beginning, and a loss later than any other end."""
    if dispute.state != State.OPEN and state == State.OPEN:
        return True
    if event.occurred_at == dispute.told_at:
        rank = [State.OPEN, State.CLOSED, State.WON, State.LOST]
        if state == dispute.state:
            return event.amount < dispute.amount
        return rank.index(State(state)) < rank.index(State(dispute.state))
    return event.occurred_at < dispute.told_at and not (dispute.state == State.OPEN and state != State.OPEN)


def _heard_of(event: Event, state: str, payment: PaymentFacts, known: Known, event_id: UUID | None) -> Decision:
    """The first word on it, which may well be the last: what was never held is not released, and a loss is a loss."""
    takes = state in (State.OPEN, State.LOST)
    pending = takes and event.amount <= pending_left(payment, known)
    dispute = DisputeFacts(
        id=known.new_id(),
        payment_id=payment.id,
        object_id=event.object_id,
        amount=event.amount,
        state=state,
        pending_amount=event.amount if pending else 0,
        evidence_due_at=event.evidence_due_at if state == State.OPEN else None,
        told_at=event.occurred_at,
    )
    subject = _subject(payment, dispute, event, event_id)
    movements = [chart.dispute_held(subject, event.amount, event.occurred_at, pending=pending)] if takes else []
    if state == State.LOST:
        movements.append(chart.dispute_lost(subject, event.amount, event.occurred_at))
    return Decision(
        "applied",
        new_dispute=dispute,
        movements=tuple(movements),
        questions=tuple(_excess(event, payment, dispute, known)) if takes else (),
        tellings=_told(payment, dispute),
    )


def _goes_on(
    event: Event, dispute: DisputeFacts, payment: PaymentFacts, known: Known, event_id: UUID | None
) -> Decision:
    """Still open: another date for the evidence, or another amount in question."""
    due = event.evidence_due_at or dispute.evidence_due_at
    changed = replace(dispute, amount=event.amount, evidence_due_at=due, told_at=event.occurred_at)
    if (changed.amount, changed.evidence_due_at) == (dispute.amount, dispute.evidence_due_at):
        return _known(changed)
    subject, more = _subject(payment, dispute, event, event_id), event.amount - dispute.amount
    movements: tuple[Movement, ...] = ()
    if more > 0:
        pending = more <= pending_left(payment, known)
        changed = replace(changed, pending_amount=dispute.pending_amount + (more if pending else 0))
        movements = (chart.dispute_held(subject, more, event.occurred_at, pending=pending),)
    elif more < 0:
        movements = tuple(_released(subject, -more, min(-more, dispute.pending_amount), event, payment))
        changed = replace(changed, pending_amount=max(dispute.pending_amount + more, 0))
    questions = _excess(event, payment, dispute, known) if more > 0 else []
    return Decision(
        "applied", dispute=changed, movements=movements, questions=tuple(questions), tellings=_told(payment, changed)
    )


def _known(dispute: DisputeFacts) -> Decision:
    """Nothing but that it was still so at a later time: what is told of a time before that is overtaken."""
    return Decision("applied", "known already", dispute=dispute)


def _ends(
    event: Event, state: str, dispute: DisputeFacts, payment: PaymentFacts, known: Known, event_id: UUID | None
) -> Decision:
    subject, at = _subject(payment, dispute, event, event_id), event.occurred_at
    ended = replace(dispute, state=state, told_at=at, evidence_due_at=None)
    movements: list[Movement] = []
    if state == State.LOST:
        ended = replace(ended, amount=event.amount)
        movements, drawn = _taken(subject, event, dispute, payment)
        ended = replace(ended, pending_amount=drawn)
    elif dispute.state == State.LOST:  # Won after all, in a later instance: what was taken comes back.
        # It comes back as available money: what was drawn from the pending is not there again.
        movements = [chart.dispute_returned(subject, dispute.amount, at)]
    elif dispute.state == State.OPEN:
        movements = list(_released(subject, dispute.amount, dispute.pending_amount, event, payment))
        ended = replace(ended, pending_amount=0)
    if dispute.state == state and not movements:
        return _known(ended)
    told = _told(payment, ended) if dispute.state != state else ()
    questions = _excess(event, payment, dispute, known) if state == State.LOST else []
    return Decision("applied", dispute=ended, movements=tuple(movements), questions=tuple(questions), tellings=told)


def _taken(subject: Subject, event: Event, dispute: DisputeFacts, payment: PaymentFacts) -> tuple[list[Movement], int]:
    """Lost: the provider takes `event.amount`, whatever was held for it; and how much of it was pending money."""
    at, amount = event.occurred_at, event.amount
    if dispute.state == State.LOST:  # The same loss told again; another amount is what was taken more, or came back.
        more = amount - dispute.amount
        if more > 0:
            return [chart.dispute_taken(subject, more, at)], dispute.pending_amount
        return ([chart.dispute_returned(subject, -more, at)] if more else []), dispute.pending_amount
    if dispute.state != State.OPEN:  # It had been released, and is lost after all.
        return [chart.dispute_taken(subject, amount, at)], dispute.pending_amount
    movements = [chart.dispute_lost(subject, min(amount, dispute.amount), at)]
    rest, drawn = dispute.amount - amount, dispute.pending_amount
    if rest > 0:
        back = max(drawn - amount, 0)
        movements += _released(subject, rest, back, event, payment)
        drawn -= back
    elif rest < 0:
        movements.append(chart.dispute_taken(subject, -rest, at))
    return movements, drawn


def _released(subject: Subject, amount: int, drawn: int, event: Event, payment: PaymentFacts) -> Sequence[Movement]:
    """Held money is the shop's again: `drawn` of it pending, as it was, unless that has become due in the meantime."""
    pending = drawn if payment.due_at is not None else 0
    parts = [(pending, True), (amount - pending, False)]
    return [chart.dispute_released(subject, part, event.occurred_at, pending=side) for part, side in parts if part]


def _subject(payment: PaymentFacts, dispute: DisputeFacts, event: Event, event_id: UUID | None) -> Subject:
    return Subject(
        payment.source,
        payment.currency,
        payment.id,
        event_id=event_id,
        dispute_id=dispute.id,
        dispute_amount=event.amount,
    )


def _excess(event: Event, payment: PaymentFacts, dispute: DisputeFacts, known: Known) -> list[Question]:
    """What is contested beyond what is left of the payment: it was refunded already, or is contested twice."""
    others = [other for other in known.disputes_of(payment.id) if other.id != dispute.id]
    back = refunded(known.refunds_of(payment.id)) + contested(others)
    excess = back + event.amount - payment.amount
    if excess <= 0:
        return []
    return [
        Question(
            key=f"dispute_excess|{dispute.id.hex}",
            reason=Discrepancy.Reason.DISPUTE_EXCESS,
            amount=excess,
            currency=payment.currency,
            shop_id=payment.shop_id,
            payment_id=payment.id,
            intent_id=payment.intent_id,
        )
    ]


def _told(payment: PaymentFacts, dispute: DisputeFacts) -> tuple[Telling, ...]:
    if payment.shop_id is None:
        return ()
    due = dispute.evidence_due_at
    data = {
        "payment": ids.public(Payment.prefix, payment.id),
        "dispute": ids.public(Dispute.prefix, dispute.id),
        "amount": {"amount": dispute.amount, "currency": payment.currency},
        "evidence_due_at": due.isoformat() if due else None,
    }
    kind = "dispute_opened" if dispute.state == State.OPEN else f"dispute_{dispute.state}"
    return (Telling(payment.shop_id, kind, data, payment.id),)
