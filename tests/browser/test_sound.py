"""What makes a sound and what never does: forged, replayed and re-amounted words are silent, a lost line loses none.

`SOUND_PROOF=20:60` plays twenty payments while the line is down for sixty seconds; without it there are six in three.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product, Vendor
from tests.browser.test_speech import forge, item_of, opened, said
from tests.browser.test_vendor import begun, customer_pays

pytestmark = pytest.mark.xdist_group("browser")
PAYMENTS, DOWN_S = (int(number) for number in os.environ.get("SOUND_PROOF", "6:3").split(":"))
NEWEST = """
import json
from payments.models import WebhookEvent
event = WebhookEvent.objects.order_by("-id").first()
print("NEWEST" + json.dumps({"raw": bytes(event.raw).decode(), "headers": event.headers}))
"""


def received(product: Product) -> tuple[str, dict[str, str]]:
    """The newest notification as it lies in the inbox: its body and its signed headers."""
    kept = json.loads(product.manage("shell", "-c", NEWEST).partition("NEWEST")[2])
    return kept["raw"], kept["headers"]


def deliver(product: Product, body: str, headers: dict[str, str]) -> requests.Response:
    return requests.post(f"{product.url}/webhooks/sandbox/platform", body.encode(), headers=headers, timeout=10)


def told(vendor: Vendor) -> list[int]:
    """The amounts of the payments that the shop was told of, in the order of telling."""
    answer = requests.get(
        f"{vendor.api}/notices?limit=200", headers={"Authorization": f"Bearer {vendor.token}"}, timeout=10
    ).json()
    rows = sorted(answer["results"], key=lambda notice: notice["number"])
    return [row["data"]["amount"]["amount"] for row in rows if row["kind"] == "payment_received"]


def test_only_the_wallets_own_true_word_is_spoken_and_a_lost_line_loses_none_of_it(
    phone: Callable[..., Page], product: Product
) -> None:
    vendor = product.vendor()
    url = item_of(vendor, 100)
    page = phone()
    opened(page, vendor, product.url)
    expect(page.get_by_text("Live")).to_be_visible()

    wallet, session = begun(url, 2)
    session.post(wallet, {"decision": "approve", "behaviour": "duplicate_new_id"}, timeout=10)
    said(page, "en: Received 2 Chinese yuan")  # The wallet's notifications of two payments may overtake each other.
    wallet, session = begun(url, 3)
    session.post(wallet, {"decision": "approve", "behaviour": "forge"}, timeout=10)
    said(page, "en: Received 2 Chinese yuan", "en: Received 3 Chinese yuan")

    body, headers = received(product)
    assert deliver(product, body, headers).ok  # Replayed letter for letter: it is known, and nothing new.
    more = deliver(product, body.replace('"amount":', '"amount":9'), headers)
    assert (more.status_code, more.json()["code"]) == (400, "signature_wrong")
    forge(product, 99_900)

    page.route("**/notices/stream", lambda route: route.abort())
    product.lose_streams()
    expect(page.get_by_text("Connecting…")).to_be_visible()
    quantities = [1 + number % 20 for number in range(PAYMENTS)]  # The page offers each of these.
    for quantity in quantities:
        customer_pays(url, quantity)
        forge(product, 88_800)
        time.sleep(DOWN_S / PAYMENTS)
    assert page.evaluate("spoken.length") == 2
    page.unroute("**/notices/stream")

    page.wait_for_function("(count) => spoken.length >= count", arg=2 + PAYMENTS, timeout=60_000)
    page.wait_for_timeout(500)
    amounts = told(vendor)
    assert sorted(amounts) == sorted([200, 300, *(100 * quantity for quantity in quantities)])
    assert page.evaluate("spoken") == [f"en: Received {amount // 100} Chinese yuan" for amount in amounts]
    assert page.evaluate("together") == 1
    expect(page.locator("#total")).to_have_text(f"CN¥{sum(amounts) / 100:.2f}")
