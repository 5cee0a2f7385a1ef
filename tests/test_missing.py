"""What no statement confirms: looked for once its day is final, asked about once, and answered by a later file."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.utils import timezone

from payments import refunds
from payments.models import Discrepancy, Payment, Refund, Statement
from payments.settlement import matching, missing
from tests.cast import Person
from tests.evening import outcomes, questions, sale, stated, told
from tests.till import assert_books_hold, disputed, drain, refund_told

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 2)
NOON = datetime.combine(DAY, time(12), tzinfo=UTC)
FINAL = NOON + timedelta(days=9)


def days(*numbers: int, with_lines: dict[int, list[Payment | Refund]] | None = None) -> None:
    """Statements of the days after DAY (0: DAY itself), looked at as soon as they are in."""
    for number in numbers:
        stated(*map(told, (with_lines or {}).get(number, [])), day=DAY + timedelta(days=number))
    matching.look(now=timezone.now() + timedelta(minutes=1))


def seek(at: datetime = FINAL) -> int:
    return missing.find_missing(now=at, limit=100)


def test_a_payment_that_no_statement_confirms_is_asked_about_once(mei: Person) -> None:
    there, gone = sale(mei, at=NOON), sale(mei, 300, at=NOON)
    days(0, 1, 2, with_lines={0: [there]})
    assert seek() == 1
    assert questions() == [("missing_at_provider", 300)]
    question = Discrepancy.objects.get()
    assert (question.payment, question.shop, question.key) == (
        gone, mei.shop, f"missing_at_provider|payment|{gone.id.hex}",
    )  # fmt: skip
    assert len(question.details["statements"]) == 3
    assert seek() == 0
    assert Discrepancy.objects.count() == 1


def test_before_its_time_it_is_only_in_transit(mei: Person) -> None:
    sale(mei, at=NOON)
    days(0, 1, 2)
    assert seek(NOON + timedelta(days=1, hours=12)) == 0
    assert questions() == []


def test_without_the_statements_that_may_still_have_it_nothing_is_missing(mei: Person) -> None:
    sale(mei, at=NOON)
    days(0, 2)
    assert seek() == 0
    days(1)
    assert seek() == 1
    assert questions() == [("missing_at_provider", 200)]


def test_lines_that_nobody_has_looked_at_yet_may_still_confirm_it(mei: Person) -> None:
    payment = sale(mei, at=NOON)
    days(0, 1)
    stated(told(payment), day=DAY + timedelta(days=2))
    assert (seek(), questions()) == (0, [])
    assert not Statement.objects.exclude(sought_at=None).exists()
    matching.look(now=timezone.now() + timedelta(minutes=1))
    assert (seek(), questions()) == (1, [])


def test_a_payment_of_the_days_edge_is_in_the_next_days_file(mei: Person) -> None:
    edge = sale(mei, at=datetime.combine(DAY, time(23, 59, 59), tzinfo=UTC))
    days(0, 1, 2, with_lines={1: [edge]})
    assert (seek(), questions()) == (1, [])


def test_a_later_file_answers_the_question(mei: Person) -> None:
    late = sale(mei, at=NOON)
    days(0, 1, 2)
    seek()
    lines = stated(told(late), day=DAY + timedelta(days=5))
    matching.look(now=timezone.now() + timedelta(minutes=1))
    assert (outcomes(lines), questions()) == (["matched"], [])
    question = Discrepancy.objects.get()
    assert (question.state, question.owner) == ("resolved", None)
    assert question.resolution.startswith("Answered by itself: stm_")
    assert_books_hold()


def test_refunds_and_lost_disputes_are_looked_for_too(mei: Person) -> None:
    payment = sale(mei, 1000, at=NOON)
    asked = refunds.request(staff=mei.staff, payment=payment, amount=50, reason="", now=timezone.now())
    refund_told(payment, "succeeded", refund=asked, at=NOON).deliver()
    disputed(payment, "lost", amount=70, at=NOON).deliver()
    drain()
    days(0, 1, 2, with_lines={0: [payment]})
    seek()
    assert questions() == [("missing_at_provider", 50), ("missing_at_provider", 70)]
    assert Discrepancy.objects.get(refund__isnull=False).refund == asked


def test_what_is_stated_in_another_currency_is_not_missing_as_well(mei: Person) -> None:
    payment = sale(mei, at=NOON)
    stated(told(payment, currency="USD"), day=DAY)
    days(1, 2)
    seek()
    assert questions() == [("currency_differs", 200)]


def test_a_day_with_more_than_it_may_ask_goes_on_the_next_time(mei: Person) -> None:
    for _ in range(5):
        sale(mei, at=NOON)
    days(0, 1, 2)
    asked = [missing.find_missing(now=FINAL, limit=2) and len(questions()) for _ in range(4)]
    assert asked == [2, 4, 5, 0]
