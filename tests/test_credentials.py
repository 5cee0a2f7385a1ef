"""A provider account's secrets: sealed in the database, opened where they are used."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings

from payments import credentials
from payments.models import OldCredentials, ProviderAccount
from tests.till import platform

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


# --- Credentials of several ages -------------------------------------------------------------------------------------


def replaced(row: ProviderAccount, secrets: str, at: datetime, accepted_until: datetime | None) -> None:
    OldCredentials.objects.create(
        provider_account=row,
        sealed_credentials=credentials.sealed({"api_key": f"key of {secrets}", "webhook_secrets": secrets}),
        replaced_at=at,
        accepted_until=accepted_until,
    )


def test_older_secrets_prove_for_a_while_and_are_readable_for_ever(db: None, now: datetime) -> None:
    row = platform()
    newest = credentials.of(row)["webhook_secrets"]
    hour = timedelta(hours=1)
    replaced(row, "older-1 older-2", now - hour, now + hour)
    replaced(row, "oldest", now - 2 * hour, now)
    replaced(row, "revoked", now - 3 * hour, None)
    assert list(credentials.secrets(row, "webhook_secrets", now=now)) == [newest, "older-1", "older-2"]
    assert list(credentials.secrets(row, "webhook_secrets", now=now + hour)) == [newest]
    assert [given["webhook_secrets"] for given in credentials.every_of(row)] == [
        newest, "older-1 older-2", "oldest", "revoked",
    ]  # fmt: skip


def test_identity_is_what_is_no_secret() -> None:
    given = {"key_id": "rzp_live_1", "key_secret": "s3cret", "webhook_secrets": "whsec"}
    assert credentials.identity("razorpay", given) == {"key_id": "rzp_live_1", "account_id": ""}


def test_a_providers_key_is_known_until_it_expires(db: None, now: datetime) -> None:
    row = platform()
    assert credentials.given_key(row, "K1", now=now) == ""
    credentials.keep_key(row, "K1", "pem 1", expires_at=now + timedelta(days=1), now=now)
    credentials.keep_key(row, "K1", "pem 2", expires_at=now + timedelta(days=2), now=now)
    credentials.keep_key(row, "K2", "pem for ever", expires_at=None, now=now)
    assert credentials.given_key(row, "K1", now=now + timedelta(days=1)) == "pem 2"
    assert credentials.given_key(row, "K1", now=now + timedelta(days=2)) == ""
    assert credentials.given_key(row, "K2", now=now + timedelta(days=999)) == "pem for ever"
