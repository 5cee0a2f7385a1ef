"""Razorpay's notifications: proved as Razorpay's own SDK proves them, and each read for exactly what it says."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from payments import credentials
from payments.models import OldCredentials, ProviderAccount
from payments.providers import razorpay
from payments.providers.base import Delivery, Event, UnableToRead, UnableToVerify, Verified
from tests.networks.razorpay import ACCOUNT, SECRETS, Razorpay, sdk_accepts, signature_of

FUZZ = examples(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")), deadline=None, suppress_health_check=list(HealthCheck)
)
AT = datetime(2021, 6, 17, 7, 20, 19, tzinfo=UTC)
T = 1_623_914_419  # The same moment.

PAYMENT = {
    "id": "pay_HO2fEpc9JeOQU5",
    "entity": "payment",
    "amount": 20000,
    "currency": "INR",
    "status": "captured",
    "order_id": None,
    "method": "upi",
    "amount_refunded": 0,
    "refund_status": None,
    "captured": True,
    "notes": {"reference": "int_1"},
    "fee": 472,
    "tax": 72,
    "created_at": T,
}
CODE = {
    "id": "qr_HO2e0813YlchUn",
    "entity": "qr_code",
    "usage": "single_use",
    "payment_amount": 20000,
    "status": "active",
    "payments_count_received": 0,
    "notes": {"reference": "int_1"},
    "close_by": str(T),
    "created_at": T - 70,
    "closed_at": None,
    "close_reason": None,
}
ORDER = {
    "id": "order_DESxiijbl9xjDB",
    "entity": "order",
    "amount": 20000,
    "currency": "INR",
    "receipt": "int_1",
    "status": "paid",
    "notes": [],
    "created_at": T - 70,
}
OF_ORDER = {**PAYMENT, "order_id": ORDER["id"], "notes": {"reference": "int_of_somebody_else"}}
REFUND = {
    "id": "rfnd_FS8TWyPrCsa0OB",
    "entity": "refund",
    "amount": 5000,
    "currency": "INR",
    "status": "processed",
    "payment_id": PAYMENT["id"],
    "notes": {"reference": "rfd_1"},
    "receipt": None,
    "created_at": T,
}
REFUNDED = {**PAYMENT, "amount_refunded": 5000, "refund_status": "partial"}
DISPUTE = {
    "id": "disp_EsIAlDcoUr8CaQ",
    "entity": "dispute",
    "payment_id": PAYMENT["id"],
    "amount": 9000,
    "currency": "INR",
    "amount_deducted": 0,
    "respond_by": T + 3600,
    "status": "open",
    "created_at": T - 5,
}
SETTLEMENT = {"id": "setl_Rf8uva1MU98B4l", "entity": "settlement", "amount": 1524, "status": "processed", "fees": 3}


def told(name: str, **entities: Any) -> dict[str, Any]:
    payload = {thing: {"entity": entity} for thing, entity in entities.items()}
    return {"entity": "event", "account_id": ACCOUNT, "event": name, "payload": payload, "created_at": T}


def meaning_of(message: dict[str, Any]) -> Event:
    [event] = razorpay.normalise(ProviderAccount(), Verified("x", json.dumps(message).encode(), "signed"))
    return event


def money(kind: str, **changed: Any) -> Event:
    parts = {"object_id": PAYMENT["id"], "amount": 20000, "currency": "INR", "occurred_at": AT, "fee": 472}
    return Event(**{"kind": kind, **parts, "reference": "int_1", "account": {"account_id": ACCOUNT}, **changed})


def back(kind: str, **changed: Any) -> Event:
    parts = {"object_id": REFUND["id"], "parent_object_id": PAYMENT["id"], "amount": 5000, "fee": None}
    return money(kind, **{**parts, "reference": "rfd_1", **changed})


def contested(kind: str, **changed: Any) -> Event:
    parts = {"object_id": DISPUTE["id"], "parent_object_id": PAYMENT["id"], "amount": 9000, "fee": None}
    return money(kind, **{**parts, "reference": "", **changed})


def nothing(reason: str) -> Event:
    return Event("info", "", 0, "INR", AT, decision="ignore", reason=reason, account={"account_id": ACCOUNT})


# --- What they mean --------------------------------------------------------------------------------------------------

WAITING = {**PAYMENT, "status": "authorized", "captured": False, "fee": None}
FAILED = {**PAYMENT, "status": "failed", "captured": False, "fee": None}
NOT_OURS = "tells of nothing that we book"
CLOSED = {**CODE, "status": "closed", "closed_at": T, "close_reason": "on_demand"}
DUE = datetime(2021, 6, 17, 8, 20, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (told("payment.authorized", payment=WAITING), money("payment.pending", fee=None, final=False)),
        (told("payment.failed", payment=FAILED), money("payment.failed", fee=None, final=False)),
        (told("payment.captured", payment=PAYMENT), money("payment.succeeded")),
        (told("qr_code.credited", payment=PAYMENT, qr_code=CODE), money("payment.succeeded")),
        (told("qr_code.credited", payment={**PAYMENT, "notes": []}, qr_code=CODE), money("payment.succeeded")),
        (told("order.paid", payment=OF_ORDER, order=ORDER), money("payment.succeeded")),
        (
            told("order.paid", payment=OF_ORDER, order={**ORDER, "receipt": None, "notes": {"reference": "int_2"}}),
            money("payment.succeeded", reference="int_2"),
        ),
        (told("refund.created", refund={**REFUND, "status": "pending"}), back("refund.pending", final=False)),
        (told("refund.created", refund=REFUND, payment=REFUNDED), back("refund.succeeded")),
        (told("refund.processed", refund=REFUND, payment=REFUNDED), back("refund.succeeded")),
        (told("refund.processed", refund={**REFUND, "status": "pending"}), back("refund.succeeded")),
        (told("refund.failed", refund={**REFUND, "status": "failed"}), back("refund.failed")),
        (
            told("refund.processed", refund={**REFUND, "notes": [], "receipt": "rfd_2"}),
            back("refund.succeeded", reference="rfd_2"),
        ),
        (
            told("payment.dispute.created", dispute=DISPUTE, payment=PAYMENT),
            contested("dispute.opened", final=False, evidence_due_at=DUE),
        ),
        (
            told("payment.dispute.action_required", dispute={**DISPUTE, "amount": 19000}, payment=PAYMENT),
            contested("dispute.opened", final=False, evidence_due_at=DUE, amount=19000),
        ),
        (
            told("payment.dispute.under_review", dispute={**DISPUTE, "respond_by": None}),
            contested("dispute.opened", final=False),
        ),
        (told("payment.dispute.won", dispute=DISPUTE, payment=WAITING), contested("dispute.won")),
        (
            told("payment.dispute.lost", dispute={**DISPUTE, "amount_deducted": 8000}),
            contested("dispute.lost", amount=8000),
        ),
        (told("payment.dispute.closed", dispute=DISPUTE), contested("dispute.closed")),
        (
            told("settlement.processed", settlement=SETTLEMENT),
            money("payout.paid", object_id=SETTLEMENT["id"], amount=1524, fee=3, reference=""),
        ),
        (
            told("qr_code.closed", qr_code=CLOSED),
            money("payment.closed", object_id=CODE["id"], fee=None),
        ),
        (
            told("qr_code.closed", qr_code={**CLOSED, "close_reason": "paid", "payments_count_received": 1}),
            nothing("closed because it was paid, or not ours"),
        ),
        (
            told("qr_code.closed", qr_code={**CLOSED, "notes": [], "payment_amount": None}),
            nothing("closed because it was paid, or not ours"),
        ),
        (told("qr_code.created", qr_code=CODE), nothing(NOT_OURS)),
        (told("payment_link.paid", payment=PAYMENT), nothing(NOT_OURS)),
        (told("payment.dispute.something_new"), nothing(NOT_OURS)),
    ],
)
def test_every_notification_says_one_thing(message: dict[str, Any], event: Event) -> None:
    assert meaning_of(message) == event


def test_a_payment_that_does_not_say_what_for_is_asked_about() -> None:
    """The notes of a payment for an order are written in the payer's browser: they are never believed."""
    for payment in (OF_ORDER, {**PAYMENT, "notes": []}, {**PAYMENT, "notes": "Beam me up Scotty."}):
        event = meaning_of(told("payment.captured", payment=payment))
        assert (event.decision, event.object_id, event.reference) == ("query", PAYMENT["id"], "")


@pytest.mark.parametrize("reference", ["int_\x00", "\ud800", 7, None, ["int_1"], "x" * 257, "int_1\n"])
def test_notes_that_hold_no_reference_do_not_make_money_unreadable(reference: Any) -> None:
    event = meaning_of(told("payment.captured", payment={**PAYMENT, "notes": {"reference": reference}}))
    assert (event.kind, event.decision, event.reference) == ("payment.succeeded", "query", "")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (told("payment.captured", payment={**PAYMENT, "amount_refunded": 20001}), "more is refunded than was paid"),
        (told("payment.captured", payment={**PAYMENT, "fee": 20001}), "the fee is larger than the payment"),
        (told("payment.captured", payment=WAITING), "captured by its name, and not by its content"),
        (told("payment.captured", payment=FAILED), "captured by its name, and not by its content"),
        (told("order.paid", payment=PAYMENT, order=ORDER), "the payment is of another order"),
        (told("refund.processed", refund={**REFUND, "status": "failed"}), "processed and failed at once"),
        (told("refund.failed", refund=REFUND), "processed and failed at once"),
        (
            told("refund.processed", refund=REFUND, payment={**REFUNDED, "id": "pay_x"}),
            "the refund is of another payment",
        ),
        (
            told("refund.processed", refund=REFUND, payment={**REFUNDED, "amount_refunded": 20001}),
            "more is refunded than was paid",
        ),
        (
            told("payment.dispute.lost", dispute={**DISPUTE, "amount_deducted": 9001}),
            "more is deducted than was contested",
        ),
        (
            told("payment.dispute.won", dispute={**DISPUTE, "amount_deducted": 1}),
            "ended without a loss, and yet something is deducted",
        ),
        (
            told("payment.dispute.created", dispute={**DISPUTE, "amount": 20001}, payment=PAYMENT),
            "more is contested than was paid",
        ),
        (
            told("payment.dispute.created", dispute=DISPUTE, payment={**PAYMENT, "id": "pay_x"}),
            "the dispute is of another payment",
        ),
        (
            told("settlement.processed", settlement={**SETTLEMENT, "status": "failed"}),
            "processed by its name, and not by its content",
        ),
    ],
)
def test_what_contradicts_itself_is_put_aside(message: dict[str, Any], reason: str) -> None:
    event = meaning_of(message)
    assert (event.decision, event.reason) == ("quarantine", reason)


def test_what_was_never_captured_goes_back_without_us() -> None:
    event = meaning_of(told("refund.processed", refund=REFUND, payment={**REFUNDED, "captured": False}))
    assert event.decision == "ignore"


def test_a_changed_speed_has_its_time_inside() -> None:
    message = told("refund.speed_changed", refund={**REFUND, "notes": []}, payment=REFUNDED)
    del message["created_at"]
    message["payload"]["created_at"] = T + 9
    assert meaning_of(message) == back("refund.succeeded", reference="", occurred_at=AT + timedelta(seconds=9))


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "20000"}, {"amount": 200.0}, {"amount": True}, {"amount": 0}, {"amount": -1}, {"amount": 10**16},
        {"currency": "inr"}, {"currency": None}, {"id": "order_1"}, {"id": "pay_\x00"}, {"id": "pay_" + "x" * 41},
        {"created_at": -1}, {"created_at": 10**12}, {"created_at": "١٢٣"}, {"created_at": None},
        {"status": ["captured"]}, {"fee": "1"}, {"amount_refunded": {}},
    ],
)  # fmt: skip
def test_what_has_not_the_form_we_know_is_parked(change: dict[str, Any]) -> None:
    with pytest.raises(UnableToRead):
        meaning_of(told("payment.captured", payment={**PAYMENT, **change}))


# --- Their proof -----------------------------------------------------------------------------------------------------


@pytest.fixture
def network(db: None) -> Iterator[Razorpay]:
    with Razorpay().set() as running:
        yield running


@pytest.fixture
def account(network: Razorpay) -> ProviderAccount:
    return network.account()


def verify(account: ProviderAccount, raw: bytes, signature: str, **headers: str) -> Verified:
    return razorpay.verify(account, Delivery(raw, {"x-razorpay-signature": signature, **headers}), now=timezone.now())


def refusal(account: ProviderAccount, raw: bytes, signature: str) -> str:
    with pytest.raises(UnableToVerify) as failure:
        verify(account, raw, signature)
    assert failure.value.ask == ""
    return failure.value.code


def test_the_same_content_is_one_delivery_whatever_its_unsigned_id(network: Razorpay, account: ProviderAccount) -> None:
    raw, other = network.sample(), network.told("payment.failed", payment=FAILED)
    first = verify(account, raw, signature_of(raw, SECRETS["current"]), **{"x-razorpay-event-id": "evt_1"})
    again = verify(account, raw, signature_of(raw, SECRETS["previous"]), **{"x-razorpay-event-id": "evt_2"})
    forged = verify(account, other, signature_of(other, SECRETS["current"]), **{"x-razorpay-event-id": "evt_1"})
    assert first.delivery_id == again.delivery_id != forged.delivery_id
    assert (first.raw, first.authority, first.headers) == (raw, "signed", {})
    assert first.key_id != again.key_id
    assert len(first.key_id) == 16
    assert first.key_id == forged.key_id


def test_a_refusal_says_why(network: Razorpay, account: ProviderAccount) -> None:
    raw = network.sample()
    right = signature_of(raw, SECRETS["current"])
    assert refusal(account, raw, "") == "signature_missing"
    for wrong in (right.upper(), right[:-1], f" {right}", f"{right}\n", "é", "\ud800", signature_of(raw, "other")):
        assert refusal(account, raw, wrong) == "signature_wrong"
    assert refusal(account, raw + b" ", right) == "signature_wrong"
    for unreadable in (b"", b"[]", b"7", b"{", b"\xff\xfe", '{"a":1}'.encode("utf-16"), b"[" * 100_000, b'"x"'):
        assert refusal(account, unreadable, signature_of(unreadable, SECRETS["current"])) == "body_unreadable"


def test_replaced_secrets_prove_retries_for_a_while(network: Razorpay, account: ProviderAccount) -> None:
    raw, now = network.sample(), timezone.now()
    right = signature_of(raw, "an-old-secret")
    assert refusal(account, raw, right) == "signature_wrong"
    sealed = credentials.sealed({**network.credentials(), "webhook_secrets": "an-old-secret"})
    old = OldCredentials.objects.create(
        provider_account=account, sealed_credentials=sealed, replaced_at=now, accepted_until=now + timedelta(hours=1)
    )
    assert verify(account, raw, right).raw == raw
    OldCredentials.objects.filter(id=old.id).update(accepted_until=now - timedelta(seconds=1))
    assert refusal(account, raw, right) == "signature_wrong"


_TEXT = st.text(st.characters(codec="utf-8"))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_TAMPERED: list[Callable[[bytes], bytes]] = [
    lambda raw: raw,
    lambda raw: raw[:-1],
    lambda raw: raw + b"\n",
    lambda raw: json.dumps(json.loads(raw), indent=1).encode(),
    lambda raw: raw.replace(b"1", b"2"),
]


@FUZZ
@given(
    body=st.dictionaries(_TEXT, _JSON, max_size=5),
    tampered=st.sampled_from(_TAMPERED),
    secret=st.sampled_from([*SECRETS.values(), ""]),
    spoiled=st.sampled_from([str, str.upper, lambda s: s[1:], lambda s: s + "0", lambda s: s[::-1]]),
)
def test_we_prove_what_the_sdk_proves_and_nothing_else(
    account: ProviderAccount,
    body: dict[str, Any],
    tampered: Callable[[bytes], bytes],
    secret: str,
    spoiled: Callable[[str], str],
) -> None:
    signed = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    raw, signature = tampered(signed), spoiled(signature_of(signed, secret))
    theirs = any(sdk_accepts(raw, signature, SECRETS[key]) for key in ("current", "previous"))
    try:
        ours = verify(account, raw, signature).raw == raw
    except UnableToVerify:
        ours = False
    assert ours == theirs


# --- Whatever comes --------------------------------------------------------------------------------------------------

GENUINE: list[dict[str, Any]] = [
    told("payment.captured", payment=PAYMENT),
    told("order.paid", payment=OF_ORDER, order=ORDER),
    told("qr_code.credited", payment=PAYMENT, qr_code=CODE),
    told("refund.processed", refund=REFUND, payment=REFUNDED),
    told("payment.dispute.created", dispute=DISPUTE, payment=PAYMENT),
    told("qr_code.closed", qr_code=CLOSED),
    told("settlement.processed", settlement=SETTLEMENT),
    {"sources": [{"order": ORDER, "payments": [OF_ORDER], "given_up": True}], "refunds": [REFUND], "asked_at": T},
    {"sources": [{"qr_code": CLOSED, "payments": [WAITING]}], "refunds": []},
    {"refund": {**REFUND, "status": "failed"}, "asked_at": T},
    {"refused": "no", "payment": PAYMENT["id"], "reference": "rfd_1", "amount": 1, "currency": "INR", "at": T},
    {"unknown": {"reference": "int_1", "amount": 1, "currency": "INR"}, "at": T},
]
_STRANGE = _JSON | st.floats() | st.sampled_from([10**4000, "\ud800", "x" * 5000, {"entity": []}, {"entity": None}])


def _places(thing: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    return [path, *(place for key, value in inner for place in _places(value, (*path, key)))]


@st.composite
def _spoiled(draw: st.DrawFn) -> bytes:
    """A genuine message with one or more of its parts replaced or gone, or bytes that are no message."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    message = {"whole": copy.deepcopy(draw(st.sampled_from(GENUINE)))}
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([place for place in _places(message) if place]))
        holder: Any = message
        for key in place[:-1]:
            holder = holder[key]
        if draw(st.booleans()) or len(place) == 1:
            holder[place[-1]] = copy.deepcopy(draw(_STRANGE))
        else:
            del holder[place[-1]]
    raw = json.dumps(message["whole"]).encode()
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 9)) == 0 else raw


@FUZZ
@given(raw=_spoiled(), secret=st.sampled_from([*SECRETS.values()]), answer=st.booleans())
def test_whatever_comes_ends_in_a_declared_way(account: ProviderAccount, raw: bytes, secret: str, answer: bool) -> None:
    signature, proved = signature_of(raw, secret), None
    try:
        proved = verify(account, raw, signature)
    except UnableToVerify as failure:
        assert failure.code == ("signature_wrong" if secret == SECRETS["other"] else "body_unreadable")
    assert proved is None or (secret != SECRETS["other"] and sdk_accepts(raw, signature, secret))
    try:
        events = razorpay.normalise(account, Verified("x", raw, "queried" if answer else "signed"))
    except UnableToRead:
        return
    for event in events:
        assert event.occurred_at.tzinfo is UTC
        assert event.amount > 0 or event.decision == "ignore"
        assert (event.object_id + event.reference).isprintable()
