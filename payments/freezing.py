"""Freezing a shop: from the commit on nothing starts, nothing is refunded, and what is open is being closed.

The shop's row is the lock: `checkout.start` and `refunds.request` take it too before they look at its state. Money that
arrives all the same is booked and stays pending.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from merchants import audit
from merchants.audit import UnableToAct
from merchants.models import Shop, User
from payments import timers
from payments.models import PaymentIntent

FREEZE, UNFREEZE = "freeze", "unfreeze"


def freeze(*, shop_id: UUID, operator: User, reason: str, now: datetime) -> int:
    """Freezes the shop and marks its open intents, which are closed at their provider by the next sweep; how many.

    Raises UnableToAct `shop_frozen` or `shop_closed`.
    """
    with transaction.atomic():
        shop = _locked(shop_id)
        if shop.state in (Shop.State.FROZEN, Shop.State.CLOSED):
            raise UnableToAct(
                f"shop_{shop.state}",
                _("%(shop)s is %(state)s already.") % {"shop": shop, "state": shop.get_state_display().lower()},
            )
        _set_state(shop, Shop.State.FROZEN, FREEZE, operator, reason, now)
        # Locked by id first, in the order in which batches of events lock them.
        still_open = PaymentIntent.objects.filter(shop=shop, state=PaymentIntent.State.OPEN)
        locked = list(still_open.select_for_update(no_key=True).order_by("id").values_list("id", flat=True))
        timers.close_at(locked, at=now)
        return PaymentIntent.objects.filter(id__in=locked).update(closing=PaymentIntent.Closing.FROZEN)


def unfreeze(*, shop_id: UUID, operator: User, reason: str, now: datetime) -> str:
    """Gives the shop the state it had when it was frozen, and answers it; intents that are being closed stay so.

    Raises UnableToAct `shop_not_frozen`.
    """
    with transaction.atomic():
        shop = _locked(shop_id)
        if shop.state != Shop.State.FROZEN:
            raise UnableToAct("shop_not_frozen", _("%(shop)s is not frozen.") % {"shop": shop})
        frozen = audit.trail(shop).filter(act=FREEZE).first()
        state = frozen.before["state"] if frozen else Shop.State.ACTIVE
        _set_state(shop, state, UNFREEZE, operator, reason, now)
        return str(state)


def _locked(shop_id: UUID) -> Shop:
    return Shop.objects.select_for_update(no_key=True).get(id=shop_id)


def _set_state(shop: Shop, state: str, act: str, operator: User, reason: str, now: datetime) -> None:
    before = {"state": shop.state, "state_reason": shop.state_reason}
    after = {"state": str(state), "state_reason": reason[:200] if state == Shop.State.FROZEN else ""}
    Shop.objects.filter(id=shop.id).update(**after)
    audit.record(operator=operator, act=act, subject=shop, reason=reason, before=before, after=after, now=now)
