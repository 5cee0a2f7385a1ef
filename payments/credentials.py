"""The secrets of a provider account: sealed at rest, opened only where a call or a check needs them.

Credentials that were replaced are kept sealed too: what a provider encrypted for them may have to be read again, and
for a while its retries are still signed with them. Nothing here is ever shown to anybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache

from django.db import models

from merchants.seals import seal, unseal
from payments import providers
from payments.models import OldCredentials, ProviderAccount, ProviderKey


def sealed(credentials: dict[str, str]) -> bytes:
    return seal(json.dumps(credentials))


def of(account: ProviderAccount) -> dict[str, str]:
    """The account's credentials by name, secret or not. Raises ValueError when no key of ours opens them."""
    return _opened(bytes(account.sealed_credentials))


def every_of(account: ProviderAccount) -> list[dict[str, str]]:
    """The credentials of now and every one they replaced, newest first: for reading what was encrypted for them."""
    return [of(account), *_older(account.old_credentials.all())]


def accepted(account: ProviderAccount, *, now: datetime) -> list[dict[str, str]]:
    """The credentials by which a notification may be proved now, newest first."""
    return [of(account), *_older(account.old_credentials.filter(accepted_until__gt=now))]


def secrets(account: ProviderAccount, field: str, *, now: datetime) -> Iterator[str]:
    """Every accepted value of a field that may hold several (spaces between), newest first.

    Older credentials are only looked up when the newest ones were not enough.
    """
    yield from of(account).get(field, "").split()
    for older in accepted(account, now=now)[1:]:
        yield from older.get(field, "").split()


def identity(provider: str, given: dict[str, str]) -> dict[str, str]:
    """What of an account's credentials is no secret: it is shown, and its messages are compared with it."""
    return {field.name: given.get(field.name, "") for field in providers.named(provider).FIELDS if not field.secret}


def given_key(account: ProviderAccount, key_id: str, *, now: datetime) -> str:
    """The provider's own key (PEM) of that name, as it gave it to us; "" when we have none that is still good."""
    good = models.Q(expires_at=None) | models.Q(expires_at__gt=now)
    row = account.keys.filter(good, key_id=key_id).first()
    return row.pem if row else ""


def keep_key(account: ProviderAccount, key_id: str, pem: str, *, expires_at: datetime | None, now: datetime) -> None:
    """Keeps a key that the provider has given us; the caller has proved that it comes from there."""
    ProviderKey.objects.update_or_create(
        provider_account=account,
        key_id=key_id,
        defaults={"pem": pem, "expires_at": expires_at, "fetched_at": now},
    )


def _older(rows: models.QuerySet[OldCredentials]) -> Sequence[dict[str, str]]:
    return [_opened(bytes(row.sealed_credentials)) for row in rows.order_by("-replaced_at", "-id")]


@lru_cache(maxsize=256)
def _opened(sealed_credentials: bytes) -> dict[str, str]:
    """Opening costs more than a signature check; what is opened is kept by what it was sealed as."""
    opened: dict[str, str] = json.loads(unseal(sealed_credentials))
    return opened
