"""A shop with things to see at every face of the product: what customers, its vendor and an operator meet on a day."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests import readers
from tests.browser.conftest import Product, Vendor, new_phone
from tests.browser.test_check import customer_pays
from tests.browser.words import ENGLISH, Words


@dataclass
class Operator:
    """Who signs in with another recovery code each time."""

    phone: str
    password: str
    codes: list[str]


@dataclass(frozen=True)
class Scene:
    """`receipts` and `codes` are addresses by what has become of them; `code` is the id of the item's."""

    vendor: Vendor
    item: str
    code: str
    any_amount: str
    receipts: dict[str, str]
    codes: dict[str, str]
    operator: Operator
    shop: str


SET = """
import io, json
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from merchants import batches, ids
from merchants.models import User
from payments import refunds, timers
from payments.models import Payment, PaymentIntent
output = io.StringIO()
call_command("add_operator", {phone!r}, "--generate", "--superuser", stdout=output)
operator = User.objects.get(phone={phone!r})
batch = batches.make(label="Market", size=3, operator=operator, reason="a fair", now=timezone.now())
waiting, expired, handed = PaymentIntent.objects.filter(state="open").order_by("-id")[:3]
PaymentIntent.objects.filter(id=expired.id).update(state="expired", closing="expired", closed_at=timezone.now())
timers.end(paid=[], unpaid=[expired.id])
way = {{"qr": "upi://pay?pa=a@b", "copy": "upi://pay?pa=a@b", "app_url": "upi://pay?pa=a@b"}}
PaymentIntent.objects.filter(id=handed.id).update(redirect_url="", handover=way)
receipts = {{"waiting": waiting.receipt, "expired": expired.receipt, "handed over": handed.receipt}}
settings.REFUND_REVIEW_ABOVE = {{"CNY": 10}}  # The refund of this payment waits for an operator.
payment = Payment.objects.filter(shop__isnull=False, refunds=None, placed=True).latest("id")
owner = payment.shop.staff.get(role="owner")
refunds.request(staff=owner, payment=payment, amount=100, reason="bruised", now=timezone.now())
shop = ids.public("shp", payment.shop_id)
print(json.dumps([output.getvalue(), receipts, batch.blanks.first().slug, shop]))
"""


def begins(url: str) -> str:
    """Somebody presses Pay and is sent to the wallet: the wallet's page."""
    session = requests.Session()
    page = re.search(r'name="page" value="([^"]+)"', session.get(url, timeout=10).text)
    assert page is not None
    sent = session.post(f"{url}/pay", data={"page": page[1]}, allow_redirects=False, timeout=10)
    return sent.headers["Location"]


def ends(url: str, **decision: str) -> str:
    """That payer decides so in the wallet: her receipt."""
    answer = requests.post(begins(url), decision, allow_redirects=False, timeout=10)
    assert answer.status_code == 303
    return answer.headers["Location"]


def proof_of(receipt: str) -> str:
    """What a camera reads on the receipt: the address of the page that says whether it is real."""
    picture = Image.open(io.BytesIO(requests.get(f"{receipt}/proof.png", timeout=10).content))
    [read] = readers.codes(picture)
    return str(read.text)


def set_scene(product: Product) -> Scene:
    vendor = product.vendor()
    mine = {"Authorization": f"Bearer {vendor.token}"}

    def sells(name: str) -> dict[str, str]:
        item = vendor.post("/items", {"name": name, "price": {"amount": 200, "currency": "CNY"}, "unit": "pile"})
        code = item["code"]
        assert isinstance(code, dict)
        return {"item": str(item["id"]), "id": str(code["id"]), "url": str(code["url"])}

    def change(path: str, **fields: object) -> None:
        assert requests.patch(vendor.api + path, json=fields, headers=mine, timeout=10).ok

    paused, stopped, apples = sells("Plums"), sells("Figs"), sells("Red apples")  # The newest stands first.
    change(f"/codes/{paused['id']}", state="suspended")
    change(f"/items/{stopped['item']}", active=False)
    url = apples["url"]
    [any_amount] = requests.get(f"{vendor.api}/codes?kind=shop", headers=mine, timeout=10).json()["results"]
    receipts = {
        "paid": customer_pays(url),
        "sent back": customer_pays(url),
        "twice": ends(url, decision="approve", behaviour="double"),
        "short": ends(url, decision="approve", behaviour="short"),
        "refused": ends(url, decision="refuse"),
    }
    paid = requests.get(f"{vendor.api}/payments", headers=mine, timeout=10).json()["results"]
    [given] = [payment["id"] for payment in paid if payment["receipt_url"] == receipts["sent back"]]
    vendor.post(f"/payments/{given}/refunds", {"reason": "bruised"})
    for _ in range(3):
        begins(url)
    phone = new_phone()
    told = product.manage("shell", "--no-imports", "-c", SET.format(phone=phone)).splitlines()[-1]
    printed, made, blank, shop = json.loads(told)
    password = re.search(r"Password: (\S+)", printed)
    assert password is not None
    return Scene(
        vendor=vendor,
        item=url,
        code=apples["id"],
        any_amount=any_amount["url"],
        receipts={**receipts, **{name: f"{product.url}/r/{receipt}" for name, receipt in made.items()}},
        codes={"paused": paused["url"], "not sold": stopped["url"], "blank": f"{product.url}/s/{blank}"},
        operator=Operator(phone, password[1], re.findall(r"^  ([a-z2-7]{8})$", printed, re.MULTILINE)),
        shop=shop,
    )


ALARM = {
    "id": "alm_1",
    "label": "Plums",
    "state": "open",
    "sentence": "Nobody has paid by “Plums” while 40 others paid you. Is another sticker over it?",
    "advice": "Look at it: your sign must show your check word.",
}
OWN = {
    "id": "wlc_1",
    "label": "My WeChat",
    "title": "WeChat",
    "payee": "Mei",
    "sentence": "Look into your own wallet before you hand over the goods.",
}
CHANGED = {"title": "Pretend wallet", "change": {"id": "chg_1", "effective_at": "2030-01-01T00:00:00Z"}}
# What signed in on another phone a moment ago.
NEW = {"id": "dev_2", "name": "Safari on iPhone", "this_one": False, "signed_in_at": "2099-01-01T00:00:00Z"}


def answering(body: Mapping[str, object]) -> Callable[[Route], None]:
    return lambda route: route.fulfill(json=body)


def with_every_card(page: Page) -> None:
    """Her home shows each card that it can show."""

    def another_phone(route: Route) -> None:
        told = route.fetch().json()
        route.fulfill(json={**told, "results": [*told["results"], {**told["results"][0], **NEW}]})

    for path, results in (("code-alarms?*", [ALARM]), ("wallet-codes?*", [OWN]), ("provider-accounts", [CHANGED])):
        page.route(f"**/api/v1/{path}", answering({"next": None, "results": results}))
    sums = {"next": None, "results": [], "sums": [{"price": {"amount": 1200, "currency": "CNY"}}]}
    page.route("**/api/v1/reported-sales?*", answering(sums))
    page.route("**/api/v1/devices?*", another_phone)


def at_home(
    page: Page, scene: Scene, product: Product, words: Words = ENGLISH, *, with_everything: bool = False
) -> None:
    """The vendor's home on a phone that is signed in; with every card that it can show, if asked for."""
    if with_everything:
        with_every_card(page)
    signed_in(page, scene.vendor, product, words)
    expect(page.get_by_role("button", name="Red apples")).to_be_visible()


def signed_in(page: Page, vendor: Vendor, product: Product, words: Words = ENGLISH) -> None:
    """The home of a vendor whose phone is signed in."""
    page.add_init_script(f"localStorage.pushcart ??= JSON.stringify({{ token: {vendor.token!r} }})")
    page.goto(f"{product.url}/app/")
    expect(page.get_by_text(words("Live"))).to_be_visible()
