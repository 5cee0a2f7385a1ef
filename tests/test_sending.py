"""Payouts by an API, against the pretend bank as a program: its yes, its no, its silence, its second thoughts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from merchants.models import Notice
from payments import circuit, freezing
from payments.models import Discrepancy, LedgerEntry, Payout, PayoutAccount, ProviderAccount
from payments.payouts import accounts, batches, sending
from tests.cast import Person
from tests.payday import NUMBER, earn, entered, monday, operator, prepared, proved, released, terms
from tests.running_wallet import known_at, running_wallet
from tests.sandbox.pretend_shop import Wallet, eventually
from tests.till import assert_books_hold, platform, total

TUESDAY = monday(1, days=1)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    with running_wallet(tmp_path_factory.mktemp("bank")) as wallet:
        yield wallet


@pytest.fixture
def account(db: None, bank: Wallet) -> Iterator[ProviderAccount]:
    platform()
    with known_at(bank) as ours:
        yield ours


@pytest.fixture
def payout(mei: Person, account: ProviderAccount) -> Payout:
    """Released, and about to be sent."""
    terms(channel="sandbox")
    proved(mei, now=monday(9))
    earn(mei, 200, at=monday(12))
    return released(TUESDAY)


@pytest.fixture
def misbehaves(bank: Wallet) -> Iterator[Any]:
    """A plan for every later payout, ended with the test."""

    def plan(behaviour: str) -> None:
        assert bank.control("PUT", "/plan", {"seed": 1, "rates": {behaviour: 1}}).status_code == 200

    yield plan
    bank.control("DELETE", "/plan")


def known_there(bank: Wallet, payout: Payout) -> list[dict[str, Any]]:
    rows = bank.control("GET", "/payouts").json()["payouts"]
    return [row for row in rows if row["reference"] == payout.reference]


def call(at: datetime) -> int:
    return sending.send_due(now=at)


def settled(bank: Wallet, payout: Payout, state: str) -> None:
    eventually(lambda: known_there(bank, payout)[0]["state"] == state, f"the bank to say {state}")


def kinds(payout: Payout) -> list[str]:
    return list(LedgerEntry.objects.filter(cause_id=payout.id).order_by("id").values_list("kind", flat=True))


def told() -> list[str]:
    rows = Notice.objects.filter(kind__in=["payout_sent", "payout_paid", "payout_failed"]).order_by("number")
    return list(rows.values_list("kind", flat=True))


def test_it_is_sent_once_asked_about_and_paid(bank: Wallet, mei: Person, payout: Payout) -> None:
    assert (payout.state, sending.has_due(now=TUESDAY), told()) == ("prepared", True, [])
    assert call(TUESDAY) == 1
    payout.refresh_from_db()
    assert (payout.state, payout.object_id[:4], payout.attempts) == ("sent", "wpo_", 1)
    assert call(TUESDAY) == 0
    settled(bank, payout, "paid")
    assert call(TUESDAY + timedelta(seconds=5)) == 1
    payout.refresh_from_db()
    assert (payout.state, kinds(payout)) == ("paid", ["payout_asked", "payout_paid"])
    assert (total("bank"), total("payouts_in_flight", shop=mei.shop)) == (200, 0)
    assert told() == ["payout_sent", "payout_paid"]
    assert len(known_there(bank, payout)) == 1
    assert_books_hold()


def test_an_answer_that_was_lost_is_asked_for_again_and_is_the_same_payout(
    bank: Wallet, payout: Payout, misbehaves: Any
) -> None:
    misbehaves("payout_silent")
    assert call(TUESDAY) == 1
    [row] = known_there(bank, payout)
    payout.refresh_from_db()
    assert (payout.state, payout.object_id) == ("sent", row["id"])  # The call was safe to make again at once.
    assert_books_hold()


def test_a_bank_that_is_down_delays_it_and_nothing_is_lost(
    tmp_path: Path, mei: Person, payout: Payout, settings: Any, bank: Wallet
) -> None:
    there, settings.SANDBOX_URL = settings.SANDBOX_URL, "http://127.0.0.1:9"
    assert call(TUESDAY) == 1
    payout.refresh_from_db()
    assert (payout.state, payout.object_id, payout.next_call_at) == ("sent", "", TUESDAY + timedelta(seconds=5))
    assert "cannot be reached" in payout.failure
    settings.SANDBOX_URL = there
    for account_id in circuit.resting():
        circuit.succeeded(account_id)
    assert call(TUESDAY + timedelta(seconds=5)) == 1
    assert len(known_there(bank, payout)) == 1
    assert_books_hold()


def test_one_that_was_taken_on_and_failed_is_the_shops_again(
    bank: Wallet, mei: Person, payout: Payout, misbehaves: Any
) -> None:
    misbehaves("payout_fail")
    call(TUESDAY)
    settled(bank, payout, "failed")
    call(TUESDAY + timedelta(seconds=5))
    payout.refresh_from_db()
    assert (payout.state, payout.failure, payout.next_call_at) == ("failed", "account_closed", None)
    assert (total("shop_available", shop=mei.shop), total("bank")) == (200, 0)
    assert Discrepancy.objects.get().reason == "payout_failed"
    assert_books_hold()


def test_a_late_return_is_found_while_it_is_watched(bank: Wallet, mei: Person, payout: Payout, misbehaves: Any) -> None:
    misbehaves("payout_return")
    call(TUESDAY)
    eventually(lambda: known_there(bank, payout)[0]["state"] != "pending", "the bank to pay")
    Payout.objects.update(object_id=known_there(bank, payout)[0]["id"])
    call(TUESDAY + timedelta(seconds=5))
    settled(bank, payout, "returned")
    call(TUESDAY + timedelta(days=1))
    payout.refresh_from_db()
    assert (payout.state, payout.next_call_at) == ("returned", None)
    assert (total("shop_available", shop=mei.shop), total("bank")) == (200, 0)
    assert told()[-1] == "payout_failed"
    assert_books_hold()


def test_a_paid_one_is_watched_for_two_weeks_and_then_left_alone(bank: Wallet, payout: Payout) -> None:
    call(TUESDAY)
    settled(bank, payout, "paid")
    call(TUESDAY + timedelta(seconds=5))
    paid_at = Payout.objects.get().settled_at
    assert paid_at is not None
    moments = []
    while (due := Payout.objects.get().next_call_at) is not None:
        moments.append(due)
        assert call(due) == 1
    assert moments[-1] <= paid_at + timedelta(days=14) + timedelta(days=1)
    assert Payout.objects.get().state == "paid"
    assert_books_hold()


def test_a_shop_that_was_frozen_after_the_release_is_not_paid(bank: Wallet, mei: Person, payout: Payout) -> None:
    freezing.freeze(shop_id=mei.shop.id, operator=operator(), reason="asked", now=TUESDAY)
    assert call(TUESDAY) == 0
    payout.refresh_from_db()
    assert (payout.state, payout.failure) == ("failed", batches.HELD_BACK)
    assert (known_there(bank, payout), total("shop_available", shop=mei.shop)) == ([], 200)
    assert_books_hold()


def test_what_is_not_released_is_not_sent(mei: Person, account: ProviderAccount) -> None:
    terms(channel="sandbox")
    proved(mei, now=monday(9))
    earn(mei, 200, at=monday(12))
    payout = prepared(TUESDAY)
    assert (sending.has_due(now=TUESDAY), call(TUESDAY), payout.state) == (False, 0, "prepared")


def test_a_refusal_is_no_end_but_a_person_is_asked_once(mei: Person, payout: Payout, bank: Wallet) -> None:
    Payout.objects.update(amount=300)  # As if somebody had changed it after it was asked for.
    call(TUESDAY)
    Payout.objects.update(amount=200, object_id="")
    for number in (1, 2):
        call(TUESDAY + timedelta(hours=number))
    payout.refresh_from_db()
    assert (payout.state, "refused with 4" in payout.failure) == ("sent", True)
    question = Discrepancy.objects.get()
    assert (question.reason, question.payout_id) == ("payout_failed", payout.id)


def test_a_number_that_no_key_opens_holds_up_its_own_payout_alone(bank: Wallet, mei: Person, payout: Payout) -> None:
    PayoutAccount.objects.update(sealed_number=b"sealed by a key that is gone")
    assert call(TUESDAY) == 1
    payout.refresh_from_db()
    assert (payout.state, payout.object_id, known_there(bank, payout)) == ("sent", "", [])
    assert Discrepancy.objects.get().payout_id == payout.id
    assert_books_hold()


# --- Whose account it is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holder", "verification"),
    [
        ("MEI  CHEN", "name check of the bank: match"),
        ("Mei Cheng", "name check of the bank: close"),
        ("Somebody Else", "name check of the bank: no match"),
        ("", "name check of the bank: unknown"),
    ],
)
def test_the_banks_name_check_proves_a_match_and_leaves_the_rest_to_a_person(
    bank: Wallet, mei: Person, account: ProviderAccount, holder: str, verification: str
) -> None:
    terms(channel="sandbox")
    number = f"62220212345678901{len(holder):02d}"
    if holder:
        bank.control("PUT", "/payees", {"account_number": number, "holder": holder})
    entered(mei, number, now=timezone.now())
    assert accounts.check_names(now=timezone.now()) == 1
    assert accounts.check_names(now=timezone.now()) == 0
    row = PayoutAccount.objects.get()
    proved_now = verification.endswith(": match")
    assert (row.verification, row.verified_at is not None, row.verified_by) == (verification, proved_now, None)
    assert accounts.apply_due(now=timezone.now()) == int(proved_now)


def test_a_bank_that_does_not_answer_is_asked_again_about_a_name(
    mei: Person, account: ProviderAccount, settings: Any
) -> None:
    terms(channel="sandbox")
    entered(mei, NUMBER, now=timezone.now())
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    assert accounts.check_names(now=timezone.now()) == 0
    assert PayoutAccount.objects.get().verification == ""


def test_where_there_is_nobody_to_ask_a_document_is_needed(mei: Person, db: None) -> None:
    terms(channel="file")
    entered(mei, NUMBER, now=timezone.now())
    assert accounts.check_names(now=timezone.now()) == 1
    assert "a document is needed" in PayoutAccount.objects.get().verification
