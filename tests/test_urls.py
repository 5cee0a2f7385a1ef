"""Addresses: the short ways in, and what an unknown one answers."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.conf import LazySettings
from django.test import Client
from rest_framework.test import APIClient

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


@pytest.mark.parametrize(
    "path",
    ["/s/%00", "/s/a%00b/pay", "/r/%00", "/media/%00", "/webhooks/sandbox/%00", "/api/v1/items/%00", "/admin/%00/"],
)
def test_no_address_holds_a_nul(client: Client, path: str) -> None:
    for answer in (client.get(path), client.post(path)):
        assert problem(answer) == (404, "not_found")
        assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/api/schema/?lang=%00",
        "/api/v1/codes?kind=%00",
        "/api/v1/ledger/balance?at=%00",
        "/s/x?again=a%00b",
        "/admin/login/?next=%00",
    ],
)
def test_no_question_holds_a_nul(client: Client, path: str) -> None:
    assert problem(client.get(path)) == (400, "bad_request")


def test_an_unknown_address_answers_every_method_alike(settings: LazySettings) -> None:
    outsider = Client(enforce_csrf_checks=True)
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert problem(outsider.generic(method, "/nothing")) == (404, "not_found")


def test_what_cannot_be_written_as_unicode_is_refused_in_words_that_can(api: APIClient) -> None:
    answer = api.generic("POST", "/api/v1/codes", '{"kind": "\\ud800"}', content_type="application/json")
    assert problem(answer) == (400, "invalid")
    assert answer.json()["errors"] == [
        {"field": "kind", "code": "invalid_choice", "detail": '"?" is not a valid choice.'}
    ]


def test_the_page_of_the_api_runs_no_script_but_its_files(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    assert not re.findall(r"<script>|<script(?![^>]* src=)|<style| style=| on[a-z]+=", page)
    script = re.findall(r'src="([^"]+)"', page)[-1]
    answer = client.get(unescape(script))
    assert answer.headers["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle(" in answer.content.decode()
