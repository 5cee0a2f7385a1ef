"""A provider that is down is left alone, each time longer, tried by one caller at a time, and forgiven at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
import redis
import time_machine
from django.conf import LazySettings
from redis.backoff import NoBackoff
from redis.retry import Retry

from payments import circuit
from tests.races.together import together

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def account() -> UUID:
    return uuid4()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def fail(account: UUID, times: int) -> None:
    for _ in range(times):
        circuit.failed(account, "sandbox")


def test_a_few_failures_leave_it_closed(account: UUID) -> None:
    fail(account, 4)
    assert (circuit.may_call(account), account in circuit.resting()) == (True, False)


def test_the_fifth_in_a_row_opens_it(account: UUID) -> None:
    fail(account, 5)
    assert (circuit.may_call(account), account in circuit.resting()) == (False, True)


def test_a_success_in_between_begins_the_count_anew(account: UUID) -> None:
    fail(account, 4)
    circuit.succeeded(account)
    fail(account, 4)
    assert circuit.may_call(account) is True


def test_one_account_says_nothing_about_another(account: UUID) -> None:
    fail(account, 5)
    assert circuit.may_call(uuid4()) is True


def test_it_is_open_for_ever_longer_while_the_trials_fail(account: UUID, clock: time_machine.Traveller) -> None:
    fail(account, 5)
    for seconds in (15, 30, 60, 120, 300, 300):
        clock.shift(seconds - 1)
        assert circuit.may_call(account) is False
        clock.shift(1.5)
        assert account not in circuit.resting()
        assert circuit.may_call(account) is True
        fail(account, 1)
        assert account in circuit.resting()


def test_after_its_time_one_caller_tries_and_the_others_wait(account: UUID, clock: time_machine.Traveller) -> None:
    fail(account, 5)
    clock.shift(16)
    assert [circuit.may_call(account) for _ in range(3)] == [True, False, False]
    circuit.succeeded(account)
    assert [circuit.may_call(account) for _ in range(3)] == [True, True, True]
    fail(account, 4)
    assert circuit.may_call(account) is True


def test_of_many_callers_at_once_one_tries(account: UUID, settings: LazySettings) -> None:
    settings.CIRCUIT_OPEN_S = (1,)
    fail(account, 5)
    time.sleep(1.1)
    assert sorted(together([lambda: circuit.may_call(account)] * 8)) == [False] * 7 + [True]


def test_without_redis_every_circuit_is_closed(account: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(account, 5)
    monkeypatch.setattr("payments.circuit.store", _nobody)
    assert (circuit.may_call(account), circuit.resting()) == (True, [])
    circuit.failed(account, "sandbox")
    circuit.succeeded(account)


def _nobody() -> redis.Redis:
    """A client of a server that is not there."""
    return redis.Redis(host="127.0.0.1", port=9, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
