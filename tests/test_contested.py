"""What each word on a dispute means, decided without a database: in any order, of one moment, beyond the payment."""

from __future__ import annotations

from dataclasses import replace
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


@pytest.mark.parametrize("words", list(permutations(["closed", "won", "lost"])))
def test_of_several_ends_of_one_moment_the_loss_counts(words: tuple[str, ...]) -> None:
    found, book = heard([word(step) for step in words])
    assert ([dispute.state for dispute in found.disputes.values()], gone(book)) == (["lost"], 100)


def test_an_end_counts_though_the_last_word_before_it_is_dated_later() -> None:
    found, book = heard([word("opened", seconds=5), word("won")])
    assert ([dispute.state for dispute in found.disputes.values()], held(book)) == (["won"], 0)


def test_what_is_held_is_drawn_from_the_pending_as_far_as_it_goes_and_returns_there() -> None:
    found, _ = heard([word("opened", 200)])
    assert [dispute.pending_amount for dispute in found.disputes.values()] == [200]
    less = decide(word("opened", 60, seconds=1), found)
    assert moves(less) == [("dispute_released", "disputes_held", "shop_pending", 140)]
    assert less.dispute is not None
    assert less.dispute.pending_amount == 60
    found, _ = heard([word("won")])
    assert [dispute.pending_amount for dispute in found.disputes.values()] == [0]
    found, _ = heard([word("opened", 150), word("opened", 190, seconds=1)])
    assert [dispute.pending_amount for dispute in found.disputes.values()] == [190]
    assert moves(decide(word("opened", 201, seconds=2), found)) == [
        ("dispute_held", "shop_available", "disputes_held", 11)
    ]


@pytest.mark.parametrize("due", [False, True])
def test_a_smaller_loss_leaves_the_rest_where_it_was_drawn_unless_that_is_due(due: bool) -> None:
    found, _ = heard([word("opened")])
    if due:
        [(key, money)] = found.payments.items()
        found.payments[key] = replace(money, due_at=None)
    side = "shop_available" if due else "shop_pending"
    assert moves(decide(word("lost", 60, seconds=1), found)) == [
        ("dispute_lost", "disputes_held", "provider_receivable", 60),
        ("dispute_released", "disputes_held", side, 40),
    ]


def test_the_date_for_the_evidence_stays_until_another_is_told_and_ends_with_the_dispute() -> None:
    due = NOON + timedelta(days=9)
    found, _ = heard([replace(word("opened"), evidence_due_at=due), word("opened", 120, seconds=1)])
    assert [dispute.evidence_due_at for dispute in found.disputes.values()] == [due]
    found.absorb(decide(word("lost", seconds=2), found))
    assert [dispute.evidence_due_at for dispute in found.disputes.values()] == [None]
