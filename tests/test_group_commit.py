"""What arrives together is kept together: each is answered after the commit, and by what became of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from prometheus_client import REGISTRY

from merchants import ids
from payments import group_commit
from payments.inbox import Proved, UnableToReceive
from payments.models import Delivery, ProviderAccount, QueuedEvent, WebhookEvent
from payments.providers import sandbox
from payments.providers.base import Delivery as Notified
from tests.till import Notification, paid, platform

Asked = list[asyncio.Future[bool | None]]


class Loop:
    """The loop of a web process, with its group; the test's own words to the database are said outside of it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.group = group_commit._group(self.loop)

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(doing)

    def keep(self, one: Proved) -> bool | None:
        """Alone, up to its end."""
        [outcome] = self.results(self.arrive([one]))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def arrive(self, ones: list[Proved]) -> Asked:
        """All of them: the first is being written when the others come, and they wait."""

        async def arriving() -> Asked:
            first = group_commit.keep(ones[0])
            while not self.group._writing:
                await asyncio.sleep(0)
            return [first, *map(group_commit.keep, ones[1:])]

        asked: Asked = self.run(arriving())
        return asked

    def write(self, ones: list[Proved]) -> list[group_commit.Outcome]:
        """All of them as one group."""
        outcomes: list[group_commit.Outcome] = self.run(self.group._database.write(ones))
        return outcomes

    def results(self, asked: Asked) -> list[bool | BaseException | None]:
        """What became of each."""

        async def waiting() -> list[bool | BaseException | None]:
            return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 20)

        outcomes: list[bool | BaseException | None] = self.run(waiting())
        return outcomes

    def turn(self) -> None:
        """Lets the loop do what is to be done now."""
        self.run(asyncio.sleep(0.02))


@pytest.fixture
def account(real_db: None) -> ProviderAccount:
    return platform()


@pytest.fixture
def web(account: ProviderAccount) -> Iterator[Loop]:
    web = Loop()
    yield web
    web.run(web.group._database.drop())
    web.loop.close()


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


def groups_written() -> float:
    return REGISTRY.get_sample_value("pushcart_webhook_groups_total") or 0.0


def test_one_alone_is_written_at_once_and_told_whether_it_was_new(web: Loop) -> None:
    one = proved(ProviderAccount.objects.get(), "evt_1")
    assert [web.keep(one), web.keep(one)] == [True, False]
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == Delivery.objects.count() == 1
    event = WebhookEvent.objects.get()
    assert (bytes(event.raw), event.headers, event.key_id) == (
        one.verified.raw,
        one.verified.headers,
        one.verified.key_id,
    )
    assert (event.authority, event.received_at, event.queued.due_at) == ("signed", one.now, one.now)


def test_those_who_arrive_while_one_writes_share_the_next_commit_and_nobody_is_answered_before(
    web: Loop,
) -> None:
    account = ProviderAccount.objects.get()
    before = groups_written()
    with nothing_commits():
        answers = web.arrive([proved(account, f"evt_{number}") for number in range(12)])
        web.turn()
        assert not any(answer.done() for answer in answers)
        assert QueuedEvent.objects.count() == 0
    assert web.results(answers) == [True] * 12
    assert groups_written() == before + 2  # The first alone, then all the others.
    assert QueuedEvent.objects.count() == 12


def test_the_same_delivery_many_times_in_one_group_is_one_row_and_new_once(web: Loop) -> None:
    account = ProviderAccount.objects.get()
    same = [proved(account, "evt_same") for _ in range(6)]
    with nothing_commits():
        answers = web.arrive([proved(account, "evt_first"), *same])
    assert sorted(map(str, web.results(answers[1:]))) == ["False"] * 5 + ["True"]
    assert WebhookEvent.objects.filter(delivery_id="evt_same").count() == 1


def test_each_of_a_group_has_an_id_of_the_moment_in_which_it_came(account: ProviderAccount, web: Loop) -> None:
    """By which its month's partition is found: those before and after midnight may share a commit."""
    ones = [proved(account, f"evt_{n}") for n in range(3)]
    late = [replace(one, now=one.now + timedelta(seconds=n)) for n, one in enumerate(ones)]
    assert web.write(late) == [True, True, True]
    for event_id, received_at in WebhookEvent.objects.values_list("id", "received_at"):
        assert ids.first_of(received_at) <= event_id < ids.first_of(received_at + timedelta(milliseconds=1))


def test_threads_beside_the_loop_share_its_commits_and_each_is_told_of_its_own(web: Loop) -> None:
    account = ProviderAccount.objects.get()
    ones = [proved(account, name) for name in ("evt_1", "evt_1", "evt_2")]
    before = groups_written()
    with ThreadPoolExecutor(3) as threads:
        with nothing_commits():
            first = web.arrive([proved(account, "evt_0")])
            beside = [threads.submit(group_commit.keep_from_thread, web.loop, one) for one in ones]
            while len(web.group._waiting) < 3:
                web.turn()
            assert not any(answer.done() for answer in beside)
        while not all(answer.done() for answer in beside):
            web.turn()
    assert web.results(first) == [True]
    assert sorted(str(answer.result()) for answer in beside) == ["False", "True", "True"]
    assert groups_written() == before + 2


def test_a_thread_is_refused_like_the_loop_and_does_not_wait_for_a_loop_that_has_ended(
    web: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = proved(ProviderAccount.objects.get(), "evt_1")
    with monkeypatch.context() as full, ThreadPoolExecutor(1) as threads:
        full.setattr(group_commit, "WAITING_MAX", 0)
        beside = threads.submit(group_commit.keep_from_thread, web.loop, one)
        while not beside.done():
            web.turn()
    with pytest.raises(UnableToReceive, match="overloaded"):
        beside.result()
    monkeypatch.setattr(group_commit, "STUCK_S", 0.01)
    with pytest.raises(UnableToReceive, match="unavailable"):
        group_commit.keep_from_thread(web.loop, one)  # Nobody runs it.
    assert WebhookEvent.objects.count() == 0
    monkeypatch.undo()
    assert web.keep(one) is False  # It runs again, and did what it was asked.


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
    account: ProviderAccount, web: Loop, spoil: Callable[[Proved], Proved]
) -> None:
    ones = [proved(account, f"evt_{number}") for number in range(4)]
    ones[2] = spoil(ones[2])
    assert web.write(ones) == [True, True, None, True]
    assert set(Delivery.objects.values_list("delivery_id", flat=True)) == {"evt_0", "evt_1", "evt_3"}
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == 3


def test_deliveries_are_written_in_one_order_whatever_order_they_came_in(account: ProviderAccount, web: Loop) -> None:
    """Two processes with the same deliveries lock them one after the other, and never each other."""
    ones = [proved(account, f"evt_{number}") for number in (3, 1, 2, 0)]
    assert web.write(ones) == [True] * 4
    with connection.cursor() as cursor:
        cursor.execute("SELECT delivery_id FROM payments_delivery ORDER BY ctid")
        assert [name for (name,) in cursor.fetchall()] == ["evt_0", "evt_1", "evt_2", "evt_3"]


def test_when_too_many_wait_the_next_is_refused_at_once_and_not_stored(
    web: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ProviderAccount.objects.get()
    monkeypatch.setattr(group_commit, "WAITING_MAX", 2)
    with nothing_commits():
        answers = web.arrive([proved(account, f"evt_{number}") for number in range(3)])
        with pytest.raises(UnableToReceive) as refusal:
            web.keep(proved(account, "evt_over"))
        assert (refusal.value.code, refusal.value.status) == ("overloaded", 503)
    assert web.results(answers) == [True] * 3
    assert not Delivery.objects.filter(delivery_id="evt_over").exists()


def test_when_the_database_stands_still_everybody_is_told_to_come_again_and_nothing_is_half_stored(
    web: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ProviderAccount.objects.get()
    monkeypatch.setattr(group_commit, "STUCK_S", 0.3)
    with nothing_commits():
        answers = web.arrive([proved(account, f"evt_{number}") for number in range(4)])
        codes = {getattr(outcome, "code", "kept") for outcome in web.results(answers)}
    assert codes <= {"unavailable", "overloaded"}
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == Delivery.objects.count() == 0
    assert web.keep(proved(account, "evt_0")) is True  # It goes on by itself.


def test_a_database_that_says_nothing_at_all_keeps_nobody_waiting_and_who_comes_later_is_told_at_once(
    web: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even its own limit ends the statement, as when the machine behind the connection stands still."""
    account = ProviderAccount.objects.get()
    assert web.keep(proved(account, "evt_0")) is True  # Connected, with the limit that there is.
    monkeypatch.setattr(group_commit, "STUCK_S", 0.05)
    with nothing_commits():
        answers = web.arrive([proved(account, f"evt_{number}") for number in (1, 2)])
        assert [getattr(outcome, "code", "kept") for outcome in web.results(answers)] == ["unavailable", "overloaded"]
        with pytest.raises(UnableToReceive, match="overloaded"):
            web.keep(proved(account, "evt_3"))
    web.turn()
    while web.group._busy_since is not None:
        web.turn()
    # It was told that nobody knows: it is kept, and is known when it comes again. Who waited behind it is not.
    assert [web.keep(proved(account, f"evt_{number}")) for number in (1, 2, 3)] == [False, True, True]


def test_who_goes_away_while_waiting_is_not_written_and_the_others_are(web: Loop) -> None:
    account = ProviderAccount.objects.get()
    with nothing_commits():
        answers = web.arrive([proved(account, f"evt_{number}") for number in range(4)])
        answers[0].cancel()  # Being written: it is kept, and told again it is known.
        answers[2].cancel()  # Waits for its turn.
        web.turn()
    assert web.results([answers[1], answers[3]]) == [True, True]
    assert set(Delivery.objects.values_list("delivery_id", flat=True)) == {"evt_0", "evt_1", "evt_3"}
    assert [web.keep(proved(account, f"evt_{number}")) for number in (0, 2)] == [False, True]


def test_an_error_of_our_own_is_answered_and_the_next_group_is_written(
    web: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ProviderAccount.objects.get()
    with monkeypatch.context() as broken:
        broken.setattr(group_commit._Database, "_keep", lambda *_: 1 / 0)
        with pytest.raises(UnableToReceive, match="unavailable"):
            web.keep(proved(account, "evt_1"))
    assert web.keep(proved(account, "evt_1")) is True


def test_a_connection_that_died_while_nobody_came_is_replaced(web: Loop) -> None:
    account = ProviderAccount.objects.get()
    assert web.keep(proved(account, "evt_1")) is True
    lost = web.group._database._connection
    assert lost is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [lost.info.backend_pid])
    assert web.keep(proved(account, "evt_2")) is True
    assert Delivery.objects.count() == 2


def test_with_the_database_gone_it_says_so_and_goes_on_when_it_is_back(
    web: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ProviderAccount.objects.get()
    with monkeypatch.context() as gone:
        gone.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        gone.setitem(connection.settings_dict, "PORT", "9")
        with pytest.raises(UnableToReceive) as refusal:
            web.keep(proved(account, "evt_1"))
    assert (refusal.value.code, refusal.value.status) == ("unavailable", 503)
    assert web.keep(proved(account, "evt_1")) is True
