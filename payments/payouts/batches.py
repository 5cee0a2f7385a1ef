"""Batches as operators handle them: approved, released, downloaded, canceled, each with its line in the trail.

A batch is prepared by the system, so one operator releases it; above settings.FOUR_EYES_PAYOUT_ABOVE a first one
approves and a second releases. A payout whose shop was frozen meanwhile, or whose account is not active any more, does
not leave: its money is the shop's again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from merchants import audit, bell, money
from merchants.audit import UnableToAct
from merchants.models import Shop, User
from merchants.seals import Unreadable
from payments.models import Payout, PayoutAccount, PayoutBatch
from payments.payouts import accounts, channels, outcomes, pain001
from payments.payouts.pain001 import Transfer

SEND = "payments.send_payouts"
HELD_BACK = gettext_noop("held back: the shop or its account changed")

_State = PayoutBatch.State


def limit(currency: str) -> int:
    """Above this total (minor units) a batch needs two operators."""
    above: dict[str, int] = settings.FOUR_EYES_PAYOUT_ABOVE
    return above[currency] if currency in above else 10_000 * 10 ** money.exponent(currency)


def total(batch: PayoutBatch) -> int:
    """What its payouts come to, those left out that failed before they left."""
    alive = batch.payouts.exclude(state=Payout.State.FAILED, sent_at=None)
    return alive.aggregate(total=Sum("amount"))["total"] or 0


def needs_two(batch: PayoutBatch) -> bool:
    return total(batch) > limit(batch.currency)


def approve(*, batch_id: UUID, operator: User, reason: str, now: datetime) -> None:
    """The first of two operators says yes; from now on nothing joins the batch.

    Raises UnableToAct `batch_<state>`, `approved_already`, `one_is_enough`.
    """
    with transaction.atomic():
        batch, _payouts = _locked(batch_id)
        if batch.approved_by_id is not None:
            raise UnableToAct("approved_already", _("%(batch)s is approved already.") % {"batch": batch})
        if not needs_two(batch):
            raise UnableToAct("one_is_enough", _("%(batch)s needs no second operator: release it.") % {"batch": batch})
        PayoutBatch.objects.filter(id=batch.id).update(approved_by=operator, approved_at=now)
        _record(batch, "approve", operator, reason, {"total": total(batch), "currency": batch.currency}, now)


def release(*, batch_id: UUID, operator: User, reason: str, now: datetime) -> tuple[int, int]:
    """Lets its payouts leave; answers how many do, and how many were held back.

    Raises UnableToAct `batch_<state>`, `batch_empty`, `second_operator_needed`, `second_operator_is_the_first`,
    `number_unreadable`.
    """
    with transaction.atomic():
        batch, payouts = _locked(batch_id)
        if batch.approved_by_id == operator.pk:
            raise UnableToAct("second_operator_is_the_first", _("You approved it: another operator has to release it."))
        if batch.approved_by_id is None and needs_two(batch):
            raise UnableToAct(
                "second_operator_needed", _("%(batch)s is above the limit: approve it first.") % {"batch": batch}
            )
        waiting = [payout for payout in payouts if payout.state == Payout.State.PREPARED]
        free = may_leave(waiting)
        held_back = [payout for payout in waiting if payout.id not in free]
        leaving = [payout for payout in waiting if payout.id in free]
        if not leaving:
            raise UnableToAct("batch_empty", _("Nothing in %(batch)s can leave: cancel it.") % {"batch": batch})
        outcomes.give_back(held_back, failure=HELD_BACK, now=now)
        leave = outcomes.sent if batch.channel == channels.FILE else outcomes.line_up
        leave(leaving, now=now)
        batch.released_by, batch.released_at = operator, now
        batch.sha256 = hashlib.sha256(_file(batch)).hexdigest() if batch.channel == channels.FILE else ""
        after = {"state": "released", "payouts": len(leaving), "held_back": len(held_back), "sha256": batch.sha256}
        _record(batch, "release", operator, reason, after, now)
        batch.state = _State.RELEASED
        batch.save(update_fields=["state", "released_by", "released_at", "sha256"])
        transaction.on_commit(lambda: bell.ring(SEND))
    return len(leaving), len(held_back)


def cancel(*, batch_id: UUID, operator: User, reason: str, now: datetime) -> int:
    """Takes a batch back that has not left: its shops have their money again; answers how many payouts.

    Raises UnableToAct `batch_<state>`.
    """
    with transaction.atomic():
        batch, payouts = _locked(batch_id)
        outcomes.give_back(payouts, failure=gettext_noop("the batch was canceled"), now=now)
        PayoutBatch.objects.filter(id=batch.id).update(state=_State.CANCELED)
        _record(batch, "cancel", operator, reason, {"state": "canceled", "payouts": len(payouts)}, now)
    return len(payouts)


def download(*, batch_id: UUID, operator: User, now: datetime) -> tuple[str, bytes]:
    """The name and the bytes of a released batch's file: the same each time, and each time in the trail.

    Raises UnableToAct `batch_not_released`, `no_file`, `file_changed`, `number_unreadable`.
    """
    with transaction.atomic():
        batch = PayoutBatch.objects.select_related("bank_account").get(id=batch_id)
        if batch.channel != channels.FILE:
            raise UnableToAct("no_file", _("%(batch)s leaves by an API, not as a file.") % {"batch": batch})
        if batch.state != _State.RELEASED:
            raise UnableToAct(
                "batch_not_released",
                _("%(batch)s is %(state)s.") % {"batch": batch, "state": batch.get_state_display().lower()},
            )
        made = _file(batch)
        if hashlib.sha256(made).hexdigest() != batch.sha256:
            raise UnableToAct(
                "file_changed",
                _("%(batch)s would give another file than at its release: tell an engineer.") % {"batch": batch},
            )
        _record(batch, "download", operator, "", {"sha256": batch.sha256, "bytes": len(made)}, now)
    return f"{batch}.xml", made


def may_leave(payouts: Sequence[Payout]) -> set[UUID]:
    """Which of these payouts, locked behind their shops, may leave now: none to an account that is being changed."""
    waiting = PayoutAccount.objects.filter(
        shop__in=[payout.shop_id for payout in payouts], state=PayoutAccount.State.WAITING
    )
    changing = set(waiting.values_list("shop_id", flat=True))
    return {
        payout.id
        for payout in payouts
        if payout.shop.state == Shop.State.ACTIVE
        and payout.account.state == PayoutAccount.State.ACTIVE
        and payout.shop_id not in changing
    }


def _locked(batch_id: UUID) -> tuple[PayoutBatch, Sequence[Payout]]:
    """A batch that waits, with its payouts: shops, then payouts, then the batch. Raises UnableToAct."""
    names = Payout.objects.filter(batch_id=batch_id).values_list("id", flat=True)
    payouts = outcomes.locked(list(names))
    batch = PayoutBatch.objects.select_for_update(of=("self",), no_key=True).select_related("bank_account")
    row = batch.get(id=batch_id)
    if row.state != _State.PREPARED:
        raise UnableToAct(
            f"batch_{row.state}",
            _("%(row)s is %(state)s already.") % {"row": row, "state": row.get_state_display().lower()},
        )
    if names.count() != len(payouts):
        raise UnableToAct("batch_grows", _("Payouts are joining %(row)s at this moment: try again.") % {"row": row})
    return row, payouts


def _file(batch: PayoutBatch) -> bytes:
    """The batch as pain.001: of what left with it, whatever became of that later. Raises UnableToAct."""
    assert batch.bank_account is not None and batch.released_at is not None, "a file is made of a released batch"
    left = Payout.objects.filter(batch=batch, sent_at__isnull=False).select_related("account").order_by("id")
    transfers = [
        Transfer(
            reference=payout.reference,
            amount=payout.amount,
            scheme=payout.account.scheme,
            country=payout.account.country,
            bank_code=payout.account.bank_code,
            holder=payout.account.holder,
            number=_number(payout.account),
        )
        for payout in left
    ]
    return pain001.write(
        name=str(batch),
        made_at=batch.released_at,
        execution_day=batch.execution_day,
        currency=batch.currency,
        payer=pain001.Payer(batch.bank_account.holder, batch.bank_account.number, batch.bank_account.bank_code),
        transfers=transfers,
    )


def _number(account: PayoutAccount) -> str:
    try:
        return accounts.number(account)
    except Unreadable:
        raise UnableToAct(
            "number_unreadable",
            _("No key of ours opens the number of %(account)s: tell an engineer.") % {"account": account},
        )


def _record(batch: PayoutBatch, act: str, operator: User, reason: str, after: dict[str, object], now: datetime) -> None:
    """A line in the trail; call it before the batch's new state is set on it."""
    before = {"state": str(batch.state)}
    audit.record(
        operator=operator, act=act, subject=batch, reason=reason, before=before, after={**before, **after}, now=now
    )
