"""What a shop sells: items with a price in its currency, each with a code from the moment it exists."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from merchants import codes, ids, photos
from merchants.models import Code, Item, Shop
from merchants.refusals import Refused

FOLDER = "items"


def create(
    *,
    shop: Shop,
    name: str,
    amount: int,
    unit: str,
    photo: File[bytes] | None,
    now: datetime,
    currency: str | None = None,
    active: bool = True,
) -> Item:
    """A new item and its code, in one transaction. `amount` in minor units; `currency` must be the shop's if given.

    Raises Refused: 400 `currency_mismatch`, `amount_out_of_range`, and what `photos.encode` refuses.
    """
    stored = photos.keep(photo, FOLDER) if photo else ""
    try:
        with transaction.atomic():
            current = Shop.objects.select_for_update(no_key=True).get(id=shop.id)
            _check_price(current, amount, currency)
            item = Item.objects.create(
                id=ids.new(now),
                shop=shop,
                name=name.strip(),
                amount=amount,
                currency=current.currency,
                unit=unit.strip(),
                photo=stored,
                active=active,
            )
            Code.objects.create(id=ids.new(now), shop=shop, kind=Code.Kind.ITEM, item=item)
    except BaseException:
        photos.forget(stored)
        raise
    return item


def update(
    *,
    item: Item,
    name: str | None = None,
    amount: int | None = None,
    currency: str | None = None,
    unit: str | None = None,
    photo: File[bytes] | None = None,
    remove_photo: bool = False,
    active: bool | None = None,
) -> Item:
    """Changes what is given and leaves the rest. Raises Refused as `create` does, and 404 `not_found` once deleted."""
    stored = photos.keep(photo, FOLDER) if photo else ""
    try:
        with transaction.atomic():
            shop = Shop.objects.select_for_update(no_key=True).get(id=item.shop_id)
            current = Item.objects.select_for_update(no_key=True).filter(id=item.id, deleted_at=None).first()
            if current is None:
                raise Refused(404, "not_found", _("There is no such item."))
            if amount is not None or currency is not None:
                current.amount = current.amount if amount is None else amount
                _check_price(shop, current.amount, currency)
                current.currency = shop.currency
            current.name = current.name if name is None else name.strip()
            current.unit = current.unit if unit is None else unit.strip()
            current.active = current.active if active is None else active
            if stored or remove_photo:
                _replace_photo(current, stored)
            current.save()
    except BaseException:
        photos.forget(stored)
        raise
    return current


def delete(*, item: Item, now: datetime) -> None:
    """Takes the item off the shop's list for good and retires its codes; what was sold keeps pointing at it."""
    with transaction.atomic():
        Shop.objects.select_for_update(no_key=True).get(id=item.shop_id)
        if Item.objects.filter(id=item.id, deleted_at=None).update(deleted_at=now, active=False):
            codes.retire_for(item, now=now)


def of_shop(shop: Shop) -> QuerySet[Item]:
    """The shop's items that were not deleted, with their codes."""
    return Item.objects.filter(shop=shop, deleted_at=None).prefetch_related("codes")


def find(shop: Shop, item_id: UUID) -> Item | None:
    """The shop's own item of that id, or None: nobody else's is ever found, nor a deleted one."""
    return of_shop(shop).filter(id=item_id).first()


def _check_price(shop: Shop, amount: int, currency: str | None) -> None:
    if currency not in (None, shop.currency):
        raise Refused(400, "currency_mismatch", _("This shop sells in %(currency)s.") % {"currency": shop.currency})
    if not 1 <= amount <= settings.AMOUNT_MAX:
        raise Refused(400, "amount_out_of_range", _("The price is too small or too large."))


def _replace_photo(item: Item, stored: str) -> None:
    old = item.photo.name or ""
    item.photo.name = stored
    transaction.on_commit(lambda: photos.forget(old))
