"""Signing in with nothing but a phone: a code by text, and for the code a token; the first time also a shop.

The answers do not tell known phones from unknown ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from merchants import countries, devices, ids, one_time_codes, phones, shops
from merchants.models import Code, NoticeCounter, OneTimeCode, Shop, Staff, User
from merchants.phones import Phone
from merchants.refusals import Refused

SHOP_NAME = gettext_noop(
    "My shop"
)  # Until the owner gives it another; nobody should have to think of a name before selling.

_TEXT = gettext_noop(
    "%(code)s is your Pushcart code. It works for %(minutes)s minutes. We never ask you for it: tell nobody."
)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in where. `token` is told this once and kept only as a hash; `created` says that the shop is new."""

    user: User
    shop: Shop
    role: str
    token: str
    created: bool


def send_code(*, phone: str, address: str, now: datetime) -> None:
    """Sends a code to the phone, whoever's it is. `address` is the asker's, for the budgets.

    Raises Refused: 400 `phone_invalid`, `phone_not_mobile`, `country_not_served`; 429 `too_many_codes`;
    503 `codes_unavailable`. Nothing is sent then.
    """
    one_time_codes.send(
        phone=phones.mobile(phone), purpose=OneTimeCode.Purpose.SIGN_IN, text=_(_TEXT), address=address, now=now
    )


def redeem(*, phone: str, code: str, shop_name: str, user_agent: str = "", now: datetime) -> SignedIn:
    """Signs in with the newest code of the phone; makes User, Shop, its Code and its owner the first time.

    Raises Refused 400 `code_invalid` for everything that is wrong, so that an answer teaches nothing.
    """
    try:
        number = phones.mobile(phone)
    except Refused:
        raise _code_invalid() from None
    found = one_time_codes.matching(phone=number.e164, purpose=OneTimeCode.Purpose.SIGN_IN, code=code, now=now)
    if found is None:
        raise _code_invalid()
    with transaction.atomic():
        if not one_time_codes.redeem(found, now=now):
            raise _code_invalid()
        return _sign_in(number, shop_name, now, user_agent)


def _sign_in(phone: Phone, shop_name: str, now: datetime, user_agent: str = "") -> SignedIn:
    user, _new = User.objects.get_or_create(phone=phone.e164, defaults={"password": make_password(None)})
    # Two codes of one phone can be redeemed at once: the second waits here and finds the shop of the first.
    User.objects.select_for_update().get(id=user.id)
    if not user.is_active:
        raise _code_invalid()
    roles = Staff.objects.select_related("shop").filter(user=user).order_by("id")
    known = roles.filter(role=Staff.Role.OWNER).first() or roles.first()
    staff = known or _open_shop(user, phone.country, shop_name, now)
    token = devices.sign_in(staff=staff, user_agent=user_agent, now=now)
    return SignedIn(user, staff.shop, staff.role, token, created=known is None)


def _open_shop(owner: User, country: str, name: str, now: datetime) -> Staff:
    """A shop with its code, its counter of notices and its owner, who is returned."""

    def write(check_word: str) -> Shop:
        return Shop.objects.create(
            id=ids.new(now),
            name=name.strip() or _(SHOP_NAME),
            country=country,
            currency=countries.currency(country),
            time_zone=countries.time_zone(country),
            check_word=check_word,
        )

    shop = shops.with_check_word(country, write)
    Code.objects.create(id=ids.new(now), shop=shop, kind=Code.Kind.SHOP)
    NoticeCounter.objects.create(shop=shop)
    return Staff.objects.create(id=ids.new(now), user=owner, shop=shop, role=Staff.Role.OWNER)


def _code_invalid() -> Refused:
    return Refused(400, "code_invalid", _("This code is not right, or it is too late for it. Ask for a new one."))
