"""The shop over the API, and when its currency can still be changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import codes, ids
from merchants.models import Code, Item, Shop, WalletCode
from tests.cast import Person, field_problems, problem
from tests.test_items import picture


def test_an_owner_changes_her_shop(api: APIClient, mei: Person) -> None:
    asked = {"name": "Mei's big fruit", "country": "SG", "currency": "SGD", "time_zone": "Asia/Singapore"}
    changed = api.patch("/api/v1/shop", asked)
    assert changed.status_code == 200
    assert {field: changed.json()[field] for field in asked} == asked
    assert api.get("/api/v1/shop").json() == changed.json()


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"name": ""}, {"name": "blank"}),
        ({"country": "ZZ"}, {"country": "country_unknown"}),
        ({"currency": "XAU"}, {"currency": "currency_unknown"}),
        ({"currency": "cny"}, {"currency": "currency_unknown"}),
        ({"time_zone": "Mars/Base"}, {"time_zone": "time_zone_unknown"}),
        ({"colour": "green"}, {"colour": "colour_unknown"}),
        ({"colour": "#ffd700"}, {"colour": "colour_unreadable"}),
        ({"colour": "#c00000"}, {"colour": "colour_unreadable"}),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_changes(
    api: APIClient, mei: Person, change: dict[str, str], refused: dict[str, str]
) -> None:
    before = Shop.objects.values().get()
    assert field_problems(api.patch("/api/v1/shop", change)) == refused
    assert Shop.objects.values().get() == before


def test_what_only_we_decide_is_not_changed_by_asking(api: APIClient, mei: Person) -> None:
    answer = api.patch("/api/v1/shop", {"state": "closed", "role": "x", "currency_locked": True, "id": "shp_1"})
    assert (answer.status_code, answer.json()["state"], answer.json()["currency_locked"]) == (200, "active", False)
    assert answer.json()["id"] == ids.public("shp", mei.shop.id)


def test_the_currency_is_fixed_once_a_customer_began_to_pay(api: APIClient, mei: Person) -> None:
    Shop.objects.update(currency_locked_at=timezone.now())
    assert problem(api.patch("/api/v1/shop", {"currency": "USD", "name": "X"})) == (409, "currency_locked")
    assert Shop.objects.values_list("currency", "name").get() == ("CNY", "Mei's fruit")
    same = api.patch("/api/v1/shop", {"currency": "CNY", "name": "X"}).json()
    assert (same["name"], same["currency_locked"]) == ("X", True)


def test_the_currency_stays_while_there_are_prices_in_it(
    api: APIClient, mei: Person, apples: Item, now: datetime
) -> None:
    assert problem(api.patch("/api/v1/shop", {"currency": "USD"})) == (409, "currency_in_use")
    api.delete(f"/api/v1/items/{ids.public('itm', apples.id)}")
    code = codes.create(shop=mei.shop, kind="one_time", amount=500, now=now)
    assert problem(api.patch("/api/v1/shop", {"currency": "USD"})) == (409, "currency_in_use")
    Code.objects.filter(id=code.id).update(expires_at=now - timedelta(seconds=1))
    own = WalletCode.objects.create(shop=mei.shop, staff=mei.staff, profile="pix", payload="x", created_at=now)
    assert problem(api.patch("/api/v1/shop", {"currency": "USD"})) == (409, "currency_in_use")
    WalletCode.objects.filter(id=own.id).update(state="retired")
    assert api.patch("/api/v1/shop", {"currency": "USD"}).json()["currency"] == "USD"


def test_a_shop_has_a_photo(api: APIClient, mei: Person) -> None:
    shop = api.patch("/api/v1/shop", {"photo": picture()}, format="multipart").json()
    assert shop["photo"].startswith("http://127.0.0.1:8000/media/shops/")
    assert (shop["name"], shop["currency"]) == ("Mei's fruit", "CNY")
    assert api.patch("/api/v1/shop", {"photo": None}).json()["photo"] is None


def test_a_shop_has_a_colour_for_its_codes_and_goes_back_to_black(api: APIClient, mei: Person) -> None:
    assert api.patch("/api/v1/shop", {"colour": "#0B6B46"}).json()["colour"] == "#0b6b46"
    assert api.patch("/api/v1/shop", {"name": "Mei"}).json()["colour"] == "#0b6b46"
    assert api.patch("/api/v1/shop", {"colour": ""}).json()["colour"] == ""
    assert Shop.objects.get().colour == ""


def test_a_colour_that_is_refused_says_why_in_a_sentence(api: APIClient, mei: Person) -> None:
    (error,) = api.patch("/api/v1/shop", {"colour": "#c00000"}).json()["errors"]
    assert error["detail"] == "Scanners with a red lamp see this colour as white. Choose one with less red in it."


def test_a_logo_is_replaced_and_removed_and_its_file_with_it(api: APIClient, real_db: None, mei: Person) -> None:
    first = api.patch("/api/v1/shop", {"logo": picture(), "photo": picture()}, format="multipart").json()
    assert first["logo"].startswith("http://127.0.0.1:8000/media/logos/")
    second = api.patch("/api/v1/shop", {"logo": picture()}, format="multipart").json()
    assert (second["logo"] != first["logo"], second["photo"]) == (True, first["photo"])
    assert [api.get(shown["logo"]).status_code for shown in (first, second)] == [404, 200]
    assert api.patch("/api/v1/shop", {"logo": None}).json()["logo"] is None
    assert api.get(second["logo"]).status_code == 404


def test_a_logo_that_is_refused_leaves_the_old_one_and_no_photo_behind(api: APIClient, mei: Person) -> None:
    kept = api.patch("/api/v1/shop", {"logo": picture()}, format="multipart").json()
    files = {path.name for path in Path(settings.MEDIA_ROOT).rglob("*.jpg")}
    bad = SimpleUploadedFile("logo.svg", b"<svg/>", "image/svg+xml")
    refused = api.patch("/api/v1/shop", {"photo": picture(), "logo": bad, "name": "X"}, format="multipart")
    assert problem(refused) == (400, "photo_unreadable")
    assert api.get("/api/v1/shop").json() == kept
    assert {path.name for path in Path(settings.MEDIA_ROOT).rglob("*.jpg")} == files


def test_an_assistant_sees_the_shop_and_changes_nothing(lan: Person) -> None:
    assert lan.api().get("/api/v1/shop").json()["role"] == "assistant"
    assert problem(lan.api().patch("/api/v1/shop", {"name": "Lan's"})) == (403, "role_too_low")
    assert Shop.objects.get().name == "Mei's fruit"
