"""What each word on a dispute means, decided without a database: in any order, of one moment, beyond the payment."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from payments import chart
from payments.known import Known, PaymentFacts, pending_left
from payments.providers.base import Event
from tests.test_meaning import NOON, decide, known, moves, payment


def word(step: str, amount: int = 100, *, seconds: int = 0, object_id: str = "wdp_1") -> Event:
    return Event(
        f"dispute.{step}",  # type: ignore[arg-type]
        object_id,
        amount,
        "CNY",
        NOON + timedelta(seconds=seconds),
        parent_object_id="wpy_1",
    )


def heard(words: list[Event], *facts: PaymentFacts) -> tuple[Known, dict[str, chart.Movement]]:
    """The facts after these words, and what the book keeps of their movements: each key once."""
    found = known(*(facts or (payment(),)))
    book: dict[str, chart.Movement] = {}
    for told in words:
        decision = decide(told, found)
        found.absorb(decision)
        for movement in decision.movements:
            book.setdefault(movement.key, movement)
    return found, book


def held(book: dict[str, chart.Movement]) -> int:
    into = sum(m.amount for m in book.values() if m.credit.kind == "disputes_held")
    return into - sum(m.amount for m in book.values() if m.debit.kind == "disputes_held")


def gone(book: dict[str, chart.Movement]) -> int:
    out = sum(m.amount for m in book.values() if m.credit.kind == "provider_receivable")
    return out - sum(m.amount for m in book.values() if m.debit.kind == "provider_receivable")


@pytest.mark.parametrize(
    ("words", "state", "amount"),
    [
        ([word("opened"), word("opened", 150, seconds=1), word("opened", seconds=2)], "open", 100),
        ([word("opened"), word("won", seconds=1), word("lost", seconds=2), word("won", seconds=3)], "won", None),
        ([word("lost"), word("won", seconds=1), word("lost", seconds=2)], "lost", 100),
        ([word("lost"), word("lost", 60, seconds=1), word("lost", seconds=2)], "lost", 100),
        ([word("opened"), word("opened", 130), word("opened", 190)], "open", 190),
        ([word("lost"), word("lost", 130), word("lost", 190)], "lost", 190),
    ],
)
def test_words_in_any_order_end_the_same_and_the_book_holds_what_the_dispute_says(
    words: list[Event], state: str, amount: int | None
) -> None:
    for order in [*permutations(words), *((*order, *order) for order in permutations(words))]:
        found, book = heard(list(order))
        [dispute] = found.disputes.values()
        assert dispute.state == state
        assert amount in (None, dispute.amount)
        assert held(book) == (dispute.amount if state == "open" else 0)
        assert gone(book) == (dispute.amount if state == "lost" else 0)


def test_words_that_say_nothing_new_are_told_to_nobody() -> None:
    for step in ("opened", "won", "lost", "closed"):
        found, _ = heard([word(step)])
        again = decide(word(step, seconds=9), found)
        assert (again.movements, again.tellings, again.questions) == ((), (), ())


def test_what_is_contested_or_lost_beyond_the_payment_is_asked_about_whichever_word_says_so() -> None:
    for words in (
        [word("opened"), word("opened", 230, seconds=1)],
        [word("opened"), word("lost", 230, seconds=1)],
        [word("won"), word("lost", 230, seconds=1)],
    ):
        found, _ = heard(words[:1])
        questions = decide(words[1], found).questions
        assert [(question.reason, question.amount) for question in questions] == [("dispute_excess", 30)]
    found, _ = heard([word("opened", 150), word("lost", 50, object_id="wdp_2")])
    assert decide(word("lost", 150, seconds=1), found).questions == ()


def test_a_refund_of_what_was_lost_already_is_asked_about() -> None:
    found, _ = heard([word("lost", 150)])
    told = Event("refund.succeeded", "wrf_1", 80, "CNY", NOON, parent_object_id="wpy_1")
    decision = decide(told, found)
    assert moves(decision) == [("refund_reported", "shop_available", "provider_receivable", 80)]
    assert [(question.reason, question.amount) for question in decision.questions] == [("refund_excess", 30)]


@pytest.mark.parametrize("then", [[word("won", seconds=1), word("lost", 30, seconds=2)], [word("lost", 60, seconds=1)]])
def test_what_was_drawn_from_the_pending_and_came_back_as_available_is_not_pending_again(then: list[Event]) -> None:
    found, book = heard([word("lost"), *then])
    pending = sum(m.amount for m in book.values() if m.credit.kind == "shop_pending")
    pending -= sum(m.amount for m in book.values() if m.debit.kind == "shop_pending")
    [money] = found.payments.values()
    assert (pending, pending_left(money, found)) == (-100, 100)


@pytest.mark.parametrize("end", ["won", "lost", "closed"])
def test_a_late_word_that_it_was_opened_holds_nothing_once_its_end_is_known(end: str) -> None:
    found, _ = heard([word(end)])
    late = decide(word("opened", seconds=9), found)
    assert (late.outcome, late.movements, late.tellings) == ("ignored", (), ())
