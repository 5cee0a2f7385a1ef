"""Every face of the product held against WCAG 2.2 AA by axe-core, in light and in dark, and used by keyboard alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import axe_playwright_python  # type: ignore[import-untyped]
import pytest
import requests
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from qr import draw
from tests.browser.conftest import Product, Vendor, new_phone
from tests.browser.test_check import customer_pays
from tests.browser.test_operator import manage

pytestmark = pytest.mark.xdist_group("browser")
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
LAWS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOK = """async ([tags, rules, without]) => {
  for (const change of document.getAnimations()) if (change instanceof CSSTransition) change.finish();
  const { violations } = await axe.run(without.length ? { exclude: without } : document, {
    runOnly: rules.length ? { type: "rule", values: rules } : { type: "tag", values: tags },
    rules: rules.length ? {} : { "target-size": { enabled: true } },
    resultTypes: ["violations"],
    preload: false,
    iframes: false,
  });
  return violations.flatMap(({ id, tags, nodes }) =>
    nodes.map(({ target, failureSummary, any }) => ({
      rule: id,
      law: tags.includes("best-practice") ? "advice" : "law",
      where: target.join(" "),
      why: any.map(({ message }) => message).join(" ") || failureSummary,
    })),
  );
}"""


@dataclass
class Inspection:
    """What axe found wrong, page by page; its advice beyond the law is told and fails nothing."""

    broken: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def look(self, page: Page, name: str, *, dark: bool = True, without: Sequence[str] = ()) -> None:
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE)
        page.emulate_media(color_scheme="light")
        self._note(name, page.evaluate(LOOK, [[*LAWS, "best-practice"], [], without]))
        if dark:
            page.emulate_media(color_scheme="dark")
            self._note(f"{name}, dark", page.evaluate(LOOK, [[], ["color-contrast"], without]))

    def end(self) -> None:
        print("Beyond the law:", *self.advice, sep="\n")
        assert self.broken == []

    def _note(self, name: str, found: list[dict[str, str]]) -> None:
        for one in found:
            told = self.broken if one["law"] == "law" else self.advice
            told.append(f"{name}: {one['rule']} at {one['where']}: {one['why']}")


@pytest.fixture
def inspection() -> Inspection:
    return Inspection()


@dataclass(frozen=True)
class Operator:
    phone: str
    password: str
    code: str


@dataclass(frozen=True)
class Scene:
    """A shop with things to see at every face."""

    vendor: Vendor
    item: str
    code: str
    any_amount: str
    waiting: str
    paid: str
    expired: str
    operator: Operator


def begins(url: str) -> str:
    """Somebody presses Pay and is sent to the wallet: the wallet's page."""
    session = requests.Session()
    page = re.search(r'name="page" value="([^"]+)"', session.get(url, timeout=10).text)
    assert page is not None
    sent = session.post(f"{url}/pay", data={"page": page[1]}, allow_redirects=False, timeout=10)
    return sent.headers["Location"]


SET = """
import io, json
from django.core.management import call_command
from django.utils import timezone
from merchants import batches
from merchants.models import User
from payments.models import PaymentIntent
output = io.StringIO()
call_command("add_operator", {phone!r}, "--generate", "--superuser", stdout=output)
operator = User.objects.get(phone={phone!r})
batches.make(label="Market", size=3, operator=operator, reason="a fair", now=timezone.now())
waiting, expired = PaymentIntent.objects.filter(state="open").order_by("-id")[:2]
PaymentIntent.objects.filter(id=expired.id).update(state="closed", closing="expired", closed_at=timezone.now())
print(json.dumps([output.getvalue(), waiting.receipt, expired.receipt]))
"""


# A refund that waits for an operator; the answer is its shop.
HOLD = """
from django.conf import settings
from django.utils import timezone
from merchants import ids
from payments import refunds
from payments.models import Payment
settings.REFUND_REVIEW_ABOVE = {"CNY": 10}
payment = Payment.objects.filter(shop__isnull=False, refunds=None, placed=True).latest("id")
refunds.request(
    staff=payment.shop.staff.get(role="owner"), payment=payment, amount=100, reason="bruised", now=timezone.now()
)
print(ids.public("shp", payment.shop_id))
"""


@pytest.fixture(scope="module")
def scene(product: Product) -> Scene:
    vendor = product.vendor()
    item = vendor.post("/items", {"name": "Red apples", "price": {"amount": 200, "currency": "CNY"}, "unit": "pile"})
    code = item["code"]
    assert isinstance(code, dict)
    url = str(code["url"])
    mine = {"Authorization": f"Bearer {vendor.token}"}
    codes = requests.get(f"{vendor.api}/codes?kind=shop", headers=mine, timeout=10).json()["results"]
    paid = customer_pays(url)
    twice = requests.post(
        begins(url), {"decision": "approve", "behaviour": "double"}, allow_redirects=False, timeout=10
    )
    assert twice.status_code == 303
    begins(url)
    begins(url)
    phone = new_phone()
    printed, waiting, expired = json.loads(
        manage(product, "shell", "--no-imports", "-c", SET.format(phone=phone)).splitlines()[-1]
    )
    password = re.search(r"Password: (\S+)", printed)
    assert password is not None
    [recovery, *_rest] = re.findall(r"^  ([a-z2-7]{8})$", printed, re.MULTILINE)
    return Scene(
        vendor=vendor,
        item=url,
        code=str(code["id"]),
        any_amount=codes[0]["url"],
        waiting=f"{product.url}/r/{waiting}",
        paid=paid,
        expired=f"{product.url}/r/{expired}",
        operator=Operator(phone, password[1], recovery),
    )


def test_every_page_of_a_customer(
    phone: Callable[..., Page], product: Product, scene: Scene, inspection: Inspection
) -> None:
    page = phone()
    for name, url in (
        ("item", scene.item),
        ("receipt, paid", scene.paid),
        ("receipt, expired", scene.expired),
        ("receipt, waiting", scene.waiting),
        ("sorry", f"{product.url}/s/nobodys-1"),
        ("wallet", begins(scene.item)),
        ("proof", proof_of(scene.paid)),
        ("proof, forged", f"{product.url}/p/{'A' * 168}"),
    ):
        page.goto(url)
        inspection.look(page, name)
    page.goto(scene.any_amount)
    inspection.look(page, "any amount")
    page.get_by_role("textbox").fill("two")
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("alert")).to_be_visible()
    inspection.look(page, "any amount, wrong")
    inspection.end()


def proof_of(receipt: str) -> str:
    """What a camera reads on the receipt: the address of the page that says whether it is real."""
    picture = Image.open(io.BytesIO(requests.get(f"{receipt}/proof.png", timeout=10).content))
    [read] = zxingcpp.read_barcodes(picture)
    return str(read.text)


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


def answering(body: Mapping[str, object]) -> Callable[[Route], None]:
    return lambda route: route.fulfill(json=body)


def at_home(page: Page, scene: Scene, product: Product, *, with_everything: bool = False) -> None:
    """The vendor's home on a phone that is signed in; with every card that it can show, if asked for."""
    if with_everything:
        for path, results in (("code-alarms?*", [ALARM]), ("wallet-codes?*", [OWN]), ("provider-accounts", [CHANGED])):
            page.route(f"**/api/v1/{path}", answering({"next": None, "results": results}))
        sums = {"next": None, "results": [], "sums": [{"price": {"amount": 1200, "currency": "CNY"}}]}
        page.route("**/api/v1/reported-sales?*", answering(sums))
    page.add_init_script(f"localStorage.pushcart ??= JSON.stringify({{ token: {scene.vendor.token!r} }})")
    page.goto(f"{product.url}/app/")
    expect(page.get_by_text("Live")).to_be_visible()
    expect(page.get_by_role("button", name="Red apples")).to_be_visible()


def test_every_page_of_a_vendor_signing_in(
    phone: Callable[..., Page], product: Product, inspection: Inspection
) -> None:
    page, number = phone(), new_phone()
    page.goto(f"{product.url}/app/")
    page.get_by_label("Your phone number").fill("12345")
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    inspection.look(page, "number, wrong")
    page.get_by_label("Your phone number").fill(number)
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("The code we sent you").fill(product.code_sent_to(number))
    inspection.look(page, "code")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("What is your shop called?")).to_be_visible()
    inspection.look(page, "shop's name")
    inspection.end()


def test_every_page_of_a_vendor_at_work(
    phone: Callable[..., Page], product: Product, scene: Scene, inspection: Inspection, tmp_path: Path
) -> None:
    page = phone()
    at_home(page, scene, product, with_everything=True)
    expect(page.get_by_text("Noted by you")).to_be_visible()
    customer_pays(scene.item)
    expect(page.locator(".card").first).to_be_visible()
    inspection.look(page, "home")

    def sheet(button: str, wait: str) -> None:
        page.get_by_role("button", name=button).first.click()
        expect(page.get_by_text(wait).first).to_be_visible()
        inspection.look(page, button)

    sheet("Red apples", "Your customer scans this")
    page.keyboard.press("Escape")
    sheet("Add an item", "Choose a photo")
    page.keyboard.press("Escape")
    sheet("My WeChat", "Not confirmed")
    page.keyboard.press("Escape")
    sheet("Check a receipt or a code", "The camera cannot be used here.")
    (tmp_path / "sticker.png").write_bytes(draw.png(scene.item))
    page.get_by_label("Or choose a photo").set_input_files(tmp_path / "sticker.png")
    expect(page.get_by_role("heading", name="Yours")).to_be_visible()
    inspection.look(page, "answer, good")
    page.keyboard.press("Escape")
    mine = {"Authorization": f"Bearer {scene.vendor.token}"}
    printed = (f"/codes/print.html?ids={scene.code}", f"/ledger/statement.html?month={datetime.now(UTC):%Y-%m}")
    for name, path in zip(("stickers", "statement"), printed, strict=True):
        file = tmp_path / f"{name}.html"
        file.write_bytes(requests.get(scene.vendor.api + path, headers=mine, timeout=10).content)
        page.goto(file.as_uri())
        inspection.look(page, name)
    inspection.end()


def test_every_page_of_an_operator(chromium: Browser, product: Product, scene: Scene, inspection: Inspection) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 900}, locale="en")
    page.set_default_timeout(20_000)
    page.goto(f"{product.url}/admin/")
    inspection.look(page, "login")
    page.get_by_label("Phone").fill(scene.operator.phone)
    page.get_by_label("Password").fill(scene.operator.password)
    page.get_by_label("Code").fill(scene.operator.code)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Back office")).to_be_visible()
    inspection.look(page, "front page")
    for name, path in (
        ("a form", "merchants/codebatch/make/"),
        ("a list", "payments/discrepancy/"),
        ("today", "today/"),
        ("a search", "find/?q=nothing"),
        ("a shop's story", f"find/?q={manage(product, 'shell', '--no-imports', '-c', HOLD).splitlines()[-1]}"),
        ("refunds that wait", "payments/refund/?held=yes"),
    ):
        page.goto(f"{product.url}/admin/{path}")
        inspection.look(page, name, dark=name != "a form")
    for name, path in (
        ("a batch", "merchants/codebatch/"),
        ("a discrepancy", "payments/discrepancy/"),
        ("a refund", "payments/refund/?held=yes"),
    ):
        page.goto(f"{product.url}/admin/{path}")
        page.goto(page.locator("#result_list th a").first.evaluate("link => link.href"))
        inspection.look(page, name, dark=name != "a batch", without=["#nav-sidebar"])
    page.close()
    inspection.end()


# --- Without a mouse, with large letters, without motion ---

FOCUS = """() => {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  const text = document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText;
  return [text, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
}"""


def tabs_to(page: Page, name: str, most: int = 1) -> list[str]:
    """Presses Tab until that has the focus, and answers what had it before. Each of them can be seen to have it."""
    passed: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        text, visible = page.evaluate(FOCUS)
        assert visible, text
        if name in text:
            return passed
        passed.append(text)
    raise AssertionError(f"{name!r} is not among {passed}")


def test_a_customer_pays_by_keyboard_alone(phone: Callable[..., Page], product: Product, scene: Scene) -> None:
    page = phone()
    page.goto(scene.item)
    tabs_to(page, "How many?")
    page.keyboard.press("ArrowDown")
    tabs_to(page, "Pay")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{product.wallet_url}/pay/*")
    tabs_to(page, "Approve")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{product.url}/r/*")
    expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    expect(page.locator(".price")).to_have_text("CN¥4.00")


def test_a_vendor_goes_through_her_page_by_keyboard_and_money_does_not_take_her_place(
    phone: Callable[..., Page], product: Product, scene: Scene
) -> None:
    page = phone()
    at_home(page, scene, product)
    assert tabs_to(page, "Red apples", 4) == ["Start selling", "For one customer", "Check a receipt or a code"]
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    customer_pays(scene.item)
    expect(page.locator(".card").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Red apples")).to_be_focused()
    customer_pays(scene.item)
    expect(page.locator(".card")).to_have_count(2)
    expect(page.get_by_role("button", name="Red apples")).to_be_focused()
    assert "+ Add an item" in tabs_to(page, "Sign out", 20)


CUT = """() => {
  document.documentElement.style.fontSize = "200%";
  document.body.style.overflowWrap = "normal"; // A word or an amount that would have to be broken sticks out.
  const all = [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility());
  return all.filter((one) => {
    const { left, right } = one.getBoundingClientRect();
    return left < -1 || right > innerWidth + 1 || (one.clientWidth && one.scrollWidth > one.clientWidth + 1);
  }).map((one) => `${one.tagName} ${one.className} ${one.innerText?.slice(0, 40)}`);
}"""


def test_twice_as_large_letters_fit_a_phone(
    phone: Callable[..., Page], product: Product, scene: Scene, screenshot: Callable[[Page, str], Path]
) -> None:
    page = phone()
    cut = {}
    for name, url in (("item", scene.item), ("amount", scene.any_amount), ("paid", scene.paid)):
        page.goto(url)
        cut[name] = page.evaluate(CUT)
        screenshot(page, f"large-{name}")
    at_home(page, scene, product, with_everything=True)
    cut["home"] = page.evaluate(CUT)
    screenshot(page, "large-home")
    page.get_by_role("button", name="Red apples").click()
    expect(page.get_by_text("Your customer scans this")).to_be_visible()
    cut["code"] = page.evaluate(CUT)
    screenshot(page, "large-code")
    assert {name: found for name, found in cut.items() if found} == {}


def test_nothing_moves_for_whoever_asked_for_less_motion(
    phone: Callable[..., Page], product: Product, scene: Scene
) -> None:
    page = phone(reduced_motion="reduce")
    page.goto(scene.waiting)
    mark = page.locator(".wait .mark")
    assert mark.evaluate("mark => mark.getAnimations().length") == 0
    page.emulate_media(reduced_motion="no-preference")
    assert mark.evaluate("mark => mark.getAnimations().length") == 1
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{product.url}/app/")
    expect(page.get_by_label("Your phone number")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0
