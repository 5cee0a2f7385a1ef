"""A vendor's first evening with the phone page: from her number to money that she hears arrive."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests import readers
from tests.browser.conftest import Product, new_phone, until_paid

pytestmark = pytest.mark.xdist_group("browser")


def begun(url: str, quantity: int = 1) -> tuple[str, requests.Session]:
    """Somebody scans the code and presses Pay: the wallet's page for it, and the browser that may answer there."""
    session = requests.Session()
    page = session.get(url, timeout=10).text
    found = re.search(r'name="page" value="([^"]+)"', page)
    assert found
    answer = session.post(f"{url}/pay", {"page": found[1], "quantity": quantity}, allow_redirects=False, timeout=10)
    return answer.headers["Location"], session


def customer_pays(url: str, quantity: int = 1) -> None:
    """Somebody scans the code and approves, without a browser, and reads that it is paid."""
    wallet, session = begun(url, quantity)
    approved = session.post(wallet, {"decision": "approve"}, allow_redirects=False, timeout=10)
    assert approved.status_code == 303
    until_paid(approved.headers["Location"])


def signed_in(page: Page, product: Product, screenshot: Callable[[Page, str], Path]) -> None:
    number = new_phone()
    page.goto(f"{product.url}/app/")
    page.get_by_label("Your phone number").fill(number)
    screenshot(page, "app-phone")
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("The code we sent you").fill(product.code_sent_to(number))
    screenshot(page, "app-code")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("What is your shop called?").fill("Mei's fruit")
    page.get_by_role("button", name="Open my shop").click()
    expect(page.get_by_role("heading", name="Mei's fruit")).to_be_visible()


def test_from_the_phone_number_to_money_that_arrives(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    page = phone()
    signed_in(page, product, screenshot)
    expect(page.get_by_text("Live")).to_be_visible()
    screenshot(page, "app-empty")

    Image.linear_gradient("L").resize((1600, 1200)).convert("RGB").save(tmp_path / "photo.jpg")
    page.get_by_role("button", name="Add an item").click()
    page.get_by_label("What do you sell?").fill("Red apples")
    page.get_by_label("Price in CNY").fill("two")
    page.get_by_label("Choose a photo").set_input_files(tmp_path / "photo.jpg")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("Please type a price such as 2.00.")
    page.get_by_label("Price in CNY").fill("2")
    screenshot(page, "app-add")
    page.get_by_role("button", name="Add", exact=True).click()

    code = page.get_by_role("img", name="QR code of Red apples")  # Her first item's code is there at once.
    expect(page.get_by_text("Your customer scans this")).to_be_visible()
    screenshot(page, "app-show")
    code.screenshot(path=tmp_path / "code.png")
    [read] = readers.codes(Image.open(tmp_path / "code.png"))
    assert read.text.startswith(f"{product.url}/s/")

    customer_pays(read.text)
    expect(page.locator(".card")).to_have_text("✓ CN¥2.00Red apples")  # It is seen above the open code.
    screenshot(page, "app-arrived")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#total")).to_have_text("CN¥2.00")
    screenshot(page, "app-home")

    product.lose_streams()
    expect(page.get_by_text("Connecting…")).to_be_visible()
    for quantity in (2, 3):
        customer_pays(read.text, quantity)
    expect(page.get_by_text("Live")).to_be_visible(timeout=20_000)
    expect(page.locator("#total")).to_have_text("CN¥12.00")
    expect(page.locator("#payments li b")).to_have_text(["CN¥6.00", "CN¥4.00", "CN¥2.00"])

    page.reload()
    expect(page.locator("#total")).to_have_text("CN¥12.00")
    expect(page.locator("#payments li")).to_have_count(3)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your phone number")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0


def test_what_is_answered_after_she_has_left_is_kept_by_nobody(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path]
) -> None:
    page = phone()
    signed_in(page, product, screenshot)
    expect(page.get_by_text("Live")).to_be_visible()
    asked: list[Route] = []

    def hold(route: Route) -> None:
        asked.append(route)  # Its answer comes when she has gone.

    page.route("**/api/v1/payments?*", hold)
    page.reload()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your phone number")).to_be_visible()
    assert asked
    for slow in asked:
        with page.expect_request_finished(lambda request: "/payments?" in request.url):
            slow.fulfill(json={"results": [], "next": None})
    page.wait_for_timeout(200)
    assert page.evaluate("localStorage.length") == 0
    assert page.evaluate("caches.has('pushcart-kept')") is False
    expect(page.get_by_label("Your phone number")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_wrong_number_and_a_wrong_code_are_explained(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path]
) -> None:
    page = phone(color_scheme="dark")
    page.goto(f"{product.url}/app/")
    page.get_by_label("Your phone number").fill("12345")
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    screenshot(page, "app-wrong-number")
    number = new_phone()
    page.get_by_label("Your phone number").fill(number)
    page.get_by_role("button", name="Send me a code").click()
    code = product.code_sent_to(number)
    page.get_by_label("The code we sent you").fill(f"{(int(code) + 1) % 1_000_000:06d}")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    page.get_by_label("The code we sent you").fill(code)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("What is your shop called?")).to_be_visible()


def test_a_token_that_was_revoked_leads_back_to_the_sign_in(phone: Callable[..., Page], product: Product) -> None:
    page = phone()
    page.goto(f"{product.url}/app/")
    page.evaluate("""localStorage.setItem("pushcart", JSON.stringify({ token: "0".repeat(64) }))""")
    page.reload()
    expect(page.get_by_label("Your phone number")).to_be_visible()


def test_a_phone_that_has_heard_nothing_yet_misses_nothing_while_its_line_is_cut(
    phone: Callable[..., Page], product: Product
) -> None:
    vendor = product.vendor()
    code = vendor.post("/items", {"name": "Pears", "price": {"amount": 300, "currency": "CNY"}})["code"]
    assert isinstance(code, dict)
    customer_pays(code["url"])
    page = phone()
    page.goto(f"{product.url}/app/")
    page.evaluate("(token) => localStorage.setItem('pushcart', JSON.stringify({ token }))", vendor.token)
    page.reload()
    expect(page.get_by_text("Live")).to_be_visible()
    expect(page.locator("#total")).to_have_text("CN¥3.00")
    product.lose_streams()
    expect(page.get_by_text("Connecting…")).to_be_visible()
    customer_pays(code["url"], 2)
    expect(page.locator("#total")).to_have_text("CN¥9.00", timeout=20_000)


def test_an_owner_stops_credentials_that_somebody_else_entered(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path]
) -> None:
    api, number = f"{product.url}/api/v1", new_phone()
    requests.post(f"{api}/auth/code", json={"phone": number}, timeout=10)
    first = product.code_sent_to(number)
    token = requests.post(f"{api}/auth/token", json={"phone": number, "code": first}, timeout=10).json()["token"]
    page = phone()
    page.goto(f"{product.url}/app/")
    page.evaluate("(token) => localStorage.setItem('pushcart', JSON.stringify({ token }))", token)
    page.reload()
    expect(page.get_by_text("Live")).to_be_visible()

    mine = {"Authorization": f"Bearer {token}", "Idempotency-Key": "1"}
    requests.post(f"{api}/auth/step-up", json={"purpose": "account"}, headers=mine, timeout=10)
    while (code := product.code_sent_to(number)) == first:
        page.wait_for_timeout(100)
    given = {"provider": "sandbox", "credentials": {"api_key": "k", "webhook_secrets": "w"}, "code": code}
    assert requests.post(f"{api}/provider-accounts", json=given, headers=mine, timeout=10).status_code == 201

    expect(page.get_by_text("New Pretend wallet credentials decide from")).to_be_visible()
    screenshot(page, "app-credentials")
    page.get_by_role("button", name="This was not me: stop it").click()
    expect(page.get_by_text("New credentials were stopped")).to_be_visible()
    expect(page.get_by_role("button", name="This was not me: stop it")).to_have_count(0)
    assert requests.get(f"{api}/provider-accounts", headers=mine, timeout=10).json()["results"] == []


def test_the_evening_book_is_a_file_that_the_phone_keeps_and_prints(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    vendor = product.vendor()
    code = vendor.post("/items", {"name": "ប៉ោម </td><script>", "price": {"amount": 300, "currency": "CNY"}})["code"]
    assert isinstance(code, dict)
    customer_pays(code["url"])
    page = phone()
    page.goto(f"{product.url}/app/")
    page.evaluate("(token) => localStorage.setItem('pushcart', JSON.stringify({ token }))", vendor.token)
    page.reload()
    expect(page.locator("#total")).to_have_text("CN¥3.00")
    files = {}
    for form, ending in (("PDF", "pdf"), ("Print page", "html"), ("Table", "csv")):
        for place in (0, 1):
            with page.expect_download() as waiting:
                page.get_by_role("button", name=form, exact=True).nth(place).click()
            file = tmp_path / waiting.value.suggested_filename
            waiting.value.save_as(file)
            assert re.fullmatch(rf"statement-\d{{4}}-\d\d{'' if place else '-..'}\.{ending}", file.name)
            files[ending] = file
    screenshot(page, "app-book")
    assert files["pdf"].read_bytes()[:5] == b"%PDF-"
    page.goto(files["html"].as_uri())
    expect(page.get_by_role("cell", name="Closing balance")).to_be_visible()
    expect(page.get_by_text("ប៉ោម </td><script>")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.n')).textAlign") == "end"  # Its style is allowed.
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    screenshot(page, "statement")


def test_an_alarm_stands_on_the_page_until_it_is_answered(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path]
) -> None:
    """What the API would tell after days of silence; the answer is the page's own request."""
    alarm = {
        "id": "alm_1",
        "label": "Plums",
        "state": "open",
        "sentence": "Nobody has paid by “Plums” while 40 others paid you. Is another sticker over it?",
        "advice": "Look at it: your sign must show your check word.",
    }
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data or "")
        route.fulfill(json={**alarm, "state": "ended", "advice": "Your code is paused."})

    page = phone()
    page.route("**/api/v1/code-alarms?*", lambda route: route.fulfill(json={"next": None, "results": [alarm]}))
    page.route("**/api/v1/code-alarms/alm_1/answer", answer)
    signed_in(page, product, screenshot)
    assert len(page.locator("#word").inner_text().split()) == 2
    expect(page.get_by_text("Nobody has paid by “Plums”")).to_be_visible()
    screenshot(page, "app-alarm")
    page.get_by_role("button", name="It was swapped: pause it").click()
    expect(page.get_by_text("Your code is paused.")).to_be_visible()
    expect(page.get_by_role("button", name="All is well")).to_have_count(0)
    assert asked == ['{"ending":"swapped"}']
