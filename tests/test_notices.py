"""Catching up on notices over the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from merchants.notify import Telling, tell
from tests.cast import Person, field_problems


def notify(person: Person, count: int, now: datetime) -> None:
    with transaction.atomic():
        tell([Telling(person.shop.id, "payment", {"place": place}) for place in range(count)], now=now)


def numbers(page: Any) -> list[int]:
    return [notice["number"] for notice in page["results"]]


def test_notices_come_oldest_first_and_in_pages(api: APIClient, mei: Person, now: datetime) -> None:
    notify(mei, 5, now)
    first = api.get("/api/v1/notices?limit=2").json()
    assert set(first) == {"next", "previous", "results"}
    assert first["previous"] is None
    assert first["results"][0] == {
        "number": 1,
        "kind": "payment",
        "data": {"place": 0},
        "created_at": now.isoformat().replace("+00:00", "Z"),
    }
    assert first["next"] == "http://testserver/api/v1/notices?after=2&limit=2"
    second = api.get(first["next"]).json()
    last = api.get(second["next"]).json()
    assert [numbers(page) for page in (first, second, last)] == [[1, 2], [3, 4], [5]]
    assert last["next"] is None
    assert numbers(api.get("/api/v1/notices?after=5").json()) == []


def test_a_page_that_is_just_full_is_the_last(api: APIClient, mei: Person, now: datetime) -> None:
    notify(mei, 2, now)
    assert api.get("/api/v1/notices?limit=2").json()["next"] is None


def test_a_shop_sees_only_its_own(mei: Person, arjun: Person, now: datetime) -> None:
    notify(mei, 2, now)
    notify(arjun, 1, now)
    assert numbers(mei.api().get("/api/v1/notices").json()) == [1, 2]
    assert numbers(arjun.api().get("/api/v1/notices").json()) == [1]


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("after=-1", {"after": "min_value"}),
        ("after=x", {"after": "invalid"}),
        ("after=99999999999999999999", {"after": "max_value"}),
        ("limit=0", {"limit": "min_value"}),
        ("limit=201", {"limit": "max_value"}),
    ],
)
def test_a_number_that_cannot_be_is_refused(api: APIClient, query: str, refused: dict[str, str]) -> None:
    assert field_problems(api.get(f"/api/v1/notices?{query}")) == refused


def test_shops_that_are_told_at_once_each_count_on_from_their_last(mei: Person, arjun: Person, now: datetime) -> None:
    notify(arjun, 2, now)
    with transaction.atomic():
        tell(
            [
                Telling(person.shop.id, "payment", {"place": place})
                for place, person in enumerate([arjun, mei, mei, arjun, mei])
            ],
            now=now,
        )
    for person, told in ((mei, [(1, 1), (2, 2), (3, 4)]), (arjun, [(1, 0), (2, 1), (3, 0), (4, 3)])):
        notices = person.api().get("/api/v1/notices").json()["results"]
        assert [(notice["number"], notice["data"]["place"]) for notice in notices] == told
