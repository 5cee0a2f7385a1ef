"""The wallet, card and bank networks we know, each one module behind the same ten functions."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from django.conf import settings

from payments.providers.base import Provider

# A provider is on when its address is set (`<NAME>_URL`). In the order in which a page offers them.
MODULES = {
    "alipay": "payments.providers.alipay",
    "wechatpay": "payments.providers.wechatpay",
    "razorpay": "payments.providers.razorpay",
    "pix": "payments.providers.pix",
    "mercadopago": "payments.providers.mercadopago",
    "stripe": "payments.providers.stripe",
    "sandbox": "payments.providers.sandbox",
}


@cache
def named(provider: str) -> Provider:
    """The module of that name. Raises KeyError for a name we do not know."""
    return cast(Provider, import_module(MODULES[provider]))


def enabled(provider: str) -> bool:
    return provider in MODULES and bool(getattr(settings, f"{provider.upper()}_URL"))


def all_enabled() -> list[str]:
    return [name for name in MODULES if enabled(name)]


def opened_in(user_agent: str) -> str:
    """The provider whose own app this browser belongs to, or "". A hint for the layout, never for trust."""
    for name in all_enabled():
        app = named(name).APP
        if app is not None and app.search(user_agent):
            return name
    return ""
