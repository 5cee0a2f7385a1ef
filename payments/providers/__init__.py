"""The wallet, card and bank networks we know, each one module behind the same eight functions."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from django.conf import settings

from payments.providers.base import Provider

# What a customer's browser may be sent to, and the module that knows the way. A provider is on when its address is set.
MODULES = {"sandbox": "payments.providers.sandbox"}


def named(provider: str) -> Provider:
    """The module of that name. Raises KeyError for a name we do not know."""
    return cast(Provider, import_module(MODULES[provider]))


def enabled(provider: str) -> bool:
    return provider in MODULES and bool(getattr(settings, f"{provider.upper()}_URL"))
