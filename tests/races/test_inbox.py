"""Deliveries and drains at the same moment: each payment is one Payment, one posting and one notice."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from unittest import mock

import pytest
from django.conf import settings
from django.utils import timezone

from merchants.models import Notice
from payments import inbox, ledger, reconcile, taking
from payments.models import LedgerEntry, Payment, QueuedEvent, WebhookEvent
from tests.cast import ARJUN_PHONE, MEI_PHONE, open_shop
from tests.races.together import slow_after, together, without_row_locks
from tests.till import assert_books_hold, drain, expect, paid, platform, shop_code, total

pytestmark = pytest.mark.usefixtures("real_db")


def test_twenty_copies_of_a_delivery_at_once_are_kept_once() -> None:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    word = paid(expect(shop_code(mei.shop), 200))
    assert sorted(together([word.deliver] * 20)) == [False] * 19 + [True]
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == 1


def test_one_payment_under_twenty_delivery_ids_drained_by_six_workers_is_booked_once() -> None:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    word = paid(expect(shop_code(mei.shop), 200), object_id="wpy_same")
    for _ in range(20):
        replace(word, delivery=f"d_{uuid.uuid4().hex}").deliver()
    with mock.patch.object(settings, "DRAIN_BATCH_MAX", 4):
        assert sum(together([drain] * 6)) == 20
    assert (Payment.objects.count(), LedgerEntry.objects.count(), Notice.objects.count()) == (1, 1, 1)
    assert QueuedEvent.objects.count() == 0
    assert total("shop_pending", shop=mei.shop) == 200
    assert_books_hold()


def test_one_unannounced_payment_drained_by_six_workers_is_booked_once() -> None:
    """There is no row to lock for it: the unique key decides, and who comes second decides again."""
    platform()
    word = paid(reference="nobody's", object_id="wpy_same", amount=300)
    for _ in range(12):
        replace(word, delivery=f"d_{uuid.uuid4().hex}").deliver()
    with mock.patch.object(settings, "DRAIN_BATCH_MAX", 2):
        together([drain] * 6)
    assert Payment.objects.count() == LedgerEntry.objects.count() == 1
    assert total("suspense") == 300
    assert_books_hold()


def pay_one_intent_twice_from_two_workers() -> list[str]:
    """Two real payments of one intent, decided at the same moment."""
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    intent = expect(shop_code(mei.shop), 200)
    for _ in range(2):
        paid(intent).deliver()
    batches = [taking.read(inbox.lease(limit=1, now=timezone.now())) for _ in range(2)]
    with slow_after("payments.facts.lock_and_load", callers=2):
        together([partial(reconcile.apply, batch, clock=timezone.now) for batch in batches])
    return sorted(Payment.objects.values_list("match", flat=True))


def test_without_the_intents_lock_both_payments_of_one_intent_look_exact() -> None:
    with without_row_locks():
        assert pay_one_intent_twice_from_two_workers() == ["exact", "exact"]


def test_with_it_the_second_is_double() -> None:
    assert pay_one_intent_twice_from_two_workers() == ["double", "exact"]
    assert_books_hold()


def test_workers_that_post_to_the_same_shops_in_opposite_order_do_not_deadlock() -> None:
    mei, arjun = open_shop(MEI_PHONE, "Mei's fruit"), open_shop(ARJUN_PHONE, "Arjun's tea")
    platform()
    for number in range(60):
        shop = (mei, arjun)[number % 2].shop
        paid(expect(shop_code(shop), 100)).deliver()
    with mock.patch.object(settings, "DRAIN_BATCH_MAX", 5):
        assert sum(together([drain] * 4)) == 60
    assert QueuedEvent.objects.count() == 0
    assert ledger.balance(shop=mei.shop).total == ledger.balance(shop=arjun.shop).total == 3000
    numbers = Notice.objects.filter(shop=mei.shop).order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, 31))
    assert_books_hold()
