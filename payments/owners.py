"""Telling a shop's owners what could divert its money: a notice to the shop, and a text to each owner's own phone.

Both are written in the transaction of what they tell of, so that the phones are those of before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from merchants import languages, notify, texts
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
    words: Callable[[], Mapping[str, str]],
    of_use_for: timedelta,
    now: datetime,
) -> None:
    """A notice `kind` with its `data`, and a text to each owner in her own language.

    `text` is the sentence in English, as the catalogues have it; `words`, `shop` and `app` fill its blanks. The words
    are asked for in each language.
    """
    notify.tell([Telling(shop.id, kind, data)], now=now)
    for owner in _owners(shop):
        with override(languages.of(owner)):
            said = _(text) % {"shop": _named(shop), "app": f"{settings.PUBLIC_URL}/app/", **words()}
        texts.queue(phone=owner.phone, text=said, code="", now=now, expires_at=now + of_use_for)
    transaction.on_commit(lambda: notify.announce([shop.id]))


def _owners(shop: Shop) -> list[User]:
    return list(User.objects.filter(roles__shop=shop, roles__role=Staff.Role.OWNER).order_by("id"))


def _named(shop: Shop) -> str:
    name = " ".join(shop.name.split())
    return f'"{name[:_SHOP_NAME_MAX]}"'
