"""What the middlewares leave out for those who need nothing of it, and what they leave out for nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from csp.middleware import CSPMiddleware as TheLibrarys
from django.conf import LazySettings
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from structlog.contextvars import get_contextvars

from config import middleware
from tests.cast import Person
from tests.operators import CHIEF_PHONE, quick_passwords, signed_in  # noqa: F401

POLICY = "Content-Security-Policy"


def passed(
    layer: Any, response: HttpResponse | None = None, address: str = "/app/"
) -> tuple[HttpRequest, HttpResponse]:
    """What a request looks like behind this middleware, and its answer in front of it."""
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return response or HttpResponse()

    answer = layer(view)(RequestFactory().get(address))
    return seen[0], answer


# --- Sessions are the desk's ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        middleware.SessionMiddleware,
        middleware.AuthenticationMiddleware,
        middleware.OTPMiddleware,
        middleware.MessageMiddleware,
    ],
)
@pytest.mark.parametrize("address", ["/app/", "/api/v1/shop", "/administration/", "/s/admin/", "/webhooks/sandbox/x"])
def test_outside_the_desk_nobody_has_a_session_or_is_somebody_by_it(layer: Any, address: str) -> None:
    request, _answer = passed(layer, address=address)
    assert not {"session", "user", "_messages"} & vars(request).keys()


def test_an_operators_cookie_is_her_key_to_the_desk_alone(db: None, mei: Person) -> None:
    operator = signed_in(CHIEF_PHONE, superuser=True)
    assert operator.client.get("/admin/").status_code == 200
    assert Session.objects.count() == 1
    answer = operator.client.get("/api/v1/shop")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert operator.client.get("/app/").headers.get("Set-Cookie") is None


# --- The policy of pages -------------------------------------------------------------------------------------------


def directives(response: HttpResponse) -> set[str]:
    return set(response.headers[POLICY].split("; "))


def test_an_answer_has_the_policy_that_the_library_would_write(settings: LazySettings) -> None:
    settings.DEBUG = False
    _request, theirs = passed(TheLibrarys)
    for _ in range(2):
        _request, ours = passed(middleware.CSPMiddleware)
        assert directives(ours) == directives(theirs)
    assert {"default-src 'none'", "frame-ancestors 'none'", "script-src 'self'"} <= directives(ours)


@pytest.mark.parametrize(
    "wish", [{"_csp_update": {"img-src": ["https://a"]}}, {"_csp_replace": {"img-src": None}}, {"_csp_exempt": True}]
)
def test_a_view_that_wants_another_policy_gets_it(settings: LazySettings, wish: dict[str, Any]) -> None:
    settings.DEBUG = False
    answers = []
    for layer in (TheLibrarys, middleware.CSPMiddleware):
        response = HttpResponse()
        vars(response).update(wish)
        answers.append(passed(layer, response)[1])
    theirs, ours = (set(answer.headers.get(POLICY, "").split("; ")) for answer in answers)
    _request, plain = passed(middleware.CSPMiddleware)
    assert ours == theirs != directives(plain)


# --- Lines about requests ------------------------------------------------------------------------------------------


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, Any]]]:
    """What is said, with the name of the request during which it was."""
    said: list[dict[str, Any]] = []

    class Hears(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert isinstance(record.msg, dict)
            said.append(record.msg)

    handler = Hears()
    middleware._lines.addHandler(handler)
    yield said
    middleware._lines.removeHandler(handler)


def test_each_request_has_a_name_of_its_own_while_it_lasts() -> None:
    names = []

    def view(request: HttpRequest) -> HttpResponse:
        names.append(get_contextvars()["request_id"])
        return HttpResponse()

    layer = middleware.RequestMiddleware(view)
    for _ in range(2):
        layer(RequestFactory().get("/app/"))
        assert "request_id" not in get_contextvars()
    assert len(set(names)) == 2


def test_what_is_refused_is_told_and_what_is_well_is_not(lines: list[dict[str, Any]]) -> None:
    client = Client()
    assert client.get("/healthz/live").status_code == 200
    assert lines == []
    assert client.get("/nowhere").status_code == 404
    [line] = lines
    assert (line["event"], line["code"], line["request"]) == ("request_finished", 404, "GET /nowhere")
    assert line["request_id"]


def test_whoever_wants_a_line_of_every_request_gets_two(lines: list[dict[str, Any]]) -> None:
    before = middleware._lines.level
    middleware._lines.setLevel(logging.INFO)
    try:
        assert Client().get("/healthz/live").status_code == 200
    finally:
        middleware._lines.setLevel(before)
    assert [line["event"] for line in lines] == ["request_started", "request_finished"]
    assert lines[0]["request_id"] == lines[1]["request_id"]
