"""Codes on paper and screen: made, renamed, suspended and retired; a slug once printed never means anything else."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from merchants import ids
from merchants.models import Code, Item, Shop, Staff
from merchants.refusals import Refused

ONE_TIME_LIFE = timedelta(minutes=15)
ONE_TIME_LIFE_MAX = timedelta(days=30)


def create(
    *,
    shop: Shop,
    kind: str,
    item: Item | None = None,
    amount: int | None = None,
    currency: str | None = None,
    expires_at: datetime | None = None,
    label: str = "",
    staff: Staff | None = None,
    now: datetime,
) -> Code:
    """A new code of the shop. `amount` in minor units, for kind `one_time` only, as `expires_at` is.

    Raises Refused 400: `item_missing`, `price_missing`, `field_not_allowed`, `amount_out_of_range`,
    `currency_mismatch`, `expiry_out_of_range`.
    """
    assert item is None or item.shop_id == shop.id, "an item is looked up through the shop of the caller"
    _fits(kind, item=item, amount=amount, expires_at=expires_at)
    one_time = kind == Code.Kind.ONE_TIME
    if one_time:
        expires_at = expires_at or now + ONE_TIME_LIFE
        if not now < expires_at <= now + ONE_TIME_LIFE_MAX:
            raise Refused(400, "expiry_out_of_range", "A code can expire between now and 30 days from now.")
    with transaction.atomic():
        # The shop's row holds its currency still, and an item that is being deleted takes its codes along.
        current = Shop.objects.select_for_update(no_key=True).get(id=shop.id)
        if one_time and currency not in (None, current.currency):
            raise Refused(400, "currency_mismatch", f"This shop sells in {current.currency}.")
        if item is not None and not Item.objects.filter(id=item.id, deleted_at=None).exists():
            raise Refused(400, "item_unknown", "There is no such item.")
        return Code.objects.create(
            id=ids.new(now),
            shop=shop,
            kind=kind,
            item=item,
            amount=amount,
            currency=current.currency if one_time else "",
            expires_at=expires_at,
            label=label.strip(),
            staff=staff,
        )


def change(*, code: Code, state: str | None = None, label: str | None = None, now: datetime) -> Code:
    """Renames, suspends, activates or retires. Raises Refused 409 `code_retired`: that is final."""
    with transaction.atomic():
        current = Code.objects.select_for_update(no_key=True, of=("self",)).select_related("item").get(id=code.id)
        if state is not None and state != current.state:
            if current.state == Code.State.RETIRED:
                raise Refused(409, "code_retired", "A retired code stays retired. Make a new one.")
            current.state = state
            current.retired_at = now if state == Code.State.RETIRED else None
        if label is not None:
            current.label = label.strip()
        current.save(update_fields=["state", "retired_at", "label"])
        return current


def retire_for(item: Item, *, now: datetime) -> int:
    """Retires every code of an item that is sold no more; answers how many. Call it in the deleting transaction."""
    live = Code.objects.filter(item=item).exclude(state=Code.State.RETIRED)
    return live.update(state=Code.State.RETIRED, retired_at=now)


def find(slug: str) -> Code | None:
    """The code of a slug, in whatever state, with its shop, item and staff: what a scan begins with."""
    return Code.objects.select_related("shop", "item", "staff").filter(slug=slug).first()


def of_shop(shop: Shop, code_id: UUID) -> Code | None:
    """The shop's own code of that id, or None: nobody else's is ever found."""
    return Code.objects.select_related("item").filter(shop=shop, id=code_id).first()


def price(code: Code) -> tuple[int, str] | None:
    """What the code asks for, as (minor units, currency); None when the payer says how much."""
    if code.amount is not None:
        return code.amount, code.currency
    if code.item is not None:
        return code.item.amount, code.item.currency
    return None


def _fits(kind: str, *, item: Item | None, amount: int | None, expires_at: datetime | None) -> None:
    if kind == Code.Kind.ITEM and item is None:
        raise Refused(400, "item_missing", "A code of kind item needs an item.")
    if kind != Code.Kind.ITEM and item is not None:
        raise Refused(400, "field_not_allowed", f"A code of kind {kind} has no item.")
    if kind != Code.Kind.ONE_TIME:
        if amount is not None or expires_at is not None:
            raise Refused(400, "field_not_allowed", f"A code of kind {kind} has neither a price nor an expiry.")
    elif amount is None:
        raise Refused(400, "price_missing", "A one-time code needs a price.")
    elif not 1 <= amount <= settings.AMOUNT_MAX:
        raise Refused(400, "amount_out_of_range", "The amount is too small or too large.")
