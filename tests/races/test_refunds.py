"""Refunds that are asked for at the same moment never exceed what was received."""

from __future__ import annotations

import pytest
from django.utils import timezone

from payments import ledger, refunds
from payments.models import Payment, Refund
from tests.cast import MEI_PHONE, Person, open_shop
from tests.races.together import slow_after, together, without_row_locks
from tests.till import assert_books_hold, drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.usefixtures("real_db")
CLERKS = 8


def ask_all_at_once() -> tuple[Person, list[object]]:
    """Eight clerks each want to give back 60 of a payment of 200; the shop's balance would cover them all."""
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    paid(expect(shop_code(mei.shop), 200)).deliver()
    paid(expect(shop_code(mei.shop), 1000)).deliver()
    drain()
    payment = Payment.objects.get(amount=200)

    def ask() -> Refund:
        return refunds.request(staff=mei.staff, payment=payment, amount=60, reason="", now=timezone.now())

    return mei, together([ask] * CLERKS)


def test_without_the_payments_lock_more_is_given_back_than_came() -> None:
    with without_row_locks(), slow_after("payments.refunds.refunded", callers=CLERKS):
        ask_all_at_once()
    assert sum(Refund.objects.values_list("amount", flat=True)) > 200


def test_with_it_three_are_granted_and_five_are_refused() -> None:
    mei, answers = ask_all_at_once()
    granted = [answer for answer in answers if isinstance(answer, Refund)]
    refused = [answer.code for answer in answers if isinstance(answer, refunds.UnableToRefund)]
    assert (len(granted), refused) == (3, ["refund_too_large"] * 5)
    assert Refund.objects.count() == 3
    assert ledger.balance(shop=mei.shop).total == 1020
    assert_books_hold()
