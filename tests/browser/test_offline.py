"""The phone page without a network, and how a newer version of it takes over."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, expect

from tests import readers
from tests.browser.conftest import Product
from tests.browser.test_speech import item_of, opened
from tests.browser.test_vendor import customer_pays

pytestmark = pytest.mark.xdist_group("browser")

KEPT = "caches.open('pushcart-kept').then((all) => all.keys()).then((all) => all.map(({ url }) => url).join())"
READY = "navigator.serviceWorker.getRegistration().then((it) => Boolean(it?.active))"
WORKER = "navigator.serviceWorker.getRegistration()"
LOOK = f"{WORKER}.then((it) => it.update()).then(() => true, () => false)"  # As the browser does now and then.


def eventually(page: Page, promised: str) -> None:
    """Waits until the promise is kept with something true: `wait_for_function` takes the promise itself for it."""
    end = time.monotonic() + 20
    while not page.evaluate(promised):
        assert time.monotonic() < end, promised
        page.wait_for_timeout(50)


def test_without_a_network_it_opens_shows_codes_and_says_how_old_its_total_is(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    vendor = product.vendor()
    url = item_of(vendor, 300)
    customer_pays(url)
    page = phone(timezone_id="UTC")
    opened(page, vendor, product.url)
    expect(page.locator("#total")).to_have_text("CN¥3.00")
    eventually(page, READY)
    eventually(page, f"{KEPT}.then((all) => all.split('image.png').length === 3)")

    page.context.set_offline(True)
    page.reload()
    expect(page.get_by_text("Offline")).to_be_visible()
    expect(page.locator("#total")).to_have_text("CN¥3.00")
    assert re.fullmatch(r"1 payment · as of \d\d?:\d\d\s[AP]M", page.locator("#count").inner_text())
    screenshot(page, "app-offline")
    page.get_by_role("button", name="Pears").click()
    expect(page.get_by_text("Your customer scans this")).to_be_visible()
    page.get_by_role("img", name="QR code of Pears").screenshot(path=tmp_path / "code.png")
    [read] = readers.codes(Image.open(tmp_path / "code.png"))
    assert read.text == url
    customer_pays(url, 2)

    page.context.set_offline(False)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("Live")).to_be_visible(timeout=20_000)
    expect(page.locator("#total")).to_have_text("CN¥9.00")
    expect(page.locator("#count")).to_have_text("2 payments")
    assert page.evaluate("caches.match('/api/v1/shop').then(String)") == "undefined"  # The worker kept no answer.

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your phone number")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    eventually(page, "caches.has('pushcart-kept').then((kept) => !kept)")


@pytest.fixture
def deployment(product: Product) -> Iterator[tuple[str, dict[str, str]]]:
    """The product's page through a server that can serve another version: what `changes` says, in this order."""
    changes: dict[str, str] = {}

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = requests.get(product.url + self.path, timeout=10)
            body = answer.content
            for old, new in changes.items():
                body = body.replace(old.encode(), new.encode())
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Content-Security-Policy", "Cache-Control"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """The test says what went wrong, and nobody reads this."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", changes
    server.shutdown()
    server.server_close()


def test_a_newer_version_is_taken_as_a_whole_or_not_at_all(
    phone: Callable[..., Page], product: Product, deployment: tuple[str, dict[str, str]]
) -> None:
    url, changes = deployment
    page = phone()
    page.goto(f"{url}/app/")
    eventually(page, READY)
    page.reload()
    expect(page.get_by_role("button", name="Send me a code")).to_be_visible()

    entrance = requests.get(f"{product.url}/static/app/entrance.js", timeout=10).text
    text = ('"Send me a code"', '"Send me a newer code"')
    version = page.evaluate("document.documentElement.dataset.version")
    sums = [
        base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()
        for each in (entrance, entrance.replace(*text))
    ]
    changes |= {version: "newer", sums[0]: sums[1]}  # Half deployed: the module itself is still the one before.
    page.evaluate(LOOK)
    eventually(page, f"{WORKER}.then((it) => !it.installing && !it.waiting)")
    page.reload()
    expect(page.get_by_role("button", name="Send me a code")).to_be_visible()

    changes |= {text[0]: text[1]}
    page.evaluate(LOOK)
    eventually(page, f"{WORKER}.then((it) => Boolean(it.waiting))")
    expect(page.get_by_role("button", name="Send me a code")).to_be_visible()  # Nothing changes under her fingers.
    page.goto("about:blank")
    page.goto(f"{url}/app/")
    expect(page.get_by_role("button", name="Send me a newer code")).to_be_visible(timeout=20_000)
    is_whole(page, "newer")

    page.evaluate("navigator.serviceWorker.register('/app/worker.js').then(() => {})")  # After the page's own.
    page.wait_for_timeout(500)
    changes |= {'"newer"': '"newest"'}  # Now while it is open: at her word, or when nobody has touched it for a while.
    page.evaluate(LOOK)
    page.get_by_role("button", name="A new version is there: take it").click()
    page.wait_for_function("() => document.documentElement.dataset.version === 'newest'")
    is_whole(page, "newest")
    page.clock.install()
    page.reload()
    expect(page.get_by_role("button", name="Send me a newer code")).to_be_visible()
    eventually(page, f"{WORKER}.then((it) => it.active.state === 'activated')")
    page.evaluate("navigator.serviceWorker.register('/app/worker.js').then(() => {})")
    page.wait_for_timeout(500)
    changes |= {'"newest"': '"latest"'}
    page.clock.fast_forward("01:01:00")  # It looks by itself, and waits for a quiet moment.
    expect(page.get_by_role("button", name="A new version is there: take it")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Send me a newer code").focus()
    page.keyboard.press("Shift")
    page.clock.fast_forward("09:00")
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.dataset.version") == "newest"
    page.clock.fast_forward("02:00")
    page.wait_for_function("() => document.documentElement.dataset.version === 'latest'")
    is_whole(page, "latest")


def is_whole(page: Page, version: str) -> None:
    """Every file is of that version, and nothing of another is left."""
    assert page.evaluate("document.documentElement.dataset.version") == version
    eventually(page, f"caches.keys().then((all) => all.join() === 'pushcart-app-{version}')")


def test_the_service_worker_and_the_icons_make_the_page_installable(product: Product) -> None:
    worker = requests.get(f"{product.url}/app/worker.js", timeout=10)
    assert worker.headers["Content-Type"].startswith("text/javascript")
    assert worker.headers["Cache-Control"] == "no-cache"
    assert "worker-src 'self'" in worker.headers["Content-Security-Policy"]
    manifest = requests.get(f"{product.url}/static/app/manifest.webmanifest", timeout=10).json()
    for icon in manifest["icons"][:3]:
        picture = requests.get(f"{product.url}/static/app/{icon['src']}", timeout=10)
        size = Image.open(BytesIO(picture.content)).size
        assert f"{size[0]}x{size[1]}" == icon["sizes"]
