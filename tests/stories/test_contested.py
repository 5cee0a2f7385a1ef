"""Stories of money that its payer contests, with the numbers written out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from django.utils import timezone

from merchants.models import Item, Notice
from payments import reconcile, refunds
from payments.models import Discrepancy, Dispute, LedgerEntry, Payment, QueuedEvent
from tests.cast import Person
from tests.till import assert_books_hold, direct, disputed, drain, expect, paid, platform, refund_told, total

DUE = datetime(2026, 12, 1, 23, 59, tzinfo=UTC)


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


@pytest.fixture
def payment(mei: Person, apples: Item) -> Payment:
    """A pile of apples, paid: 200."""
    paid(expect(apples.codes.get())).deliver()
    drain()
    return Payment.objects.select_related("intent", "provider_account").get()


def release(payment: Payment) -> None:
    """T+1 has come."""
    assert reconcile.release_due(now=timezone.now() + timedelta(days=1, seconds=1), limit=10) == 1


def stands(mei: Person) -> tuple[int, int, int, int]:
    """Pending, available, held for disputes, and what the wallet owes us."""
    shop = mei.shop
    owed = -total("provider_receivable", account=platform())
    return (
        total("shop_pending", shop=shop),
        total("shop_available", shop=shop),
        total("disputes_held", shop=shop),
        owed,
    )


def told() -> list[str]:
    return list(Notice.objects.order_by("number").values_list("kind", flat=True))


def test_contested_money_is_held_and_the_shop_is_told_until_when_it_may_answer(mei: Person, payment: Payment) -> None:
    disputed(payment, "opened", due=DUE).deliver()
    drain()
    assert stands(mei) == (0, 0, 200, 200)
    dispute = Dispute.objects.get()
    assert (dispute.state, dispute.amount, dispute.pending_amount, dispute.evidence_due_at) == ("open", 200, 200, DUE)
    notice = Notice.objects.latest("number")
    assert (notice.kind, notice.about) == ("dispute_opened", payment.id)
    assert notice.data["evidence_due_at"] == DUE.isoformat()
    assert notice.data["amount"] == {"amount": 200, "currency": "CNY"}
    assert_books_hold()


@pytest.mark.parametrize("step", ["won", "closed"])
def test_a_dispute_that_is_not_lost_gives_the_money_back_where_it_had_been(
    mei: Person, payment: Payment, step: str
) -> None:
    disputed(payment, "opened").deliver()
    disputed(payment, step).deliver()
    drain()
    assert stands(mei) == (200, 0, 0, 200)
    release(payment)
    assert stands(mei) == (0, 200, 0, 200)
    assert told() == ["payment_received", "dispute_opened", f"dispute_{step}"]
    assert_books_hold()


def test_money_that_became_due_while_it_was_contested_comes_back_as_available(mei: Person, payment: Payment) -> None:
    disputed(payment, "opened", amount=150).deliver()
    drain()
    release(payment)
    assert stands(mei) == (0, 50, 150, 200)
    disputed(payment, "won", amount=150).deliver()
    drain()
    assert stands(mei) == (0, 200, 0, 200)
    assert_books_hold()


def test_a_lost_dispute_goes_back_to_the_payer(mei: Person, payment: Payment) -> None:
    disputed(payment, "opened").deliver()
    disputed(payment, "lost").deliver()
    drain()
    assert stands(mei) == (0, 0, 0, 0)
    assert told() == ["payment_received", "dispute_opened", "dispute_lost"]
    assert Dispute.objects.get().closed_at is not None
    assert_books_hold()


def test_what_is_taken_may_be_less_or_more_than_what_was_held(mei: Person, payment: Payment) -> None:
    disputed(payment, "opened", amount=100, object_id="wdp_1").deliver()
    disputed(payment, "lost", amount=60, object_id="wdp_1").deliver()
    drain()
    assert stands(mei) == (140, 0, 0, 140)
    disputed(payment, "opened", amount=20, object_id="wdp_2").deliver()
    disputed(payment, "lost", amount=50, object_id="wdp_2").deliver()
    drain()
    assert stands(mei) == (120, -30, 0, 90)
    assert_books_hold()


def test_a_dispute_after_everything_was_refunded_takes_the_balance_below_zero_and_is_asked_about(
    mei: Person, payment: Payment
) -> None:
    refund = refunds.request(staff=mei.staff, payment=payment, amount=200, reason="", now=timezone.now())
    refund_told(payment, "succeeded", refund=refund).deliver()
    disputed(payment, "opened").deliver()
    drain()
    assert stands(mei) == (0, -200, 200, 0)
    question = Discrepancy.objects.get(reason="dispute_excess")
    assert (question.amount, question.payment_id) == (200, payment.id)
    disputed(payment, "won").deliver()
    drain()
    assert stands(mei) == (0, 0, 0, 0)
    assert_books_hold()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_words_of_a_dispute_end_in_the_same_book_in_any_order(
    mei: Person, payment: Payment, order: tuple[int, ...]
) -> None:
    now = timezone.now()
    words = [
        disputed(payment, step, at=now + timedelta(seconds=second))
        for second, step in enumerate(("opened", "won", "lost"))
    ]
    for which in order:
        words[which].deliver()
        words[which].deliver()
        drain()
    assert stands(mei)[2:] == (0, 0)
    assert sum(stands(mei)[:2]) == 0
    assert Dispute.objects.get().state == "lost"
    assert_books_hold()


def test_a_dispute_that_comes_before_its_payment_waits_for_it(mei: Person, apples: Item) -> None:
    money = paid(expect(apples.codes.get()), object_id="wpy_late")
    early = Payment(object_id="wpy_late", amount=200, currency="CNY", provider_account=platform())
    disputed(early, "opened").deliver()
    drain()
    assert QueuedEvent.objects.get().state == "parked"
    assert Dispute.objects.count() == 0
    money.deliver()
    drain()
    QueuedEvent.objects.update(due_at=timezone.now())
    drain()
    assert stands(mei) == (0, 0, 200, 200)
    assert_books_hold()


def test_a_later_date_for_the_evidence_is_told_and_the_same_word_again_is_not(mei: Person, payment: Payment) -> None:
    now = timezone.now()
    for seconds, days in ((0, 0), (1, 0), (2, 3)):
        disputed(payment, "opened", due=DUE + timedelta(days=days), at=now + timedelta(seconds=seconds)).deliver()
        drain()
    assert told() == ["payment_received", "dispute_opened", "dispute_opened"]
    assert Dispute.objects.get().evidence_due_at == DUE + timedelta(days=3)
    assert LedgerEntry.objects.filter(kind="dispute_held").count() == 1
    assert_books_hold()


def test_contested_money_cannot_be_refunded_as_well(mei: Person, payment: Payment) -> None:
    disputed(payment, "opened", amount=150).deliver()
    drain()
    entries = LedgerEntry.objects.count()
    with pytest.raises(refunds.UnableToRefund) as refusal:
        refunds.request(staff=mei.staff, payment=payment, amount=51, reason="", now=timezone.now())
    assert refusal.value.code == "payment_disputed"
    assert LedgerEntry.objects.count() == entries
    refunds.request(staff=mei.staff, payment=payment, amount=50, reason="", now=timezone.now())
    assert stands(mei) == (0, 0, 150, 200)
    assert_books_hold()


def test_direct_money_that_is_lost_leaves_the_shops_own_account(mei: Person, apples: Item) -> None:
    account = direct(mei.shop)
    paid(expect(apples.codes.get()), account=account).deliver()
    drain()
    payment = Payment.objects.select_related("intent", "provider_account").get()
    disputed(payment, "lost").deliver()
    drain()
    assert total("settled_direct", shop=mei.shop, account=account) == 0
    assert_books_hold()


def test_a_dispute_in_another_currency_stands_aside(mei: Person, payment: Payment) -> None:
    strange = disputed(payment, "opened")
    strange.message["data"]["dispute"]["currency"] = "USD"
    strange.deliver()
    drain()
    assert QueuedEvent.objects.get().state == "quarantined"
    assert stands(mei) == (200, 0, 0, 200)
