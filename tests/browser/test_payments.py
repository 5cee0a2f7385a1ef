"""A vendor finds a payment, gives money back in two taps and never twice, and reads what her day has brought."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Product, Vendor, new_phone
from tests.browser.inspecting import Inspection
from tests.browser.test_vendor import customer_pays

pytestmark = pytest.mark.xdist_group("browser")


@dataclass(frozen=True)
class Stall:
    """A shop with payments of 2, 4, 6 and 600 yuan, and its owner's phone."""

    vendor: Vendor
    number: str

    def get(self, path: str) -> Any:
        mine = {"Authorization": f"Bearer {self.vendor.token}"}
        return requests.get(self.vendor.api + path, headers=mine, timeout=10).json()

    def refunds(self) -> list[tuple[int, str]]:
        paid = self.get("/payments?refunded=yes")["results"]
        return sorted((row["amount"]["amount"], row["reason"]) for one in paid for row in one["refunds"])


@pytest.fixture
def stall(product: Product) -> Stall:
    number, api = new_phone(), f"{product.url}/api/v1"
    assert requests.post(f"{api}/auth/code", json={"phone": number}, timeout=10).status_code == 202
    asked = {"phone": number, "code": product.code_sent_to(number), "shop_name": "Mei's fruit"}
    vendor = Vendor(api, requests.post(f"{api}/auth/token", json=asked, timeout=10).json()["token"])
    vendor.lives_by_day()
    urls = []
    for name, amount in (("Red apples", 200), ("Durian, whole", 60_000)):
        made: Any = vendor.post("/items", {"name": name, "price": {"amount": amount, "currency": "CNY"}})
        urls.append(made["code"]["url"])
    for quantity in (1, 2, 3):
        customer_pays(urls[0], quantity)
    customer_pays(urls[1])
    return Stall(vendor, number)


def opened(page: Page, product: Product, stall: Stall) -> None:
    page.goto(f"{product.url}/app/")
    page.evaluate("(token) => localStorage.setItem('pushcart', JSON.stringify({ token }))", stall.vendor.token)
    page.reload()
    expect(page.locator("#payments li")).to_have_count(4)


def test_she_finds_a_payment_and_gives_it_back_once_whatever_gets_lost(
    phone: Callable[..., Page], product: Product, stall: Stall, screenshot: Callable[[Page, str], Any]
) -> None:
    page, inspection = phone(), Inspection()
    lists: list[dict[str, list[str]]] = []

    def fewer(route: Route) -> None:
        """Two to a page, so that there is more to be shown."""
        lists.append(parse_qs(urlsplit(route.request.url).query))
        route.continue_(url=route.request.url.replace("limit=30", "limit=2"))

    page.route("**/api/v1/payments?*order=occurred*", fewer)
    opened(page, product, stall)
    page.get_by_role("button", name="All payments").click()
    rows = page.get_by_role("dialog", name="Payments").locator("li")
    expect(rows.locator("b")).to_have_text(["CN¥600.00", "CN¥6.00", "CN¥4.00", "CN¥2.00"])  # More came by itself.
    assert len(lists) == 2
    expect(page.get_by_role("heading", name="Today", exact=True)).to_be_visible()
    screenshot(page, "payments")
    inspection.look(page, "payments")

    # By what a customer shows, by amount, and by chips.
    number = stall.get("/payments?search=6")["results"][0]["receipt_number"]
    search = page.get_by_label("Search")
    for typed, found in ((number[-4:].upper(), "CN¥6.00"), ("4,00", "CN¥4.00")):
        search.fill(typed)
        expect(rows.locator("b")).to_have_text([found])
    search.fill("nobody's")
    expect(page.get_by_text("There is no such payment.")).to_be_visible()
    search.fill("")
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="Wants a look").click()
    expect(page.get_by_text("There is no such payment.")).to_be_visible()
    page.get_by_role("button", name="Wants a look").click()
    page.get_by_role("button", name="This week").click()
    expect(page.get_by_role("button", name="This week")).to_have_attribute("aria-pressed", "true")
    expect(rows).to_have_count(4)
    page.get_by_text("More filters").click()
    page.get_by_label("Sold").select_option("Durian, whole")
    expect(rows.locator("b")).to_have_text(["CN¥600.00"])

    gives_back_with_a_code(page, product, stall, inspection, screenshot)
    loses_the_answers_of_one_refund(page, stall)
    inspection.end()


def gives_back_with_a_code(
    page: Page, product: Product, stall: Stall, inspection: Inspection, screenshot: Callable[[Page, str], Any]
) -> None:
    """Two taps and the code from the text: 600 yuan are more than a stolen phone may send back."""
    rows = page.get_by_role("dialog", name="Payments").locator("li")
    rows.get_by_role("button").click()
    expect(page.get_by_text("Paid. The wallet has confirmed it.")).to_be_visible()
    page.get_by_role("button", name="Give CN¥600.00 back").click()
    signed_in_with = product.code_sent_to(stall.number)
    page.get_by_role("button", name="Yes, give CN¥600.00 back").click()
    code = page.get_by_label("The code we sent you")
    expect(code).to_have_attribute("autocomplete", "one-time-code")
    assert stall.refunds() == []
    while (sent := product.code_sent_to(stall.number)) == signed_in_with:
        page.wait_for_timeout(100)
    inspection.look(page, "the code of a refund")
    code.fill(f"{(int(sent) + 1) % 1_000_000:06d}")
    expect(page.get_by_role("alert")).to_have_text(
        "This code is not right, or it is too late for it. Ask for a new one."
    )
    expect(code).to_be_focused()
    expect(code).to_have_value("")
    screenshot(page, "refund-code")
    code.fill(sent)  # As a phone fills it in: no third tap.
    expect(page.get_by_text("All of it went back or is on its way back.")).to_be_visible()
    expect(page.get_by_text("Given back.")).to_be_visible()  # The wallet's word, live.
    expect(page.get_by_role("button", name="Give CN¥600.00 back")).to_have_count(0)
    assert stall.refunds() == [(60_000, "")]
    screenshot(page, "refunded")
    inspection.look(page, "a payment")
    page.get_by_role("dialog", name="Payment", exact=True).get_by_role("button", name="Close").click()
    expect(rows).to_contain_text("Refunded CN¥600.00")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()


def loses_the_answers_of_one_refund(page: Page, stall: Stall) -> None:
    """The server has done it, and its answer gets lost: asked again, in the same sheet and after a reload."""
    keys: list[str] = []

    def lost(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) < 3:
            assert route.fetch().status == 201
            route.abort()
        else:
            route.continue_()

    page.route("**/api/v1/payments/*/refunds", lost)
    page.locator("#payments li").nth(1).get_by_role("button").click()
    page.get_by_role("button", name="Give CN¥6.00 back").click()
    page.get_by_text("Only a part of it").click()
    page.get_by_label("How much in CNY").fill("7")
    page.get_by_label("Why?").fill("bruised")
    page.get_by_role("button", name="Yes, give CN¥7.00 back").click()
    expect(page.get_by_role("alert")).to_have_text("There are only CN¥6.00 left to give back.")
    page.get_by_label("How much in CNY").fill("1,50")
    for _ in range(2):
        page.get_by_role("button", name="Yes, give CN¥1.50 back").click()
        expect(page.get_by_role("alert")).to_contain_text("No answer came")
    page.get_by_role("dialog", name="Give money back").get_by_role("button", name="Close").click()
    expect(page.get_by_text("no answer came. Ask again")).to_be_visible()
    page.reload()
    page.locator("#payments li").nth(1).get_by_role("button").click()
    page.get_by_role("button", name="Ask again for CN¥1.50").click()
    page.get_by_role("button", name="Ask again for CN¥1.50").last.click()
    expect(page.get_by_role("button", name="Give CN¥4.50 back")).to_be_visible()
    expect(page.get_by_text("bruised")).to_be_visible()
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert stall.refunds() == [(150, "bruised"), (60_000, "")]


def test_a_day_is_told_from_the_book_and_closes_by_itself(
    phone: Callable[..., Page], product: Product, stall: Stall, screenshot: Callable[[Page, str], Any]
) -> None:
    page, inspection = phone(), Inspection()
    given = stall.get("/payments?search=2")["results"][0]
    stall.vendor.post(f"/payments/{given['id']}/refunds", {"amount": {"amount": 50, "currency": "CNY"}})
    opened(page, product, stall)
    page.get_by_role("button", name="Today's takings").click()
    day = page.get_by_role("dialog", name="The day's takings")
    expect(day.locator(".today")).to_have_text("TakenCN¥611.504 payments · 1 refund")
    expect(day.locator("dl").nth(0).locator("dd")).to_have_text(["CN¥612.00", "-CN¥0.50"])
    expect(day.locator("dl").nth(1).locator("dd")).to_have_text(["CN¥0.00", "CN¥0.00"])
    expect(day.locator("dl").nth(2).locator("div")).to_have_text(
        ["Durian, whole1 paymentCN¥600.00", "Red apples3 paymentsCN¥11.50"]
    )
    expect(day.locator("dl").nth(3).locator("div")).to_have_text(["Pretend wallet4 paymentsCN¥611.50"])
    expect(day.get_by_text("No payouts are agreed for your shop yet.")).to_be_visible()
    expect(day.get_by_text("The day closes by itself at midnight.")).to_be_visible()
    screenshot(page, "day")
    inspection.look(page, "the day")
    with page.expect_download() as file:
        day.get_by_role("button", name="Table").click()
    closing = file.value.path().read_text("utf-8-sig").splitlines()[-1]
    assert "611.50" in closing
    day.get_by_role("button", name="Day before").click()
    expect(day.locator(".today")).to_have_text("TakenCN¥0.000 payments")
    expect(day.get_by_role("button", name="Day after")).to_be_enabled()
    day.get_by_role("button", name="Day after").click()
    expect(day.get_by_role("button", name="Day after")).to_be_disabled()
    day.get_by_role("button", name="Close").click()

    # An assistant sells; she neither gives money back nor reads the day.
    def assistant(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "role": "assistant"})

    page.route("**/api/v1/shop", assistant)
    page.reload()
    page.locator("#payments li").first.get_by_role("button").click()
    expect(page.get_by_text("Number at the wallet")).to_be_visible()
    expect(page.get_by_role("button", name="Give")).to_have_count(0)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Today's takings")).to_have_count(0)
    inspection.end()
