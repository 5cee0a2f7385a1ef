"""What a shop is charged, as its owner reads it: the terms, an example, and the fee of each payment."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from merchants.models import Shop, Staff
from payments import reconcile
from payments.fees import Tier
from payments.models import Payment
from tests.cast import Person, hire, problem
from tests.till import agree, direct, drain, expect, make_due, paid, platform, shop_code

FEES = "/api/v1/shop/fees"


@pytest.fixture(autouse=True)
def wallet(db: None, settings: Any) -> None:
    settings.SANDBOX_URL = "http://127.0.0.1:1"
    platform()


def yuan(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "CNY"}


def test_without_a_contract_nothing_is_charged(api: APIClient) -> None:
    assert api.get(FEES).json() == {
        "next": None,
        "previous": None,
        "results": [
            {
                "provider": "sandbox",
                "title": "Pretend wallet",
                "funds": "held",
                "fee": {
                    "words": "nothing",
                    "since": None,
                    "parts_per_million": 0,
                    "fixed": yuan(0),
                    "floor": yuan(0),
                    "cap": None,
                    "tiers": [],
                    "example": {"amount": yuan(10_000), "fee": yuan(0), "rest": yuan(10_000)},
                },
                "next": None,
            }
        ],
    }


def test_the_terms_stand_in_plain_numbers_with_an_example_and_what_was_announced(api: APIClient, mei: Person) -> None:
    agree(parts_per_million=9000)
    agree(
        shop=mei.shop,
        parts_per_million=6000,
        fixed_amount=10,
        floor_amount=15,
        cap_amount=5000,
        tiers=(Tier(100_000, 4000),),
    )
    agree(shop=mei.shop, parts_per_million=5000, since=datetime(2126, 1, 1, tzinfo=UTC))
    (row,) = api.get(FEES).json()["results"]
    assert row["fee"] == {
        "words": "0.6 % + CN¥0.10, from CN¥1,000.00 on 0.4 %, at least CN¥0.15, at most CN¥50.00",
        "since": "2026-01-01T00:00:00Z",
        "parts_per_million": 6000,
        "fixed": yuan(10),
        "floor": yuan(15),
        "cap": yuan(5000),
        "tiers": [{"from_amount": yuan(100_000), "parts_per_million": 4000, "fixed": yuan(0)}],
        "example": {"amount": yuan(10_000), "fee": yuan(70), "rest": yuan(9930)},
    }
    assert (row["next"]["words"], row["next"]["since"]) == ("0.5 %", "2126-01-01T00:00:00Z")
    assert row["next"]["example"]["fee"] == yuan(50)


def test_a_way_that_pays_the_shop_itself_costs_nothing_of_ours(api: APIClient, mei: Person) -> None:
    agree(parts_per_million=9000)
    direct(mei.shop)
    (row,) = api.get(FEES).json()["results"]
    assert (row["funds"], row["fee"]["words"]) == ("direct", "nothing")


def test_the_example_knows_a_currency_without_decimals(api: APIClient, mei: Person) -> None:
    Shop.objects.filter(id=mei.shop.id).update(currency="JPY")
    agree(currency="JPY", parts_per_million=36_000)
    (row,) = api.get(FEES).json()["results"]
    assert row["fee"]["example"] == {
        "amount": {"amount": 100, "currency": "JPY"},
        "fee": {"amount": 4, "currency": "JPY"},
        "rest": {"amount": 96, "currency": "JPY"},
    }


def test_nobody_reads_the_terms_of_another_shop(api: APIClient, mei: Person, arjun: Person) -> None:
    agree(shop=arjun.shop, parts_per_million=9000)
    agree(shop=arjun.shop, currency="INR", parts_per_million=9000)
    assert api.get(FEES).json()["results"][0]["fee"]["words"] == "nothing"


def test_owner_and_manager_read_them_and_nobody_else_does(mei: Person, lan: Person, stranger: APIClient) -> None:
    manager = hire(mei.shop, "+8613500135000", Staff.Role.MANAGER)
    assert manager.api().get(FEES).status_code == 200
    assert problem(lan.api().get(FEES)) == (403, "role_too_low")
    assert problem(stranger.get(FEES)) == (401, "not_authenticated")


def test_the_terms_cost_as_many_questions_however_many_versions_there_are(
    api: APIClient, mei: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api.get(FEES)
    with django_assert_num_queries(4):
        api.get(FEES)
    for rate in range(20):
        agree(parts_per_million=rate, since=timezone.now() + timedelta(days=rate + 1))
    with django_assert_num_queries(4):
        assert api.get(FEES).json()["results"][0]["next"]["parts_per_million"] == 1


def test_a_payment_shows_its_fee_once_it_was_charged_and_so_do_the_entries_and_the_statement(
    api: APIClient, mei: Person
) -> None:
    agree(parts_per_million=6000)
    paid(expect(shop_code(mei.shop), 200)).deliver()
    drain()
    payment = Payment.objects.get()
    address = f"/api/v1/payments/{payment}"
    assert api.get(address).json()["fee"] is None
    make_due(timezone.now(), payment)
    reconcile.release_due(now=timezone.now(), limit=10)
    assert api.get(address).json()["fee"] == yuan(1)
    assert api.get("/api/v1/payments").json()["results"][0]["fee"] == yuan(1)

    entries = api.get("/api/v1/ledger/entries").json()["results"]
    fee = next(entry for entry in entries if entry["kind"] == "fee")
    assert (fee["change"], fee["payment"], fee["credit"]) == (-1, str(payment), "fee_income")
    day = {"month": timezone.localtime(timezone=ZoneInfo(mei.shop.time_zone)).strftime("%Y-%m")}
    told = api.get("/api/v1/ledger/statement", day).json()
    assert {"kind": "fee", "count": 1, "change": yuan(-1)} in told["totals"]
    file = b"".join(api.get("/api/v1/ledger/statement.csv", day)).decode("utf-8-sig")
    lines = [(line["kind"], line["change"], line["balance"]) for line in csv.DictReader(file.splitlines())]
    assert lines[-2:] == [("Our fee", "-0.01", "1.99"), ("Closing balance", "", "1.99")]


def test_direct_money_shows_that_it_cost_nothing_and_money_in_suspense_shows_no_fee(
    api: APIClient, mei: Person
) -> None:
    agree(parts_per_million=6000)
    paid(expect(shop_code(mei.shop), 300), currency="USD").deliver()
    paid(account=direct(mei.shop), reference="", amount=200).deliver()
    drain()
    told = {row["amount"]["amount"]: row["fee"] for row in api.get("/api/v1/payments").json()["results"]}
    assert told == {200: yuan(0), 300: None}
