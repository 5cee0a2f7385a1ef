"""Lines of our bank: what is told twice, what is not ours to look at, what a person says, and who may not say it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from merchants import ids
from merchants.audit import UnableToAct
from merchants.models import OperatorAct, User
from payments import remedies, tasks
from payments.models import (
    AccountBalance,
    BankAccount,
    Discrepancy,
    LedgerEntry,
    Match,
    Payout,
    Settlement,
    SettlementMatch,
    StatementLine,
)
from payments.settlement import banking
from tests.bank_day import HOUR, amounts, bank_says, credit, look, settled, undo
from tests.cast import Person
from tests.operators import OPERATOR_PHONE
from tests.races.together import slow_after, together, without_row_locks
from tests.till import assert_books_hold, direct, platform, total

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def held(database: None) -> None:
    platform()


@pytest.fixture
def wei(database: None) -> User:
    """An operator."""
    return User.objects.create_user(OPERATOR_PHONE, is_staff=True)


def everything() -> list[object]:
    tables = (LedgerEntry, AccountBalance, Match, SettlementMatch, Settlement, StatementLine, Discrepancy, OperatorAct)
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


def match(line: StatementLine, rows: list[Settlement], operator: User) -> Match:
    return banking.match_credit(
        line_id=line.id,
        settlement_ids=[row.id for row in rows],
        operator=operator,
        reason="I called",
        now=timezone.now(),
    )


def refused(line: StatementLine, rows: list[Settlement], operator: User) -> str:
    """The code of the refusal, which changes nothing."""
    before = everything()
    with pytest.raises(UnableToAct) as refusal:
        match(line, rows, operator)
    assert everything() == before
    return refusal.value.code


# --- What is looked at -----------------------------------------------------------------------------------------------


def test_a_line_that_two_statements_tell_is_booked_once(now: datetime) -> None:
    """The files of two days overlap: the bank's own id is the same."""
    bank_says(credit(500, object_id="AC-1"), now=now)
    look(now)
    [again] = bank_says(credit(500, object_id="AC-1"), now=now + HOUR)
    assert look(now + HOUR) == 2  # The first one is looked at once more, too.
    again.refresh_from_db()
    assert (again.outcome, again.match, again.look_at) == ("duplicate", None, None)
    assert total("suspense") == 500
    assert_books_hold()


def test_both_of_them_in_one_look(now: datetime) -> None:
    bank_says(credit(500, object_id="AC-1"), now=now)
    bank_says(credit(500, object_id="AC-1"), now=now)
    look(now)
    assert total("suspense") == 500
    assert_books_hold()


@pytest.mark.parametrize("changed", [{"object_id": "AC-2"}, {"object_id": ""}, {"amount": 501}, {"amount": -500}])
def test_what_differs_is_another_line(now: datetime, changed: dict[str, Any]) -> None:
    bank_says(credit(500, object_id="AC-1"), now=now)
    [other] = bank_says({**credit(500, object_id="AC-1"), **changed}, now=now)
    look(now)
    other.refresh_from_db()
    assert other.outcome == "missing_in_books"
    assert_books_hold()


def test_two_accounts_of_ours_may_use_one_id(now: datetime) -> None:
    second = BankAccount.objects.create(name="second", holder="Pushcart", number="6222-2", currency="CNY")
    bank_says(credit(500, object_id="AC-1"), now=now)
    bank_says(credit(500, object_id="AC-1"), now=now, account=second)
    look(now)
    assert total("suspense") == 1_000


def test_the_line_of_a_payout_is_left_untouched(now: datetime) -> None:
    [line] = bank_says(credit(-500, ids.public(Payout.prefix, ids.new(now))), now=now)
    [ours] = bank_says(credit(-500, "pyo_but_not_an_id"), now=now)
    assert look(now) == 1
    line.refresh_from_db()
    ours.refresh_from_db()
    assert (line.match, line.look_at) == (None, now)
    assert ours.match is not None


def test_a_line_that_moves_nothing_is_over(now: datetime) -> None:
    [line] = bank_says({**credit(0), "kind": "credit"}, now=now)
    look(now)
    line.refresh_from_db()
    assert (line.outcome, line.look_at, line.match) == ("nothing", None, None)
    assert_books_hold()


def test_lines_of_a_replaced_statement_are_not_looked_at(now: datetime) -> None:
    [line] = bank_says(credit(500), now=now)
    line.statement.state = "replaced"
    line.statement.save()
    assert look(now) == 0


def test_a_credit_in_suspense_is_looked_at_every_hour_for_ten_days(now: datetime) -> None:
    [line] = bank_says(credit(500), now=now)
    look(now)
    line.refresh_from_db()
    assert (line.look_at, line.looks) == (now + HOUR, 1)
    assert look(now + HOUR - timedelta(seconds=1)) == 0
    look(now + 10 * DAY - HOUR)
    assert StatementLine.objects.get().look_at == now + 10 * DAY
    look(now + 10 * DAY)
    line.refresh_from_db()
    assert (line.look_at, line.looks) == (None, 3)
    assert Discrepancy.objects.get().state == "open"
    assert LedgerEntry.objects.count() == 1


def test_a_credit_that_a_person_has_explained_is_not_looked_at_any_more(now: datetime) -> None:
    [line] = bank_says(credit(500), now=now)
    look(now)
    Discrepancy.objects.update(state="resolved", resolution="sent back at the bank")
    settled("stl_0001", 500, now=now)
    look(now + HOUR)
    line.refresh_from_db()
    assert (line.look_at, Match.objects.count()) == (None, 1)
    bank_says(credit(-500), now=now + DAY)  # It is debited, and suspense is empty again.
    look(now + DAY)
    assert total("suspense") == 0


def test_no_more_lines_are_taken_than_asked_for(now: datetime) -> None:
    bank_says(*(credit(100 + number) for number in range(5)), now=now)
    assert [banking.look(now=now, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert LedgerEntry.objects.count() == 5


def test_the_worker_looks_until_nothing_is_due(now: datetime, settings: Any) -> None:
    settings.DRAIN_BATCH_MAX = 2
    bank_says(*(credit(100 + number) for number in range(5)), now=now)
    tasks.look_at_bank()
    assert LedgerEntry.objects.count() == 5


# --- By hand ---------------------------------------------------------------------------------------------------------


def test_a_person_says_which_of_two(now: datetime, wei: User) -> None:
    first, second = settled("stl_0001", 500, now=now), settled("stl_0002", 500, now=now + HOUR)
    [line] = bank_says(credit(500), now=now + DAY)
    look(now + DAY)
    made = match(line, [second], wei)
    assert [row[3:] for row in amounts([first, second])] == [(0, "in_transit"), (500, "arrived")]
    assert (made.rule, made.made_by, made.why["from"]) == ("by_hand", wei, "suspense")
    assert (total("suspense"), total("bank")) == (0, -500)
    assert Discrepancy.objects.get().state == "resolved"
    act = OperatorAct.objects.get()
    assert (act.act, act.subject_id, act.reason, act.after["amounts"]) == ("match_credit", str(made), "I called", [500])
    assert_books_hold()

    undo(made, operator=wei, now=timezone.now())
    assert (total("suspense"), total("bank")) == (500, -500)
    assert refused(line, [], wei) == "settlement_unknown"
    assert_books_hold()


def test_a_line_that_nobody_has_looked_at_yet_is_matched_from_the_bank(now: datetime, wei: User) -> None:
    both = [settled("stl_0001", 500, now=now), settled("stl_0002", 300, now=now + HOUR)]
    [line] = bank_says(credit(790), now=now + DAY)
    match(line, both, wei)
    assert [row[3:] for row in amounts(both)] == [(500, "arrived"), (290, "differs")]
    assert Discrepancy.objects.get().amount == 10
    assert total("suspense") == 0
    assert_books_hold()


def test_what_no_person_can_match(now: datetime, wei: User, mei: Person) -> None:
    day, dollars = settled("stl_0001", 500, now=now), settled("stl_0002", 500, now=now, currency="USD")
    [matched, line, payout, nothing] = bank_says(
        credit(500, "stl_0001"), credit(77), credit(-9, ids.public("pyo", ids.new(now))),
        {**credit(0), "kind": "credit"}, now=now,
    )  # fmt: skip
    look(now)
    hers = Settlement.objects.create(
        provider_account=direct(mei.shop), reference="stl_0003", currency="CNY", created_at=now
    )
    told = StatementLine.objects.filter(provider_account__isnull=False).first()
    assert told is not None
    assert refused(told, [day], wei) == "line_not_of_bank"
    assert refused(payout, [day], wei) == "line_of_payout"
    assert refused(nothing, [day], wei) == "line_empty"
    assert refused(matched, [day], wei) == "line_matched"
    assert refused(line, [], wei) == "settlement_unknown"
    assert refused(line, [day, day], wei) == "settlement_unknown"
    assert refused(line, [dollars], wei) == "currency_differs"
    assert refused(line, [hers], wei) == "settlement_not_ours"


def test_what_was_kept_pays_nothing_else_even_when_its_match_is_undone(now: datetime, wei: User) -> None:
    [line] = bank_says(credit(500), now=now)
    look(now)
    keep = partial(remedies.propose, remedy="keep", note="nobody claims it", operator=wei, now=now)
    keep(discrepancy_id=Discrepancy.objects.get().id)
    day = settled("stl_0001", 500, now=now)
    assert refused(line, [day], wei) == "line_kept"
    undo(Match.objects.get(), operator=wei, now=now + HOUR)
    assert refused(line, [day], wei) == "line_kept"
    for hours in (1, 2, 3):
        look(now + hours * HOUR)
    assert (total("bank"), total("suspense"), total("adjustments")) == (-500, 0, 500)
    assert Discrepancy.objects.get().state == "resolved"
    assert amounts([day])[0][3:] == (0, "in_transit")
    assert_books_hold()


# --- Two at once -----------------------------------------------------------------------------------------------------


def test_two_workers_book_a_credit_once(real_db: None, now: datetime) -> None:
    day = settled("stl_0001", 500, now=now)
    bank_says(credit(500), credit(9), now=now)
    with slow_after("payments.settlement.suspended.of", callers=2):
        answers = together([partial(look, now)] * 2)
    assert sorted(answers) == [2, 2]  # Both saw them due; the second one found them done.
    assert amounts([day])[0][3:] == (500, "arrived")
    assert (Match.objects.count(), total("bank")) == (2, -509)
    assert_books_hold()


def test_without_the_locks_they_book_it_twice(real_db: None, now: datetime) -> None:
    settled("stl_0001", 500, now=now)
    bank_says(credit(500), now=now)
    with without_row_locks(), slow_after("payments.settlement.suspended.of", callers=2):
        together([partial(look, now)] * 2)
    assert Match.objects.count() == 2
    assert total("bank") == -1_000


def test_a_person_and_a_worker_match_a_credit_once(real_db: None, now: datetime, wei: User) -> None:
    first, second = settled("stl_0001", 500, now=now), settled("stl_0002", 500, now=now + HOUR)
    [line] = bank_says(credit(500), now=now)
    calls: list[Callable[[], Any]] = [partial(look, now), partial(match, line, [second], wei)]
    _looked, made = together(calls)
    assert isinstance(made, Match), made
    assert [row[3:] for row in amounts([first, second])] == [(0, "in_transit"), (500, "arrived")]
    assert (total("bank"), total("suspense")) == (-500, 0)
    assert_books_hold()
