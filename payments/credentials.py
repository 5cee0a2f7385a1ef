"""The secrets of a provider account: sealed at rest, opened only where a call or a check needs them."""

from __future__ import annotations

import json
from functools import lru_cache

from merchants.seals import seal, unseal
from payments.models import ProviderAccount


def sealed(credentials: dict[str, str]) -> bytes:
    return seal(json.dumps(credentials))


def of(account: ProviderAccount) -> dict[str, str]:
    """The account's secrets by name. Raises ValueError when no key of ours opens them."""
    return _opened(bytes(account.sealed_credentials))


@lru_cache(maxsize=256)
def _opened(sealed_credentials: bytes) -> dict[str, str]:
    """Opening costs more than a signature check; what is opened is kept by what it was sealed as."""
    opened: dict[str, str] = json.loads(unseal(sealed_credentials))
    return opened
