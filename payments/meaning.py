"""What an event means, given what we know: a pure decision, without clock, database or network.

`decide` reads the facts in `Known` and answers with a `Decision`: rows to add, rows to change, movements to post,
things to tell. The shell (`reconcile`) loads the facts before and writes the decisions after. Money back stands in
`money_back`, contested money in `contested`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from merchants import ids
from merchants.models import Code, Item
from merchants.notify import Telling
from payments import chart, contested, money_back
from payments.chart import Subject
from payments.known import AccountFacts, Decision, IntentFacts, Known, PaymentFacts, Question, intent_id
from payments.models import Discrepancy, Payment, PaymentIntent
from payments.providers.base import Event

Reason = Discrepancy.Reason
Match = Payment.Match


def decide(event: Event, account: AccountFacts, known: Known, *, event_id: UUID | None, now: datetime) -> Decision:
    """The one place where an event becomes money, a question, or nothing. Pure; every path has a name."""
    if event.decision == "ignore":
        return Decision("ignored", event.reason)
    if event.decision == "query":
        return Decision("applied", "the provider is asked", inquiries=(event.object_id,))
    if strange := _strange(event, account):
        return strange
    match event.kind:
        case "payment.succeeded":
            return _received(event, account, known, event_id, now)
        case "payment.failed" | "payment.closed":
            return _closed(event, account, known)
        case "refund.pending" | "refund.succeeded" | "refund.failed" | "refund.total":
            return money_back.decide(event, account, known, event_id)
        case "dispute.opened" | "dispute.won" | "dispute.lost" | "dispute.closed":
            return contested.decide(event, account, known, event_id)
        case "payment.pending" | "info" | "payout.paid" | "payout.failed":
            return Decision("ignored", "tells of no money")
        case _:
            return Decision("parked", "an event of a kind that we do not know")


def _strange(event: Event, account: AccountFacts) -> Decision | None:
    """A proved event about another account of the provider's, or one that contradicts itself: a person must look."""
    differing = {name: value for name, value in event.account.items() if account.identity.get(name, value) != value}
    if not differing and event.decision != "quarantine":
        return None
    reason = Reason.WRONG_ACCOUNT if differing else Reason.SUSPECT
    question = Question(
        key=f"{reason}|{account.id.hex}|{event.kind}|{event.object_id}"[:200],
        reason=reason,
        amount=event.amount,
        currency=event.currency,
        shop_id=account.shop_id,
        details={"object": event.object_id, "reference": event.reference, "told": differing or event.reason},
    )
    why = "about another account" if differing else event.reason
    return Decision("quarantined", why, questions=(question,))


# --- Money in --------------------------------------------------------------------------------------------------------


def _received(event: Event, account: AccountFacts, known: Known, event_id: UUID | None, now: datetime) -> Decision:
    booked = known.payments.get((account.id, event.object_id))
    if booked is not None:
        return _told_again(event, booked)
    named = intent_id(event.reference)
    intent = known.intents.get(named) if named else None
    if intent is not None and intent.account_id != account.id:
        return _other_account(event, account, intent)
    payment, reason = _place(event, account, intent, known, now)
    subject = Subject(payment.source, payment.currency, payment.id, event_id=event_id)
    return Decision(
        "applied",
        new_payment=payment,
        intent=_after_payment(intent, payment),
        movements=(chart.paid(subject, payment.amount, event.occurred_at),),
        questions=(_question(reason, event, payment, intent),) if reason else (),
        tellings=(_told_of(payment, intent),) if payment.shop_id else (),
    )


def _place(
    event: Event, account: AccountFacts, intent: IntentFacts | None, known: Known, now: datetime
) -> tuple[PaymentFacts, str]:
    """Whose money it is, how it fits what we expected, and the question it raises (empty when it fits exactly)."""
    placed = True
    shop_id = intent.shop_id if intent else account.shop_id
    expected = intent.currency if intent else account.shop_currency
    if shop_id is None:
        placed, match, reason = False, Match.UNEXPECTED, Reason.UNKNOWN_REFERENCE
    elif event.currency != expected:
        placed, match, reason = False, Match.UNEXPECTED, Reason.WRONG_CURRENCY
    elif intent is None:
        match = Match.UNEXPECTED
        reason = Reason.UNKNOWN_REFERENCE if event.reference else Reason.UNEXPECTED
    elif intent.paid or intent.state == PaymentIntent.State.PAID:
        match, reason = Match.DOUBLE, Reason.DOUBLE
    elif intent.state != PaymentIntent.State.OPEN:
        match, reason = Match.LATE, Reason.LATE
    elif event.amount < intent.amount:
        match, reason = Match.SHORT, Reason.SHORT
    elif event.amount > intent.amount:
        match, reason = Match.OVER, Reason.OVER
    else:
        match, reason = Match.EXACT, None
    pending = placed and account.funds == "held"
    payment = PaymentFacts(
        id=known.new_id(),
        account_id=account.id,
        funds=account.funds,
        object_id=event.object_id,
        shop_id=shop_id,
        intent_id=intent.id if intent else None,
        amount=event.amount,
        currency=event.currency,
        match=match,
        placed=placed,
        occurred_at=event.occurred_at,
        due_at=now + known.settle_after if pending else None,
    )
    return payment, reason or ""


def _told_again(event: Event, booked: PaymentFacts) -> Decision:
    if (event.amount, event.currency) == (booked.amount, booked.currency):
        return Decision("ignored", "booked already")
    question = Question(
        key=f"contradiction|{booked.id.hex}|{event.amount}|{event.currency}",
        reason=Reason.CONTRADICTION,
        amount=abs(event.amount - booked.amount) or event.amount,
        currency=event.currency,
        shop_id=booked.shop_id,
        payment_id=booked.id,
        intent_id=booked.intent_id,
        details={"booked": [booked.amount, booked.currency], "told": [event.amount, event.currency]},
    )
    return Decision("applied", "contradicts what is booked", questions=(question,))


def _other_account(event: Event, account: AccountFacts, intent: IntentFacts) -> Decision:
    """A shop's own secret can only speak for that shop: nothing is booked, the event stands aside for a person."""
    question = Question(
        key=f"other_account|{account.id.hex}|{event.object_id}",
        reason=Reason.OTHER_ACCOUNT,
        amount=event.amount,
        currency=event.currency,
        shop_id=account.shop_id,
        details={"reference": event.reference, "object": event.object_id},
    )
    return Decision("quarantined", "the intent belongs to another account", questions=(question,))


def _after_payment(intent: IntentFacts | None, payment: PaymentFacts) -> IntentFacts | None:
    if intent is None or not payment.placed:
        return None
    state = PaymentIntent.State.PAID if intent.state == PaymentIntent.State.OPEN else intent.state
    return intent.with_money(state)


def _question(reason: str, event: Event, payment: PaymentFacts, intent: IntentFacts | None) -> Question:
    amount = event.amount
    if reason in (Reason.SHORT, Reason.OVER) and intent is not None:
        amount = abs(event.amount - intent.amount)
    details: dict[str, Any] = {"object": event.object_id, "reference": event.reference}
    if intent is not None:
        details["expected"] = [intent.amount, intent.currency]
    return Question(
        key=f"{reason}|{payment.id.hex}",
        reason=reason,
        amount=amount,
        currency=event.currency,
        shop_id=payment.shop_id,
        payment_id=payment.id,
        intent_id=payment.intent_id,
        details=details,
    )


def _told_of(payment: PaymentFacts, intent: IntentFacts | None) -> Telling:
    assert payment.shop_id is not None
    data: dict[str, Any] = {
        "payment": ids.public(Payment.prefix, payment.id),
        "amount": {"amount": payment.amount, "currency": payment.currency},
        "match": payment.match,
        "occurred_at": payment.occurred_at.isoformat(),
    }
    if intent is not None:
        data["expected"] = {"amount": intent.amount, "currency": intent.currency}
        data |= {"description": intent.description, "quantity": intent.quantity, "receipt": intent.receipt}
        data |= {
            "code": ids.public(Code.prefix, intent.code_id) if intent.code_id else None,
            "item": ids.public(Item.prefix, intent.item_id) if intent.item_id else None,
        }
    # Money in suspense is not hers yet: it must never be announced as received.
    kind = "payment_received" if payment.placed else "payment_in_question"
    return Telling(payment.shop_id, kind, data, payment.id)


# --- No money --------------------------------------------------------------------------------------------------------


def _closed(event: Event, account: AccountFacts, known: Known) -> Decision:
    """The provider says that the order will not be paid: refused by the payer, or closed (by us, or by time)."""
    named = intent_id(event.reference)
    intent = known.intents.get(named) if named else None
    if intent is None:
        return Decision("ignored", "names no intent of ours")
    if intent.account_id != account.id:
        return _other_account(event, account, intent)
    if intent.state != PaymentIntent.State.OPEN:
        return Decision("ignored", f"the intent is {intent.state} already")
    if not event.final:
        return Decision("ignored", "may still be paid")
    if event.kind == "payment.failed":
        state, closing = PaymentIntent.State.CANCELED, PaymentIntent.Closing.REFUSED
    elif intent.closing == PaymentIntent.Closing.FROZEN:
        state, closing = PaymentIntent.State.CANCELED, PaymentIntent.Closing.FROZEN
    else:
        state, closing = PaymentIntent.State.EXPIRED, PaymentIntent.Closing.EXPIRED
    return Decision("applied", intent=replace(intent, state=state, closing=closing))
