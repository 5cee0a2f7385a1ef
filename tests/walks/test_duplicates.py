"""One payment's notifications, twenty of each, in three orders, by eight senders at once: it is one payment."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import requests

from merchants.models import Notice
from payments import ledger
from payments.models import LedgerEntry, Payment, ProviderAccount, Refund, WebhookEvent
from tests.cast import Person
from tests.till import Notification, assert_books_hold, paid, refund_told, shop_code
from tests.walks.running import TIMEOUT_S, Product, customers, settle

pytestmark = pytest.mark.xdist_group("walks")

COPIES, SENDERS = 20, 8
ORDERS: dict[str, Callable[[list[Notification]], list[Notification]]] = {
    "as it happened": list,
    "backwards": lambda words: words[::-1],
    "at random": lambda words: random.Random(20).sample(words, len(words)),
}


@pytest.mark.parametrize("order", ORDERS)
def test_twenty_copies_of_every_word_on_one_payment_are_one_posting_one_notice_and_one_refund(
    product: Product, account: ProviderAccount, mei: Person, order: str
) -> None:
    [intent] = customers(shop_code(mei.shop), 1, at_the_wallet=False)
    # The wallet's ids of the payment and of the refund that its own desk gave; the rest is told of them.
    payment = Payment(provider_account=account, intent=intent, object_id="wpy_one", amount=100, currency="CNY")
    came = paid(intent, object_id="wpy_one")
    went = refund_told(payment, "succeeded", amount=30, object_id="wrf_one")
    words = [replace(came, delivery=f"evt_came_{number}") for number in range(3)]
    words += [replace(went, delivery=f"evt_went_{number}") for number in range(2)]
    answers = deliver_together(product, ORDERS[order]([word for word in words for _ in range(COPIES)]))
    assert answers == {204: len(words) * COPIES}
    settle(product, account)

    assert sorted(WebhookEvent.objects.values_list("delivery_id", flat=True)) == [word.delivery for word in words]
    [row] = Payment.objects.all()
    assert (row.object_id, row.amount, row.match) == ("wpy_one", 100, "exact")
    [refund] = Refund.objects.all()
    assert (refund.object_id, refund.amount, refund.state) == ("wrf_one", 30, "succeeded")
    entries = LedgerEntry.objects.order_by("id").values_list("kind", "amount", "payment_id", "refund_id")
    assert list(entries) == [("paid", 100, row.id, None), ("refund_reported", 30, row.id, refund.id)]
    notices = Notice.objects.order_by("number").values_list("number", "kind", "about")
    assert list(notices) == [(1, "payment_received", row.id), (2, "refund_succeeded", row.id)]
    assert ledger.balance(shop=mei.shop).total == 70
    assert_books_hold()


def deliver_together(product: Product, words: list[Notification]) -> Counter[int]:
    """Delivered in this order, by all senders at once, each on a connection of its own: how often was answered what."""
    mine = threading.local()

    def deliver(word: Notification) -> int:
        mine.session = session = getattr(mine, "session", None) or requests.Session()
        address = f"{product.url}/webhooks/sandbox/{word.account.name}"
        return session.post(address, data=word.raw, headers=word.headers, timeout=TIMEOUT_S).status_code

    with ThreadPoolExecutor(SENDERS) as senders:
        return Counter(senders.map(deliver, words))
