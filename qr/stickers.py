"""What a printed code says: its content, the title, the price, whose it is, the check word and a line for the payer."""

from __future__ import annotations

from dataclasses import dataclass

from merchants import codes, countries, money
from merchants.models import Code
from qr import phrases


@dataclass(frozen=True, slots=True)
class Sticker:
    """Everything that is read on one printed code. `text` is what scanners read, the rest is for people.

    `price` is written out ("¥2.00 / pile"), `photo` is a JPEG; what is empty is left out.
    """

    text: str
    title: str
    price: str = ""
    shop: str = ""
    word: str = ""
    caption: str = ""
    photo: bytes = b""


def of_code(code: Code, *, language: str = "", price: bool = True, photo: bool = False) -> Sticker:
    """The sticker of a code with its shop and item, in the shop's language unless another is given."""
    shop, item = code.shop, code.item
    said = phrases.of(language or phrases.language(shop.country))
    title = item.name if item else code.label or shop.name
    return Sticker(
        text=code.url,
        title=title,
        price=shown_price(code) if price else "",
        shop="" if title == shop.name else shop.name,
        word=shop.check_word or "",
        caption=said.caption,
        photo=_photo(code) if photo else b"",
    )


def shown_price(code: Code) -> str:
    """What the code costs as people there write it, with what it buys; '' where the payer says how much."""
    price = codes.price(code)
    if price is None:
        return ""
    amount = money.shown(*price, countries.locale(code.shop.country))
    return f"{amount} / {code.item.unit}" if code.item and code.item.unit else amount


def _photo(code: Code) -> bytes:
    picture = code.item.photo if code.item else code.shop.photo
    if not picture:
        return b""
    try:
        with picture.storage.open(str(picture.name)) as file:
            return bytes(file.read())
    except FileNotFoundError:  # Replaced in this moment: a sign without it still sells.
        return b""
