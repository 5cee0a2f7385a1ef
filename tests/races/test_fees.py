"""Operators who add versions at the same moment add them one after the other, and no payment is charged twice."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from unittest import mock

import pytest
from django.db import IntegrityError
from django.utils import timezone

from merchants.models import OperatorAct, User
from payments import fee_desk, ledger, reconcile
from payments.models import FeeContract, Payment
from tests.cast import MEI_PHONE, open_shop
from tests.races.together import slow_after, together, without_row_locks
from tests.till import agree, assert_books_hold, drain, expect, paid, platform, shop_code, total

pytestmark = pytest.mark.usefixtures("real_db")
OPERATORS = 4


def all_at_once() -> list[object]:
    """Each announces another rate for the same day to come."""
    User.objects.create_user("+8613700137009")
    day = timezone.now() + timedelta(days=30)
    return together([partial(agree, since=day, parts_per_million=rate) for rate in range(OPERATORS)])


def test_without_the_lock_several_take_one_number_and_all_but_one_are_lost() -> None:
    with mock.patch.object(fee_desk, "_one_at_a_time"), slow_after("payments.fee_desk.newest", callers=OPERATORS):
        answers = all_at_once()
    assert sum(isinstance(answer, IntegrityError) for answer in answers) == OPERATORS - 1


def test_with_it_each_sees_the_one_before() -> None:
    answers = all_at_once()
    assert sorted(answer.version for answer in answers if isinstance(answer, FeeContract)) == [1, 2, 3, 4]
    assert sorted(FeeContract.objects.values_list("version", flat=True)) == [1, 2, 3, 4]
    told = [(act.before.get("version"), act.after["version"]) for act in OperatorAct.objects.order_by("id")]
    assert sorted(told, key=lambda pair: pair[1]) == [(None, 1), (1, 2), (2, 3), (3, 4)]


def test_a_payment_that_is_released_several_times_at_once_is_charged_once() -> None:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    agree(parts_per_million=6000)
    paid(expect(shop_code(mei.shop), 10_000)).deliver()
    drain()
    later = timezone.now() + timedelta(days=2)
    answers = together([partial(reconcile.release_due, now=later, limit=10)] * OPERATORS)
    assert sorted(answers) == [0, 0, 0, 1]
    assert (total("fee_income"), Payment.objects.get().fee_amount) == (60, 60)
    assert ledger.balance(shop=mei.shop).available == 9940
    assert_books_hold()


def test_without_the_row_locks_several_believe_that_they_released_it_and_the_entrys_key_still_books_it_once() -> None:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    agree(parts_per_million=6000)
    paid(expect(shop_code(mei.shop), 10_000)).deliver()
    drain()
    later = timezone.now() + timedelta(days=2)
    with without_row_locks(), slow_after("payments.facts.of_payments", callers=OPERATORS):
        answers = together([partial(reconcile.release_due, now=later, limit=10)] * OPERATORS)
    assert answers == [1] * OPERATORS
    assert total("fee_income") == 60
