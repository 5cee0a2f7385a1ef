"""A customer with a phone and nothing else: scan, pay, wallet, receipt, under the strict policy, in Chromium."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests import readers
from tests.browser.conftest import Product

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def url(product: Product) -> str:
    """The address on the sticker of a pile of apples."""
    item = product.vendor().post(
        "/items", {"name": "Red apples", "price": {"amount": 200, "currency": "CNY"}, "unit": "pile"}
    )
    code = item["code"]
    assert isinstance(code, dict)
    return str(code["url"])


@pytest.mark.parametrize(
    ("language", "script", "scheme"),
    [("en", True, "light"), ("en", False, "dark"), ("ar", True, "dark"), ("ar", False, "light")],
    ids=["with script", "without script", "from the right, with script", "from the right, without script"],
)
def test_the_whole_walk_from_the_sticker_to_a_receipt_that_turns_to_paid_by_itself_and_is_opened_again(
    phone: Callable[..., Page],
    product: Product,
    url: str,
    screenshot: Callable[[Page, str], Path],
    language: str,
    script: bool,
    scheme: str,
) -> None:
    page = phone(java_script_enabled=script, color_scheme=scheme, locale=language)
    page.goto(url)
    runs_from_the_right = language == "ar"
    name = f"{language}-{scheme}"
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("html").get_attribute("dir") == ("rtl" if runs_from_the_right else None)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for target in ("#quantity", "button.go"):  # As large as a thumb, and the sum is read before anything is paid.
        box = page.locator(target).bounding_box()
        assert box is not None
        assert box["height"] >= 48
    expect(page.locator("#quantity option").nth(1)).to_contain_text("4.00")
    screenshot(page, f"scan-{name}")
    page.locator("#quantity").select_option("2")
    page.locator("button.go").click()
    page.wait_for_url(f"{product.wallet_url}/pay/*")
    screenshot(page, f"wallet-{name}")
    page.locator("button[value=approve]").click()
    page.wait_for_url(f"{product.url}/r/*")
    expect(page.locator("main[data-kind=paid]")).to_be_visible()
    expect(page.locator(".price")).to_contain_text("4.00")
    if not runs_from_the_right:
        expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
        expect(page.locator(".price")).to_have_text("CN¥4.00")
    amount, dates = page.locator(".price").bounding_box(), page.locator("dt").first.bounding_box()
    assert amount is not None
    assert dates is not None
    assert (dates["x"] > 180) == runs_from_the_right  # What is told stands at the side where reading begins.
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.locator("img.code")).to_be_visible()
    screenshot(page, f"receipt-{name}")
    receipt = page.url
    page.goto(url)
    page.goto(receipt)
    expect(page.locator("main[data-kind=paid]")).to_be_visible()


def test_a_refusal_in_the_wallet_is_told_and_can_be_tried_again(
    phone: Callable[..., Page], product: Product, url: str, screenshot: Callable[[Page, str], Path]
) -> None:
    page = phone()
    page.goto(url)
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("button", name="Refuse").click()
    expect(page.get_by_role("heading", name="Not paid")).to_be_visible()
    screenshot(page, "receipt-refused")
    page.get_by_role("link", name="Try again").click()
    page.wait_for_url(url)


def test_going_back_from_the_wallet_and_paying_again_works(
    phone: Callable[..., Page], product: Product, url: str
) -> None:
    page = phone()
    page.goto(url)
    page.get_by_role("button", name="Pay").click()
    page.wait_for_url(f"{product.wallet_url}/pay/*")
    page.go_back()
    page.get_by_role("button", name="Pay").click()
    page.wait_for_url(f"{product.wallet_url}/pay/*")


def test_chromium_holds_the_redirect_to_the_policy_so_the_wallet_must_be_listed(
    phone: Callable[..., Page], product: Product, url: str, complaints: list[str]
) -> None:
    page = phone()

    def without_wallet(route: Route) -> None:
        answer = route.fetch()
        policy = answer.headers["content-security-policy"].replace(f" {product.wallet_url}", "")
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": policy})

    page.route(url, without_wallet)
    page.goto(url)
    with page.expect_console_message(lambda line: "form-action" in line.text):
        page.get_by_role("button", name="Pay").click()
    assert page.url.startswith(product.url)
    assert "form-action" in complaints.pop()


def test_the_page_stays_usable_at_twice_the_text_size(
    phone: Callable[..., Page], url: str, screenshot: Callable[[Page, str], Path]
) -> None:
    # A phone of 360 pixels at 200 % has 180 for its text.
    page = phone(viewport={"width": 180, "height": 370})
    page.goto(url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 180
    page.get_by_role("button", name="Pay").scroll_into_view_if_needed()
    expect(page.get_by_role("button", name="Pay")).to_be_in_viewport()
    screenshot(page, "scan-twice-the-size")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(phone: Callable[..., Page], url: str, scheme: str) -> None:
    page = phone(color_scheme=scheme)
    page.goto(url)
    for selector in ("h1", ".price", ".note", ".soft", "button.go", "label", "footer"):
        ink, paper = page.locator(selector).first.evaluate(COLOURS)
        assert contrast(ink, paper) >= 4.5, (selector, ink, paper)


# --- Handed over on the receipt --------------------------------------------------------------------------------------

COMPUTER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36"
PIX = "00020126580014br.gov.bcb.pix0136aae2196f-5f93-46e4-89e6-73bf4138427b52040000530398654042.005802BR5903Mei6304AB12"
# What a wallet's own browser brings along. It remembers its calls beyond a reload, and pays nothing.
BRIDGE = """window.WeixinJSBridge = {invoke: (name, given, done) => {
  const calls = JSON.parse(sessionStorage.getItem("calls") || "[]");
  sessionStorage.setItem("calls", JSON.stringify([...calls, [name, given.package]]));
  done({err_msg: "get_brand_wcpay_request:cancel"});
}};"""


@dataclass(frozen=True)
class Begun:
    """A payment that waits: its receipt, and where the pretend wallet takes it."""

    receipt: str
    wallet_url: str


@pytest.fixture
def begun(product: Product, url: str) -> Callable[..., Begun]:
    """Begins a payment in that browser. Then the wallet's answer is exchanged for another wallet's kind of handover."""

    def begin(page: Page, redirect_url: str = "", **handover: object) -> Begun:
        page.goto(url)
        page.get_by_role("button", name="Pay").click()
        page.wait_for_url(f"{product.wallet_url}/pay/*")
        fields = {"redirect_url": redirect_url, "handover": handover}
        commands = (
            "from payments.models import PaymentIntent as Intent; intent = Intent.objects.latest('id'); "
            f"Intent.objects.filter(id=intent.id).update(**{fields!r}); print(intent.receipt)"
        )
        environment = {**os.environ, **json.loads((product.data / "environment.json").read_text())}
        told = subprocess.run(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", commands],
            env=environment,
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return Begun(f"{product.url}/r/{told.stdout.split()[-1]}", page.url)

    return begin


@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("light", 360), ("dark", 320)])
def test_a_code_on_the_receipt_is_scanned_from_the_screen_and_the_page_turns_to_paid(
    phone: Callable[..., Page],
    begun: Callable[..., Begun],
    screenshot: Callable[[Page, str], Path],
    scheme: str,
    width: int,
) -> None:
    computer = width == 1000
    agent = COMPUTER if computer else PHONE
    page = phone(
        viewport={"width": width, "height": 760}, java_script_enabled=False, color_scheme=scheme, user_agent=agent
    )
    begun_there = begun(page, qr="weixin://wxpay/bizpayurl?pr=NwY5Mz9", app_url="" if computer else "upi://pay?pa=a@b")
    page.goto(begun_there.receipt)
    [read] = readers.codes(Image.open(screenshot(page, f"handover-code-{scheme}-{width}")))
    assert read.text == "weixin://wxpay/bizpayurl?pr=NwY5Mz9"
    picture = page.locator("img.code").bounding_box()
    assert picture is not None
    assert picture["x"] >= 0
    assert picture["x"] + picture["width"] <= width
    assert picture["width"] >= 220
    page.keyboard.press("Tab")
    first = "Look now" if computer else "Open Pretend wallet"
    expect(page.get_by_role("link", name=first)).to_be_focused()

    wallet = page.context.new_page()
    wallet.goto(begun_there.wallet_url)
    wallet.get_by_role("button", name="Approve").click()
    for tab in (wallet, page):  # It may look just before the money comes, and then again.
        expect(tab.get_by_role("heading", name="Paid", exact=True)).to_be_visible(timeout=40_000)
    expect(page.locator("img[src$='code.svg']")).to_have_count(0)


@pytest.mark.parametrize("width", [1000, 320])
def test_a_text_is_copied_by_keyboard_alone_on_a_page_that_fits(
    phone: Callable[..., Page], begun: Callable[..., Begun], screenshot: Callable[[Page, str], Path], width: int
) -> None:
    page = phone(viewport={"width": width, "height": 900}, user_agent=COMPUTER if width == 1000 else PHONE)
    page.goto(begun(page, qr=PIX, copy=PIX).receipt)
    screenshot(page, f"handover-copy-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("Tab")
    expect(page.get_by_label("Copy this and paste it into your bank's app")).to_be_focused()
    page.keyboard.press("Control+A")
    assert page.evaluate("getSelection().toString()") == PIX


def test_a_form_leads_to_the_wallet_under_the_policy(
    phone: Callable[..., Page], product: Product, begun: Callable[..., Begun]
) -> None:
    page = phone()
    page.goto(begun(page, redirect_url=f"{product.wallet_url}/hosted", form={"order": "7"}).receipt)
    with page.expect_request(f"{product.wallet_url}/hosted") as posted:
        page.get_by_role("button", name="Go on to Pretend wallet").click()
    assert (posted.value.method, posted.value.post_data) == ("POST", "order=7")


def test_a_wallets_own_browser_is_called_once_and_again_only_by_a_tap(
    phone: Callable[..., Page], begun: Callable[..., Begun], screenshot: Callable[[Page, str], Path]
) -> None:
    page = phone()
    bridge = {"call": "getBrandWCPayRequest", "arguments": {"package": "prepay_id=7</script>"}}
    receipt = begun(page, bridge=bridge).receipt
    page.goto(receipt)
    screenshot(page, "handover-bridge-elsewhere")
    expect(page.get_by_text("Your wallet opens by itself.")).to_be_visible()
    expect(page.get_by_role("button", name="Pay with Pretend wallet")).to_be_hidden()

    page.add_init_script(BRIDGE)
    page.goto(receipt)
    page.wait_for_url(f"{receipt}?asked")
    button = page.get_by_role("button", name="Pay with Pretend wallet")
    expect(button).to_be_visible()
    expect(page.get_by_text("Your wallet opens by itself.")).to_be_hidden()
    screenshot(page, "handover-bridge")
    call = ["getBrandWCPayRequest", "prepay_id=7</script>"]
    page.reload()
    assert page.evaluate("JSON.parse(sessionStorage.calls)") == [call]
    button.click()
    page.wait_for_function("() => JSON.parse(sessionStorage.calls).length === 2")
    assert page.evaluate("JSON.parse(sessionStorage.calls)") == [call, call]


# --- The receipt that is looked at, left, kept and printed -----------------------------------------------------------

# A tab is hidden where a test says so, and a phone's own sheet for sharing only notes what it was given.
TAB = """let hidden = false;
Object.defineProperty(document, "hidden", {get: () => hidden});
window.turnAway = (away) => { hidden = away; document.dispatchEvent(new Event("visibilitychange")); };
navigator.share = async (given) => { window.shared = given; };"""


def test_the_receipt_turns_to_paid_in_place_without_a_reload_and_can_be_kept(
    phone: Callable[..., Page], begun: Callable[..., Begun], screenshot: Callable[[Page, str], Path]
) -> None:
    page = phone(user_agent=PHONE)
    page.add_init_script(TAB)
    there = begun(page, qr="weixin://wxpay/bizpayurl?pr=NwY5Mz9")
    page.goto(there.receipt)
    expect(page.get_by_role("button", name="Keep or share this receipt")).to_have_count(0)
    wallet = page.context.new_page()
    page.evaluate("window.loaded = 'once'")
    # Without a network it asks in vain, and stays as it is.
    page.context.set_offline(True)
    page.wait_for_event("requestfailed")
    page.context.set_offline(False)
    # Nobody is asked while nobody looks; the tab that is shown again asks at once.
    page.evaluate("turnAway(true)")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    wallet.goto(there.wallet_url)
    wallet.get_by_role("button", name="Approve").click()
    expect(wallet.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    page.wait_for_timeout(2500)
    assert asked == []
    page.evaluate("turnAway(false)")
    expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible(timeout=1500)
    expect(page.get_by_role("img", name="Show this to the shop")).to_be_visible()
    expect(page).to_have_title("Paid · Mei's fruit")
    assert asked[0] == "state"
    assert page.evaluate("[window.loaded, document.querySelector('main').dataset.kind]") == ["once", "paid"]
    assert page.locator("main").get_attribute("aria-live") == "polite"
    screenshot(page, "receipt-live")
    page.get_by_role("button", name="Keep or share this receipt").click()
    assert page.evaluate("shared") == {"title": "Paid · Mei's fruit", "url": there.receipt}
    assert page.get_by_role("link", name="Link to this receipt").evaluate("link => link.href") == there.receipt


def test_the_receipt_hears_of_its_money_by_the_stream_and_asks_by_itself_where_that_is_refused(
    phone: Callable[..., Page], begun: Callable[..., Begun]
) -> None:
    hearing, asking = phone(user_agent=PHONE), phone(user_agent=PHONE)
    there = begun(hearing, qr="weixin://wxpay/bizpayurl?pr=NwY5Mz9")
    asking.route("**/events", lambda route: route.abort())
    asked: list[str] = []
    hearing.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    with hearing.expect_response("**/events") as line:
        hearing.goto(there.receipt)
    assert line.value.headers["content-type"].startswith("text/event-stream")
    with asking.expect_response("**/state"):  # Two seconds later.
        asking.goto(there.receipt)
    # The one that hears does not ask: it would 15 seconds after it was opened.
    assert "state" not in asked
    sent = requests.post(there.wallet_url, data={"decision": "approve"}, allow_redirects=False, timeout=10)
    assert sent.status_code == 303
    for page in (hearing, asking):
        expect(page.locator("main[data-kind=paid]")).to_be_visible(timeout=10_000)
    assert [name for name in asked if name in ("events", "state")] == ["events", "state"]


def test_the_receipt_prints_black_on_white_without_buttons_and_says_the_same_when_it_is_opened_again(
    phone: Callable[..., Page], url: str, screenshot: Callable[[Page, str], Path]
) -> None:
    page = phone(color_scheme="dark")
    page.goto(url)
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Keep or share this receipt")).to_be_hidden()  # No sheet to share by here.
    said = page.locator("dl").inner_text()
    receipt = page.url
    page.emulate_media(media="print")
    screenshot(page, "receipt-print")
    for selector in ("button", ".go", ".code", ".keep", ".check", ".mark"):
        for index in range(page.locator(selector).count()):
            expect(page.locator(selector).nth(index)).to_be_hidden()
    for selector in ("h1", ".price", "dt", "dd", ".note"):
        assert page.locator(selector).first.evaluate(COLOURS) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    expect(page.locator("h1")).to_be_visible()
    page.emulate_media(media="screen")
    again = phone()
    again.goto(receipt)
    assert again.locator("dl").inner_text() == said


COLOURS = """(element) => {
  const ink = getComputedStyle(element).color;
  let paper;
  for (let at = element; at; at = at.parentElement) {
    paper = getComputedStyle(at).backgroundColor;
    if (paper !== "rgba(0, 0, 0, 0)") break;
  }
  return [ink, paper];
}"""


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two computed colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
