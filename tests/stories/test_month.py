"""A month in small: 2,000 payments, nine kinds of planted faults, all found by name; then resolved, and undone."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bench import planted, wallet
from merchants.models import User
from tests.till import assert_books_hold

pytestmark = pytest.mark.usefixtures("real_db")


def test_every_planted_fault_is_found_by_its_name_and_nothing_else_is() -> None:
    operator = User.objects.create_user("+8613700137000")
    planted.contract(operator)
    month = planted.Month(2000)
    month.seed()
    month.play()

    assert {name: len(there) for name, there in month.planted().items()} == {
        **dict.fromkeys(wallet.FAULTS, 20),
        "short settlement": len(month.short),
    }
    assert len(month.short) > 0
    assert month.found() == month.planted()
    assert month.falsely_matched() == 0
    assert month.questions_beside() == {}
    assert_books_hold()

    month.resolve(operator, timezone.now())
    assert planted.suspense() == {"CNY": 0, "USD": 0}

    assert month.undo_everything(operator, timezone.now()) > 2000
    assert planted.moved_by_matches() == 0
    assert_books_hold()
