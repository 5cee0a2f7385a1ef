"""What Mercado Pago's hints and answers mean, in every form that its reference shows, and in every other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.models import ProviderAccount
from payments.providers import mercadopago
from payments.providers.base import Delivery, Event, UnableToRead, UnableToVerify, Verified
from payments.providers.mercadopago_words import written
from tests.networks.mercadopago import MercadoPagoNetwork
from tests.strange_json import EXAMPLES, documents

AT = "2026-03-25T10:04:58.396-04:00"


def payment(**other: Any) -> dict[str, Any]:
    usual = {"id": 123, "status": "approved", "transaction_amount": 12.5, "currency_id": "BRL", "date_created": AT}
    return {**usual, "external_reference": "int_x", "collector_id": 44444, "date_approved": AT, **other}


def order(**other: Any) -> dict[str, Any]:
    usual = {"id": "ORD1", "status": "created", "total_amount": "12.50", "created_date": AT, "country_code": "BRA"}
    return {**usual, "external_reference": "int_x", "user_id": "44444", **other}


def answer(message: Any) -> list[Event]:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return list(mercadopago.normalise(ProviderAccount(), Verified("x", raw, "queried")))


def hint(body: Any, **query: str) -> list[tuple[str, str, int]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("data_id", "data.id"): value for name, value in query.items()}
    told = mercadopago.normalise(ProviderAccount(), Verified("x", raw, "unsigned_hint", headers=named))
    return [(event.decision, event.object_id, event.amount) for event in told]


def kinds(events: list[Event]) -> list[tuple[str, int, bool]]:
    return [(event.kind, event.amount, event.final) for event in events]


# --- Hints -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "query", "asked"),
    [
        ({"type": "payment", "data": {"id": "123"}}, {}, "payment/123"),
        ({"type": "payment", "data": {"id": 123}}, {}, "payment/123"),
        ({"type": "payment", "data": {"id": "123"}}, {"data_id": "124", "type": "payment"}, "payment/124"),
        ({"type": "order", "data": {"id": "ord01jq"}}, {}, "order/ORD01JQ"),
        ({"topic": "payment", "resource": "123"}, {}, "payment/123"),
        ({"topic": "payment", "resource": "https://api.mercadolibre.com/collections/123"}, {}, "payment/123"),
        (b"no json", {"topic": "payment", "id": "123"}, "payment/123"),
        (b"[" * 100_000, {"topic": "chargebacks", "id": "123"}, "chargeback/123"),
        ({"type": "topic_chargebacks_wh", "data": {"id": "217"}}, {}, "chargeback/217"),
    ],
)
def test_a_hint_says_only_what_is_to_be_asked(body: Any, query: dict[str, str], asked: str) -> None:
    assert hint(body, **query) == [("query", asked, 0)]


@pytest.mark.parametrize("topic", ["merchant_order", "topic_merchant_order_wh", "point_integration_wh", "anything"])
def test_a_hint_about_something_else_is_ignored(topic: str) -> None:
    assert hint({"type": topic, "data": {"id": "1"}}) == [("ignore", "", 0)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "payment"},
        {"type": "payment", "data": {"id": True}},
        {"type": "payment", "data": {"id": "1?access_token=x"}},
        {"type": "payment", "data": {"id": "a" * 41}},
        {"type": ["payment"], "data": {"id": "1"}},
        b"\xff",
    ],
)
def test_a_hint_that_says_nothing_is_no_hint(body: Any) -> None:
    with pytest.raises(UnableToRead):
        hint(body)


# --- Answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("approved", ("payment.succeeded", 1250, True)),
        ("in_mediation", ("payment.succeeded", 1250, True)),
        ("pending", ("payment.pending", 1250, False)),
        ("in_process", ("payment.pending", 1250, False)),
        ("authorized", ("payment.pending", 1250, False)),
        ("rejected", ("payment.failed", 1250, False)),
        ("cancelled", ("payment.closed", 1250, False)),
    ],
)
def test_a_payment_in_every_state(status: str, expected: tuple[str, int, bool]) -> None:
    told = answer({"payments": [payment(status=status)]})
    assert kinds(told) == [expected]
    assert (told[0].object_id, told[0].reference, dict(told[0].account)) == ("123", "int_x", {"user_id": "44444"})
    assert told[0].occurred_at == datetime(2026, 3, 25, 14, 4, 58, 396000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *[(status, ("payment.pending", 1250, False)) for status in ("created", "action_required", "processed")],
        *[(status, ("payment.closed", 1250, True)) for status in ("canceled", "cancelled", "expired")],
        ("failed", ("payment.failed", 1250, True)),
    ],
)
def test_an_order_without_money_in_every_state(status: str, expected: tuple[str, int, bool]) -> None:
    assert kinds(answer({"order": order(status=status), "payments": []})) == [expected]
    assert kinds(answer({"order": order(status=status), "payments": [payment()]})) == [
        ("payment.succeeded", 1250, True)
    ]


def test_an_order_of_a_country_that_we_do_not_know_is_closed_all_the_same() -> None:
    told = answer({"order": order(status="expired", country_code=None), "payments": []})
    assert [(event.kind, event.amount, event.currency) for event in told] == [("payment.closed", 0, "")]


def test_refunds_are_told_one_by_one_or_as_their_total() -> None:
    listed = [
        {"id": 1, "amount": 2, "date_created": AT},
        {"id": 2, "amount": 3.25, "date_created": AT, "status": "in_process"},
        {"id": 3, "amount": 9, "date_created": AT, "status": "rejected"},
    ]
    told = answer({"payments": [payment(refunds=listed, transaction_amount_refunded=5.25)]})
    assert kinds(told)[1:] == [
        ("refund.succeeded", 200, True),
        ("refund.pending", 325, False),
        ("refund.failed", 900, True),
    ]
    beyond = answer({"payments": [payment(refunds=listed, transaction_amount_refunded=7)]})[-1]
    assert (beyond.kind, beyond.refunded_total, beyond.parent_object_id) == ("refund.total", 700, "123")
    full = answer({"payments": [payment(status="refunded")]})
    assert kinds(full) == [("payment.succeeded", 1250, True), ("refund.total", 1250, True)]


@pytest.mark.parametrize(
    ("detail", "case", "kind", "amount"),
    [
        ("in_process", None, "dispute.opened", 1250),
        ("settled", None, "dispute.lost", 1250),
        ("reimbursed", None, "dispute.won", 1250),
        ("settled", {"coverage_applied": "true"}, "dispute.won", 1250),
        ("in_process", {"amount": "10.00", "coverage_applied": False}, "dispute.opened", 1000),
    ],
)
def test_a_chargeback_in_every_state(detail: str, case: Any, kind: str, amount: int) -> None:
    message = {"payments": [payment(status="charged_back", status_detail=detail)]}
    told = answer({**message, "chargeback": {"id": "217", **case}} if case else message)
    assert kinds(told) == [("payment.succeeded", 1250, True), (kind, amount, kind != "dispute.opened")]
    assert (told[1].object_id, told[1].parent_object_id) == ("123", "123")


@pytest.mark.parametrize(
    ("number", "currency", "amount"),
    [
        ("12.5", "BRL", 1250),
        ("12.50", "BRL", 1250),
        ("1.0E7", "COP", 1_000_000_000),
        ("0.29", "ARS", 29),
        ("1000", "CLP", 1000),
        ("1000.0", "CLP", 1000),
        ("9007199254740.93", "MXN", 900_719_925_474_093),
    ],
)
def test_numbers_are_read_as_they_are_written(number: str, currency: str, amount: int) -> None:
    raw = json.dumps({"payments": [payment(currency_id=currency, transaction_amount="?")]}).replace('"?"', number)
    assert answer(raw.encode())[0].amount == amount


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(1250, "BRL", "12.50"), (5, "BRL", "0.05"), (1250, "CLP", "1250"), (10**15, "COP", "10000000000000.00")],
)
def test_amounts_are_written_with_the_decimals_of_their_currency(amount: int, currency: str, text: str) -> None:
    assert written(amount, currency) == text


def test_the_fees_of_the_receiver_are_kept_in_whole_units() -> None:
    fees = [{"fee_payer": "collector", "amount": 0.494}, {"fee_payer": "collector", "amount": 1}]
    assert answer({"payments": [payment(fee_details=[*fees, {"fee_payer": "payer", "amount": 7}])]})[0].fee == 149
    assert answer({"payments": [payment(fee_details=[])]})[0].fee is None


@pytest.mark.parametrize(
    "message",
    [
        b"no json",
        b"[]",
        b"[" * 100_000,
        {},
        {"payments": {}},
        {"payments": [payment(transaction_amount=0)]},
        {"payments": [payment(transaction_amount=-1)]},
        {"payments": [payment(transaction_amount=12.505)]},
        {"payments": [payment(transaction_amount=True)]},
        {"payments": [payment(transaction_amount="٣")]},
        {"payments": [payment(transaction_amount="1e99")]},
        {"payments": [payment(transaction_amount=float("nan"))]},
        {"payments": [payment(transaction_amount=float("inf"))]},
        {"payments": [payment(currency_id="XXX")]},
        {"payments": [payment(status="of a kind to come")]},
        {"payments": [payment(id="1/2")]},
        {"payments": [payment(date_approved="2026-03-25T10:04:58")]},
        {"payments": [payment(external_reference="a\u0000b")]},
        {"order": order(status="of a kind to come"), "payments": []},
    ],
)
def test_another_form_is_told_and_nothing_else(message: Any) -> None:
    with pytest.raises(UnableToRead):
        answer(message)


def test_a_hint_cannot_pass_for_an_answer() -> None:
    assert hint({"payments": [payment()], "type": "payment", "data": {"id": "1"}}) == [("query", "payment/1", 0)]


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return MercadoPagoNetwork().account()


REFUND = {"id": 1, "amount": 2.5, "date_created": AT, "status": "approved"}
CASE = {"id": "217", "amount": "10.00", "coverage_applied": True, "date_documentation_deadline": AT}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    raw=documents(
        {"type": "payment", "data": {"id": "123"}, "date_created": AT},
        {"payments": [payment(status="charged_back", refunds=[REFUND], transaction_amount_refunded=5.5)]},
        {"payments": [payment(fee_details=[{"fee_payer": "collector", "amount": 0.5}])], "chargeback": CASE},
        {"order": order(), "payments": []},
        {"refund": REFUND, "asked": "rfd_x", "payment": "123", "currency": "BRL"},
    ),
    query=st.dictionaries(
        st.sampled_from(["data.id", "type", "id", "topic"]), st.text(max_size=20) | st.sampled_from(["payment", "123"])
    ),
    headers=st.dictionaries(
        st.sampled_from(["x-signature", "x-request-id"]),
        st.text(max_size=80) | st.from_regex(r"\Ats=[0-9]{0,20},v1=.{0,64}\Z"),
    ),
)
def test_whatever_comes_is_a_question_an_answer_or_refused_by_name(
    account: ProviderAccount, raw: bytes, query: dict[str, str], headers: dict[str, str]
) -> None:
    try:
        verified = mercadopago.verify(account, Delivery(raw, headers, query), now=timezone.now())
        assert verified.authority == "unsigned_hint"
        for event in mercadopago.normalise(account, verified):
            assert (event.kind, event.amount, event.currency) == ("info", 0, "")
            assert event.decision == ("query" if event.object_id else "ignore")
    except UnableToVerify:
        pass
    try:
        told = answer(raw)
    except UnableToRead:
        return
    for event in told:
        assert event.amount > 0 or (event.kind in {"payment.pending", "payment.closed"} and not event.currency)
        assert event.occurred_at.tzinfo is not None and len(event.object_id) <= 80
