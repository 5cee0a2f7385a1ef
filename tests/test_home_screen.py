"""What a phone keeps of a stall: its manifest and icon, for codes that last, by no cookie."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image

from merchants import codes, items, shops
from merchants.models import Code, Item
from tests.cast import Person
from tests.till import platform, shop_code


@pytest.fixture(autouse=True)
def account(db: None) -> None:
    platform()


def photo(colour: str) -> SimpleUploadedFile:
    out = io.BytesIO()
    Image.new("RGB", (800, 600), colour).save(out, "JPEG")
    return SimpleUploadedFile("photo.jpg", out.getvalue())


def kept(client: Client, code: Code) -> Any:
    """What the phone is told by the address that the page names."""
    page = client.get(f"/s/{code.slug}").content.decode()
    address = f"/s/{code.slug}/app.webmanifest"
    assert f'<link rel="manifest" href="{address}">' in page
    return Client().get(address)


def test_a_stall_is_kept_under_its_name_and_opens_its_pay_page(client: Client, mei: Person) -> None:
    code = shop_code(mei.shop)
    answer = kept(client, code)
    said = answer.json()
    assert (said["name"], said["short_name"], said["dir"]) == ("Mei's fruit", "Mei's fruit", "auto")
    assert said["start_url"] == said["id"] == said["scope"] == f"/s/{code.slug}"
    assert said["display"] == "browser"  # No browser asks by itself whether such a page should be kept.
    assert [icon["sizes"] for icon in said["icons"]] == ["192x192", "512x512"]
    assert answer.headers["Content-Type"] == "application/manifest+json"
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert not answer.cookies


def test_a_code_of_an_item_is_kept_under_the_items_name_with_its_photo_or_the_shops(
    client: Client, mei: Person, apples: Item
) -> None:
    code = apples.codes.get()
    shops.update(shop=mei.shop, photo=photo("blue"), now=timezone.now())
    said = kept(client, code).json()
    assert (said["name"], said["short_name"]) == ("Apples · Mei's fruit", "Apples")
    assert said["icons"] == [{"src": f"/s/{code.slug}/icon.png", "sizes": "192x192", "type": "image/png"}]
    assert seen(client, code) == (0, 0, 254)
    items.update(item=apples, photo=photo("red"))
    assert seen(client, code) == (254, 0, 0)


def seen(client: Client, code: Code) -> Any:
    """The colour in the middle of the icon, which is a small square PNG of our own making."""
    answer = client.get(f"/s/{code.slug}/icon.png")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    picture = Image.open(io.BytesIO(answer.content), formats=("PNG",))
    assert picture.size == (192, 192)
    assert len(answer.content) <= 20_480
    return picture.convert("RGB").getpixel((96, 96))


def test_a_code_for_one_payment_and_one_that_is_gone_are_not_kept(client: Client, mei: Person, apples: Item) -> None:
    once = codes.create(shop=mei.shop, kind="one_time", amount=990, label="Shoe repair", now=timezone.now())
    assert b"manifest" not in client.get(f"/s/{once.slug}").content
    assert "manifest-src" not in client.get(f"/s/{once.slug}").headers["Content-Security-Policy"]
    gone = apples.codes.get()
    codes.change(code=gone, state="retired", now=timezone.now())
    for slug in (once.slug, gone.slug, "23456789ABCD"):
        for file in ("app.webmanifest", "icon.png"):
            assert client.get(f"/s/{slug}/{file}").status_code == 404
    assert client.get(f"/s/{shop_code(mei.shop).slug}/icon.png").status_code == 404  # There is no photo.
