"""Writes what was decided about a batch of events: rows, questions and movements, set-based and in one fixed order.

The only writer of the state of intents, payments, refunds and disputes after they were asked for.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Coalesce

from merchants import columns, ids
from merchants.models import Shop
from payments import ledger, rollups, timers
from payments.known import Decision, DisputeFacts, IntentFacts, Known, PaymentFacts, RefundFacts
from payments.models import Discrepancy, Dispute, Payment, PaymentIntent, Refund, WebhookEvent

# The order of ids is that of their numbers, and numbers are compared without a call of Python's.
_number = attrgetter("int")


class Overtaken(Exception):
    """Another transaction has booked a payment that we were about to book: decide again, knowing it."""


def record(decisions: list[tuple[UUID, Decision]], known: Known, now: datetime) -> None:
    """Writes every row and posts every movement of these decisions (each with its event). Raises Overtaken.

    Must run in the transaction that holds the locks under which they were made.
    """
    made = [decision for _, decision in decisions]
    new_payments = [d.new_payment for d in made if d.new_payment]
    # The order of ids is that of their numbers. An intent that changed twice is written as it is in the end.
    changed = {d.intent.id.int: d.intent for d in made if d.intent}
    with columns.cursor() as inserted:
        if new_payments:
            inserted.execute(_INSERT_PAYMENTS_SQL, [now, *_payment_columns(new_payments)])
        _update_intents([changed[number] for number in sorted(changed)], now)
        if new_payments and inserted.fetchone() != (len(new_payments),):  # Its answer may be waited for only here.
            raise Overtaken
    new_refunds = {d.new_refund.id for d in made if d.new_refund}
    touched = {r.id for d in made for r in (d.refund, d.merged_refund) if r}
    new_disputes = {d.new_dispute.id for d in made if d.new_dispute}
    # Most batches have neither.
    payments = {p.id: p for p in known.payments.values()} if new_refunds or new_disputes else {}
    refunds = [known.refunds[refund_id] for refund_id in sorted(new_refunds, key=_number)]
    _insert_refunds([(refund, payments[refund.payment_id]) for refund in refunds], now)
    # A row that gives up its provider's id comes before the one that takes it.
    merged = {d.merged_refund.id for d in made if d.merged_refund}
    order = sorted(touched - new_refunds, key=lambda refund_id: (refund_id not in merged, refund_id))
    _update_refunds([known.refunds[refund_id] for refund_id in order])
    changed_disputes = {d.dispute.id for d in made if d.dispute} - new_disputes
    disputes = [known.disputes[dispute_id] for dispute_id in sorted(new_disputes, key=_number)]
    _insert_disputes([(dispute, payments[dispute.payment_id]) for dispute in disputes], now)
    _update_disputes([known.disputes[dispute_id] for dispute_id in sorted(changed_disputes, key=_number)], now)
    _open_questions(decisions, now)
    ledger.post([movement for decision in made for movement in decision.movements], now=now)
    rollups.add([(d.new_payment.currency, d.new_payment.amount) for d in made if d.new_payment], now=now)


def place(*, payment_id: UUID, shop_id: UUID, now: datetime) -> None:
    """A payment that nobody could place is this shop's: hers, not pending, and her book's currency stays from now on.

    Must run in the transaction that holds the locks of the shop and the payment and moves the money out of suspense.
    """
    nobodys = Payment.objects.filter(id=payment_id, placed=False, shop=None, due_at=None)
    placed = nobodys.update(shop_id=shop_id, placed=True)
    assert placed == 1, "only a payment of nobody is placed"
    Shop.objects.filter(id=shop_id, currency_locked_at=None).update(currency_locked_at=now)


def _payment_columns(payments: list[PaymentFacts]) -> list[str]:
    ordered = sorted(payments, key=lambda payment: (payment.account_id.int, payment.object_id))
    return columns.literals(
        (p.id, p.account_id, p.object_id, p.shop_id, p.intent_id, p.amount, p.currency, p.match, p.placed,
         p.occurred_at, p.due_at)
        for p in ordered
    )  # fmt: skip


def _update_intents(intents: list[IntentFacts], now: datetime) -> None:
    if not intents:
        return
    alike: dict[tuple[str, str], list[UUID]] = defaultdict(list)  # Nearly all of a batch become the same.
    for intent in intents:
        alike[intent.state, intent.closing].append(intent.id)
    with columns.cursor() as cursor:
        for (state, closing), intent_ids in alike.items():
            cursor.execute(_UPDATE_INTENTS_SQL, [state, closing, now, columns.literal(intent_ids)])
    timers.end(
        paid=[i.id for i in intents if i.state == PaymentIntent.State.PAID],
        unpaid=[i.id for i in intents if i.state != PaymentIntent.State.PAID],
    )


def _insert_refunds(refunds: list[tuple[RefundFacts, PaymentFacts]], now: datetime) -> None:
    Refund.objects.bulk_create(
        Refund(
            id=refund.id,
            payment_id=payment.id,
            shop_id=payment.shop_id,
            origin=refund.origin,
            object_id=refund.object_id,
            amount=refund.amount,
            currency=payment.currency,
            state=refund.state,
            pending_amount=refund.pending_amount,
            created_at=now,
            settled_at=refund.settled_at,
        )
        for refund, payment in refunds
    )


def _update_refunds(refunds: list[RefundFacts]) -> None:
    for refund in refunds:
        settled = {"next_call_at": None} if refund.state != Refund.State.REQUESTED else {}
        Refund.objects.filter(id=refund.id).update(
            state=refund.state,
            object_id=refund.object_id,
            amount=refund.amount,
            pending_amount=refund.pending_amount,
            settled_at=refund.settled_at,
            **settled,
        )


def _insert_disputes(disputes: list[tuple[DisputeFacts, PaymentFacts]], now: datetime) -> None:
    Dispute.objects.bulk_create(
        Dispute(
            id=dispute.id,
            payment_id=payment.id,
            shop_id=payment.shop_id,
            object_id=dispute.object_id,
            amount=dispute.amount,
            currency=payment.currency,
            state=dispute.state,
            pending_amount=dispute.pending_amount,
            evidence_due_at=dispute.evidence_due_at,
            told_at=dispute.told_at,
            opened_at=now,
            closed_at=None if dispute.state == Dispute.State.OPEN else now,
        )
        for dispute, payment in disputes
    )


def _update_disputes(disputes: list[DisputeFacts], now: datetime) -> None:
    for dispute in disputes:
        Dispute.objects.filter(id=dispute.id).update(
            amount=dispute.amount,
            state=dispute.state,
            pending_amount=dispute.pending_amount,
            evidence_due_at=dispute.evidence_due_at,
            told_at=dispute.told_at,
            closed_at=None if dispute.state == Dispute.State.OPEN else Coalesce(F("closed_at"), now),
        )


def _open_questions(decisions: list[tuple[UUID, Decision]], now: datetime) -> None:
    events = {event_id for event_id, decision in decisions if decision.questions}
    if not events:
        return
    account_of = dict(WebhookEvent.objects.filter(id__in=events).values_list("id", "provider_account_id"))
    Discrepancy.objects.bulk_create(
        (
            Discrepancy(
                id=ids.new(now),
                key=question.key,
                reason=question.reason,
                provider_account_id=account_of[event_id],
                shop_id=question.shop_id,
                payment_id=question.payment_id,
                intent_id=question.intent_id,
                event_id=event_id,
                amount=question.amount,
                currency=question.currency,
                details=question.details,
                opened_at=now,
            )
            for event_id, decision in decisions
            for question in decision.questions
        ),
        ignore_conflicts=True,  # The same question is asked once, however often its event is applied.
    )


_INSERT_PAYMENTS_SQL = """
WITH made AS (
    INSERT INTO payments_payment (recorded_at, id, provider_account_id, object_id, shop_id, intent_id, amount, currency,
                                  match, placed, occurred_at, due_at)
    SELECT %s, * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::bigint[], %s::text[],
                             %s::text[], %s::boolean[], %s::timestamptz[], %s::timestamptz[])
    ON CONFLICT (provider_account_id, object_id) DO NOTHING
    RETURNING id, shop_id, due_at
), waits AS (
    INSERT INTO payments_pendingrelease (payment_id, shop_id, due_at)
    SELECT id, shop_id, due_at FROM made WHERE due_at IS NOT NULL
)
SELECT count(*) FROM made
"""

_UPDATE_INTENTS_SQL = """
UPDATE payments_paymentintent AS intent SET state = %s, closing = %s, closed_at = coalesce(intent.closed_at, %s)
 WHERE intent.id = ANY(%s::uuid[])
"""
