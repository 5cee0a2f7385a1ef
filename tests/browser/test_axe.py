"""Every face of the product held against WCAG 2.2 AA by axe-core, in three languages, and used by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser import vendor_walk
from tests.browser.conftest import Product, new_phone
from tests.browser.inspecting import Inspection
from tests.browser.past import Past
from tests.browser.scene import Scene, at_home, begins, proof_of, set_scene, signed_in
from tests.browser.test_check import customer_pays
from tests.browser.words import ARABIC, CHINESE, ENGLISH

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(params=[ENGLISH, ARABIC, CHINESE], ids=lambda words: words.language)
def inspection(request: pytest.FixtureRequest) -> Inspection:
    return Inspection(request.param)


@pytest.fixture(scope="module")
def scene(product: Product) -> Scene:
    return set_scene(product)


# --- Every page, in English wholly and in two other languages by the law ---


def test_every_page_of_a_customer(
    phone: Callable[..., Page], product: Product, scene: Scene, archived: Past, inspection: Inspection
) -> None:
    words = inspection.words
    page = phone(locale=words.locale)
    proof = proof_of(scene.receipts["paid"])
    for name, url in (
        ("item", scene.item),
        *((f"a code, {name}", url) for name, url in scene.codes.items()),
        *((f"receipt, {name}", url) for name, url in scene.receipts.items()),
        ("receipt, of a month in an archive", archived.receipt),
        ("no such code", f"{product.url}/s/nobodys-1"),
        ("no such receipt", f"{product.url}/r/{'a' * 43}"),
        ("proof", proof),
        ("proof, forged", f"{product.url}/p/{'A' * 168}"),
        ("wallet", begins(scene.item)),
    ):
        page.goto(url)
        inspection.look(page, name, ours=name != "wallet")
    page.goto(scene.any_amount)
    inspection.look(page, "any amount")
    page.get_by_role("textbox").fill("two")
    page.get_by_role("button", name=words("Pay")).click()
    expect(page.get_by_role("alert")).to_be_visible()
    inspection.look(page, "any amount, wrong")
    inspection.end()


def test_every_page_of_a_vendor_signing_in(
    phone: Callable[..., Page], product: Product, inspection: Inspection
) -> None:
    words = inspection.words
    page, number = phone(locale=words.locale), new_phone()
    page.goto(f"{product.url}/app/")
    page.get_by_label(words("Your phone number")).fill("12345")
    page.get_by_role("button", name=words("Send me a code")).click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    inspection.look(page, "number, wrong")
    page.get_by_label(words("Your phone number")).fill(number)
    page.get_by_role("button", name=words("Send me a code")).click()
    page.get_by_label(words("The code we sent you")).fill(product.code_sent_to(number))
    inspection.look(page, "code")
    page.get_by_role("button", name=words("Sign in")).click()
    expect(page.get_by_label(words("What is your shop called?"))).to_be_visible()
    inspection.look(page, "shop's name")
    inspection.end()


def test_every_page_of_a_vendor_at_work(
    phone: Callable[..., Page], product: Product, scene: Scene, inspection: Inspection, tmp_path: Path
) -> None:
    words = inspection.words
    page = phone(locale=words.locale)
    at_home(page, scene, product, words, with_everything=True)
    walk = vendor_walk.Walk(page, inspection)
    vendor_walk.home(walk)
    walk.sheet("Start selling", "Voice: on")
    walk.close()
    vendor_walk.an_item_and_its_code(walk)
    vendor_walk.for_one_customer(walk, scene)
    vendor_walk.money(walk)
    walk.sheet("My WeChat", "Note a sale")
    walk.close()
    vendor_walk.settings(walk)
    vendor_walk.check(walk, scene, tmp_path)
    mine = {"Authorization": f"Bearer {scene.vendor.token}", "Accept-Language": words.locale}
    printed = (f"/codes/print.html?ids={scene.code}", f"/ledger/statement.html?month={datetime.now(UTC):%Y-%m}")
    for name, path in zip(("stickers", "statement"), printed, strict=True):
        file = tmp_path / f"{name}.html"
        file.write_bytes(requests.get(scene.vendor.api + path, headers=mine, timeout=10).content)
        page.goto(file.as_uri())
        inspection.look(page, name, ours=name == "statement", wide=True)
    inspection.end()


def test_what_a_vendor_reads_of_a_month_that_is_in_an_archive(
    phone: Callable[..., Page], product: Product, archived: Past, inspection: Inspection
) -> None:
    page = phone(locale=inspection.words.locale)
    signed_in(page, archived.vendor, product, inspection.words)
    vendor_walk.archived(vendor_walk.Walk(page, inspection), archived)
    inspection.end()


def test_every_page_of_an_operator(
    chromium: Browser, product: Product, scene: Scene, archived: Past, inspection: Inspection
) -> None:
    words = inspection.words
    page = chromium.new_page(viewport={"width": 1280, "height": 900}, locale="en")
    page.set_default_timeout(20_000)
    admin = f"{product.url}/admin"
    page.goto(f"{admin}/")
    if words is not ENGLISH:
        page.get_by_label("Language").select_option(words.language)
        page.get_by_role("button", name="Change language").click()
    inspection.look(page, "login")
    page.get_by_label(words("Phone")).fill(scene.operator.phone)
    page.get_by_label(words("Password")).fill(scene.operator.password)
    page.locator("[name=otp_token]").fill(scene.operator.codes.pop())
    page.get_by_role("button", name=words("Sign in")).click()
    expect(page.get_by_role("heading", name=words("Back office"))).to_be_visible()
    inspection.look(page, "front page")
    for name, path in (
        ("a form", "merchants/codebatch/make/"),
        ("a list", "payments/discrepancy/"),
        ("today", "today/"),
        ("a search", "find/?q=nothing"),
        ("a shop's story", f"find/?q={scene.shop}"),
        ("refunds that wait", "payments/refund/?held=yes"),
        ("payouts", "payments/payout/"),
        ("batches of payouts", "payments/payoutbatch/"),
        ("payout accounts", "payments/payoutaccount/"),
        ("archives", "payments/archive/"),
        ("a month in an archive, by the id of an entry", f"find/?q={archived.entry}"),
        ("entries of a payment that are in an archive", f"payments/ledgerentry/?q={archived.payment}"),
    ):
        page.goto(f"{admin}/{path}")
        if archived.entry in path:
            told = words("“%(term)s” is from a month that is in this archive, and in no table any more.")
            expect(page.get_by_text(told.replace("%(term)s", archived.entry))).to_be_visible()
            expect(page.get_by_role("heading", name=archived.archive)).to_be_visible()
        inspection.look(page, name, dark=name != "a form", without=["#nav-sidebar"], names=[str(product.data)])
    for name, path in (
        ("a batch", "merchants/codebatch/"),
        ("a discrepancy", "payments/discrepancy/"),
        ("a refund", "payments/refund/?held=yes"),
    ):
        page.goto(f"{admin}/{path}")
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
    assert "+ Add an item" in tabs_to(page, "Sign out", 40)


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
    for name, url in (("item", scene.item), ("amount", scene.any_amount), ("paid", scene.receipts["paid"])):
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
    page.goto(scene.receipts["waiting"])
    mark = page.locator(".wait .mark")
    assert mark.evaluate("mark => mark.getAnimations().length") == 0
    page.emulate_media(reduced_motion="no-preference")
    assert mark.evaluate("mark => mark.getAnimations().length") == 1
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{product.url}/app/")
    expect(page.get_by_label("Your phone number")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0
