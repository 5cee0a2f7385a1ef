"""Payouts beside refunds, and beside each other: never more leaves than is there."""

from __future__ import annotations

import pytest

from merchants.audit import UnableToAct
from payments import ledger, refunds
from payments.chart import available
from payments.models import Payout, PayoutBatch
from payments.payouts import batches, preparing
from tests.cast import MEI_PHONE, Person, open_shop
from tests.payday import earn, monday, operator, our_bank, prepared, proved, second_operator, terms
from tests.races.together import slow_after, together, without_row_locks
from tests.till import assert_books_hold, platform

pytestmark = pytest.mark.usefixtures("real_db")
TUESDAY = monday(1, days=1)


def one_day(amount: int = 200) -> Person:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    terms()
    our_bank()
    proved(mei, now=monday(9))
    earn(mei, amount, at=monday(12))
    return mei


def prepare() -> int:
    return preparing.prepare(now=TUESDAY, limit=10)


def beside_a_refund() -> tuple[Person, list[object]]:
    """All that is there is to be paid out and refunded at the same moment."""
    mei = one_day()
    payment = mei.shop.payments.get()

    def refund() -> object:
        return refunds.request(staff=mei.staff, payment=payment, amount=200, reason="", now=TUESDAY)

    return mei, together([prepare, refund])


def test_without_locks_a_shop_is_paid_by_several_workers_at_once() -> None:
    one_day()
    with without_row_locks(), slow_after("payments.payouts.preparing._came_since", callers=4):
        answers = together([prepare] * 4)
    # The constraint of the database is the second lock: it lets one through, and the others break.
    assert sorted(type(answer).__name__ for answer in answers) == ["IntegrityError"] * 3 + ["int"]


def test_with_them_one_worker_makes_it_and_the_others_find_it_made() -> None:
    one_day()
    assert sorted(together([prepare] * 4)) == [0, 0, 0, 1]
    assert Payout.objects.count() == 1
    assert_books_hold()


def test_without_locks_a_payout_that_met_a_refund_takes_what_is_not_there_and_is_undone() -> None:
    with without_row_locks(), slow_after("payments.ledger.total_of", callers=2):
        mei, answers = beside_a_refund()
    # What the balance's own row refuses is undone: of the two at most one stands.
    assert ledger.total_of(available(mei.shop.id), "CNY") >= 0
    assert [answer for answer in answers if isinstance(answer, AssertionError)] == []


def test_with_them_either_is_granted_and_never_both() -> None:
    mei, (made, refund) = beside_a_refund()
    paid_out = made == 1
    refused = isinstance(refund, refunds.UnableToRefund) and refund.code == "balance_too_low"
    assert paid_out is refused
    assert ledger.total_of(available(mei.shop.id), "CNY") == 0
    assert_books_hold()


def release_twice() -> list[object]:
    one_day()
    batch = PayoutBatch.objects.get(payouts=prepared(TUESDAY))
    calls = [
        lambda who=who: batches.release(batch_id=batch.id, operator=who, reason="", now=TUESDAY)
        for who in (operator(), second_operator())
    ]
    return together(calls)


def test_without_locks_two_operators_release_the_same_batch() -> None:
    with without_row_locks(), slow_after("payments.payouts.batches._locked", callers=2):
        assert release_twice() == [(1, 0), (1, 0)]


def test_with_them_the_second_is_told_that_it_is_released() -> None:
    answers = release_twice()
    assert [answer for answer in answers if isinstance(answer, tuple)] == [(1, 0)]
    [refusal] = [answer for answer in answers if isinstance(answer, UnableToAct)]
    assert refusal.code == "batch_released"
    assert_books_hold()
