"""Stories of money that arrives, with the numbers written out."""

from __future__ import annotations

import pytest
from django.utils import timezone

from merchants import shops
from merchants.models import Item, Notice
from merchants.refusals import Refused
from payments import ledger
from payments.models import Discrepancy, Payment, PaymentIntent, QueuedEvent
from tests.cast import Person
from tests.till import assert_books_hold, closed, direct, drain, expect, paid, platform, shop_code, total


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


def test_a_pile_of_apples_for_two_yuan_is_paid_and_stands_pending_in_meis_book(mei: Person, apples: Item) -> None:
    intent = expect(apples.codes.get())
    assert (intent.amount, intent.currency, intent.description) == (200, "CNY", "Apples")

    assert paid(intent).deliver() is True
    assert drain() == 1

    intent.refresh_from_db()
    payment = Payment.objects.get()
    assert (intent.state, payment.match, payment.amount, payment.shop) == ("paid", "exact", 200, mei.shop)
    assert total("provider_receivable", account=platform()) == -200
    assert total("shop_pending", shop=mei.shop) == 200
    balance = ledger.balance(shop=mei.shop)
    assert (balance.available, balance.pending, balance.total, balance.direct) == (0, 200, 200, 0)
    notice = Notice.objects.get()
    assert (notice.number, notice.kind, notice.about) == (1, "payment_received", payment.id)
    assert notice.data["amount"] == {"amount": 200, "currency": "CNY"}
    assert Discrepancy.objects.count() == QueuedEvent.objects.count() == 0
    assert_books_hold()


def test_three_piles_cost_six_yuan(apples: Item) -> None:
    intent = expect(apples.codes.get(), quantity=3)
    assert (intent.amount, intent.description) == (600, "Apples × 3")


def test_money_paid_straight_to_the_shop_is_available_at_once_and_never_pending(mei: Person, apples: Item) -> None:
    own = direct(mei.shop)
    intent = expect(apples.codes.get())
    assert intent.provider_account == own

    paid(intent).deliver()
    drain()

    assert total("settled_direct", shop=mei.shop, account=own) == -200
    assert total("shop_pending", shop=mei.shop) == 0
    balance = ledger.balance(shop=mei.shop)
    assert (balance.available, balance.pending, balance.direct) == (200, 0, 200)
    assert_books_hold()


@pytest.mark.parametrize(
    ("amount", "match", "difference"), [(150, "short", 50), (199, "short", 1), (201, "over", 1), (2000, "over", 1800)]
)
def test_a_wrong_amount_is_hers_and_raises_a_question(
    mei: Person, apples: Item, amount: int, match: str, difference: int
) -> None:
    intent = expect(apples.codes.get())
    paid(intent, amount=amount).deliver()
    drain()

    assert Payment.objects.get().match == match
    assert total("shop_pending", shop=mei.shop) == amount
    question = Discrepancy.objects.get()
    assert (question.reason, question.amount, question.shop) == (match, difference, mei.shop)
    assert question.suggestion
    assert Notice.objects.get().data["match"] == match
    assert_books_hold()


def test_a_second_payment_of_one_intent_is_double(mei: Person, apples: Item) -> None:
    intent = expect(apples.codes.get())
    paid(intent).deliver()
    paid(intent).deliver()
    drain()

    assert sorted(Payment.objects.values_list("match", flat=True)) == ["double", "exact"]
    assert total("shop_pending", shop=mei.shop) == 400
    assert (Discrepancy.objects.get().reason, Discrepancy.objects.get().amount) == ("double", 200)
    assert Notice.objects.count() == 2
    assert_books_hold()


def test_a_payment_after_the_intent_was_closed_is_late_and_still_hers(mei: Person, apples: Item) -> None:
    intent = expect(apples.codes.get())
    closed(intent).deliver()
    drain()
    intent.refresh_from_db()
    assert intent.state == "expired"

    paid(intent).deliver()
    drain()

    intent.refresh_from_db()
    assert (intent.state, Payment.objects.get().match) == ("expired", "late")
    assert total("shop_pending", shop=mei.shop) == 200
    assert Discrepancy.objects.get().reason == "late"
    assert_books_hold()


def test_a_payer_who_refuses_cancels_the_intent_and_nothing_is_told(apples: Item) -> None:
    intent = expect(apples.codes.get())
    closed(intent, refused=True).deliver()
    drain()
    intent.refresh_from_db()
    assert (intent.state, intent.closing) == ("canceled", "refused")
    assert Notice.objects.count() == Payment.objects.count() == 0


def test_a_refusal_that_arrives_after_the_payment_changes_nothing(mei: Person, apples: Item) -> None:
    intent = expect(apples.codes.get())
    paid(intent).deliver()
    closed(intent, refused=True).deliver()
    drain()
    intent.refresh_from_db()
    assert intent.state == "paid"
    assert total("shop_pending", shop=mei.shop) == 200


def test_dollars_for_an_intent_in_yuan_wait_in_suspense_and_are_not_called_received(mei: Person, apples: Item) -> None:
    intent = expect(apples.codes.get())
    paid(intent, currency="USD").deliver()
    drain()

    intent.refresh_from_db()
    payment = Payment.objects.get()
    assert (intent.state, payment.match, payment.placed) == ("open", "unexpected", False)
    assert total("suspense", "USD") == 200
    assert total("shop_pending", shop=mei.shop) == 0
    assert Discrepancy.objects.get().reason == "wrong_currency"
    assert Notice.objects.get().kind == "payment_in_question"
    assert_books_hold()


@pytest.mark.parametrize("reference", ["", "int_nobody", "a stranger's order 7"])
def test_money_that_nobody_announced_waits_in_suspense(reference: str) -> None:
    paid(reference=reference, amount=777).deliver()
    drain()

    payment = Payment.objects.get()
    assert (payment.shop, payment.match, payment.placed) == (None, "unexpected", False)
    assert total("suspense") == 777
    assert Discrepancy.objects.get().reason == "unknown_reference"
    assert Notice.objects.count() == 0
    assert_books_hold()


def test_a_static_wallet_code_pays_the_shop_whose_account_it_is_without_an_intent(mei: Person) -> None:
    own = direct(mei.shop)
    paid(account=own, reference="", amount=350).deliver()
    drain()

    payment = Payment.objects.get()
    assert (payment.shop, payment.match, payment.placed, payment.intent) == (mei.shop, "unexpected", True, None)
    assert ledger.balance(shop=mei.shop).direct == 350
    assert Notice.objects.get().kind == "payment_received"
    assert_books_hold()


def test_money_without_an_intent_fixes_the_shops_currency_and_stays_in_her_balance(mei: Person) -> None:
    paid(account=direct(mei.shop), reference="", amount=350).deliver()
    drain()
    with pytest.raises(Refused) as refusal:
        shops.update(shop=mei.shop, currency="USD", now=timezone.now())
    assert refusal.value.code == "currency_locked"
    mei.shop.refresh_from_db()
    assert mei.shop.currency == "CNY"
    assert ledger.balance(shop=mei.shop).total == 350


def test_an_event_of_one_account_about_anothers_intent_books_nothing_and_stands_aside(
    mei: Person, arjun: Person, apples: Item
) -> None:
    intent = expect(apples.codes.get())
    forged = paid(intent, account=direct(arjun.shop))
    forged.deliver()
    drain()

    intent.refresh_from_db()
    assert intent.state == "open"
    assert Payment.objects.count() == Notice.objects.count() == 0
    assert QueuedEvent.objects.get().state == "quarantined"
    assert Discrepancy.objects.get().reason == "other_account"


def test_two_stories_of_one_payment_leave_the_first_and_raise_a_question(mei: Person, apples: Item) -> None:
    intent = expect(apples.codes.get())
    paid(intent, object_id="wpy_7").deliver()
    drain()
    paid(intent, object_id="wpy_7", amount=20000).deliver()
    drain()

    assert Payment.objects.get().amount == 200
    assert total("shop_pending", shop=mei.shop) == 200
    assert Discrepancy.objects.get().reason == "contradiction"
    assert Notice.objects.count() == 1


def test_a_frozen_shops_money_is_booked_and_held(mei: Person, apples: Item) -> None:
    intent = expect(apples.codes.get())
    mei.shop.state = "frozen"
    mei.shop.save()
    paid(intent).deliver()
    drain()
    assert ledger.balance(shop=mei.shop).pending == 200


def test_the_customer_types_the_amount_for_the_shops_own_code(mei: Person) -> None:
    intent = expect(shop_code(mei.shop), 1234)
    assert (intent.amount, intent.currency, intent.description) == (1234, "CNY", mei.shop.name)
    assert intent.state == PaymentIntent.State.OPEN
    mei.shop.refresh_from_db()
    assert mei.shop.currency_locked_at is not None
    assert intent.created_at <= timezone.now()
