"""Signing in by phone, over the API and a real database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from merchants import ids, sign_in
from merchants.models import Code, NoticeCounter, OneTimeCode, Shop, Staff, TextMessage, Token, User
from merchants.refusals import Refused
from tests.cast import ARJUN_PHONE, MEI_PHONE, Person, code_sent_to, hire, problem, unsealed

pytestmark = pytest.mark.django_db


def ask(client: APIClient, phone: str = MEI_PHONE) -> Any:
    return client.post("/api/v1/auth/code", {"phone": phone})


def enter(client: APIClient, phone: str = MEI_PHONE, code: str | None = None, **fields: str) -> Any:
    return client.post("/api/v1/auth/token", {"phone": phone, "code": code or code_sent_to(phone), **fields})


def test_the_first_sign_in_makes_the_person_the_shop_its_code_and_its_owner(stranger: APIClient) -> None:
    asked = ask(stranger, "+86 138 0013 8000")
    assert (asked.status_code, asked.json()) == (202, {"expires_in_s": 300})
    entered = enter(stranger, shop_name="Mei's fruit")
    assert entered.status_code == 201
    assert entered.headers["Cache-Control"] == "no-store"
    user, shop = User.objects.get(), Shop.objects.get()
    assert user.phone == "+8613800138000"
    assert not user.has_usable_password()
    assert entered.json()["shop"] == {
        "id": ids.public("shp", shop.id),
        "name": "Mei's fruit",
        "country": "CN",
        "currency": "CNY",
        "currency_exponent": 2,
        "currency_locked": False,
        "time_zone": "Asia/Shanghai",
        "photo": None,
        "colour": "",
        "logo": None,
        "check_word": shop.check_word,
        "state": "active",
        "role": "owner",
        "stream_url": "http://127.0.0.1:8001/api/v1/notices/stream",
        "created_at": entered.json()["shop"]["created_at"],
    }
    assert Staff.objects.get().role == "owner"
    assert Code.objects.get().kind == "shop"
    assert NoticeCounter.objects.get().last == 0
    signed_in = APIClient(HTTP_AUTHORIZATION=f"Bearer {entered.json()['token']}")
    assert signed_in.get("/api/v1/shop").json() == entered.json()["shop"]


def test_the_second_sign_in_finds_the_same_shop_and_keeps_its_name(mei: Person, stranger: APIClient) -> None:
    ask(stranger)
    entered = enter(stranger, shop_name="Another name")
    assert entered.status_code == 200
    assert entered.json()["shop"]["name"] == "Mei's fruit"
    assert Shop.objects.count() == 1
    assert Token.objects.count() == 2


def test_an_assistant_signs_in_to_the_shop_she_works_for(lan: Person, stranger: APIClient) -> None:
    ask(stranger, lan.phone)
    entered = enter(stranger, lan.phone)
    assert (entered.status_code, entered.json()["shop"]["role"]) == (200, "assistant")
    assert Shop.objects.count() == 1


def test_who_owns_a_shop_signs_in_to_it_though_she_helped_elsewhere_before(mei: Person, arjun: Person) -> None:
    Staff.objects.create(
        id=ids.first_of(mei.staff.created_at - timedelta(days=1)), user=mei.user, shop=arjun.shop, role="manager"
    )
    client = APIClient()
    ask(client)
    assert enter(client).json()["shop"]["name"] == "Mei's fruit"


def test_a_shop_without_a_name_gets_one(stranger: APIClient) -> None:
    ask(stranger)
    assert enter(stranger).json()["shop"]["name"] == "My shop"


def test_the_answer_is_the_same_for_known_and_unknown_phones(mei: Person, stranger: APIClient) -> None:
    known, unknown = ask(stranger, MEI_PHONE), ask(stranger, ARJUN_PHONE)
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert dict(known.headers) == dict(unknown.headers)
    wrong, never = enter(stranger, MEI_PHONE, "x"), enter(stranger, "+8613700137000", "x")
    assert (wrong.status_code, wrong.content) == (never.status_code, never.content)


def test_known_and_unknown_phones_cost_the_same_queries(
    mei: Person, stranger: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for phone in (MEI_PHONE, ARJUN_PHONE):
        with django_assert_num_queries(4):  # A savepoint, the code, the text, and the savepoint's end.
            ask(stranger, phone)
    for phone in (MEI_PHONE, "+8613700137000"):
        with django_assert_num_queries(3):
            enter(stranger, phone, "not six digits")


def test_only_a_keyed_hash_of_the_code_and_a_sealed_text_are_kept(stranger: APIClient) -> None:
    ask(stranger)
    row, message = OneTimeCode.objects.get(), TextMessage.objects.get()
    code = code_sent_to(MEI_PHONE)
    assert len(code) == 6
    assert len(bytes(row.digest)) == 32
    assert code.encode() not in bytes(message.sealed_body)
    assert unsealed(message)["text"].startswith(f"{code} is your Pushcart code. It works for 5 minutes.")
    assert message.expires_at == row.expires_at


def test_a_code_typed_in_arabic_digits_or_with_a_space_is_the_same_code(stranger: APIClient) -> None:
    ask(stranger)
    code = code_sent_to(MEI_PHONE)
    arabic = "".join(chr(ord("٠") + int(digit)) for digit in code)
    assert enter(stranger, code=f"{arabic[:3]} {arabic[3:]}").status_code == 201


@pytest.mark.parametrize("case", ["wrong", "used", "expired", "older", "other phone", "not a phone", "inactive"])
def test_every_failure_has_the_same_answer_and_signs_nobody_in(
    case: str, now: datetime, settings: LazySettings
) -> None:
    sign_in.send_code(phone=MEI_PHONE, address="127.0.0.1", now=now)
    phone, code, moment = MEI_PHONE, code_sent_to(MEI_PHONE), now
    match case:
        case "wrong":
            code = f"{(int(code) + 1) % 1_000_000:06d}"
        case "used":
            sign_in.redeem(phone=phone, code=code, shop_name="", now=now)
        case "expired":
            moment = now + timedelta(minutes=5)
        case "older":
            while (newer := code_sent_to(phone)) == code:
                sign_in.send_code(phone=phone, address="127.0.0.1", now=now + timedelta(seconds=1))
            assert newer != code
        case "other phone":
            phone = ARJUN_PHONE
        case "not a phone":
            phone = "12"
        case "inactive":
            User.objects.create_user(phone, is_active=False)
    tokens, shops = Token.objects.count(), Shop.objects.count()
    with pytest.raises(Refused) as refused:
        sign_in.redeem(phone=phone, code=code, shop_name="", now=moment)
    assert (refused.value.status_code, refused.value.code) == (400, "code_invalid")
    assert str(refused.value.detail) == "This code is not right, or it is too late for it. Ask for a new one."
    assert (Token.objects.count(), Shop.objects.count()) == (tokens, shops)


def test_after_five_wrong_guesses_the_right_code_is_refused_until_a_new_one_is_sent(now: datetime) -> None:
    sign_in.send_code(phone=MEI_PHONE, address="127.0.0.1", now=now)
    code = code_sent_to(MEI_PHONE)
    for _ in range(5):
        with pytest.raises(Refused):
            sign_in.redeem(phone=MEI_PHONE, code="wrong", shop_name="", now=now)
    with pytest.raises(Refused):
        sign_in.redeem(phone=MEI_PHONE, code=code, shop_name="", now=now)
    assert OneTimeCode.objects.get().attempts == 5
    assert not User.objects.exists()
    sign_in.send_code(phone=MEI_PHONE, address="127.0.0.1", now=now + timedelta(seconds=1))
    assert sign_in.redeem(
        phone=MEI_PHONE, code=code_sent_to(MEI_PHONE), shop_name="", now=now + timedelta(seconds=1)
    ).created


@pytest.mark.parametrize(
    ("phone", "code"),
    [
        ("13800138000", "phone_invalid"),
        ("+86 10 6552 9988", "phone_not_mobile"),
        ("+1 900 555 0123", "phone_not_mobile"),
        ("+355 67 212 3456", "country_not_served"),
    ],
)
def test_a_phone_that_gets_no_code_is_told_why_and_nothing_is_sent(stranger: APIClient, phone: str, code: str) -> None:
    assert problem(ask(stranger, phone)) == (400, code)
    assert not OneTimeCode.objects.exists()
    assert not TextMessage.objects.exists()


def test_the_fourth_code_in_a_minute_is_refused_with_the_time_to_wait(stranger: APIClient) -> None:
    for _ in range(3):
        assert ask(stranger).status_code == 202
    refused = ask(stranger)
    assert problem(refused) == (429, "too_many_codes")
    assert 55 <= int(refused.headers["Retry-After"]) <= 60
    assert TextMessage.objects.count() == 3
    assert ask(stranger, ARJUN_PHONE).status_code == 202


def test_guesses_have_a_budget_by_address(stranger: APIClient, settings: LazySettings) -> None:
    settings.TOKEN_BUDGET_ADDRESS = "2/minute"
    for _ in range(2):
        assert problem(enter(stranger, code="000000")) == (400, "code_invalid")
    refused = enter(stranger, code="000000")
    assert problem(refused) == (429, "too_many_attempts")
    assert int(refused.headers["Retry-After"]) > 50


def test_with_the_limiter_down_no_code_is_sent(stranger: APIClient, settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    stranger.raise_request_exception = False
    refused = ask(stranger)
    assert problem(refused) == (503, "codes_unavailable")
    assert not OneTimeCode.objects.exists()
    assert not TextMessage.objects.exists()


def test_signing_out_ends_this_token_and_no_other(mei: Person) -> None:
    other = hire_again(mei)
    assert mei.api().delete("/api/v1/auth/token").status_code == 204
    assert problem(mei.api().get("/api/v1/shop")) == (401, "authentication_failed")
    assert other.get("/api/v1/shop").status_code == 200


def hire_again(person: Person) -> APIClient:
    """The same person on a second phone."""
    _row, token = Token.objects.create(person.user, shop=person.shop)
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")


def test_a_phone_with_a_dead_token_in_its_header_can_sign_in_again(stranger: APIClient) -> None:
    stranger.credentials(HTTP_AUTHORIZATION="Bearer of-yesterday")
    assert ask(stranger).status_code == 202
    assert enter(stranger).status_code == 201


def test_without_a_token_nothing_of_a_shop_is_shown(mei: Person, stranger: APIClient) -> None:
    for path in ("shop", "items", "codes", "notices"):
        assert problem(stranger.get(f"/api/v1/{path}")) == (401, "not_authenticated")


@pytest.mark.parametrize("token", ["\xff\xfe", "\xe9", "a" * 5000])
def test_a_token_that_was_never_one_is_refused(stranger: APIClient, mei: Person, token: str) -> None:
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert problem(stranger.get("/api/v1/shop")) == (401, "authentication_failed")


def test_who_no_longer_works_in_the_shop_is_refused(lan: Person) -> None:
    lan.staff.delete()
    assert problem(lan.api().get("/api/v1/shop")) == (401, "not_staff")


def test_a_manager_of_two_shops_is_in_the_shop_of_her_token(mei: Person, arjun: Person) -> None:
    visitor = hire(arjun.shop, "+8613700137000", "manager")
    assert visitor.api().get("/api/v1/shop").json()["name"] == "Arjun's tea"
