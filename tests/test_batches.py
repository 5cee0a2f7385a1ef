"""Blank codes: made in bulk, bound by whoever scans one first, and ended with their batch."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from rest_framework.test import APIClient

from merchants import batches, ids
from merchants.audit import UnableToAct
from merchants.models import BlankCode, Code, CodeBatch, Item, OperatorAct, User
from tests.cast import Person, field_problems, problem
from tests.till import platform


@pytest.fixture
def wei(db: None) -> User:
    """An operator, who makes the batches."""
    return User.objects.create_user("+8613700137000")


@pytest.fixture
def batch(wei: User, now: datetime) -> CodeBatch:
    return make(wei, now, 3)


def make(wei: User, now: datetime, size: int) -> CodeBatch:
    return batches.make(label=" Market east ", size=size, operator=wei, reason="for Chen", now=now)


def slug(batch: CodeBatch, number: int = 1) -> str:
    return batch.blanks.get(number=number).slug


def bind(api: APIClient, text: str, key: str = "", **fields: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return api.post("/api/v1/codes/bind", {"kind": "shop", "text": text, **fields}, headers=headers)


def void(batch: CodeBatch, wei: User, now: datetime) -> int:
    return batches.void(batch_id=batch.id, operator=wei, reason="the box was lost", now=now)


def test_a_batch_has_numbered_blanks_with_slugs_of_their_own(wei: User, now: datetime) -> None:
    batch = make(wei, now, batches.SIZE_MAX)
    rows = batch.blanks.order_by("id").values_list("number", "slug")
    assert [row[0] for row in rows] == list(range(1, 2001))
    assert len({row[1] for row in rows}) == 2000
    assert {len(row[1]) for row in rows} == {12}
    assert not batch.blanks.exclude(code=None, bound_at=None).exists()
    assert (batch.label, batch.size, batch.made_by, batch.created_at) == ("Market east", 2000, wei, now)
    act = OperatorAct.objects.get()
    assert (act.act, act.subject_id, act.reason) == ("make_batch", ids.public("bat", batch.id), "for Chen")
    assert (act.before, act.after) == ({}, {"label": "Market east", "size": 2000})


@pytest.mark.parametrize("size", [0, -1, 2001])
def test_a_batch_of_no_size_or_too_many_is_refused(wei: User, now: datetime, size: int) -> None:
    with pytest.raises(UnableToAct, match="1 to 2,000"):
        make(wei, now, size)
    assert not CodeBatch.objects.exists()
    assert not OperatorAct.objects.exists()


def test_a_blank_becomes_a_code_of_the_shop_with_its_very_slug(
    mei: Person, batch: CodeBatch, settings: LazySettings
) -> None:
    settings.PUBLIC_URL = "https://pay.example"
    printed = slug(batch, 2)
    made = bind(mei.api(), f"HTTPS://pay.example/s/{printed}", label="Cart", attribute_to_me=True)
    assert made.status_code == 201
    code = Code.objects.get(slug=printed)
    assert made.json() == mei.api().get(f"/api/v1/codes/{ids.public('cod', code.id)}").json()
    assert (code.shop, code.kind, code.label, code.state, code.staff) == (mei.shop, "shop", "Cart", "active", mei.staff)
    blank = batch.blanks.get(number=2)
    assert (blank.code, blank.bound_by) == (code, mei.staff)
    assert blank.bound_at is not None
    assert BlankCode.objects.filter(code=None).count() == 2


def test_what_is_bound_is_paid_by_at_once(mei: Person, apples: Item, batch: CodeBatch, client: Client) -> None:
    platform()
    bind(mei.api(), slug(batch), kind="item", item=ids.public("itm", apples.id))
    page = client.get(f"/s/{slug(batch)}")
    assert page.status_code == 200
    assert b'name="page"' in page.content
    assert "Apples" in page.text


def test_an_assistant_binds_as_she_makes_codes(lan: Person, batch: CodeBatch) -> None:
    made = bind(lan.api(), slug(batch), attribute_to_me=True)
    assert (made.status_code, made.json()["staff"]) == (201, ids.public("stf", lan.staff.id))


def test_a_blank_is_bound_once_whoever_asks_again(mei: Person, arjun: Person, batch: CodeBatch) -> None:
    assert bind(mei.api(), slug(batch)).status_code == 201
    again, other = bind(mei.api(), slug(batch)), bind(arjun.api(), slug(batch))
    assert problem(again) == problem(other) == (409, "already_bound")
    assert again.json()["detail"] == "This code is yours already."
    assert other.json()["detail"] == "This code belongs to a shop already."
    assert Code.objects.get(slug=slug(batch)).shop == mei.shop
    assert Code.objects.filter(shop=arjun.shop).count() == 1


def test_the_same_request_with_its_key_is_answered_again(mei: Person, batch: CodeBatch) -> None:
    first = bind(mei.api(), slug(batch), key="k-1")
    again = bind(mei.api(), slug(batch), key="k-1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert problem(bind(mei.api(), slug(batch, 2), key="k-1")) == (422, "idempotency_key_reused")
    assert BlankCode.objects.filter(code=None).count() == 2


@pytest.mark.parametrize("text", ["nothing of ours", "https://evil.example/s/7kQm2xWp9RtB", "7kQm2xWp9RtB"])
def test_what_is_no_blank_of_ours_is_not_known(mei: Person, batch: CodeBatch, text: str) -> None:
    assert problem(bind(mei.api(), text)) == (404, "code_unknown")
    assert (Code.objects.count(), BlankCode.objects.exclude(code=None).count()) == (1, 0)


def test_a_code_that_was_no_blank_belongs_to_its_shop(mei: Person, arjun: Person) -> None:
    hers = Code.objects.get(shop=mei.shop)
    assert problem(bind(arjun.api(), hers.slug)) == (409, "already_bound")
    hers.refresh_from_db()
    assert (hers.shop, Code.objects.count()) == (mei.shop, 2)


def test_a_void_batch_binds_no_more_and_what_was_bound_stays(
    mei: Person, batch: CodeBatch, wei: User, now: datetime
) -> None:
    bind(mei.api(), slug(batch))
    assert void(batch, wei, now) == 2
    assert problem(bind(mei.api(), slug(batch, 2))) == (410, "batch_voided")
    assert problem(bind(mei.api(), slug(batch))) == (409, "already_bound")
    assert Code.objects.get(slug=slug(batch)).state == "active"
    assert BlankCode.objects.exclude(code=None).count() == 1
    act = OperatorAct.objects.get(act="void")
    assert (act.reason, act.before) == ("the box was lost", {"voided": False})
    assert act.after == {"voided": True, "blank": 2, "bound": 1}
    with pytest.raises(UnableToAct, match="void already"):
        void(batch, wei, now)
    assert OperatorAct.objects.filter(act="void").count() == 1


def test_binding_refuses_what_making_refuses(mei: Person, arjun: Person, apples: Item, batch: CodeBatch) -> None:
    item, text = ids.public("itm", apples.id), slug(batch)
    assert problem(bind(mei.api(), text, kind="item")) == (400, "item_missing")
    assert problem(bind(mei.api(), text, item=item)) == (400, "field_not_allowed")
    assert problem(bind(arjun.api(), text, kind="item", item=item)) == (400, "item_unknown")
    wrong = bind(mei.api(), "", kind="one_time", label="x" * 81)
    assert field_problems(wrong) == {"text": "blank", "kind": "invalid_choice", "label": "max_length"}
    assert (Code.objects.filter(slug=text).count(), BlankCode.objects.exclude(code=None).count()) == (0, 0)


def test_a_stranger_binds_nothing(stranger: APIClient, batch: CodeBatch) -> None:
    assert problem(bind(stranger, slug(batch)))[0] == 401
    assert not Code.objects.exists()


@pytest.mark.parametrize("voided", [False, True])
def test_a_customer_who_scans_a_blank_is_told_that_it_is_nobodys(
    client: Client, batch: CodeBatch, wei: User, now: datetime, voided: bool
) -> None:
    platform()
    if voided:
        void(batch, wei, now)
    for page in (client.get(f"/s/{slug(batch)}"), client.post(f"/s/{slug(batch)}/pay", {"page": "x"})):
        assert page.status_code == 404
        assert "This code belongs to nobody yet" in page.text
        assert "<form" not in page.text


def test_a_batch_says_how_many_of_it_are_bound(mei: Person, batch: CodeBatch, wei: User, now: datetime) -> None:
    make(wei, now, 1)
    for number in (1, 3):
        bind(mei.api(), slug(batch, number))
    counted = batches.with_bound(CodeBatch.objects.order_by("id"))
    assert [row.bound for row in counted] == [2, 0]
