"""Two phones of one vendor: the new one is told of and signed out, and what was done without a network arrives once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from playwright.sync_api import Dialog, Page, Route, expect

from tests.browser.conftest import Product, new_phone
from tests.browser.inspecting import Inspection
from tests.browser.test_offline import KEPT, READY, eventually

pytestmark = pytest.mark.xdist_group("browser")
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1"
TOO_MUCH = "Ensure this value is less than or equal to 10000000000."
WAITS = "Waits for a connection · just now"


def token_for(product: Product, number: str, agent: str) -> str:
    api = f"{product.url}/api/v1"
    texts = requests.get(f"{product.url}/dev/outbox", timeout=10).json()["results"]
    used = {text["code"] for text in texts if text["phone"] == number}
    assert requests.post(f"{api}/auth/code", json={"phone": number}, timeout=10).status_code == 202
    code = next(code for _ in range(200) if (code := product.code_sent_to(number)) not in used)
    asked = {"phone": number, "code": code, "shop_name": "Mei's fruit"}
    answer = requests.post(f"{api}/auth/token", json=asked, headers={"User-Agent": agent}, timeout=10)
    assert answer.ok, answer.text
    return str(answer.json()["token"])


def signed_in(page: Page, product: Product, token: str) -> Page:
    page.goto(f"{product.url}/app/")
    page.evaluate("(token) => localStorage.setItem('pushcart', JSON.stringify({ token }))", token)
    page.reload()
    expect(page.get_by_text("Live")).to_be_visible()
    return page


def items(product: Product, token: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{product.url}/api/v1/items", headers={"Authorization": f"Bearer {token}"}, timeout=10)
    rows: list[dict[str, Any]] = answer.json()["results"]
    return rows


def add(page: Page, name: str, price: str, photo: Path | None = None) -> None:
    page.get_by_role("button", name="Add an item").click()
    page.get_by_label("What do you sell?").fill(name)
    page.get_by_label("Price in CNY").fill(price)
    if photo:
        page.get_by_label("Choose a photo").set_input_files(photo)
    page.get_by_role("button", name="Add", exact=True).click()


def lose_the_first_answer(page: Page, keys: list[str]) -> None:
    """The server takes what is posted first, and the phone never hears of it. Keeps the key of every attempt."""

    def attempt(route: Route) -> None:
        if route.request.method == "POST":
            keys.append(route.request.headers["idempotency-key"])
        if route.request.method == "POST" and len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/api/v1/items", attempt)


def change_without_a_network(page: Page, name: str, price: str) -> None:
    """Changes a price, sees it wait, and lets the network come back."""
    page.context.set_offline(True)
    page.locator(".items button").filter(has_text=name).click()
    page.get_by_role("button", name="Change the item").click()
    page.get_by_label("Price in CNY").fill(price)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#waiting li").last).to_have_text(f"{name}, CN¥{price}{WAITS}Drop")
    page.context.set_offline(False)


def sign_out_with_something_left(page: Page) -> None:
    """She is asked first, and thinks again once."""
    asked: list[str] = []

    def think_again(dialog: Dialog) -> None:
        asked.append(dialog.message)
        if len(asked) == 1:
            dialog.dismiss()
        else:
            dialog.accept()

    page.on("dialog", think_again)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#waiting li")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your phone number")).to_be_visible()
    assert len(asked) == 2


def test_what_was_done_without_a_network_waits_over_a_reload_and_arrives_once(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    token = token_for(product, new_phone(), IPHONE)
    page = signed_in(phone(), product, token)
    eventually(page, READY)
    eventually(page, f"{KEPT}.then((all) => all.includes('devices'))")  # The last that opening reads.
    waiting, sold = page.locator("#waiting li"), page.locator(".items button")
    Image.new("RGB", (60, 60), "red").save(tmp_path / "photo.jpg")

    page.context.set_offline(True)
    add(page, "Red apples", "2", tmp_path / "photo.jpg")
    expect(waiting).to_have_text([f"Red apples, CN¥2.00{WAITS}Drop"])
    add(page, "Gold", "999999999")
    add(page, "A mistake", "3")
    page.get_by_role("button", name="Drop: A mistake").click()
    expect(waiting).to_have_count(2)
    page.reload()
    expect(waiting).to_have_count(2)
    screenshot(page, "app-waiting")
    seen = Inspection()
    seen.look(page, "waiting")
    seen.end()
    second = page.context.new_page()  # Both pages will want to send what waits.
    second.goto(f"{product.url}/app/")
    expect(second.locator("#waiting li")).to_have_count(2)
    assert items(product, token) == []

    page.context.set_offline(False)
    for each in (page, second):
        expect(each.locator(".items button")).to_contain_text("Red apples", timeout=20_000)
        # What the server refused stays, with its own words, and does not hold up what comes after it.
        expect(each.locator("#waiting li")).to_have_text([f"Gold, CN¥999,999,999.00{TOO_MUCH}Drop"])
    second.close()
    [apples] = items(product, token)
    assert (apples["name"], apples["price"]["amount"], bool(apples["photo"])) == ("Red apples", 200, True)

    keys: list[str] = []
    lose_the_first_answer(page, keys)
    add(page, "Plums", "4")
    expect(sold.filter(has_text="Plums")).to_be_visible(timeout=20_000)  # The list has it; this phone waits.
    page.evaluate("dispatchEvent(new Event('online'))")  # Sooner than by itself.
    expect(waiting).to_have_count(1, timeout=20_000)
    assert (len(keys) > 1, len(set(keys))) == (True, 1)
    assert [item["name"] for item in items(product, token)] == ["Plums", "Red apples"]
    page.unroute("**/api/v1/items")

    change_without_a_network(page, "Red apples", "2.50")
    expect(sold.filter(has_text="Red apples")).to_contain_text("CN¥2.50")
    assert [item["price"]["amount"] for item in items(product, token)] == [400, 250]

    sign_out_with_something_left(page)
    assert page.evaluate("localStorage.length") == 0
    signed_in(page, product, token_for(product, new_phone(), IPHONE))
    expect(page.get_by_text("Not sent yet")).to_have_count(0)


def test_a_new_phone_is_told_of_and_all_others_are_signed_out_within_seconds(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path]
) -> None:
    number = new_phone()
    hers = signed_in(phone(), product, token_for(product, number, "Android Chrome/126.0"))
    token = token_for(product, number, IPHONE)
    expect(hers.locator(".card")).to_have_text("A new phone signed inSafari on iPhone")
    expect(hers.locator("section.alarm")).to_contain_text("A phone signed in with your number: Safari on iPhone")
    screenshot(hers, "app-new-phone")
    hers.get_by_role("button", name="It was me").click()
    expect(hers.locator("section.alarm")).to_have_count(0)
    hers.reload()
    expect(hers.get_by_text("Live")).to_be_visible()
    others = [signed_in(phone(), product, given) for given in (token, token_for(product, number, IPHONE))]
    expect(hers.locator("section.alarm")).to_have_count(1)  # Of the third phone; what she knows stays known.
    expect(others[0].locator("section.alarm")).to_have_count(1)

    others[1].get_by_role("button", name="Settings").click()
    hers.get_by_role("button", name="Settings").click()
    listed = hers.locator("#account li")
    expect(listed).to_have_count(3)
    expect(hers.locator("#account")).to_contain_text(f"You sign in with {number}.")
    expect(listed.first).to_contain_text("Chrome on AndroidThis phone")
    hers.on("dialog", lambda dialog: dialog.accept())
    listed.nth(1).get_by_role("button", name="Sign out Safari on iPhone").click()
    expect(listed).to_have_count(2)
    expect(others[1].get_by_text("This phone was signed out.")).to_be_visible(timeout=5000)
    assert others[1].evaluate("localStorage.length") == 0
    hers.get_by_role("button", name="Sign out everywhere else").click()
    expect(others[0].get_by_text("This phone was signed out.")).to_be_visible(timeout=5000)
    expect(listed).to_have_count(1)
    assert (
        requests.get(f"{product.url}/api/v1/shop", headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code
        == 401
    )

    hers.get_by_label("Name of your shop").fill("Mei's best fruit")
    hers.get_by_role("button", name="Save", exact=True).click()
    expect(hers.get_by_text("Saved")).to_be_visible()
    hers.get_by_text("Colour and logo of your codes").click()
    hers.get_by_label("Colour of your codes").fill("#ffd700")
    hers.get_by_role("button", name="Save and show").click()
    expect(hers.get_by_role("alert")).to_contain_text("too light")
    hers.get_by_label("Colour of your codes").fill("#0b6b46")
    hers.get_by_role("button", name="Save and show").click()
    expect(hers.get_by_role("img", name="Your code in this colour")).to_have_js_property("naturalWidth", 600)
    screenshot(hers, "app-settings")
    seen = Inspection()
    seen.look(hers, "settings")
    seen.end()
    with hers.expect_download() as kept:
        hers.get_by_role("button", name="Save this picture").click()
    assert Image.open(kept.value.path()).size == (2000, 2000)
    hers.get_by_role("button", name="Close").click()
    expect(hers.get_by_role("heading", name="Mei's best fruit")).to_be_visible()
    hers.get_by_role("button", name="Settings").click()
    hers.get_by_role("button", name="Sign out everywhere, here too").click()
    expect(hers.get_by_label("Your phone number")).to_be_visible()
