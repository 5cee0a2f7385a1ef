"""Money back at the shop's wish: asked for under the payment's lock, sent to the provider, settled by its word.

The request only commits the refund and moves the money into flight; a task asks the provider under the refund's own
reference, as often as it takes, and the answer comes in by the inbox like everything the provider says. A large one is
held until an operator has looked at it (`refund_reviews`): its money is in flight, and no task takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from merchants import bell, ids, money, notify, step_up
from merchants.journal import journal
from merchants.models import Shop, Staff
from merchants.notify import Telling
from merchants.step_up import Confirmation
from payments import chart, circuit, facts, inbox, ledger, providers
from payments.chart import Subject
from payments.known import contested, pending_left, refunded
from payments.models import Discrepancy, Payment, ProviderAccount, Refund
from payments.providers.base import ProviderError

SEND = "payments.send_refunds"

_log = journal(__name__)


class UnableToRefund(Exception):
    """A refund that is not possible: `code` for programs, `detail` for people. Nothing has changed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def request(
    *,
    staff: Staff,
    payment: Payment,
    amount: int,
    reason: str,
    now: datetime,
    confirmation: Confirmation | None = None,
) -> Refund:
    """Commits a refund of `amount` minor units and puts the money in flight; the provider is asked soon after.

    Never more than was received, whatever runs beside it: the payment's row is locked while its refunds are added up.
    A refund above settings.REFUND_CODE_ABOVE wants a code (`confirmation`), and so does one that would bring what the
    shop refunds in a day without codes above settings.REFUND_CODE_ABOVE_A_DAY times that: the shop's row is locked.
    Above settings.REFUND_REVIEW_ABOVE it is held for an operator, and the shop is told so.

    What goes below zero: a refund that the shop asks for is refused when its balance does not cover it. What a provider
    reports (refunds of its own desk, lost disputes) has happened and is always booked, even below zero; it is covered
    by what comes in next, and until then nothing is paid out.

    Raises UnableToRefund; Refused 403 `step_up_required` or `step_up_invalid`.
    """
    with transaction.atomic():
        shop = Shop.objects.select_for_update(no_key=True).get(id=staff.shop_id)
        if shop.state != Shop.State.ACTIVE:
            raise UnableToRefund(f"shop_{shop.state}", _("This shop cannot refund at the moment."))
        row = (
            Payment.objects.select_for_update(of=("self",), no_key=True)
            .select_related("provider_account")
            .get(id=payment.id, shop=shop)
        )
        payment_facts, known = facts.of_payment(row), facts.of_payments([row], partial(ids.new, now))
        _check(row, amount, refunded(list(known.refunds.values())), contested(list(known.disputes.values())))
        if confirmation is not None:
            step_up.redeem(confirmation, purpose=step_up.Purpose.REFUND, now=now)
        elif _wants_code(shop, amount, row.currency, now):
            raise step_up.required(step_up.Purpose.REFUND)
        pending = amount <= pending_left(payment_facts, known)
        held = _wants_review(shop, amount, row, now)
        refund = Refund.objects.create(
            id=ids.new(now),
            payment=row,
            shop=shop,
            requested_by=staff,
            confirmed=confirmation is not None,
            amount=amount,
            currency=row.currency,
            reason=reason,
            pending_amount=amount if pending else 0,
            created_at=now,
            review=Refund.Review.WAITING if held else Refund.Review.NONE,
            next_call_at=None if held else now,
        )
        subject = Subject(payment_facts.source, row.currency, row.id, refund.id)
        ledger.post([chart.refund_asked(subject, amount, now, pending=pending)], now=now)
        left = ledger.total_of(payment_facts.source.inside(pending=pending), row.currency)
        if left < 0:
            raise UnableToRefund("balance_too_low", _too_low(row, left + amount))
        if held:
            tell(refund, "refund_held", now=now)
        else:
            transaction.on_commit(lambda: bell.ring(SEND))
    return refund


def tell(refund: Refund, kind: str, *, now: datetime, **more: str) -> None:
    """Tells the shop how its refund stands with us, in the transaction of that; the provider's words tell the rest."""
    assert refund.shop_id is not None
    shop_id = refund.shop_id
    data = {
        "payment": ids.public(Payment.prefix, refund.payment_id),
        "refund": refund.reference,
        "amount": {"amount": refund.amount, "currency": refund.currency},
        **more,
    }
    notify.tell([Telling(shop_id, kind, data, refund.payment_id)], now=now)
    transaction.on_commit(lambda: notify.announce([shop_id]))


def review_limit(currency: str) -> int:
    """What a shop may refund of one payment without an operator, in minor units."""
    limits: dict[str, int] = settings.REFUND_REVIEW_ABOVE
    return limits.get(currency, int(1000 * 10 ** money.exponent(currency)))


def return_suspended(*, payment: Payment, amount: int, reason: str, cause_id: UUID, now: datetime) -> Refund:
    """Commits a refund of money that nobody could place, as an operator has decided; the provider is asked soon after.

    Must run in the transaction that holds the payment's lock, and has seen that so much of it is left in suspense.
    """
    assert not payment.placed
    refund = Refund.objects.create(
        id=ids.new(now),
        payment=payment,
        shop_id=payment.shop_id,
        origin=Refund.Origin.OPERATOR,
        amount=amount,
        currency=payment.currency,
        reason=reason[:200],
        created_at=now,
        next_call_at=now,
    )
    subject = Subject(facts.of_payment(payment).source, payment.currency, payment.id, refund.id)
    ledger.post([replace(chart.refund_asked(subject, amount, now, pending=False), cause_id=cause_id)], now=now)
    transaction.on_commit(lambda: bell.ring(SEND))
    return refund


def has_due(*, now: datetime) -> bool:
    due = Refund.objects.filter(next_call_at__lte=now, state=Refund.State.REQUESTED)
    return due.exclude(payment__provider_account__in=circuit.resting()).exists()


def send_due(*, now: datetime, limit: int = 50, in_time: Callable[[], bool] = lambda: True) -> int:
    """Asks the provider for refunds that are due to be asked for; each is taken, committed, and only then sent.

    An account that fails once is left alone for the rest of the round.
    """
    sent, resting = 0, circuit.resting()
    while sent < limit and in_time() and (refund := _take(now, resting)):
        if not _send(refund, now):
            resting.append(refund.payment.provider_account_id)
        sent += 1
    return sent


def _check(payment: Payment, amount: int, returned: int, disputed: int) -> None:
    if not payment.placed:
        raise UnableToRefund("payment_in_suspense", _("This payment is being looked into and cannot be refunded yet."))
    if amount <= 0:
        raise UnableToRefund("amount_wrong", _("The amount must be above zero."))
    if payment.amount - returned >= amount > payment.amount - returned - disputed:
        raise UnableToRefund("payment_disputed", _("The payer contests this payment; her bank decides."))
    if amount > payment.amount - returned:
        raise UnableToRefund("refund_too_large", _("More than is left of this payment cannot be refunded."))


def _too_low(payment: Payment, stands: int) -> str:
    """Why it is not covered: a payment that was charged for left less than came, and its fee is not given back."""
    balance = money.shown(stands, payment.currency, get_language() or "en")
    if not payment.fee_amount:
        return _("The shop's balance of %(balance)s does not cover this refund.") % {"balance": balance}
    return _(
        "The shop's balance of %(balance)s does not cover this refund. "
        "Our fee of %(fee)s for this payment is not given back."
    ) % {"balance": balance, "fee": money.shown(payment.fee_amount, payment.currency, get_language() or "en")}


def _wants_code(shop: Shop, amount: int, currency: str, now: datetime) -> bool:
    """Whether a stolen phone could do harm by this refund: it is large, or one of many. Under the shop's lock."""
    limit = settings.REFUND_CODE_ABOVE.get(currency, 100 * 10 ** money.exponent(currency))
    if amount > limit:
        return True
    refunded_today = _sum(_asked_today(shop, currency, now).filter(confirmed=False))
    return bool(refunded_today + amount > settings.REFUND_CODE_ABOVE_A_DAY * limit)


def _wants_review(shop: Shop, amount: int, payment: Payment, now: datetime) -> bool:
    """Whether a person looks at it first: it is large, also in small steps. Under the locks of shop and payment."""
    limit = review_limit(payment.currency)
    unseen = Refund.objects.filter(payment=payment, origin=Refund.Origin.SHOP, review=Refund.Review.NONE)
    if _sum(unseen.exclude(state=Refund.State.FAILED)) + amount > limit:
        return True
    refunded_today = _sum(_asked_today(shop, payment.currency, now).filter(review=Refund.Review.NONE))
    return refunded_today + amount > settings.REFUND_REVIEW_ABOVE_A_DAY * limit


def _asked_today(shop: Shop, currency: str, now: datetime) -> QuerySet[Refund]:
    """What the shop itself asked for in a day and that has not failed."""
    # Ids begin with their moment, and the shop's refunds are found by them.
    recent = Refund.objects.filter(shop=shop, id__gte=ids.first_of(now - timedelta(days=1)), currency=currency)
    return recent.filter(origin=Refund.Origin.SHOP).exclude(state=Refund.State.FAILED)


def _sum(rows: QuerySet[Refund]) -> int:
    return int(rows.aggregate(total=Sum("amount"))["total"] or 0)


def _take(now: datetime, resting: Sequence[UUID]) -> Refund | None:
    """One refund to ask for; moved ahead to its next try first, so that a killed worker only delays it."""
    with transaction.atomic():
        refund = (
            Refund.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
            .filter(next_call_at__lte=now, state=Refund.State.REQUESTED)
            .exclude(payment__provider_account__in=resting)
            .select_related("payment__provider_account")
            .order_by("next_call_at")
            .first()
        )
        if refund is not None:
            again = now + _next_try(refund.attempts)
            Refund.objects.filter(id=refund.id).update(attempts=F("attempts") + 1, next_call_at=again)
    return refund


def _next_try(attempts: int) -> timedelta:
    """Until the provider has given its final word we keep asking, at last once a day: asking again changes nothing."""
    return settings.RETRY_AFTER[min(attempts, len(settings.RETRY_AFTER) - 1)]


def _send(refund: Refund, now: datetime) -> bool:
    account: ProviderAccount = refund.payment.provider_account
    try:
        verified = providers.named(account.provider).refund(account, refund, refund.payment.object_id)
    except ProviderError as failure:
        _log.warning("refund_not_sent", refund=refund.reference, failure=str(failure), permanent=failure.permanent)
        Refund.objects.filter(id=refund.id).update(failure=str(failure)[:200])
        if failure.permanent:
            _ask_a_person(refund, str(failure), now)
        return False
    inbox.keep(account=account, verified=verified, now=now)
    return True


def _ask_a_person(refund: Refund, failure: str, now: datetime) -> None:
    """The provider will not take it as it is asked: it goes on being asked, and somebody has to look, once."""
    Discrepancy.objects.bulk_create(
        [
            Discrepancy(
                id=ids.new(now),
                key=f"refund_refused|{refund.id.hex}",
                reason=Discrepancy.Reason.REFUND_REFUSED,
                provider_account=refund.payment.provider_account,
                shop_id=refund.shop_id,
                payment_id=refund.payment_id,
                intent_id=refund.payment.intent_id,
                amount=refund.amount,
                currency=refund.currency,
                details={"refund": refund.reference, "failure": failure[:200]},
                opened_at=now,
            )
        ],
        ignore_conflicts=True,
    )
