"""Two operators who add versions of one contract at the same moment add them one after the other."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from unittest import mock

import pytest
from django.db import IntegrityError
from django.utils import timezone

from merchants.models import OperatorAct, User
from payments import fee_desk
from payments.models import FeeContract
from tests.races.together import slow_after, together
from tests.till import agree

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
