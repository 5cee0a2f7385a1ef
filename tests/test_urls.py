"""Addresses: the short ways in, and what an unknown one answers."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.test import Client

from tests.cast import problem


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/api/v2/items", "/appp/", "/%00"])
def test_an_unknown_address_is_a_problem_and_says_nothing_of_ours(
    client: Client, settings: LazySettings, path: str, debug: bool
) -> None:
    settings.DEBUG = debug
    answer = client.get(path)
    assert problem(answer) == (404, "not_found")
    assert len(answer.content) < 300


@pytest.mark.parametrize(("path", "leads_to"), [("/", "/app/"), ("/app", "/app/"), ("/admin", "/admin/")])
def test_the_short_ways_in(client: Client, path: str, leads_to: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, leads_to)
