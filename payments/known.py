"""What a decision is made on and what it is made of: facts as plain values, and the changes that follow from an event.

Pure. `Known.absorb` makes the facts those after a decision, so a batch of events is decided one after the other as if
each had been alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from merchants import ids
from merchants.notify import Telling
from merchants.values import value
from payments.chart import Movement, Source
from payments.models import Dispute, PaymentIntent, Refund

Outcome = Literal["applied", "ignored", "parked", "quarantined"]


@value
class AccountFacts:
    id: UUID
    funds: str
    shop_id: UUID | None
    shop_currency: str  # Empty for an account of the platform.
    identity: Mapping[str, str] = field(default_factory=dict)  # How the provider names this account.


@value
class IntentFacts:
    id: UUID
    shop_id: UUID
    account_id: UUID
    amount: int
    currency: str
    state: str
    closing: str
    description: str
    quantity: int
    receipt: str
    item_id: UUID | None = None
    code_id: UUID | None = None
    paid: bool = False  # Some money has been placed for it already.

    def with_money(self, state: str) -> IntentFacts:
        """The intent after some money was placed for it. (`replace` looks at every field: this is on every payment.)"""
        return IntentFacts(
            self.id, self.shop_id, self.account_id, self.amount, self.currency, state, self.closing, self.description,
            self.quantity, self.receipt, self.item_id, self.code_id, True,
        )  # fmt: skip


@value
class PaymentFacts:
    id: UUID
    account_id: UUID
    funds: str
    object_id: str
    shop_id: UUID | None
    intent_id: UUID | None
    amount: int
    currency: str
    match: str
    placed: bool
    occurred_at: datetime
    due_at: datetime | None  # None: it is available already, or was never pending.

    @property
    def source(self) -> Source:
        return Source(self.account_id, self.funds, self.shop_id, self.placed)


@value
class RefundFacts:
    id: UUID
    payment_id: UUID
    object_id: str
    amount: int
    state: str
    pending_amount: int  # How much of it was drawn from the shop's pending money.
    origin: str
    settled_at: datetime | None
    review: str = ""

    @property
    def held(self) -> bool:
        """It waits for an operator: its provider was never asked."""
        return self.review == Refund.Review.WAITING


@value
class DisputeFacts:
    id: UUID
    payment_id: UUID
    object_id: str
    amount: int  # Held while it is open, lost when it is lost.
    state: str
    pending_amount: int  # How much of it was drawn from the shop's pending money, and is not there again.
    evidence_due_at: datetime | None
    told_at: datetime


@value
class Question:
    """A Discrepancy to open, once per key."""

    key: str
    reason: str
    amount: int
    currency: str
    shop_id: UUID | None = None
    payment_id: UUID | None = None
    intent_id: UUID | None = None
    details: dict[str, Any] = field(default_factory=dict)


@value
class Decision:
    """What follows from one event. Changed facts stand whole; the shell writes the fields that can change."""

    outcome: Outcome
    reason: str = ""
    new_payment: PaymentFacts | None = None
    new_refund: RefundFacts | None = None
    intent: IntentFacts | None = None
    refund: RefundFacts | None = None
    merged_refund: RefundFacts | None = None  # A reported refund that turned out to be `refund`.
    new_dispute: DisputeFacts | None = None
    dispute: DisputeFacts | None = None
    movements: tuple[Movement, ...] = ()
    questions: tuple[Question, ...] = ()
    tellings: tuple[Telling, ...] = ()
    inquiries: tuple[str, ...] = ()  # What the provider has to be asked about before anything is believed.


@dataclass(slots=True)
class Known:
    """The facts a batch is decided on. `settle_after`: how long held money stays pending; `new_id` names new rows."""

    settle_after: timedelta
    new_id: Callable[[], UUID]
    intents: dict[UUID, IntentFacts] = field(default_factory=dict)
    payments: dict[tuple[UUID, str], PaymentFacts] = field(default_factory=dict)
    refunds: dict[UUID, RefundFacts] = field(default_factory=dict)
    disputes: dict[UUID, DisputeFacts] = field(default_factory=dict)

    def refunds_of(self, payment_id: UUID) -> list[RefundFacts]:
        return [refund for refund in self.refunds.values() if refund.payment_id == payment_id]

    def disputes_of(self, payment_id: UUID) -> list[DisputeFacts]:
        return [dispute for dispute in self.disputes.values() if dispute.payment_id == payment_id]

    def absorb(self, decision: Decision) -> None:
        if payment := decision.new_payment:
            self.payments[payment.account_id, payment.object_id] = payment
        if intent := decision.intent:
            self.intents[intent.id] = intent
        for refund in (decision.new_refund, decision.refund, decision.merged_refund):
            if refund:
                self.refunds[refund.id] = refund
        for dispute in (decision.new_dispute, decision.dispute):
            if dispute:
                self.disputes[dispute.id] = dispute


@lru_cache(maxsize=4096)  # Each event's is asked for when facts are loaded, and again when it is decided.
def intent_id(reference: str) -> UUID | None:
    """The intent that a reference names, when it is one of ours."""
    return _parsed(PaymentIntent.prefix, reference)


def refund_id(reference: str) -> UUID | None:
    return _parsed(Refund.prefix, reference)


def pending_left(payment: PaymentFacts, known: Known) -> int:
    """How much of a payment is still the shop's pending money, after what was refunded and is contested of it."""
    if payment.due_at is None or not payment.placed:
        return 0
    drawn = sum(r.pending_amount for r in known.refunds_of(payment.id) if r.state != Refund.State.FAILED)
    drawn += sum(dispute.pending_amount for dispute in known.disputes_of(payment.id))
    return max(payment.amount - drawn, 0)


def refunded(refunds: list[RefundFacts]) -> int:
    """What was refunded or is about to be: the sum of the rows that have not failed."""
    return sum(refund.amount for refund in refunds if refund.state != Refund.State.FAILED)


def contested(disputes: list[DisputeFacts]) -> int:
    """What is held for open disputes or was lost in ended ones."""
    return sum(d.amount for d in disputes if d.state in (Dispute.State.OPEN, Dispute.State.LOST))


def _parsed(prefix: str, reference: str) -> UUID | None:
    if not reference.startswith(prefix):
        return None
    try:
        return ids.parse(prefix, reference)
    except ValueError:
        return None
