"""How discrepancies end with money: an operator proposes a remedy, it is booked, and above a limit by two people only.

The discrepancy's row is the lock: of two who end it at once, one is told that it has ended. What can be booked stands
in `endings`; the amount is that of the discrepancy, or a stated part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import translation
from django.utils.translation import gettext as _

from merchants import audit, ids, money, notify
from merchants.audit import UnableToAct
from merchants.models import Shop, User
from merchants.notify import Telling
from payments import cases, endings, ledger, recording, refunds
from payments.chart import Movement, Place
from payments.endings import WHY_NOT, Case, Remedy
from payments.models import (
    Account,
    Adjustment,
    Discrepancy,
    LedgerEntry,
    Payment,
    Settlement,
    StatementLine,
)
from payments.settlement import repairs

State = Adjustment.State


@dataclass(frozen=True, slots=True)
class _Held:
    """A discrepancy under its lock, with the rows that its end may change, locked before it."""

    question: Discrepancy
    shop: Shop | None
    payment: Payment | None
    case: Case


def propose(
    *,
    discrepancy_id: UUID,
    remedy: str,
    note: str,
    operator: User,
    now: datetime,
    shop_id: UUID | None = None,
    amount: int | None = None,
) -> Adjustment:
    """Books a remedy and ends the discrepancy by it; above settings.FOUR_EYES_ABOVE it waits for a second operator.

    `amount` is a part of what the discrepancy is about (all of it, when left out); a part leaves the rest open. What
    was booked before for the same discrepancy counts towards the limit, so that nobody passes it in small steps.

    Raises UnableToAct with a code of `endings.WHY_NOT`, `resolved_already`, `adjustment_waits`, `amount_wrong`,
    `amount_whole`, `shop_missing`, `shop_frozen`, `shop_closed`, `shop_currency` or `balance_too_low`.
    """
    with transaction.atomic():
        held = _lock(discrepancy_id, shop_id)
        if held.question.adjustments.filter(state=State.PROPOSED).exists():
            raise UnableToAct("adjustment_waits", _("A remedy waits for a second operator; decide on that one first."))
        chosen = _chosen(held, remedy)
        taken = _amount(held, chosen, amount)
        four_eyes = _booked(held.question) + taken > limit(held.question.currency)
        adjustment = Adjustment.objects.create(
            id=ids.new(now),
            discrepancy=held.question,
            remedy=chosen.name,
            shop=held.shop if chosen.asks_shop else None,
            amount=taken,
            currency=held.question.currency,
            note=note,
            state=State.PROPOSED if four_eyes else State.POSTED,
            proposed_by=operator,
            proposed_at=now,
            decided_by=None if four_eyes else operator,
            decided_at=None if four_eyes else now,
            four_eyes=four_eyes,
        )
        if four_eyes:
            _record("propose", adjustment, held, operator, note, held.question.state, now)
        else:
            _post(adjustment, chosen, held, operator, now)
            _record("adjust", adjustment, held, operator, note, _state(held.question), now)
    return adjustment


def agree(*, adjustment_id: UUID, operator: User, note: str, now: datetime) -> Adjustment:
    """The second pair of eyes: what another operator has proposed is booked.

    Raises UnableToAct `same_operator`, `decided_already`, `amount_changed`, and what `propose` raises.
    """
    with transaction.atomic():
        peeked = Adjustment.objects.get(id=adjustment_id)
        held = _lock(peeked.discrepancy_id, peeked.shop_id)
        adjustment = _waiting(adjustment_id)
        if adjustment.proposed_by_id == operator.id:
            raise UnableToAct("same_operator", _("Who has proposed it cannot agree to it: somebody else has to look."))
        chosen = _chosen(held, adjustment.remedy)
        there = endings.amount_of(chosen, held.case)
        if adjustment.amount > there or (chosen.whole and adjustment.amount != there):
            raise UnableToAct("amount_changed", _("The amount has changed since: refuse this one and propose anew."))
        _decide(adjustment, State.POSTED, operator, now)
        _post(adjustment, chosen, held, operator, now)
        _record("agree", adjustment, held, operator, note, _state(held.question), now)
    return adjustment


def refuse(*, adjustment_id: UUID, operator: User, note: str, now: datetime) -> Adjustment:
    """A remedy that waits is refused, or withdrawn by who has proposed it. Raises UnableToAct `decided_already`."""
    with transaction.atomic():
        adjustment = _waiting(adjustment_id)
        _decide(adjustment, State.REFUSED, operator, now)
        audit.record(
            operator=operator,
            act="refuse",
            subject=adjustment.discrepancy,
            reason=note,
            before={"adjustment": str(adjustment), "state": "proposed"},
            after={"adjustment": str(adjustment), "state": "refused"},
            now=now,
        )
    return adjustment


def possible(discrepancy: Discrepancy) -> list[tuple[Remedy, int]]:
    """The remedies that this discrepancy admits as it is now, each with the most that it would book; for showing.

    None while one of them waits for a second operator.
    """
    waits = discrepancy.adjustments.filter(state=State.PROPOSED).exists()
    if discrepancy.state != Discrepancy.State.OPEN or waits:
        return []
    case = cases.of(discrepancy, discrepancy.payment)
    return [(remedy, endings.amount_of(remedy, case)) for remedy in endings.possible(case)]


def limit(currency: str) -> int:
    """What one operator may book alone to end one discrepancy, in minor units."""
    limits: dict[str, int] = settings.FOUR_EYES_ABOVE
    return limits.get(currency, int(100 * 10 ** money.exponent(currency)))


# --- Under the lock --------------------------------------------------------------------------------------------------


def _lock(discrepancy_id: UUID, shop_id: UUID | None) -> _Held:
    """Locks what the end may change, in the fixed order. Raises UnableToAct `resolved_already`."""
    peeked = Discrepancy.objects.select_related("payment").get(id=discrepancy_id)
    known = peeked.payment.shop_id if peeked.payment else peeked.shop_id
    shops = [wanted for wanted in (shop_id, known) if wanted is not None]
    locked = {row.id: row for row in Shop.objects.select_for_update(no_key=True).filter(id__in=shops).order_by("id")}
    payment = None
    if peeked.payment_id is not None:
        payments = Payment.objects.select_for_update(of=("self",), no_key=True).select_related("provider_account")
        payment = payments.get(id=peeked.payment_id)
    if peeked.settlement_id is not None:
        Settlement.objects.select_for_update(no_key=True).get(id=peeked.settlement_id)
    if peeked.line_id is not None:
        StatementLine.objects.select_for_update(no_key=True).get(id=peeked.line_id)
    question = (
        Discrepancy.objects.select_for_update(of=("self",), no_key=True)
        .select_related("provider_account", "settlement", "line", "refund", "owner")
        .get(id=discrepancy_id)
    )
    if question.state != Discrepancy.State.OPEN:
        raise UnableToAct("resolved_already", _("Resolved already; nothing was changed."))
    wanted = shop_id or (payment.shop_id if payment else question.shop_id)
    return _Held(question, locked.get(wanted) if wanted else None, payment, cases.of(question, payment))


def _waiting(adjustment_id: UUID) -> Adjustment:
    adjustment = Adjustment.objects.select_for_update(of=("self",), no_key=True).get(id=adjustment_id)
    if adjustment.state != State.PROPOSED:
        raise UnableToAct(
            "decided_already",
            _("It is %(state)s already; nothing was changed.") % {"state": adjustment.get_state_display().lower()},
        )
    return adjustment


def _chosen(held: _Held, name: str) -> Remedy:
    remedy = endings.REMEDIES.get(name)
    code = remedy.stands_in_its_way(held.case) if remedy else "remedy_unknown"
    if code or remedy is None:
        raise UnableToAct(code, str(WHY_NOT[code]))
    concerned = remedy.asks_shop or remedy.name == "correct_shop"
    if concerned and held.shop is None:
        raise UnableToAct("shop_missing", _("Say which shop."))
    if concerned and held.shop is not None:
        if held.shop.state in (Shop.State.FROZEN, Shop.State.CLOSED):
            raise UnableToAct(
                f"shop_{held.shop.state}",
                _("%(shop)s is %(state)s: nothing moves there.")
                % {"shop": held.shop, "state": held.shop.get_state_display().lower()},
            )
        if held.shop.currency != held.question.currency:
            raise UnableToAct(
                "shop_currency",
                _("The book of %(shop)s is kept in %(currency)s.")
                % {"shop": held.shop, "currency": held.shop.currency},
            )
    return remedy


def _amount(held: _Held, remedy: Remedy, amount: int | None) -> int:
    there = endings.amount_of(remedy, held.case)
    if amount is None:
        return there
    if not 0 < amount <= there:
        raise UnableToAct("amount_wrong", _("A part is above zero, and not more than the discrepancy is about."))
    if remedy.whole and amount != there:
        raise UnableToAct("amount_whole", _("This remedy takes all of it, and no part."))
    return amount


def _booked(question: Discrepancy) -> int:
    posted = question.adjustments.filter(state=State.POSTED).aggregate(total=Sum("amount"))
    return int(posted["total"] or 0)


def _decide(adjustment: Adjustment, state: str, operator: User, now: datetime) -> None:
    adjustment.state, adjustment.decided_by, adjustment.decided_at = state, operator, now
    Adjustment.objects.filter(id=adjustment.id).update(state=state, decided_by=operator, decided_at=now)


# --- What is booked --------------------------------------------------------------------------------------------------


def _post(adjustment: Adjustment, remedy: Remedy, held: _Held, operator: User, now: datetime) -> None:
    """Ends the discrepancy (or what the adjustment is of it), then books: questions are locked before balances."""
    question, shop = held.question, held.shop
    rest = 0 if remedy.whole else question.amount - adjustment.amount
    if rest:
        Discrepancy.objects.filter(id=question.id).update(amount=rest, owner=question.owner or operator)
    else:
        Discrepancy.objects.filter(id=question.id).update(
            state=Discrepancy.State.RESOLVED,
            owner=question.owner or operator,
            resolved_at=now,
            resolution=f"{_label(remedy)}: {adjustment.note}"[:500],
        )
    if remedy.name == "return_to_payer":
        assert held.payment is not None
        refunds.return_suspended(
            payment=held.payment, amount=adjustment.amount, reason=adjustment.note, cause_id=adjustment.id, now=now
        )
        return
    if remedy.name == "book_from_statement":
        assert question.line_id is not None
        repairs.book_from_line(line_id=question.line_id, operator=operator, reason=adjustment.note, now=now)
        return
    concerned = shop if remedy.name in ("place_with_shop", "correct_shop") else None
    if remedy.name == "place_with_shop":
        assert held.payment is not None
        assert shop is not None
        recording.place(payment_id=held.payment.id, shop_id=shop.id, now=now)
    movement = _movement(adjustment, remedy, held, concerned, now)
    ledger.post([movement], now=now)
    taken = movement.debit.kind == Account.Kind.SHOP_AVAILABLE
    if remedy.name == "correct_shop" and taken and ledger.total_of(movement.debit, movement.currency) < 0:
        raise UnableToAct("balance_too_low", _("The shop's available money does not cover this; take a part of it."))
    touched = movement.debit if taken else movement.credit
    if touched.kind == Account.Kind.SHOP_AVAILABLE:
        _tell(adjustment, remedy, held, touched, taken=taken, now=now)


def _label(remedy: Remedy) -> str:
    """What is kept is read by operators of every language, and stays as it was written: in the settings' own."""
    with translation.override(settings.LANGUAGE_CODE):
        return str(remedy.label)


def _movement(adjustment: Adjustment, remedy: Remedy, held: _Held, concerned: Shop | None, now: datetime) -> Movement:
    source = held.case.source
    of_shop = concerned.id if concerned else source.shop_id if source and source.funds == "direct" else None
    debit, credit = remedy.sides(held.case, concerned.id if concerned else None)
    return Movement(
        key=f"adjusted|{adjustment.id.hex}",
        kind=LedgerEntry.Kind.ADJUSTED,
        debit=debit,
        credit=credit,
        amount=adjustment.amount,
        currency=adjustment.currency,
        occurred_at=now,
        shop_id=of_shop,
        payment_id=held.question.payment_id,
        cause_id=adjustment.id,
    )


def _tell(adjustment: Adjustment, remedy: Remedy, held: _Held, touched: Place, *, taken: bool, now: datetime) -> None:
    """What changes a shop's balance by a person's hand is told to it, like money that arrives."""
    shop_id, payment = touched.shop_id, held.payment
    assert shop_id is not None
    data: dict[str, Any] = {
        "payment": ids.public(Payment.prefix, payment.id) if payment else None,
        "amount": {"amount": adjustment.amount, "currency": adjustment.currency},
    }
    if remedy.asks_shop:
        assert payment is not None
        data |= {"match": payment.match, "occurred_at": payment.occurred_at.isoformat()}
        kind = "payment_received"
    else:
        data |= {"taken": taken, "adjustment": str(adjustment)}
        kind = "balance_corrected"
    notify.tell([Telling(shop_id, kind, data, payment.id if payment else None)], now=now)
    transaction.on_commit(lambda: notify.announce([shop_id]))


def _record(
    act: str, adjustment: Adjustment, held: _Held, operator: User, note: str, state: str, now: datetime
) -> None:
    before = {"state": "open", "amount": held.question.amount}
    after = {
        "state": state,
        "adjustment": str(adjustment),
        "remedy": adjustment.remedy,
        "amount": adjustment.amount,
        "currency": adjustment.currency,
        "shop": ids.public(Shop.prefix, held.shop.id) if held.shop else "",
        "four_eyes": adjustment.four_eyes,
    }
    audit.record(operator=operator, act=act, subject=held.question, reason=note, before=before, after=after, now=now)


def _state(question: Discrepancy) -> str:
    return str(Discrepancy.objects.values_list("state", flat=True).get(id=question.id))
