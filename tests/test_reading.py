"""`POST /api/v1/codes/read`: a text or a photo in, plain words out, and whose a link of ours is."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from merchants.models import Code
from qr import draw
from tests.cast import Person, field_problems, problem

ADDRESS = "/api/v1/codes/read"
UPI = "upi://pay?pa=shop@ybl&pn=Asha&am=20&cu=INR&cu=INR"


def found(answer: Any) -> list[Any]:
    assert answer.status_code == 200, answer.content
    readings: list[Any] = answer.json()["found"]
    return readings


def test_a_text_is_told_in_words_and_in_fields(api: APIClient) -> None:
    assert found(api.post(ADDRESS, {"text": UPI})) == [
        {
            "profile": "upi",
            "title": "UPI",
            "sentences": [
                "It says that it pays “Asha”, to “shop@ybl”.",
                "It asks for ₹20.00.",
                "No server tells us when this code is paid: look into your own wallet.",
            ],
            "payee": "Asha",
            "account": "shop@ybl",
            "amount": 2000,
            "currency": "INR",
            "reference": "",
            "expires_at": None,
            "confirmation": "unconfirmed",
            "violations": [
                {
                    "code": "stated_twice",
                    "where": "cu",
                    "detail": "“cu” stands in it twice: wallets differ in which of them they take.",
                    "fatal": True,
                }
            ],
            "ours": None,
        }
    ]


def test_whose_a_link_of_ours_is_is_told_without_naming_the_other(api: APIClient, mei: Person, arjun: Person) -> None:
    hers, his = (Code.objects.get(shop=person.shop, kind="shop") for person in (mei, arjun))
    for text, ours, last in (
        (hers.url, "yours", "It is a code of your shop."),
        (his.url, "another_shops", "It is a code of another shop."),
        (hers.url[:-12] + "2" * 12, "not_ours", "No code of this service has this address."),
    ):
        (reading,) = found(api.post(ADDRESS, {"text": text}))
        assert (reading["profile"], reading["ours"], reading["sentences"][-1]) == ("pushcart", ours, last)
        assert arjun.shop.name not in str(reading)
    (reading,) = found(api.post(ADDRESS, {"text": f"{hers.url}x"}))
    assert (reading["profile"], reading["ours"]) == ("look_alike", "not_ours")


def test_a_photo_is_read(api: APIClient, mei: Person) -> None:
    code = Code.objects.get(shop=mei.shop, kind="shop")
    photo = SimpleUploadedFile("sign.png", draw.png(code.url, 400), "image/png")
    (reading,) = found(api.post(ADDRESS, {"image": photo}, format="multipart"))
    assert (reading["profile"], reading["ours"]) == ("pushcart", "yours")


def test_what_is_no_photo_is_refused(api: APIClient) -> None:
    for content in (b"", b"no picture"):
        file = SimpleUploadedFile("sign.png", content, "image/png")
        assert problem(api.post(ADDRESS, {"image": file}, format="multipart")) == (400, "photo_unreadable")


@pytest.mark.parametrize(
    ("asked", "problems"),
    [
        ({"text": ""}, {"text": "blank"}),
        ({"text": "x" * 4001}, {"text": "max_length"}),
        ({"image": "x"}, {"image": "invalid"}),
    ],
)
def test_one_of_both_is_sent(api: APIClient, asked: dict[str, str], problems: dict[str, str]) -> None:
    assert field_problems(api.post(ADDRESS, asked)) == problems
    assert problem(api.post(ADDRESS, {})) == (400, "text_or_image")


def test_only_people_of_a_shop_may_ask(client: APIClient) -> None:
    assert client.post(ADDRESS, {"text": "x"}, content_type="application/json").status_code == 401


def test_a_shop_has_a_budget_of_its_own(api: APIClient, arjun: Person, settings: LazySettings) -> None:
    settings.READING_BUDGET = "2/minute"
    answers = [api.post(ADDRESS, {"text": "x"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert problem(answers[2]) == (429, "too_many_readings")
    assert arjun.api().post(ADDRESS, {"text": "x"}).status_code == 200
