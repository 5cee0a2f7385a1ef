"""Money back where the provider is hard to understand: totals for refunds, and refunds it first gave no name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

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
