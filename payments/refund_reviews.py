"""Large refunds as operators decide on them: approved and sent to the provider, or refused and the money is the shop's.

The refund's row is the lock, behind those of its shop and its payment: of two who decide at once, one is told that it
was decided. An approval commits that the refund is due, and the sweep sends it whoever is killed then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from merchants import audit, bell, ids
from merchants.audit import UnableToAct
from merchants.models import Shop, Staff, User
from payments import chart, facts, ledger, refunds
from payments.chart import Subject
from payments.known import Known, PaymentFacts, contested, refunded
from payments.models import Payment, Refund

Review, State = Refund.Review, Refund.State


@dataclass(frozen=True, slots=True)
class _Held:
    """A refund that waits, under its locks, with what is known of its payment."""

    refund: Refund
    shop: Shop
    payment: PaymentFacts
    known: Known


def approve(*, refund_id: UUID, operator: User, reason: str, now: datetime) -> Refund:
    """Lets the refund go: it is due at once, and its provider is asked like for every other.

    Raises UnableToAct `decided_already`, `own_shop`, `shop_<state>`, or `more_than_is_left` when the provider has
    refunded or lost so much of the payment meanwhile that this one would exceed what was received.
    """
    with transaction.atomic():
        held = _lock(refund_id, now)
        refund, shop = held.refund, held.shop
        if Staff.objects.filter(shop=shop, user=operator).exists():
            raise UnableToAct("own_shop", _("You work in this shop: another operator has to decide."))
        if shop.state != Shop.State.ACTIVE:
            raise UnableToAct(f"shop_{shop.state}", _("This shop cannot refund at the moment."))
        gone = refunded(list(held.known.refunds.values())) + contested(list(held.known.disputes.values()))
        if gone > held.payment.amount:
            raise UnableToAct("more_than_is_left", _("So much is not left of this payment any more: refuse it."))
        _decide(held, Review.APPROVED, operator, now, next_call_at=now)
        _record("approve", held, operator, reason, {"review": "approved", "state": "requested"}, now)
        refunds.tell(refund, "refund_approved", now=now)
        transaction.on_commit(lambda: bell.ring(refunds.SEND))
    return refund


def refuse(*, refund_id: UUID, operator: User, reason: str, now: datetime) -> Refund:
    """Ends the refund as failed: what was in flight is the shop's again, and it is told why. The provider never hears.

    Raises UnableToAct `decided_already`.
    """
    with transaction.atomic():
        held = _lock(refund_id, now)
        refund, payment = held.refund, held.payment
        _decide(held, Review.REFUSED, operator, now, state=State.FAILED, settled_at=now, refusal=reason)
        pending = refund.pending_amount > 0 and payment.due_at is not None
        subject = Subject(payment.source, payment.currency, payment.id, refund.id)
        ledger.post([chart.refund_failed(subject, refund.amount, now, pending=pending)], now=now)
        _record("refuse", held, operator, reason, {"review": "refused", "state": "failed"}, now)
        refunds.tell(refund, "refund_failed", now=now, refusal=reason)
    return refund


def _lock(refund_id: UUID, now: datetime) -> _Held:
    """Shop, payment, refund: the order in which they are locked everywhere. Raises UnableToAct `decided_already`."""
    peeked = Refund.objects.get(id=refund_id)
    assert peeked.shop_id is not None, "only a shop's own refund is held"
    shop = Shop.objects.select_for_update(no_key=True).get(id=peeked.shop_id)
    payments = Payment.objects.select_for_update(of=("self",), no_key=True).select_related("provider_account")
    row = payments.get(id=peeked.payment_id)
    refund = Refund.objects.select_for_update(of=("self",), no_key=True).get(id=refund_id)
    if not refund.held:
        raise UnableToAct("decided_already", _("It is decided already; nothing was changed."))
    return _Held(refund, shop, facts.of_payment(row), facts.of_payments([row], partial(ids.new, now)))


def _decide(held: _Held, review: str, operator: User, now: datetime, **more: Any) -> None:
    changed = {"review": review, "reviewed_by": operator, "reviewed_at": now, **more}
    Refund.objects.filter(id=held.refund.id).update(**changed)
    for name, value in changed.items():
        setattr(held.refund, name, value)


def _record(act: str, held: _Held, operator: User, reason: str, after: dict[str, str], now: datetime) -> None:
    before = {"review": "waiting", "state": "requested"}
    about = {"amount": held.refund.amount, "currency": held.refund.currency}
    audit.record(
        operator=operator, act=act, subject=held.refund, reason=reason, before=before, after={**after, **about}, now=now
    )
