"""Two files of one account at the same moment: the same bytes are one statement, and a day has one file that holds."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest

from merchants.models import User
from payments.models import ProviderAccount, Statement, StatementLine
from tests.races.together import slow_after, together
from tests.settlement_files import taken, wallet_file
from tests.till import platform

pytestmark = pytest.mark.usefixtures("real_db")

APPLES, PEARS = ("payment", "wpy_1", "int_1", 300, 2), ("payment", "wpy_2", "int_2", 75, 0)


@pytest.fixture
def account(real_db: None) -> ProviderAccount:
    return platform()


def bring(account: ProviderAccount, *contents: bytes) -> list[object]:
    """Every file by a person of her own, at the same moment."""
    wei = User.objects.get_or_create(phone="+8613700137000")[0]

    def one(content: bytes) -> Callable[[], object]:
        return lambda: taken(account, content, fetched=False, uploaded_by=wei)

    return together([one(content) for content in contents])


def states() -> list[str]:
    return sorted(Statement.objects.values_list("state", flat=True))


def without_turns() -> object:
    return mock.patch("payments.settlement.files._take_turn", lambda source: None)


def test_without_turns_two_files_of_a_day_would_both_hold(account: ProviderAccount) -> None:
    with without_turns(), slow_after("payments.settlement.files._older", callers=2):  # type: ignore[attr-defined]
        bring(account, wallet_file(APPLES), wallet_file(PEARS))
    assert states() == ["imported", "imported"]


def test_with_them_the_second_replaces_the_first(account: ProviderAccount) -> None:
    with slow_after("payments.settlement.files._older", callers=2):
        answers = bring(account, wallet_file(APPLES), wallet_file(PEARS))
    assert [type(answer) for answer in answers] == [Statement, Statement]
    assert states() == ["imported", "replaced"]


@pytest.mark.parametrize("turns", [True, False])
def test_the_same_bytes_at_once_are_one_statement_and_the_database_holds_that_as_well(
    account: ProviderAccount, turns: bool
) -> None:
    with slow_after("payments.settlement.files._same_bytes", callers=3):
        if turns:
            answers = bring(account, *[wallet_file(APPLES)] * 3)
        else:
            with without_turns(), mock.patch("payments.settlement.files._older", lambda brought: None):  # type: ignore[attr-defined]
                answers = bring(account, *[wallet_file(APPLES)] * 3)
    assert len({str(answer) for answer in answers}) == 1, answers
    assert (states(), StatementLine.objects.count()) == (["imported"], 2)
