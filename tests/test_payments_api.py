"""Payments and refunds over the API: lists, pages, filters, money back once per key, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework import serializers
from rest_framework.test import APIClient

from merchants import ids, items
from merchants.models import IdempotentReply, Item, Notice
from payments import ledger
from payments.models import Dispute, LedgerEntry, Payment, PaymentIntent, Refund
from payments.shapes import PaymentShape
from tests.cast import Person, field_problems, hire, problem
from tests.till import assert_books_hold, drain, expect, paid, platform, refund_told

PAYMENTS = "/api/v1/payments"


@pytest.fixture
def payment(mei: Person, apples: Item) -> Payment:
    """Three piles of apples, paid: 600."""
    platform()
    paid(expect(apples.codes.get(), quantity=3)).deliver()
    drain()
    return Payment.objects.select_related("intent", "provider_account").get()


def address(payment: Payment, more: str = "") -> str:
    return f"{PAYMENTS}/{ids.public('pay', payment.id)}{more}"


def yuan(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "CNY"}


def sell(item: Item, times: int) -> None:
    platform()
    for _ in range(times):
        paid(expect(item.codes.get())).deliver()
        drain()


def refund(client: APIClient, payment: Payment, body: dict[str, Any], key: str = "key-1") -> Any:
    return client.post(address(payment, "/refunds"), body, headers={"Idempotency-Key": key})


def everything() -> list[object]:
    models: list[Any] = [Payment, Refund, LedgerEntry, Notice, PaymentIntent, IdempotentReply]
    return [list(model.objects.order_by("pk").values()) for model in models]


def unchanged(act: Callable[[], Any]) -> tuple[int, str]:
    """Status and code of a refusal, which changes nothing."""
    before = everything()
    answer = problem(act())
    assert everything() == before
    return answer


# --- Reading ---------------------------------------------------------------------------------------------------------


def test_a_payment_says_what_was_expected_what_came_and_what_went_back(
    api: APIClient, apples: Item, payment: Payment
) -> None:
    told = api.get(address(payment)).json()
    intent = payment.intent
    assert intent is not None
    assert told == {
        "id": ids.public("pay", payment.id),
        "amount": yuan(600),
        "match": "exact",
        "placed": True,
        "expected": yuan(600),
        "refunded": yuan(0),
        "fee": None,
        "description": "Apples × 3",
        "quantity": 3,
        "item": ids.public("itm", apples.id),
        "code": ids.public("cod", intent.code_id),
        "provider": "sandbox",
        "wallet": "Pretend wallet",
        "reference": payment.object_id,
        "receipt_number": intent.reference,
        "staff": None,
        "receipt_url": f"http://127.0.0.1:8000/r/{intent.receipt}",
        "occurred_at": told["occurred_at"],
        "recorded_at": told["recorded_at"],
        "refunds": [],
        "disputes": [],
    }
    assert api.get(PAYMENTS).json() == {"next": None, "previous": None, "results": [told]}


def test_a_payment_is_written_as_its_documented_fields_would_write_it(payment: Payment, now: datetime) -> None:
    for amount in (1, 2):
        told: dict[str, Any] = {"payment": payment, "shop": payment.shop, "amount": amount, "currency": "CNY"}
        Refund.objects.create(created_at=now, **told)
        Dispute.objects.create(object_id=f"wdp_{amount}", told_at=now, opened_at=now, **told)
    shape = PaymentShape()
    by_field = serializers.ModelSerializer.to_representation(shape, payment)
    assert list(shape.to_representation(payment).items()) == list(by_field.items())
    assert (len(by_field["refunds"]), len(by_field["disputes"])) == (2, 2)


def test_a_payment_without_an_intent_has_no_expectation(api: APIClient, mei: Person, payment: Payment) -> None:
    Payment.objects.update(intent=None, match="unexpected")
    told = api.get(address(payment)).json()
    assert (told["expected"], told["code"], told["item"], told["receipt_url"]) == (None, None, None, None)
    assert (told["description"], told["quantity"]) == ("", 1)


def test_what_was_refunded_is_the_sum_of_refunds_that_have_not_failed(
    api: APIClient, mei: Person, payment: Payment
) -> None:
    for amount, word in ((100, "succeeded"), (200, "failed"), (50, "")):
        refund(api, payment, {"amount": yuan(amount)}, f"key-{amount}")
        if word:
            refund_told(payment, word, refund=Refund.objects.get(amount=amount)).deliver()
    drain()
    told = api.get(address(payment)).json()
    assert told["refunded"] == yuan(150)
    assert sorted((row["amount"]["amount"], row["state"]) for row in told["refunds"]) == [
        (50, "requested"),
        (100, "succeeded"),
        (200, "failed"),
    ]


def test_payments_are_listed_newest_first_over_pages(api: APIClient, apples: Item) -> None:
    sell(apples, 5)
    newest = [ids.public("pay", row.id) for row in Payment.objects.order_by("-id")]
    first = api.get(f"{PAYMENTS}?limit=2").json()
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    assert [[row["id"] for row in page["results"]] for page in (first, second, third)] == [
        newest[:2],
        newest[2:4],
        newest[4:],
    ]
    assert (first["previous"], third["next"]) == (None, None)


def test_a_page_holds_two_hundred_at_most(api: APIClient, apples: Item) -> None:
    sell(apples, 1)
    assert api.get(f"{PAYMENTS}?limit=100000").status_code == 200
    assert api.get(f"{PAYMENTS}?limit=0").status_code == 200
    assert problem(api.get(f"{PAYMENTS}?cursor=cD1nYXJiYWdl")) == (404, "not_found")


def test_payments_are_filtered_by_time_and_match(api: APIClient, apples: Item, payment: Payment) -> None:
    paid(expect(apples.codes.get()), amount=150).deliver()
    paid(expect(apples.codes.get()), amount=900).deliver()
    drain()
    now = timezone.now()

    def matches(query: str) -> list[str]:
        return sorted(row["match"] for row in api.get(f"{PAYMENTS}?{query}").json()["results"])

    hour = timedelta(hours=1)
    assert matches("match=short") == ["short"]
    assert matches("match=short&match=over") == ["over", "short"]
    assert matches(f"recorded_after={quote((now - hour).isoformat())}") == ["exact", "over", "short"]
    assert matches(f"recorded_after={quote((now + hour).isoformat())}") == []
    assert matches(f"recorded_before={quote((now - hour).isoformat())}") == []
    edge = quote(payment.recorded_at.isoformat())
    assert matches(f"recorded_before={edge}") == []
    assert "exact" in matches(f"recorded_after={edge}")


@pytest.mark.parametrize("query", ["match=wrong", "recorded_after=yesterday", "recorded_before=2026-99-01"])
def test_a_filter_that_makes_no_sense_is_named(api: APIClient, query: str) -> None:
    assert list(field_problems(api.get(f"{PAYMENTS}?{query}"))) == [query.split("=")[0]]


def test_a_list_costs_the_same_number_of_queries_however_long_it_is(
    api: APIClient, apples: Item, mei: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sell(apples, 1)
    api.get(PAYMENTS)
    with django_assert_num_queries(5):
        assert len(api.get(PAYMENTS).json()["results"]) == 1
    sell(apples, 6)
    for row in Payment.objects.all():
        refund(api, row, {"amount": yuan(50)}, f"key-{row.id}")
    with django_assert_num_queries(5):
        assert len(api.get(PAYMENTS).json()["results"]) == 7


# --- Nobody else's ---------------------------------------------------------------------------------------------------


def test_another_shops_payment_is_not_there_and_nothing_changes(arjun: Person, payment: Payment) -> None:
    theirs = arjun.api()
    assert theirs.get(PAYMENTS).json()["results"] == []
    assert unchanged(lambda: theirs.get(address(payment))) == (404, "not_found")
    assert unchanged(lambda: refund(theirs, payment, {"amount": yuan(1)})) == (404, "not_found")


@pytest.mark.parametrize("name", ["pay_", "pay_unknown", "int_01", "1", "%00", "pay_" + "0" * 26, "pay_" + "z" * 26])
def test_an_id_of_nothing_is_not_found(api: APIClient, payment: Payment, name: str) -> None:
    assert problem(api.get(f"{PAYMENTS}/{name}")) == (404, "not_found")
    key = {"Idempotency-Key": "k"}
    assert unchanged(lambda: api.post(f"{PAYMENTS}/{name}/refunds", {}, headers=key)) == (404, "not_found")


def test_a_payment_in_suspense_of_no_shop_is_in_nobodys_list(api: APIClient, payment: Payment) -> None:
    paid(reference="nobody").deliver()
    drain()
    assert Payment.objects.count() == 2
    assert len(api.get(PAYMENTS).json()["results"]) == 1


def test_a_stranger_sees_and_refunds_nothing(stranger: APIClient, payment: Payment) -> None:
    for path in (PAYMENTS, address(payment)):
        assert problem(stranger.get(path)) == (401, "not_authenticated")
    assert unchanged(lambda: refund(stranger, payment, {})) == (401, "not_authenticated")


def test_an_assistant_sees_payments_and_gives_none_back(lan: Person, mei: Person, payment: Payment) -> None:
    assert len(lan.api().get(PAYMENTS).json()["results"]) == 1
    assert unchanged(lambda: refund(lan.api(), payment, {"amount": yuan(1)})) == (403, "role_too_low")
    manager = hire(mei.shop, "+8613700137000", "manager")
    assert refund(manager.api(), payment, {"amount": yuan(1)}).status_code == 201


# --- Money back ------------------------------------------------------------------------------------------------------


def test_a_refund_is_asked_for_and_told_as_requested(api: APIClient, mei: Person, payment: Payment) -> None:
    response = refund(api, payment, {"amount": yuan(150), "reason": "bruised"})
    row = Refund.objects.get()
    assert (response.status_code, response.json()) == (
        201,
        {
            "id": ids.public("rfd", row.id),
            "payment": ids.public("pay", payment.id),
            "amount": yuan(150),
            "state": "requested",
            "held_for_review": False,
            "refusal": "",
            "origin": "shop",
            "reason": "bruised",
            "created_at": response.json()["created_at"],
            "settled_at": None,
        },
    )
    assert row.requested_by == mei.staff
    assert ledger.balance(shop=mei.shop).pending == 450
    assert_books_hold()


def test_without_an_amount_all_that_is_left_goes_back(api: APIClient, mei: Person, payment: Payment) -> None:
    refund(api, payment, {"amount": yuan(150)}, "first")
    assert refund(api, payment, {}, "second").json()["amount"] == yuan(450)
    assert unchanged(lambda: refund(api, payment, {}, "third")) == (409, "amount_wrong")
    assert ledger.balance(shop=mei.shop).total == 0


def test_the_same_key_gives_back_once_and_answers_the_same(api: APIClient, mei: Person, payment: Payment) -> None:
    for body in ({"amount": yuan(150)}, {}):
        key = f"key-{len(body)}"
        first, again = refund(api, payment, body, key), refund(api, payment, body, key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert again.headers["Idempotent-Replayed"] == "true"
    assert sorted(row.amount for row in Refund.objects.all()) == [150, 450]


def test_the_same_key_for_another_request_is_refused(
    api: APIClient, mei: Person, payment: Payment, apples: Item
) -> None:
    refund(api, payment, {"amount": yuan(150)})
    assert unchanged(lambda: refund(api, payment, {"amount": yuan(151)})) == (422, "idempotency_key_reused")
    sell(apples, 1)
    other = Payment.objects.exclude(id=payment.id).get()
    assert unchanged(lambda: refund(api, other, {"amount": yuan(150)})) == (422, "idempotency_key_reused")


def test_money_does_not_move_without_a_key(api: APIClient, payment: Payment) -> None:
    assert unchanged(lambda: api.post(address(payment, "/refunds"), {"amount": yuan(1)})) == (
        400,
        "idempotency_key_missing",
    )


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"amount": yuan(0)}, {"amount.amount": "min_value"}),
        ({"amount": yuan(-5)}, {"amount.amount": "min_value"}),
        ({"amount": {"amount": 1.5, "currency": "CNY"}}, {"amount.amount": "invalid"}),
        ({"amount": {"amount": 5}}, {"amount.currency": "required"}),
        ({"amount": {"amount": 5, "currency": "XXX"}}, {"amount.currency": "currency_unknown"}),
        ({"amount": None}, {"amount": "null"}),
        ({"amount": yuan(5), "reason": "x" * 201}, {"reason": "max_length"}),
        ({"amount": yuan(5), "reason": "\x00"}, {"reason": "null_characters_not_allowed"}),
    ],
)
def test_what_is_wrong_with_a_refund_is_named_by_its_field(
    api: APIClient, payment: Payment, body: dict[str, Any], refused: dict[str, str]
) -> None:
    before = everything()
    assert field_problems(refund(api, payment, body)) == refused
    assert everything() == before


def test_refusals_of_money_back_have_their_codes(api: APIClient, mei: Person, payment: Payment) -> None:
    assert unchanged(lambda: refund(api, payment, {"amount": yuan(601)})) == (409, "refund_too_large")
    dollars = {"amount": {"amount": 5, "currency": "USD"}}
    assert unchanged(lambda: refund(api, payment, dollars)) == (400, "currency_wrong")
    mei.shop.state = "frozen"
    mei.shop.save()
    assert unchanged(lambda: refund(api, payment, {"amount": yuan(5)})) == (409, "shop_frozen")


def test_a_refused_key_may_be_used_again(api: APIClient, payment: Payment) -> None:
    assert refund(api, payment, {"amount": yuan(601)}).status_code == 409
    assert refund(api, payment, {"amount": yuan(600)}).status_code == 201


def test_two_shops_may_use_the_same_key(api: APIClient, arjun: Person, payment: Payment) -> None:
    tea = items.create(shop=arjun.shop, name="Tea", amount=10, unit="cup", photo=None, now=timezone.now())
    sell(tea, 1)
    his = Payment.objects.get(shop=arjun.shop)
    assert refund(api, payment, {"amount": yuan(5)}).status_code == 201
    assert refund(arjun.api(), his, {"amount": {"amount": 5, "currency": "INR"}}).status_code == 201
    assert Refund.objects.count() == 2


# --- The document ----------------------------------------------------------------------------------------------------


def test_the_document_names_every_operation_and_what_it_needs(stranger: APIClient, db: None) -> None:
    paths = stranger.get("/api/schema/?format=json").json()["paths"]
    operations = {
        (path, method): operation["operationId"]
        for path, some in paths.items()
        for method, operation in some.items()
        if "/payments" in path or "/ledger" in path
    }
    assert operations == {
        ("/api/v1/payments", "get"): "payments",
        ("/api/v1/payments/{id}", "get"): "payment",
        ("/api/v1/payments/{id}/refunds", "post"): "refund_request",
        ("/api/v1/ledger/balance", "get"): "ledger_balance",
        ("/api/v1/ledger/entries", "get"): "ledger_entries",
        ("/api/v1/ledger/day", "get"): "ledger_day",
        ("/api/v1/ledger/statement", "get"): "ledger_statement",
        ("/api/v1/ledger/statement.csv", "get"): "ledger_statement_csv",
        ("/api/v1/ledger/statement.pdf", "get"): "ledger_statement_pdf",
        ("/api/v1/ledger/statement.html", "get"): "ledger_statement_html",
        ("/api/v1/ledger/statement.xml", "get"): "ledger_statement_camt053",
    }
    asked = {
        row["name"]: row.get("required", False) for row in paths["/api/v1/payments/{id}/refunds"]["post"]["parameters"]
    }
    assert asked == {"Idempotency-Key": True, "id": True}
    filters = {row["name"] for row in paths["/api/v1/payments"]["get"]["parameters"]}
    assert filters == {
        "cursor", "limit", "match", "recorded_after", "recorded_before", "occurred_after", "occurred_before", "day",
        "since_day", "item", "provider", "wants_look", "refunded", "min_amount", "max_amount", "search", "order",
    }  # fmt: skip


@pytest.mark.parametrize("method", ["put", "patch", "delete", "post"])
def test_what_happened_cannot_be_changed_over_the_api(api: APIClient, payment: Payment, method: str) -> None:
    for path in (address(payment), PAYMENTS, "/api/v1/ledger/entries", "/api/v1/ledger/balance"):
        assert unchanged(partial(getattr(api, method), path, {})) == (405, "method_not_allowed")
