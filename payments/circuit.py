"""A provider that is down is left alone for a while: its circuit is open, and calls fail at once instead of waiting.

After settings.CIRCUIT_FAILURES_MAX failures in a row the account's circuit opens for the first of
settings.CIRCUIT_OPEN_S. Then one caller may try; if it fails the circuit opens for the next span, if it succeeds it is
closed. The state is shared in Redis by all processes; without Redis every circuit is closed.
"""

from __future__ import annotations

import time
from typing import cast
from uuid import UUID

import redis
from django.conf import settings
from prometheus_client import Counter

from merchants.bell import store
from merchants.journal import journal

_log = journal(__name__)
_opened = Counter("pushcart_circuits_opened", "Circuits that were opened", ["provider"])
_OPEN = "circuits"  # Accounts by the moment until which they are left alone.
# How long a row of failures is remembered without another one.
_MEMORY_S = 900
_TRIAL_S = 15  # One trial call may take this long before the next is let through.


def resting() -> list[UUID]:
    """The accounts for which no call is made at this moment. Asking changes nothing."""
    try:
        members = cast(list[bytes], store().zrangebyscore(_OPEN, time.time(), "+inf"))
        return [UUID(hex=member.decode()) for member in members]
    except redis.RedisError:
        return []


def may_call(account_id: UUID) -> bool:
    """Whether a call may be made now: always when closed, never when open, and one at a time in between."""
    try:
        until = store().zscore(_OPEN, account_id.hex)
        if until is None:
            return True
        if until > time.time():
            return False
        return bool(store().set(_key("trial", account_id), 1, nx=True, ex=_TRIAL_S))
    except redis.RedisError:
        return True


def succeeded(account_id: UUID) -> None:
    try:
        if store().delete(_key("failures", account_id), _key("trial", account_id), _key("times", account_id)):
            store().zrem(_OPEN, account_id.hex)
    except redis.RedisError as failure:
        _log.warning("circuit_unknown", failure=str(failure))


def failed(account_id: UUID, provider: str) -> None:
    """Counts a failure of the other side (no answer, or 5xx), and opens the circuit when there were too many."""
    try:
        failures = int(store().incr(_key("failures", account_id)))
        store().expire(_key("failures", account_id), _MEMORY_S)
        times = int(store().get(_key("times", account_id)) or 0)
        if (failures < settings.CIRCUIT_FAILURES_MAX and not times) or account_id in resting():
            return
        span = settings.CIRCUIT_OPEN_S[min(times, len(settings.CIRCUIT_OPEN_S) - 1)]
        store().zadd(_OPEN, {account_id.hex: time.time() + span})
        store().set(_key("times", account_id), times + 1, ex=span + _MEMORY_S)
        store().delete(_key("trial", account_id))
    except redis.RedisError as lost:
        _log.warning("circuit_unknown", failure=str(lost))
        return
    _opened.labels(provider).inc()
    _log.error("circuit_opened", provider=provider, account=str(account_id), seconds=span)


def _key(part: str, account_id: UUID) -> str:
    return f"circuit:{part}:{account_id.hex}"
