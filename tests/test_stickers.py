"""A sticker says what its code is for, in the shop's language."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image

from merchants import codes
from merchants.models import Code, Item
from qr import draw, stickers
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
        word=code.shop.check_word,
        caption="扫码付款",
    )


def test_a_price_and_a_language_are_as_they_are_asked_for(code: Code) -> None:
    found = stickers.of_code(code, language="pt-BR", price=False)
    assert (found.price, found.caption) == ("", "Escaneie para pagar")


@pytest.mark.parametrize(
    ("country", "currency", "language", "price"),
    [
        ("IN", "INR", "hi", "₹2.00"),
        ("VN", "VND", "vi", "₫200"),
        ("LK", "LKR", "en", "LKR2.00"),
        ("ET", "ETB", "en", "ETB2.00"),
        ("KH", "KHR", "km", "៛2.00"),
        ("KH", "KHR", "en", "KHR2.00"),
    ],
)
def test_a_currency_whose_sign_no_font_has_is_written_by_its_code(
    code: Code, country: str, currency: str, language: str, price: str
) -> None:
    assert code.item is not None
    code.shop.country, code.item.currency, code.item.unit = country, currency, ""
    assert stickers.of_code(code, language=language).price == price


def test_a_shops_code_is_titled_by_its_label_or_by_the_shop(mei: Person) -> None:
    code = Code.objects.select_related("shop", "item").get(shop=mei.shop, kind="shop")
    plain = stickers.of_code(code)
    assert (plain.title, plain.shop, plain.price) == (mei.shop.name, "", "")
    named = codes.create(shop=mei.shop, kind="shop", label="Left cart", now=timezone.now())
    labelled = stickers.of_code(named)
    assert (labelled.title, labelled.shop) == ("Left cart", mei.shop.name)


def test_the_check_word_is_the_shops(code: Code) -> None:
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


def test_a_poster_wears_the_shops_colour_and_logo_as_far_as_they_are_read(code: Code) -> None:
    shop = code.shop
    shop.colour = "#0b3d91"
    shop.logo.save("logo.png", ContentFile(square("teal")), save=False)
    assert (stickers.of_code(code).colour, stickers.of_code(code).logo) == ("#0b3d91", b"")
    assert stickers.poster(code).sticker.logo == square("teal")
    shop.logo.save("logo.png", ContentFile(draw.png("https://elsewhere.example", 600)), save=False)
    assert stickers.poster(code).sticker.logo == b""  # A phone might open what the logo says.
    shop.colour = "#ffee00"
    assert stickers.of_code(code).colour == ""


def square(color: str) -> bytes:
    out = BytesIO()
    Image.new("RGB", (64, 64), color).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("unit", "headline"),
    [
        ("", "Scan me and pay ¥2.00"),
        ("Pile", "Scan me: this pile for ¥2.00"),
        ("kg", "Scan me to pay"),
    ],
)
def test_the_headline_says_the_price_where_one_scan_buys_it(code: Code, unit: str, headline: str) -> None:
    assert code.item is not None
    code.item.unit = unit
    assert stickers.poster(code, language="en").headline == headline
    assert stickers.poster(code, language="en", price=False).headline == "Scan me to pay"


def test_the_sign_of_a_shop_asks_for_the_amount(mei: Person) -> None:
    code = Code.objects.select_related("shop", "item").get(shop=mei.shop, kind="shop")
    code.shop.check_word = "blue dolphin"
    sign = stickers.poster(code, language="en")
    assert (sign.headline, sign.other) == ("Scan me and type the amount", "Another word? Do not pay.")
    assert (sign.sticker.word, sign.check) == ("blue dolphin", "Your pay page must show this word:")
    assert stickers.of_code(code, language="en", line=True).word == "Check word: blue dolphin"
