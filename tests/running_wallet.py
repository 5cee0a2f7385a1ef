"""The pretend wallet, running beside a test: our account there, and a notification as it really arrives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.test import override_settings

from merchants.models import Code
from payments.models import PaymentIntent, ProviderAccount
from payments.providers import sandbox
from tests.sandbox.pretend_shop import CONTROL_KEY, PACE, Wallet
from tests.till import expect, platform

# Nobody listens there: what the wallet has to tell, it tells in vain, and the product must find it out by asking.
NOWHERE = "http://127.0.0.1:9"
# Its second is a quarter of an hour: it has decided on no refund before the test has ended, however slow that is.
UNDECIDED = 900.0


@contextmanager
def running_wallet(folder: Path, *, pace: float = PACE) -> Iterator[Wallet]:
    """A wallet of its own process, stopped at the end."""
    wallet = Wallet(folder / "wallet.sqlite3")
    wallet.start(pace)
    try:
        yield wallet
    finally:
        if wallet.process.poll() is None:
            wallet.stop()


@contextmanager
def known_at(wallet: Wallet, public_url: str = NOWHERE) -> Iterator[ProviderAccount]:
    """The product is set to that wallet, and the platform has its account there, told at `public_url`."""
    with override_settings(SANDBOX_URL=wallet.url, SANDBOX_CONTROL_KEY=CONTROL_KEY, PUBLIC_URL=public_url):
        account = platform()
        sandbox.register(account)
        yield account


def start(code: Code, amount: int | None = None, *, now: datetime | None = None) -> PaymentIntent:
    """An intent that the wallet knows."""
    intent = expect(code, amount, now=now)
    assert intent.redirect_url.startswith(f"{settings.SANDBOX_URL}/pay/wor_"), intent.start_failure
    return intent


def approve(wallet: Wallet, intent: PaymentIntent, behaviour: str = "") -> None:
    """The payer approves, on the wallet's side."""
    asked = {"reference": intent.reference, "behaviour": behaviour}
    reply = wallet.control("POST", "/approve", asked)
    assert (reply.status_code, reply.json()["refused"]) == (200, []), reply.text
