"""What a printed code says: its content, the title, the price, whose it is, the check word and a line for the payer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db.models.fields.files import FieldFile

from merchants import codes, colours, countries, lettering, money
from merchants.models import Code, Shop
from qr import draw, phrases
from qr.branding import LOGO_LEVEL, Style, Unreadable


@dataclass(frozen=True, slots=True)
class Sticker:
    """Everything that is read on one printed code. `text` is what scanners read, the rest is for people.

    `price` is written out ("¥2.00 / pile"), `photo` is a JPEG; what is empty is left out. `colour` (#rrggbb) is that of
    the dark modules, and `logo` stands in their middle: on posters only, because its stronger code has finer modules.
    """

    text: str
    title: str
    price: str = ""
    shop: str = ""
    word: str = ""
    caption: str = ""
    photo: bytes = b""
    colour: str = ""
    logo: bytes = b""


@dataclass(frozen=True, slots=True)
class Poster:
    """What a poster or a table tent says beside its sticker, in whole sentences."""

    sticker: Sticker
    headline: str
    check: str = ""
    other: str = ""
    fold: str = ""


def of_code(code: Code, *, language: str = "", price: bool = True, photo: bool = False, line: bool = False) -> Sticker:
    """The sticker of a code with its shop and item, in the shop's language unless another is given.

    `line` says the check word in one line ("Check word: …"), as small labels do; a poster says it by itself.
    """
    shop, item = code.shop, code.item
    said = phrases.of(language or phrases.language(shop.country))
    title = item.name if item else code.label or shop.name
    return Sticker(
        text=code.url,
        title=title,
        price=_price(code, said) if price else "",
        shop="" if title == shop.name else shop.name,
        word=said.word.format(word=shop.check_word) if line else shop.check_word,
        caption=said.caption,
        photo=_bytes(item.photo if item else shop.photo) if photo else b"",
        colour="" if shop.colour and colours.objection(shop.colour) else shop.colour,
    )


def poster(code: Code, *, language: str = "", price: bool = True, photo: bool = True) -> Poster:
    """The poster of an item's code, or the sign of a shop's: its payer types the amount."""
    said = phrases.of(language or phrases.language(code.shop.country))
    sticker = of_code(code, language=language, price=price, photo=photo)
    sticker = replace(sticker, logo=_logo(code.shop, sticker))
    return Poster(
        sticker=sticker,
        headline=_headline(said, code, sticker.price),
        check=said.check,
        other=said.other,
        fold=said.fold,
    )


def _headline(said: phrases.Phrases, code: Code, price: str) -> str:
    if codes.price(code) is None:
        return said.amount
    unit = code.item.unit.strip().lower() if code.item else ""
    amount = price.removesuffix(f" / {code.item.unit}") if code.item else price
    if (unit and unit not in said.piles) or not price:
        return said.pay  # How many she buys is typed on the pay page.
    return (said.pile if unit else said.price).format(price=amount)


def _price(code: Code, said: phrases.Phrases) -> str:
    """What the code costs as people there write it, with what it buys; '' where the payer says how much."""
    price = codes.price(code)
    if price is None:
        return ""
    amount = money.shown(*price, countries.locale(code.shop.country))
    if lettering.drawable(amount) is None and lettering.drawable(said.caption) is not None:
        amount = money.shown(*price)  # The currency's sign is in no font of ours; its ISO code is.
    return f"{amount} / {code.item.unit}" if code.item and code.item.unit else amount


def _logo(shop: Shop, sticker: Sticker) -> bytes:
    """The shop's logo, unless a reader stumbles over it in this code: a sign without it is scanned all the same."""
    logo = _bytes(shop.logo)
    if not logo:
        return b""
    try:
        draw.svg(sticker.text, style=Style(LOGO_LEVEL, sticker.colour, logo))
    except Unreadable:
        return b""
    return logo


def _bytes(picture: FieldFile) -> bytes:
    if not picture:
        return b""
    try:
        with picture.storage.open(str(picture.name)) as file:
            return bytes(file.read())
    except FileNotFoundError:  # Replaced in this moment: a sign without it still sells.
        return b""
