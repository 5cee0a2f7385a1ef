"""The vendor holds her phone over a customer's receipt or a sticker: a real camera, real pages, no network."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from merchants import ids
from qr import draw
from tests import readers
from tests.browser.conftest import CHROMIUM, Product, Vendor, until_paid
from tests.test_proofs import VECTOR

pytestmark = pytest.mark.xdist_group("browser")
ISSUED_S = 1_763_815_084  # When VECTOR was issued; what follows is its key and its shop.
RFC_8032_PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SHOP = ids.public("shp", UUID("0193b606-ab80-7000-8000-000000000001"))
PAYMENT = ids.public("pay", UUID("0193b606-ab80-7000-8000-000000000002"))
# The page has come to rest, and what a check without network needs has been fetched.
READY = """async () => {
  const fetched = (path) => performance.getEntriesByName(origin + path).length > 0;
  while (!(fetched("/api/v1/provider-accounts") && JSON.parse(localStorage.pushcart).keys?.length &&
    ("BarcodeDetector" in window || fetched("/static/app/vendor/read-qr.js"))))
    await new Promise((done) => setTimeout(done, 50));
}"""

# What Android's Chromium brings along.
DETECTOR = """window.BarcodeDetector = class {
  static async getSupportedFormats() { return ["ean_13", "qr_code"]; }
  async detect() { return [{ rawValue: "%s" }]; }
};"""
WATCH = """window.opened = [];
const own = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  if (window.refused) throw new DOMException("refused", "NotAllowedError");
  const stream = await own(wanted);
  window.opened.push(...stream.getTracks());
  return stream;
};"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera sees; read anew whenever it is opened."""
    return tmp_path_factory.mktemp("camera") / "film.mjpeg"


@pytest.fixture(scope="module")
def chromium(film: Path) -> Iterator[Browser]:
    """A Chromium whose camera plays the film."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM} (apt install chromium, or set CHROMIUM)")
    arguments = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def hold_up(film: Path) -> Callable[[bytes], None]:
    """Holds a picture (PNG) in front of the camera: a little askew, on a grey table."""

    def hold(picture: bytes) -> None:
        seen = Image.new("L", (1280, 720), 140)
        shown = Image.open(io.BytesIO(picture)).convert("L")
        shown.thumbnail((700, 560))
        seen.paste(shown, (300, 80))
        frame = io.BytesIO()
        seen.rotate(7, Image.Resampling.BICUBIC, fillcolor=140).convert("RGB").save(frame, "JPEG", quality=85)
        film.write_bytes(frame.getvalue() * 3)

    return hold


def customer_pays(url: str) -> str:
    """Somebody scans the code and approves, without a browser; answers the address of the receipt, which says paid."""
    session = requests.Session()
    found = re.search(r'name="page" value="([^"]+)"', session.get(url, timeout=10).text)
    assert found
    began = session.post(f"{url}/pay", {"page": found[1], "quantity": 2}, allow_redirects=False, timeout=10)
    approved = session.post(began.headers["Location"], {"decision": "approve"}, allow_redirects=False, timeout=10)
    return until_paid(approved.headers["Location"])


def apples(vendor: Vendor) -> str:
    code = vendor.post("/items", {"name": "Red apples", "price": {"amount": 200, "currency": "CNY"}})["code"]
    assert isinstance(code, dict)
    return str(code["url"])


def signed_in(page: Page, product: Product, vendor: Vendor) -> Page:
    """Her phone page, ready to check without a network; `opened` are the tracks of every camera that it opens."""
    page.add_init_script(WATCH)
    page.goto(f"{product.url}/app/")
    page.evaluate("(token) => localStorage.setItem('pushcart', JSON.stringify({ token }))", vendor.token)
    page.reload()
    expect(page.get_by_text("Live")).to_be_visible()
    page.evaluate(READY)
    return page


def check(page: Page) -> None:
    page.get_by_role("button", name="Check a receipt or a code").click()


def test_a_receipt_is_real_once_and_only_at_its_own_shop_without_network(
    phone: Callable[..., Page],
    product: Product,
    hold_up: Callable[[bytes], None],
    screenshot: Callable[[Page, str], Path],
) -> None:
    vendor = product.vendor()
    customer = phone()
    customer.goto(customer_pays(apples(vendor)))
    code = customer.get_by_role("img", name="Show this to the shop")
    expect(code).to_be_visible()
    code.evaluate("(picture) => picture.decode()")
    screenshot(customer, "receipt-proof")
    hold_up(code.screenshot())

    page = signed_in(phone(), product, vendor)
    expect(page.locator("#total")).to_have_text("CN¥4.00")
    page.context.set_offline(True)
    screenshot(page, "check-home")
    check(page)
    expect(page.get_by_role("heading", name="Real")).to_be_visible()
    expect(page.locator(".answer .sum")).to_have_text("CN¥4.00")
    expect(page.locator("dialog.answer.good")).to_be_visible()
    screenshot(page, "check-real")
    assert page.evaluate("window.opened.map((track) => track.readyState)") == ["ended"]

    page.get_by_role("button", name="Check another").click()
    expect(page.get_by_role("heading", name=re.compile(r"Already shown at \d"))).to_be_visible()
    screenshot(page, "check-shown")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("heading", name="Mei's fruit")).to_be_visible()

    other = signed_in(phone(), product, product.vendor())
    other.context.set_offline(True)
    check(other)
    expect(other.get_by_role("heading", name="Another shop's")).to_be_visible()
    screenshot(other, "check-other")


def test_a_sticker_is_hers_or_another_shops_and_a_blank_becomes_hers(
    phone: Callable[..., Page],
    product: Product,
    hold_up: Callable[[bytes], None],
    screenshot: Callable[[Page, str], Path],
) -> None:
    vendor = product.vendor()
    mine, blank = apples(vendor), blank_sticker(product)
    page = signed_in(phone(), product, vendor)
    for url, heading, sentence in (
        (mine, "Yours", "It is yours, and takes payments."),
        (apples(product.vendor()), "Another shop's", "This code belongs to another shop."),
        ("https://example.com/menu", "A web link", "example.com"),
        (blank, "A blank code", "nobody's yet"),
    ):
        hold_up(draw.png(url))
        check(page)
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        expect(page.locator("dialog.answer")).to_contain_text(sentence)
        screenshot(page, f"check-{heading.split()[-1].lower()}")
        if url != blank:
            page.get_by_role("button", name="Close").click()
    page.locator("dialog").get_by_role("button", name="Red apples").click()
    expect(page.get_by_role("heading", name="Yours now")).to_be_visible()
    assert "Red apples" in requests.get(blank, timeout=10).text


def test_a_camera_that_is_refused_leaves_a_photo_and_one_that_is_closed_is_really_closed(
    phone: Callable[..., Page],
    product: Product,
    hold_up: Callable[[bytes], None],
    screenshot: Callable[[Page, str], Path],
    tmp_path: Path,
) -> None:
    vendor = product.vendor()
    page = signed_in(phone(), product, vendor)
    Image.new("L", (600, 600), 140).save(tmp_path / "empty.png")
    (tmp_path / "sticker.png").write_bytes(draw.png(apples(vendor)))
    hold_up((tmp_path / "empty.png").read_bytes())
    check(page)
    expect(page.locator("video")).to_have_js_property("videoWidth", 1280)
    screenshot(page, "check-camera")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("video")).to_have_count(0)
    assert page.evaluate("window.opened.map((track) => track.readyState)") == ["ended"]

    page.evaluate("window.refused = true")
    check(page)
    expect(page.get_by_text("The camera cannot be used here. Choose a photo.")).to_be_visible()
    page.get_by_label("Or choose a photo").set_input_files(tmp_path / "empty.png")
    expect(page.get_by_text("There is no code in this photo.")).to_be_visible()
    page.get_by_label("Or choose a photo").set_input_files(tmp_path / "sticker.png")
    expect(page.get_by_role("heading", name="Yours")).to_be_visible()


def test_where_the_browser_reads_codes_itself_no_decoder_is_loaded(
    phone: Callable[..., Page], product: Product
) -> None:
    vendor = product.vendor()
    page = phone()
    page.add_init_script(DETECTOR % apples(vendor))
    page = signed_in(page, product, vendor)
    check(page)
    expect(page.get_by_role("heading", name="Yours")).to_be_visible()
    loaded = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    assert [name for name in loaded if "/vendor/" in name] == []


def blank_sticker(product: Product) -> str:
    """The link of a code that was printed in bulk and is nobody's."""
    commands = (
        "from merchants import batches; from merchants.models import User; from django.utils import timezone; "
        "chief = User.objects.create_user('+8613700137001', is_staff=True); "
        "made = batches.make(label='Market', size=1, operator=chief, reason='a fair', now=timezone.now()); "
        "print(made.blanks.get().slug)"
    )
    environment = {**os.environ, **json.loads((product.data / "environment.json").read_text())}
    told = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", commands],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return f"{product.url}/s/{told.stdout.split()[-1]}"


def test_the_receipt_replaces_its_code_and_without_script_shows_one_that_stands_still(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path]
) -> None:
    receipt = customer_pays(apples(product.vendor()))
    page = phone()
    page.clock.install()
    page.goto(receipt)
    picture = page.locator("img.code")
    expect(picture).to_have_attribute("src", re.compile(r"moving=0$"))
    page.clock.run_for(20_000)
    expect(picture).to_have_attribute("src", re.compile(r"moving=1$"))
    still = phone(java_script_enabled=False)
    still.goto(receipt)
    expect(still.locator("img.code")).to_have_attribute("src", re.compile(r"/proof\.png$"))
    expect(still.locator("noscript p")).to_be_visible()
    [read] = readers.codes(Image.open(io.BytesIO(still.locator("img.code").screenshot())))
    still.goto(read.text)  # What any other camera opens.
    expect(still.get_by_role("heading", name="Real")).to_be_visible()
    screenshot(still, "proof-page")


# Judges tokens on a phone whose clock stands `late_s` after VECTOR was issued and that knows its key.
JUDGE = """async ([tokens, key, issued, late, shop, vendored]) => {
  if (vendored) {
    const own = crypto.subtle.importKey.bind(crypto.subtle);
    crypto.subtle.importKey = (kind, bytes, name, ...rest) =>
      name === "Ed25519" ? Promise.reject(new Error("unknown")) : own(kind, bytes, name, ...rest);
  }
  const { judge } = await import("/static/app/proof.js");
  const answers = [];
  for (const token of tokens) {
    const offset = (issued + late) * 1000 - Date.now();
    localStorage.pushcart = JSON.stringify({ keys: [[7, key, (issued + 86400) * 1000]], offset });
    answers.push(await judge(token, shop));
  }
  return answers;
}"""


def judged(
    page: Page, *tokens: str, late_s: int = 0, shop: str = SHOP, vendored: bool = False
) -> list[dict[str, object]]:
    key = base64.urlsafe_b64encode(RFC_8032_PUBLIC).decode().rstrip("=")
    answers: list[dict[str, object]] = page.evaluate(JUDGE, [tokens, key, ISSUED_S, late_s, shop, vendored])
    return answers


@pytest.mark.parametrize("vendored", [False, True], ids=["WebCrypto", "the vendored verifier"])
def test_the_phone_reads_the_same_bytes_as_the_server_and_refuses_every_other(
    phone: Callable[..., Page], product: Product, vendored: bool
) -> None:
    page = phone()
    page.goto(f"{product.url}/app/")
    [said] = judged(page, VECTOR, vendored=vendored)
    assert said == {
        "verdict": "real",
        "payment": PAYMENT,
        "amount": {"amount": 400, "currency": "CNY"},
        "refunded": {"amount": 0, "currency": "CNY"},
        "paidAt": (ISSUED_S - 12) * 1000,
        "pretend": True,
        "now": said["now"],
    }
    raw = base64.urlsafe_b64decode(VECTOR)
    flipped = []
    for bit in [bit for bit in range(0, len(raw) * 8, 11 if vendored else 1) if not 8 <= bit < 40]:
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        flipped.append(base64.urlsafe_b64encode(changed).decode())
    strange = ["", "x", VECTOR[:-1], VECTOR + "A", "*" * 168, "é" * 168]
    assert {answer["verdict"] for answer in judged(page, *flipped, *strange, vendored=vendored)} == {"forged"}
    assert [
        judged(page, VECTOR, late_s=late_s, vendored=vendored)[0]["verdict"] for late_s in (-121, -119, 179, 181)
    ] == ["early", "real", "real", "old"]
    assert judged(page, VECTOR, shop=SHOP[:-1] + "2")[0]["verdict"] == "other"
    page.evaluate("localStorage.clear()")


def test_a_key_that_the_phone_does_not_know_is_asked_for_and_without_network_it_says_so(
    phone: Callable[..., Page], product: Product
) -> None:
    page = phone()
    page.goto(f"{product.url}/app/")
    stranger = base64.urlsafe_b64encode(b"\x11\0\0\0\x63" + bytes(121)).decode()
    assert judged(page, stranger)[0]["verdict"] == "forged"  # It asked: we have no key 99.
    page.context.set_offline(True)
    assert judged(page, stranger)[0]["verdict"] == "key"
