"""Payments reach a phone whose page is closed: subscribed in settings, encrypted, shown, folded, said to be heard."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import CDPSession, Page, Worker, expect

from tests.browser.conftest import Product, Vendor
from tests.browser.test_offline import READY, eventually
from tests.browser.test_speech import item_of, opened
from tests.browser.test_vendor import customer_pays
from tests.push_service import Browser, Service

pytestmark = pytest.mark.xdist_group("browser")

# What a browser's push service would answer, at its boundary: an address at our own service, with real keys.
SUBSCRIBING = """
const given = %s;
const subscription = {
  get options() { return { applicationServerKey: window.asked }; },
  toJSON: () => ({ ...given, expirationTime: null }), endpoint: given.endpoint,
  unsubscribe: async () => { sessionStorage.removeItem("subscribed"); return true; },
};
PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
  window.visible = userVisibleOnly;
  window.key = applicationServerKey;
  sessionStorage.setItem("subscribed", "1");
  return subscription;
};
PushManager.prototype.getSubscription = async () => sessionStorage.getItem("subscribed") ? subscription : null;
"""
SHOWN = """async () => (await registration.getNotifications()).map(
  ({ title, body, tag, lang, silent }) => [title, body, tag, lang, silent])"""


@dataclass
class Phone:
    """A phone in the worker's eyes: what is delivered to it, and what it shows."""

    cdp: CDPSession
    registration: str
    worker: Worker
    origin: str

    def deliver(self, said: Any) -> None:
        data = said if isinstance(said, str) else json.dumps(said)
        asked = {"origin": self.origin, "registrationId": self.registration, "data": data}
        self.cdp.send("ServiceWorker.deliverPushMessage", asked)

    def shows(self, *notifications: list[Any]) -> None:
        end = time.monotonic() + 10
        while (found := self.worker.evaluate(SHOWN)) != list(notifications):
            assert time.monotonic() < end, found
            time.sleep(0.05)


def came(service: Service, browser: Browser, count: int) -> list[Any]:
    """What the product pushed to that browser, decrypted, once it is so many."""
    end = time.monotonic() + 20
    while len(service.came(browser)) < count:
        assert time.monotonic() < end, service.told(browser)
        time.sleep(0.05)
    return [browser.read(one.body) for one in service.came(browser)]


def api(vendor: Vendor, path: str) -> Any:
    return requests.get(vendor.api + path, headers={"Authorization": f"Bearer {vendor.token}"}, timeout=10).json()


def until(looked_at: Callable[[], Any], wanted: Any) -> None:
    end = time.monotonic() + 10
    while (found := looked_at()) != wanted:
        assert time.monotonic() < end, found
        time.sleep(0.1)


def _turn_it_on(page: Page, vendor: Vendor, screenshot: Callable[[Page, str], Path]) -> None:
    """In the settings: she turns it on, and says when."""
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_text("Now you hear of payments only while this page is open.")).to_be_visible()
    page.get_by_role("switch", name="Tell me when this page is closed: off").click()
    expect(page.get_by_text("This phone tells you of each payment")).to_be_visible()
    assert page.evaluate("[visible, key]") == [True, api(vendor, "/push")["public_key"]]
    page.get_by_role("switch", name="Text me what no phone of mine has heard: off").click()
    page.get_by_label("Texted from this amount on").fill("2,50")
    page.get_by_label("Texts a day at most").select_option("3")
    page.get_by_label("Told in quiet hours").fill("100")
    page.get_by_label("Quiet from").fill("03:00")
    page.get_by_label("Quiet until").fill("03:01")
    page.get_by_label("Quiet until").blur()
    until(lambda: api(vendor, "/push")["subscriptions"][0]["quiet_until"], "03:01")
    [row] = api(vendor, "/push")["subscriptions"]
    assert (row["quiet_from"], row["big_amount"]) == ("03:00", {"amount": 10_000, "currency": "CNY"})
    until(lambda: api(vendor, "/payment-texts")["quiet_until"], "03:01")
    texts = api(vendor, "/payment-texts")
    assert (texts["on"], texts["a_day"], texts["from_amount"]) == (True, 3, {"amount": 250, "currency": "CNY"})
    page.get_by_label("Spoken in").select_option("zh")
    until(lambda: api(vendor, "/push")["subscriptions"][0]["language"], "zh")
    page.get_by_label("Spoken in").select_option("en")
    until(lambda: api(vendor, "/push")["subscriptions"][0]["language"], "en")
    screenshot(page, "app-push")
    page.get_by_role("button", name="Send me a test").click()


def _connected(page: Page, origin: str) -> Phone:
    """The worker of that page, whose own requests are noted in `sent`."""
    context = page.context
    registrations: list[str] = []
    blank = context.new_page()
    cdp = context.new_cdp_session(blank)
    cdp.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registrations.extend(
            one["registrationId"] for one in event["registrations"] if one["scopeURL"] == f"{origin}/app/"
        ),
    )
    cdp.send("ServiceWorker.enable")
    [worker] = context.service_workers
    worker.evaluate("""() => {
      self.sent = []; const real = fetch;
      self.fetch = async (path, options) => {
        const answer = await real(path, options); sent.push([path, answer.status]); return answer;
      };
    }""")
    return Phone(cdp, registrations[0], worker, origin)


def _each_is_shown_and_many_are_one(there: Phone, service: Service, browser: Browser, test: Any, url: str) -> None:
    """The page is closed: the worker alone is told."""
    worker = there.worker
    there.deliver(test)
    there.shows(["This is how you are told of a payment", "", "test", "en", False])
    worker.evaluate("async () => (await registration.getNotifications()).forEach((one) => one.close())")
    for quantity in (1, 2, 3):
        customer_pays(url, quantity)
    pushes = came(service, browser, 5)[2:]
    for push in pushes:
        there.deliver(push)
    each = [
        [f"Received CN¥{3 * many}.00", "Pears" if many == 1 else f"Pears × {many}", f"notice-{1 + many}", "en", False]
        for many in (1, 2, 3)
    ]
    there.shows(*each)
    until(lambda: worker.evaluate("sent"), [["/api/v1/push/heard", 204]] * 4)
    # More than three are one, and what a service delivers twice counts once and makes no sound.
    customer_pays(url, 10)
    [fourth] = came(service, browser, 6)[5:]
    latest = "Received CN¥30.00\nReceived CN¥9.00\nReceived CN¥6.00"
    there.deliver(fourth)
    there.shows(["Payments: 4 · CN¥48.00", latest, "payments", "en", False])
    there.deliver(pushes[1])
    there.shows(["Payments: 4 · CN¥48.00", latest, "payments", "en", True])
    # What nobody can read is shown all the same: a browser that is pushed to shows something.
    there.deliver("?")
    there.shows(["Payments: 4 · CN¥48.00", latest, "payments", "en", True], ["Pushcart", "", "pushcart", "en", False])
    worker.evaluate("""async () => {
      clients.openWindow = async (path) => { self.opened = path; };
      const event = new ExtendableEvent("notificationclick");
      [event.notification] = await registration.getNotifications({ tag: "pushcart" });
      dispatchEvent(event);
    }""")
    until(lambda: worker.evaluate("self.opened"), "/app/")
    there.shows(["Payments: 4 · CN¥48.00", latest, "payments", "en", True])


def _it_moves(there: Phone, moved: Browser) -> None:
    """The browser gives the phone another address: the worker says so by itself."""
    worker = there.worker
    worker.evaluate(
        """(given) => {
          const event = new ExtendableEvent("pushsubscriptionchange");
          event.newSubscription = { toJSON: () => given };
          dispatchEvent(event);
        }""",
        moved.subscription(),
    )
    until(lambda: worker.evaluate("sent.at(-1)"), ["/api/v1/push/renew", 204])


def test_a_closed_page_is_told_and_an_open_one_is_not_disturbed(
    phone: Callable[..., Page],
    product: Product,
    push_services: Service,
    screenshot: Callable[[Page, str], Path],
) -> None:
    push_services.clear()
    browser = push_services.browser("mei")
    vendor = product.vendor()
    url = item_of(vendor, 300)
    page = phone()
    context = page.context
    context.grant_permissions(["notifications"], origin=product.url)
    page.add_init_script(SUBSCRIBING % json.dumps(browser.subscription()))
    opened(page, vendor, product.url, language="en")
    eventually(page, READY)

    _turn_it_on(page, vendor, screenshot)
    [test] = came(push_services, browser, 1)
    page.get_by_role("button", name="Close").click()

    there = _connected(page, product.url)

    # Before her eyes: the page tells, says so, and what is pushed as well does not disturb her. So it is while no
    # worker controls it: after a hard reload, or when it was being opened in the moment in which the worker began.
    page.bring_to_front()
    with page.expect_navigation():
        context.new_cdp_session(page).send("Page.reload", {"ignoreCache": True})
    assert page.evaluate("navigator.serviceWorker.controller") is None
    eventually(page, "document.querySelector('#total')?.textContent === 'CN¥0.00'")
    with page.expect_response("**/api/v1/notices/heard") as waiting:
        customer_pays(url)
    assert (waiting.value.request.post_data, waiting.value.status) == ('{"number":1}', 204)
    there.deliver(came(push_services, browser, 2)[1])
    until(lambda: there.worker.evaluate("sent"), [["/api/v1/push/heard", 204]])
    there.shows()
    page.close()

    _each_is_shown_and_many_are_one(there, push_services, browser, test, url)
    moved = push_services.browser("moved")
    _it_moves(there, moved)
    customer_pays(url, 4)
    [push] = came(push_services, moved, 1)
    assert len(push_services.came(browser)) == 6

    # She opens it: what lay there has been seen, and what the page itself tells is not told twice.
    page = context.new_page()
    page.add_init_script(SUBSCRIBING % json.dumps(moved.subscription()))
    page.add_init_script("""sessionStorage.setItem("subscribed", "1")""")
    page.goto(f"{product.url}/app/")
    expect(page.locator("#total")).to_have_text("CN¥63.00")
    there.shows()
    there.deliver(push)
    until(lambda: there.worker.evaluate("sent.at(-1)"), ["/api/v1/push/heard", 204])
    there.shows()
    until(lambda: page.evaluate("JSON.parse(localStorage.pushcart).pushed"), moved.address)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your phone number")).to_be_visible(timeout=20_000)
    assert page.evaluate("caches.match('/app/push/renewal').then(String)") == "undefined"
    assert page.evaluate("sessionStorage.getItem('subscribed')") is None


@pytest.mark.parametrize(
    ("browser", "says"),
    [
        ("Object.defineProperty(Notification, 'permission', { value: 'denied' });", "Notifications are blocked."),
        ("delete window.PushManager;", "This browser cannot tell you"),
        (
            "delete window.PushManager; Object.defineProperty(navigator, 'userAgent', { value: 'iPhone' });",
            "Add this page to your home screen first",
        ),
    ],
)
def test_what_this_phone_cannot_do_is_said(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], browser: str, says: str
) -> None:
    page = phone()
    page.add_init_script(browser)
    opened(page, product.vendor(), product.url)
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_text(says)).to_be_visible()
    expect(page.get_by_role("switch", name="Tell me when this page is closed")).to_be_hidden()
    expect(page.get_by_role("switch", name="Text me what no phone of mine has heard: off")).to_be_visible()
    screenshot(page, f"app-push-{says.split()[0].lower()}")
