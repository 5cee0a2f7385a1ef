"""The book over HTTP: balances, moments and pages of entries, as a client of the API meets them."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from merchants import ids
from payments import ledger
from payments.book_shapes import EntryShape
from payments.book_views import ENTRY
from payments.chart import Place
from payments.models import LedgerEntry, ProviderAccount
from tests.cast import Person, problem
from tests.test_ledger import NOON, available, movement, pending, post
from tests.till import platform


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return platform()


def test_the_balance_is_told_in_its_own_currency(api: APIClient, account: ProviderAccount, mei: Person) -> None:
    post(
        movement(mei.shop, 1000),
        movement(mei.shop, 400, debit=pending(mei.shop), credit=available(mei.shop), kind="due"),
    )
    assert api.get("/api/v1/ledger/balance").json() == {
        "available": {"amount": 400, "currency": "CNY"},
        "pending": {"amount": 600, "currency": "CNY"},
        "total": {"amount": 1000, "currency": "CNY"},
        "direct": {"amount": 0, "currency": "CNY"},
    }


@pytest.mark.parametrize(
    ("at", "total"),
    [
        ("2026-11-22T11:59:59Z", 0),
        ("2026-11-22T12:00:00Z", 200),
        ("2026-11-22T12:00:00+00:00", 200),  # A plus sign that nobody escaped arrives as a space.
        ("2026-11-22T20:00:00%2B08:00", 200),
        ("2026-11-22T14:00:00Z", 250),
        ("1971-01-01T00:00:00Z", 0),
        ("9998-12-31T23:59:59.999Z", 250),
    ],
)
def test_the_balance_at_a_moment_is_asked_with_its_zone(
    api: APIClient, account: ProviderAccount, mei: Person, at: str, total: int
) -> None:
    post(movement(mei.shop, 200), now=NOON)
    post(movement(mei.shop, 50), now=NOON + timedelta(hours=2))
    response = api.get(f"/api/v1/ledger/balance?at={at}")
    assert (response.status_code, response.json()["total"]) == (200, {"amount": total, "currency": "CNY"})


@pytest.mark.parametrize(
    "at",
    [
        "yesterday",
        "2026-11-22",
        "2026-11-22T12:00:00",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00%2B14:00",
        "1960-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ],
)
def test_what_is_no_moment_is_refused(api: APIClient, at: str) -> None:
    assert problem(api.get(f"/api/v1/ledger/balance?at={at}")) == (400, "moment_wrong")


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("at=2026-11-22T12:30:00Z", 200),
        ("at=2026-11-22T12:30:00Z&basis=effective", 270),
        ("at=2026-11-22T12:30:00Z&basis=effective&known_at=2026-11-22T12:59:59Z", 200),
        ("at=2026-11-22T12:30:00Z&basis=effective&known_at=2026-11-22T13:00:00Z", 220),
        ("at=2026-11-22T12:05:00Z&basis=effective&known_at=2026-11-23T00:00:00Z", 250),
        ("at=2026-11-22T11:00:00Z&basis=effective", 0),
        ("basis=effective&known_at=2026-11-22T12:00:00Z", 200),
        ("basis=effective&known_at=9998-01-01T00:00:00Z", 270),
        ("basis=recorded&known_at=2026-11-22T13:00:00Z", 220),
        ("at=2026-11-22T14:00:00Z&basis=recorded&known_at=2026-11-22T12:00:00Z", 200),
        ("at=2026-11-22T12:00:00Z&basis=recorded&known_at=2026-11-22T14:00:00Z", 200),
    ],
)
def test_a_past_balance_is_asked_as_it_was_by_what_was_known_at_a_moment(
    api: APIClient, account: ProviderAccount, mei: Person, query: str, total: int
) -> None:
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    post(movement(mei.shop, 200), now=NOON)
    post(movement(mei.shop, 20, occurred_at=NOON + 10 * minute), now=NOON + hour)
    post(movement(mei.shop, 50, occurred_at=NOON + minute), now=NOON + 2 * hour)
    response = api.get(f"/api/v1/ledger/balance?{query}")
    assert (response.status_code, response.json()["total"]) == (200, {"amount": total, "currency": "CNY"})


def test_a_moment_of_knowledge_that_is_none_is_refused(api: APIClient) -> None:
    query = "basis=effective&known_at=2026-11-22"
    assert problem(api.get(f"/api/v1/ledger/balance?{query}")) == (400, "moment_wrong")


def test_an_assistant_may_see_the_book_of_her_shop_and_a_stranger_may_not(lan: Person, stranger: APIClient) -> None:
    for path in ("balance", "entries"):
        assert lan.api().get(f"/api/v1/ledger/{path}").status_code == 200
        assert problem(stranger.get(f"/api/v1/ledger/{path}")) == (401, "not_authenticated")


def test_an_entry_shows_both_sides_and_what_it_did_to_the_total(
    api: APIClient, account: ProviderAccount, mei: Person
) -> None:
    payment, refund = uuid4(), uuid4()
    post(movement(mei.shop, 1000, payment_id=payment), now=NOON)
    post(
        movement(mei.shop, 400, debit=pending(mei.shop), credit=available(mei.shop), kind="due"),
        now=NOON + timedelta(seconds=1),
    )
    flight = Place("refunds_in_flight", "held", mei.shop.id)
    post(
        movement(
            mei.shop, 30, debit=available(mei.shop), credit=flight, kind="refund_asked", payment_id=payment,
            refund_id=refund,
        ),
        now=NOON + timedelta(seconds=2),
    )  # fmt: skip
    results = api.get("/api/v1/ledger/entries").json()["results"]
    assert [(row["kind"], row["debit"], row["credit"], row["change"]) for row in results] == [
        ("refund_asked", "shop_available", "refunds_in_flight", -30),
        ("due", "shop_pending", "shop_available", 0),
        ("paid", "provider_receivable", "shop_pending", 1000),
    ]
    assert results[0] == {
        "id": ids.public("ent", LedgerEntry.objects.latest("id").id),
        "kind": "refund_asked",
        "amount": {"amount": 30, "currency": "CNY"},
        "debit": "shop_available",
        "credit": "refunds_in_flight",
        "change": -30,
        "payment": ids.public("pay", payment),
        "refund": ids.public("rfd", refund),
        "dispute": None,
        "occurred_at": "2026-11-22T12:00:00Z",
        "recorded_at": "2026-11-22T12:00:02Z",
    }
    assert results[2]["refund"] is None
    assert sum(row["change"] for row in results) == ledger.balance(shop=mei.shop).total == 970


def test_every_entry_is_on_exactly_one_page_while_new_ones_arrive(
    api: APIClient, account: ProviderAccount, mei: Person, arjun: Person
) -> None:
    for second in range(7):
        post(
            movement(mei.shop, second + 1),
            movement(arjun.shop, 100, currency="INR"),
            now=NOON + timedelta(seconds=second),
        )
    pages: list[list[int]] = []
    address = "/api/v1/ledger/entries?limit=3"
    while address:
        page = api.get(address).json()
        pages.append([row["amount"]["amount"] for row in page["results"]])
        post(movement(mei.shop, 999), now=NOON + timedelta(minutes=len(pages)))
        parts = urlsplit(page["next"] or "")
        address = f"{parts.path}?{parts.query}" if page["next"] else ""
    assert pages == [[7, 6, 5], [4, 3, 2], [1]]


def test_a_page_leads_back_to_the_one_before(api: APIClient, account: ProviderAccount, mei: Person) -> None:
    for second in range(4):
        post(movement(mei.shop, second + 1), now=NOON + timedelta(seconds=second))
    first = api.get("/api/v1/ledger/entries?limit=2").json()
    second_page = api.get(first["next"]).json()
    assert first["previous"] is None
    assert [row["amount"]["amount"] for row in second_page["results"]] == [2, 1]
    assert second_page["next"] is None
    assert api.get(second_page["previous"]).json()["results"] == first["results"]


def test_entries_of_one_millisecond_keep_their_order_over_pages(
    api: APIClient, account: ProviderAccount, mei: Person
) -> None:
    post(*(movement(mei.shop, amount, key=f"k{amount:02}") for amount in range(1, 10)), now=NOON)
    first = api.get("/api/v1/ledger/entries?limit=5").json()
    rest = api.get(first["next"]).json()
    assert [row["amount"]["amount"] for row in first["results"] + rest["results"]] == [9, 8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("cursor", ["cD1nYXJiYWdl", "cD0lMDA=", "cj0xJnA9MDE%3D", "bz01"])
def test_a_cursor_that_we_never_gave_is_refused(api: APIClient, cursor: str) -> None:
    assert problem(api.get(f"/api/v1/ledger/entries?cursor={cursor}")) == (404, "not_found")


def test_an_entry_is_written_with_its_documented_fields(account: ProviderAccount, mei: Person) -> None:
    post(movement(mei.shop, 1))
    row = LedgerEntry.objects.values(*ENTRY).get()
    assert list(EntryShape().to_representation(row)) == list(EntryShape().fields)


def test_a_page_of_entries_costs_the_same_however_many_there_are(
    api: APIClient, account: ProviderAccount, mei: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    post(movement(mei.shop, 1))
    api.get("/api/v1/ledger/entries")
    with django_assert_num_queries(3):
        assert len(api.get("/api/v1/ledger/entries").json()["results"]) == 1
    post(*(movement(mei.shop, 1) for _ in range(60)))
    with django_assert_num_queries(3):
        assert len(api.get("/api/v1/ledger/entries").json()["results"]) == 50
