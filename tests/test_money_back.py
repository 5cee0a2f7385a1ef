"""Money back where the provider is hard to understand: totals for refunds, and refunds it first gave no name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from payments.known import Known, PaymentFacts, RefundFacts
from payments.models import Refund
from payments.providers.base import Event
from tests.test_meaning import NOON, decide, event, known, moves, payment, reference, refund


def total(of: PaymentFacts, amount: int, ours: RefundFacts | None = None) -> Event:
    """All that was ever refunded, and perhaps the name of the last one."""
    told = event(
        "refund.total", object_id=of.object_id, parent_object_id=of.object_id, amount=amount, refunded_total=amount
    )
    return replace(told, reference=reference(ours) if ours else "")


def word(kind: str, ours: RefundFacts | None, *, seconds: int = 0, object_id: str = "wrf_1") -> Event:
    return Event(
        kind,  # type: ignore[arg-type]
        object_id,
        50,
        "CNY",
        NOON + timedelta(seconds=seconds),
        reference=reference(ours) if ours else "",
        parent_object_id="wpy_1",
    )


def back(facts: Known) -> int:
    return sum(row.amount for row in facts.refunds.values() if row.state == Refund.State.SUCCEEDED)


def hear(told: Event, facts: Known) -> str:
    decision = decide(told, facts)
    facts.absorb(decision)
    return decision.outcome


# --- Totals ----------------------------------------------------------------------------------------------------------


def test_of_a_total_the_difference_to_what_is_booked_is_a_refund() -> None:
    money = payment()
    facts = known(money, refund(money, amount=30, state="succeeded", pending_amount=30, settled_at=NOON))
    decision = decide(total(money, 80), facts)
    assert moves(decision) == [("refund_reported", "shop_pending", "provider_receivable", 50)]
    assert decision.new_refund is not None
    assert (decision.new_refund.amount, decision.new_refund.object_id) == (50, "total:80")


def test_totals_in_any_order_and_any_number_book_the_largest() -> None:
    for order in permutations([30, 80, 200]):
        money = payment()
        facts = known(money)
        for amount in (*order, *order):
            hear(total(money, amount), facts)
        assert back(facts) == 200


def test_a_total_that_names_our_refund_confirms_it() -> None:
    money = payment()
    ours = refund(money)
    decision = decide(total(money, 50, ours), known(money, ours))
    assert moves(decision) == [("refund_confirmed", "refunds_in_flight", "provider_receivable", 50)]
    assert decision.refund is not None
    assert decision.refund.state == "succeeded"


def test_a_total_waits_while_a_refund_of_ours_may_be_what_it_tells_of() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    assert hear(total(money, 50), facts) == "parked"
    assert back(facts) == 0
    assert hear(word("refund.succeeded", ours), facts) == "applied"
    assert hear(total(money, 50), facts) == "ignored"
    assert back(facts) == 50


def test_a_total_does_not_wait_for_a_refund_that_is_held_for_an_operator() -> None:
    money = payment()
    ours = replace(refund(money), review="waiting")
    facts = known(money, ours)
    assert hear(total(money, 50), facts) == "applied"
    assert (back(facts), facts.refunds[ours.id].state) == (50, "requested")


def test_a_total_that_waited_for_a_refund_that_failed_was_of_another_one() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    assert hear(total(money, 50), facts) == "parked"
    hear(word("refund.failed", ours), facts)
    assert hear(total(money, 50), facts) == "applied"
    assert back(facts) == 50


def test_a_total_of_our_refund_and_another_confirms_ours_and_books_the_rest_when_it_is_applied_again() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    assert hear(total(money, 80, ours), facts) == "parked"
    assert back(facts) == 50
    assert hear(total(money, 80, ours), facts) == "applied"
    assert (back(facts), hear(total(money, 80, ours), facts)) == (80, "ignored")


def test_a_total_beyond_what_was_received_is_booked_and_asked_about() -> None:
    money = payment()
    decision = decide(total(money, 250), known(money))
    assert [(question.reason, question.amount) for question in decision.questions] == [("refund_excess", 50)]
    assert moves(decision) == [("refund_reported", "shop_available", "provider_receivable", 250)]


def test_a_total_before_its_payment_and_a_total_without_an_amount_are_set_aside() -> None:
    money = payment()
    assert decide(total(money, 50), known()).outcome == "parked"
    assert decide(replace(total(money, 50), refunded_total=None), known(money)).outcome == "parked"


# --- A refund of ours that had no name at first ----------------------------------------------------------------------


def test_a_reported_refund_that_turns_out_to_be_ours_is_booked_once() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    assert hear(word("refund.succeeded", None), facts) == "applied"
    decision = decide(word("refund.succeeded", ours, seconds=1), facts)
    facts.absorb(decision)
    assert moves(decision) == [
        ("refund_failed", "provider_receivable", "shop_pending", 50),
        ("refund_confirmed", "refunds_in_flight", "provider_receivable", 50),
    ]
    assert (back(facts), decision.tellings, decision.questions) == (50, (), ())
    assert sorted(row.object_id for row in facts.refunds.values()) == ["wrf_1", "wrf_1:ours"]
    assert hear(word("refund.succeeded", ours, seconds=1), facts) == "ignored"


def test_a_reported_refund_that_was_ours_and_then_failed_is_undone() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(word("refund.succeeded", None), facts)
    decision = decide(word("refund.failed", ours, seconds=1), facts)
    facts.absorb(decision)
    assert back(facts) == 0
    assert [telling.kind for telling in decision.tellings] == ["refund_failed"]
    assert {row.state for row in facts.refunds.values()} == {"failed"}


def test_a_refund_that_is_recognised_by_an_older_word_is_ours_and_stands_as_the_later_word_said() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(word("refund.succeeded", None, seconds=5), facts)
    assert hear(word("refund.succeeded", ours), facts) == "applied"
    assert (back(facts), facts.refunds[ours.id].state) == (50, "succeeded")
    facts = known(money, ours)
    hear(word("refund.succeeded", None), facts)
    hear(word("refund.failed", None, seconds=5), facts)
    assert hear(word("refund.succeeded", ours, seconds=1), facts) == "applied"
    assert (back(facts), facts.refunds[ours.id].state) == (0, "failed")


def test_a_refund_that_is_under_way_is_recognised_when_it_is_told_of_after_its_end() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(word("refund.succeeded", None, seconds=5), facts)
    assert hear(word("refund.pending", ours), facts) == "applied"
    assert (back(facts), facts.refunds[ours.id].state) == (50, "succeeded")


# --- Refusals: the provider says no to an asking, and names no refund ------------------------------------------------


def test_a_refusal_of_the_second_asking_does_not_undo_what_the_first_has_done() -> None:
    for earlier in ("refund.succeeded", "refund.pending"):
        money = payment()
        ours = refund(money)
        facts = known(money, ours)
        hear(word(earlier, ours), facts)
        decision = decide(word("refund.failed", ours, seconds=9, object_id=""), facts)
        assert (moves(decision), decision.refund) == ([], None)


def test_a_refund_that_is_known_and_still_refused_is_asked_about() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(word("refund.pending", ours), facts)
    decision = decide(word("refund.failed", ours, seconds=9, object_id=""), facts)
    assert [(question.key, question.amount) for question in decision.questions] == [
        (f"refund_refused|{ours.id.hex}", 50)
    ]


def test_a_refund_that_was_refused_and_is_made_all_the_same_is_booked_whatever_the_clocks_say() -> None:
    money = payment()
    ours = refund(money)
    for words in (["refund.succeeded"], ["refund.pending", "refund.succeeded"]):
        facts = known(money, ours)
        assert hear(word("refund.failed", ours, seconds=60, object_id=""), facts) == "applied"
        for kind in words:
            hear(word(kind, ours), facts)
        assert (back(facts), facts.refunds[ours.id].state) == (50, "succeeded")


def test_a_failure_that_names_nothing_is_of_no_refund_that_has_no_name_yet() -> None:
    money = payment()
    ours = refund(money)
    decision = decide(word("refund.failed", None, object_id=""), known(money, ours))
    assert (decision.outcome, moves(decision)) == ("ignored", [])


# --- One provider that tells of refunds both ways --------------------------------------------------------------------


def test_a_refund_that_was_in_a_total_already_is_not_booked_again_when_it_is_told_of_by_itself() -> None:
    money = payment()
    facts = known(money)
    hear(total(money, 50), facts)
    decision = decide(word("refund.succeeded", None), facts)
    assert moves(decision) == []
    facts.absorb(decision)
    assert (back(facts), [row.object_id for row in facts.refunds.values()]) == (50, ["wrf_1"])
    hear(word("refund.failed", None, seconds=5), facts)
    assert back(facts) == 0


def test_two_refunds_that_were_one_total_are_told_apart() -> None:
    money = payment()
    facts = known(money)
    hear(total(money, 80), facts)
    hear(word("refund.succeeded", None), facts)
    assert (back(facts), sorted(row.amount for row in facts.refunds.values())) == (80, [30, 50])
    hear(replace(word("refund.succeeded", None, object_id="wrf_2"), amount=30), facts)
    assert (back(facts), sorted(row.object_id for row in facts.refunds.values())) == (80, ["wrf_1", "wrf_2"])
    hear(replace(word("refund.succeeded", None, object_id="wrf_3"), amount=20), facts)
    assert back(facts) == 100


def test_a_total_that_names_our_refund_books_it_even_when_it_had_failed_before() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(word("refund.failed", ours, object_id=""), facts)
    assert hear(total(money, 50, ours), facts) == "applied"
    assert (back(facts), facts.refunds[ours.id].state, len(facts.refunds)) == (50, "succeeded", 1)


# --- What was drawn from the pending money ---------------------------------------------------------------------------


def test_a_refund_that_was_larger_than_asked_and_came_back_returns_each_part_where_it_was_drawn() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(replace(word("refund.succeeded", ours), amount=70), facts)
    assert moves(decide(replace(word("refund.failed", ours, seconds=5), amount=70), facts)) == [
        ("refund_failed", "provider_receivable", "shop_pending", 50),
        ("refund_failed", "provider_receivable", "shop_available", 20),
    ]


@pytest.mark.parametrize("due", [True, False])
def test_a_refund_told_apart_from_a_total_takes_its_part_of_the_pending_along(due: bool) -> None:
    money = payment(due_at=None) if due else payment()
    facts = known(money, refund(money, object_id="total:80", amount=80, pending_amount=80, state="succeeded"))
    decision = decide(word("refund.succeeded", None), facts)
    side = "shop_available" if due else "shop_pending"
    assert moves(decision) == [
        ("refund_failed", "provider_receivable", side, 50),
        ("refund_reported", side, "provider_receivable", 50),
    ]
    facts.absorb(decision)
    assert sorted((row.amount, row.pending_amount) for row in facts.refunds.values()) == [(30, 30), (50, 50)]


def test_what_was_drawn_from_the_pending_comes_back_as_available_once_that_is_due() -> None:
    money = payment(due_at=None)
    ours = refund(money, object_id="wrf_1", state="succeeded", pending_amount=50, settled_at=NOON)
    decision = decide(word("refund.failed", ours, seconds=1), known(money, ours))
    assert moves(decision) == [("refund_failed", "provider_receivable", "shop_available", 50)]


def test_a_refund_under_way_that_is_told_of_later_than_its_end_is_recognised_as_it_ended() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(word("refund.succeeded", None), facts)
    hear(word("refund.pending", ours, seconds=5), facts)
    assert (back(facts), facts.refunds[ours.id].state) == (50, "succeeded")


def test_a_failure_in_the_moment_of_the_success_counts_and_repeats_nothing() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(word("refund.succeeded", ours), facts)
    assert hear(word("refund.failed", ours), facts) == "applied"
    assert decide(word("refund.failed", ours), facts).reason == "booked already"
    assert hear(word("refund.succeeded", ours), facts) == "ignored"
    assert back(facts) == 0


def test_a_refund_smaller_than_asked_keeps_no_more_of_the_pending_than_was_drawn() -> None:
    money = payment()
    ours = refund(money, pending_amount=0)
    decision = decide(replace(word("refund.succeeded", ours), amount=20), known(money, ours))
    assert decision.refund is not None
    assert (decision.refund.amount, decision.refund.pending_amount) == (20, 0)


def test_a_later_asking_that_was_refused_is_told_to_nobody() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(word("refund.succeeded", ours), facts)
    decision = decide(word("refund.failed", ours, seconds=9, object_id=""), facts)
    assert (decision.outcome, decision.questions, decision.tellings) == ("ignored", (), ())


def test_a_total_of_before_our_refund_came_back_does_not_book_it_anew_as_ours() -> None:
    money = payment()
    ours = refund(money)
    facts = known(money, ours)
    hear(word("refund.succeeded", ours), facts)
    hear(word("refund.failed", ours, seconds=5), facts)
    hear(replace(total(money, 50, ours), occurred_at=NOON), facts)
    assert facts.refunds[ours.id].state == "failed"


def test_an_excess_is_asked_about_from_the_first_unit_on_and_a_refund_is_not_its_own_excess() -> None:
    money = payment()
    assert [q.amount for q in decide(total(money, 201), known(money)).questions] == [1]
    assert decide(total(money, 200), known(money)).questions == ()
    ours = refund(money, amount=150)
    facts = known(money, ours)
    told = replace(word("refund.succeeded", None), amount=150)
    hear(told, facts)
    assert decide(replace(told, reference=reference(ours)), facts).questions == ()


def test_a_refund_of_ours_that_a_total_confirmed_is_not_taken_for_another_when_it_is_told_without_our_name() -> None:
    """The desk gave 50 back, then we 50: of two equal refunds in the total, the one told of by itself is ours."""
    money = payment()
    ours = refund(money)
    facts = known(money)
    hear(total(money, 50), facts)
    facts.refunds[ours.id] = ours
    assert hear(total(money, 100, ours), facts) == "applied"
    for told in (word("refund.succeeded", None), word("refund.succeeded", ours), word("refund.succeeded", None)):
        hear(told, facts)
    assert back(facts) == 100
    assert hear(word("refund.succeeded", None, object_id="wrf_2"), facts) == "applied"  # The desk's own has its name.
    assert hear(word("refund.succeeded", None, object_id="wrf_2"), facts) == "ignored"
    assert back(facts) == 100
    assert hear(word("refund.succeeded", None, object_id="wrf_3"), facts) == "applied"
    assert back(facts) == 150
