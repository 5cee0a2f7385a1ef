"""Sealing what must be read again."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured

from merchants import seals


def test_what_was_sealed_can_be_read_and_nothing_of_it_shows() -> None:
    sealed = seals.seal("whsec_水果 secret")
    assert seals.unseal(sealed) == "whsec_水果 secret"
    assert seals.unseal(memoryview(sealed)) == "whsec_水果 secret"
    assert b"secret" not in sealed
    assert seals.seal("whsec_水果 secret") != sealed


def test_a_new_key_seals_while_the_old_one_still_opens(settings: LazySettings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.CREDENTIAL_KEYS = [old]
    before = seals.seal("kept")
    settings.CREDENTIAL_KEYS = [new, old]
    after = seals.seal("kept")
    assert seals.unseal(before) == seals.unseal(after) == "kept"
    settings.CREDENTIAL_KEYS = [new]
    assert seals.unseal(after) == "kept"
    with pytest.raises(seals.Unreadable):
        seals.unseal(before)


def test_a_changed_seal_is_not_read() -> None:
    sealed = bytearray(seals.seal("kept"))
    sealed[-1] ^= 1
    with pytest.raises(seals.Unreadable):
        seals.unseal(bytes(sealed))


def test_without_a_key_nothing_is_sealed(settings: LazySettings) -> None:
    settings.CREDENTIAL_KEYS = []
    with pytest.raises(ImproperlyConfigured):
        seals.seal("secret")
