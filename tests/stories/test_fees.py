"""Stories of our fee, with the numbers written out: charged once, on what is left when it becomes available."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from merchants.models import Item, Shop
from payments import ledger, reconcile, refunds
from payments.fees import Tier
from payments.ledger import Balance
from payments.models import FeeContract, LedgerEntry, Payment, Refund
from tests.cast import Person, problem
from tests.till import (
    agree,
    assert_books_hold,
    direct,
    disputed,
    drain,
    expect,
    paid,
    platform,
    refund_told,
    shop_code,
    total,
)


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


@pytest.fixture
def six(mei: Person) -> FeeContract:
    """We charge everybody 0.6 %."""
    return agree(parts_per_million=6000)


def take(shop: Shop, amount: int) -> Payment:
    """A customer pays that much by the shop's own code."""
    intent = expect(shop_code(shop), amount)
    paid(intent).deliver()
    drain()
    return Payment.objects.get(intent=intent)


def a_day_later(days: int = 1) -> int:
    return reconcile.release_due(now=timezone.now() + timedelta(days=days, seconds=1), limit=10)


def ask(mei: Person, payment: Payment, amount: int) -> Refund:
    return refunds.request(staff=mei.staff, payment=payment, amount=amount, reason="", now=timezone.now())


def told(refund: Refund, state: str) -> None:
    refund_told(refund.payment, state, refund=refund).deliver()
    drain()


def numbers(balance: Balance) -> tuple[int, int]:
    return balance.pending, balance.available


def charged(payment: Payment) -> int:
    payment.refresh_from_db()
    return payment.fee_amount


def test_of_two_yuan_one_fen_is_ours_when_they_become_available(mei: Person, six: FeeContract) -> None:
    payment = take(mei.shop, 200)
    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment)) == ((200, 0), 0)

    assert a_day_later() == 1

    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment)) == ((0, 199), 1)
    assert total("fee_income") == 1
    entries = LedgerEntry.objects.filter(payment_id=payment.id).order_by("id").select_related("debit", "credit")
    moved = [(entry.kind, entry.debit.kind, entry.credit.kind, entry.amount) for entry in entries]
    assert moved[0] == ("paid", "provider_receivable", "shop_pending", 200)
    assert sorted(moved[1:]) == [
        ("due", "shop_pending", "shop_available", 199),
        ("fee", "shop_pending", "fee_income", 1),
    ]
    fee = LedgerEntry.objects.get(kind="fee")
    assert (fee.key, fee.cause_id, fee.shop) == (f"fee|{payment.id.hex}", six.id, mei.shop)
    assert a_day_later(9) == 0
    assert total("fee_income") == 1
    assert_books_hold()


def test_what_went_back_before_costs_nothing(mei: Person, six: FeeContract) -> None:
    payment = take(mei.shop, 10_000)
    told(ask(mei, payment, 4000), "succeeded")
    a_day_later()
    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment)) == ((0, 5964), 36)
    assert_books_hold()


def test_all_of_it_went_back_and_nothing_is_charged_whatever_the_floor(mei: Person) -> None:
    agree(parts_per_million=6000, floor_amount=10)
    payment = take(mei.shop, 200)
    told(ask(mei, payment, 200), "succeeded")
    assert a_day_later() == 1
    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment)) == ((0, 0), 0)
    assert not LedgerEntry.objects.filter(kind__in=["fee", "due"]).exists()
    assert_books_hold()


def test_the_fee_takes_all_there_is_and_no_more(mei: Person) -> None:
    agree(fixed_amount=30)
    payment = take(mei.shop, 20)
    a_day_later()
    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment), total("fee_income")) == ((0, 0), 20, 20)
    assert not LedgerEntry.objects.filter(kind="due").exists()
    assert_books_hold()


def test_a_refund_after_the_day_does_not_bring_the_fee_back_and_says_so(mei: Person, six: FeeContract) -> None:
    payment = take(mei.shop, 10_000)
    a_day_later()
    assert charged(payment) == 60
    request = {"amount": {"amount": 10_000, "currency": "CNY"}}
    address = f"/api/v1/payments/{payment}/refunds"
    refusal = mei.api().post(address, request, format="json", HTTP_IDEMPOTENCY_KEY="1")
    assert problem(refusal) == (409, "balance_too_low")
    assert refusal.json()["detail"] == (
        "The shop's balance of CN¥99.40 does not cover this refund. "
        "Our fee of CN¥0.60 for this payment is not given back."
    )
    assert (Refund.objects.count(), numbers(ledger.balance(shop=mei.shop))) == (0, (0, 9940))

    told(ask(mei, payment, 9940), "succeeded")
    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment), total("fee_income")) == ((0, 0), 60, 60)
    assert_books_hold()


def test_other_money_of_hers_covers_the_whole_refund(mei: Person, six: FeeContract) -> None:
    payment, _other = take(mei.shop, 10_000), take(mei.shop, 5000)
    a_day_later()
    told(ask(mei, payment, 10_000), "succeeded")
    assert numbers(ledger.balance(shop=mei.shop)) == (0, 4970 - 60)
    assert_books_hold()


def test_a_refund_that_fails_after_the_day_comes_back_without_a_fee(mei: Person, six: FeeContract) -> None:
    payment = take(mei.shop, 10_000)
    refund = ask(mei, payment, 4000)
    a_day_later()
    told(refund, "failed")
    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment)) == ((0, 9964), 36)
    assert_books_hold()


@pytest.mark.parametrize(
    ("end", "available"),
    [("won", 9988), ("closed", 9988), ("lost", 1988)],
)
def test_what_is_contested_on_the_day_is_not_charged_however_it_ends(
    mei: Person, six: FeeContract, end: str, available: int
) -> None:
    payment = take(mei.shop, 10_000)
    disputed(payment, "opened", amount=8000).deliver()
    drain()
    a_day_later()
    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment)) == ((0, 1988), 12)
    disputed(payment, end, amount=8000).deliver()
    drain()
    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment)) == ((0, available), 12)
    assert_books_hold()


def test_a_dispute_after_the_day_takes_the_whole_payment_and_the_fee_stays_charged(
    mei: Person, six: FeeContract
) -> None:
    payment = take(mei.shop, 10_000)
    a_day_later()
    disputed(payment, "lost").deliver()
    drain()
    assert (numbers(ledger.balance(shop=mei.shop)), charged(payment)) == ((0, -60), 60)
    assert_books_hold()


def test_a_frozen_shop_is_charged_when_its_money_is_free_again(mei: Person, six: FeeContract) -> None:
    payment = take(mei.shop, 10_000)
    mei.shop.state = "frozen"
    mei.shop.save()
    assert (a_day_later(), charged(payment)) == (0, 0)
    mei.shop.state = "active"
    mei.shop.save()
    assert (a_day_later(2), charged(payment)) == (1, 60)
    assert numbers(ledger.balance(shop=mei.shop)) == (0, 9940)
    assert_books_hold()


def test_the_contract_of_when_it_was_paid_counts_and_not_the_one_of_the_day_it_is_charged(
    mei: Person, six: FeeContract
) -> None:
    payment = take(mei.shop, 10_000)
    agree(parts_per_million=50_000, since=timezone.now() + timedelta(seconds=1), now=timezone.now())
    a_day_later()
    assert charged(payment) == 60
    assert_books_hold()


def test_money_that_reaches_her_directly_is_not_charged_by_us(mei: Person, six: FeeContract, apples: Item) -> None:
    direct(mei.shop)
    paid(expect(apples.codes.get())).deliver()
    drain()
    assert a_day_later() == 0
    assert (ledger.balance(shop=mei.shop).direct, Payment.objects.get().fee_amount) == (200, 0)
    assert_books_hold()


def test_money_in_suspense_is_nobodys_and_is_not_charged(mei: Person, six: FeeContract) -> None:
    paid(expect(shop_code(mei.shop), 200), currency="USD").deliver()
    drain()
    a_day_later()
    assert (total("suspense", "USD"), Payment.objects.get().fee_amount) == (200, 0)
    assert_books_hold()


def test_a_tier_is_chosen_by_what_was_paid_and_charged_on_what_is_left(mei: Person) -> None:
    agree(parts_per_million=6000, tiers=(Tier(10_000, 4000),))
    large, small = take(mei.shop, 10_000), take(mei.shop, 5000)
    told(ask(mei, large, 5000), "succeeded")
    a_day_later()
    assert (charged(large), charged(small)) == (20, 30)
    assert_books_hold()
