"""One code replaced by two people at the same moment, and one whose item is deleted meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from merchants import codes, items
from merchants.models import Code, Item
from merchants.refusals import Refused
from tests.cast import Person
from tests.races.together import slow_after, together, without_row_locks

pytestmark = pytest.mark.usefixtures("real_db")

LOOK = "merchants.codes._locked"


def replacing(code: Code, *, forward: bool) -> Callable[[], str]:
    def call() -> str:
        try:
            codes.replace(code=code, forward=forward, now=timezone.now())
        except Refused as refusal:
            return refusal.code
        return "replaced"

    return call


def deleting(item: Item) -> Callable[[], str]:
    def call() -> str:
        items.delete(item=item, now=timezone.now())
        return "deleted"

    return call


def usable() -> int:
    return Code.objects.filter(kind="item", state="active").count()


def test_without_locks_two_would_each_make_a_code_and_the_old_one_lead_to_one_of_them(
    mei: Person, apples: Item
) -> None:
    old = apples.codes.get()
    with without_row_locks(), slow_after(LOOK, callers=2):
        answers = together([replacing(old, forward=True), replacing(old, forward=False)])
    assert (answers, usable()) == (["replaced", "replaced"], 2)


def test_with_them_one_replaces_and_the_other_is_told(mei: Person, apples: Item) -> None:
    old = apples.codes.get()
    with slow_after(LOOK, callers=2):
        answers = together([replacing(old, forward=True), replacing(old, forward=False)])
    assert sorted(answers) == ["code_retired", "replaced"]
    old.refresh_from_db()
    assert (usable(), old.forwards) == (1, answers[0] == "replaced")
    assert old.replaced_by == Code.objects.get(kind="item", state="active")


def test_without_locks_an_item_that_goes_would_leave_a_code_behind(mei: Person, apples: Item) -> None:
    old = apples.codes.get()
    with without_row_locks(), slow_after(LOOK, callers=2), slow_after("merchants.codes.retire_for", callers=2):
        answers = together([replacing(old, forward=True), deleting(apples)])
    assert (answers, usable()) == (["replaced", "deleted"], 1)


def test_with_them_no_code_of_a_deleted_item_stays_in_use(mei: Person, apples: Item) -> None:
    old = apples.codes.get()
    with slow_after(LOOK, callers=2), slow_after("merchants.codes.retire_for", callers=2):
        first, second = together([replacing(old, forward=True), deleting(apples)])
    assert (first in {"replaced", "code_retired"}, second) == (True, "deleted")
    assert (usable(), Code.objects.filter(kind="item").exclude(state="retired").count()) == (0, 0)
