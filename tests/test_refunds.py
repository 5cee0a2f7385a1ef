"""Asking for money back: refusals that change nothing, and a wallet that is asked until it has decided."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connections
from django.utils import timezone

from merchants import bell
from merchants.models import Item, Notice, Shop
from payments import ledger, reconcile, refunds
from payments.models import AccountBalance, LedgerEntry, Payment, Refund, WebhookEvent
from payments.providers import sandbox
from tests.cast import Person
from tests.running_wallet import UNDECIDED, approve, known_at, running_wallet, start
from tests.sandbox.pretend_shop import Wallet, eventually
from tests.till import assert_books_hold, drain, expect, paid, platform, refund_told, total


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    with running_wallet(tmp_path_factory.mktemp("wallet")) as running:
        yield running


@pytest.fixture
def known(wallet: Wallet, db: None) -> Iterator[None]:
    """The wallet runs and knows the platform; none of its notifications arrives."""
    with known_at(wallet):
        yield


@pytest.fixture
def payment(mei: Person, apples: Item) -> Payment:
    """A pile of apples, paid: 200."""
    platform()
    paid(expect(apples.codes.get())).deliver()
    drain()
    return Payment.objects.select_related("intent", "provider_account").get()


def real_payment(wallet: Wallet, apples: Item, behaviour: str = "") -> Payment:
    """The same, taken at the wallet itself."""
    intent = start(apples.codes.get())
    approve(wallet, intent, behaviour)
    paid(intent, object_id=wallet.books()["payments"][-1]["id"]).deliver()
    drain()
    return Payment.objects.select_related("intent", "provider_account").get(intent=intent)


def ask(person: Person, payment: Payment, amount: int, now: datetime | None = None) -> Refund:
    return refunds.request(
        staff=person.staff, payment=payment, amount=amount, reason="bruised", now=now or timezone.now()
    )


def everything() -> list[object]:
    return [
        list(model.objects.order_by("pk").values()) for model in (Refund, LedgerEntry, AccountBalance, Payment, Notice)
    ]


def refused(person: Person, payment: Payment, amount: int) -> str:
    """The code of the refusal, which changes nothing."""
    before = everything()
    with pytest.raises(refunds.UnableToRefund) as refusal:
        ask(person, payment, amount)
    assert str(refusal.value) == refusal.value.detail
    assert everything() == before
    return refusal.value.code


# --- Asking ----------------------------------------------------------------------------------------------------------


def test_a_refund_is_committed_and_due_to_be_sent_at_once(mei: Person, payment: Payment, now: datetime) -> None:
    refund = ask(mei, payment, 150, now)
    refund.refresh_from_db()
    assert (refund.state, refund.origin, refund.requested_by, refund.reason) == (
        "requested",
        "shop",
        mei.staff,
        "bruised",
    )
    assert (refund.amount, refund.currency, refund.pending_amount) == (150, "CNY", 150)
    assert (refund.created_at, refund.next_call_at, refund.attempts, refund.object_id) == (now, now, 0, "")
    assert_books_hold()


@pytest.mark.parametrize("amount", [0, -1, -200])
def test_nothing_and_less_than_nothing_cannot_be_refunded(mei: Person, payment: Payment, amount: int) -> None:
    assert refused(mei, payment, amount) == "amount_wrong"


def test_more_than_is_left_cannot_be_refunded(mei: Person, payment: Payment) -> None:
    assert refused(mei, payment, 201) == "refund_too_large"
    ask(mei, payment, 150)
    assert refused(mei, payment, 51) == "refund_too_large"
    ask(mei, payment, 50)
    assert refused(mei, payment, 1) == "refund_too_large"


@pytest.mark.parametrize("state", ["restricted", "frozen", "closed"])
def test_a_shop_that_is_not_active_refunds_nothing(mei: Person, payment: Payment, state: str) -> None:
    Shop.objects.update(state=state)
    assert refused(mei, payment, 10) == f"shop_{state}"


def test_money_in_suspense_is_nobodys_to_refund(mei: Person, apples: Item) -> None:
    platform()
    paid(expect(apples.codes.get()), currency="USD").deliver()
    drain()
    assert refused(mei, Payment.objects.select_related("provider_account").get(), 10) == "payment_in_suspense"


def test_another_shops_payment_cannot_be_refunded(arjun: Person, payment: Payment) -> None:
    before = everything()
    with pytest.raises(Payment.DoesNotExist):
        ask(arjun, payment, 10)
    assert everything() == before


def test_a_balance_that_does_not_cover_it_refuses_a_refund(mei: Person, payment: Payment, apples: Item) -> None:
    """What was given back at the wallet's desk beyond what had come is missing for the others."""
    refund_told(payment, "succeeded", amount=150, object_id="wrf_1").deliver()
    refund_told(payment, "succeeded", amount=150, object_id="wrf_2").deliver()
    paid(expect(apples.codes.get())).deliver()
    drain()
    other = Payment.objects.select_related("provider_account").exclude(id=payment.id).get()
    reconcile.release_due(now=timezone.now() + timedelta(days=2), limit=10)
    assert ledger.balance(shop=mei.shop).available == 100
    assert refused(mei, other, 101) == "balance_too_low"
    assert ask(mei, other, 100).amount == 100
    assert_books_hold()


def test_a_refund_that_pending_does_not_cover_is_drawn_from_the_available(mei: Person, payment: Payment) -> None:
    refund_told(payment, "succeeded", refund=ask(mei, payment, 150)).deliver()
    drain()
    assert ask(mei, payment, 50).pending_amount == 50
    assert ledger.balance(shop=mei.shop).total == 0


def test_forty_who_refund_at_once_get_no_more_than_was_received(real_db: None, mei: Person, apples: Item) -> None:
    platform()
    paid(expect(apples.codes.get())).deliver()
    drain()
    payment = Payment.objects.get()
    answers: list[str] = []
    ready = threading.Barrier(8)

    def work() -> None:
        ready.wait()
        for _ in range(5):
            try:
                ask(mei, payment, 30)
                answers.append("refunded")
            except refunds.UnableToRefund as refusal:
                answers.append(refusal.code)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (answers.count("refunded"), answers.count("refund_too_large")) == (6, 34)
    assert [refund.amount for refund in Refund.objects.all()] == [30] * 6
    assert (total("shop_pending", shop=mei.shop), total("refunds_in_flight", shop=mei.shop)) == (20, 180)
    assert_books_hold()


# --- Sending ---------------------------------------------------------------------------------------------------------


def test_the_wallet_is_asked_under_the_refunds_own_reference(
    mei: Person, apples: Item, now: datetime, tmp_path: Path
) -> None:
    with running_wallet(tmp_path, pace=UNDECIDED) as wallet, known_at(wallet):
        payment = real_payment(wallet, apples)
        refund = ask(mei, payment, 80, now)
        assert refunds.send_due(now=now) == 1
        drain()
        refund.refresh_from_db()
        row = wallet.books()["refunds"][-1]
        assert (row["reference"], row["amount"], row["id"]) == (refund.reference, 80, refund.object_id)
        assert (refund.state, refund.attempts, refund.next_call_at) == ("requested", 1, now + timedelta(seconds=5))
        assert refunds.send_due(now=now) == 0


def test_asking_again_refunds_nothing_twice(
    known: None, wallet: Wallet, mei: Person, apples: Item, now: datetime
) -> None:
    payment = real_payment(wallet, apples)
    ask(mei, payment, 80, now)
    for later in (0, 5, 35, 335):
        assert refunds.send_due(now=now + timedelta(seconds=later)) == 1
    mine = [row for row in wallet.books()["refunds"] if row["payment_id"] == payment.object_id]
    assert [row["amount"] for row in mine] == [80]


def test_until_the_wallet_has_decided_it_is_asked_on_the_schedule_and_then_daily(
    mei: Person, payment: Payment, settings: LazySettings, now: datetime
) -> None:
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    refund = ask(mei, payment, 80, now)
    waits, moment = [], now
    for _ in range(9):
        bell.store().flushdb()  # By then every circuit would have been tried again.
        assert refunds.send_due(now=moment) == 1
        refund.refresh_from_db()
        assert refund.next_call_at is not None
        waits.append((refund.next_call_at - moment).total_seconds())
        moment = refund.next_call_at
    assert waits == [5, 30, 300, 3600, 21_600, 86_400, 86_400, 86_400, 86_400]
    assert (refund.state, refund.failure) == ("requested", "cannot be reached: ConnectionError")
    assert total("refunds_in_flight", shop=mei.shop) == 80


def test_a_wallet_that_was_down_is_asked_when_it_is_back(
    known: None, wallet: Wallet, mei: Person, apples: Item, settings: LazySettings, now: datetime
) -> None:
    payment = real_payment(wallet, apples)
    refund = ask(mei, payment, 80, now)
    up, settings.SANDBOX_URL = settings.SANDBOX_URL, "http://127.0.0.1:9"
    refunds.send_due(now=now)
    settings.SANDBOX_URL = up
    assert refunds.send_due(now=now + timedelta(seconds=4)) == 0
    assert refunds.send_due(now=now + timedelta(seconds=5)) == 1
    reconcile.drain(clock=lambda: now + timedelta(minutes=1))
    refund.refresh_from_db()
    assert refund.object_id.startswith("wrf_")


def test_a_refund_that_the_wallet_refuses_has_failed_and_the_money_is_hers_again(
    known: None, wallet: Wallet, mei: Person, apples: Item, now: datetime
) -> None:
    payment = real_payment(wallet, apples)
    at_the_desk = Refund(amount=150, currency="CNY")
    sandbox.refund(payment.provider_account, at_the_desk, payment.object_id)
    refund = ask(mei, payment, 80, now)

    refunds.send_due(now=now)
    drain()

    refund.refresh_from_db()
    assert (refund.state, refund.next_call_at) == ("failed", None)
    assert total("refunds_in_flight", shop=mei.shop) == 0
    assert total("shop_pending", shop=mei.shop) == 200
    assert Notice.objects.latest("number").kind == "refund_failed"
    assert_books_hold()


def test_a_settled_refund_is_not_sent_again(mei: Person, payment: Payment, now: datetime) -> None:
    refund = ask(mei, payment, 80, now)
    refund_told(payment, "succeeded", refund=refund).deliver()
    drain()
    assert refunds.send_due(now=now + timedelta(days=9)) == 0


@pytest.mark.parametrize(("behaviour", "state"), [("", "succeeded"), ("refund_fail", "failed")])
def test_the_wallets_decision_is_found_by_asking_when_its_notification_was_lost(
    known: None, wallet: Wallet, mei: Person, apples: Item, now: datetime, behaviour: str, state: str
) -> None:
    refund = ask(mei, real_payment(wallet, apples, behaviour), 80, now)
    refunds.send_due(now=now)
    drain()

    def decided() -> bool:
        row = next(r for r in wallet.books()["refunds"] if r["reference"] == refund.reference)
        return bool(row["state"] == state)

    eventually(decided, "the wallet's decision")
    refunds.send_due(now=now + timedelta(seconds=5))
    reconcile.drain(clock=lambda: now + timedelta(minutes=1))
    refund.refresh_from_db()
    assert (refund.state, refund.next_call_at) == (state, None)
    assert WebhookEvent.objects.filter(authority="queried").count() == 2
    assert_books_hold()


# --- The wallet's words ----------------------------------------------------------------------------------------------


def test_a_refund_about_which_the_wallet_changes_its_mind_again_and_again_ends_by_its_last_word(
    mei: Person, payment: Payment
) -> None:
    noon = datetime.now(UTC) - timedelta(hours=1)
    refund = ask(mei, payment, 80)
    for minute, word in enumerate(["succeeded", "failed", "succeeded", "failed", "succeeded"]):
        refund_told(payment, word, refund=refund, object_id="wrf_1", at=noon + timedelta(minutes=minute)).deliver()
        drain()
        refund.refresh_from_db()
        assert refund.state == word
        assert total("provider_receivable", account=platform()) == (-120 if word == "succeeded" else -200), minute
        assert_books_hold()


def test_the_same_words_in_one_batch_end_the_same(mei: Person, payment: Payment) -> None:
    noon = datetime.now(UTC) - timedelta(hours=1)
    refund = ask(mei, payment, 80)
    for minute, word in enumerate(["succeeded", "failed", "succeeded"]):
        refund_told(payment, word, refund=refund, object_id="wrf_1", at=noon + timedelta(minutes=minute)).deliver()
    drain()
    refund.refresh_from_db()
    assert refund.state == "succeeded"
    assert total("provider_receivable", account=platform()) == -120
    assert_books_hold()
