"""Each provider's whole walk over HTTP: scan, pay, its notifications in any order and number, refund; and without any.

The product runs as it is started everywhere; the provider is a stand-in that checks what we send with its own software
and signs what it sends (`tests/networks`). With notifications or without them, the book must end the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
import requests
from django.utils import timezone

from merchants import items
from merchants.models import Item, Notice, Shop
from payments.models import (
    Inquiry,
    IntentTimer,
    LedgerEntry,
    Payment,
    PaymentIntent,
    ProviderAccount,
    QueuedEvent,
    Refund,
)
from tests.cast import Person
from tests.networks.base import Network, Sent
from tests.networks.every import EVERY
from tests.sandbox.pretend_shop import eventually
from tests.till import assert_books_hold, total
from tests.walks.running import TIMEOUT_S, Customer, Product

pytestmark = pytest.mark.xdist_group("walks")

PRICE, BACK = 20_000, 7_500
# How the notifications of one payment arrive: as they were sent, backwards, and in a muddle; each of them twice.
ORDERS = {"in order": [0, 1, 2, 3, 4, 5], "backwards": [5, 4, 3, 2, 1, 0], "in a muddle": [2, 0, 5, 1, 4, 3]}


@dataclass(frozen=True)
class Stall:
    """A shop that takes one wallet only, and what it sells."""

    product: Product
    network: Network
    account: ProviderAccount
    mei: Person
    item: Item

    @property
    def url(self) -> str:
        return f"{self.product.url}/s/{self.item.codes.get().slug}"


@pytest.fixture(params=sorted(EVERY))
def stall(request: pytest.FixtureRequest, product: Product, mei: Person) -> Iterator[Stall]:
    network = product.networks[request.param]
    Shop.objects.filter(id=mei.shop.id).update(currency=network.currency)
    mei.shop.refresh_from_db()
    item = items.create(shop=mei.shop, name="Apples", amount=PRICE, unit="crate", photo=None, now=timezone.now())
    yield Stall(product, network, network.account(name=f"walk-{secrets.token_hex(4)}"), mei, item)
    assert network.problems == []
    assert_books_hold()


def buy(stall: Stall) -> tuple[Customer, PaymentIntent]:
    """A customer scans, chooses the wallet and is handed over to it."""
    customer = Customer()
    body = {"page": customer.scan(stall.url), "wallet": stall.network.provider}
    sent = customer.session.post(f"{stall.url}/pay", body, allow_redirects=False, timeout=TIMEOUT_S)
    assert sent.status_code == 303, sent.text
    intent = PaymentIntent.objects.latest("id")
    assert (intent.start_failure, intent.startable) == ("", True)
    return customer, intent


def deliver(stall: Stall, sent: Sequence[Sent], order: Sequence[int]) -> None:
    """Each notification twice, in that order; every one is answered as the provider wants it."""
    address = f"{stall.product.url}/webhooks/{stall.network.provider}/{stall.account.name}"
    for place in [place for place in order if place < len(sent)]:
        one = sent[place]
        for _ in range(2):
            answer = requests.post(
                f"{address}/{one.ending}" if one.ending else address,
                params=dict(one.delivery.query),
                data=one.delivery.raw,
                headers=dict(one.delivery.headers),
                timeout=TIMEOUT_S,
            )
            assert answer.status_code in (200, 204), answer.text


def reads(stall: Stall, customer: Customer, intent: PaymentIntent, kind: str) -> None:
    receipt = f"{stall.product.url}/r/{intent.receipt}"
    eventually(lambda: customer.reads(receipt) == kind, f"the receipt to say {kind}", within_s=40)


def hurry() -> None:
    """As if the time of everything that waits had come."""
    now = timezone.now()
    IntentTimer.objects.filter(next_query_at__gt=now).update(next_query_at=now)
    Refund.objects.filter(next_call_at__gt=now).update(next_call_at=now)
    Inquiry.objects.filter(due_at__gt=now).update(due_at=now)
    QueuedEvent.objects.filter(state="parked", due_at__gt=now).update(due_at=now)


def give_back(stall: Stall, intent: PaymentIntent) -> Refund:
    """The vendor gives a part back; its row, once the provider has confirmed it."""
    payment = Payment.objects.get(intent=intent)
    asked = {"amount": {"amount": BACK, "currency": stall.network.currency}, "reason": "bruised"}
    stall.product.api(stall.mei.token).post(f"/payments/pay_{crockford(payment)}/refunds", asked)

    def confirmed() -> bool:
        hurry()
        return Refund.objects.filter(payment=payment, state="succeeded").exists()

    eventually(confirmed, "the refund to be confirmed", within_s=40)
    return Refund.objects.get(payment=payment)


def crockford(payment: Payment) -> str:
    return str(payment).removeprefix("pay_")


def book(intent: PaymentIntent) -> list[tuple[str, int, str, str]]:
    entries = LedgerEntry.objects.filter(payment_id=Payment.objects.get(intent=intent).id).order_by("id")
    return [(entry.kind, entry.amount, entry.debit.kind, entry.credit.kind) for entry in entries]


PAID_AND_PARTLY_BACK = [
    ("paid", PRICE, "provider_receivable", "shop_pending"),
    ("refund_asked", BACK, "shop_pending", "refunds_in_flight"),
    ("refund_confirmed", BACK, "refunds_in_flight", "provider_receivable"),
]


def test_notifications_in_any_order_and_number_book_once(stall: Stall) -> None:
    for order in ORDERS.values():
        customer, intent = buy(stall)
        object_id = stall.network.pay(intent.reference)
        first = stall.network.sent(object_id)
        assert first, "a network that says nothing"
        deliver(stall, first, order)
        reads(stall, customer, intent, "paid")
        give_back(stall, intent)
        deliver(stall, stall.network.sent(object_id), order)
        reads(stall, customer, intent, "refunded")
        settled(stall)
        assert book(intent) == PAID_AND_PARTLY_BACK
        payment = Payment.objects.get(intent=intent)
        assert (payment.object_id, payment.match) == (object_id, "exact")
    owed = len(ORDERS) * (PRICE - BACK)
    currency = stall.network.currency
    assert total("provider_receivable", currency, account=stall.account) == -owed
    assert total("shop_pending", currency, shop=stall.mei.shop) == owed
    kinds = list(Notice.objects.order_by("number").values_list("kind", flat=True))
    assert kinds == ["payment_received", "refund_succeeded"] * len(ORDERS)


def test_without_any_notification_the_same_is_found_by_asking(stall: Stall) -> None:
    customer, intent = buy(stall)
    object_id = stall.network.pay(intent.reference)

    def found() -> bool:
        hurry()
        return Payment.objects.filter(intent=intent).exists()

    eventually(found, "the answer to be booked", within_s=40)
    reads(stall, customer, intent, "paid")
    give_back(stall, intent)
    reads(stall, customer, intent, "refunded")
    settled(stall)
    assert book(intent) == PAID_AND_PARTLY_BACK
    assert Payment.objects.get(intent=intent).object_id == object_id
    assert total("provider_receivable", stall.network.currency, account=stall.account) == BACK - PRICE
    # And when the notifications come after all, nothing changes.
    deliver(stall, stall.network.sent(object_id), ORDERS["in order"])
    settled(stall)
    assert book(intent) == PAID_AND_PARTLY_BACK


def settled(stall: Stall) -> None:
    """Everything that came in was applied, and nothing stands aside."""

    def done() -> bool:
        hurry()
        return not QueuedEvent.objects.exists() and not Inquiry.objects.exists()

    eventually(done, "everything to be applied", within_s=40)
