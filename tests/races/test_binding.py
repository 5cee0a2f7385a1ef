"""One blank and several vendors at the same moment, and a batch that ends while one of it is bound."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from django.db import IntegrityError
from django.utils import timezone

from merchants import batches
from merchants.models import BlankCode, Code, CodeBatch, OperatorAct, User
from merchants.refusals import Refused
from tests.cast import Person
from tests.races.together import slow_after, together, without_row_locks

pytestmark = pytest.mark.usefixtures("real_db")

LOOK = "merchants.batches._in_hand"


@pytest.fixture
def wei(real_db: None) -> User:
    return User.objects.create_user("+8613700137000")


@pytest.fixture
def batch(wei: User, now: datetime) -> CodeBatch:
    return batches.make(label="Market", size=1, operator=wei, reason="", now=now)


def binding(batch: CodeBatch, person: Person) -> Callable[[], str]:
    slug = batch.blanks.get().slug

    def call() -> str:
        try:
            batches.bind(slug=slug, shop=person.shop, by=person.staff, kind="shop", now=timezone.now())
        except Refused as refusal:
            return refusal.code
        return "bound"

    return call


def voiding(batch: CodeBatch, wei: User) -> Callable[[], int]:
    return lambda: batches.void(batch_id=batch.id, operator=wei, reason="lost", now=timezone.now())


def assert_bound_once(batch: CodeBatch) -> None:
    blank = BlankCode.objects.get()
    code = Code.objects.get(slug=blank.slug)
    assert blank.code == code
    assert blank.bound_by is not None
    assert blank.bound_by.shop == code.shop


def test_without_the_lock_both_would_take_it_and_only_the_unique_slug_says_no(
    batch: CodeBatch, mei: Person, arjun: Person
) -> None:
    with without_row_locks(), slow_after(LOOK, callers=2):
        answers = together([binding(batch, mei), binding(batch, arjun)])
    assert {type(answer) for answer in answers} == {str, IntegrityError}
    assert_bound_once(batch)


def test_with_it_one_of_two_shops_has_it_and_the_other_is_told(batch: CodeBatch, mei: Person, arjun: Person) -> None:
    with slow_after(LOOK, callers=2):
        answers = together([binding(batch, mei), binding(batch, arjun)])
    assert sorted(answers) == ["already_bound", "bound"]
    assert_bound_once(batch)
    winner = (mei, arjun)[answers.index("bound")]
    assert Code.objects.get(slug=BlankCode.objects.get().slug).shop == winner.shop
    assert Code.objects.count() == 3


def test_eight_taps_of_one_vendor_bind_once(batch: CodeBatch, mei: Person) -> None:
    answers = together([binding(batch, mei)] * 8)
    assert sorted(answers) == ["already_bound"] * 7 + ["bound"]
    assert_bound_once(batch)


def test_without_the_lock_a_batch_that_ends_would_count_a_blank_that_is_bound(
    batch: CodeBatch, mei: Person, wei: User
) -> None:
    with without_row_locks(), slow_after(LOOK, callers=2), slow_after("merchants.batches._record", callers=2):
        bound, voided = together([binding(batch, mei), voiding(batch, wei)])
    assert (bound, voided) == ("bound", 1)
    assert OperatorAct.objects.get(act="void").after == {"voided": True, "blank": 1, "bound": 0}
    assert BlankCode.objects.get().code is not None


def test_with_it_the_batch_counts_what_is_so(batch: CodeBatch, mei: Person, wei: User) -> None:
    with slow_after(LOOK, callers=2), slow_after("merchants.batches._record", callers=2):
        bound, voided = together([binding(batch, mei), voiding(batch, wei)])
    assert (bound, voided) in {("bound", 0), ("batch_voided", 1)}
    blank = OperatorAct.objects.get(act="void").after["blank"]
    assert (blank, BlankCode.objects.filter(code=None).count()) == (voided, voided)
