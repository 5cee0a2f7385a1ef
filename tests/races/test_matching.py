"""Workers that look at statements at the same moment take each line once, and each payment once."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from merchants.audit import UnableToAct
from merchants.models import OperatorAct
from payments.models import LedgerEntry, Match, StatementLine
from payments.settlement import candidates, matching, undoing
from tests.cast import MEI_PHONE, open_shop
from tests.evening import balances, questions, sale, stated, told
from tests.races.together import slow_after, together, without_row_locks
from tests.till import assert_books_hold

pytestmark = pytest.mark.usefixtures("real_db")
LINES = 12
DUE = "payments.settlement.matching._due"
# For the tests of what is behind it: everybody has the turn.
EVERYBODY = "SELECT %s IS NOT NULL"


def look_together(*, limit: int | None = None) -> list[Any]:
    now = timezone.now()
    return together([lambda: matching.look(now=now, limit=limit)] * 2)


def many_lines() -> None:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    stated(*[told(sale(mei), fee=1) for _ in range(LINES)])


def test_without_the_turn_two_workers_choose_the_same_lines() -> None:
    many_lines()
    with mock.patch.object(matching, "_TURN_SQL", EVERYBODY), slow_after(DUE, callers=2):
        answers = look_together()
    assert sum(answers) > LINES
    # The lines' own locks are behind it: who came second found them judged.
    assert (Match.objects.count(), {line.looks for line in StatementLine.objects.all()}) == (LINES, {1})


def test_with_it_the_second_goes_and_each_line_is_looked_at_once() -> None:
    many_lines()
    with slow_after(DUE, callers=2), slow_after("payments.settlement.judging.judge", callers=2):
        answers = look_together()
    assert sorted(answers) == [0, LINES]
    assert Match.objects.count() == LINES
    assert LedgerEntry.objects.filter(kind="provider_fee").count() == LINES
    assert_books_hold()


def one_payment_twice() -> list[Any]:
    """Two lines are about one payment, and each worker judges one of them."""
    payment = sale(open_shop(MEI_PHONE, "Mei's fruit"))
    stated(told(payment, fee=2), told(payment, fee=2))
    now = timezone.now()
    calls = [partial(matching._look_at, [line], now) for line in matching._due(2, now)]
    with (
        mock.patch.object(matching, "_TURN_SQL", EVERYBODY),
        slow_after("payments.settlement.judging.judge", callers=2),
    ):
        return together(calls)


def test_without_the_payments_lock_two_lines_claim_it_and_one_of_them_breaks() -> None:
    unlocked = candidates._PAYMENTS_SQL.replace("FOR NO KEY UPDATE OF payment", "")
    with mock.patch.object(candidates, "_PAYMENTS_SQL", unlocked):
        assert one_payment_twice() == [None, None]
    # The database kept the second claim out; what that line is, nobody could say.
    assert set(StatementLine.objects.values_list("outcome", flat=True)) == {"matched", ""}
    assert questions() == []


def test_with_it_the_second_line_is_known_to_be_a_duplicate() -> None:
    assert one_payment_twice() == [None, None]
    assert set(StatementLine.objects.values_list("outcome", flat=True)) == {"matched", "duplicate"}
    assert questions() == [("stated_twice", 200)]
    assert_books_hold()


def undo_together() -> tuple[dict[str, int], list[Any]]:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    payment = sale(mei)
    before = balances()
    stated(told(payment, fee=2))
    matching.look(now=timezone.now())
    match = Match.objects.get()

    def undo() -> None:
        undoing.undo(match_id=match.id, operator=mei.user, reason="wrong", now=timezone.now())

    return before, together([undo, undo])


def test_without_the_matchs_lock_two_operators_undo_it() -> None:
    with without_row_locks(), slow_after("payments.settlement.undoing._lock_settlements", callers=2):
        _before, answers = undo_together()
    assert answers == [None, None]
    assert OperatorAct.objects.filter(act="undo").count() == 2


def test_with_it_one_of_them_is_refused() -> None:
    before, answers = undo_together()
    refused = [answer.code for answer in answers if isinstance(answer, UnableToAct)]
    assert (refused, answers.count(None)) == (["undone_already"], 1)
    assert balances() == before
    assert OperatorAct.objects.filter(act="undo").count() == 1
    assert_books_hold()
