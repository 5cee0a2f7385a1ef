"""What the phone says aloud: each payment once, in order, and nothing for a notification that nobody signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Product, Vendor
from tests.browser.test_vendor import customer_pays

pytestmark = pytest.mark.xdist_group("browser")

# A phone's voice: it notes what it is given, speaks for a moment, and would note if it were interrupted.
VOICE = """
window.spoken = []; window.together = 0; let busy = 0;
window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
Object.defineProperty(window, "speechSynthesis", { value: {
  getVoices: () => ["en-US", "zh-CN", "ar-SA"].map((lang) => ({ lang })),
  cancel: () => {},
  speak(one) {
    spoken.push(`${one.lang}: ${one.text}`); together = Math.max(together, ++busy);
    setTimeout(() => { busy -= 1; one.onend(); }, 40);
  },
} });
window.wakes = 0; window.sleeps = 0;
Object.defineProperty(navigator, "wakeLock", { value: { request: async () => {
  const lock = new EventTarget(); wakes += 1;
  lock.release = async () => { sleeps += 1; lock.dispatchEvent(new Event("release")); };
  return window.awake = lock;
} } });
"""


def opened(page: Page, vendor: Vendor, url: str, **kept: object) -> None:
    page.add_init_script(VOICE)
    page.goto(f"{url}/app/")
    given = json.dumps({"token": vendor.token, **kept})
    page.evaluate("(given) => localStorage.setItem('pushcart', given)", given)
    page.reload()


def said(page: Page, *sentences: str) -> None:
    """Exactly these, in this order, and never two at once."""
    page.wait_for_function("(count) => spoken.length >= count", arg=len(sentences), timeout=20_000)
    page.wait_for_timeout(150)
    assert page.evaluate("spoken") == list(sentences)
    assert page.evaluate("together") == 1


def item_of(vendor: Vendor, amount: int) -> str:
    code = vendor.post("/items", {"name": "Pears", "price": {"amount": amount, "currency": "CNY"}})["code"]
    assert isinstance(code, dict)
    return str(code["url"])


def forge(product: Product, amount: int, **claims: str) -> None:
    """The wallet sends us word of a payment that never was, signed with a wrong secret."""
    key = json.loads((product.data / "environment.json").read_text())["SANDBOX_CONTROL_KEY"]
    told = {"account": "platform", "amount": amount, "currency": "CNY", **claims}
    headers = {"Authorization": f"Bearer {key}"}
    assert (
        requests.post(f"{product.wallet_url}/control/forge", json=told, headers=headers, timeout=10).status_code == 202
    )


def test_each_payment_is_spoken_once_and_in_order_also_after_a_lost_line(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path]
) -> None:
    vendor = product.vendor()
    url = item_of(vendor, 100)
    page = phone(locale="zh-CN")
    page.add_init_script("localStorage.setItem('pushcart-language', 'en')")  # The voice is a choice of its own.
    opened(page, vendor, product.url)
    expect(page.get_by_text("Live")).to_be_visible()
    page.get_by_role("button", name="Start selling").click()
    expect(page.get_by_text("The screen stays on.")).to_be_visible()
    forge(product, 99_900)
    customer_pays(url, 2)
    said(page, "zh-CN: 收款两元")
    screenshot(page, "app-selling")

    page.evaluate("awake.release()")  # As the system does when another app comes to the front.
    expect(page.get_by_text("The screen may go dark.")).to_be_visible()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("The screen stays on.")).to_be_visible()
    assert page.evaluate("wakes") == 2

    product.lose_streams()
    expect(page.get_by_text("No connection: a payment may not be heard.")).to_be_visible()
    for quantity in (3, 1, 12):
        customer_pays(url, quantity)
    said(page, "zh-CN: 收款两元", "zh-CN: 收款三元", "zh-CN: 收款一元", "zh-CN: 收款十二元")
    expect(page.locator(".selling .sum")).to_have_text("CN¥18.00")
    page.get_by_role("button", name="Close").click()
    page.wait_for_function("() => sleeps === 2")

    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Spoken in").select_option("ar")
    page.get_by_role("button", name="Let me hear it").click()
    page.wait_for_function("() => spoken.at(-1) === 'ar: تم استلام 2 يوان صيني'")
    page.get_by_label("Spoken in").select_option("hi")
    expect(page.get_by_text("This phone has no voice for this language.")).to_be_visible()
    screenshot(page, "app-settings")
    page.get_by_role("switch", name="Speak each payment").click()
    expect(page.get_by_role("switch", name="Speak each payment")).to_have_text("Speak each payment: off")
    page.get_by_role("button", name="Close").click()
    customer_pays(url, 4)
    expect(page.locator("#total")).to_have_text("CN¥22.00")
    page.wait_for_timeout(150)
    assert page.evaluate("spoken.length") == 5


def test_what_is_told_again_or_too_late_is_counted_and_not_spoken(phone: Callable[..., Page], product: Product) -> None:
    """The server's line as a worse one would be: it repeats numbers, goes back, tells of yesterday, and is cut."""
    vendor = product.vendor()
    now = datetime.now(UTC)
    money = (
        (3, "CNY", 250, 0, "exact"),
        (3, "CNY", 250, 0, "exact"),
        (2, "CNY", 999, 0, "exact"),
        (4, "CNY", 700, 11, "exact"),
        (5, "JPY", 500, 0, "exact"),
        (6, "KWD", 1250, 9, "short"),
    )

    def line(number: int, currency: str, amount: int, minutes: int, match: str) -> str:
        at = (now - timedelta(minutes=minutes)).isoformat()
        data = {"payment": f"pay_{number}", "amount": {"amount": amount, "currency": currency}, "match": match}
        told = {
            "number": number,
            "kind": "payment_received",
            "created_at": at,
            "data": {**data, "occurred_at": now.isoformat()},
        }
        return f"id: {number}\ndata: {json.dumps(told)}\n\n"

    body = "".join(line(*each) for each in money)
    lines: list[str] = []

    def tell(route: Route) -> None:
        lines.append(route.request.headers.get("last-event-id", ""))
        headers = {"Access-Control-Allow-Origin": product.url, "Content-Type": "text/event-stream"}
        route.fulfill(body=body, headers=headers)

    page = phone()
    page.route("**/api/v1/notices/stream", tell)
    opened(page, vendor, product.url, last=2)
    expected = ["en: Received 2.50 Chinese yuan", "en: Received 500 Japanese yen"]
    expected.append("en: Received 1.250 Kuwaiti dinars. Please look at the phone")
    said(page, *expected)
    expect(page.locator("#count")).to_contain_text("4 payments")
    while len(lines) < 3:  # The line is cut and told from the beginning each time.
        page.wait_for_timeout(50)
    said(page, *expected)
    page.reload()
    expect(page.locator("#count")).to_be_visible()
    page.wait_for_timeout(300)
    assert page.evaluate("spoken") == []
