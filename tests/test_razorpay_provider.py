"""Razorpay's client against a stand-in for it: starting, closing, asking, refunding, and what is lost on the way."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from django.utils import timezone

from merchants import ids
from payments import asking, checkout, inbox, reconcile
from payments.checkout import Browser
from payments.models import Payment, PaymentIntent, ProviderAccount, QueuedEvent, Refund
from payments.providers import razorpay
from payments.providers.base import Delivery, Event, ProviderError, Ref, Started, Unauthorised, Verified, Visit
from tests.cast import Person
from tests.networks.razorpay import Razorpay
from tests.till import assert_books_hold, expect, shop_code

HOME = "https://pay.example/r/receipt"
COMPUTER, PHONE = Visit(HOME), Visit(HOME, place="phone")


@pytest.fixture
def network(db: None) -> Iterator[Razorpay]:
    with Razorpay().set() as running:
        yield running


@pytest.fixture
def account(network: Razorpay) -> ProviderAccount:
    return network.account()


@pytest.fixture
def intent(account: ProviderAccount, arjun: Person) -> PaymentIntent:
    """Tea for 47 rupees, of which Razorpay knows nothing yet."""
    now = timezone.now()
    return PaymentIntent(
        id=ids.new(),
        shop=arjun.shop,
        provider_account=account,
        amount=4700,
        currency="INR",
        description="Masala chai",
        created_at=now,
        expires_at=now + timedelta(minutes=15),
    )


def meaning_of(verified: Verified) -> list[tuple[str, str, int, str, bool]]:
    return [(e.kind, e.object_id, e.amount, e.reference, e.final) for e in events_of(verified)]


def events_of(verified: Verified) -> list[Event]:
    return list(razorpay.normalise(ProviderAccount(), verified))


def ref_of(intent: PaymentIntent) -> Ref:
    return Ref(intent.reference, intent.provider_object_id, intent.created_at)


def started(intent: PaymentIntent, visit: Visit = COMPUTER) -> Started:
    """Starts it, and remembers as what."""
    begun = razorpay.start(intent.provider_account, intent, visit)
    intent.provider_object_id = begun.object_id
    return begun


# --- Starting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("visit", [COMPUTER, PHONE, Visit(HOME, place="own_app")])
def test_a_code_is_made_once_and_handed_over_to_scan_or_to_open(
    network: Razorpay, intent: PaymentIntent, visit: Visit
) -> None:
    first, again = started(intent, visit), started(intent, visit)
    [code] = network.codes.values()
    content = code["image_content"]
    assert first == again == Started(object_id=code["id"], qr=content, app_url=content)
    assert content.startswith("upi://pay?")
    assert (code["payment_amount"], code["usage"], code["fixed_amount"]) == (4700, "single_use", True)
    assert (code["name"], code["description"]) == ("Arjun's tea", "Masala chai")
    assert code["notes"] == {"reference": intent.reference}
    assert network.orders == {}


def test_a_code_stays_open_as_long_as_the_intent_and_never_shorter_than_razorpay_allows(
    network: Razorpay, intent: PaymentIntent
) -> None:
    started(intent)
    later = copy.copy(intent)
    later.id, later.expires_at = ids.new(), timezone.now() + timedelta(hours=2)
    started(later)
    short, long = network.codes.values()
    assert 900 < short["close_by"] - timezone.now().timestamp() < 1000
    assert long["close_by"] == int(later.expires_at.timestamp())


def test_without_the_content_of_codes_a_computer_is_sent_to_its_picture(
    network: Razorpay, intent: PaymentIntent
) -> None:
    network.image_content = False
    begun = started(intent)
    [code] = network.codes.values()
    assert begun == Started(object_id=code["id"], redirect_url=code["image_url"])
    assert begun.redirect_url.startswith("https://rzp.io/")


@pytest.mark.parametrize("picture", ["https://rzp.io.example/i/x", "javascript:alert(1)", "https://[", None, 7])
def test_nobody_is_sent_to_a_picture_of_somebody_else(network: Razorpay, intent: PaymentIntent, picture: Any) -> None:
    network.image_content = False
    started(intent)
    next(iter(network.codes.values()))["image_url"] = picture
    with pytest.raises(ProviderError, match="neither content nor a picture"):
        started(intent)


def test_without_the_content_of_codes_a_phone_is_posted_to_the_hosted_page(
    network: Razorpay, intent: PaymentIntent
) -> None:
    network.image_content = False
    first, again = started(intent, PHONE), started(intent, PHONE)
    [order] = network.orders.values()
    assert first == again
    assert first.object_id == order["id"]
    assert (order["amount"], order["currency"], order["receipt"]) == (4700, "INR", intent.reference)
    assert first.redirect_url == f"{network.url}/v1/checkout/embedded"
    assert first.form == {
        "key_id": "rzp_test_1DP5mmOlF5G5ag",
        "order_id": order["id"],
        "amount": "4700",
        "currency": "INR",
        "name": "Arjun's tea",
        "description": "Masala chai",
        "callback_url": HOME,
        "cancel_url": HOME,
    }
    # The code that turned out to be of no use on a phone can be paid no more.
    assert [code["status"] for code in network.codes.values()] == ["closed"]


@pytest.mark.parametrize(("visit", "content"), [(COMPUTER, True), (PHONE, True), (PHONE, False)])
def test_a_start_whose_answer_was_lost_is_found_again(
    network: Razorpay, intent: PaymentIntent, visit: Visit, content: bool
) -> None:
    network.image_content, network.lose = content, 1
    with pytest.raises(ProviderError):
        started(intent, visit)
    begun = started(intent, visit)
    assert begun.object_id in {*network.codes, *network.orders}
    open_codes = [code for code in network.codes.values() if code["status"] == "active"]
    assert len(open_codes) + len(network.orders) == 1
    assert len(network.codes) == 1


def test_an_order_whose_answer_was_lost_is_not_made_twice(network: Razorpay, intent: PaymentIntent) -> None:
    network.image_content = False
    code = started(intent).object_id
    network.codes[code] |= {"status": "closed", "close_reason": "on_demand"}
    network.lose = 2  # First what closes the code, which is refused, and so answered; then the order.
    with pytest.raises(ProviderError):
        started(intent, PHONE)
    network.lose = 0
    assert started(intent, PHONE).object_id in network.orders
    assert len(network.orders) == 1


def test_the_code_of_an_intent_is_found_among_many(network: Razorpay, intent: PaymentIntent) -> None:
    mine = started(intent)
    network.crowd(130)  # The newest come first: ours is on the second page.
    assert started(intent) == mine
    assert len(network.codes) == 131
    network.crowd(500)
    network.calls.clear()
    assert started(intent).object_id not in {mine.object_id, ""}  # Not looked for without end, and nobody saw it.
    assert network.calls == ["GET /v1/payments/qr_codes"] * 5 + ["POST /v1/payments/qr_codes"]


@pytest.mark.parametrize(
    "refused", [(401, "Authentication failed"), (400, "The api key provided is invalid"), (403, "not allowed")]
)
def test_wrong_keys_are_told_as_such(network: Razorpay, intent: PaymentIntent, refused: tuple[int, str]) -> None:
    network.key_refused = refused
    for call in (lambda: started(intent), lambda: razorpay.query(intent.provider_account, ref_of(intent))):
        with pytest.raises(Unauthorised) as failure:
            call()
        assert "thisissupersecret" not in str(failure.value)
    assert network.codes == {}


# --- Closing and asking ----------------------------------------------------------------------------------------------


def test_a_code_is_closed_and_says_so_again(network: Razorpay, intent: PaymentIntent) -> None:
    code = started(intent).object_id
    first, again = (razorpay.close(intent.provider_account, intent) for _ in range(2))
    assert meaning_of(first) == [("payment.closed", code, 4700, intent.reference, True)]
    assert first.delivery_id == again.delivery_id
    assert network.codes[code]["close_reason"] == "on_demand"


def test_closing_what_was_paid_before_tells_of_the_payment(network: Razorpay, intent: PaymentIntent) -> None:
    started(intent)
    paid = network.pay(intent.reference)
    told = meaning_of(razorpay.close(intent.provider_account, intent))
    assert told == [("payment.succeeded", paid, 4700, intent.reference, True)]


def test_an_unpaid_order_is_given_up_because_it_cannot_be_closed(network: Razorpay, intent: PaymentIntent) -> None:
    network.image_content = False
    order = started(intent, PHONE).object_id
    asked = meaning_of(razorpay.query(intent.provider_account, ref_of(intent)))
    assert asked == [("payment.pending", order, 4700, intent.reference, False)]
    closed = meaning_of(razorpay.close(intent.provider_account, intent))
    assert closed == [("payment.closed", order, 4700, intent.reference, True)]
    paid = network.pay(intent.reference)
    late = meaning_of(razorpay.close(intent.provider_account, intent))
    assert late == [("payment.succeeded", paid, 4700, intent.reference, True)]


def test_what_was_never_started_is_closed_and_unknown(network: Razorpay, intent: PaymentIntent) -> None:
    assert meaning_of(razorpay.close(intent.provider_account, intent)) == [
        ("payment.closed", "", 4700, intent.reference, True)
    ]
    for ref in (ref_of(intent), Ref(object_id="qr_nothere"), Ref(object_id="pay_nothere"), Ref(object_id="disp_x")):
        assert meaning_of(razorpay.query(intent.provider_account, ref)) == []
    assert network.codes == {}


def test_an_intent_is_asked_about_by_its_reference_when_its_start_was_lost(
    network: Razorpay, intent: PaymentIntent
) -> None:
    network.lose = 1
    with pytest.raises(ProviderError):
        started(intent)
    [code] = network.codes
    assert meaning_of(razorpay.query(intent.provider_account, ref_of(intent))) == [
        ("payment.pending", code, 4700, intent.reference, False)
    ]
    paid = network.pay(intent.reference)
    back = network.refund_at_desk(paid, 700)
    answer = razorpay.query(intent.provider_account, ref_of(intent))
    assert answer.authority == "queried"
    assert meaning_of(answer) == [
        ("payment.succeeded", paid, 4700, intent.reference, True),
        ("refund.succeeded", back, 700, "", True),
    ]


def test_a_failed_or_waiting_payment_is_no_end(network: Razorpay, intent: PaymentIntent) -> None:
    code = started(intent).object_id
    waiting, failed = network.receive(4700), network.receive(4700)
    network.scanned |= {waiting["id"]: code, failed["id"]: code}
    waiting |= {"status": "authorized", "captured": False}
    failed |= {"status": "failed", "captured": False}
    assert meaning_of(razorpay.query(intent.provider_account, ref_of(intent))) == [
        ("payment.pending", waiting["id"], 4700, intent.reference, False),
        ("payment.failed", failed["id"], 4700, intent.reference, False),
        ("payment.pending", code, 4700, intent.reference, False),
    ]


@pytest.mark.parametrize("visit", [COMPUTER, PHONE])
def test_a_payment_is_asked_about_by_its_id(network: Razorpay, intent: PaymentIntent, visit: Visit) -> None:
    network.image_content = False
    started(intent, visit)
    paid = network.pay(intent.reference)
    network.payments[paid]["notes"] = []
    [event] = events_of(razorpay.query(intent.provider_account, Ref(object_id=paid)))
    assert (event.kind, event.reference, event.amount, event.fee) == ("payment.succeeded", intent.reference, 4700, 110)
    stray = network.receive(900)
    assert meaning_of(razorpay.query(intent.provider_account, Ref(object_id=stray["id"]))) == [
        ("payment.succeeded", stray["id"], 900, "", True)
    ]


# --- Refunds ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def paid(network: Razorpay, intent: PaymentIntent) -> str:
    started(intent)
    return network.pay(intent.reference)


def asked_back(amount: int) -> Refund:
    return Refund(id=ids.new(), amount=amount, currency="INR")


def test_refunds_are_made_once_each_whatever_is_lost(network: Razorpay, account: ProviderAccount, paid: str) -> None:
    some, rest = asked_back(700), asked_back(4000)
    network.lose = 3
    with pytest.raises(ProviderError):
        razorpay.refund(account, some, paid)
    network.lose = 0
    network.refund_keys.clear()  # It forgets its keys after a while; what is there is found by the reference.
    for refund in (some, some, rest, rest):
        [event] = events_of(razorpay.refund(account, refund, paid))
        assert (event.kind, event.amount, event.parent_object_id) == ("refund.succeeded", refund.amount, paid)
        assert event.reference == refund.reference
        assert event.object_id in network.refunds
    assert [made["amount"] for made in network.refunds.values()] == [700, 4000]
    assert [made["receipt"] for made in network.refunds.values()] == [some.reference, rest.reference]


def test_a_refund_that_can_never_be_is_an_answer(network: Razorpay, account: ProviderAccount, paid: str) -> None:
    for amount, words in ((4701, "greater than amount captured"), (4700, ""), (1, "fully refunded already")):
        refund = asked_back(amount)
        [event] = events_of(razorpay.refund(account, refund, paid))
        assert (event.kind, event.reference) == ("refund.failed" if words else "refund.succeeded", refund.reference)
        assert (event.amount, event.parent_object_id, event.final) == (amount, paid, True)
    assert [made["amount"] for made in network.refunds.values()] == [4700]


def test_a_refund_waits_for_the_balance(network: Razorpay, account: ProviderAccount, paid: str) -> None:
    refund, network.balance = asked_back(700), 100
    with pytest.raises(ProviderError, match="enough balance") as failure:
        razorpay.refund(account, refund, paid)
    assert failure.value.permanent is False
    with pytest.raises(ProviderError, match="does not exist") as failure:
        razorpay.refund(account, refund, "pay_nothere")
    assert failure.value.permanent is True
    assert network.refunds == {}


@pytest.mark.parametrize(("end", "kind"), [("processed", "refund.succeeded"), ("failed", "refund.failed")])
def test_a_slow_refund_is_pending_until_it_ends(
    network: Razorpay, account: ProviderAccount, paid: str, end: Any, kind: str
) -> None:
    network.slow_refunds, refund = True, asked_back(700)
    [event] = events_of(razorpay.refund(account, refund, paid))
    assert (event.kind, event.final) == ("refund.pending", False)
    network.settle_refunds(end)
    [ended] = events_of(razorpay.refund(account, refund, paid))
    assert (ended.kind, ended.object_id, ended.final) == (kind, event.object_id, True)
    # A failure is heard after whatever was told before; a success is as old as the refund.
    assert (ended.occurred_at > event.occurred_at) == (end == "failed")


# --- Into the books --------------------------------------------------------------------------------------------------


def deliver(deliveries: list[Delivery], account: ProviderAccount) -> None:
    for delivery in deliveries:
        inbox.receive(provider="razorpay", account=account.name, delivery=delivery, now=timezone.now())
    reconcile.drain(clock=timezone.now)


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_one_payment_is_booked_once_in_any_order(
    network: Razorpay, account: ProviderAccount, arjun: Person, order: tuple[int, ...], phone: bool
) -> None:
    network.image_content = not phone
    intent = expect(shop_code(arjun.shop), 4700)
    if phone:
        PaymentIntent.objects.filter(id=intent.id).update(redirect_url="", handover={}, provider_object_id="")
        intent = checkout.start(
            code=intent.code, amount=4700, quantity=1, page=intent.page, payer=intent.page.hex, now=timezone.now(),
            browser=Browser("Mozilla/5.0 (Linux; Android 14) Mobile"),
        )  # fmt: skip
        assert intent.provider_object_id in network.orders
    paid = network.pay(intent.reference)
    sent = [one.delivery for one in network.sent(paid)]
    for index in order:
        deliver([sent[index], sent[index]], account)
    asking.inquire(now=timezone.now())  # A payment for an order does not say which one it is for.
    reconcile.drain(clock=timezone.now)
    [payment] = Payment.objects.all()
    assert (payment.object_id, payment.amount, payment.match, payment.intent_id) == (paid, 4700, "exact", intent.id)
    assert QueuedEvent.objects.count() == 0
    assert_books_hold()
