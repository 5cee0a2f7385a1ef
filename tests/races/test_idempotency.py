"""Many requests with one key at once: one takes effect, the others wait for nothing and make nothing."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from merchants import idempotency, items
from merchants.models import Item
from tests.cast import Person

BODY = {"name": "Apples", "price": {"amount": 200, "currency": "CNY"}}
AT_ONCE = 12


def together(mei: Person, count: int = AT_ONCE) -> Counter[tuple[int, str]]:
    """The answers (status, code or "replayed" or "made") of `count` requests that leave at the same moment."""
    line = threading.Barrier(count)

    def send(_: int) -> tuple[int, str]:
        try:
            client = mei.api()
            client.raise_request_exception = False
            line.wait(10)
            answer: Any = client.post("/api/v1/items", BODY, headers={"Idempotency-Key": "once"})
            if answer.status_code != 201:
                return answer.status_code, answer.json()["code"]
            return 201, "replayed" if "Idempotent-Replayed" in answer.headers else "made"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(send, range(count)))


@pytest.fixture
def slow_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The effect takes long enough for all to meet; what it does stays the product's own."""
    real = items.create

    def slowly(**fields: Any) -> Item:
        threading.Event().wait(0.3)
        return real(**fields)

    monkeypatch.setattr(items, "create", slowly)


def test_one_of_many_takes_effect_and_the_others_are_told_that_it_runs(
    real_db: None, mei: Person, slow_effect: None, settings: Any
) -> None:
    answers = together(mei)
    assert answers[(201, "made")] == 1
    assert answers[(409, "request_in_flight")] + answers[(201, "replayed")] == AT_ONCE - 1
    assert answers[(409, "request_in_flight")] > 0
    assert Item.objects.count() == 1
    assert together(mei, 3) == {(201, "replayed"): 3}


def test_without_the_lock_the_others_are_not_told_but_fail(
    real_db: None, mei: Person, slow_effect: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the lock patched out the unique key still lets only one through, and the others break on it (500)."""
    monkeypatch.setattr(idempotency, "_lock", lambda caller, key: True)
    answers = together(mei, 6)
    assert answers[(201, "made")] == 1
    assert answers[(500, "error")] > 0
    assert Item.objects.count() == 1
