"""Stories of money out, with the numbers written out. Cut-off at 18:00 on Mei's clock, paid on the next working day."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from merchants.audit import UnableToAct
from merchants.models import Notice
from payments import freezing, ledger, refunds
from payments.models import BankAccount, Discrepancy, LedgerEntry, Payout, Statement, StatementLine
from payments.payouts import accounts, bank_lines, batches, outcomes, pain001, preparing
from tests.cast import Person
from tests.payday import earn, entered, monday, operator, our_bank, prepared, proved, released, terms
from tests.till import assert_books_hold, direct, disputed, drain, expect, paid, platform, shop_code, total


@pytest.fixture(autouse=True)
def payday(db: None) -> BankAccount:
    platform()
    terms()
    return our_bank()


@pytest.fixture
def account(mei: Person) -> None:
    proved(mei, now=monday(9))


def stands(mei: Person) -> tuple[int, int, int]:
    """Available, in flight to her bank, and what has left our bank."""
    shop = mei.shop
    return total("shop_available", shop=shop), total("payouts_in_flight", shop=shop), total("bank")


def why_not(mei: Person, at: datetime) -> str | None:
    """The reason for which nothing is paid, and nothing is."""
    assert preparing.prepare(now=at, limit=10) == 0
    reason = preparing.look(mei.shop, now=at).owed.reason
    return str(reason) if reason else None


def bank_says(amount: int, payout: Payout, *, at: datetime, reference: str = "") -> StatementLine:
    """A line of our bank's statement, looked at."""
    statement, _made = Statement.objects.get_or_create(
        bank_account=BankAccount.objects.get(), format="camt.053", state="imported", fetched=False,
        uploaded_by=operator(), sha256="0" * 64, defaults={"created_at": at},
    )  # fmt: skip
    line = StatementLine.objects.create(
        statement=statement, number=statement.lines.count() + 1, raw={}, kind="debit" if amount < 0 else "credit",
        reference=reference or pain001.reference(payout.reference), amount=amount, currency="CNY", occurred_at=at,
        look_at=at,
    )  # fmt: skip
    assert bank_lines.look(now=at, limit=10) == 1
    line.refresh_from_db()
    return line


def told() -> list[str]:
    kinds = Notice.objects.filter(kind__startswith="payout_").exclude(kind="payout_account_change")
    return list(kinds.order_by("number").values_list("kind", flat=True))


def moved(payout: Payout) -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.filter(cause_id=payout.id).order_by("id").values_list("kind", "amount"))


def test_a_day_is_paid_on_the_next_working_day_and_the_bank_confirms_it(mei: Person, account: None) -> None:
    earn(mei, 200, at=monday(12))
    earn(mei, 500, at=monday(19))  # After the cut-off.
    assert why_not(mei, monday(20)) == "not_yet"

    payout = prepared(monday(1, days=1))
    assert (payout.amount, payout.state, payout.earned_day) == (200, "prepared", monday().date())
    assert payout.batch is not None
    assert (payout.batch.execution_day, payout.batch.channel) == (monday(days=1).date(), "file")
    assert stands(mei) == (500, 200, 0)

    batches.release(batch_id=payout.batch.id, operator=operator(), reason="checked", now=monday(9, days=1))
    assert stands(mei) == (500, 200, 0)
    line = bank_says(-200, payout, at=monday(15, days=1))
    assert (line.outcome, line.look_at) == ("matched", None)
    assert stands(mei) == (500, 0, 200)
    assert moved(payout) == [("payout_asked", 200), ("payout_paid", 200)]
    assert told() == ["payout_sent", "payout_paid"]

    assert prepared(monday(1, days=2)).amount == 500
    assert_books_hold()


def test_what_is_earned_on_friday_evening_and_over_the_weekend_is_paid_on_monday(mei: Person, account: None) -> None:
    earn(mei, 100, at=monday(19, days=4))
    earn(mei, 100, at=monday(12, days=5))
    assert why_not(mei, monday(12, days=5)) == "not_yet"
    assert why_not(mei, monday(12, days=6)) == "not_yet"
    payout = prepared(monday(1, days=7))
    assert (payout.amount, payout.earned_day) == (200, monday(days=6).date())
    assert_books_hold()


def test_a_refund_after_the_cut_off_leaves_less_and_never_less_than_nothing(mei: Person, account: None) -> None:
    payment = earn(mei, 500, at=monday(12))
    refunds.request(staff=mei.staff, payment=payment, amount=180, reason="", now=monday(19))
    assert prepared(monday(1, days=1)).amount == 320
    assert stands(mei) == (0, 320, 0)
    with pytest.raises(refunds.UnableToRefund) as refusal:
        refunds.request(staff=mei.staff, payment=payment, amount=20, reason="", now=monday(2, days=1))
    assert refusal.value.code == "balance_too_low"
    assert_books_hold()


def test_direct_and_pending_money_is_never_paid_out(mei: Person, account: None) -> None:
    earn(mei, 200, at=monday(12))
    paid(expect(shop_code(mei.shop), 300)).deliver()  # Pending.
    drain()
    direct(mei.shop)
    paid(expect(shop_code(mei.shop), 900)).deliver()
    drain()
    assert ledger.balance(shop=mei.shop).total == 1400
    assert prepared(monday(1, days=1)).amount == 200
    assert ledger.balance(shop=mei.shop).direct == 900
    assert_books_hold()


def test_only_what_is_contested_waits_and_nothing_is_paid_below_zero(mei: Person, account: None) -> None:
    first = earn(mei, 200, at=monday(12))
    second = earn(mei, 300, at=monday(13))
    disputed(first, "opened").deliver()
    drain()
    assert prepared(monday(1, days=1)).amount == 300
    disputed(second, "opened", object_id="wdp_2").deliver()
    drain()
    assert stands(mei) == (-300, 300, 0)
    earn(mei, 100, at=monday(12, days=1))
    assert why_not(mei, monday(1, days=2)) == "balance_negative"
    assert_books_hold()


def test_less_than_the_minimum_waits_for_more(mei: Person, account: None) -> None:
    terms_row = preparing.look(mei.shop, now=monday()).terms
    assert terms_row is not None
    terms_row.minimum_amount = 250
    terms_row.save()
    earn(mei, 200, at=monday(12))
    assert why_not(mei, monday(1, days=1)) == "below_minimum"
    earn(mei, 100, at=monday(12, days=1))
    assert prepared(monday(1, days=2)).amount == 300


def test_a_frozen_shop_is_not_paid_and_what_was_prepared_is_hers_again(mei: Person, account: None) -> None:
    earn(mei, 200, at=monday(12))
    payout = prepared(monday(1, days=1))
    freezing.freeze(shop_id=mei.shop.id, operator=operator(), reason="asked", now=monday(2, days=1))
    assert payout.batch is not None
    with pytest.raises(UnableToAct) as refusal:
        batches.release(batch_id=payout.batch.id, operator=operator(), reason="", now=monday(9, days=1))
    assert refusal.value.code == "batch_empty"
    assert stands(mei) == (0, 200, 0)
    assert batches.cancel(batch_id=payout.batch.id, operator=operator(), reason="", now=monday(9, days=1)) == 1
    assert stands(mei) == (200, 0, 0)
    assert (told(), moved(payout)) == (["payout_failed"], [("payout_asked", 200), ("payout_failed", 200)])
    mei.shop.refresh_from_db()
    assert why_not(mei, monday(1, days=2)) == "shop_frozen"
    freezing.unfreeze(shop_id=mei.shop.id, operator=operator(), reason="cleared", now=monday(2, days=2))
    assert prepared(monday(3, days=2)).amount == 200
    assert_books_hold()


def test_a_payout_that_failed_is_hers_again_and_nothing_is_paid_until_somebody_looked(
    mei: Person, account: None
) -> None:
    earn(mei, 200, at=monday(12))
    payout = released(monday(1, days=1))
    noon = monday(12, days=1)
    assert outcomes.end(payout_id=payout.id, word="failed", at=noon, now=noon, failure="account_closed")
    assert stands(mei) == (200, 0, 0)
    assert told() == ["payout_sent", "payout_failed"]
    question = Discrepancy.objects.get()
    assert (question.reason, question.payout_id, question.amount) == ("payout_failed", payout.id, 200)
    mei.shop.refresh_from_db()
    assert why_not(mei, monday(1, days=2)) == "payout_failed"
    Discrepancy.objects.update(state="resolved", resolved_at=monday(2, days=2), resolution="a typing error of the bank")
    assert prepared(monday(3, days=2)).amount == 200
    assert_books_hold()


def test_a_return_after_it_was_paid_is_hers_again(mei: Person, account: None) -> None:
    earn(mei, 200, at=monday(12))
    payout = released(monday(1, days=1))
    bank_says(-200, payout, at=monday(15, days=1))
    line = bank_says(200, payout, at=monday(15, days=4))
    assert stands(mei) == (200, 0, 0)
    assert moved(payout) == [("payout_asked", 200), ("payout_paid", 200), ("payout_returned", 200)]
    assert told() == ["payout_sent", "payout_paid", "payout_failed"]
    assert line.match is not None
    assert line.match.lines.count() == 2
    assert Discrepancy.objects.get().reason == "payout_failed"
    assert_books_hold()


def test_a_return_that_is_read_before_its_debit_comes_to_the_same(mei: Person, account: None) -> None:
    earn(mei, 200, at=monday(12))
    payout = released(monday(1, days=1))
    bank_says(200, payout, at=monday(15, days=4))
    assert bank_says(-200, payout, at=monday(16, days=4)).outcome == "matched"
    payout.refresh_from_db()
    assert (payout.state, stands(mei)) == ("returned", (200, 0, 0))
    assert_books_hold()


def test_a_debit_of_another_amount_confirms_nothing_and_is_a_question(mei: Person, account: None) -> None:
    earn(mei, 200, at=monday(12))
    payout = released(monday(1, days=1))
    line = bank_says(-201, payout, at=monday(15, days=1))
    assert (line.outcome, line.match, stands(mei)) == ("amount_differs", None, (0, 200, 0))
    question = Discrepancy.objects.get()
    assert (question.reason, question.line_id, question.amount) == ("unknown_debit", line.id, 201)
    assert_books_hold()


def test_a_payout_that_left_although_it_had_failed_is_booked_and_asked_about(mei: Person, account: None) -> None:
    earn(mei, 200, at=monday(12))
    payout = released(monday(1, days=1))
    noon = monday(12, days=1)
    outcomes.end(payout_id=payout.id, word="failed", at=noon, now=noon)
    bank_says(-200, payout, at=monday(15, days=1))
    assert stands(mei) == (0, 0, 200)
    assert [kind for kind, _ in moved(payout)] == ["payout_asked", "payout_failed", "payout_asked", "payout_paid"]
    assert set(Discrepancy.objects.values_list("reason", flat=True)) == {"payout_failed", "contradiction"}
    assert_books_hold()


def test_while_a_new_account_waits_nothing_is_paid_and_then_only_to_the_new_one(mei: Person, account: None) -> None:
    earn(mei, 200, at=monday(12))
    new = entered(mei, "6222029876543210987", now=monday(13))
    assert why_not(mei, monday(1, days=1)) == "account_changing"
    accounts.verify(account_id=new.id, operator=operator(), reason="bank card seen", now=monday(9, days=1))
    assert accounts.apply_due(now=monday(12, 59, days=1)) == 0
    assert accounts.apply_due(now=monday(13, days=1)) == 1
    payout = prepared(monday(13, days=1) + timedelta(minutes=1))
    assert (payout.account_id, payout.account.tail) == (new.id, "0987")
    assert_books_hold()


def test_what_was_prepared_for_an_account_that_is_being_changed_does_not_leave(mei: Person, account: None) -> None:
    earn(mei, 200, at=monday(12))
    first = prepared(monday(1, days=1))
    entered(mei, "6222029876543210987", now=monday(2, days=1))
    assert first.batch is not None
    with pytest.raises(UnableToAct) as refusal:
        batches.release(batch_id=first.batch.id, operator=operator(), reason="", now=monday(9, days=1))
    assert (refusal.value.code, stands(mei)) == ("batch_empty", (0, 200, 0))


def test_an_account_that_nobody_proved_is_never_paid_to(mei: Person) -> None:
    assert why_not(mei, monday()) == "no_account"
    entered(mei, now=monday(9))
    earn(mei, 200, at=monday(12))
    assert accounts.apply_due(now=monday(1, days=2)) == 0
    assert why_not(mei, monday(1, days=2)) == "account_unverified"
