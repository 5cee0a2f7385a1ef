"""Stories of money that goes back, with the numbers written out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from merchants.models import Item, Notice
from payments import inbox, ledger, reconcile, refunds
from payments.models import Discrepancy, Payment, QueuedEvent, Refund, WebhookEvent
from tests.cast import Person
from tests.till import assert_books_hold, direct, drain, expect, paid, platform, refund_told, total


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


@pytest.fixture
def payment(mei: Person, apples: Item) -> Payment:
    """A pile of apples, paid: 200."""
    paid(expect(apples.codes.get())).deliver()
    drain()
    return Payment.objects.select_related("intent", "provider_account").get()


def ask(mei: Person, payment: Payment, amount: int) -> Refund:
    return refunds.request(staff=mei.staff, payment=payment, amount=amount, reason="bruised", now=timezone.now())


def release(payment: Payment) -> None:
    """T+1 has come."""
    assert reconcile.release_due(now=timezone.now() + timedelta(days=1, seconds=1), limit=10) == 1


def test_a_refund_is_in_flight_until_the_wallet_has_confirmed_it(mei: Person, payment: Payment) -> None:
    refund = ask(mei, payment, 150)
    assert (total("shop_pending", shop=mei.shop), total("refunds_in_flight", shop=mei.shop)) == (50, 150)
    assert_books_hold()

    refund_told(payment, "succeeded", refund=refund).deliver()
    drain()

    refund.refresh_from_db()
    assert (refund.state, refund.amount, refund.next_call_at) == ("succeeded", 150, None)
    assert (total("shop_pending", shop=mei.shop), total("refunds_in_flight", shop=mei.shop)) == (50, 0)
    assert total("provider_receivable", account=platform()) == -50
    assert list(Notice.objects.order_by("number").values_list("kind", flat=True)) == [
        "payment_received",
        "refund_succeeded",
    ]
    assert_books_hold()


def test_a_failed_refund_is_hers_again(mei: Person, payment: Payment) -> None:
    refund = ask(mei, payment, 150)
    refund_told(payment, "failed", refund=refund).deliver()
    drain()
    refund.refresh_from_db()
    assert refund.state == "failed"
    assert (total("shop_pending", shop=mei.shop), total("refunds_in_flight", shop=mei.shop)) == (200, 0)
    assert Notice.objects.order_by("-number").first().kind == "refund_failed"  # type: ignore[union-attr]
    assert ask(mei, payment, 200).amount == 200  # The whole can be given back again.
    assert_books_hold()


def test_several_partial_refunds_add_up_to_the_payment_and_no_further(mei: Person, payment: Payment) -> None:
    for amount in (50, 100, 50):
        refund_told(payment, "succeeded", refund=ask(mei, payment, amount)).deliver()
    drain()
    with pytest.raises(refunds.UnableToRefund) as refusal:
        ask(mei, payment, 1)
    assert refusal.value.code == "refund_too_large"
    assert Refund.objects.count() == 3
    assert ledger.balance(shop=mei.shop).total == 0
    assert_books_hold()


def test_after_a_day_the_rest_is_available_and_a_refund_draws_on_it(mei: Person, payment: Payment) -> None:
    refund_told(payment, "succeeded", refund=ask(mei, payment, 50)).deliver()
    drain()
    release(payment)
    assert (ledger.balance(shop=mei.shop).pending, ledger.balance(shop=mei.shop).available) == (0, 150)
    assert_books_hold()

    refund = ask(mei, payment, 100)
    assert (ledger.balance(shop=mei.shop).available, refund.pending_amount) == (50, 0)
    refund_told(payment, "succeeded", refund=refund).deliver()
    drain()
    assert ledger.balance(shop=mei.shop).available == 50
    assert_books_hold()


def test_a_refund_that_fails_after_the_release_returns_to_the_available(mei: Person, payment: Payment) -> None:
    refund = ask(mei, payment, 80)
    release(payment)
    assert ledger.balance(shop=mei.shop).available == 120
    refund_told(payment, "failed", refund=refund).deliver()
    drain()
    assert (ledger.balance(shop=mei.shop).available, ledger.balance(shop=mei.shop).pending) == (200, 0)
    assert_books_hold()


def test_a_refund_made_at_the_wallets_own_desk_is_booked_though_nobody_here_asked(
    mei: Person, payment: Payment
) -> None:
    told = refund_told(payment, "succeeded", amount=70, object_id="wrf_desk")
    told.deliver()
    refund_told(payment, "succeeded", amount=70, object_id="wrf_desk").deliver()
    drain()
    refund = Refund.objects.get()
    assert (refund.origin, refund.amount, refund.state, refund.requested_by) == ("provider", 70, "succeeded", None)
    assert total("shop_pending", shop=mei.shop) == 130
    assert_books_hold()


def test_a_reported_refund_beyond_what_was_received_is_booked_and_questioned(mei: Person, payment: Payment) -> None:
    refund_told(payment, "succeeded", amount=150, object_id="wrf_1").deliver()
    refund_told(payment, "succeeded", amount=150, object_id="wrf_2").deliver()
    drain()
    assert total("provider_receivable", account=platform()) == 100
    assert ledger.balance(shop=mei.shop).total == -100
    question = Discrepancy.objects.get()
    assert (question.reason, question.amount) == ("refund_excess", 100)
    assert_books_hold()


@pytest.mark.parametrize("told", [90, 110])
def test_a_refund_of_another_amount_than_asked_is_booked_as_it_happened(
    mei: Person, payment: Payment, told: int
) -> None:
    refund = ask(mei, payment, 100)
    refund_told(payment, "succeeded", refund=refund, amount=told).deliver()
    drain()
    refund.refresh_from_db()
    assert (refund.amount, refund.state) == (told, "succeeded")
    assert total("provider_receivable", account=platform()) == -(200 - told)
    assert ledger.balance(shop=mei.shop).total == 200 - told
    assert (Discrepancy.objects.get().reason, Discrepancy.objects.get().amount) == ("refund_differs", 10)
    release(payment)
    assert ledger.balance(shop=mei.shop).pending == 0
    assert_books_hold()


def test_a_refund_that_arrives_before_its_payment_waits_for_it(mei: Person, apples: Item) -> None:
    intent = expect(apples.codes.get())
    money = paid(intent, object_id="wpy_early")
    early = Payment(object_id="wpy_early", amount=200, currency="CNY", provider_account=platform(), intent=intent)
    refund_told(early, "succeeded", amount=60, object_id="wrf_early").deliver()
    drain()
    assert QueuedEvent.objects.get().state == "parked"

    money.deliver()
    drain()
    QueuedEvent.objects.update(due_at=timezone.now())
    drain()

    assert QueuedEvent.objects.count() == 0
    assert total("shop_pending", shop=mei.shop) == 140
    assert_books_hold()


def test_the_later_word_on_a_refund_counts_in_whatever_order_the_words_arrive(mei: Person, payment: Payment) -> None:
    noon = datetime.now(UTC) - timedelta(hours=1)
    first, second = ask(mei, payment, 60), ask(mei, payment, 40)
    words = [
        refund_told(payment, "succeeded", refund=first, object_id="wrf_a", at=noon),
        refund_told(payment, "failed", refund=first, object_id="wrf_a", at=noon + timedelta(minutes=1)),
        refund_told(payment, "failed", refund=second, object_id="wrf_b", at=noon + timedelta(minutes=1)),
        refund_told(payment, "succeeded", refund=second, object_id="wrf_b", at=noon),
    ]
    for word in words:
        word.deliver()
        drain()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("failed", "failed")
    assert ledger.balance(shop=mei.shop).total == 200
    assert_books_hold()


def test_a_refund_of_money_that_the_wallet_paid_to_the_shop_itself_comes_from_there(mei: Person, apples: Item) -> None:
    own = direct(mei.shop)
    paid(expect(apples.codes.get())).deliver()
    drain()
    payment = Payment.objects.select_related("intent", "provider_account").get()
    refund_told(payment, "succeeded", refund=ask(mei, payment, 120)).deliver()
    drain()
    assert total("settled_direct", shop=mei.shop, account=own) == -80
    assert ledger.balance(shop=mei.shop).direct == 80
    assert_books_hold()


def test_a_frozen_shop_refunds_nothing(mei: Person, payment: Payment) -> None:
    mei.shop.state = "frozen"
    mei.shop.save()
    with pytest.raises(refunds.UnableToRefund) as refusal:
        ask(mei, payment, 10)
    assert refusal.value.code == "shop_frozen"
    assert Refund.objects.count() == 0
    assert ledger.balance(shop=mei.shop).total == 200


def test_money_in_suspense_cannot_be_refunded_by_the_shop(mei: Person, apples: Item) -> None:
    paid(expect(apples.codes.get()), currency="USD").deliver()
    drain()
    payment = Payment.objects.get()
    with pytest.raises(refunds.UnableToRefund) as refusal:
        ask(mei, payment, 10)
    assert refusal.value.code == "payment_in_suspense"


def test_a_frozen_shops_money_is_not_released(mei: Person, payment: Payment) -> None:
    mei.shop.state = "frozen"
    mei.shop.save()
    assert reconcile.release_due(now=timezone.now() + timedelta(days=3), limit=10) == 0
    assert ledger.balance(shop=mei.shop).pending == 200


def test_two_words_of_one_moment_end_alike_in_any_order_and_when_heard_again(mei: Person, payment: Payment) -> None:
    refund, at = ask(mei, payment, 150), timezone.now()
    succeeded = refund_told(payment, "succeeded", refund=refund, object_id="wrf_1", at=at)
    failed = refund_told(payment, "failed", refund=refund, object_id="wrf_1", at=at)
    for word in (succeeded, failed):
        word.deliver()
        drain()

    def assert_failed() -> None:
        refund.refresh_from_db()
        assert refund.state == "failed"
        assert total("shop_pending", shop=mei.shop) == 200
        assert ledger.balance(shop=mei.shop).total == 200
        assert_books_hold()

    assert_failed()
    inbox.requeue(event_ids=list(WebhookEvent.objects.values_list("id", flat=True)), now=timezone.now())
    drain()
    assert_failed()
