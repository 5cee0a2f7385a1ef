"""Signed-in phones: listed to whom they concern, signed out one by one or all at once, and a new one is told of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from merchants import devices, ids, sign_in
from merchants.models import Notice, PushSubscription, Staff, Token
from tests.cast import Person, code_sent_to, hire, problem
from tests.push_service import Browser, subscribe

pytestmark = pytest.mark.django_db

DEVICES = "/api/v1/devices"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1"


def another(person: Person, user_agent: str = ANDROID) -> APIClient:
    """The same person on another phone."""
    sign_in.send_code(phone=person.phone, address="127.0.0.1", now=timezone.now())
    body = {"phone": person.phone, "code": code_sent_to(person.phone)}
    answer = APIClient().post("/api/v1/auth/token", body, headers={"User-Agent": user_agent})
    assert answer.status_code == 200
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['token']}")
    return client


def listed(client: APIClient, of: str = "me") -> list[dict[str, Any]]:
    answer = client.get(DEVICES, {"of": of})
    assert answer.status_code == 200, answer.content
    rows: list[dict[str, Any]] = answer.json()["results"]
    return rows


@pytest.fixture
def unchanged(mei: Person, lan: Person, arjun: Person) -> Iterator[None]:
    """Whatever the test asks for leaves everybody signed in."""
    before = list(Token.objects.order_by("pk").values())
    yield
    assert list(Token.objects.order_by("pk").values()) == before


def test_a_person_sees_where_she_is_signed_in_the_last_sign_in_first(mei: Person, lan: Person, arjun: Person) -> None:
    phone = another(mei)
    another(mei, IPHONE)
    rows = listed(phone)
    assert [row["name"] for row in rows] == ["Safari on iPhone", "Chrome on Android", "Unknown device"]
    assert [row["this_one"] for row in rows] == [False, True, False]
    own = Token.objects.get(browser="Chrome")
    assert rows[1] == {
        "id": ids.public("dev", own.device),
        "name": "Chrome on Android",
        "person": {"id": ids.public("usr", mei.user.id), "name": "", "phone": mei.phone},
        "signed_in_at": own.created.isoformat().replace("+00:00", "Z"),
        "last_used_at": own.used_at.isoformat().replace("+00:00", "Z"),
        "this_one": True,
    }
    page = phone.get(DEVICES, {"limit": 2}).json()
    assert [row["id"] for row in page["results"]] == [row["id"] for row in rows[:2]]
    assert [row["id"] for row in phone.get(page["next"]).json()["results"]] == [rows[2]["id"]]


def test_only_an_owner_sees_the_phones_of_whoever_works_in_her_shop(mei: Person, lan: Person, arjun: Person) -> None:
    manager = hire(mei.shop, "+8613700137000", Staff.Role.MANAGER)
    whose = [row["person"]["phone"] for row in listed(mei.api(), "shop")]
    assert sorted(whose) == sorted([mei.phone, lan.phone, manager.phone])
    for other in (lan, manager):
        assert [row["person"]["phone"] for row in listed(other.api())] == [other.phone]
        assert problem(other.api().get(DEVICES, {"of": "shop"})) == (403, "role_too_low")


def test_who_left_or_whose_token_ran_out_is_not_signed_in(mei: Person, lan: Person) -> None:
    another(mei)
    Token.objects.filter(browser="Chrome").update(expiry=timezone.now() - timedelta(seconds=1))
    lan.staff.delete()
    assert [row["this_one"] for row in listed(mei.api(), "shop")] == [True]


def test_one_phone_is_signed_out_its_push_with_it_and_the_others_stay(mei: Person) -> None:
    phone, third = another(mei), another(mei, IPHONE)
    subscribe(phone, Browser("https://updates.push.services.mozilla.com/wpush/v2/abc"))
    [gone] = [row["id"] for row in listed(phone) if row["this_one"]]
    assert third.delete(f"{DEVICES}/{gone}").status_code == 204
    assert problem(phone.get("/api/v1/shop")) == (401, "authentication_failed")
    assert not PushSubscription.objects.exists()
    assert third.get("/api/v1/shop").status_code == mei.api().get("/api/v1/shop").status_code == 200
    assert problem(third.delete(f"{DEVICES}/{gone}")) == (404, "not_found")


def test_everywhere_else_or_everywhere(mei: Person, lan: Person, arjun: Person) -> None:
    phone, third = another(mei), another(mei, IPHONE)
    assert phone.delete(DEVICES).json() == {"signed_out": 2}
    assert [row["this_one"] for row in listed(phone)] == [True]
    for gone in (third, mei.api()):
        assert problem(gone.get("/api/v1/shop")) == (401, "authentication_failed")
    another(mei)
    assert phone.delete(f"{DEVICES}?this_one_too=true").json() == {"signed_out": 2}
    assert problem(phone.get(DEVICES)) == (401, "authentication_failed")
    assert [person.api().get("/api/v1/shop").status_code for person in (lan, arjun)] == [200, 200]


def test_an_owner_signs_out_a_phone_of_whoever_works_for_her(mei: Person, lan: Person) -> None:
    [hers] = listed(lan.api())
    assert mei.api().delete(f"{DEVICES}/{hers['id']}").status_code == 204
    assert problem(lan.api().get("/api/v1/shop")) == (401, "authentication_failed")


@pytest.mark.usefixtures("unchanged")
def test_nobody_signs_out_a_phone_that_is_not_hers(mei: Person, lan: Person, arjun: Person) -> None:
    manager = hire(mei.shop, "+8613700137000", Staff.Role.MANAGER)
    try:
        of = {person.phone: listed(person.api())[0]["id"] for person in (mei, lan, arjun, manager)}
        for who, whose in ((mei, arjun), (arjun, mei), (lan, mei), (lan, manager), (manager, mei), (manager, lan)):
            assert problem(who.api().delete(f"{DEVICES}/{of[whose.phone]}")) == (404, "not_found")
        for wrong in ("nothing", ids.public("dev", ids.new()), of[mei.phone].replace("dev_", "usr_")):
            assert problem(mei.api().delete(f"{DEVICES}/{wrong}")) == (404, "not_found")
    finally:
        Token.objects.filter(user=manager.user).delete()


@pytest.mark.usefixtures("unchanged")
def test_whoever_is_not_signed_in_or_asks_nonsense_changes_nothing(mei: Person, stranger: APIClient) -> None:
    [hers] = listed(mei.api())
    for answer in (
        stranger.get(DEVICES),
        stranger.delete(DEVICES),
        stranger.delete(f"{DEVICES}/{hers['id']}"),
    ):
        assert problem(answer) == (401, "not_authenticated")
    assert problem(mei.api().get(DEVICES, {"of": "everybody"}))[0] == 400
    assert problem(mei.api().delete(f"{DEVICES}?this_one_too=maybe"))[0] == 400


def test_use_is_noted_once_an_hour(
    mei: Person, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    token = Token.objects.get()
    before = token.used_at
    with django_assert_num_queries(0):
        devices.note_use(token, now=before + timedelta(minutes=59))
    Token.objects.update(used_at=now - timedelta(hours=2))
    assert listed(mei.api())[0]["last_used_at"] > now.isoformat()
    noted = Token.objects.get().used_at
    mei.api().get("/api/v1/shop")
    assert Token.objects.get().used_at == noted


def test_a_new_phone_is_told_to_those_that_are_signed_in(mei: Person, lan: Person) -> None:
    assert not Notice.objects.exists()  # Nobody was there to be told of the first one.
    another(mei)
    told = Notice.objects.get()
    row = Token.objects.get(browser="Chrome")
    assert (told.number, told.kind) == (1, "device_signed_in")
    assert told.data == {
        "device": ids.public("dev", row.device),
        "browser": "Chrome",
        "system": "Android",
        "person": ids.public("usr", mei.user.id),
    }
