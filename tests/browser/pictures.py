"""Pictures of every main page, for people to look at: `python -m tests.browser.pictures <folder> [look …]`.

It starts the product, opens a shop for each look (English in light and in dark, Chinese, Arabic, Hindi), lets
customers pay there, and keeps each page as 360×740 shows it, and whole where it is longer.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM, PHONE, Product, Vendor, running

DESK = {"width": 1280, "height": 900}
CONTENT = "([...document.querySelectorAll('dialog[open]')].at(-1) ?? document.documentElement).scrollHeight"
LONGEST = 2600  # Of a whole page, in CSS pixels.


@dataclass(frozen=True)
class Look:
    """A language and its light, with a shop of a country where it is read: what it sells, for how many minor units."""

    name: str
    language: str
    locale: str
    country: str
    currency: str
    shop: str
    goods: tuple[tuple[str, int, str, str, str], ...]
    reason: str
    number_digits: int
    dark: bool = False


FRUIT = ("#c0392b", "#e08e0b", "#f4d03f", "#6c3483")
ENGLISH = (
    ("Red apples", 200, "pile", FRUIT[0], "#fbe9e7"),
    ("Oranges", 350, "kg", FRUIT[1], "#fff3e0"),
    ("Ripe mangoes", 1200, "box", FRUIT[2], "#fffde7"),
    ("Grapes", 800, "kg", FRUIT[3], "#f3e5f5"),
)
LOOKS = (
    Look("en", "en", "en", "+86138", "CNY", "Mei's fruit", ENGLISH, "bruised", 8),
    Look("en-dark", "en", "en", "+86138", "CNY", "Mei's fruit", ENGLISH, "bruised", 8, dark=True),
    Look(
        "zh",
        "zh-hans",
        "zh-CN",
        "+86138",
        "CNY",
        "小梅水果摊",
        (
            ("红富士苹果", 200, "堆", FRUIT[0], "#fbe9e7"),
            ("脐橙", 350, "斤", FRUIT[1], "#fff3e0"),
            ("芒果", 1200, "箱", FRUIT[2], "#fffde7"),
            ("葡萄", 800, "斤", FRUIT[3], "#f3e5f5"),
        ),
        "有磕碰",
        8,
    ),
    Look(
        "ar",
        "ar",
        "ar-KW",
        "+96550",
        "KWD",
        "فواكه أم خالد",
        (
            ("تفاح أحمر", 500, "كيلو", FRUIT[0], "#fbe9e7"),
            ("برتقال", 750, "كيلو", FRUIT[1], "#fff3e0"),
            ("مانجو", 2250, "صندوق", FRUIT[2], "#fffde7"),
            ("عنب", 1500, "كيلو", FRUIT[3], "#f3e5f5"),
        ),
        "فيه كدمات",
        6,
    ),
    Look(
        "hi",
        "hi",
        "hi-IN",
        "+9198",
        "INR",
        "मीना फल भंडार",
        (
            ("लाल सेब", 12000, "किलो", FRUIT[0], "#fbe9e7"),
            ("संतरे", 6000, "किलो", FRUIT[1], "#fff3e0"),
            ("पका आम", 45000, "पेटी", FRUIT[2], "#fffde7"),
            ("अंगूर", 9000, "किलो", FRUIT[3], "#f3e5f5"),
        ),
        "दागी निकले",
        8,
    ),
)


def fruit(colour: str, ground: str) -> bytes:
    """A photo, as far as one is drawn: three round fruits on a cloth."""
    picture = Image.new("RGB", (1200, 900), ground)
    pen = ImageDraw.Draw(picture)
    for x, y in ((420, 560), (790, 560), (605, 350)):
        pen.ellipse((x - 215, y - 190, x + 215, y + 215), fill=colour)
        pen.ellipse((x - 120, y - 130, x - 40, y - 60), fill=ground)
        pen.line((x, y - 185, x + 30, y - 260), fill="#5d4037", width=16)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()


@dataclass
class Stall:
    """The shop of a look, with its items' codes, and receipts by what became of them."""

    look: Look
    vendor: Vendor
    phone: str
    codes: list[str]
    any_amount: str
    receipts: dict[str, str]


def opened(product: Product, look: Look) -> Stall:
    """A shop with four items; seven customers have paid there, one too little, one twice, and two got money back."""
    phone = look.country + "".join(secrets.choice("0123456789") for _ in range(look.number_digits))
    api = f"{product.url}/api/v1"
    mine: dict[str, Any] = {"Accept-Language": look.language}
    assert requests.post(f"{api}/auth/code", json={"phone": phone}, timeout=10).status_code == 202
    asked = {"phone": phone, "code": product.code_sent_to(phone), "shop_name": look.shop}
    vendor = Vendor(api, requests.post(f"{api}/auth/token", json=asked, headers=mine, timeout=10).json()["token"])
    mine["Authorization"] = f"Bearer {vendor.token}"
    codes: list[str] = []
    for name, amount, unit, colour, ground in reversed(look.goods):
        made: Any = vendor.post(
            "/items", {"name": name, "price": {"amount": amount, "currency": look.currency}, "unit": unit}
        )
        codes.insert(0, made["code"]["url"])
        photo = {"photo": ("photo.jpg", fruit(colour, ground), "image/jpeg")}
        assert requests.patch(f"{api}/items/{made['id']}", files=photo, headers=mine, timeout=20).status_code == 200
    [any_amount, *_rest] = requests.get(f"{api}/codes?kind=shop", headers=mine, timeout=10).json()["results"]
    stall = Stall(look, vendor, phone, codes, any_amount["url"], {})
    for name, code, quantity, fault in (
        ("refunded", 0, 2, ""),
        ("partly", 1, 3, ""),
        ("double", 1, 1, "double"),
        ("first", 3, 1, ""),
        ("short", 2, 1, "short"),
        ("second", 0, 1, ""),
        ("paid", 2, 2, ""),
    ):
        stall.receipts[name] = paid(codes[code], quantity, fault)
    part: dict[str, object] = {"amount": {"amount": look.goods[1][1], "currency": look.currency}, "reason": look.reason}
    for name, asked_back in (("refunded", {}), ("partly", part)):
        vendor.post(f"/payments/{of_receipt(stall.receipts[name], product)}/refunds", asked_back)
    return stall


def paid(url: str, quantity: int = 1, fault: str = "") -> str:
    """Somebody scans the code and approves, and the wallet does with it as it is told: the receipt."""
    payer = requests.Session()
    page = re.search(r'name="page" value="([^"]+)"', payer.get(url, timeout=10).text)
    assert page is not None
    asked = {"page": page[1], "quantity": quantity}
    sent = payer.post(f"{url}/pay", data=asked, allow_redirects=False, timeout=10)
    chosen = {"decision": "approve", **({"behaviour": fault} if fault else {})}
    answer = payer.post(sent.headers["Location"], data=chosen, allow_redirects=False, timeout=10)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def of_receipt(receipt: str, product: Product) -> str:
    """The payment that a customer's receipt is of, once it has been told."""
    code = f"""
import time
from merchants import ids
from payments.models import Payment
for _ in range(100):
    found = Payment.objects.filter(intent__receipt={receipt.rsplit("/", 1)[-1]!r}).order_by("id").first()
    if found:
        break
    time.sleep(0.1)
print(ids.public("pay", found.id))
"""
    return product.manage("shell", "--no-imports", "-c", code).splitlines()[-1]


@dataclass
class Album:
    """Where the pictures of one look go."""

    folder: Path

    def keep(self, page: Page, name: str, *, whole: bool = True) -> None:
        """As the phone shows it, and the whole of it where there is more."""
        page.wait_for_timeout(150)
        page.screenshot(path=self.folder / f"{name}.png")
        size = page.viewport_size
        assert size is not None
        height = page.evaluate(CONTENT)
        if whole and height > size["height"] + 8:
            page.set_viewport_size({"width": size["width"], "height": min(height, LONGEST)})
            page.wait_for_timeout(150)
            page.screenshot(path=self.folder / f"{name}-whole.png")
            page.set_viewport_size(size)


@contextmanager
def new_page(browser: Browser, look: Look, size: dict[str, int], scale: int = 2) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        device_scale_factor=scale,
        locale=look.locale,
        color_scheme="dark" if look.dark else "light",
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


@dataclass
class Words:
    """The phone page's own sentences in a look's language."""

    catalogue: dict[str, Any]

    def __call__(self, english: str, **values: str) -> str:
        said = self.catalogue.get(english, english)
        assert isinstance(said, str)
        return said.format(**values)


def words_of(product: Product, look: Look) -> Words:
    if look.language == "en":
        return Words({})
    return Words(requests.get(f"{product.url}/app/words/{look.language}.json", timeout=10).json())


def front(page: Page) -> Locator:
    return page.locator("dialog[open]").last if page.locator("dialog[open]").count() else page.locator("#screen")


def press(page: Page, name: str) -> None:
    front(page).get_by_role("button", name=name, exact=True).first.click()


def back(page: Page) -> None:
    front(page).locator(".close").click()


def of_the_vendor(browser: Browser, product: Product, stall: Stall, album: Album) -> None:
    look = stall.look
    t = words_of(product, look)
    with new_page(browser, look, PHONE) as page:
        page.goto(f"{product.url}/app/")
        expect(page.get_by_role("button", name=t("Send me a code"))).to_be_visible()
        album.keep(page, "vendor-entrance")
        kept = json.dumps({"token": stall.vendor.token})
        page.add_init_script(f"localStorage.pushcart ??= {json.dumps(kept)}")
        page.reload()
        expect(page.get_by_text(t("Live"), exact=True)).to_be_visible()
        expect(page.locator("#payments li").nth(6)).to_be_visible()
        expect(page.locator(".items li").nth(3)).to_be_visible()
        page.wait_for_function("() => [...document.images].every((image) => image.complete)")
        album.keep(page, "vendor-home")

        press(page, t("Start selling"))
        album.keep(page, "vendor-selling")
        press(page, t("For one customer"))
        for key in (0, 1, 9, 4, 11, 7):  # 12.5 + 8, in whatever digits.
            front(page).locator(".keys .key").nth(key).click()
        album.keep(page, "vendor-keypad")
        back(page)
        back(page)
        page.locator(".items button").first.click()
        page.wait_for_timeout(600)
        album.keep(page, "vendor-code")
        press(page, t("Change the item"))
        album.keep(page, "vendor-item")
        back(page)
        press(page, t("+ Add an item"))
        album.keep(page, "vendor-add")
        back(page)
        of_her_money(page, t, album)
        press(page, t("Settings"))
        page.wait_for_timeout(500)
        album.keep(page, "vendor-settings")
        back(page)
        press(page, t("Check a receipt or a code"))
        page.wait_for_timeout(400)
        album.keep(page, "vendor-check")
        back(page)
        page.context.set_offline(True)
        press(page, t("+ Add an item"))
        front(page).locator("[name=name]").fill(look.goods[0][0])
        front(page).locator("[name='price']").fill("3")
        press(page, t("Add"))
        expect(page.locator("#waiting li")).to_be_visible(timeout=20_000)
        page.evaluate("scrollTo(0, 0)")
        album.keep(page, "vendor-not-sent")
        page.context.set_offline(False)


def of_her_money(page: Page, t: Words, album: Album) -> None:
    press(page, t("All payments"))
    expect(front(page).locator("li").nth(6)).to_be_visible()
    album.keep(page, "vendor-payments")
    front(page).locator("li button").nth(-2).click()
    page.wait_for_timeout(500)
    album.keep(page, "vendor-payment-partly")
    back(page)
    front(page).locator("li button").nth(1).click()
    page.wait_for_timeout(500)
    album.keep(page, "vendor-payment")
    front(page).locator("button.plain, button.go").first.click()
    album.keep(page, "vendor-refund")
    back(page)
    back(page)
    front(page).locator("li", has_text=t("Less than asked")).locator("button").click()
    page.wait_for_timeout(500)
    album.keep(page, "vendor-payment-short")
    while page.locator("dialog[open]").count():
        back(page)
    press(page, t("Today's takings"))
    expect(front(page).locator("dl").nth(2)).to_be_visible()
    album.keep(page, "vendor-day")
    back(page)


def of_what_is_archived(browser: Browser, product: Product, stall: Stall, album: Album) -> None:
    """Of another shop, whose past is in an archive."""
    past, t = product.past, words_of(product, stall.look)
    assert past is not None
    with new_page(browser, stall.look, PHONE) as page:
        signed_in = json.dumps({"token": past.vendor.token})
        page.add_init_script(f"localStorage.pushcart ??= {json.dumps(signed_in)}")
        page.goto(f"{product.url}/app/")
        press(page, t("Today's takings"))
        front(page).locator("[type=date]").fill(str(past.day))
        expect(front(page).locator("[role=status] + button")).to_be_visible()
        album.keep(page, "vendor-day-archived")
        page.goto(past.receipt)
        expect(page.locator("main[data-kind=paid]")).to_be_visible()
        album.keep(page, "customer-paid-archived")


def of_the_customer(browser: Browser, product: Product, stall: Stall, album: Album) -> None:
    with new_page(browser, stall.look, PHONE) as page:
        for name, url in (
            ("pay", stall.codes[0]),
            ("pay-any", stall.any_amount),
            ("paid", stall.receipts["paid"]),
            ("refunded", stall.receipts["refunded"]),
            ("partly", stall.receipts["partly"]),
            ("double", stall.receipts["double"]),
            ("short", stall.receipts["short"]),
            ("sorry", f"{product.url}/s/nobodys-1"),
        ):
            page.goto(url)
            page.wait_for_load_state("load")
            page.wait_for_timeout(300)
            album.keep(page, f"customer-{name}")
        page.goto(paid(stall.codes[0], 1, "delay"))
        page.wait_for_timeout(300)
        album.keep(page, "customer-waiting")


HOLD = """
from django.conf import settings
from django.utils import timezone
from merchants import ids
from payments import refunds
from payments.models import Payment
payment = Payment.objects.filter(shop__name={shop!r}, refunds=None, placed=True).latest("id")
settings.REFUND_REVIEW_ABOVE = {{payment.currency: 10}}
refunds.request(
    staff=payment.shop.staff.get(role="owner"), payment=payment, amount=100, reason={reason!r}, now=timezone.now()
)
print(ids.public("shp", payment.shop_id))
"""


def of_the_operator(browser: Browser, product: Product, stall: Stall, album: Album) -> None:
    look = stall.look
    shop = product.manage("shell", "--no-imports", "-c", HOLD.format(shop=look.shop, reason=look.reason))
    shop = shop.splitlines()[-1]
    phone = "+861370" + "".join(secrets.choice("0123456789") for _ in range(7))
    printed = product.manage("add_operator", phone, "--generate", "--superuser")
    password = re.search(r"Password: (\S+)", printed)
    assert password is not None
    [code, *_rest] = re.findall(r"^  ([a-z2-7]{8})$", printed, re.MULTILINE)
    with new_page(browser, look, DESK, 1) as page:
        page.goto(f"{product.url}/admin/")
        for name, value in (("username", phone), ("password", password[1]), ("otp_token", code)):
            page.locator(f"[name={name}]").fill(value)
        album.keep(page, "operator-login")
        page.locator("input[type=submit]").click()
        page.wait_for_load_state("load")
        pages = (
            ("index", ""),
            ("today", "today/"),
            ("story", f"find/?q={shop}"),
            ("find", f"find/?q={stall.phone[:7]}"),
            ("archives", "payments/archive/"),
            ("refunds", "payments/refund/?held=yes"),
        )
        for size, ending in ((DESK, ""), (PHONE, "-phone")):
            page.set_viewport_size({"width": size["width"], "height": size["height"]})
            for name, path in pages:
                page.goto(f"{product.url}/admin/{path}")
                album.keep(page, f"operator-{name}{ending}")
            page.locator("#result_list th a").first.click()
            page.wait_for_load_state("load")
            album.keep(page, f"operator-refund{ending}")


FACES: tuple[Callable[[Browser, Product, Stall, Album], None], ...] = (
    of_the_vendor,
    of_what_is_archived,
    of_the_customer,
    of_the_operator,
)


def main(folder: Path, chosen: Sequence[str]) -> None:
    with running() as product, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for look in LOOKS:
            if chosen and look.name not in chosen:
                continue
            stall = opened(product, look)
            album = Album(folder / look.name)
            album.folder.mkdir(parents=True, exist_ok=True)
            for face in FACES:
                face(browser, product, stall, album)
            print(look.name, len(list(album.folder.glob("*.png"))), "pictures")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
