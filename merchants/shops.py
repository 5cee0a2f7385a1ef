"""What an owner may change of her shop, and until when; and its check word, which she cannot choose."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from merchants import audit, check_words, photos
from merchants.models import Code, Item, Shop, User, WalletCode
from merchants.refusals import Refused

FOLDER = "shops"

_Written = TypeVar("_Written")


def update(
    *,
    shop: Shop,
    now: datetime,
    name: str | None = None,
    country: str | None = None,
    currency: str | None = None,
    time_zone: str | None = None,
    photo: File[bytes] | None = None,
    remove_photo: bool = False,
    colour: str | None = None,
    logo: File[bytes] | None = None,
    remove_logo: bool = False,
) -> Shop:
    """Changes what is given and leaves the rest; the country changes neither currency nor time zone by itself.

    Raises Refused: 409 `currency_locked` once a customer has begun to pay; 409 `currency_in_use` while items or live
    one-time codes have prices in the old one (prices are never converted, so the vendor must delete or let them end),
    or own wallet codes are in use, which are paid in it; and what `photos.encode` and `photos.encode_logo` refuse.
    `colour` must be one without an objection.
    """
    stored: dict[str, str] = {}
    try:
        if photo or remove_photo:
            stored["photo"] = photos.keep(photo, FOLDER) if photo else ""
        if logo or remove_logo:
            stored["logo"] = photos.keep_logo(logo) if logo else ""
        with transaction.atomic():
            current = Shop.objects.select_for_update(no_key=True).get(id=shop.id)
            changed: dict[str, Any] = {
                "name": name and name.strip(),
                "country": country,
                "time_zone": time_zone,
                "colour": colour,
            }
            if currency not in (None, current.currency):
                _check_currency_is_free(current, now)
                changed["currency"] = currency
            for field, name_of_file in stored.items():
                old = getattr(current, field).name or ""
                changed[field] = name_of_file
                transaction.on_commit(partial(photos.forget, old))
            changed = {field: value for field, value in changed.items() if value is not None}
            if changed:
                # Only these columns: freezing and locking write others of this row at the same time.
                Shop.objects.filter(id=shop.id).update(**changed)
    except BaseException:
        for name_of_file in stored.values():
            photos.forget(name_of_file)
        raise
    return Shop.objects.get(id=shop.id)


def with_check_word(country: str, write: Callable[[str], _Written]) -> _Written:
    """Calls `write` with a word that is free, and again with another when somebody else took it at the same moment."""
    for word in check_words.candidates(country):
        if Shop.objects.filter(check_word=word).exists():
            continue
        try:
            with transaction.atomic():
                return write(word)
        except IntegrityError:
            if not Shop.objects.filter(check_word=word).exists():
                raise
    raise RuntimeError(f"no check word is free in {country}")


def give_check_word(*, shop_id: UUID, operator: User, reason: str, now: datetime) -> str:
    """Another word for a shop, and answers it. Her old signs are wrong from now on: only an operator does this."""
    with transaction.atomic():
        shop = Shop.objects.select_for_update(no_key=True).get(id=shop_id)
        old = shop.check_word

        def write(word: str) -> str:
            Shop.objects.filter(id=shop.id).update(check_word=word)
            return word

        word = with_check_word(shop.country, write)
        audit.record(
            operator=operator,
            act="give_check_word",
            subject=shop,
            reason=reason,
            before={"check_word": old},
            after={"check_word": word},
            now=now,
        )
        return word


def _check_currency_is_free(shop: Shop, now: datetime) -> None:
    if shop.currency_locked_at is not None:
        raise Refused(409, "currency_locked", _("The currency is fixed: a customer has already begun to pay."))
    live = Q(state__in=[Code.State.ACTIVE, Code.State.SUSPENDED], expires_at__gt=now)
    priced = Item.objects.filter(shop=shop, deleted_at=None).exists()
    if priced or Code.objects.filter(live, shop=shop, kind=Code.Kind.ONE_TIME).exists():
        raise Refused(
            409,
            "currency_in_use",
            _("There are prices in %(currency)s: delete those items first.") % {"currency": shop.currency},
        )
    if WalletCode.objects.filter(shop=shop, state=WalletCode.State.ACTIVE).exists():
        raise Refused(
            409,
            "currency_in_use",
            _("Your own wallet codes are paid in %(currency)s: retire them first.") % {"currency": shop.currency},
        )
