"""Telling a shop's owners what could divert its money: a notice to the shop, and a text to each owner's own phone.

Both are written in the transaction of what they tell of, so that the phones are those of before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from merchants import notify, texts
from merchants.models import Shop, Staff, User
from merchants.notify import Telling

_SHOP_NAME_MAX = 30  # In a text; nobody shall write our texts by naming a shop.


class UnableToChange(Exception):
    """A change that is not possible now: `code` for programs, `detail` for people. Nothing has changed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def tell(
    shop: Shop,
    *,
    kind: str,
    data: Mapping[str, str],
    text: str,
    words: Mapping[str, str],
    of_use_for: timedelta,
    now: datetime,
) -> None:
    """A notice `kind` with its `data`, and a text in which `words`, `{shop}` and `{app}` are filled in."""
    notify.tell([Telling(shop.id, kind, data)], now=now)
    said = text.format(shop=_named(shop), app=f"{settings.PUBLIC_URL}/app/", **words)
    for phone in _phones(shop):
        texts.queue(phone=phone, text=said, code="", now=now, expires_at=now + of_use_for)
    transaction.on_commit(lambda: notify.announce([shop.id]))


def _phones(shop: Shop) -> list[str]:
    owners = User.objects.filter(roles__shop=shop, roles__role=Staff.Role.OWNER)
    return list(owners.order_by("id").values_list("phone", flat=True))


def _named(shop: Shop) -> str:
    name = " ".join(shop.name.split())
    return f'"{name[:_SHOP_NAME_MAX]}"'
