"""Codes over the API: what they ask for, how they end, and whose they are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.urls import resolve
from django.utils.dateparse import parse_datetime
from rest_framework.test import APIClient

from merchants import codes, ids
from merchants.models import Code, Item
from tests.cast import Person, field_problems, problem

PRICE = {"amount": 500, "currency": "CNY"}


def make(api: APIClient, **fields: Any) -> Any:
    return api.post("/api/v1/codes", fields)


def test_a_code_of_the_shop_lets_the_payer_say_how_much(api: APIClient, settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://pay.example"
    made = make(api, kind="shop", label=" Door ")
    assert made.status_code == 201
    code = made.json()
    assert (code["kind"], code["price"], code["item"], code["label"], code["state"]) == (
        "shop",
        None,
        None,
        "Door",
        "active",
    )
    assert code["url"] == code["payload"] == f"https://pay.example/s/{code['slug']}"
    assert api.get(f"/api/v1/codes/{code['id']}").json() == code


def test_an_item_can_have_many_codes_and_each_shows_its_price_of_today(api: APIClient, apples: Item) -> None:
    item = ids.public("itm", apples.id)
    made = [make(api, kind="item", item=item, label=f"Stall {number}").json() for number in range(2)]
    assert len({code["slug"] for code in made}) == 2
    api.patch(f"/api/v1/items/{item}", {"price": {"amount": 300, "currency": "CNY"}})
    listed = api.get(f"/api/v1/codes?item={item}").json()["results"]
    assert [code["price"]["amount"] for code in listed] == [300, 300, 300]
    assert [code["label"] for code in listed] == ["Stall 1", "Stall 0", ""]


def test_a_one_time_code_lives_fifteen_minutes_unless_it_says_otherwise(api: APIClient, now: datetime) -> None:
    made = make(api, kind="one_time", price=PRICE).json()
    life = parse_datetime(made["expires_at"]) - parse_datetime(made["created_at"])  # type: ignore[operator]
    assert timedelta(minutes=14, seconds=59) < life < timedelta(minutes=15, seconds=1)
    assert made["price"] == PRICE
    longest = (now + timedelta(days=30)).isoformat()
    assert make(api, kind="one_time", price=PRICE, expires_at=longest).status_code == 201


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "one_time"}, "price_missing"),
        ({"kind": "one_time", "price": {"amount": 5, "currency": "INR"}}, "currency_mismatch"),
        ({"kind": "one_time", "price": PRICE, "expires_at": "2020-01-01T00:00:00Z"}, "expiry_out_of_range"),
        ({"kind": "one_time", "price": PRICE, "expires_at": "2099-01-01T00:00:00Z"}, "expiry_out_of_range"),
        ({"kind": "shop", "price": PRICE}, "field_not_allowed"),
        ({"kind": "shop", "expires_at": "2099-01-01T00:00:00Z"}, "field_not_allowed"),
        ({"kind": "item"}, "item_missing"),
        ({"kind": "item", "item": "itm_00000000000000000000000001"}, "item_unknown"),
    ],
)
def test_a_code_that_does_not_fit_its_kind_is_refused(api: APIClient, fields: dict[str, Any], code: str) -> None:
    assert problem(make(api, **fields)) == (400, code)
    assert Code.objects.count() == 1


def test_wrong_fields_are_named(api: APIClient) -> None:
    refused = make(api, kind="gift", item="x", price={"amount": 0, "currency": "CNY"}, label="x" * 81)
    assert field_problems(refused) == {
        "kind": "invalid_choice",
        "item": "unknown_id",
        "price.amount": "min_value",
        "label": "max_length",
    }


def test_an_item_code_takes_neither_price_nor_expiry_and_other_kinds_take_no_item(api: APIClient, apples: Item) -> None:
    item = ids.public("itm", apples.id)
    assert problem(make(api, kind="item", item=item, price=PRICE)) == (400, "field_not_allowed")
    assert problem(make(api, kind="shop", item=item)) == (400, "field_not_allowed")
    assert problem(make(api, kind="one_time", item=item, price=PRICE)) == (400, "field_not_allowed")
    assert Code.objects.count() == 2


def test_a_code_is_renamed_suspended_and_activated_again(api: APIClient) -> None:
    code = make(api, kind="shop").json()
    path = f"/api/v1/codes/{code['id']}"
    assert api.patch(path, {"state": "suspended", "label": "Old sticker"}).json() == {
        **code,
        "state": "suspended",
        "label": "Old sticker",
    }
    assert api.patch(path, {"state": "active"}).json() == {**code, "label": "Old sticker"}
    assert api.patch(path, {}).json() == {**code, "label": "Old sticker"}


def test_a_retired_code_stays_retired_and_its_slug_stays_its_own(api: APIClient) -> None:
    code = make(api, kind="shop").json()
    path = f"/api/v1/codes/{code['id']}"
    assert api.patch(path, {"state": "retired"}).json()["state"] == "retired"
    for state in ("active", "suspended"):
        assert problem(api.patch(path, {"state": state})) == (409, "code_retired")
    assert api.patch(path, {"state": "retired", "label": "Torn"}).json()["label"] == "Torn"
    found = codes.find(code["slug"])
    assert found is not None
    assert (found.state, found.retired_at is not None) == ("retired", True)
    assert codes.find("no-such-slug") is None


def test_codes_are_listed_by_kind_and_state(api: APIClient, apples: Item) -> None:
    suspended = make(api, kind="shop").json()["id"]
    api.patch(f"/api/v1/codes/{suspended}", {"state": "suspended"})
    assert [code["id"] for code in api.get("/api/v1/codes?kind=shop&state=suspended").json()["results"]] == [suspended]
    assert [code["kind"] for code in api.get("/api/v1/codes").json()["results"]] == ["shop", "item", "shop"]
    assert problem(api.get("/api/v1/codes?item=nothing")) == (404, "not_found")


def test_only_ids_of_codes_are_addresses_of_codes(api: APIClient) -> None:
    unknown = "cod_00000000000000000000000000"
    for other in (unknown, "cod_x", "no-id-at-all", unknown.replace("cod", "itm")):
        assert problem(api.get(f"/api/v1/codes/{other}")) == (404, "not_found")
    assert resolve(f"/api/v1/codes/{unknown}").url_name == "code"
    assert resolve("/api/v1/codes/codes_without_an_id").url_name != "code"


def test_nobody_sees_changes_or_points_at_what_is_anothers(arjun: Person, apples: Item, mei: Person) -> None:
    his = arjun.api()
    hers = Code.objects.get(shop=mei.shop, kind="item")
    path = f"/api/v1/codes/{ids.public('cod', hers.id)}"
    assert problem(his.get(path)) == (404, "not_found")
    assert problem(his.patch(path, {"state": "retired"})) == (404, "not_found")
    item = ids.public("itm", apples.id)
    assert problem(make(his, kind="item", item=item)) == (400, "item_unknown")
    assert his.get(f"/api/v1/codes?item={item}").json()["results"] == []
    hers.refresh_from_db()
    assert (hers.state, Code.objects.count()) == ("active", 3)


def test_an_assistant_sells_by_her_own_codes_and_leaves_the_shops_alone(lan: Person, mei: Person) -> None:
    hers = lan.api()
    mine = make(hers, kind="one_time", price=PRICE, attribute_to_me=True).json()
    assert mine["staff"] == ids.public("stf", lan.staff.id)
    assert hers.patch(f"/api/v1/codes/{mine['id']}", {"state": "retired"}).status_code == 200
    shops = Code.objects.get(kind="shop")
    path = f"/api/v1/codes/{ids.public('cod', shops.id)}"
    assert problem(hers.patch(path, {"state": "retired"})) == (403, "role_too_low")
    shops.refresh_from_db()
    assert shops.state == "active"


def test_a_code_is_attributed_to_its_maker_only_when_asked(api: APIClient, mei: Person) -> None:
    assert make(api, kind="shop").json()["staff"] is None
    assert make(api, kind="shop", attribute_to_me=True).json()["staff"] == ids.public("stf", mei.staff.id)
