"""What a vendor is told about whatever sticker she scans ("Is this mine?")."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from rest_framework.test import APIClient

from merchants import batches, codes, ids, mine
from merchants.models import Code, Item, User
from tests.cast import Person, field_problems, problem


@pytest.fixture
def stall(mei: Person) -> Code:
    return Code.objects.get(shop=mei.shop)


def ask(api: APIClient, text: str) -> Any:
    answer = api.post("/api/v1/codes/mine", {"text": text})
    assert answer.status_code == 200, answer.content
    return answer.json()


def public(code: Code) -> str:
    return ids.public("cod", code.id)


def test_her_own_active_code_is_hers_however_its_link_is_written(
    mei: Person, stall: Code, settings: LazySettings
) -> None:
    settings.PUBLIC_URL = "https://pay.example"
    for text in (stall.slug, stall.url, f"HTTPS://PAY.EXAMPLE/s/{stall.slug}/?x=1"):
        told = ask(mei.api(), text)
        assert (told["answer"], told["code"]["id"], told["replaced_by"]) == ("yours", public(stall), None)
        assert told["sentence"] == "It is yours, and takes payments."
    assert told["code"] == mei.api().get(f"/api/v1/codes/{public(stall)}").json()


@pytest.mark.parametrize(("state", "word"), [("suspended", "suspended"), ("retired", "retired")])
def test_hers_but_not_in_use(mei: Person, stall: Code, now: datetime, state: str, word: str) -> None:
    codes.change(code=stall, state=state, now=now)
    told = ask(mei.api(), stall.slug)
    assert (told["answer"], told["code"]["state"]) == ("yours_not_active", state)
    assert word in told["sentence"]


def test_hers_but_suspended_by_us(mei: Person, stall: Code, now: datetime) -> None:
    codes.hold(code=stall, now=now)
    told = ask(mei.api(), stall.slug)
    assert told["answer"] == "yours_not_active"
    assert told["sentence"] == "It is yours, but we have suspended it. Please ask us."


def test_hers_but_what_it_sells_is_not_on_sale(mei: Person, apples: Item) -> None:
    Item.objects.filter(id=apples.id).update(active=False)
    told = ask(mei.api(), apples.codes.get().slug)
    assert (told["answer"], "not on sale" in told["sentence"]) == ("yours_not_active", True)


def test_hers_for_one_payment_until_it_expires(mei: Person, now: datetime) -> None:
    code = codes.create(shop=mei.shop, kind="one_time", amount=500, now=now)
    assert mine.tell(text=code.slug, shop=mei.shop, now=now).sentence == "It is yours, for one payment."
    late = mine.tell(text=code.slug, shop=mei.shop, now=now + timedelta(minutes=15))
    assert (late.answer, late.sentence) == ("yours_not_active", "It is yours, but it has expired.")


def test_hers_but_replaced_names_what_stands_in_its_place_today(mei: Person, stall: Code, now: datetime) -> None:
    second = codes.replace(code=stall, forward=True, now=now)
    third = codes.replace(code=second, forward=False, now=now)
    told = ask(mei.api(), stall.slug)
    assert (told["answer"], told["code"]["id"]) == ("yours_replaced", public(stall))
    assert told["code"]["replaced_by"] == public(second)
    assert told["replaced_by"]["id"] == public(third)
    assert "led on" in told["sentence"]
    assert "put the new one in its place" in ask(mei.api(), second.slug)["sentence"]


def test_of_another_shops_code_nothing_is_told_but_that(mei: Person, arjun: Person) -> None:
    his = Code.objects.get(shop=arjun.shop)
    told = ask(mei.api(), his.slug)
    assert told == {
        "answer": "another_shops",
        "sentence": "This code belongs to another shop. If it hangs at your stall, take it off: it pays them.",
        "code": None,
        "replaced_by": None,
    }


def test_a_blank_can_be_made_hers_and_one_of_a_void_batch_is_waste(mei: Person, now: datetime) -> None:
    wei = User.objects.create_user("+8613700137000")
    batch = batches.make(label="Market", size=1, operator=wei, reason="", now=now)
    slug = batch.blanks.get().slug
    told = ask(mei.api(), slug)
    assert (told["answer"], told["code"]) == ("blank", None)
    batches.void(batch_id=batch.id, operator=wei, reason="lost", now=now)
    told = ask(mei.api(), slug)
    assert (told["answer"], "withdrawn" in told["sentence"]) == ("not_ours", True)


@pytest.mark.parametrize(
    "text", ["7kQm2xWp9RtB", "wxp://f2f0abc", "https://evil.example/s/7kQm2xWp9RtB", "付款码", "00020101021126"]
)
def test_what_is_not_ours_is_said_to_be_not_ours(mei: Person, text: str) -> None:
    told = ask(mei.api(), text)
    assert (told["answer"], told["code"], told["replaced_by"]) == ("not_ours", None, None)


def test_every_answer_is_documented() -> None:
    assert set(mine.ANSWERS) == {
        "yours", "yours_not_active", "yours_replaced", "another_shops", "blank", "not_ours",
    }  # fmt: skip


def test_a_text_that_no_code_holds_and_a_stranger_are_refused(mei: Person, stranger: APIClient) -> None:
    assert field_problems(mei.api().post("/api/v1/codes/mine", {"text": "x" * 2001})) == {"text": "max_length"}
    assert field_problems(mei.api().post("/api/v1/codes/mine", {})) == {"text": "required"}
    assert problem(stranger.post("/api/v1/codes/mine", {"text": "x"}))[0] == 401
