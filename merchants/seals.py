"""Secrets that must be read again are sealed before they touch the database: provider credentials and unsent texts.

Fernet (AES-128-CBC with HMAC-SHA256). settings.CREDENTIAL_KEYS lists keys newest first: the first seals, any opens,
so a key is rotated by putting a new one in front and removing the old one when nothing sealed with it is left.
"""

from __future__ import annotations

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class Unreadable(ValueError):
    """The seal is broken: the bytes were changed, or the key that sealed them is no longer listed."""


def seal(text: str) -> bytes:
    """The text, encrypted and authenticated; sealing twice gives different bytes."""
    return _keys(tuple(settings.CREDENTIAL_KEYS)).encrypt(text.encode())


def unseal(sealed: bytes | memoryview) -> str:
    """The text that was sealed. Raises Unreadable."""
    try:
        return _keys(tuple(settings.CREDENTIAL_KEYS)).decrypt(bytes(sealed)).decode()
    except InvalidToken as broken:
        raise Unreadable("sealed with a key that CREDENTIAL_KEYS does not list, or changed since") from broken


def resealed(sealed: bytes | memoryview) -> bytes | None:
    """What was sealed by an older key, sealed by the first; None when it is so already. Raises Unreadable."""
    newest, *_older = settings.CREDENTIAL_KEYS
    try:
        Fernet(newest).decrypt(bytes(sealed))
    except InvalidToken:
        return seal(unseal(sealed))
    return None


@cache
def _keys(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("CREDENTIAL_KEYS is empty: nothing can be sealed (see README, Configuration)")
    return MultiFernet([Fernet(key) for key in keys])
