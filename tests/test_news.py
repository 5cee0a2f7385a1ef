"""What streams ask together: two statements for all of them, each answered for its own shop, number and words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from merchants.models import Token
from merchants.news import PAGE, Desk, Events, Look, together
from merchants.notify import Telling, tell
from tests.cast import Person
from tests.test_stream import notify


def digest(person: Person) -> str:
    return str(Token.objects.get(shop=person.shop, user=person.user).pk)


def told(events: Events | None) -> list[tuple[int, Any]]:
    """The numbers, and what the data of each event says."""
    assert events is not None
    return [(number, json.loads(event.partition(b"data: ")[2])["data"]) for number, event in events]


@pytest.mark.django_db
def test_two_statements_answer_everybody_each_for_her_own_shop_number_and_words(
    mei: Person, arjun: Person, now: datetime
) -> None:
    alarm = {"kind": "silent", "label": "", "count": 3}
    tell([Telling(mei.shop.id, "payment", {"text": text}) for text in ("one", "two")], now=now)
    tell([Telling(arjun.shop.id, "payment", {"text": "his"}), Telling(mei.shop.id, "code_alarm", alarm)], now=now)
    hers, his = digest(mei), digest(arjun)
    looks = [
        Look(mei.shop.id, hers, 0, "en"),
        Look(arjun.shop.id, his, 0, "en"),
        Look(mei.shop.id, hers, 2, "zh-hans"),
        Look(mei.shop.id, hers, 2, "en"),
        Look(mei.shop.id, hers, 3, "en"),
        Look(mei.shop.id, "of nobody", 0, "en"),
    ]
    with CaptureQueriesContext(
        connection,
    ) as asked:
        first, second, third, fourth, fifth, sixth = together(looks, now=timezone.now())
    assert len(asked) == 2
    said = "Nobody has paid by “the code for any amount” while 3 others paid you. Is another sticker over it?"
    assert [(number, data.get("text", data.get("sentence"))) for number, data in told(first)] == [
        (1, "one"),
        (2, "two"),
        (3, said),
    ]
    assert told(second) == [(1, {"text": "his"})]
    assert [number for number, _ in told(third)] == [3]
    assert told(third)[0][1]["sentence"] != said == told(fourth)[0][1]["sentence"]
    assert told(fifth) == []
    assert sixth is None


@pytest.mark.django_db
def test_a_page_of_one_keeps_nothing_from_another(mei: Person, now: datetime) -> None:
    tell([Telling(mei.shop.id, "payment", {}) for _ in range(PAGE + 5)], now=now)
    behind, live = together(
        [Look(mei.shop.id, digest(mei), 0, "en"), Look(mei.shop.id, digest(mei), PAGE + 3, "en")], now=timezone.now()
    )
    assert [number for number, _ in behind or []] == list(range(1, PAGE + 1))
    assert [number for number, _ in live or []] == [PAGE + 4, PAGE + 5]


class Through:
    """Runs each question in a thread, as the stream's process does, when it is let; counts who asked."""

    def __init__(self) -> None:
        self.questions = 0
        self.may_go = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self, question: Callable[[], list[Events | None]]) -> list[Events | None]:
        self.questions += 1
        await self.may_go.wait()
        if self.failure is not None:
            raise self.failure

        def ask() -> list[Events | None]:
            try:
                return question()
            finally:
                connections.close_all()

        return await asyncio.to_thread(ask)


def test_who_comes_while_a_question_is_under_way_is_in_the_next_with_all_others(real_db: None, mei: Person) -> None:
    notify(mei.shop.id, aloud=False)
    look = Look(mei.shop.id, digest(mei), 0, "en")

    async def play() -> None:
        through = Through()
        desk = Desk(through)
        first = asyncio.create_task(desk.ask(look))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        others = [asyncio.create_task(desk.ask(look)) for _ in range(5)]
        await asyncio.sleep(0)
        others[0].cancel()  # Its client has gone.
        through.may_go.set()
        answers = await asyncio.gather(first, *others[1:])
        assert [told(events) for events in answers] == [[(1, {"text": "paid"})]] * 5
        assert through.questions == 2

    asyncio.run(play())


def test_a_question_that_fails_is_heard_by_whoever_asked_it_and_the_next_is_asked(real_db: None, mei: Person) -> None:
    look = Look(mei.shop.id, digest(mei), 0, "en")

    async def play() -> None:
        through = Through()
        through.may_go.set()
        through.failure = ValueError("the database is away")
        desk = Desk(through)
        asked = await asyncio.gather(desk.ask(look), desk.ask(look), return_exceptions=True)
        assert [str(failure) for failure in asked] == ["the database is away"] * 2
        through.failure = None
        assert await desk.ask(look) == []

    asyncio.run(play())
