"""Lines of our bank about payouts: known however it writes the reference, left alone when they are not ours."""

from __future__ import annotations

import pytest

from merchants import ids
from payments.models import Discrepancy, Match, Payout, Statement, StatementLine
from payments.payouts import bank_lines
from tests.cast import Person
from tests.payday import earn, monday, operator, our_bank, proved, released, terms
from tests.till import assert_books_hold, platform

NOON = monday(12, days=1)


@pytest.fixture
def payout(mei: Person) -> Payout:
    platform()
    terms()
    our_bank()
    proved(mei, now=monday(9))
    earn(mei, 200, at=monday(12))
    return released(monday(1, days=1))


def line(reference: str, amount: int = -200, currency: str = "CNY") -> StatementLine:
    statement = Statement.objects.first() or Statement.objects.create(
        bank_account=our_bank() if not Payout.objects.exists() else Payout.objects.get().batch.bank_account,  # type: ignore[union-attr]
        format="csv", state="imported", fetched=False, uploaded_by=operator(), sha256="0" * 64, created_at=NOON,
    )  # fmt: skip
    return StatementLine.objects.create(
        statement=statement, number=statement.lines.count() + 1, raw={}, kind="debit", reference=reference,
        amount=amount, currency=currency, look_at=NOON,
    )  # fmt: skip


@pytest.mark.parametrize("written", ["{0}_{1}", "{0}-{1}", "{0}{1}", "{0} {1}", "{0}.{1}"])
@pytest.mark.parametrize("upper", [False, True])
def test_a_reference_is_known_however_the_bank_writes_it(payout: Payout, written: str, upper: bool) -> None:
    reference = written.format(*payout.reference.split("_"))
    row = line(reference.upper() if upper else reference)
    assert bank_lines.look(now=NOON, limit=10) == 1
    row.refresh_from_db()
    payout.refresh_from_db()
    assert (row.outcome, row.look_at, row.looks, payout.state) == ("matched", None, 1, "paid")
    match = Match.objects.get()
    assert (match.rule, match.payout_id, match.why["paid"]["amount"]) == ("reference", payout.id, -200)
    assert_books_hold()


@pytest.mark.parametrize(
    "reference", ["", "pyo_", "pyongyang trip", "pay_01m9707hm0e00aq3hygq5dfgm1", "pyo_u" + "0" * 25]
)
def test_what_is_no_reference_of_a_payout_is_left_to_others(payout: Payout, reference: str) -> None:
    row = line(reference)
    assert bank_lines.look(now=NOON, limit=10) == 0
    row.refresh_from_db()
    assert (row.outcome, row.look_at) == ("", NOON)


def test_a_payout_that_nobody_knows_is_a_question(payout: Payout) -> None:
    row = line(ids.public("pyo", ids.new(NOON)))
    assert bank_lines.look(now=NOON, limit=10) == 1
    row.refresh_from_db()
    question = Discrepancy.objects.get()
    assert (row.outcome, question.reason, question.payout, question.line) == (
        "missing_in_books", "unknown_debit", None, row,
    )  # fmt: skip


def test_another_currency_confirms_nothing(payout: Payout) -> None:
    row = line(payout.reference, currency="USD")
    bank_lines.look(now=NOON, limit=10)
    row.refresh_from_db()
    payout.refresh_from_db()
    assert (row.outcome, payout.state, Discrepancy.objects.get().reason) == (
        "currency_differs",
        "sent",
        "unknown_debit",
    )


def test_a_second_debit_is_a_question_and_moves_nothing(payout: Payout) -> None:
    line(payout.reference)
    again = line(payout.reference)
    assert bank_lines.look(now=NOON, limit=10) == 2
    again.refresh_from_db()
    assert (again.outcome, again.match, Discrepancy.objects.get().reason) == ("duplicate", None, "unknown_debit")
    assert_books_hold()


def test_a_line_that_is_not_due_waits_and_one_that_was_looked_at_is_done(payout: Payout) -> None:
    line(payout.reference)
    assert bank_lines.look(now=monday(11, days=1), limit=10) == 0
    assert bank_lines.look(now=NOON, limit=10) == 1
    assert bank_lines.look(now=NOON, limit=10) == 0


def test_a_match_that_was_undone_is_made_again_and_moves_nothing_twice(payout: Payout) -> None:
    row = line(payout.reference)
    bank_lines.look(now=NOON, limit=10)
    Match.objects.update(undone_at=NOON, undone_reason="a mistake")
    StatementLine.objects.update(match=None, look_at=NOON, outcome="")
    assert bank_lines.look(now=NOON, limit=10) == 1
    row.refresh_from_db()
    assert (row.outcome, Match.objects.filter(undone_at=None).get()) == ("matched", row.match)
    assert_books_hold()
