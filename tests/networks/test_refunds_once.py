"""A refund whose answer was lost, told of by notifications before it is asked for again, beside one of a desk."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from merchants import items
from merchants.models import Shop
from payments import asking, checkout, inbox, providers, refunds
from payments.models import IntentTimer, Payment, PaymentIntent, QueuedEvent, Refund
from tests.cast import Person
from tests.networks.base import Network
from tests.networks.every import EVERY
from tests.till import assert_books_hold, drain, total

PRICE, BACK, DESK = 20_000, 7_500, 1_100


@pytest.fixture(params=sorted(EVERY))
def network(request: pytest.FixtureRequest, db: None) -> Iterator[Network]:
    with EVERY[request.param]().set() as running:
        yield running
        assert running.problems == []


def settle() -> None:
    """Everything that waits has its turn."""
    for _ in range(3):
        drain()
        asking.inquire(now=timezone.now())
        QueuedEvent.objects.update(due_at=timezone.now())
    drain()


def deliver(network: Network, payment: Payment) -> None:
    name = payment.provider_account.name
    for sent in network.sent(payment.object_id):
        inbox.receive(provider=network.provider, account=name, delivery=sent.delivery, now=timezone.now())


def ask(intent: PaymentIntent) -> None:
    IntentTimer.objects.filter(intent=intent).update(next_query_at=timezone.now())
    asking.query_silent(now=timezone.now())


@pytest.mark.parametrize("first", ["notifications", "query", "asking again"])
def test_a_refund_is_booked_once_whoever_tells_of_it_first(network: Network, mei: Person, first: str) -> None:
    account = network.account()
    Shop.objects.filter(id=mei.shop.id).update(currency=network.currency)
    mei.shop.refresh_from_db()
    item = items.create(shop=mei.shop, name="Apples", amount=PRICE, unit="", photo=None, now=timezone.now())
    page = uuid.uuid4()
    intent = checkout.start(
        code=item.codes.get(), amount=None, quantity=1, page=page, payer=page.hex, now=timezone.now(),
        wallet=network.provider,
    )  # fmt: skip
    assert intent.startable, intent.start_failure
    network.pay(intent.reference)
    ask(intent)
    settle()
    payment = Payment.objects.select_related("provider_account").get(intent=intent)

    ours = refunds.request(staff=mei.staff, payment=payment, amount=BACK, reason="", now=timezone.now())
    providers.named(network.provider).refund(account, ours, payment.object_id)  # Its answer is lost.
    network.refund_at_desk(payment.object_id, DESK)
    if first == "notifications":
        deliver(network, payment)
        settle()
    elif first == "query":
        ask(intent)
        settle()
    refunds.send_due(now=timezone.now() + timedelta(seconds=6))
    settle()
    deliver(network, payment)
    settle()
    ask(intent)
    settle()

    assert list(QueuedEvent.objects.values_list("state", "reason")) == []
    standing = list(Refund.objects.exclude(state="failed").order_by("amount").values_list("amount", "state", "origin"))
    assert standing == [(DESK, "succeeded", "provider"), (BACK, "succeeded", "shop")]
    assert total("provider_receivable", network.currency, account=account) == BACK + DESK - PRICE
    assert_books_hold()
