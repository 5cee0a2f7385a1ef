"""Payouts in the making: batches, turns that come once, limits, and many shops at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from payments import ledger
from payments.chart import available
from payments.models import BankAccount, Holiday, Payout, PayoutBatch, PayoutTerms
from payments.payouts import batches, preparing
from tests.cast import Person
from tests.payday import earn, monday, operator, our_bank, prepared, proved, released, terms
from tests.till import assert_books_hold, platform

TUESDAY = {"hour": 1, "days": 1}


@pytest.fixture
def ready(mei: Person) -> Person:
    platform()
    terms()
    our_bank()
    proved(mei, now=monday(9))
    return mei


def test_nothing_is_prepared_where_there_is_nothing(db: None) -> None:
    assert preparing.prepare(now=monday(), limit=10) == 0


def test_a_turn_comes_once_whatever_became_of_it(ready: Person) -> None:
    earn(ready, 200, at=monday(12))
    payout = prepared(monday(1, days=1))
    assert preparing.prepare(now=monday(2, days=1), limit=10) == 0
    batches.cancel(batch_id=payout.batch.id, operator=operator(), reason="", now=monday(3, days=1))  # type: ignore[union-attr]
    assert preparing.prepare(now=monday(4, days=1), limit=10) == 0
    assert prepared(monday(1, days=2)).amount == 200
    assert_books_hold()


def test_the_database_itself_refuses_a_second_payout_of_a_day(ready: Person) -> None:
    earn(ready, 200, at=monday(12))
    payout = prepared(monday(1, days=1))
    payout.pk = None
    with pytest.raises(IntegrityError, match="payout_once_a_day"), transaction.atomic():
        Payout(
            shop=payout.shop, account=payout.account, earned_day=payout.earned_day, amount=1, currency="CNY",
            created_at=monday(),
        ).save(force_insert=True)  # fmt: skip


def test_payouts_of_a_day_share_a_batch_until_it_is_approved(
    ready: Person, arjun: Person, settings: LazySettings
) -> None:
    settings.FOUR_EYES_PAYOUT_ABOVE = {"CNY": 100}
    type(arjun.shop).objects.filter(id=arjun.shop.id).update(currency="CNY", time_zone="Asia/Shanghai")
    arjun.shop.refresh_from_db()
    arjun.staff.shop.refresh_from_db()
    proved(arjun, now=monday(9))
    earn(ready, 200, at=monday(12))
    earn(arjun, 300, at=monday(13))
    assert preparing.prepare(now=monday(1, days=1), limit=1) == 1
    first = PayoutBatch.objects.get()
    batches.approve(batch_id=first.id, operator=operator(), reason="seen", now=monday(2, days=1))
    assert preparing.prepare(now=monday(3, days=1), limit=10) == 1
    assert [batches.total(batch) for batch in PayoutBatch.objects.order_by("id")] == [200, 300]
    assert_books_hold()


def test_a_holiday_moves_the_payout_and_takes_the_day_before_along(ready: Person) -> None:
    Holiday.objects.create(calendar="CN", day=monday(days=1).date(), name="a bank's day off")
    earn(ready, 200, at=monday(12))
    earn(ready, 300, at=monday(12, days=1))
    assert preparing.prepare(now=monday(12, days=1), limit=10) == 0
    payout = prepared(monday(1, days=2))
    assert (payout.amount, payout.earned_day) == (500, monday(days=1).date())


def test_a_shops_own_terms_come_before_those_of_its_currency(ready: Person) -> None:
    PayoutTerms.objects.create(
        shop=ready.shop, currency="CNY", minimum_amount=1000, delay_days=1, cut_off="18:00", channel="file",
        calendar="CN",
    )  # fmt: skip
    earn(ready, 200, at=monday(12))
    assert preparing.prepare(now=monday(1, days=1), limit=10) == 0
    assert preparing.look(ready.shop, now=monday(1, days=1)).owed.reason == "below_minimum"


def test_without_an_account_of_ours_to_pay_from_nothing_moves(ready: Person) -> None:
    BankAccount.objects.update(active=False)
    earn(ready, 200, at=monday(12))
    assert preparing.prepare(now=monday(1, days=1), limit=10) == 0
    assert (Payout.objects.count(), ledger.total_of(available(ready.shop.id), "CNY")) == (0, 200)


def test_a_worker_that_was_away_pays_what_it_missed_at_once(ready: Person) -> None:
    earn(ready, 200, at=monday(12))
    earn(ready, 300, at=monday(12, days=1))
    assert prepared(monday(12, days=2)).amount == 500


def test_the_first_look_asks_as_much_for_one_shop_as_for_many(ready: Person) -> None:
    earn(ready, 200, at=monday(12))
    released(monday(1, days=1))
    earn(ready, 200, at=monday(2, days=1))
    with CaptureQueriesContext(connection) as asked:
        assert preparing.prepare(now=monday(2, days=1) + timedelta(minutes=5), limit=10) == 0
    assert len(asked) <= 5
