"""Settlements as they are counted: from lines that hold, from what the provider tells, and from matches that hold."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.db.models import F

from merchants.models import User
from payments import books
from payments.models import Discrepancy, Match, Settlement, Statement, StatementLine
from payments.settlement import totals
from tests.bank_day import HOUR, amounts, bank_says, credit, look, provider_says, settled, undo
from tests.cast import Person
from tests.operators import OPERATOR_PHONE
from tests.till import assert_books_hold, direct, platform

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


def only() -> tuple[str, int, int | None, int, str]:
    return amounts(list(Settlement.objects.all()))[0]


def test_lines_make_a_settlement_with_what_was_kept_of_them(now: datetime) -> None:
    provider_says((200, "stl_0001"), (300, "stl_0001"), (-50, "stl_0001", "refund"), now=now)
    assert only() == ("stl_0001", 450, None, 0, "in_transit")
    StatementLine.objects.filter(amount=300).update(fee=3)
    totals.recount(settlement_ids=list(Settlement.objects.values_list("id", flat=True)), now=now)
    assert only() == ("stl_0001", 447, None, 0, "in_transit")
    row = Settlement.objects.get()
    assert (row.look_at, row.created_at, row.told_at) == (now + 4 * DAY, now, None)


def test_the_providers_own_line_tells_the_sum(now: datetime) -> None:
    provider_says((200, "stl_0001"), (-195, "stl_0001", "payout"), now=now)
    assert only() == ("stl_0001", 200, 195, 0, "in_transit")
    assert Settlement.objects.get().told_at == now


def test_lines_of_one_settlement_come_by_several_files(now: datetime) -> None:
    provider_says((200, "stl_0001"), now=now)
    provider_says((300, "stl_0001"), (10, "stl_0002"), now=now + HOUR)
    assert [row[:2] for row in amounts(list(Settlement.objects.all()))] == [("stl_0001", 500), ("stl_0002", 10)]


def test_a_line_that_two_files_tell_counts_once(now: datetime) -> None:
    provider_says((200, "stl_0001"), now=now, object_id="wpy_1")
    provider_says((200, "stl_0001"), now=now, object_id="wpy_1")
    assert only()[1] == 200


def test_a_line_that_one_file_tells_twice_counts_twice(now: datetime) -> None:
    """The provider settles too much then, and the bank will show it."""
    provider_says((200, "stl_0001"), (200, "stl_0001"), now=now, object_id="wpy_1")
    assert only()[1] == 400


def test_lines_without_an_id_are_each_their_own(now: datetime) -> None:
    provider_says((200, "stl_0001"), now=now)
    provider_says((200, "stl_0001"), now=now)
    StatementLine.objects.update(object_id="")
    totals.recount(settlement_ids=list(Settlement.objects.values_list("id", flat=True)), now=now)
    assert only()[1] == 400


def test_a_statement_that_was_replaced_counts_no_more(now: datetime) -> None:
    first = provider_says((200, "stl_0001"), now=now)
    provider_says((180, "stl_0001"), now=now)
    Statement.objects.filter(id=first.id).update(state="replaced")
    totals.recount(settlement_ids=list(Settlement.objects.values_list("id", flat=True)), now=now)
    assert only()[1] == 180


def test_a_shops_own_account_has_no_settlements_of_ours(mei: Person, now: datetime) -> None:
    provider_says((200, "stl_0001"), now=now, account=direct(mei.shop))
    assert not Settlement.objects.exists()


def test_one_id_in_two_currencies_is_two_settlements(now: datetime) -> None:
    provider_says((200, "stl_0001"), now=now)
    provider_says((500, "stl_0001"), now=now, currency="USD")
    assert list(Settlement.objects.order_by("currency").values_list("currency", "lines_amount")) == [
        ("CNY", 200), ("USD", 500),
    ]  # fmt: skip


def test_nothing_to_settle_has_arrived_already(now: datetime) -> None:
    provider_says((200, "stl_0001"), (-200, "stl_0001", "refund"), now=now)
    assert only() == ("stl_0001", 0, None, 0, "arrived")
    assert Settlement.objects.get().look_at is None


def test_a_file_that_corrects_the_lines_ends_the_question(now: datetime) -> None:
    settled("stl_0001", 970, told=1_000, now=now)
    assert Discrepancy.objects.get().amount == 30
    provider_says((20, "stl_0001"), now=now + HOUR)
    assert (Discrepancy.objects.get().amount, Discrepancy.objects.get().state) == (10, "open")
    provider_says((10, "stl_0001"), now=now + 2 * HOUR)
    assert Discrepancy.objects.get().state == "resolved"


def test_a_question_that_a_person_answered_is_asked_again_only_when_the_amounts_change(now: datetime) -> None:
    day = settled("stl_0001", 970, told=1_000, now=now)
    Discrepancy.objects.update(state="resolved", resolution="they send the lines next month")
    totals.recount(settlement_ids=[day.id], now=now + HOUR)
    assert Discrepancy.objects.count() == 1
    provider_says((5, "stl_0001"), now=now + HOUR)
    assert Discrepancy.objects.get(state="open").amount == 25


def test_undone_it_waits_as_long_as_it_would_have(now: datetime) -> None:
    wei = User.objects.create_user(OPERATOR_PHONE, is_staff=True)
    settled("stl_0001", 500, now=now)
    bank_says(credit(500, "stl_0001"), now=now + DAY)
    look(now + DAY)
    assert (only()[3:], Settlement.objects.get().look_at) == ((500, "arrived"), None)
    undo(Match.objects.get(), operator=wei, now=now + 2 * DAY)
    assert (only()[3:], Settlement.objects.get().look_at) == ((0, "in_transit"), now + 4 * DAY)
    assert_books_hold()


def test_a_settlement_that_drifted_is_a_breach_and_is_counted_right_again(now: datetime) -> None:
    day = settled("stl_0001", 500, now=now)
    Settlement.objects.update(arrived_amount=F("arrived_amount") + 1)
    law = "a settlement's arrived amount is what its matches say and what was posted"
    assert [breach.law for breach in books.breaches()] == [law]
    totals.recount(settlement_ids=[day.id], now=now)
    assert_books_hold()


def test_counting_asks_the_database_the_same_few_questions_however_many_there_are(now: datetime) -> None:
    days = [settled(f"stl_{number:04}", 100 + number, now=now) for number in range(5)]
    with connection.execute_wrapper(counted := _Counted()):
        totals.recount(settlement_ids=[days[0].id], now=now)
        one, counted.count = counted.count, 0
        totals.recount(settlement_ids=[day.id for day in days], now=now)
    assert counted.count == one


class _Counted:
    """Counts the statements that pass."""

    count = 0

    def __call__(self, execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        self.count += 1
        return execute(sql, params, many, context)
