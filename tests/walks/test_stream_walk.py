"""What a vendor hears while postings overtake each other and her stream is killed: each payment once, in order."""

from __future__ import annotations

import json

import psycopg
import pytest

from merchants.models import Notice
from payments.models import Payment, ProviderAccount
from tests.cast import Person
from tests.sandbox.pretend_shop import eventually
from tests.test_stream import database_url
from tests.till import shop_code
from tests.walks.running import Product, approve, assert_the_wallet_agrees, blocked_statements, customers, settle

pytestmark = pytest.mark.xdist_group("walks")


def test_a_posting_that_commits_late_is_heard_before_the_ones_that_came_after_it(
    product: Product, account: ProviderAccount, mei: Person
) -> None:
    """Two workers post for one shop: one has taken number 1 and is held before its commit."""
    first, *others = customers(shop_code(mei.shop), 4)
    ear = product.listen(mei.token)
    url = database_url()
    with product.second_worker(), psycopg.connect(url) as queue, psycopg.connect(url) as intents:
        intents.execute("SELECT FROM payments_paymentintent WHERE id = %s FOR UPDATE", [first.id])
        approve(product, account, [first])
        eventually(lambda: len(blocked_statements()) == 1, "a posting to wait for its intent", within_s=20)
        # Its lease is committed. From now on it cannot take its event off the queue, which is the last it does.
        queue.execute("SELECT FROM payments_queuedevent FOR UPDATE")
        intents.rollback()
        eventually(off_the_queue, "the posting to be all but committed", within_s=20)
        approve(product, account, others)
        eventually(lambda: len(blocked_statements()) == 2, "another posting to wait behind it", within_s=20)
        assert (Notice.objects.count(), Payment.objects.count(), ear.numbers) == (0, 0, [])
        queue.rollback()
        ear.hears([1, 2, 3, 4])
    receipts = [json.loads(event["data"])["data"]["receipt"] for event in ear.events]
    assert receipts[0] == first.receipt
    assert sorted(receipts[1:]) == sorted(intent.receipt for intent in others)
    settle(product, account)
    assert_the_wallet_agrees(product, account)


def test_a_phone_whose_stream_was_killed_hears_every_payment_once_when_it_comes_back(
    product: Product, account: ProviderAccount, mei: Person
) -> None:
    intents = customers(shop_code(mei.shop), 60)
    ear = product.listen(mei.token)
    approve(product, account, intents[:20])
    ear.wait(lambda: len(ear.numbers) >= 5)
    approve(product, account, intents[20:40])
    product.kill("stream")
    assert ear.ended.wait(10)
    heard = ear.numbers
    approve(product, account, intents[40:])
    product.revive("stream")
    again = product.listen(mei.token, after=heard[-1])
    again.hears(list(range(heard[-1] + 1, 61)), limit_s=20)
    assert heard == list(range(1, heard[-1] + 1))
    told = [json.loads(event["data"])["data"]["receipt"] for event in [*ear.events, *again.events]]
    assert sorted(told) == sorted(intent.receipt for intent in intents)
    settle(product, account)
    assert_the_wallet_agrees(product, account)


def off_the_queue() -> bool:
    """Whether a posting that has written everything else waits to take its events off the queue."""
    return any("DELETE" in words and "payments_queuedevent" in words for words in blocked_statements())
