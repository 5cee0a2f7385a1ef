"""`manage.py demo`: plays the whole walk against a running product, through HTTP only, and tells it step by step."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import urljoin
from uuid import uuid4

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from PIL import Image

from merchants.money import shown

Found = TypeVar("Found")
TIMEOUT_S = (5, 15)
PATIENCE_S = 30.0  # Retries of the wallet and of the sweep fit in; a healthy machine needs well under a second.


class Stuck(Exception):
    """A step that did not go as it must; its text is the sentence a person reads."""


class Command(BaseCommand):
    help = "Sell an apple: sign in, print a code, scan, pay, hear it, see it in the book, refund a part."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            Walk(settings.PUBLIC_URL, say=self.stdout.write).play()
        except requests.ConnectionError as failure:
            url = failure.request.url if failure.request else settings.PUBLIC_URL
            raise CommandError(f"Nothing answers at {url}. Start the product with `make up` and try again.")
        except (Stuck, requests.RequestException) as failure:
            raise CommandError(f"The walk stopped here: {failure}")


class Walk:
    """One vendor, one customer and one apple. Every method is a step; a step that fails raises Stuck."""

    def __init__(self, url: str, *, say: Callable[[str], object]) -> None:
        self.url, self._say = url, say
        self._steps = 0
        self.phone = f"+86138{secrets.randbelow(10**8):08d}"
        self.vendor = Api(f"{url}/api/v1")
        self.customer = requests.Session()  # A phone with a cookie jar and nothing else of ours.

    def play(self) -> None:
        self.sign_in()
        item = self.add_item()
        self.draw(item["code"])
        with Stream(self.shop["stream_url"], self.vendor.token) as stream:
            wallet = self.scan_and_pay(item["code"]["url"])
            receipt, approved_at = self.approve(wallet)
            self.await_receipt(receipt, "paid")
            payment = self.hear_payment(stream, approved_at)
            self.show_book()
            self.refund_part(stream, payment, receipt)
        self.show_book()
        self._say("\nThe whole walk went through.")

    def sign_in(self) -> None:
        self._step(f"A vendor asks for a code by text message to {self.phone}")
        self.vendor.post("/auth/code", {"phone": self.phone})
        code = _wait(self._text_message, f"no text message to {self.phone} came to {self.url}/dev/outbox")
        self._tell(f"the message says {code}")
        self._step("She signs in; her shop is there at once")
        answer = self.vendor.post("/auth/token", {"phone": self.phone, "code": code})
        self.vendor.token = answer["token"]
        self.shop = self.vendor.patch("/shop", {"name": "Aunt Li's fruit cart"})
        self._tell(f"{self.shop['name']}, {self.shop['currency']}, {self.shop['time_zone']}")

    def add_item(self) -> dict[str, Any]:
        self._step("She adds a pile of apples")
        price = {"amount": 200, "currency": self.shop["currency"]}
        item = self.vendor.post("/items", {"name": "Red apples", "price": price, "unit": "pile"})
        self._tell(f"{item['name']}, {_money(item['price'])} a pile")
        return item

    def draw(self, code: dict[str, Any]) -> None:
        self._step("She downloads the QR code to print it")
        png = self.vendor.get_bytes(f"/codes/{code['id']}/image.png")
        picture = Image.open(BytesIO(png))
        self._tell(f"{picture.width} × {picture.height} pixels, {len(png):,} bytes")
        if find_spec("zxingcpp") is None:
            self._tell(f"it says {code['url']} (no decoder is installed to read it back)")
            return
        read = [found.text for found in import_module("zxingcpp").read_barcodes(picture)]
        if read != [code["url"]]:
            raise Stuck(f"the picture decodes as {read} instead of {code['url']}")
        self._tell(f"a scanner reads {read[0]}")

    def scan_and_pay(self, url: str) -> str:
        self._step("A customer scans it and taps Pay")
        page = self.customer.get(url, timeout=TIMEOUT_S)
        form = _form(page)
        self._tell(f"the page is one document of {len(page.content):,} bytes")
        answer = self.customer.post(
            urljoin(url, form.action), {**form.fields, "quantity": "1"}, timeout=TIMEOUT_S, allow_redirects=False
        )
        if answer.status_code != 303 or answer.headers["Location"].startswith(self.url):
            raise Stuck(f"paying answered {answer.status_code} {answer.headers.get('Location', '')}, not the wallet")
        self._tell(f"sent on to the wallet: {answer.headers['Location']}")
        return answer.headers["Location"]

    def approve(self, wallet: str) -> tuple[str, float]:
        self._step("The customer approves in the (pretend) wallet")
        form = _form(self.customer.get(wallet, timeout=TIMEOUT_S))
        began = time.monotonic()
        answer = self.customer.post(
            urljoin(wallet, form.action),
            {**form.fields, "decision": "approve"},
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
        if answer.status_code != 303:
            raise Stuck(f"the wallet answered {answer.status_code} to the approval")
        self._tell(f"and is sent back to {answer.headers['Location']}")
        return answer.headers["Location"], began

    def await_receipt(self, receipt: str, kind: str) -> None:
        self._step(f"The receipt turns to “{kind}”")

        def says() -> bool:
            page = self.customer.get(receipt, timeout=TIMEOUT_S)
            return f'data-kind="{kind}"' in page.text

        began = time.monotonic()
        _wait(says, f"the receipt {receipt} did not turn to “{kind}”")
        self._tell(f"after {(time.monotonic() - began) * 1000:.0f} ms")

    def hear_payment(self, stream: Stream, approved_at: float) -> str:
        self._step("The vendor's phone hears it")
        notice, at = stream.wait_for("payment_received")
        data = notice["data"]
        self._tell(
            f"notice {notice['number']}: {_money(data['amount'])} received, {data['match']}, "
            f"{(at - approved_at) * 1000:.0f} ms after the tap on Approve"
        )
        if data["match"] != "exact":
            raise Stuck(f"the payment is booked as {data['match']}, not exact")
        return str(data["payment"])

    def refund_part(self, stream: Stream, payment: str, receipt: str) -> None:
        self._step("One apple was bad: she gives a part back")
        amount = {"amount": 50, "currency": self.shop["currency"]}
        refund = self.vendor.post(f"/payments/{payment}/refunds", {"amount": amount, "reason": "one bad apple"})
        self._tell(f"{_money(refund['amount'])} {refund['state']}")
        began = time.monotonic()
        stream.wait_for("refund_succeeded")
        self._tell(f"the wallet confirmed it after {(time.monotonic() - began) * 1000:.0f} ms")
        self.await_receipt(receipt, "refunded")

    def show_book(self) -> None:
        self._step("What the book says")
        balance = self.vendor.get("/ledger/balance")
        self._tell(f"total {_money(balance['total'])}, of which available {_money(balance['available'])}")
        for entry in self.vendor.get("/ledger/entries")["results"]:
            self._tell(f"{entry['kind']:<17} {_money(entry['amount']):>9}   {entry['debit']} ← {entry['credit']}")

    def _text_message(self) -> str | None:
        answer = requests.get(f"{self.url}/dev/outbox", headers={"Accept": "application/json"}, timeout=TIMEOUT_S)
        if answer.status_code == 404:
            raise Stuck(
                f"{self.url}/dev/outbox is not open to us: the product must run with DEV_OUTBOX=1, on this machine"
            )
        mine = [message["code"] for message in answer.json()["results"] if message["phone"] == self.phone]
        return mine[0] if mine else None

    def _step(self, sentence: str) -> None:
        self._steps += 1
        self._say(f"\n{self._steps:2}. {sentence}.")

    def _tell(self, detail: str) -> None:
        self._say(f"    {detail}")


class Api:
    """The public API as the vendor's phone speaks it."""

    def __init__(self, base: str) -> None:
        self._base, self.token = base, ""

    def get(self, path: str) -> dict[str, Any]:
        return self._json(requests.get(self._base + path, headers=self._headers(), timeout=TIMEOUT_S))

    def get_bytes(self, path: str) -> bytes:
        answer = requests.get(self._base + path, headers=self._headers(), timeout=TIMEOUT_S)
        return answer.content if answer.ok else self._refuse(answer)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {**self._headers(), "Idempotency-Key": str(uuid4())}
        return self._json(requests.post(self._base + path, json=body, headers=headers, timeout=TIMEOUT_S))

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._json(requests.patch(self._base + path, json=body, headers=self._headers(), timeout=TIMEOUT_S))

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _json(self, answer: requests.Response) -> dict[str, Any]:
        if not answer.ok:
            self._refuse(answer)
        value: dict[str, Any] = answer.json()
        return value

    def _refuse(self, answer: requests.Response) -> bytes:
        asked = f"{answer.request.method} {answer.request.path_url}"
        raise Stuck(f"{asked} answered {answer.status_code}: {answer.text[:300]}")


class Stream:
    """The vendor's open event stream, read on a thread of its own; each notice is kept with the moment it came."""

    def __init__(self, url: str, token: str) -> None:
        self._answer = requests.get(
            url, headers={"Authorization": f"Bearer {token}", "Last-Event-ID": "0"}, stream=True, timeout=(5, 60)
        )
        if not self._answer.ok:
            raise Stuck(f"the stream {url} answered {self._answer.status_code}")
        self._told: list[tuple[dict[str, Any], float]] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *failure: object) -> None:
        self._answer.raw.shutdown()  # Ends the reading thread at once; `close` would wait for its next line.

    def wait_for(self, kind: str) -> tuple[dict[str, Any], float]:
        """The first notice of this kind, and when it came (monotonic seconds)."""
        with self._news:
            if not self._news.wait_for(lambda: self._find(kind), PATIENCE_S):
                raise Stuck(f"the vendor's stream told of no {kind} within {PATIENCE_S:.0f} s")
            return self._find(kind)[0]

    def _find(self, kind: str) -> list[tuple[dict[str, Any], float]]:
        return [(notice, at) for notice, at in self._told if notice["kind"] == kind]

    def _read(self) -> None:
        try:
            for data in self._events():
                with self._news:
                    self._told.append((json.loads(data), time.monotonic()))
                    self._news.notify_all()
        except (requests.RequestException, AttributeError, ValueError, OSError):
            return  # The line was closed: by us at the end, or by them, which `wait_for` then says.

    def _events(self) -> Iterator[str]:
        for line in self._answer.iter_lines(chunk_size=1, decode_unicode=True):
            if line.startswith("data:"):
                yield line.removeprefix("data:").strip()


class _Form(HTMLParser):
    """The first form of a page: where it goes, and what its hidden fields carry."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form" and not self.action:
            self.action = values.get("action") or ""
        if tag == "input" and values.get("type") == "hidden":
            self.fields[values.get("name") or ""] = values.get("value") or ""


def _form(page: requests.Response) -> _Form:
    form = _Form()
    form.feed(page.text)
    if page.status_code != 200 or not form.action:
        raise Stuck(f"{page.url} answered {page.status_code} and shows nothing to pay")
    return form


def _wait(look: Callable[[], Found | None], otherwise: str) -> Found:
    """Looks until there is something to see; Stuck with the sentence when there is not."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise Stuck(f"{otherwise} within {PATIENCE_S:.0f} s")


def _money(value: dict[str, Any]) -> str:
    return shown(value["amount"], value["currency"])
