"""Stories of what the bank says of the providers' settlements, with the numbers written out."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from merchants.models import User
from payments.models import Discrepancy, LedgerEntry, Match, StatementLine
from tests.bank_day import HOUR, amounts, bank_says, credit, look, settled, undo
from tests.operators import OPERATOR_PHONE
from tests.till import assert_books_hold, platform, total

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


@pytest.fixture
def wei(db: None) -> User:
    """An operator."""
    return User.objects.create_user(OPERATOR_PHONE, is_staff=True)


def bank() -> int:
    """What stands at our bank, by our book."""
    return -total("bank")


def owed() -> int:
    """What the wallet owes us."""
    return -total("provider_receivable", account=platform())


def open_questions() -> list[tuple[str, int]]:
    rows = Discrepancy.objects.filter(state="open").order_by("opened_at", "id")
    return [(row.reason, row.amount) for row in rows]


def entries() -> list[tuple[str, str, str, int]]:
    rows = LedgerEntry.objects.order_by("id").select_related("debit", "credit")
    return [(row.kind, row.debit.kind, row.credit.kind, row.amount) for row in rows]


def test_a_settlement_is_in_transit_until_the_bank_has_it(now: datetime) -> None:
    """The wallet pays 19,600 of the day's sales. Nobody asks anything while it is on its way."""
    day = settled("stl_0001", 19_600, now=now)
    look(now + HOUR)
    assert amounts([day]) == [("stl_0001", 19_600, 19_600, 0, "in_transit")]
    assert (open_questions(), entries()) == ([], [])

    [line] = bank_says(credit(19_600, "WALLET STL_0001 PAYOUT"), now=now + DAY)
    assert look(now + DAY) == 1

    assert amounts([day]) == [("stl_0001", 19_600, 19_600, 19_600, "arrived")]
    assert entries() == [("settled", "bank", "provider_receivable", 19_600)]
    assert (bank(), open_questions()) == (19_600, [])
    match = Match.objects.get()
    assert (match.rule, match.why["from"]) == ("settlement_id", "bank")
    line.refresh_from_db()
    assert (line.match, line.outcome, line.look_at) == (match, "matched", None)
    assert look(now + 2 * DAY) == 0
    assert_books_hold()


def test_a_credit_without_a_word_is_matched_by_an_amount_that_is_alone(now: datetime) -> None:
    day = settled("stl_0001", 19_600, now=now)
    bank_says(credit(19_600), now=now + DAY)
    look(now + DAY)
    assert amounts([day])[0][3:] == (19_600, "arrived")
    assert Match.objects.get().rule == "amount"
    assert_books_hold()


def test_two_settlements_of_one_amount_make_a_person_choose(now: datetime) -> None:
    """500 and 500 are in transit, 500 arrives: which of the two, nobody knows. It stands in suspense, asked about."""
    both = [settled("stl_0001", 500, now=now), settled("stl_0002", 500, now=now)]
    bank_says(credit(500), now=now + DAY)
    look(now + DAY)
    assert [row[3:] for row in amounts(both)] == [(0, "in_transit")] * 2
    assert entries() == [("credited", "bank", "suspense", 500)]
    assert open_questions() == [("unknown_credit", 500)]
    assert_books_hold()


def test_three_days_arrive_as_one_credit(now: datetime) -> None:
    """Friday 300, Saturday 450 and Sunday 250 come on Monday as 1,000."""
    days = [settled(f"stl_000{i}", amount, now=now + i * HOUR) for i, amount in enumerate((300, 450, 250))]
    settled("stl_0009", 77, now=now + 9 * HOUR)
    bank_says(credit(1_000), now=now + DAY)
    look(now + DAY)
    assert [row[3:] for row in amounts(days)] == [(300, "arrived"), (450, "arrived"), (250, "arrived")]
    assert sorted(entries()) == [("settled", "bank", "provider_receivable", amount) for amount in (250, 300, 450)]
    assert Match.objects.get().rule == "sum"
    assert_books_hold()


def test_one_settlement_arrives_in_two_credits(now: datetime) -> None:
    """Of 1,000 the bank gets 600, and 400 the next day. In between 400 are asked about; then the question is over."""
    day = settled("stl_0001", 1_000, now=now)
    bank_says(credit(600, "stl_0001"), now=now + DAY)
    look(now + DAY)
    assert amounts([day])[0][3:] == (600, "differs")
    assert open_questions() == [("settlement_differs", 400)]
    assert Discrepancy.objects.get().details["between"] == "provider and bank"

    bank_says(credit(400, "stl_0001"), now=now + 2 * DAY)
    look(now + 2 * DAY)
    assert amounts([day])[0][3:] == (1_000, "arrived")
    question = Discrepancy.objects.get()
    assert (question.state, question.resolution) == ("resolved", "By itself: the sides agree again.")
    assert bank() == 1_000
    assert_books_hold()


def test_what_arrives_before_it_was_told_waits_in_suspense(now: datetime) -> None:
    """The bank's file comes first: 800 that nobody announced. The wallet's file explains them an hour later."""
    bank_says(credit(800, "stl_0001"), now=now)
    look(now)
    assert (bank(), total("suspense")) == (800, 800)
    assert open_questions() == [("unknown_credit", 800)]

    settled("stl_0001", 800, now=now + HOUR)
    assert look(now + HOUR) == 1
    assert entries() == [("credited", "bank", "suspense", 800), ("settled", "suspense", "provider_receivable", 800)]
    assert (bank(), total("suspense"), open_questions()) == (800, 0, [])
    assert "matched" in Discrepancy.objects.get().resolution
    assert_books_hold()


def test_undone_matches_leave_every_balance_as_it_was(now: datetime, wei: User) -> None:
    """It was in suspense, was matched, and the match is taken apart: 800 in suspense again, asked about again."""
    bank_says(credit(800, "stl_0001"), now=now)
    look(now)
    day = settled("stl_0001", 800, now=now + HOUR)
    look(now + HOUR)
    undo(Match.objects.get(rule="settlement_id"), operator=wei, now=now + 2 * HOUR)
    assert (bank(), total("suspense"), owed()) == (800, 800, 0)

    assert look(now + 3 * HOUR) == 1  # And what a person took apart is not put together again by itself.
    assert (bank(), total("suspense"), owed()) == (800, 800, 0)
    assert amounts([day])[0][3:] == (0, "in_transit")
    assert open_questions() == [("unknown_credit", 800)]
    assert StatementLine.objects.get(provider_account=None).match == Match.objects.get(rule="none")
    assert_books_hold()


def test_money_that_leaves_and_was_not_sent_by_us(now: datetime) -> None:
    """The bank took 25 for itself: suspense owes them, and somebody has to say what it was."""
    bank_says(credit(-25, "ACCOUNT FEE"), now=now)
    look(now)
    assert entries() == [("credited", "suspense", "bank", 25)]
    assert open_questions() == [("unknown_debit", 25)]
    assert_books_hold()


def test_a_settlement_that_does_not_come_is_asked_about_once(now: datetime) -> None:
    day = settled("stl_0001", 900, now=now)
    assert look(now + 4 * DAY) == 1
    assert look(now + 5 * DAY) == 0
    assert amounts([day])[0][3:] == (0, "overdue")
    assert open_questions() == [("settlement_overdue", 900)]

    bank_says(credit(900), now=now + 5 * DAY)
    look(now + 5 * DAY)
    assert amounts([day])[0][3:] == (900, "arrived")
    assert open_questions() == []
    assert Discrepancy.objects.get().resolution == "By itself: it has arrived."
    assert_books_hold()


def test_lines_that_make_another_sum_than_the_provider_tells(now: datetime) -> None:
    """The lines make 1,000, it tells 970, and 970 arrive: the bank agrees with what it tells, the lines do not."""
    day = settled("stl_0001", 1_000, told=970, now=now)
    assert open_questions() == [("settlement_differs", 30)]
    assert Discrepancy.objects.get().details["between"] == "lines and told"
    bank_says(credit(970, "stl_0001"), now=now + DAY)
    look(now + DAY)
    assert amounts([day]) == [("stl_0001", 1_000, 970, 970, "arrived")]
    assert open_questions() == [("settlement_differs", 30)]
    assert_books_hold()


def test_a_provider_that_takes_back(now: datetime) -> None:
    """More went back than came in: the settlement is −150, and the bank is debited."""
    day = settled("stl_0001", -150, now=now)
    bank_says(credit(-150, "stl_0001"), now=now + DAY)
    look(now + DAY)
    assert amounts([day])[0][3:] == (-150, "arrived")
    assert entries() == [("settled", "provider_receivable", "bank", 150)]
    assert_books_hold()
