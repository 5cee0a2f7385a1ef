"""A customer with a phone and nothing else: scan, pay, wallet, receipt, under the strict policy, in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

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


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_scan_pay_approve_and_the_receipt_turns_to_paid_by_itself(
    phone: Callable[..., Page],
    product: Product,
    url: str,
    screenshot: Callable[[Page, str], Path],
    script: bool,
    scheme: str,
) -> None:
    page = phone(java_script_enabled=script, color_scheme=scheme)
    page.goto(url)
    screenshot(page, f"scan-{scheme}")
    page.get_by_label("How many?").select_option("2")
    page.get_by_role("button", name="Pay").click()
    page.wait_for_url(f"{product.wallet_url}/pay/*")
    screenshot(page, f"wallet-{scheme}")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{product.url}/r/*")
    expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    expect(page.locator(".price")).to_have_text("CN¥4.00")
    screenshot(page, f"receipt-{scheme}")


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
