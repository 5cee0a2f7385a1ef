"""Items over the API: prices, photos, pages, and nobody else's."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from merchants import ids, items
from merchants.models import Code, Item
from tests.cast import Person, field_problems, problem

PRICE = {"amount": 200, "currency": "CNY"}


def picture(name: str = "photo.png") -> SimpleUploadedFile:
    out = io.BytesIO()
    Image.new("RGB", (900, 600), "green").save(out, "PNG")
    return SimpleUploadedFile(name, out.getvalue(), "image/png")


def test_an_item_is_made_with_its_code(api: APIClient, mei: Person) -> None:
    made = api.post("/api/v1/items", {"name": " Apples ", "price": PRICE, "unit": "pile"})
    assert made.status_code == 201
    item, code = Item.objects.get(), Code.objects.get(kind="item")
    assert made.json() == {
        "id": ids.public("itm", item.id),
        "name": "Apples",
        "price": {"amount": 200, "currency": "CNY"},
        "unit": "pile",
        "photo": None,
        "active": True,
        "code": {
            "id": ids.public("cod", code.id),
            "kind": "item",
            "slug": code.slug,
            "url": f"http://127.0.0.1:8000/s/{code.slug}",
            "payload": f"http://127.0.0.1:8000/s/{code.slug}",
            "state": "active",
            "label": "",
            "item": ids.public("itm", item.id),
            "price": {"amount": 200, "currency": "CNY"},
            "expires_at": None,
            "staff": None,
            "created_at": made.json()["code"]["created_at"],
            "replaced_by": None,
            "forwards": False,
        },
        "created_at": made.json()["created_at"],
    }
    assert code.shop == mei.shop
    assert len(code.slug) == 12
    assert api.get(f"/api/v1/items/{made.json()['id']}").json() == made.json()


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"name": ""}, {"name": "blank"}),
        ({"name": "x" * 81}, {"name": "max_length"}),
        ({"price": None}, {"price": "null"}),
        ({"price": {"amount": 0, "currency": "CNY"}}, {"price.amount": "min_value"}),
        ({"price": {"amount": -1, "currency": "CNY"}}, {"price.amount": "min_value"}),
        ({"price": {"amount": 1.5, "currency": "CNY"}}, {"price.amount": "invalid"}),
        ({"price": {"amount": 10_000_000_001, "currency": "CNY"}}, {"price.amount": "max_value"}),
        ({"price": {"amount": 1, "currency": "XXX"}}, {"price.currency": "currency_unknown"}),
        ({"price": {"amount": 1}}, {"price.currency": "required"}),
        ({"unit": "x" * 21}, {"unit": "max_length"}),
        ({"photo": "http://elsewhere/x.jpg"}, {"photo": "invalid"}),
    ],
)
def test_what_is_wrong_is_named_by_its_field_and_nothing_is_made(
    api: APIClient, change: dict[str, object], refused: dict[str, str]
) -> None:
    assert field_problems(api.post("/api/v1/items", {"name": "Apples", "price": PRICE, **change})) == refused
    assert not Item.objects.exists()
    assert not Code.objects.filter(kind="item").exists()


def test_a_price_in_another_currency_than_the_shops_is_refused(api: APIClient, apples: Item) -> None:
    rupees = {"amount": 200, "currency": "INR"}
    assert problem(api.post("/api/v1/items", {"name": "Tea", "price": rupees})) == (400, "currency_mismatch")
    path = f"/api/v1/items/{ids.public('itm', apples.id)}"
    assert problem(api.patch(path, {"price": rupees})) == (400, "currency_mismatch")
    apples.refresh_from_db()
    assert (apples.amount, apples.currency, Item.objects.count()) == (200, "CNY", 1)


def test_the_largest_and_the_smallest_price_are_taken(api: APIClient) -> None:
    for amount in (1, 10_000_000_000):
        made = api.post("/api/v1/items", {"name": "Gold", "price": {"amount": amount, "currency": "CNY"}})
        assert (made.status_code, made.json()["price"]["amount"]) == (201, amount)


def test_an_item_is_made_with_a_photo_by_a_form(api: APIClient) -> None:
    form = {"name": "Apples", "price.amount": "200", "price.currency": "CNY", "photo": picture()}
    made = api.post("/api/v1/items", form, format="multipart")
    assert made.status_code == 201
    assert made.json()["active"] is True
    assert made.json()["price"] == PRICE
    address = made.json()["photo"]
    assert address.startswith("http://127.0.0.1:8000/media/items/")
    assert api.get(address).headers["Content-Type"] == "image/jpeg"


def test_a_photo_is_replaced_and_removed_and_its_file_with_it(api: APIClient, real_db: None, apples: Item) -> None:
    path = f"/api/v1/items/{ids.public('itm', apples.id)}"
    first = api.patch(path, {"photo": picture()}, format="multipart").json()
    assert (first["name"], first["price"], first["active"]) == ("Apples", PRICE, True)
    second = api.patch(path, {"photo": picture()}, format="multipart").json()
    assert second["photo"] != first["photo"]
    assert len(default_storage.listdir("items")[1]) == 1
    assert api.patch(path, {"name": "Pears"}).json()["photo"] == second["photo"]
    assert api.patch(path, {"photo": None}).json()["photo"] is None
    assert default_storage.listdir("items")[1] == []


def test_a_refused_item_leaves_no_photo_behind(api: APIClient) -> None:
    form = {"name": "Apples", "price.amount": "200", "price.currency": "INR", "photo": picture()}
    assert problem(api.post("/api/v1/items", form, format="multipart")) == (400, "currency_mismatch")
    assert default_storage.listdir("items")[1] == []


def test_a_photo_that_is_none_is_refused_and_the_old_one_stays(api: APIClient, apples: Item) -> None:
    path = f"/api/v1/items/{ids.public('itm', apples.id)}"
    kept = api.patch(path, {"photo": picture()}, format="multipart").json()["photo"]
    bad = SimpleUploadedFile("photo.jpg", b"no photo", "image/jpeg")
    assert problem(api.patch(path, {"photo": bad}, format="multipart")) == (400, "photo_unreadable")
    assert api.get(path).json()["photo"] == kept


def test_bodies_have_limits(api: APIClient, settings: pytest.FixtureRequest) -> None:
    large = {"name": "x" * 1_100_000, "price": PRICE}
    assert problem(api.post("/api/v1/items", large)) == (413, "body_too_large")
    settings.PHOTO_BYTES_MAX = 1000  # type: ignore[attr-defined]
    big = SimpleUploadedFile("photo.jpg", b"x" * 70_000, "image/jpeg")
    form = {"name": "Apples", "price.amount": "200", "price.currency": "CNY", "photo": big}
    assert problem(api.post("/api/v1/items", form, format="multipart")) == (413, "photo_too_large")
    nested = "[" * 100_000
    refused = api.generic("POST", "/api/v1/items", nested, "application/json")
    assert problem(refused) == (400, "parse_error")
    assert not Item.objects.exists()


def test_a_change_touches_only_what_it_names(api: APIClient, apples: Item) -> None:
    path = f"/api/v1/items/{ids.public('itm', apples.id)}"
    changed = api.patch(path, {"price": {"amount": 250, "currency": "CNY"}, "active": False}).json()
    assert (changed["name"], changed["unit"], changed["price"]["amount"], changed["active"]) == (
        "Apples",
        "pile",
        250,
        False,
    )
    assert changed["code"]["price"] == {"amount": 250, "currency": "CNY"}


def test_a_deleted_item_is_gone_and_its_codes_are_retired(api: APIClient, apples: Item) -> None:
    public = ids.public("itm", apples.id)
    api.post("/api/v1/codes", {"kind": "item", "item": public})
    assert api.delete(f"/api/v1/items/{public}").status_code == 204
    assert api.get("/api/v1/items").json()["results"] == []
    for request in (api.get, api.delete, api.patch):
        assert problem(request(f"/api/v1/items/{public}")) == (404, "not_found")
    assert [(code.state, code.retired_at is not None) for code in apples.codes.all()] == [("retired", True)] * 2
    assert Code.objects.get(kind="shop").state == "active"
    assert problem(api.post("/api/v1/codes", {"kind": "item", "item": public})) == (400, "item_unknown")


def test_items_come_in_pages_newest_first_at_a_constant_cost(
    api: APIClient, mei: Person, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        items.create(shop=mei.shop, name=f"Item {number}", amount=100, unit="", photo=None, now=now)
    names: list[str] = []
    address: str | None = "/api/v1/items?limit=2"
    while address:
        with django_assert_num_queries(4):
            page = api.get(address).json()
        assert set(page) == {"next", "previous", "results"}
        names += [item["name"] for item in page["results"]]
        address = page["next"]
    assert names == [f"Item {number}" for number in (4, 3, 2, 1, 0)]


def test_nobody_sees_or_changes_anothers_items(mei: Person, arjun: Person, apples: Item) -> None:
    path = f"/api/v1/items/{ids.public('itm', apples.id)}"
    his = arjun.api()
    assert his.get("/api/v1/items").json()["results"] == []
    for refused in (his.get(path), his.patch(path, {"name": "Mine"}), his.delete(path)):
        assert problem(refused) == (404, "not_found")
    apples.refresh_from_db()
    assert (apples.name, apples.deleted_at) == ("Apples", None)


@pytest.mark.parametrize("public", ["itm_", "itm_zzz", "cod_0000000000000000000000000a", "1", "itm_" + "9" * 26])
def test_an_id_that_cannot_be_is_not_found(api: APIClient, public: str) -> None:
    assert problem(api.get(f"/api/v1/items/{public}")) == (404, "not_found")


def test_an_assistant_sees_the_items_and_changes_none(lan: Person, apples: Item) -> None:
    hers, path = lan.api(), f"/api/v1/items/{ids.public('itm', apples.id)}"
    assert len(hers.get("/api/v1/items").json()["results"]) == 1
    for refused in (
        hers.post("/api/v1/items", {"name": "Pears", "price": PRICE}),
        hers.patch(path, {"name": "Mine"}),
        hers.delete(path),
    ):
        assert problem(refused) == (403, "role_too_low")
    apples.refresh_from_db()
    assert (apples.name, apples.deleted_at, Item.objects.count()) == ("Apples", None, 1)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"name": "a" * 1_100_000}, 413, "body_too_large"),
        ({f"field{number}": "1" for number in range(1001)}, 400, "form_too_large"),
        ({f"file{number}": number for number in range(101)}, 400, "form_too_large"),
    ],
    ids=["a long field", "many fields", "many files"],
)
def test_a_form_with_more_than_a_photo_in_it_is_refused(
    api: APIClient, apples: Item, fields: dict[str, Any], status: int, code: str
) -> None:
    sent = {name: picture() if isinstance(value, int) else value for name, value in fields.items()}
    changed = api.patch(
        f"/api/v1/items/{ids.public('itm', apples.id)}", {"photo": picture(), **sent}, format="multipart"
    )
    assert problem(changed) == (status, code)
    apples.refresh_from_db()
    assert (apples.name, apples.photo.name) == ("Apples", "")
