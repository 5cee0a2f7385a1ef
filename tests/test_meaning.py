"""The decision, pure: a table of events against facts, and what follows from each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest

from merchants import ids
from payments import meaning
from payments.known import AccountFacts, Decision, IntentFacts, Known, PaymentFacts, RefundFacts
from payments.models import PaymentIntent, Refund
from payments.providers.base import Event, Kind

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP, OTHER_SHOP = uuid4(), uuid4()
PLATFORM = AccountFacts(uuid4(), "held", None, "")
HERS = AccountFacts(uuid4(), "direct", SHOP, "CNY")


def intent(account: AccountFacts = PLATFORM, **changes: Any) -> IntentFacts:
    terms: dict[str, Any] = {
        "id": uuid4(),
        "shop_id": SHOP,
        "account_id": account.id,
        "amount": 200,
        "currency": "CNY",
        "state": "open",
        "closing": "",
        "description": "Apples",
        "quantity": 2,
        "receipt": "r" * 22,
    }
    return IntentFacts(**terms | changes)


def payment(**changes: Any) -> PaymentFacts:
    terms: dict[str, Any] = {
        "id": uuid4(),
        "account_id": PLATFORM.id,
        "funds": "held",
        "object_id": "wpy_1",
        "shop_id": SHOP,
        "intent_id": None,
        "amount": 200,
        "currency": "CNY",
        "match": "exact",
        "placed": True,
        "occurred_at": NOON,
        "due_at": NOON + timedelta(days=1),
    }
    return PaymentFacts(**terms | changes)


def known(*facts: IntentFacts | PaymentFacts | RefundFacts) -> Known:
    found = Known(settle_after=timedelta(days=1), new_id=uuid4)
    for fact in facts:
        if isinstance(fact, IntentFacts):
            found.intents[fact.id] = fact
        elif isinstance(fact, PaymentFacts):
            found.payments[fact.account_id, fact.object_id] = fact
        else:
            found.refunds[fact.id] = fact
    return found


def reference(fact: IntentFacts | RefundFacts) -> str:
    return ids.public(PaymentIntent.prefix if isinstance(fact, IntentFacts) else Refund.prefix, fact.id)


def event(kind: Kind = "payment.succeeded", **changes: Any) -> Event:
    terms: dict[str, Any] = {"object_id": "wpy_1", "amount": 200, "currency": "CNY", "occurred_at": NOON}
    return Event(kind, **terms | changes)


def decide(told: Event, facts: Known, account: AccountFacts = PLATFORM, event_id: UUID | None = None) -> Decision:
    return meaning.decide(told, account, facts, event_id=event_id, now=NOON + timedelta(seconds=1))


def moves(decision: Decision) -> list[tuple[str, str, str, int]]:
    return [(m.kind, m.debit.kind, m.credit.kind, m.amount) for m in decision.movements]


# --- Money in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_intent", "of_event", "match", "state", "question"),
    [
        ({}, {}, "exact", "paid", None),
        ({}, {"amount": 199}, "short", "paid", ("short", 1)),
        ({}, {"amount": 1}, "short", "paid", ("short", 199)),
        ({}, {"amount": 201}, "over", "paid", ("over", 1)),
        ({"state": "paid"}, {}, "double", "paid", ("double", 200)),
        ({"state": "paid"}, {"amount": 5}, "double", "paid", ("double", 5)),
        ({"state": "expired"}, {}, "late", "expired", ("late", 200)),
        ({"state": "canceled"}, {}, "late", "canceled", ("late", 200)),
        ({"state": "canceled"}, {"amount": 5}, "late", "canceled", ("late", 5)),
        ({"state": "expired", "paid": True}, {}, "double", "expired", ("double", 200)),
    ],
)
def test_money_for_an_intent_is_the_shops_however_it_fits(
    of_intent: dict[str, Any], of_event: dict[str, Any], match: str, state: str, question: tuple[str, int] | None
) -> None:
    expected = intent(**of_intent)
    decision = decide(event(reference=reference(expected), **of_event), known(expected))
    amount = of_event.get("amount", 200)

    assert decision.outcome == "applied"
    booked = decision.new_payment
    assert booked is not None
    assert (booked.match, booked.placed, booked.shop_id, booked.intent_id) == (match, True, SHOP, expected.id)
    assert (booked.amount, booked.due_at) == (amount, NOON + timedelta(days=1, seconds=1))
    assert decision.intent is not None
    assert (decision.intent.state, decision.intent.paid) == (state, True)
    assert moves(decision) == [("paid", "provider_receivable", "shop_pending", amount)]
    assert [(q.reason, q.amount) for q in decision.questions] == ([question] if question else [])
    assert [(t.kind, t.shop_id, t.about) for t in decision.tellings] == [("payment_received", SHOP, booked.id)]


def test_what_the_shop_is_told_names_amount_expectation_and_goods() -> None:
    code_id, item_id = uuid4(), uuid4()
    expected = intent(code_id=code_id, item_id=item_id)
    decision = decide(event(reference=reference(expected), amount=150), known(expected))
    assert decision.new_payment is not None
    assert decision.tellings[0].data == {
        "payment": ids.public("pay", decision.new_payment.id),
        "amount": {"amount": 150, "currency": "CNY"},
        "match": "short",
        "occurred_at": "2026-11-22T12:00:00+00:00",
        "expected": {"amount": 200, "currency": "CNY"},
        "description": "Apples",
        "quantity": 2,
        "receipt": "r" * 22,
        "code": ids.public("cod", code_id),
        "item": ids.public("itm", item_id),
    }


@pytest.mark.parametrize(
    "named", ["", "int_nobody", "order 7", ids.public("int", UUID(int=7)), ids.public("pay", UUID(int=7))]
)
def test_money_of_the_platform_that_names_no_intent_of_ours_is_in_suspense(named: str) -> None:
    decision = decide(event(reference=named), known())
    assert decision.new_payment is not None
    assert (decision.new_payment.placed, decision.new_payment.shop_id, decision.new_payment.due_at) == (
        False, None, None,
    )  # fmt: skip
    assert moves(decision) == [("paid", "provider_receivable", "suspense", 200)]
    assert [q.reason for q in decision.questions] == ["unknown_reference"]
    assert decision.tellings == ()


@pytest.mark.parametrize(("named", "reason"), [("", "unexpected"), ("order 7", "unknown_reference")])
def test_money_on_a_shops_own_account_is_hers_without_an_intent(named: str, reason: str) -> None:
    decision = decide(event(reference=named), known(), HERS)
    assert decision.new_payment is not None
    assert (decision.new_payment.match, decision.new_payment.shop_id, decision.new_payment.due_at) == (
        "unexpected", SHOP, None,
    )  # fmt: skip
    assert moves(decision) == [("paid", "settled_direct", "shop_available", 200)]
    assert [q.reason for q in decision.questions] == [reason]
    assert [t.kind for t in decision.tellings] == ["payment_received"]


@pytest.mark.parametrize("account", [PLATFORM, HERS])
def test_another_currency_waits_in_suspense_and_leaves_the_intent_open(account: AccountFacts) -> None:
    expected = intent(account)
    decision = decide(event(reference=reference(expected), currency="USD"), known(expected), account)
    assert decision.intent is None
    assert decision.new_payment is not None
    assert (decision.new_payment.match, decision.new_payment.placed, decision.new_payment.intent_id) == (
        "unexpected", False, expected.id,
    )  # fmt: skip
    assert [m.credit.kind for m in decision.movements] == ["suspense"]
    assert [m.currency for m in decision.movements] == ["USD"]
    assert [q.reason for q in decision.questions] == ["wrong_currency"]
    assert [t.kind for t in decision.tellings] == ["payment_in_question"]


def test_an_account_cannot_speak_of_anothers_intent() -> None:
    expected = intent(PLATFORM)
    for kind in ("payment.succeeded", "payment.failed", "payment.closed"):
        decision = decide(event(kind, reference=reference(expected)), known(expected), HERS)
        assert (decision.outcome, decision.movements, decision.intent, decision.new_payment) == (
            "quarantined", (), None, None,
        )  # fmt: skip
        assert [q.reason for q in decision.questions] == ["other_account"]


def test_a_payment_that_is_booked_is_not_booked_again() -> None:
    expected = intent(state="paid")
    decision = decide(event(reference=reference(expected)), known(expected, payment()))
    assert decision == Decision("ignored", "booked already")


@pytest.mark.parametrize(("change", "difference"), [({"amount": 300}, 100), ({"currency": "USD"}, 200)])
def test_another_story_of_a_booked_payment_is_a_question_and_moves_nothing(
    change: dict[str, Any], difference: int
) -> None:
    booked = payment()
    decision = decide(event(**change), known(booked))
    assert (decision.outcome, decision.movements, decision.new_payment) == ("applied", (), None)
    assert [(q.reason, q.amount, q.payment_id) for q in decision.questions] == [
        ("contradiction", difference, booked.id)
    ]


def test_the_same_object_id_at_another_account_is_another_payment() -> None:
    decision = decide(event(reference=""), known(payment()), HERS)
    assert decision.new_payment is not None


# --- No money --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "of_intent", "state", "closing"),
    [
        ("payment.failed", {}, "canceled", "refused"),
        ("payment.failed", {"closing": "expired"}, "canceled", "refused"),
        ("payment.closed", {}, "expired", "expired"),
        ("payment.closed", {"closing": "expired"}, "expired", "expired"),
        ("payment.closed", {"closing": "frozen"}, "canceled", "frozen"),
    ],
)
def test_an_order_that_nobody_will_pay_ends_its_intent(
    kind: Kind, of_intent: dict[str, Any], state: str, closing: str
) -> None:
    expected = intent(**of_intent)
    decision = decide(event(kind, reference=reference(expected)), known(expected))
    assert decision.intent is not None
    assert (decision.outcome, decision.intent.state, decision.intent.closing) == ("applied", state, closing)
    assert (decision.movements, decision.tellings, decision.questions) == ((), (), ())


@pytest.mark.parametrize("kind", ["payment.failed", "payment.closed"])
@pytest.mark.parametrize("state", ["paid", "expired", "canceled"])
def test_an_intent_that_has_ended_stays_as_it_ended(kind: Kind, state: str) -> None:
    expected = intent(state=state)
    decision = decide(event(kind, reference=reference(expected)), known(expected))
    assert decision == Decision("ignored", f"the intent is {state} already")


@pytest.mark.parametrize(
    ("kind", "final", "outcome"),
    [
        ("payment.failed", False, "ignored"),
        ("payment.closed", False, "ignored"),
        ("payment.pending", True, "ignored"),
        ("info", True, "ignored"),
        ("unknown", True, "parked"),
    ],
)
def test_what_decides_nothing_changes_nothing(kind: Kind, final: bool, outcome: str) -> None:
    expected = intent()
    decision = decide(event(kind, reference=reference(expected), final=final), known(expected))
    assert decision.outcome == outcome
    assert decision.reason
    assert (decision.intent, decision.movements, decision.tellings) == (None, (), ())


def test_the_end_of_an_order_that_is_not_ours_is_ignored() -> None:
    assert decide(event("payment.closed", reference="order 7"), known()).outcome == "ignored"


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_event_has_a_decision_whatever_is_known(kind: Kind) -> None:
    expected = intent()
    for facts in (known(), known(expected), known(expected, payment())):
        for named in ("", reference(expected)):
            decision = decide(event(kind, reference=named, parent_object_id="wpy_1"), facts)
            assert decision.outcome in {"applied", "ignored", "parked", "quarantined"}


# --- Money back ------------------------------------------------------------------------------------------------------


def refund(of: PaymentFacts, **changes: Any) -> RefundFacts:
    terms: dict[str, Any] = {
        "id": uuid4(),
        "payment_id": of.id,
        "object_id": "",
        "amount": 50,
        "state": "requested",
        "pending_amount": 50,
        "origin": "shop",
        "settled_at": None,
    }
    return RefundFacts(**terms | changes)


def word(kind: Kind, of: RefundFacts | None = None, **changes: Any) -> Event:
    terms: dict[str, Any] = {
        "object_id": "wrf_1",
        "parent_object_id": "wpy_1",
        "amount": 50,
        "reference": reference(of) if of else "",
    }
    return event(kind, **terms | changes)


def test_a_confirmed_refund_leaves_the_flight_for_the_provider() -> None:
    money = payment()
    asked = refund(money)
    decision = decide(word("refund.succeeded", asked), known(money, asked))
    assert moves(decision) == [("refund_confirmed", "refunds_in_flight", "provider_receivable", 50)]
    assert decision.refund is not None
    assert (decision.refund.state, decision.refund.object_id, decision.refund.settled_at) == (
        "succeeded", "wrf_1", NOON,
    )  # fmt: skip
    assert [t.kind for t in decision.tellings] == ["refund_succeeded"]


@pytest.mark.parametrize(
    ("due_at", "drawn", "place"),
    [(NOON + timedelta(days=1), 50, "shop_pending"), (None, 50, "shop_available"), (None, 0, "shop_available")],
)
def test_a_failed_refund_returns_to_where_the_shops_money_stands_now(
    due_at: datetime | None, drawn: int, place: str
) -> None:
    money = payment(due_at=due_at)
    asked = refund(money, pending_amount=drawn)
    decision = decide(word("refund.failed", asked), known(money, asked))
    assert moves(decision) == [("refund_failed", "refunds_in_flight", place, 50)]


@pytest.mark.parametrize(
    ("kind", "of_refund", "of_event", "reason"),
    [
        ("refund.succeeded", {"state": "succeeded", "settled_at": NOON}, {}, "booked already"),
        ("refund.failed", {"state": "failed", "settled_at": NOON}, {}, "booked already"),
        (
            "refund.succeeded",
            {"state": "failed", "object_id": "wrf_1", "settled_at": NOON + timedelta(seconds=1)},
            {},
            "overtaken by a later word on this refund",
        ),
        ("refund.pending", {"object_id": "wrf_1"}, {}, "a refund that is only under way"),
    ],
)
def test_a_word_that_says_nothing_new_about_a_refund_is_ignored(
    kind: Kind, of_refund: dict[str, Any], of_event: dict[str, Any], reason: str
) -> None:
    money = payment()
    asked = refund(money, **of_refund)
    assert decide(word(kind, asked, **of_event), known(money, asked)) == Decision("ignored", reason)


def test_a_refund_whose_payment_is_unknown_waits_for_it() -> None:
    decision = decide(word("refund.succeeded"), known())
    assert (decision.outcome, decision.movements) == ("parked", ())


def test_a_refund_in_another_currency_or_of_another_payment_stands_aside() -> None:
    money, other = payment(), payment(object_id="wpy_2")
    theirs = refund(other)
    for told in (word("refund.succeeded", currency="USD"), word("refund.succeeded", theirs)):
        decision = decide(told, known(money, other, theirs))
        assert (decision.outcome, decision.movements, decision.new_refund) == ("quarantined", (), None)


def test_a_refund_that_nobody_here_asked_for_is_booked_and_its_excess_questioned() -> None:
    money = payment(amount=200)
    earlier = refund(money, amount=180, state="succeeded", pending_amount=180, settled_at=NOON, object_id="wrf_0")
    decision = decide(word("refund.succeeded"), known(money, earlier))
    assert decision.new_refund is not None
    assert (decision.new_refund.origin, decision.new_refund.state, decision.new_refund.pending_amount) == (
        "provider", "succeeded", 0,
    )  # fmt: skip
    assert moves(decision) == [("refund_reported", "shop_available", "provider_receivable", 50)]
    assert [(q.reason, q.amount) for q in decision.questions] == [("refund_excess", 30)]


# --- The facts after a decision --------------------------------------------------------------------------------------


def test_the_second_event_of_a_batch_knows_what_the_first_changed() -> None:
    expected = intent()
    facts = known(expected)
    first = decide(event(reference=reference(expected)), facts)
    facts.absorb(first)
    second = decide(event(reference=reference(expected), object_id="wpy_2"), facts)
    assert second.new_payment is not None
    assert second.new_payment.match == "double"
    assert facts.intents[expected.id].state == "paid"


def test_a_decision_changes_nothing_of_the_facts_it_was_made_on() -> None:
    expected = intent()
    facts = known(expected)
    decide(event(reference=reference(expected)), facts)
    assert (facts.intents, facts.payments) == ({expected.id: expected}, {})


def test_movements_name_the_event_they_follow_from() -> None:
    expected, cause = intent(), uuid4()
    decision = decide(event(reference=reference(expected)), known(expected), event_id=cause)
    assert [m.event_id for m in decision.movements] == [cause]
