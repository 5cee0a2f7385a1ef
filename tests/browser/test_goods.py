"""A vendor's items and codes on her phone: changed, shown, shared and replaced, and a code for one customer alone."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from PIL import Image
from playwright.sync_api import Dialog, Page, ViewportSize, expect

from tests import readers
from tests.browser.conftest import Product, Vendor
from tests.browser.inspecting import Inspection
from tests.browser.scene import begins
from tests.browser.test_axe import CUT
from tests.browser.test_speech import forge, opened
from tests.browser.test_vendor import customer_pays

pytestmark = pytest.mark.xdist_group("browser")
UPRIGHT: ViewportSize = {"width": 360, "height": 740}
ASIDE: ViewportSize = {"width": 740, "height": 360}


@pytest.fixture
def inspection() -> Inspection:
    return Inspection()


def stall(vendor: Vendor, name: str = "Pears") -> dict[str, str]:
    """An item of hers: its id, and its code's id and address."""
    item = vendor.post("/items", {"name": name, "price": {"amount": 300, "currency": "CNY"}, "unit": "pile"})
    code = item["code"]
    assert isinstance(code, dict)
    return {"item": str(item["id"]), "code": str(code["id"]), "url": str(code["url"])}


def told(vendor: Vendor, path: str) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {vendor.token}"}
    answer: dict[str, object] = requests.get(vendor.api + path, headers=headers, timeout=10).json()
    return answer


def read(picture: bytes) -> list[str]:
    return [found.text for found in readers.codes(Image.open(io.BytesIO(picture)))]


def tap(page: Page, *names: str) -> None:
    """Buttons of what is open in front, one after the other."""
    for name in names:
        front = page.locator("dialog").last if page.locator("dialog").count() else page
        front.get_by_role("button", name=name, exact=True).click()


def test_an_item_is_changed_photographed_stopped_sold_again_and_taken_off(
    phone: Callable[..., Page],
    product: Product,
    screenshot: Callable[[Page, str], Path],
    tmp_path: Path,
    inspection: Inspection,
) -> None:
    vendor = product.vendor()
    pears = stall(vendor)
    customer_pays(pears["url"], 2)
    page = phone()
    opened(page, vendor, product.url)
    row = page.get_by_role("button", name="Pears")
    row.click()
    tap(page, "Change the item")
    expect(page.locator("dialog .today")).to_have_text("It took todayCN¥6.001 payment")

    Image.linear_gradient("L").resize((2400, 1800)).convert("RGB").save(tmp_path / "photo.jpg")
    assert page.get_by_label("Take a photo").get_attribute("capture") == "environment"
    assert page.get_by_label("Choose a photo").get_attribute("capture") is None
    page.get_by_label("Take a photo").set_input_files(tmp_path / "photo.jpg")
    expect(page.locator(".photo img")).to_have_js_property("naturalWidth", 1200)  # Seen before it is sent.
    assert told(vendor, f"/items/{pears['item']}")["photo"] is None
    page.get_by_label("What do you sell?").fill("Ripe pears")
    page.get_by_label("Price in CNY").fill("two")
    tap(page, "Save")
    expect(page.get_by_role("alert")).to_have_text("Please type a price such as 2.00.")
    page.get_by_label("Price in CNY").fill("2,50")
    page.get_by_label("For how much of it").fill("kg")
    screenshot(page, "app-item")
    inspection.look(page, "item")
    tap(page, "Save")
    expect(page.locator(".items img")).to_be_visible()
    now = told(vendor, f"/items/{pears['item']}")
    assert (now["name"], now["price"], now["unit"]) == ("Ripe pears", {"amount": 250, "currency": "CNY"}, "kg")
    photo = requests.get(str(now["photo"]), timeout=10).content
    assert Image.open(io.BytesIO(photo)).format == "JPEG"

    row.click()
    expect(page.locator(".sum").last).to_have_text("CN¥2.50 / kg")
    tap(page, "Change the item", "No photo", "Save")
    expect(page.locator(".items img")).to_have_count(0)
    assert told(vendor, f"/items/{pears['item']}")["photo"] is None
    row.click()
    tap(page, "Change the item", "Stop selling it")
    expect(row).to_contain_text("Not sold at the moment")
    assert "The shop does not sell this at the moment." in requests.get(pears["url"], timeout=10).text
    row.click()
    tap(page, "Sell it again")
    expect(row).to_contain_text("CN¥2.50")
    assert 'name="page"' in requests.get(pears["url"], timeout=10).text

    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", agree)
    row.click()
    tap(page, "Change the item", "Take it off the list")
    expect(row).to_have_count(0)
    assert asked == ["Take Ripe pears off your list for good? Its codes end, and a sticker of it never sells again."]
    assert told(vendor, f"/codes/{pears['code']}")["state"] == "retired"
    expect(page.locator("#total")).to_have_text("CN¥6.00")
    inspection.end()


SHARES = """
window.shared = []; window.can = true;
navigator.canShare = ({ files }) => can && files.every(({ type }) => type === "image/png");
navigator.share = async ({ files = [], ...rest }) => {
  if (window.refusal) throw new DOMException("", refusal);
  const named = async (file) => [file.name, [...new Uint8Array(await file.arrayBuffer())]];
  const pictures = await Promise.all(files.map(named));
  shared.push([rest, pictures]);
};
"""


def test_a_code_has_the_whole_screen_and_is_shared(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], inspection: Inspection
) -> None:
    vendor = product.vendor()
    url = stall(vendor)["url"]
    page = phone()
    page.add_init_script(SHARES)
    opened(page, vendor, product.url)
    page.get_by_role("button", name="Pears").click()
    expect(page.get_by_text("Your customer scans this")).to_be_visible()
    expect(page.get_by_text("In strong sun, turn up the screen's brightness.")).to_be_visible()
    page.wait_for_function("() => document.fullscreenElement === document.documentElement && wakes === 1")
    for name, size, wide in (("upright", UPRIGHT, 360), ("aside", ASIDE, 360)):
        for scheme in ("light", "dark"):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme)
            box = page.locator(".qr").bounding_box()
            assert box is not None
            assert (box["width"], box["height"]) == (wide, wide)
            assert box["y"] + box["height"] <= size["height"]
            picture = screenshot(page, f"app-code-{name}-{scheme}").read_bytes()
            assert read(picture) == [url]
            pixels = Image.open(io.BytesIO(picture)).convert("RGB")
            colours = {colour for _, colour in pixels.crop((100, 140, 620, 660)).getcolors(100_000) or []}
            assert {(255, 255, 255), (0, 0, 0)} <= colours
            assert pixels.getpixel((pixels.width - 4, pixels.height - 4)) == (255, 255, 255)
    assert page.evaluate("document.querySelector('dialog').scrollWidth") <= 740
    page.set_viewport_size(UPRIGHT)
    page.emulate_media(color_scheme="light")

    tap(page, "Share")
    expect(page.get_by_text("Shared.")).to_be_visible()
    [[rest, [[name, content]]]] = page.evaluate("shared")
    assert rest == {"title": "Pears", "text": "Pears, CN¥3.00 / pile", "url": url}
    assert (name, read(bytes(content))) == ("code.png", [url])
    page.evaluate("() => { can = false; }")
    tap(page, "Share")
    expect(page.get_by_text("The link was shared. This phone does not share pictures.")).to_be_visible()
    assert page.evaluate("shared[1]") == [rest, []]
    page.evaluate("() => { window.refusal = 'AbortError'; }")  # She closed it: nothing more is offered.
    tap(page, "Share")
    expect(page.locator(".share")).to_have_text("Share")
    page.evaluate("() => { window.refusal = 'NotAllowedError'; }")
    tap(page, "Share")
    expect(page.get_by_text("Sharing did not work. Save the picture, or copy the link.")).to_be_visible()
    page.evaluate("() => { navigator.share = undefined; }")
    tap(page, "Share")
    expect(page.get_by_text("This browser cannot share. Save the picture, or copy the link.")).to_be_visible()
    expect(page.get_by_label("The code's link")).to_have_value(url)
    inspection.look(page, "code, shared by hand", dark=False)
    with page.expect_download() as waiting:
        tap(page, "Save the picture")
    assert (waiting.value.suggested_filename, read(waiting.value.path().read_bytes())) == ("code.png", [url])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=product.url)
    tap(page, "Copy the link")
    expect(page.get_by_text("The link was copied. Paste it into a message.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == url

    tap(page, "Close")
    page.wait_for_function("() => !document.fullscreenElement && sleeps === 1")
    inspection.end()


def within_the_thumbs_reach(page: Page, screenshot: Callable[[Page, str], Path]) -> None:
    """Each key is large, and nothing of the keypad has to be scrolled to, also aside."""
    keys = [key.bounding_box() for key in page.locator(".key").all()]
    assert all(box and box["width"] >= 64 and box["height"] >= 64 for box in keys)
    screenshot(page, "app-keypad")
    page.set_viewport_size(ASIDE)
    go = page.get_by_role("button", name="Show the code").bounding_box()
    assert go is not None
    assert go["y"] + go["height"] <= 360
    screenshot(page, "app-keypad-aside")
    page.set_viewport_size(UPRIGHT)


def test_an_amount_for_one_customer_turns_to_paid_by_its_own_payment_alone(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], inspection: Inspection
) -> None:
    vendor = product.vendor()
    other = stall(vendor)["url"]
    page = phone()
    opened(page, vendor, product.url)
    page.get_by_role("button", name="For one customer").click()
    inspection.look(page, "keypad")
    tap(page, *"999999999", "Show the code")
    expect(page.get_by_role("alert")).to_have_text("This amount is too large.")
    tap(page, *["Delete"] * 9)
    tap(page, "1", "2", "Decimal point", "5", "0", "7", "Plus", "0", "3", "9", "Delete")  # A third decimal is no money.
    expect(page.locator(".pad output")).to_have_text("CN¥15.50")
    expect(page.locator(".steps")).to_have_text("12.50 + 3")
    within_the_thumbs_reach(page, screenshot)
    page.get_by_label("What is it for?").fill("Juice")
    tap(page, "Show the code")
    expect(page.get_by_text("Waiting for your customer")).to_be_visible()
    expect(page.get_by_role("img", name="QR code of CN¥15.50")).to_have_js_property("naturalWidth", 720)
    inspection.look(page, "waiting")
    [url] = read(screenshot(page, "app-waiting").read_bytes())

    wallet = begins(url)
    reference = re.search(r"int_\w+", requests.get(wallet, timeout=10).text)
    assert reference is not None
    forge(product, 1550, reference=reference[0])
    customer_pays(other)
    expect(page.locator(".card")).to_have_text("✓ CN¥3.00Pears")  # Another payment, which came after the forged word.
    expect(page.get_by_text("Waiting for your customer")).to_be_visible()
    assert requests.post(wallet, {"decision": "approve"}, allow_redirects=False, timeout=10).status_code == 303
    expect(page.locator(".answer.good")).to_contain_text("Paid×CN¥15.50Juice")
    inspection.look(page, "paid", dark=False)
    screenshot(page, "app-paid")
    expect(page.locator("dialog")).to_have_count(0)  # It closes by itself.
    expect(page.locator("#total")).to_have_text("CN¥18.50")
    expect(page.locator("#payments li").first).to_contain_text("Juice")

    page.get_by_role("button", name="For one customer").click()
    page.keyboard.type("8.40")
    page.keyboard.press("Backspace")
    page.get_by_role("button", name="Show the code").click()
    expect(page.get_by_text("Waiting for your customer")).to_be_visible()
    tap(page, "Close")
    page.get_by_role("button", name="All my codes").click()
    expect(page.get_by_role("button", name="CN¥8.40")).to_contain_text("Waits until")
    inspection.look(page, "all codes", dark=False)
    screenshot(page, "app-codes")
    page.get_by_role("button", name="CN¥8.40").click()
    expect(page.locator(".qr")).to_have_js_property("naturalWidth", 720)
    [short] = read(page.locator(".qr").screenshot())
    body = {"decision": "approve", "behaviour": "short"}
    assert requests.post(begins(short), body, allow_redirects=False, timeout=10).status_code == 303
    expect(page.locator(".answer.care")).to_contain_text("Less than asked×CN¥7.56Asked: CN¥8.40")
    tap(page, "Close", "Close")

    page.get_by_role("button", name="Start selling").click()
    tap(page, "For one customer", "4", "Show the code")
    expect(page.locator(".qr")).to_have_js_property("naturalWidth", 720)
    [canceled] = read(page.locator(".qr").screenshot())
    tap(page, "Cancel it")
    expect(page.get_by_role("heading", name="Selling")).to_be_visible()
    expect(page.locator("dialog")).to_have_count(1)
    assert 'name="page"' not in requests.get(canceled, timeout=10).text
    inspection.end()


def test_what_became_of_a_code_and_what_is_done_with_it(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], inspection: Inspection
) -> None:
    vendor = product.vendor()
    old = stall(vendor)
    customer_pays(old["url"], 2)
    page = phone()
    opened(page, vendor, product.url)
    page.get_by_role("button", name="Pears").click()
    tap(page, "About this code")
    expect(page.locator("dialog").last.locator(".sum")).to_have_text("CN¥6.00")
    days = page.locator("dialog .paid li")
    expect(days).to_have_count(7)
    expect(days.first.locator("b")).to_have_text("CN¥6.00")
    expect(days.first.locator("small")).to_have_text(re.compile(r"1 payment · scanned \d+ times?"))
    expect(days.last.locator("small")).to_have_text("0 payments · scanned 0 times")
    inspection.look(page, "about a code")
    screenshot(page, "app-about-code")
    tap(page, "Pause this code")
    paused = page.get_by_text("This code is paused: nobody can pay by it.")
    expect(paused).to_be_visible()
    assert told(vendor, f"/codes/{old['code']}")["state"] == "suspended"
    tap(page, "About this code", "Use it again")
    expect(paused).to_have_count(0)
    assert told(vendor, f"/codes/{old['code']}")["state"] == "active"

    tap(page, "About this code", "Replace this code")
    page.get_by_label("It is faded, torn, or out of reach").check()
    inspection.look(page, "replace a code", dark=False)
    screenshot(page, "app-replace")
    tap(page, "Replace it")
    expect(page.locator("dialog")).to_have_count(1)
    expect(page.get_by_text("Your customer scans this")).to_be_visible()
    [new] = read(page.locator(".qr").screenshot())
    assert new != old["url"]
    led = requests.get(old["url"], allow_redirects=False, timeout=10)
    assert (led.status_code, product.url + led.headers["Location"]) == (302, new)

    tap(page, "About this code", "Replace this code")
    page.get_by_label("It was stolen or copied").check()
    tap(page, "Replace it")
    expect(page.locator("dialog")).to_have_count(1)
    assert requests.get(new, allow_redirects=False, timeout=10).status_code != 302
    assert 'name="page"' not in requests.get(new, timeout=10).text
    tap(page, "About this code", "Retire this code")
    expect(page.get_by_text("Whoever scans it reads that it is not used any more")).to_be_visible()
    inspection.look(page, "retire a code", dark=False)
    tap(page, "Retire it for good")
    expect(page.locator("dialog")).to_have_count(0)

    page.get_by_role("button", name="Pears").click()  # Its last code is gone: another is made.
    tap(page, "Make a code", "Make a code")
    expect(page.get_by_text("Your customer scans this")).to_be_visible()
    [third] = read(page.locator(".qr").screenshot())
    assert third not in (new, old["url"])
    assert 'name="page"' in requests.get(third, timeout=10).text
    cut = {"code": page.evaluate(CUT)}
    tap(page, "About this code")
    expect(days).to_have_count(7)
    cut["about"] = page.evaluate(CUT)
    tap(page, "Close", "Change the item")
    cut["item"] = page.evaluate(CUT)
    tap(page, "Close")
    page.get_by_role("button", name="For one customer").click()
    cut["keypad"] = page.evaluate(CUT)
    screenshot(page, "large-keypad")
    assert {name: found for name, found in cut.items() if found} == {}
    inspection.end()
