"""In which language somebody is written to later: her own, as her phone last asked for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.translation import override
from rest_framework.test import APIClient

from merchants import languages
from merchants.models import Staff, TextMessage
from payments import owners
from tests.cast import LAN_PHONE, MEI_PHONE, Person, code_sent_to, hire, unsealed
from tests.translations import speak

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        ("pt-BR", "pt"),
        ("sw,hi;q=0.5", "hi"),
        ("en-GB", "en"),
        ("*", ""),
        ("sw", ""),
        ("", ""),
        (";;;q=x,", ""),
    ],
)
def test_a_header_asks_for_the_first_of_our_languages_in_it(header: str, language: str) -> None:
    assert languages.asked(header) == language


def test_an_answer_says_its_language_but_one_without_words_is_the_same_for_all(rf: RequestFactory) -> None:
    def headers(cache: str) -> tuple[bool, bool]:
        def answer(request: HttpRequest) -> HttpResponse:
            return HttpResponse(headers={"Cache-Control": cache} if cache else {})

        said = languages.Answers(answer)(rf.get("/", headers={"Accept-Language": "hi"}))
        assert isinstance(said, HttpResponse)
        return "Content-Language" in said.headers, "Accept-Language" in said.headers.get("Vary", "")

    assert [headers(cache) for cache in ("", "private, no-cache", "public, max-age=1, immutable")] == [
        (True, True),
        (True, True),
        (False, False),
    ]


def test_a_moment_is_written_as_its_reader_writes_dates() -> None:
    assert languages.moment(NOON, "Asia/Shanghai") == "23 Nov 12:00 CST"
    with override("zh-hans"):
        assert languages.moment(NOON, "Asia/Shanghai") == "11月23日 12:00 CST"


def test_her_language_is_that_of_the_phone_that_last_opened_the_app(mei: Person, stranger: APIClient) -> None:
    def open_app(header: str | None) -> str:
        mei.api().get("/api/v1/shop", headers={"Accept-Language": header} if header is not None else {})
        mei.user.refresh_from_db()
        return mei.user.language

    assert mei.user.language == ""
    assert [open_app(header) for header in ("hi-IN", None, "sw", "hi", "zh-CN")] == ["hi", "hi", "hi", "hi", "zh-hans"]
    stranger.post("/api/v1/auth/code", {"phone": MEI_PHONE})
    entered = stranger.post(
        "/api/v1/auth/token",
        {"phone": MEI_PHONE, "code": code_sent_to(MEI_PHONE)},
        headers={"Accept-Language": "vi"},
    )
    mei.user.refresh_from_db()
    assert (entered.status_code, mei.user.language) == (200, "vi")


def test_a_code_comes_in_the_language_of_the_request_and_a_warning_in_each_owners_own(
    mei: Person, settings: LazySettings, tmp_path: Path
) -> None:
    code = "%(code)s is your Pushcart code. It works for %(minutes)s minutes. We never ask you for it: tell nobody."
    speak(
        settings,
        tmp_path,
        "hi",
        {code: "%(code)s कोड, %(minutes)s मिनट", "%(shop)s changed %(when)s": "%(when)s %(shop)s"},
    )
    mei.api().post("/api/v1/auth/code", {"phone": MEI_PHONE}, headers={"Accept-Language": "hi"})
    assert unsealed(TextMessage.objects.latest("id"))["text"] == f"{code_sent_to(MEI_PHONE)} कोड, 5 मिनट"

    lan = hire(mei.shop, LAN_PHONE, Staff.Role.OWNER)
    languages.remember(user=lan.user, header="hi")
    owners.tell(
        mei.shop,
        kind="account_change",
        data={},
        text="%(shop)s changed %(when)s",
        words=lambda: {"when": languages.moment(NOON, "Asia/Shanghai")},
        of_use_for=timedelta(hours=1),
        now=NOON,
    )
    told = {message.phone: unsealed(message)["text"] for message in TextMessage.objects.filter(created_at=NOON)}
    assert told == {
        MEI_PHONE: '"Mei\'s fruit" changed 23 Nov 12:00 CST',
        LAN_PHONE: '23 नव॰ 12:00 CST "Mei\'s fruit"',
    }
