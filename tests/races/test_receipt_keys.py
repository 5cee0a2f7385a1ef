"""Two processes that need a key at the same moment make one: never do two keys sign at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest
from django.utils import timezone

from merchants.audit import UnableToAct
from payments import receipt_keys
from payments.models import ReceiptKey
from tests.operators import add_operator, quick_passwords  # noqa: F401
from tests.races.together import slow_after, together

pytestmark = pytest.mark.usefixtures("real_db")


def number_signing(moment: datetime) -> int:
    return receipt_keys.signing(now=moment).number


def one_signs(moment: datetime) -> None:
    keys = ReceiptKey.objects.filter(withdrawn_at=None, signs_from__lte=moment, signs_until__gt=moment)
    assert keys.count() == 1


def test_without_the_lock_the_others_break_on_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt_keys, "_alone", lambda: None)
    now = timezone.now()
    with slow_after("payments.receipt_keys._gaps", callers=4):
        answers = together([partial(number_signing, now)] * 4)
    assert sorted(type(answer).__name__ for answer in answers) == ["IntegrityError"] * 3 + ["int"]
    one_signs(now)


def test_with_it_everybody_signs_with_the_same_key() -> None:
    now = timezone.now()
    clocks = [now - timedelta(milliseconds=300 * place) for place in range(4)]
    answers = together([partial(number_signing, clock) for clock in clocks])
    assert answers == [1, 1, 1, 1]
    assert ReceiptKey.objects.count() == 1
    one_signs(now)


def test_a_key_that_two_operators_withdraw_at_once_is_withdrawn_once_and_replaced_once() -> None:
    operator, now = add_operator().user, timezone.now()
    receipt_keys.signing(now=now)

    def withdraw() -> int:
        return receipt_keys.withdraw(number=1, reason="a leak", operator=operator, now=now).number

    answers = together([withdraw, withdraw, partial(number_signing, now), partial(number_signing, now)])
    assert sorted(type(answer).__name__ for answer in answers[:2]) == ["UnableToAct", "int"]
    assert [answer.code for answer in answers if isinstance(answer, UnableToAct)] == ["key_withdrawn"]
    assert set(answers[2:]) <= {1, 2}
    assert [key.number for key in ReceiptKey.objects.filter(withdrawn_at=None)] == [2]
    one_signs(now)
