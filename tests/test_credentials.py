"""A provider account's secrets: sealed in the database, opened where they are used."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings

from payments import credentials
from payments.models import ProviderAccount

SECRETS = {"api_key": "key-äé-漢", "webhook_secrets": "whsec_b25l whsec_dHdv"}


def account(sealed: bytes) -> ProviderAccount:
    return ProviderAccount(provider="sandbox", name="x", funds="held", sealed_credentials=sealed)


def test_what_was_sealed_is_what_is_opened() -> None:
    assert credentials.of(account(credentials.sealed(SECRETS))) == SECRETS


def test_nothing_of_a_secret_can_be_read_in_what_is_stored() -> None:
    sealed = credentials.sealed(SECRETS)
    assert not any(part in sealed for part in (b"api_key", b"whsec", b"b25l", "漢".encode()))
    assert sealed != credentials.sealed(SECRETS)


def test_credentials_come_back_from_the_database_as_they_went_in(db: None) -> None:
    row = account(credentials.sealed(SECRETS))
    row.save()
    assert credentials.of(ProviderAccount.objects.get()) == SECRETS


def test_changed_credentials_are_read_anew() -> None:
    row = account(credentials.sealed(SECRETS))
    assert credentials.of(row)["api_key"] == "key-äé-漢"
    row.sealed_credentials = credentials.sealed({**SECRETS, "api_key": "another"})
    assert credentials.of(row)["api_key"] == "another"


def test_a_rotated_key_still_opens_and_a_lost_one_does_not(settings: LazySettings) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.CREDENTIAL_KEYS = [first]
    old, lost = credentials.sealed(SECRETS), credentials.sealed(SECRETS)
    settings.CREDENTIAL_KEYS = [second, first]
    assert credentials.of(account(old)) == SECRETS
    settings.CREDENTIAL_KEYS = [second]
    with pytest.raises(ValueError, match="CREDENTIAL_KEYS"):
        credentials.of(account(lost))


@pytest.mark.parametrize("sealed", [b"", b"not sealed at all"])
def test_what_nobody_sealed_cannot_be_opened(sealed: bytes) -> None:
    with pytest.raises(ValueError, match="CREDENTIAL_KEYS"):
        credentials.of(account(sealed))
