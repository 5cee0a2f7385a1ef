"""A code replaced by another: the old slug leads on or explains, for ever, and never takes a payment again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from merchants import codes, ids, items
from merchants.models import Code, Item
from merchants.refusals import Refused
from payments.models import PaymentIntent
from tests.cast import Person, field_problems, problem
from tests.test_scan import hidden
from tests.till import platform


@pytest.fixture
def stall(mei: Person) -> Code:
    platform()
    return Code.objects.get(shop=mei.shop)


def address(code: Code) -> str:
    return f"/api/v1/codes/{ids.public('cod', code.id)}"


def replace(api: APIClient, code: Code, key: str = "", **fields: Any) -> Any:
    return api.post(f"{address(code)}/replace", fields, headers={"Idempotency-Key": key} if key else {})


def test_the_new_code_is_for_the_same_and_the_old_one_is_retired(
    mei: Person, lan: Person, apples: Item, now: datetime
) -> None:
    old = codes.create(shop=mei.shop, kind="item", item=apples, label="Left side", staff=lan.staff, now=now)
    made = replace(mei.api(), old, forward=False)
    assert made.status_code == 201
    new = Code.objects.latest("id")
    told, was = made.json(), mei.api().get(address(old)).json()
    assert told["id"] == ids.public("cod", new.id)
    for field in ("kind", "item", "label", "staff", "price"):
        assert told[field] == was[field], field
    assert (told["state"], told["replaced_by"], was["state"]) == ("active", None, "retired")
    assert (was["replaced_by"], was["forwards"]) == (told["id"], False)
    assert told["slug"] != was["slug"]


def test_without_forward_the_old_page_says_to_ask_for_the_new_one(mei: Person, stall: Code, client: Client) -> None:
    page = hidden(client.get(f"/s/{stall.slug}"))
    replace(mei.api(), stall, forward=False)
    for answer in (client.get(f"/s/{stall.slug}"), client.post(f"/s/{stall.slug}/pay", {"page": page, "amount": "2"})):
        assert answer.status_code == 410
        assert "This code was replaced" in answer.text
        assert "Mei&#x27;s fruit" in answer.text
        assert "<form" not in answer.text
    assert not PaymentIntent.objects.exists()


def test_with_forward_the_old_page_leads_on_and_nobody_remembers_the_way(
    mei: Person, stall: Code, client: Client
) -> None:
    page = hidden(client.get(f"/s/{stall.slug}"))
    new = replace(mei.api(), stall, forward=True).json()
    for answer in (
        client.get(f"/s/{stall.slug}"),
        client.head(f"/s/{stall.slug}"),
        client.post(f"/s/{stall.slug}/pay", {"page": page, "amount": "2"}),
    ):
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/s/{new['slug']}")
        assert answer.headers["Cache-Control"] == "no-store"
    assert client.get(f"/s/{stall.slug}", follow=True).status_code == 200
    assert not PaymentIntent.objects.exists()


def test_a_chain_is_followed_to_its_end_and_the_end_explains_where_it_must(
    mei: Person, stall: Code, client: Client, now: datetime
) -> None:
    chain = [stall]
    for _ in range(4):
        chain.append(codes.replace(code=chain[-1], forward=True, now=now))
    assert client.get(f"/s/{stall.slug}").headers["Location"] == f"/s/{chain[-1].slug}"
    codes.replace(code=chain[-1], forward=False, now=now)
    assert client.get(f"/s/{stall.slug}").headers["Location"] == f"/s/{chain[-1].slug}"
    assert client.get(f"/s/{stall.slug}", follow=True).status_code == 410


def test_a_very_long_chain_costs_a_scan_a_bounded_number_of_steps(stall: Code, client: Client, now: datetime) -> None:
    code = stall
    for _ in range(codes.LEADS_MAX + 5):
        code = codes.replace(code=code, forward=True, now=now)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(f"/s/{stall.slug}").status_code == 302
    assert len(asked) == codes.LEADS_MAX + 1
    assert client.get(f"/s/{stall.slug}", follow=True).status_code == 200


def test_the_database_knows_no_code_that_leads_to_itself_or_is_replaced_and_in_use(mei: Person, stall: Code) -> None:
    other = Code.objects.create(shop=mei.shop, kind="shop")
    for wrong in (
        {"replaced_by": stall.id, "state": "retired"},
        {"replaced_by": other.id, "state": "active"},
        {"forwards": True, "state": "retired"},
        {"held": True},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Code.objects.filter(id=stall.id).update(**wrong)


def test_what_is_retired_held_or_for_one_payment_is_not_replaced(mei: Person, stall: Code, now: datetime) -> None:
    once = codes.create(shop=mei.shop, kind="one_time", amount=500, now=now)
    held = codes.hold(code=codes.create(shop=mei.shop, kind="shop", now=now), now=now)
    codes.change(code=stall, state="retired", now=now)
    for code, refusal in ((stall, "code_retired"), (held, "code_held"), (once, "code_not_replaceable")):
        assert problem(replace(mei.api(), code, forward=True)) == (409, refusal)
        assert Code.objects.get(id=code.id).state == code.state or code is stall
    assert Code.objects.count() == 3
    assert not Code.objects.exclude(replaced_by=None).exists()


def test_a_suspended_code_may_be_replaced_and_the_new_one_is_in_use(mei: Person, stall: Code, now: datetime) -> None:
    codes.change(code=stall, state="suspended", now=now)
    assert replace(mei.api(), stall, forward=True).json()["state"] == "active"


def test_replacing_twice_by_one_key_replaces_once(mei: Person, stall: Code) -> None:
    first, again = (replace(mei.api(), stall, key="r-1", forward=True) for _ in range(2))
    assert again.json() == first.json()
    assert problem(replace(mei.api(), stall, forward=True)) == (409, "code_retired")
    assert Code.objects.count() == 2


def test_whoever_replaces_says_whether_the_old_one_leads_on(mei: Person, stall: Code) -> None:
    assert field_problems(replace(mei.api(), stall)) == {"forward": "required"}
    stall.refresh_from_db()
    assert (stall.state, Code.objects.count()) == ("active", 1)


def test_an_assistant_replaces_only_what_is_hers_and_nobody_anothers(
    mei: Person, lan: Person, arjun: Person, stall: Code, now: datetime
) -> None:
    hers = codes.create(shop=mei.shop, kind="shop", staff=lan.staff, now=now)
    assert problem(replace(lan.api(), stall, forward=True)) == (403, "role_too_low")
    assert problem(replace(arjun.api(), stall, forward=True)) == (404, "not_found")
    assert Code.objects.exclude(replaced_by=None).count() == 0
    assert replace(lan.api(), hers, forward=True).json()["staff"] == ids.public("stf", lan.staff.id)


def test_a_deleted_item_takes_the_replacement_along_and_the_old_slug_still_explains(
    mei: Person, apples: Item, client: Client, now: datetime
) -> None:
    platform()
    old = apples.codes.get()
    new = codes.replace(code=old, forward=True, now=now)
    items.delete(item=apples, now=now)
    new.refresh_from_db()
    assert new.state == "retired"
    assert client.get(f"/s/{old.slug}", follow=True).status_code == 410
    with pytest.raises(Refused, match="stays retired"):
        codes.replace(code=new, forward=True, now=now)


def test_what_an_operator_holds_its_shop_can_retire_and_nothing_else(mei: Person, stall: Code, now: datetime) -> None:
    codes.hold(code=stall, now=now)
    assert problem(mei.api().patch(address(stall), {"state": "active"})) == (409, "code_held")
    stall.refresh_from_db()
    assert (stall.state, stall.held) == ("suspended", True)
    assert mei.api().patch(address(stall), {"state": "suspended", "label": "Door"}).json()["label"] == "Door"
    assert Code.objects.get(id=stall.id).held is True
    assert mei.api().patch(address(stall), {"state": "retired"}).status_code == 200
    stall.refresh_from_db()
    assert (stall.state, stall.held) == ("retired", False)


def test_an_operator_gives_it_back(mei: Person, stall: Code, now: datetime) -> None:
    codes.hold(code=stall, now=now)
    codes.release(code=stall, now=now)
    stall.refresh_from_db()
    assert (stall.state, stall.held, stall.retired_at) == ("active", False, None)
