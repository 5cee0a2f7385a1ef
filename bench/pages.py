"""How heavy the customer's pages are, and how soon a cheap phone paints them: Chromium, 360×740, the running product.

Slow 4G as Lighthouse has it (150 ms a round trip, 1.6 Mbit/s down, 0.75 Mbit/s up) and a processor four times slower
than this machine's, by the browser's own throttles; medians of ROUNDS looks, each by a browser that knows nothing yet.
The throttle delays each request by one round trip; the trips that open a connection over TCP and TLS are not in it, and
a phone's processor is not this machine's divided by four. What is compared must come from one run.
"""

from __future__ import annotations

import gzip
import os
import re
import secrets
import time
from functools import partial
from io import BytesIO
from pathlib import Path

import requests
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from bench import ground
from bench.rounds import Arm, Figures, Goal, compare

ROUNDS = 9
JSON = "one line of JSON"
_THROTTLES = (
    "Slow 4G as Lighthouse has it and a processor four times slower, by the browser's own throttles; each look by a"
    " browser that knows nothing yet. The throttle delays each request by one round trip; the trips that open a"
    " connection are not in it."
)
_WHAT = {JSON: "What this browser on this machine needs for any page at all."}
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
DOCUMENT_GOAL, PAINT_GOAL_MS = 10_000, 550
SLOW_4G = {
    "offline": False,
    "latency": 150,
    "downloadThroughput": 1_638_400 / 8,
    "uploadThroughput": 750_000 / 8,
}
_PAINTED = """() => new Promise((done) => {
  const look = () => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    const [way] = performance.getEntriesByType("navigation");
    if (paint) done([way.responseEnd, paint.startTime]); else setTimeout(look, 20);
  };
  look();
})"""


def main() -> None:
    if not Path(CHROMIUM).exists():
        print(f"not measured: there is no {CHROMIUM} (CHROMIUM=… names another)")
        return
    port = int(os.environ.get("BENCH_PORT", "8640"))
    with ground.product(port):
        addresses = _addresses(f"http://127.0.0.1:{port}")
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            for address in addresses.values():
                _look(browser, address)  # The product's own processes have drawn such a page before.
            _compare(browser, addresses)
            browser.close()
        _weigh_in_every_language(addresses)


def _compare(browser: Browser, addresses: dict[str, str]) -> None:
    pages = [name for name in addresses if name != JSON]
    compare(
        "pages",
        [
            Arm(name, "limit" if name == JSON else "product", partial(_look, browser, address), _WHAT.get(name, ""))
            for name, address in addresses.items()
        ],
        title="The customer's pages on a slow phone",
        figure="paint_ms",
        rounds=ROUNDS,
        goals=[
            goal
            for name in pages
            for goal in (
                Goal(f"{name}: painted within {PAINT_GOAL_MS} ms", "paint_ms", name, at_most=PAINT_GOAL_MS),
                Goal(f"{name}: a document of 10 kB", "document_bytes", name, at_most=DOCUMENT_GOAL),
            )
        ],
        notes=[f"Chromium {browser.version}, 360×740.", _THROTTLES],
    )


def _weigh_in_every_language(addresses: dict[str, str]) -> None:
    """The bytes of each document, and of the same as a proxy in front would send it."""
    from django.conf import settings  # noqa: PLC0415  Django is set up only now.

    languages = [code for code, _ in settings.LANGUAGES]
    print(f"\n{'':20}" + "".join(f"{language:>16}" for language in languages))
    for name, address in addresses.items():
        if name == JSON:
            continue
        weights = []
        for language in languages:
            document = requests.get(address, headers={"Accept-Language": language}, timeout=10).content
            weights.append(f"{len(document)} ({len(gzip.compress(document, 6))}) B")
        print(f"{name:20}" + "".join(f"{weight:>16}" for weight in weights), flush=True)


def _addresses(url: str) -> dict[str, str]:
    """A pile of apples, a payment of it that waits and one that is paid, what proves it, and a code of nobody's."""
    scan = _code(url)
    paid, waiting = _begun(scan), _begun(scan)
    receipt = _approved(paid)
    return {
        "scan": scan,
        "receipt, waiting": _receipt(waiting, url),
        "receipt, paid": receipt,
        "sorry": f"{url}/s/23456789ABCD",
        "proof": _proof(receipt),
        JSON: f"{receipt}/state",
    }


def _code(url: str) -> str:
    phone, api = f"+86138{secrets.randbelow(10**8):08d}", f"{url}/api/v1"
    requests.post(f"{api}/auth/code", json={"phone": phone}, timeout=10).raise_for_status()
    sent = None
    while sent is None:
        messages = requests.get(f"{url}/dev/outbox", timeout=10).json()["results"]
        sent = next((message["code"] for message in messages if message["phone"] == phone), None)
    asked = {"phone": phone, "code": sent, "shop_name": "Mei's fruit"}
    token = requests.post(f"{api}/auth/token", json=asked, timeout=10).json()["token"]
    answer = requests.post(
        f"{api}/items",
        json={"name": "Red apples", "price": {"amount": 200, "currency": "CNY"}, "unit": "pile"},
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(8)},
        timeout=10,
    )
    answer.raise_for_status()
    return str(answer.json()["code"]["url"])


def _begun(scan: str) -> str:
    """Scans and taps Pay; answers where in the pretend wallet the payer is sent."""
    customer = requests.Session()
    found = re.search(r'name="page" value="([^"]+)"', customer.get(scan, timeout=10).text)
    assert found
    sent = customer.post(f"{scan}/pay", {"page": found[1], "quantity": 2}, allow_redirects=False, timeout=10)
    return sent.headers["Location"]


def _approved(wallet: str) -> str:
    sent = requests.post(wallet, {"decision": "approve"}, allow_redirects=False, timeout=10)
    receipt = sent.headers["Location"]
    end = time.monotonic() + 20
    while 'data-kind="paid"' not in requests.get(receipt, timeout=10).text:
        assert time.monotonic() < end, "the payment was not booked"
        time.sleep(0.2)
    return receipt


def _receipt(wallet: str, url: str) -> str:
    from payments.models import PaymentIntent  # noqa: PLC0415  Django is set up only now.

    return f"{url}/r/{PaymentIntent.objects.get(redirect_url=wallet).receipt}"


def _proof(receipt: str) -> str:
    picture = requests.get(f"{receipt}/proof.png", timeout=10).content
    [code] = zxingcpp.read_barcodes(Image.open(BytesIO(picture)).convert("L"))
    return str(code.text)


def _look(browser: Browser, address: str) -> Figures:
    """One page as it came, with everything that was asked for until the network fell silent."""
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, device_scale_factor=2, has_touch=True, is_mobile=True, locale="en"
    )
    page = context.new_page()
    tools = context.new_cdp_session(page)
    tools.send("Network.enable")
    tools.send("Network.emulateNetworkConditions", SLOW_4G)
    tools.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(address, wait_until="load")
    assert answer is not None
    answered, paint = page.evaluate(_PAINTED)
    document = answer.body()
    context.close()
    return {
        "paint_ms": float(paint),
        "answered_ms": float(answered),
        "document_bytes": len(document),
        "gzip_bytes": len(gzip.compress(document, 6)),
        "asked_requests": len(asked),
    }


if __name__ == "__main__":
    main()
