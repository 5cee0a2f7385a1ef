"""A vendor with a code of her own wallet: she shows it, notes a sale by it, and it never joins her money."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from PIL import Image
from playwright.sync_api import Dialog, Page, expect

from tests import readers
from tests.browser.conftest import Product, new_phone

pytestmark = pytest.mark.xdist_group("browser")
RECEIVES = "wxp://f2f0abcdefghijk"


def test_she_shows_her_own_code_and_notes_a_sale_apart_from_todays_money(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    number, api = new_phone(), f"{product.url}/api/v1"
    assert requests.post(f"{api}/auth/code", json={"phone": number}, timeout=10).status_code == 202
    asked = {"phone": number, "code": product.code_sent_to(number), "shop_name": "Mei's fruit"}
    token = requests.post(f"{api}/auth/token", json=asked, timeout=10).json()["token"]
    page = phone()
    page.goto(f"{product.url}/app/")
    page.evaluate("token => localStorage.setItem('pushcart', JSON.stringify({ token }))", token)
    page.reload()
    expect(page.get_by_text("Live")).to_be_visible()
    expect(page.get_by_text("My own wallet")).to_have_count(0)

    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    signed_in_with = product.code_sent_to(number)
    assert requests.post(f"{api}/auth/step-up", json={"purpose": "account"}, headers=headers, timeout=10).ok
    fresh = next(code for _ in range(200) if (code := product.code_sent_to(number)) != signed_in_with)
    body = {"text": RECEIVES, "label": "My WeChat", "code": fresh}
    assert requests.post(f"{api}/wallet-codes", json=body, headers=headers, timeout=10).status_code == 201

    expect(page.locator(".card")).to_contain_text("A wallet code was added")
    row = page.get_by_role("button", name="My WeChat")
    expect(row).to_contain_text("Not confirmed by Pushcart")
    row.click()
    picture = page.get_by_role("img", name="QR code of My WeChat")
    expect(page.get_by_text("Look into your own wallet before you hand over the goods.")).to_be_visible()
    expect(picture).to_have_js_property("naturalWidth", 720)
    picture.screenshot(path=tmp_path / "code.png")
    [read] = readers.codes(Image.open(tmp_path / "code.png"))
    assert read.text == RECEIVES
    page.get_by_label("Note how much").fill("twelve")
    page.get_by_role("button", name="Note a sale").click()
    expect(page.get_by_role("alert")).to_have_text("Please type a price such as 2.00.")
    page.get_by_label("Note how much").fill("12")
    screenshot(page, "app-own")
    page.get_by_role("button", name="Note a sale").click()

    expect(page.get_by_text("Noted by you, unconfirmed: CN¥12.00")).to_be_visible()
    expect(page.locator("#total")).to_have_text("CN¥0.00")
    expect(page.get_by_text("0 payments")).to_be_visible()
    screenshot(page, "app-own-home")

    asked_before: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked_before.append(dialog.message)
        dialog.accept()

    page.on("dialog", agree)
    row.click()
    page.get_by_role("button", name="Not mine any more: retire it").click()
    expect(row).to_have_count(0)
    assert asked_before == ["Retire My WeChat? It stays retired. Take it off your cart."]
    expect(page.get_by_text("Noted by you, unconfirmed: CN¥12.00")).to_be_visible()
