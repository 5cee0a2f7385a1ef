"""A key of CREDENTIAL_KEYS is replaced: everything is sealed anew, and then the old one can really be removed."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from merchants import audit, seals, texts
from merchants.models import PushSubscription, TextMessage
from payments import credentials, receipt_keys
from payments.management.commands import reseal_credentials
from payments.models import CredentialChange, OldCredentials, PayoutAccount, ProviderAccount
from tests.cast import Person, unsealed
from tests.push_service import Browser, subscribe

GIVEN = {"api_key": "key-of-now", "webhook_secrets": "whsec_now"}
OLD = {"api_key": "key-of-before", "webhook_secrets": "whsec_before"}


def key() -> str:
    return Fernet.generate_key().decode()


def run() -> str:
    output = io.StringIO()
    call_command("reseal_credentials", stdout=output)
    return output.getvalue()


def rows_of_every_kind(mei: Person, now: datetime) -> None:
    account = ProviderAccount.objects.create(
        provider="sandbox", name="platform", funds="held", sealed_credentials=credentials.sealed(GIVEN)
    )
    OldCredentials.objects.create(
        provider_account=account, sealed_credentials=credentials.sealed(OLD), replaced_at=now, accepted_until=None
    )
    for state, sealed in (("waiting", credentials.sealed(GIVEN)), ("applied", b""), ("canceled", b"")):
        CredentialChange.objects.create(
            shop=mei.shop, provider="sandbox", sealed_credentials=sealed, requested_by=mei.staff, state=state,
            requested_at=now, effective_at=now + timedelta(days=1),
        )  # fmt: skip
    for state, sealed in (("waiting", seals.seal("622202")), ("canceled", b"")):
        PayoutAccount.objects.create(
            shop=mei.shop, currency="CNY", scheme="local", country="CN", holder="Mei", tail="2202", state=state,
            sealed_number=sealed, requested_by=mei.staff, requested_at=now, effective_at=now,
        )  # fmt: skip
    receipt_keys.signing(now=now)
    subscribe(mei.api(), Browser("https://fcm.googleapis.com/fcm/send/abc"))
    TextMessage.objects.exclude(state="sent").delete()
    texts.queue(phone=mei.phone, text="hello", code="123456", now=now, expires_at=now + timedelta(minutes=5))
    TextMessage.objects.create(
        phone=mei.phone, sealed_body=b"", state="sent", due_at=now, expires_at=now, created_at=now
    )


def test_after_it_the_old_key_can_be_removed(mei: Person, now: datetime, settings: LazySettings) -> None:
    first, second = key(), key()
    settings.CREDENTIAL_KEYS = [first]
    rows_of_every_kind(mei, now)
    settings.CREDENTIAL_KEYS = [second, first]
    assert run() == (
        "provider accounts: 1 sealed anew, 0 were already, 0 cannot be opened\n"
        "old credentials: 1 sealed anew, 0 were already, 0 cannot be opened\n"
        "credential changes: 1 sealed anew, 0 were already, 0 cannot be opened\n"
        "payout accounts: 1 sealed anew, 0 were already, 0 cannot be opened\n"
        "receipt keys: 1 sealed anew, 0 were already, 0 cannot be opened\n"
        "push subscriptions: 1 sealed anew, 0 were already, 0 cannot be opened\n"
        "text messages: 1 sealed anew, 0 were already, 0 cannot be opened\n"
        "Everything is sealed under the first key: the others can be removed.\n"
    )
    settings.CREDENTIAL_KEYS = [second]
    account = ProviderAccount.objects.get()
    assert credentials.every_of(account) == [GIVEN, OLD]
    waiting = CredentialChange.objects.get(state="waiting")
    assert seals.unseal(waiting.sealed_credentials) == seals.unseal(account.sealed_credentials)
    signer = receipt_keys.signing(now=now)
    assert receipt_keys.signed(signer, b"paid", receipt_keys.signature(signer, b"paid"))
    assert unsealed(TextMessage.objects.get(state="queued")) == {"text": "hello", "code": "123456"}
    push = json.loads(seals.unseal(bytes(PushSubscription.objects.get().sealed_address)))
    assert push["address"] == "https://fcm.googleapis.com/fcm/send/abc"
    assert [bytes(row.sealed_credentials) for row in CredentialChange.objects.exclude(state="waiting")] == [b"", b""]


def test_a_second_time_there_is_nothing_to_do(mei: Person, now: datetime, settings: LazySettings) -> None:
    settings.CREDENTIAL_KEYS = [key()]
    rows_of_every_kind(mei, now)
    before = bytes(ProviderAccount.objects.get().sealed_credentials)
    assert run().count("0 sealed anew, 1 were already, 0 cannot be opened") == 7
    assert bytes(ProviderAccount.objects.get().sealed_credentials) == before


def test_what_no_key_opens_is_named_and_the_rest_is_sealed_anew(
    mei: Person, now: datetime, settings: LazySettings
) -> None:
    lost, first, second = key(), key(), key()
    settings.CREDENTIAL_KEYS = [lost]
    stray = ProviderAccount.objects.create(
        provider="sandbox", name="stray", funds="held", sealed_credentials=credentials.sealed(GIVEN)
    )
    settings.CREDENTIAL_KEYS = [first]
    rows_of_every_kind(mei, now)
    settings.CREDENTIAL_KEYS = [second, first]
    with pytest.raises(CommandError) as failure:
        run()
    assert failure.value.returncode == 1
    assert str(failure.value).splitlines()[1:] == [" ".join(audit.named(stray))]
    settings.CREDENTIAL_KEYS = [second]
    assert credentials.of(ProviderAccount.objects.get(name="platform")) == GIVEN
    stray.refresh_from_db()
    with pytest.raises(ValueError, match="CREDENTIAL_KEYS"):
        credentials.of(stray)


def test_many_rows_are_sealed_anew_in_batches(
    db: None, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reseal_credentials, "_BATCH", 2)
    first, second = key(), key()
    settings.CREDENTIAL_KEYS = [first]
    for number in range(5):
        ProviderAccount.objects.create(
            provider="sandbox", name=f"a{number}", funds="held", sealed_credentials=credentials.sealed(GIVEN)
        )
    settings.CREDENTIAL_KEYS = [second, first]
    assert "provider accounts: 5 sealed anew, 0 were already" in run()
    settings.CREDENTIAL_KEYS = [second]
    assert [credentials.of(row) for row in ProviderAccount.objects.all()] == [GIVEN] * 5
