"""A sticker says what its code is for, in the shop's language."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image

from merchants import codes
from merchants.models import Code, Item
from qr import stickers
from tests.cast import Person


@pytest.fixture
def code(apples: Item) -> Code:
    return Code.objects.select_related("shop", "item").get(item=apples)


def test_an_items_sticker_says_its_name_its_price_and_its_shop(code: Code) -> None:
    assert code.item is not None
    code.item.unit = "堆"
    assert stickers.of_code(code) == stickers.Sticker(
        text=f"http://127.0.0.1:8000/s/{code.slug}",
        title=code.item.name,
        price="¥2.00 / 堆",
        shop=code.shop.name,
        caption="扫码付款",
    )


def test_a_price_and_a_language_are_as_they_are_asked_for(code: Code) -> None:
    found = stickers.of_code(code, language="pt-BR", price=False)
    assert (found.price, found.caption) == ("", "Escaneie para pagar")


def test_a_shops_code_is_titled_by_its_label_or_by_the_shop(mei: Person) -> None:
    code = Code.objects.select_related("shop", "item").get(shop=mei.shop, kind="shop")
    plain = stickers.of_code(code)
    assert (plain.title, plain.shop, plain.price) == (mei.shop.name, "", "")
    named = codes.create(shop=mei.shop, kind="shop", label="Left cart", now=timezone.now())
    labelled = stickers.of_code(named)
    assert (labelled.title, labelled.shop) == ("Left cart", mei.shop.name)


def test_the_check_word_is_said_once_the_shop_has_one(code: Code) -> None:
    assert stickers.of_code(code).word == ""
    code.shop.check_word = "蓝色海豚"
    assert stickers.of_code(code).word == "蓝色海豚"


def test_a_photo_comes_along_where_it_is_asked_for_and_its_loss_stops_nothing(code: Code) -> None:
    assert code.item is not None
    jpeg = BytesIO()
    Image.new("RGB", (8, 8), "red").save(jpeg, "JPEG")
    code.item.photo.save("a.jpg", ContentFile(jpeg.getvalue()), save=False)
    assert stickers.of_code(code).photo == b""
    assert stickers.of_code(code, photo=True).photo == jpeg.getvalue()
    code.item.photo.storage.delete(str(code.item.photo.name))
    assert stickers.of_code(code, photo=True).photo == b""
