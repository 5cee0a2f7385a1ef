"""What arrives together is kept together: each is answered after the commit, and by what became of itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from prometheus_client import REGISTRY

from config.processes import wait_until
from payments import group_commit
from payments.inbox import Proved, UnableToReceive
from payments.models import Delivery, ProviderAccount, QueuedEvent, WebhookEvent
from payments.providers import sandbox
from payments.providers.base import Delivery as Notified
from tests.till import Notification, paid, platform


@pytest.fixture
def account(real_db: None) -> Iterator[ProviderAccount]:
    group_commit._group.cache_clear()
    yield platform()
    group_commit._group(os.getpid())._database._drop()
    group_commit._group.cache_clear()


@pytest.fixture
def group(account: ProviderAccount) -> group_commit._Group:
    """The group that `keep` joins."""
    return group_commit._group(os.getpid())


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def proved(account: ProviderAccount, delivery: str) -> Proved:
    told = Notification(account, paid(account=account).message, delivery=delivery)
    now = timezone.now()
    given = Notified(told.raw, told.headers)
    return Proved(account, sandbox.verify(account, given, now=now), now)


@contextmanager
def nothing_commits() -> Iterator[None]:
    """Another session holds the table: whoever writes stands there until the end of this."""
    parameters = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}
    with psycopg.connect(**parameters) as other:
        other.execute("LOCK TABLE payments_delivery IN SHARE MODE")
        yield
        other.rollback()


def arrive(threads: ThreadPoolExecutor, group: group_commit._Group, ones: list[Proved]) -> list[Future[bool | None]]:
    """All of them at the same time: the first writes already, the others wait."""
    first = threads.submit(group_commit.keep, ones[0])
    assert wait_until(lambda: group._writing_since is not None, limit_s=5)
    others = [threads.submit(group_commit.keep, one) for one in ones[1:]]
    assert wait_until(lambda: len(group._waiting) == len(others), limit_s=5)
    return [first, *others]


def groups_written() -> float:
    return REGISTRY.get_sample_value("pushcart_webhook_groups_total") or 0.0


def test_one_alone_is_written_at_once_and_told_whether_it_was_new(group: group_commit._Group) -> None:
    one = proved(ProviderAccount.objects.get(), "evt_1")
    assert [group_commit.keep(one), group_commit.keep(one)] == [True, False]
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == Delivery.objects.count() == 1
    event = WebhookEvent.objects.get()
    assert (bytes(event.raw), event.headers, event.key_id) == (
        one.verified.raw,
        one.verified.headers,
        one.verified.key_id,
    )
    assert (event.authority, event.received_at, event.queued.due_at) == ("signed", one.now, one.now)


def test_those_who_arrive_while_one_writes_share_the_next_commit_and_nobody_is_answered_before(
    group: group_commit._Group, threads: ThreadPoolExecutor
) -> None:
    account = ProviderAccount.objects.get()
    before = groups_written()
    with nothing_commits():
        answers = arrive(threads, group, [proved(account, f"evt_{number}") for number in range(12)])
        assert not any(answer.done() for answer in answers)
        assert QueuedEvent.objects.count() == 0
    assert [answer.result(10) for answer in answers] == [True] * 12
    assert groups_written() == before + 2  # The first alone, then all the others.
    assert QueuedEvent.objects.count() == 12


def test_the_same_delivery_many_times_in_one_group_is_one_row_and_new_once(
    group: group_commit._Group, threads: ThreadPoolExecutor
) -> None:
    account = ProviderAccount.objects.get()
    same = [proved(account, "evt_same") for _ in range(6)]
    with nothing_commits():
        answers = arrive(threads, group, [proved(account, "evt_first"), *same])
    assert sorted(str(answer.result(10)) for answer in answers[1:]) == ["False"] * 5 + ["True"]
    assert WebhookEvent.objects.filter(delivery_id="evt_same").count() == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: replace(one, verified=replace(one.verified, headers={"webhook-id": "a\0b"})),
        lambda one: replace(one, verified=replace(one.verified, delivery_id="a\0b")),
        lambda one: replace(one, verified=replace(one.verified, delivery_id="a" * 121)),
        lambda one: replace(one, verified=replace(one.verified, key_id="k" * 81)),
    ],
)
def test_one_that_cannot_be_written_does_not_spoil_its_neighbours(
    account: ProviderAccount, spoil: Callable[[Proved], Proved]
) -> None:
    ones = [proved(account, f"evt_{number}") for number in range(4)]
    ones[2] = spoil(ones[2])
    assert group_commit._group(os.getpid())._database.write(ones) == [True, True, None, True]
    assert set(Delivery.objects.values_list("delivery_id", flat=True)) == {"evt_0", "evt_1", "evt_3"}
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == 3


def test_deliveries_are_written_in_one_order_whatever_order_they_came_in(account: ProviderAccount) -> None:
    """Two processes with the same deliveries lock them one after the other, and never each other."""
    ones = [proved(account, f"evt_{number}") for number in (3, 1, 2, 0)]
    assert group_commit._group(os.getpid())._database.write(ones) == [True] * 4
    with connection.cursor() as cursor:
        cursor.execute("SELECT delivery_id FROM payments_delivery ORDER BY ctid")
        assert [name for (name,) in cursor.fetchall()] == ["evt_0", "evt_1", "evt_2", "evt_3"]


def test_when_too_many_wait_the_next_is_refused_at_once_and_not_stored(
    group: group_commit._Group, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ProviderAccount.objects.get()
    monkeypatch.setattr(group_commit, "WAITING_MAX", 2)
    with nothing_commits():
        answers = arrive(threads, group, [proved(account, f"evt_{number}") for number in range(3)])
        with pytest.raises(UnableToReceive) as refusal:
            group_commit.keep(proved(account, "evt_over"))
        assert (refusal.value.code, refusal.value.status) == ("overloaded", 503)
    assert [answer.result(10) for answer in answers] == [True] * 3
    assert not Delivery.objects.filter(delivery_id="evt_over").exists()


def test_when_the_database_stands_still_everybody_is_told_to_come_again_and_nothing_is_half_stored(
    group: group_commit._Group, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ProviderAccount.objects.get()
    monkeypatch.setattr(group_commit, "STUCK_S", 0.3)
    with nothing_commits():
        answers = arrive(threads, group, [proved(account, f"evt_{number}") for number in range(4)])
        codes = {getattr(answer.exception(10), "code", "kept") for answer in answers}
    assert codes <= {"unavailable", "overloaded"}
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == Delivery.objects.count() == 0
    assert group_commit.keep(proved(account, "evt_0")) is True  # It goes on by itself.


def test_a_connection_that_died_while_nobody_came_is_replaced(group: group_commit._Group) -> None:
    account = ProviderAccount.objects.get()
    assert group_commit.keep(proved(account, "evt_1")) is True
    lost = group._database._connection
    assert lost is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [lost.info.backend_pid])
    assert group_commit.keep(proved(account, "evt_2")) is True
    assert Delivery.objects.count() == 2


def test_with_the_database_gone_it_says_so_and_goes_on_when_it_is_back(
    group: group_commit._Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ProviderAccount.objects.get()
    with monkeypatch.context() as gone:
        gone.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        gone.setitem(connection.settings_dict, "PORT", "9")
        with pytest.raises(UnableToReceive) as refusal:
            group_commit.keep(proved(account, "evt_1"))
    assert (refusal.value.code, refusal.value.status) == ("unavailable", 503)
    assert group_commit.keep(proved(account, "evt_1")) is True
