"""A line that our book does not know is booked as its statement has it: by one operator, above a limit by two."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants.audit import UnableToAct
from merchants.models import User
from payments import remedies
from payments.models import Adjustment, Discrepancy, Match, Payment, StatementLine, WebhookEvent
from tests.cast import Person
from tests.evening import balances, look, outcomes, stated, told
from tests.operators import CHIEF_PHONE, OPERATOR_PHONE
from tests.till import assert_books_hold, drain, platform, total

pytestmark = pytest.mark.django_db
REMEDY = "book_from_statement"


@pytest.fixture
def wei(db: None) -> User:
    return User.objects.create_user(OPERATOR_PHONE, is_staff=True)


@pytest.fixture
def chen(db: None) -> User:
    return User.objects.create_user(CHIEF_PHONE, is_staff=True)


def missing(mei: Person, **columns: object) -> Discrepancy:
    """A line of a file that a person brought, of which our book knows nothing after the last look."""
    platform()
    stated(told(reference="", amount=77, **columns), fetched=False, operator=mei.user)
    for hours in (0, 1, 2, 4):
        look(timedelta(hours=hours))
    return Discrepancy.objects.get(reason="missing_in_books")


def propose(question: Discrepancy, operator: User) -> Adjustment:
    return remedies.propose(
        discrepancy_id=question.id, remedy=REMEDY, note="seen at its desk", operator=operator, now=timezone.now()
    )


def test_it_is_booked_by_way_of_the_inbox_and_then_matched(mei: Person, wei: User) -> None:
    question = missing(mei, object_id="wpy_lost")
    assert REMEDY in [remedy.name for remedy, _most in remedies.possible(question)]
    adjustment = propose(question, wei)
    assert (adjustment.state, adjustment.amount, adjustment.four_eyes) == ("posted", 77, False)
    assert WebhookEvent.objects.get().authority == "file"
    drain()
    assert (Payment.objects.get().object_id, total("suspense")) == ("wpy_lost", 77)
    look(timedelta(hours=5))
    assert (outcomes(list(StatementLine.objects.all())), Match.objects.count()) == (["matched"], 1)
    question.refresh_from_db()
    assert (question.state, question.resolution) == ("resolved", "Book it from the statement: seen at its desk")
    assert_books_hold()


def test_above_the_limit_nothing_is_booked_before_a_second_operator_agrees(
    mei: Person, wei: User, chen: User, settings: LazySettings
) -> None:
    settings.FOUR_EYES_ABOVE = {"CNY": 76}
    question, before = missing(mei, object_id="wpy_lost"), balances()
    adjustment = propose(question, wei)
    assert (adjustment.state, WebhookEvent.objects.count(), balances()) == ("proposed", 0, before)
    with pytest.raises(UnableToAct) as refusal:
        remedies.agree(adjustment_id=adjustment.id, operator=wei, note="", now=timezone.now())
    assert (refusal.value.code, WebhookEvent.objects.count()) == ("same_operator", 0)
    remedies.agree(adjustment_id=adjustment.id, operator=chen, note="I saw it too", now=timezone.now())
    drain()
    assert total("suspense") == 77
    assert_books_hold()


def test_a_line_that_says_too_little_is_not_booked(mei: Person, wei: User) -> None:
    question = missing(mei, object_id="")
    assert REMEDY not in [remedy.name for remedy, _most in remedies.possible(question)]
    with pytest.raises(UnableToAct) as refusal:
        propose(question, wei)
    assert (refusal.value.code, Adjustment.objects.count()) == ("says_too_little", 0)
