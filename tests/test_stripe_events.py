"""What Stripe's events and answers mean, each in its exact words, and that only the declared failures come of any."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe as sdk
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from payments import credentials
from payments.models import ProviderAccount
from payments.providers import stripe
from payments.providers.base import AMOUNT_MAX, Delivery, Event, UnableToRead, UnableToVerify, Verified
from tests.networks.stripe import Stripe

FUZZED = examples(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REFERENCE = "int_01"
DEEP = ["payment_intent.latest_charge.balance_transaction"]


@pytest.fixture
def network() -> Stripe:
    return Stripe()


def session(network: Stripe, amount: int = 1000, currency: str = "usd") -> dict[str, Any]:
    """A session as our start opens it."""
    reference = {"reference": REFERENCE}
    price = {"currency": currency, "unit_amount": str(amount), "product_data": {"name": "Apples"}}
    return network.opened(
        {
            "mode": "payment",
            "client_reference_id": REFERENCE,
            "metadata": reference,
            "payment_intent_data": {"metadata": reference},
            "line_items": {"0": {"quantity": "1", "price_data": price}},
            "expires_at": str(int(timezone.now().timestamp()) + 3000),
            "success_url": "https://pay.example/r/1",
            "cancel_url": "https://pay.example/r/1",
        }
    )


def paid(network: Stripe, amount: int = 1000, currency: str = "usd") -> str:
    session(network, amount, currency)
    return network.pay(REFERENCE)


def read(message: dict[str, Any], authority: Any = "signed") -> Sequence[Event]:
    return stripe.normalise(ProviderAccount(), Verified("evt_1", json.dumps(message).encode(), authority))


def told(network: Stripe, kind: str, thing: dict[str, Any], **event: Any) -> Event:
    """What a signed event about that object is read as."""
    [only] = read({**network.event(kind, thing), "created": 1_760_000_000, **event})
    return only


AT = datetime.fromtimestamp(1_760_000_000, UTC)


# --- Money in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("currency", "theirs", "ours"), [("usd", 1000, 1000), ("jpy", 500, 500), ("kwd", 1230, 1230), ("ugx", 500, 5)]
)
def test_three_events_tell_of_one_payment(network: Stripe, currency: str, theirs: int, ours: int) -> None:
    payment = paid(network, theirs, currency)
    for event in network.events[payment]:
        [seen] = read(event)
        assert seen == Event(
            kind="payment.succeeded",
            object_id=payment,
            amount=ours,
            currency=currency.upper(),
            occurred_at=datetime.fromtimestamp(event["created"], UTC),
            reference=REFERENCE,
        )
        assert seen.economic_key == f"payment|{payment}"
    kinds = [event["type"] for event in network.events[payment]]
    assert kinds == ["checkout.session.completed", "payment_intent.succeeded", "charge.succeeded"]


@pytest.mark.parametrize(
    ("kind", "status", "meaning", "final"),
    [
        ("checkout.session.completed", "unpaid", "payment.pending", False),
        ("checkout.session.async_payment_succeeded", "paid", "payment.succeeded", True),
        ("checkout.session.async_payment_failed", "unpaid", "payment.failed", True),
    ],
)
def test_a_session_that_is_paid_later(network: Stripe, kind: str, status: str, meaning: str, final: bool) -> None:
    completed = session(network) | {"status": "complete", "payment_status": status, "payment_intent": "pi_1"}
    seen = told(network, kind, completed)
    assert (seen.kind, seen.object_id, seen.amount, seen.final) == (meaning, "pi_1", 1000, final)


def test_a_session_that_ended_unpaid_is_closed(network: Stripe) -> None:
    seen = told(network, "checkout.session.expired", network.expired(session(network)))
    assert (seen.kind, seen.reference, seen.object_id[:8], seen.final) == (
        "payment.closed",
        REFERENCE,
        "cs_test_",
        True,
    )


def test_a_session_without_a_payment_tells_of_no_money(network: Stripe) -> None:
    free = session(network) | {"payment_status": "no_payment_required", "amount_total": 0}
    subscription = session(network) | {"mode": "subscription"}
    for thing in (free, subscription):
        assert told(network, "checkout.session.completed", thing).kind == "info"


def test_a_declined_card_may_be_followed_by_another(network: Stripe) -> None:
    payment = {"id": "pi_1", "object": "payment_intent", "amount": 1000, "currency": "usd", "metadata": {}}
    declined = told(network, "payment_intent.payment_failed", payment)
    assert (declined.kind, declined.final, declined.amount) == ("payment.failed", False, 1000)
    processing = told(network, "payment_intent.processing", payment)
    assert (processing.kind, processing.final) == ("payment.pending", False)


def test_a_charge_that_is_only_authorised_is_no_money(network: Stripe) -> None:
    charge = network.things[network.things[paid(network)]["latest_charge"]]
    authorised = told(network, "charge.succeeded", charge | {"captured": False, "amount_captured": 0})
    assert (authorised.kind, authorised.amount, authorised.final) == ("payment.pending", 1000, False)
    captured = told(network, "charge.captured", charge | {"amount_captured": 800})
    assert (captured.kind, captured.amount) == ("payment.succeeded", 800)
    bare = told(network, "charge.succeeded", charge | {"payment_intent": None, "metadata": {}})
    assert (bare.object_id, bare.reference) == (charge["id"], "")


def test_a_fee_is_told_where_it_is_shown_in_the_payments_own_currency(network: Stripe) -> None:
    charge = network.things[network.things[paid(network)]["latest_charge"]]
    shown = network.expanded(charge, ["balance_transaction"])
    assert told(network, "charge.succeeded", shown).fee == 59
    shown["balance_transaction"]["currency"] = "eur"
    assert told(network, "charge.succeeded", shown).fee is None


@pytest.mark.parametrize(
    ("status", "payment", "kind"),
    [
        ("open", None, "payment.pending"),
        ("expired", None, "payment.closed"),
        ("complete", "processing", "payment.pending"),
        ("complete", "requires_payment_method", "payment.failed"),
        ("complete", "canceled", "payment.failed"),
    ],
)
def test_a_session_is_read_as_it_stands(network: Stripe, status: str, payment: str | None, kind: str) -> None:
    inner = {"id": "pi_1", "status": payment} if payment else None
    [seen] = read({"session": session(network) | {"status": status, "payment_intent": inner}}, "queried")
    assert (seen.kind, seen.reference, seen.amount) == (kind, REFERENCE, 1000)
    assert seen.final is (kind != "payment.pending")


# --- Money back, contested, out --------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"])
@pytest.mark.parametrize(
    ("status", "kind", "final"),
    [
        ("pending", "refund.pending", False),
        ("requires_action", "refund.pending", False),
        ("succeeded", "refund.succeeded", False),
        ("failed", "refund.failed", True),
        ("canceled", "refund.failed", True),
    ],
)
def test_a_refund_is_read_by_its_status(network: Stripe, event: str, status: str, kind: str, final: bool) -> None:
    payment = paid(network)
    refund = network.refund(payment, 400, {"reference": "rfd_1"}) | {"status": status}
    assert told(network, event, refund) == Event(
        kind=kind,  # type: ignore[arg-type]
        object_id=refund["id"],
        parent_object_id=payment,
        amount=400,
        currency="USD",
        occurred_at=AT,
        reference="rfd_1",
        final=final,
    )


def test_the_running_total_of_a_charge_is_left_to_its_refunds(network: Stripe) -> None:
    payment = paid(network)
    network.refund_at_desk(payment, 400)
    [told_twice] = [event for event in network.events[payment] if event["type"] == "charge.refunded"]
    [seen] = read(told_twice)
    assert (seen.decision, seen.kind, seen.amount) == ("ignore", "refund.total", 400)
    assert seen.reason == "a running total; each refund is told of by itself"


@pytest.mark.parametrize("event", ["charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("warning_needs_response", "dispute.opened"),
        ("warning_under_review", "dispute.opened"),
        ("needs_response", "dispute.opened"),
        ("under_review", "dispute.opened"),
        ("won", "dispute.won"),
        ("lost", "dispute.lost"),
        ("warning_closed", "dispute.closed"),
        ("prevented", "dispute.closed"),
    ],
)
def test_a_dispute_is_read_by_its_status(network: Stripe, event: str, status: str, kind: str) -> None:
    payment = paid(network)
    network.dispute(payment, "opened")
    dispute = network.listed("du")[0] | {"status": status}
    opened = kind == "dispute.opened"
    due = datetime.fromtimestamp(dispute["evidence_details"]["due_by"], UTC)
    assert told(network, event, dispute) == Event(
        kind=kind,  # type: ignore[arg-type]
        object_id=dispute["id"],
        parent_object_id=payment,
        amount=1000,
        currency="USD",
        occurred_at=AT,
        final=not opened,
        evidence_due_at=due if opened else None,
    )


@pytest.mark.parametrize(
    ("event", "amount", "kind"),
    [
        ("payout.paid", 5000, "payout.paid"),
        ("payout.failed", 5000, "payout.failed"),
        ("payout.canceled", 5000, "payout.failed"),
        ("payout.paid", -5000, "info"),
        ("payout.created", 5000, "info"),
        ("payout.reconciliation_completed", 5000, "info"),
    ],
)
def test_payouts_to_the_bank(network: Stripe, event: str, amount: int, kind: str) -> None:
    payout = {"id": "po_1", "object": "payout", "amount": amount, "currency": "usd", "metadata": {}}
    seen = told(network, event, payout)
    assert (seen.kind, seen.amount) == (kind, 5000 if kind != "info" else 0)


@pytest.mark.parametrize("kind", ["charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated", "price.created"])
def test_everything_else_is_taken_and_left_alone(network: Stripe, kind: str) -> None:
    seen = told(network, kind, {"id": "x"})
    assert (seen.kind, seen.decision, seen.reason, seen.amount) == ("info", "ignore", kind, 0)


def test_an_event_of_a_connected_account_names_it(network: Stripe) -> None:
    payment = network.things[paid(network)]
    assert told(network, "payment_intent.succeeded", payment).account == {}
    named = told(network, "payment_intent.succeeded", payment, account="acct_other")
    assert named.account == {"account": "acct_other"}
    assert credentials.identity("stripe", network.credentials()) == {"account": "acct_1Pushcart"}


def test_an_event_of_a_connected_account_is_no_event_of_an_account_that_is_none(db: None, network: Stripe) -> None:
    """One endpoint, one secret, for all connected accounts: whoever has one could pay himself under our reference."""
    raw = json.dumps({**network.event("payout.paid", {}), "account": "acct_other"}).encode()
    now = timezone.now()
    assert stripe.verify(network.account(), network.sign(raw, at=now), now=now).authority == "signed"
    sealed = credentials.sealed({**network.credentials(), "account": ""})
    with pytest.raises(UnableToVerify, match="other_account"):
        stripe.verify(ProviderAccount(sealed_credentials=sealed), network.sign(raw, at=now), now=now)


@pytest.mark.parametrize(
    "change",
    [
        {"amount_received": 0}, {"amount_received": -5}, {"amount_received": True}, {"amount_received": 10.0},
        {"amount_received": AMOUNT_MAX + 1}, {"currency": "zzz"}, {"currency": None}, {"id": "pi 1"},
        {"id": "pi_" + "x" * 80}, {"id": "pi_\u0000"}, {"metadata": []}, {"metadata": "x"}, {"currency": "ugx"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_not_read(network: Stripe, change: dict[str, Any]) -> None:
    payment = network.things[paid(network)] | {"amount_received": 1050}
    if change == {"metadata": []}:  # What PHP makes of an empty object, and no harm.
        assert told(network, "payment_intent.succeeded", payment | change).reference == ""
        return
    with pytest.raises(UnableToRead):
        told(network, "payment_intent.succeeded", payment | change)


def test_a_reference_that_is_not_ours_is_none(network: Stripe) -> None:
    payment = network.things[paid(network)]
    for strange in ("x" * 121, "nul\u0000", 7, None, ["x"]):
        seen = told(network, "payment_intent.succeeded", payment | {"metadata": {"reference": strange}})
        assert seen.reference == ""


def test_the_stand_in_speaks_as_the_sdk_reads(network: Stripe) -> None:
    payment = paid(network)
    network.refund_at_desk(payment, 400)
    network.dispute(payment, "opened")
    for event in network.events[payment]:
        seen = sdk.Event.construct_from(event, "sk_test")
        assert seen.data.object.id == event["data"]["object"]["id"]
        documented = set(type(seen.data.object).__annotations__)
        assert set(event["data"]["object"]) <= documented, event["type"]


# --- Whatever comes --------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def genuine() -> list[tuple[Any, dict[str, Any]]]:
    """Messages of every kind that we read, each with its authority."""
    network = Stripe()
    payment = paid(network)
    refund = network.refund(payment, 400, {"reference": "rfd_1"})
    network.fail_refund(refund["id"])
    network.dispute(payment, "opened")
    network.dispute(payment, "won")
    payout = {"id": "po_1", "object": "payout", "amount": 5, "currency": "usd", "metadata": {}}
    events = [*network.events[payment], network.event("payout.paid", payout)]
    shown = network.expanded(network.session(REFERENCE), DEEP)
    shown["payment_intent"] = network.expanded(network.things[payment], ["latest_charge.balance_transaction"])
    after = {"refunds": network.listed("re"), "disputes": network.listed("du"), "at": timezone.now().isoformat()}
    asked = {"payment": payment, "amount": 5, "currency": "USD", "reference": "rfd_1"}
    answers = [
        {"session": shown, **after},
        {"payment_intent": shown["payment_intent"], **after},
        {"never_started": asked, "at": after["at"]},
        {"refused": {}, "asked": asked, "at": after["at"]},
        {"session": session(network)},
    ]
    return [("signed", event) for event in events] + [("queried", answer) for answer in answers]


GENUINE = genuine()


def spoiled(message: Any, data: st.DataObject) -> Any:
    """The message with something in its depth missing or replaced."""
    message = copy.deepcopy(message)
    for _ in range(data.draw(st.integers(0, 2))):
        place: Any = None
        key: Any = None
        inner = message
        while isinstance(inner, dict | list) and inner and (place is None or data.draw(st.integers(0, 3))):
            key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
            place, inner = inner, inner[key]
        if place is None:
            return data.draw(JSON)
        if data.draw(st.booleans()):
            place[key] = data.draw(JSON)
        else:
            del place[key]
    return message


@given(data=st.data())
@FUZZED
def test_only_the_declared_failures_come_of_whatever_is_proved(data: st.DataObject) -> None:
    authority, message = data.draw(st.sampled_from(GENUINE))
    raw = json.dumps(spoiled(message, data)).encode() if data.draw(st.integers(0, 9)) else data.draw(st.binary())
    try:
        events = stripe.normalise(ProviderAccount(), Verified("evt_1", raw, authority))
    except UnableToRead:
        return
    for event in events:
        moves_money = event.kind not in {"info", "unknown"}
        assert event.occurred_at.tzinfo is not None
        assert not moves_money or (0 < event.amount <= AMOUNT_MAX and event.currency.isupper())
        assert not event.kind.startswith("refund") or event.parent_object_id or event.decision == "ignore"
        assert "\0" not in event.object_id + event.reference + event.parent_object_id


@given(data=st.data())
@FUZZED
def test_only_the_declared_refusal_comes_of_whatever_is_sent(db: None, network: Stripe, data: st.DataObject) -> None:
    account, now = network.account(), timezone.now()
    raw = data.draw(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
    header = network.sign(b"{}", at=now).headers["stripe-signature"]
    if data.draw(st.booleans()):
        try:
            header = network.sign(raw, at=now).headers["stripe-signature"]
        except UnicodeDecodeError:
            assert not raw.isascii()
    cut = data.draw(st.integers(0, len(header)))
    header = data.draw(st.sampled_from([header, header[:cut] + data.draw(st.text(max_size=5)) + header[cut:]]))
    header = data.draw(st.just(header) | st.text(max_size=80))
    with pytest.raises(UnableToVerify):  # Nothing of it is an event, however well it is signed.
        stripe.verify(account, Delivery(raw, {"stripe-signature": header}), now=now)
