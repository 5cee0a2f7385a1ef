"""Stripe's module against a stateful stand-in for its API, and against Stripe's own SDK on what is signed and sent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe as sdk
from django.conf import settings
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from merchants import ids
from payments import credentials, inbox
from payments.models import OldCredentials, Payment, PaymentIntent, ProviderAccount, Refund, WebhookEvent
from payments.providers import named, stripe
from payments.providers.base import (
    Delivery,
    Event,
    ProviderError,
    Ref,
    StatementRow,
    UnableToVerify,
    Unauthorised,
    Verified,
    Visit,
)
from tests.networks.stripe import Stripe
from tests.settlement_files import rows_of_day

FUZZED = examples(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
BACK = Visit("https://pay.example/r/receipt")


@pytest.fixture
def network(db: None) -> Iterator[Stripe]:
    with Stripe().set() as running:
        yield running


@pytest.fixture
def account(network: Stripe) -> ProviderAccount:
    return network.account()


def expected(amount: int = 250, currency: str = "USD", **fields: Any) -> PaymentIntent:
    now = timezone.now()
    return PaymentIntent(
        id=ids.new(),
        amount=amount,
        currency=currency,
        description="Apples",
        created_at=now,
        expires_at=now + settings.INTENT_LIFE,
        **fields,
    )


def started(account: ProviderAccount, amount: int = 250, currency: str = "USD") -> PaymentIntent:
    intent = expected(amount, currency)
    intent.provider_object_id = stripe.start(account, intent, BACK).object_id
    return intent


def ref(intent: PaymentIntent) -> Ref:
    return Ref(intent.reference, intent.provider_object_id, intent.created_at)


def asked_back(payment_id: str, amount: int, currency: str = "USD") -> Refund:
    return Refund(id=ids.new(), payment=Payment(object_id=payment_id), amount=amount, currency=currency)


def meaning(verified: Verified) -> Sequence[Event]:
    return stripe.normalise(ProviderAccount(), verified)


def at(thing: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(thing["created"], UTC)


# --- Starting --------------------------------------------------------------------------------------------------------


def test_a_session_is_what_the_sdk_itself_would_have_asked_for(network: Stripe, account: ProviderAccount) -> None:
    intent = expected()
    begun = stripe.start(account, intent, BACK)
    assert named("stripe").__dict__["__name__"] == "payments.providers.stripe"
    assert begun.redirect_url == f"https://checkout.stripe.com/c/pay/{begun.object_id}"
    assert network.session(intent.reference)["amount_total"] == 250
    # Under the same key the network takes the same parameters only, and repeats its answer.
    by_sdk = sdk.StripeClient(network.secret_key, base_addresses={"api": network.url}).v1.checkout.sessions.create(
        {
            "mode": "payment",
            "client_reference_id": intent.reference,
            "metadata": {"reference": intent.reference},
            "payment_intent_data": {"metadata": {"reference": intent.reference}},
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {"currency": "usd", "unit_amount": 250, "product_data": {"name": "Apples"}},
                }
            ],
            "adaptive_pricing": {"enabled": False},
            "expires_at": int((intent.expires_at + timedelta(minutes=35)).timestamp()),
            "success_url": BACK.return_url,
            "cancel_url": BACK.return_url,
        },
        {"idempotency_key": intent.reference},
    )
    assert (by_sdk.id, by_sdk.url) == (begun.object_id, begun.redirect_url)
    assert len(network.listed("cs")) == 1


def test_a_start_that_is_asked_again_is_answered_with_the_same_session(
    network: Stripe, account: ProviderAccount
) -> None:
    intent = expected()
    first = stripe.start(account, intent, BACK)
    assert stripe.start(account, intent, BACK) == first
    # At the last moment of its intent, too, a session may begin that ends when Stripe lets it.
    late = expected()
    late.created_at, late.expires_at = timezone.now() - settings.INTENT_LIFE, timezone.now()
    assert stripe.start(account, late, BACK).object_id != first.object_id


@pytest.mark.parametrize(
    ("currency", "ours", "theirs"),
    [
        ("USD", 250, 250),
        ("JPY", 500, 500),
        ("KWD", 1230, 1230),
        ("UGX", 5, 500),
        ("ISK", 40, 4000),
        ("MGA", 700, 7),
        ("HUF", 1000, 1000),
        ("TWD", 80045, 80045),
    ],
)
def test_amounts_are_counted_as_stripe_counts_them(
    network: Stripe, account: ProviderAccount, currency: str, ours: int, theirs: int
) -> None:
    intent = started(account, ours, currency)
    session = network.session(intent.reference)
    assert (session["amount_total"], session["currency"]) == (theirs, currency.lower())
    network.pay(intent.reference)
    [event] = meaning(stripe.query(account, ref(intent)))
    assert (event.amount, event.currency) == (ours, currency)


@pytest.mark.parametrize(("currency", "amount"), [("KWD", 1234), ("MGA", 750), ("XAU", 1)])
def test_an_amount_that_stripe_cannot_express_is_never_asked_for(
    network: Stripe, account: ProviderAccount, currency: str, amount: int
) -> None:
    with pytest.raises(ProviderError) as refusal:
        stripe.start(account, expected(amount, currency), BACK)
    assert refusal.value.permanent
    with pytest.raises(ProviderError):
        stripe.refund(account, asked_back("pi_1", amount, currency), "pi_1")
    assert [call.method for call in network.calls] == ["GET"]  # Only looked for among the refunds made.


@pytest.mark.parametrize("answer", [{"id": None, "url": "https://checkout.stripe.com/c"}, {"id": "cs_1", "url": None}])
def test_a_session_without_id_or_address_is_no_start(
    network: Stripe, account: ProviderAccount, answer: dict[str, Any]
) -> None:
    intent = expected()
    stripe.start(account, intent, BACK)
    kept, response = network.keys[intent.reference]
    network.keys[intent.reference] = (kept, replace(response, body=json.dumps(answer).encode()))
    with pytest.raises(ProviderError, match="form") as refusal:
        stripe.start(account, intent, BACK)
    assert not refusal.value.permanent


def test_a_call_that_another_one_is_still_making_passes(network: Stripe, account: ProviderAccount) -> None:
    intent = expected()
    stripe.start(account, intent, BACK)
    kept, response = network.keys[intent.reference]
    network.keys[intent.reference] = (kept, replace(response, status=409, body=b"in use"))
    with pytest.raises(ProviderError, match="409") as refusal:
        stripe.start(account, intent, BACK)
    assert not refusal.value.permanent


# --- Closing and asking ----------------------------------------------------------------------------------------------


def test_an_open_session_is_closed_and_a_paid_one_says_so(network: Stripe, account: ProviderAccount) -> None:
    unpaid, paid = started(account), started(account, 300)
    [closed] = meaning(stripe.close(account, unpaid))
    assert (closed.kind, closed.reference, closed.amount, closed.final) == (
        "payment.closed",
        unpaid.reference,
        250,
        True,
    )
    assert closed.object_id == unpaid.provider_object_id
    assert network.session(unpaid.reference)["status"] == "expired"
    assert meaning(stripe.close(account, unpaid)) == [closed]
    payment = network.pay(paid.reference)
    [received] = meaning(stripe.close(account, paid))
    assert (received.kind, received.object_id, received.amount) == ("payment.succeeded", payment, 300)


def test_a_session_whose_answer_was_lost_is_found_by_its_reference(network: Stripe, account: ProviderAccount) -> None:
    network.losing = "POST /v1/checkout/sessions"
    intent = expected()
    with pytest.raises(ProviderError):
        stripe.start(account, intent, BACK)
    network.losing, network.page_max = "", 2
    for _ in range(4):
        started(account)
    [asked] = meaning(stripe.query(account, ref(intent)))
    assert (asked.kind, asked.reference) == ("payment.pending", intent.reference)
    [closed] = meaning(stripe.close(account, intent))
    assert (closed.kind, closed.object_id) == ("payment.closed", network.session(intent.reference)["id"])


def test_what_was_never_started_is_closed_and_unknown(network: Stripe, account: ProviderAccount) -> None:
    started(account)
    never = expected(250, "UGX")
    assert meaning(stripe.query(account, ref(never))) == []
    assert meaning(stripe.query(account, Ref(never.reference, "cs_test_unknown", never.created_at))) == []
    for object_id in ("", "cs_test_unknown"):
        never.provider_object_id = object_id
        [closed] = meaning(stripe.close(account, never))
        assert (closed.kind, closed.reference, closed.amount, closed.currency) == (
            "payment.closed", never.reference, 250, "UGX",
        )  # fmt: skip


def test_what_was_paid_is_asked_about_with_its_fee_refunds_and_disputes(
    network: Stripe, account: ProviderAccount
) -> None:
    intent = started(account, 1000)
    [waiting] = meaning(stripe.query(account, ref(intent)))
    assert (waiting.kind, waiting.final) == ("payment.pending", False)
    payment = network.pay(intent.reference)
    back = network.refund_at_desk(payment, 300)
    paid, refunded = meaning(stripe.query(account, ref(intent)))
    assert paid == Event(
        kind="payment.succeeded",
        object_id=payment,
        amount=1000,
        currency="USD",
        occurred_at=at(network.things[payment]),
        reference=intent.reference,
        fee=59,
    )
    assert refunded == Event(
        kind="refund.succeeded",
        object_id=back,
        parent_object_id=payment,
        amount=300,
        currency="USD",
        occurred_at=at(network.things[back]),
        final=False,
    )
    network.dispute(payment, "opened")
    dispute = network.listed("du")[0]
    *_, opened = meaning(stripe.query(account, ref(intent)))
    assert (opened.kind, opened.occurred_at, opened.evidence_due_at) == (
        "dispute.opened", at(dispute), datetime.fromtimestamp(dispute["evidence_details"]["due_by"], UTC),
    )  # fmt: skip
    assert stripe.query(account, ref(intent)).delivery_id == stripe.query(account, ref(intent)).delivery_id
    network.dispute(payment, "lost")
    *_, lost = meaning(stripe.query(account, ref(intent)))
    assert (lost.kind, lost.amount, lost.final) == ("dispute.lost", 1000, True)
    assert lost.occurred_at > at(dispute)  # It ended before we asked; when, the object does not say.
    assert meaning(stripe.query(account, Ref(object_id=payment)))[0] == paid


def test_refused_keys_are_told_apart(network: Stripe, account: ProviderAccount) -> None:
    for _ in range(12):  # However many sessions there are, a question without a time is one call.
        started(account)
    network.page_max = 10
    assert meaning(stripe.query(account, Ref("int_nothing"))) == []
    network.secret_key = "sk_test_changed"
    with pytest.raises(Unauthorised) as refusal:
        stripe.query(account, Ref("int_nothing"))
    assert credentials.of(account)["secret_key"] not in str(refusal.value)


# --- Money back ------------------------------------------------------------------------------------------------------


def test_a_refund_whose_answer_was_lost_is_made_once(network: Stripe, account: ProviderAccount) -> None:
    intent = started(account, 1000)
    payment = network.pay(intent.reference)
    refund = asked_back(payment, 400)
    network.losing = "POST /v1/refunds"
    with pytest.raises(ProviderError) as lost:
        stripe.refund(account, refund, payment)
    assert not lost.value.permanent
    network.losing, network.page_max = "", 1
    network.refund_at_desk(payment, 100)
    network.keys.clear()  # Stripe forgets an idempotency key after a day.
    [answer] = meaning(stripe.refund(account, refund, payment))
    assert (answer.kind, answer.reference, answer.amount, answer.parent_object_id) == (
        "refund.succeeded", refund.reference, 400, payment,
    )  # fmt: skip
    assert sum(thing["amount"] for thing in network.listed("re")) == 500


def test_a_refund_is_answered_as_it_stands_now(network: Stripe, account: ProviderAccount) -> None:
    payment = network.pay(started(account, 1000).reference)
    refund = asked_back(payment, 400)
    network.refunds_become = "pending"
    [pending] = meaning(stripe.refund(account, refund, payment))
    assert (pending.kind, pending.final) == ("refund.pending", False)
    network.fail_refund(pending.object_id)
    [failed] = meaning(stripe.refund(account, refund, payment))
    assert (failed.kind, failed.object_id, failed.final) == ("refund.failed", pending.object_id, True)
    assert failed.occurred_at == pending.occurred_at + timedelta(seconds=2)


@pytest.mark.parametrize("why", ["all is refunded", "more than is left", "contested"])
def test_stripes_final_no_is_an_answer(network: Stripe, account: ProviderAccount, why: str) -> None:
    payment = network.pay(started(account, 1000).reference)
    if why == "contested":
        network.dispute(payment, "opened")
    else:
        network.refund_at_desk(payment, 1000 if why == "all is refunded" else 700)
    before = len(network.listed("re"))
    refund = asked_back(payment, 400)
    [refused] = meaning(stripe.refund(account, refund, payment))
    assert (refused.kind, refused.reference, refused.parent_object_id, refused.amount, refused.currency) == (
        "refund.failed", refund.reference, payment, 400, "USD",
    )  # fmt: skip
    assert len(network.listed("re")) == before


def test_another_no_to_a_refund_is_for_a_person(network: Stripe, account: ProviderAccount) -> None:
    payment = network.pay(started(account, 1000).reference)
    refund = asked_back(payment, 400)
    stripe.refund(account, refund, payment)
    network.things.pop(network.listed("re")[0]["id"])
    refund.amount = 300  # The same key with another amount.
    with pytest.raises(ProviderError, match="idempotent") as refusal:
        stripe.refund(account, refund, payment)
    assert refusal.value.permanent


# --- The day's rows --------------------------------------------------------------------------------------------------


def test_the_day_is_read_row_by_row_over_pages(network: Stripe, account: ProviderAccount) -> None:
    intent = started(account, 1000)
    payment = network.pay(intent.reference)
    refund = asked_back(payment, 400)
    network.page_max = 2
    stripe.refund(account, refund, payment)
    network.dispute(payment, "opened")
    network.made("txn", amount=-200, currency="usd", fee=0, net=-200, source=None, type="stripe_fee")
    dispute, back = network.listed("du")[0]["id"], network.listed("re")[0]["id"]
    rows = list(rows_of_day(account, timezone.now().astimezone(UTC).date()))
    moments = [at(thing) for thing in network.listed("txn")]
    fee = network.listed("txn")[0]["id"]
    assert rows == [
        StatementRow("fee", fee, "", -200, 0, "USD", moments[0]),
        StatementRow("chargeback", dispute, "", -1000, 1500, "USD", moments[1], parent_object_id=payment),
        StatementRow("refund", back, refund.reference, -400, 0, "USD", moments[2], parent_object_id=payment),
        StatementRow("payment", payment, intent.reference, 1000, 59, "USD", moments[3]),
    ]
    assert list(rows_of_day(account, timezone.now().date() - timedelta(days=3))) == []


def test_a_row_that_does_not_add_up_spoils_the_day(network: Stripe, account: ProviderAccount) -> None:
    assert network.pay(started(account).reference) != network.pay(started(account).reference)
    network.listed("txn")[0]["net"] += 1
    with pytest.raises(ProviderError, match="add up"):
        next(rows_of_day(account, timezone.now().astimezone(UTC).date()))


# --- Proving ---------------------------------------------------------------------------------------------------------


def ours_takes(account: ProviderAccount, delivery: Delivery, now: datetime) -> bool:
    try:
        stripe.verify(account, delivery, now=now)
    except UnableToVerify:
        return False
    return True


def sdk_takes(network: Stripe, delivery: Delivery) -> bool:
    for secret in (network.secrets["current"], network.secrets["previous"]):
        try:
            sdk.WebhookSignature.verify_header(delivery.raw, delivery.headers["stripe-signature"], secret, 300)
        except (sdk.SignatureVerificationError, TypeError):
            continue
        return True
    return False


@given(data=st.data())
@FUZZED
def test_we_take_what_the_sdk_takes_but_for_the_future(
    network: Stripe, account: ProviderAccount, data: st.DataObject
) -> None:
    """Good, tampered, stale, rotated, re-serialised, and headers put together in every way."""
    now, raw = timezone.now(), network.sample()
    age_s = data.draw(st.sampled_from([0, 10, 240, 310, 9000, -10, -240, -310, -9000]))
    key = data.draw(st.sampled_from(["current", "current", "previous", "other"]))
    genuine = network.sign(raw, at=now - timedelta(seconds=age_s), key=key)  # type: ignore[arg-type]
    moment, good = (part.split("=")[1] for part in genuine.headers["stripe-signature"].split(","))
    pieces = [
        f"t={moment}", f"t={int(moment) - 1}", f"v1={good}", f"v1={good.upper()}", f"v1={'0' * 64}", f"v0={good}",
        f" v1={good}", f"v1= {good}", f"v1={good}=", f"V1={good}", "v1=e", "v1", "t", "", "v1=",
    ]  # fmt: skip
    usual = st.just([pieces[0], pieces[2]])
    chosen = data.draw(usual | st.lists(st.sampled_from(pieces), max_size=5) | st.permutations(pieces[:6]))
    reserialised = json.dumps(json.loads(raw), separators=(",", ":")).encode()
    body = data.draw(st.sampled_from([raw, raw, raw, reserialised, raw + b" ", raw[:-1], raw.replace(b"700", b"900")]))
    delivery = Delivery(body, {"stripe-signature": data.draw(st.sampled_from([",", ",", ", "])).join(chosen)})
    in_future = age_s < -300  # The SDK takes it, and we do not: the window is meant both ways.
    assert ours_takes(account, delivery, now) == (sdk_takes(network, delivery) and not in_future)


@pytest.mark.parametrize("form", ["t=+{}", "t= {}", "t=0{}", "t={}_0"])
def test_only_stripes_own_form_of_a_time_is_read(network: Stripe, account: ProviderAccount, form: str) -> None:
    """`int` in the SDK is more lenient than anything that Stripe sends."""
    now, raw = timezone.now(), network.sample()
    header = network.sign(raw, at=now).headers["stripe-signature"]
    moment = header.split(",")[0].removeprefix("t=")
    with pytest.raises(UnableToVerify) as refusal:
        odd = header.replace(f"t={moment}", form.format(moment))
        stripe.verify(account, Delivery(raw, {"stripe-signature": odd}), now=now)
    assert refusal.value.code == "signature_malformed"


def test_the_window_is_five_minutes_to_the_second(network: Stripe, account: ProviderAccount) -> None:
    now, raw = timezone.now().replace(microsecond=0), network.sample()
    for age_s, taken in [(300, True), (301, False), (-300, True), (-301, False)]:
        assert ours_takes(account, network.sign(raw, at=now - timedelta(seconds=age_s)), now) is taken, age_s
    for headers, code in [({}, "signature_missing"), ({"stripe-signature": "t=1,v0=aa"}, "signature_missing")]:
        with pytest.raises(UnableToVerify) as refusal:
            stripe.verify(account, Delivery(raw, headers), now=now)
        assert refusal.value.code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.no_meter_found"}', "thin_event"),
        (b'{"id": "pi_1", "object": "payment_intent"}', "not_an_event"),
        (b'{"id": "evt_\\u0000", "object": "event"}', "not_an_event"),
        (b'{"id": 1, "object": "event"}', "not_an_event"),
        (b"[]", "not_an_event"),
        (b"[" * 100_000, "not_an_event"),
        (b"", "not_an_event"),
    ],
)
def test_what_is_signed_but_no_event_is_refused(
    network: Stripe, account: ProviderAccount, body: bytes, code: str
) -> None:
    with pytest.raises(UnableToVerify) as refusal:
        stripe.verify(account, network.sign(body, at=timezone.now()), now=timezone.now())
    assert refusal.value.code == code


def test_a_replaced_secret_proves_until_its_time_is_over(network: Stripe, account: ProviderAccount) -> None:
    now, delivery = timezone.now(), network.sign(network.sample(), at=timezone.now())
    replaced = credentials.of(account)
    account.sealed_credentials = credentials.sealed({**replaced, "webhook_secrets": "whsec_new"})
    account.save()
    assert not ours_takes(account, delivery, now)
    old = OldCredentials.objects.create(
        provider_account=account,
        sealed_credentials=credentials.sealed(replaced),
        replaced_at=now,
        accepted_until=now + timedelta(hours=1),
    )
    header = delivery.headers["stripe-signature"]
    verified = stripe.verify(account, Delivery(delivery.raw, {"stripe-signature": f"v1=é,{header},v0=\0"}), now=now)
    assert verified.headers == {"stripe-signature": header}
    assert (verified.authority, verified.delivery_id) == ("signed", json.loads(delivery.raw)["id"])
    assert network.secrets["current"] not in verified.key_id
    old.delete()
    assert not ours_takes(account, delivery, now)


def test_what_is_not_proved_leaves_no_trace(network: Stripe, account: ProviderAccount) -> None:
    forged = network.sign(network.sample(), at=timezone.now(), key="other")
    with pytest.raises(inbox.UnableToReceive) as refusal:
        inbox.receive(provider="stripe", account=account.name, delivery=forged, now=timezone.now())
    assert (refusal.value.status, refusal.value.code) == (400, "signature_wrong")
    assert not WebhookEvent.objects.exists()
    assert (stripe.acknowledge().status, stripe.acknowledge().body, stripe.acknowledge("x").status) == (200, b"", 400)
