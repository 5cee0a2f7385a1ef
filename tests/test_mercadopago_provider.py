"""Mercado Pago against a stateful stand-in: hints that book nothing by themselves, and what asking brings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from merchants.models import Shop
from payments import asking, checkout, circuit, inbox, reconcile, refunds
from payments.models import Dispute, Inquiry, LedgerEntry, Payment, PaymentIntent, ProviderAccount, Refund, WebhookEvent
from payments.providers import mercadopago, opened_in
from payments.providers.base import (
    Delivery,
    Event,
    ProviderError,
    Ref,
    UnableToRead,
    Unauthorised,
    Verified,
    Visit,
)
from tests.cast import Person, open_shop
from tests.networks.base import Response
from tests.networks.mercadopago import SELLER, TOKEN, MercadoPagoNetwork
from tests.settlement_files import rows_of_day
from tests.till import assert_books_hold, drain, shop_code, total

VISIT = Visit(return_url="https://shop.example/r/1")


@pytest.fixture
def network() -> Iterator[MercadoPagoNetwork]:
    with MercadoPagoNetwork().set() as running:
        yield running


@pytest.fixture
def ana(database: None) -> Person:
    """Ana sells juice in Recife."""
    return open_shop("+5581961234567", "Sucos da Ana")


@pytest.fixture
def account(network: MercadoPagoNetwork, ana: Person) -> ProviderAccount:
    return network.account()


def begin(shop: Shop, amount: int = 1250) -> PaymentIntent:
    """A customer chooses Mercado Pago."""
    page = uuid.uuid4()
    return checkout.start(
        code=shop_code(shop),
        amount=amount,
        quantity=1,
        page=page,
        payer=page.hex,
        now=timezone.now(),
        wallet="mercadopago",
    )


def deliver(account: ProviderAccount, delivery: Delivery) -> bool:
    return inbox.receive(provider="mercadopago", account=account.name, delivery=delivery, now=timezone.now())


def hear(network: MercadoPagoNetwork, account: ProviderAccount, object_id: str) -> None:
    """Every notification about a payment arrives, and is worked through until nothing is left to be asked."""
    for sent in network.sent(object_id):
        deliver(account, sent.delivery)
    drain()
    asking.inquire(now=timezone.now())
    drain()


def words(account: ProviderAccount, verified: Verified) -> list[tuple[str, int, str, bool]]:
    events: list[Event] = list(mercadopago.normalise(account, verified))
    return [(event.kind, event.amount, event.reference, event.final) for event in events]


# --- Start, close, ask -----------------------------------------------------------------------------------------------


def test_an_order_is_made_once_and_leads_to_its_code(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    intent = begin(ana.shop)
    order = next(iter(network.orders.values()))
    assert intent.provider_object_id == f"order/{order['id']}"
    code = order["type_response"]["qr_data"]
    assert intent.handover == {"qr": code, "copy": code}
    assert (order["total_amount"], order["expiration_time"]) == ("12.50", "PT15M")
    assert mercadopago.start(account, intent, VISIT).object_id == intent.provider_object_id
    assert len(network.orders) == 1


def test_amounts_without_decimals_are_written_so(ana: Person) -> None:
    with MercadoPagoNetwork("CLP").set() as chile:
        account = chile.account(name="chile")
        intent = begin_in(chile, account, ana, 12_500)
        started = mercadopago.start(account, intent, VISIT)
        assert (next(iter(chile.orders.values()))["total_amount"], started.copy) == ("12500", "")
        payment = chile.pay(intent.reference)
        assert words(account, mercadopago.query(account, Ref("", started.object_id)))[0][:2] == (
            "payment.succeeded",
            12_500,
        )
        assert chile.payments[payment]["transaction_amount"] == 12_500


def begin_in(network: MercadoPagoNetwork, account: ProviderAccount, ana: Person, amount: int) -> PaymentIntent:
    now = timezone.now()
    return PaymentIntent(
        shop=ana.shop,
        provider_account=account,
        amount=amount,
        currency=network.money,
        description="Jugo",
        created_at=now,
        expires_at=now + timedelta(minutes=15, seconds=30),
    )


def test_an_order_is_closed_once_and_for_all(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    intent = begin(ana.shop)
    for _ in range(2):
        closed = mercadopago.close(account, intent)
        assert words(account, closed) == [("payment.closed", 1250, intent.reference, True)]
    assert [order["status"] for order in network.orders.values()] == ["canceled"]


def test_an_order_whose_start_was_never_answered_is_closed_too(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    intent = begin(ana.shop)
    intent.provider_object_id = ""
    assert words(account, mercadopago.close(account, intent)) == [("payment.closed", 1250, intent.reference, True)]
    assert [order["status"] for order in network.orders.values()] == ["canceled"]
    network.orders.clear()
    assert words(account, mercadopago.close(account, intent)) == [("payment.closed", 1250, intent.reference, True)]


def test_while_somebody_pays_an_order_stays_open(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    intent = begin(ana.shop)
    network.paying = True
    assert words(account, mercadopago.close(account, intent)) == [("payment.pending", 1250, intent.reference, False)]
    network.paying = False
    network.pay(intent.reference)
    assert words(account, mercadopago.close(account, intent)) == [("payment.succeeded", 1250, intent.reference, True)]


def test_an_order_is_asked_about_in_every_state(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    intent = begin(ana.shop)
    by_order, by_us = Ref(intent.reference, intent.provider_object_id), Ref(intent.reference)
    waiting = ("payment.pending", 1250, intent.reference, False)
    assert words(account, mercadopago.query(account, by_order)) == [waiting]
    assert words(account, mercadopago.query(account, by_us)) == []
    refused = network.refuse(intent.reference)
    assert words(account, mercadopago.query(account, by_us)) == [("payment.failed", 1250, intent.reference, False)]
    assert words(account, mercadopago.query(account, by_order)) == [waiting]
    payment = network.pay(intent.reference, amount=1300)
    returned = network.refund_at_desk(payment, 301)
    expected = [("payment.succeeded", 1300, intent.reference, True), ("refund.succeeded", 301, "", True)]
    for ref in (by_order, Ref(object_id=f"payment/{payment}")):
        verified = mercadopago.query(account, ref)
        assert words(account, verified) == expected
        told = mercadopago.normalise(account, verified)
        assert [(e.object_id, e.parent_object_id) for e in told] == [(payment, ""), (returned, payment)]
        assert (told[0].fee, [dict(e.account) for e in told]) == (50, [{"user_id": SELLER}] * 2)
    network.orders[intent.provider_object_id[6:]]["transactions"]["payments"][0].pop("reference_id")
    assert {word[0] for word in words(account, mercadopago.query(account, by_order))} == {
        "payment.failed",
        "payment.succeeded",
        "refund.succeeded",
    }
    network.lists_refunds = False
    assert words(account, mercadopago.query(account, by_us))[2:] == [("refund.total", 301, "", True)]
    assert refused != payment


@pytest.mark.parametrize(
    "name", ["order/ORD1", "payment/1", "chargeback/1", "payment/../orders", "payment/", "x/1", "1"]
)
def test_what_the_network_does_not_know_is_an_answer(account: ProviderAccount, name: str) -> None:
    assert words(account, mercadopago.query(account, Ref(object_id=name))) == []


def test_credentials_that_are_not_taken_are_said_to_be_so(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    network.knows_us = False
    for ref in (Ref("int_x"), Ref(object_id="payment/1"), Ref(object_id="order/ORD1")):
        with pytest.raises(Unauthorised):
            mercadopago.query(account, ref)
    intent = begin(ana.shop)
    assert intent.start_failure.startswith("refused with 401") and TOKEN not in intent.start_failure


STRANGE = [
    b"",
    b"null",
    b"[" * 50_000,
    b'{"id":"ORD1","type_response":7,"paging":{"total":1}}',
    b'{"id":"../x","status":"in_process","payments":7}',
    b'{"cause":[7,{"code":[2063]}],"results":[7],"paging":7}',
]


@pytest.mark.parametrize("status", [200, 400, 404])
def test_whatever_mercadopago_answers_is_an_answer_or_its_failure(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person, status: int
) -> None:
    intent = begin(ana.shop)
    asked = Refund(amount=100, currency="BRL", created_at=timezone.now())
    for body in STRANGE:
        network.says = Response(status, body)
        for call in (
            lambda: mercadopago.start(account, intent, VISIT),
            lambda: mercadopago.close(account, intent),
            lambda: mercadopago.refund(account, asked, "E" * 32),
            lambda: mercadopago.query(account, Ref(intent.reference, intent.provider_object_id)),
            lambda: mercadopago.query(account, Ref(intent.reference)),
            lambda: mercadopago.query(account, Ref(object_id="chargeback/1")),
            lambda: list(rows_of_day(account, date(2026, 3, 2))),
        ):
            circuit.succeeded(account.id)
            with suppress(ProviderError):
                answer = call()
                with suppress(UnableToRead):
                    assert not isinstance(answer, Verified) or mercadopago.normalise(account, answer) is not None


def test_its_app_is_known_by_its_browser(network: MercadoPagoNetwork) -> None:
    assert mercadopago.APP.search("Mozilla/5.0 (Linux; Android 14) MercadoPago-Android/2.300")
    assert opened_in("Mozilla/5.0 (iPhone) MercadoPago-iOS/2.1") == "mercadopago"


# --- Hints -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signs", [True, False])
def test_a_hint_leads_to_a_question_and_its_answer_is_booked(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person, signs: bool
) -> None:
    network.signs = signs
    intent = begin(ana.shop)
    sent = network.sent(network.pay(intent.reference))
    browser = Client()
    for notice in (*sent, *reversed(sent)):
        headers = {name: value for name, value in notice.delivery.headers.items() if name != "content-type"}
        address = f"/webhooks/mercadopago/{account.name}"
        answer = browser.post(
            address,
            notice.delivery.raw,
            content_type="application/json",
            headers=headers,
            query_params=dict(notice.delivery.query),
        )
        assert (answer.status_code, answer.content) == (200, b"")
    drain()
    assert (Payment.objects.count(), LedgerEntry.objects.count()) == (0, 0)
    assert sorted(Inquiry.objects.values_list("object_id", flat=True)) == [
        intent.provider_object_id,
        f"payment/{next(iter(network.payments))}",
    ]
    assert asking.inquire(now=timezone.now()) == 2
    drain()
    booked = Payment.objects.get()
    assert (booked.intent_id, booked.amount, booked.match) == (intent.id, 1250, "exact")
    assert set(WebhookEvent.objects.values_list("authority", flat=True)) == {"unsigned_hint", "queried"}
    assert_books_hold()


def test_forged_hints_book_nothing(network: MercadoPagoNetwork, account: ProviderAccount, ana: Person) -> None:
    intent = begin(ana.shop)
    forged = {"type": "payment", "action": "payment.created", "data": {"id": "31337"}, "status": "approved"}
    approved = {"payments": [{"id": 1, "status": "approved", "external_reference": intent.reference}]}
    for body in (forged, {**forged, **approved}, {**forged, "type": "order", "data": {"id": "ORDEVIL"}}):
        assert deliver(account, Delivery(json.dumps(body).encode()))
    drain()
    assert asking.inquire(now=timezone.now()) == 2
    drain()
    assert (Payment.objects.count(), LedgerEntry.objects.count(), Inquiry.objects.count()) == (0, 0, 0)
    intent.refresh_from_db()
    assert intent.state == "open"


def test_what_was_never_notified_is_found_by_asking(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    intent = begin(ana.shop)
    network.refund_at_desk(network.pay(intent.reference), 250)
    later = intent.created_at + timedelta(seconds=10)
    assert asking.query_silent(now=later) == 1
    reconcile.drain(clock=lambda: later)
    assert (Payment.objects.get().match, Refund.objects.get().amount) == ("exact", 250)
    assert total("provider_receivable", "BRL", account=account) == -1000
    assert_books_hold()


def test_a_payment_of_another_seller_is_not_booked(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    payment = network.pay(begin(ana.shop).reference)
    network.payments[payment]["collector_id"] = 55555
    hear(network, account, payment)
    assert (Payment.objects.count(), LedgerEntry.objects.count()) == (0, 0)


# --- Refunds and disputes --------------------------------------------------------------------------------------------


def paid(network: MercadoPagoNetwork, account: ProviderAccount, shop: Shop) -> Payment:
    intent = begin(shop)
    hear(network, account, network.pay(intent.reference))
    return Payment.objects.select_related("provider_account").get(intent=intent)


def ask_back(ana: Person, payment: Payment, amount: int) -> Refund:
    return refunds.request(staff=ana.staff, payment=payment, amount=amount, reason="", now=timezone.now())


def test_refunds_and_their_hints_count_once(network: MercadoPagoNetwork, account: ProviderAccount, ana: Person) -> None:
    payment = paid(network, account, ana.shop)
    for amount in (301, 949):
        refund = ask_back(ana, payment, amount)
        assert refunds.send_due(now=timezone.now()) == 1
        hear(network, account, payment.object_id)
        refund.refresh_from_db()
        assert (refund.state, refund.amount) == ("succeeded", amount)
    assert Refund.objects.count() == 2
    assert total("provider_receivable", "BRL", account=account) == 0
    assert_books_hold()


def test_a_refund_heard_of_before_its_own_answer_counts_once(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    payment = paid(network, account, ana.shop)
    refund = ask_back(ana, payment, 301)
    answer = mercadopago.refund(account, refund, payment.object_id)
    hear(network, account, payment.object_id)
    inbox.keep(account=account, verified=answer, now=timezone.now())
    drain()
    refund.refresh_from_db()
    assert refund.state == "succeeded"
    assert Refund.objects.exclude(state="failed").count() == 1
    assert total("provider_receivable", "BRL", account=account) == -949
    assert_books_hold()


def test_a_refund_whose_answer_was_lost_is_made_once(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    payment = paid(network, account, ana.shop)
    refund = ask_back(ana, payment, 301)
    network.lose_answers = 1
    first = mercadopago.refund(account, refund, payment.object_id)
    assert mercadopago.refund(account, refund, payment.object_id) == first
    assert words(account, first) == [("refund.succeeded", 301, refund.reference, True)]
    assert len(network.payments[payment.object_id]["refunds"]) == 1


def test_a_refund_whose_key_may_be_forgotten_is_not_asked_for_again(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    payment = paid(network, account, ana.shop)
    refund = ask_back(ana, payment, 301)
    refund.created_at -= timedelta(hours=12, seconds=1)
    with pytest.raises(ProviderError, match="not asked for again") as failure:
        mercadopago.refund(account, refund, payment.object_id)
    assert failure.value.permanent is True
    assert network.payments[payment.object_id]["refunds"] == []


@pytest.mark.parametrize(("status", "kind"), [("approved", "refund.succeeded"), ("rejected", "refund.failed")])
def test_a_refund_under_way_ends_as_the_network_says(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person, status: str, kind: str
) -> None:
    network.refunds_wait = True
    payment = paid(network, account, ana.shop)
    refund = ask_back(ana, payment, 500)
    under_way = mercadopago.refund(account, refund, payment.object_id)
    assert words(account, under_way) == [("refund.pending", 500, refund.reference, False)]
    network.end_refund(payment.object_id, status)
    ended = mercadopago.refund(account, refund, payment.object_id)
    assert words(account, ended) == [(kind, 500, refund.reference, True)]


def test_a_refund_that_the_network_refuses_has_failed(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person
) -> None:
    payment = paid(network, account, ana.shop)
    refund = ask_back(ana, payment, 1000)
    network.refund_at_desk(payment.object_id, 500)
    told = mercadopago.refund(account, refund, payment.object_id)
    assert words(account, told) == [("refund.failed", 1000, refund.reference, True)]
    with pytest.raises(ProviderError) as unknown:
        mercadopago.refund(account, ask_back(ana, payment, 100), "999")
    assert unknown.value.permanent


@pytest.mark.parametrize("end", ["won", "lost"])
def test_a_chargeback_is_held_and_ends(
    network: MercadoPagoNetwork, account: ProviderAccount, ana: Person, end: str
) -> None:
    payment = paid(network, account, ana.shop)
    network.dispute(payment.object_id, "opened")
    hear(network, account, payment.object_id)
    dispute = Dispute.objects.get()
    assert (dispute.state, dispute.amount, dispute.object_id) == ("open", 1250, payment.object_id)
    assert dispute.evidence_due_at == datetime(2026, 12, 27, 3, 59, 59, tzinfo=UTC)
    network.dispute(payment.object_id, "won" if end == "won" else "lost")
    hear(network, account, payment.object_id)
    dispute.refresh_from_db()
    assert dispute.state == end
    assert total("provider_receivable", "BRL", account=account) == (-1250 if end == "won" else 0)
    assert_books_hold()


# --- Statements ------------------------------------------------------------------------------------------------------


def test_a_day_is_read_over_all_pages(network: MercadoPagoNetwork, account: ProviderAccount, ana: Person) -> None:
    intent = begin(ana.shop)
    day = datetime(2026, 3, 2, 4, tzinfo=UTC)  # Midnight where the network writes its times.
    payments = [network.pay_at_desk(Decimal(100 + number)) for number in range(120)]
    payments[60] = network.pay(intent.reference)
    returned = network.refund_at_desk(payments[60], 250)
    for number, payment in enumerate(payments):
        at = day + timedelta(minutes=12 * number) - timedelta(milliseconds=number == 0)
        network.payments[payment] |= {"date_approved": at.isoformat(), "date_created": at.isoformat()}
    rows = list(rows_of_day(account, date(2026, 3, 2)))
    assert [row.kind for row in rows].count("payment") == 119
    mine = [(row.kind, row.object_id, row.amount, row.fee, row.reference) for row in rows if row.amount in (1250, -250)]
    assert mine == [
        ("payment", payments[60], 1250, 50, intent.reference),
        ("refund", returned, -250, 0, ""),
    ]
    assert [row.object_id for row in rows_of_day(account, date(2026, 3, 1))] == [payments[0]]
    network.hidden = 1
    with pytest.raises(ProviderError, match="does not add up"):
        list(rows_of_day(account, date(2026, 3, 2)))
