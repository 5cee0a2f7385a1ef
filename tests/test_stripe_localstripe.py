"""A second opinion on Stripe's module: `localstripe`, a stateful server for Stripe's API that somebody else wrote.

It runs only where LOCALSTRIPE names an interpreter that has it (a program of its own, under the GPL, no dependency of
this project): `LOCALSTRIPE=/somewhere/bin/python`. It knows neither Checkout nor idempotency keys; what it lacks of
the fields that Stripe documents and our module reads is added to it in `LAUNCHER`, and nothing else.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe as sdk
from django.conf import LazySettings
from django.utils import timezone

from merchants import ids
from payments import credentials
from payments.models import Payment, ProviderAccount, Refund
from payments.providers import stripe
from payments.providers.base import Delivery, Ref, UnableToVerify
from tests.settlement_files import rows_of_day

PYTHON = os.environ.get("LOCALSTRIPE", "")
SECRET_KEY, SECRET = "sk_test_localstripe", "whsec_localstripe"

pytestmark = pytest.mark.skipif(not PYTHON, reason="LOCALSTRIPE names no interpreter that has localstripe")

# It would listen on every interface, and keep what it holds in a file of the user's.
LAUNCHER = """
import sys
from aiohttp import web
from localstripe import resources, server

resources.store.dump_to_disk = lambda: None
resources.PaymentIntent.amount_received = property(lambda self: self.amount if self.status == "succeeded" else 0)
resources.Refund.failure_balance_transaction = None
listed = resources.BalanceTransaction._api_list_all.__func__


def listed_of_a_time(cls, url, created=None, limit=None, starting_after=None, **kwargs):
    rows = listed(cls, url, limit, starting_after, **kwargs)
    span = {name: int(value) for name, value in (created or {}).items()}
    rows._list = [row for row in rows._list if span.get("gte", 0) <= row.created < span.get("lt", 2**40)]
    return rows


resources.BalanceTransaction._api_list_all = classmethod(listed_of_a_time)
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


class Ear(HTTPServer):
    """Where its webhooks arrive."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[Delivery] = []


class _Handler(BaseHTTPRequestHandler):
    server: Ear

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(Delivery(raw, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def ear() -> Iterator[Ear]:
    server = Ear()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def address(tmp_path: Path, ear: Ear) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = subprocess.Popen([PYTHON, "-c", LAUNCHER, str(port)], cwd=tmp_path, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        hook = {"url": f"http://127.0.0.1:{ear.server_port}/", "secret": SECRET}
        eventually(lambda: _answers(f"{url}/_config/webhooks/us", hook))
        yield url
    finally:
        running.terminate()
        running.wait(10)


@pytest.fixture
def account(address: str, settings: LazySettings, db: None) -> ProviderAccount:
    settings.STRIPE_URL = address
    given = {"secret_key": SECRET_KEY, "webhook_secrets": SECRET}
    return ProviderAccount.objects.create(
        provider="stripe", name="local", funds="held", sealed_credentials=credentials.sealed(given)
    )


@pytest.fixture
def payment(address: str) -> str:
    """A PaymentIntent, made and confirmed there by Stripe's own SDK."""
    client = sdk.StripeClient(SECRET_KEY, base_addresses={"api": address})
    ends = timezone.now().year + 2
    method = client.v1.payment_methods.create(
        {"type": "card", "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": ends, "cvc": "123"}}
    )
    intent = client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "payment_method": method.id, "metadata": {"reference": "int_01"}}
    )
    assert client.v1.payment_intents.confirm(intent.id).status == "succeeded"
    return intent.id


def test_its_signed_webhook_is_proved_and_read(account: ProviderAccount, payment: str, ear: Ear) -> None:
    eventually(lambda: bool(ear.heard))
    [delivery] = ear.heard
    verified = stripe.verify(account, delivery, now=timezone.now())
    assert json.loads(verified.raw)["type"] == "payment_intent.succeeded"
    assert verified.delivery_id == json.loads(delivery.raw)["id"]
    [paid] = stripe.normalise(account, verified)
    assert (paid.kind, paid.object_id, paid.amount, paid.currency, paid.reference) == (
        "payment.succeeded", payment, 1000, "USD", "int_01",
    )  # fmt: skip
    tampered = Delivery(delivery.raw.replace(b"1000", b"9000"), delivery.headers)
    with pytest.raises(UnableToVerify):
        stripe.verify(account, tampered, now=timezone.now())


def test_its_payment_is_asked_about_and_refunded_once(account: ProviderAccount, payment: str) -> None:
    [paid] = stripe.normalise(account, stripe.query(account, Ref(object_id=payment)))
    assert (paid.kind, paid.object_id, paid.amount, paid.reference) == ("payment.succeeded", payment, 1000, "int_01")
    refund = Refund(id=ids.new(), payment=Payment(object_id=payment), amount=400, currency="USD")
    # It has no idempotency keys: that the second asking finds the first refund is our own doing.
    first, again = (stripe.normalise(account, stripe.refund(account, refund, payment)) for _ in range(2))
    assert first == again
    assert (first[0].kind, first[0].amount, first[0].reference, first[0].parent_object_id) == (
        "refund.succeeded", 400, refund.reference, payment,
    )  # fmt: skip
    assert stripe.normalise(account, stripe.query(account, Ref(object_id=payment)))[1:] == first
    rows = list(rows_of_day(account, timezone.now().astimezone(UTC).date()))
    assert {(row.kind, row.object_id, row.amount, row.fee, row.currency) for row in rows} == {
        ("refund", first[0].object_id, -400, 0, "USD"),
        ("payment", payment, 1000, 0, "USD"),
    }
    assert {row.kind: row.reference for row in rows}["refund"] == refund.reference


def test_what_it_does_not_know_is_an_answer(account: ProviderAccount) -> None:
    assert stripe.normalise(account, stripe.query(account, Ref(object_id="pi_unknown"))) == []


def eventually(holds: Any, within_s: float = 20) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.05)


def _answers(url: str, body: dict[str, str]) -> bool:
    try:
        return requests.post(url, json=body, timeout=5).ok
    except requests.ConnectionError:
        return False
