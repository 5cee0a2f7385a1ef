"""Workers that look at statements at the same moment take each line once, and each payment once."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from django.conf import LazySettings
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
# Between choosing due lines and moving them ahead there is time for another to choose the same.
SLOW_LEASE = matching._LEASE_SQL.replace("FROM chosen WHERE", "FROM chosen, pg_sleep(0.3) WHERE")


def look_together(*, limit: int | None = None) -> list[Any]:
    now = timezone.now()
    return together([lambda: matching.look(now=now, limit=limit)] * 2)


def many_lines() -> None:
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    stated(*[told(sale(mei), fee=1) for _ in range(LINES)])


def test_without_their_lock_lines_are_taken_by_two_workers() -> None:
    many_lines()
    unlocked = SLOW_LEASE.replace("FOR NO KEY UPDATE SKIP LOCKED", "")
    assert unlocked != SLOW_LEASE
    with mock.patch.object(matching, "_LEASE_SQL", unlocked):
        answers = look_together()
    assert sum(answers) > LINES


def test_with_it_each_line_is_taken_and_matched_once() -> None:
    many_lines()
    with mock.patch.object(matching, "_LEASE_SQL", SLOW_LEASE):
        answers = look_together()
    assert sum(answers) == LINES
    assert Match.objects.count() == LINES
    assert LedgerEntry.objects.filter(kind="provider_fee").count() == LINES
    assert_books_hold()


def one_payment_twice(settings: LazySettings) -> list[Any]:
    """Two lines are about one payment, and each worker takes one of them."""
    settings.LOOK_BATCH_MAX = 1
    payment = sale(open_shop(MEI_PHONE, "Mei's fruit"))
    stated(told(payment, fee=2), told(payment, fee=2))
    with slow_after("payments.settlement.judging.judge", callers=2):
        return look_together(limit=1)


def test_without_the_payments_lock_two_lines_claim_it_and_one_of_them_breaks(settings: LazySettings) -> None:
    unlocked = candidates._PAYMENTS_SQL.replace("FOR NO KEY UPDATE OF payment", "")
    with mock.patch.object(candidates, "_PAYMENTS_SQL", unlocked):
        assert one_payment_twice(settings) == [1, 1]
    # The database kept the second claim out; what that line is, nobody could say.
    assert set(StatementLine.objects.values_list("outcome", flat=True)) == {"matched", ""}
    assert questions() == []


def test_with_it_the_second_line_is_known_to_be_a_duplicate(settings: LazySettings) -> None:
    assert one_payment_twice(settings) == [1, 1]
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
