"""Payments as their vendor asks for them: each filter's exact rows, pages in the order of happening, what was typed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from rest_framework.test import APIClient

from merchants import ids, items
from merchants.models import Code, Item
from payments import search
from payments.models import Payment, Refund
from payments.models.paying import IRREGULAR
from tests.cast import Person, field_problems, problem
from tests.till import disputed, drain, expect, paid, platform, refund_told, shop_code

PAYMENTS = "/api/v1/payments"
NOON = datetime(2026, 11, 28, 4, tzinfo=UTC)  # In Guangzhou, on a Saturday.


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def sold(
    code: Code, amount: int | None = None, *, asked: int | None = None, at: datetime = NOON, **told: Any
) -> Payment:
    """A payment that happened then, and was recorded now."""
    intent = expect(code, asked or (amount if code.kind == Code.Kind.SHOP else None), now=NOON)
    paid(intent, amount=amount, at=NOON, **told).deliver()
    drain()
    payment = Payment.objects.get(intent=intent)
    Payment.objects.filter(id=payment.id).update(occurred_at=at)
    payment.refresh_from_db()
    return payment


def listed(api: APIClient, **query: Any) -> list[str]:
    answer = api.get(PAYMENTS, query)
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def names(*payments: Payment) -> list[str]:
    return [str(payment) for payment in payments]


@pytest.fixture
def stall(mei: Person) -> Code:
    platform()
    return shop_code(mei.shop)


@pytest.fixture
def his(arjun: Person, stall: Code) -> Payment:
    """A payment of another shop that fits whatever is asked."""
    return sold(shop_code(arjun.shop), 200)


# --- Filters ---------------------------------------------------------------------------------------------------------


def test_a_day_is_the_shops_own_and_is_listed_as_it_happened(api: APIClient, stall: Code, his: Payment) -> None:
    midnight = datetime(2026, 11, 27, 16, tzinfo=UTC)  # Of the 28th in Guangzhou.
    second = timedelta(seconds=1)
    late = sold(stall, 100, at=midnight + 3 * second)
    before = sold(stall, 100, at=midnight - second)
    first = sold(stall, 100, at=midnight)
    assert listed(api, day="2026-11-28") == names(late, first)
    assert listed(api, day="2026-11-27") == names(before)
    assert listed(api, day="2026-11-26") == []
    assert listed(api, since_day="2026-11-28") == names(late, first)
    assert listed(api, since_day="2026-11-27") == names(late, first, before)
    assert listed(api, occurred_after=(midnight + second).isoformat()) == names(late)
    assert listed(api, occurred_before=midnight.isoformat()) == names(before)
    assert listed(api, order="occurred") == names(late, first, before)
    assert listed(api) == names(first, before, late)  # Without a filter as they were recorded.
    assert listed(api, recorded_before=(NOON + second).isoformat()) == names(first, before, late)


def test_item_and_wallet_part_payments(api: APIClient, mei: Person, apples: Item, stall: Code, his: Payment) -> None:
    pears = items.create(shop=mei.shop, name="Pears", amount=300, unit="", photo=None, now=NOON)
    apple, pear, typed = sold(apples.codes.get()), sold(pears.codes.get()), sold(stall, 500)
    assert listed(api, item=ids.public("itm", apples.id)) == names(apple)
    assert listed(api, item=ids.public("itm", pears.id)) == names(pear)
    assert listed(api, provider="sandbox") == names(typed, pear, apple)
    assert listed(api, provider="alipay") == []
    assert listed(api, provider="sandbox", item=ids.public("itm", pears.id)) == names(pear)


def test_what_wants_a_look_is_irregular_or_contested(api: APIClient, stall: Code, his: Payment) -> None:
    right, short, contested, settled = (
        sold(stall, 200), sold(stall, 150, asked=200), sold(stall, 300), sold(stall, 400),
    )  # fmt: skip
    disputed(contested, "opened", due=NOON + timedelta(days=7)).deliver()
    disputed(settled, "opened", object_id="wdp_2").deliver()
    disputed(settled, "won", object_id="wdp_2", at=NOON + timedelta(seconds=1)).deliver()
    drain()
    assert listed(api, wants_look="true") == names(contested, short)
    assert listed(api, wants_look="false") == names(settled, right)
    assert listed(api, match="short") == names(short)
    assert listed(api, match=["short", "exact"]) == names(settled, contested, short, right)


def test_refunded_is_none_partly_or_whole_and_failed_ones_are_none(api: APIClient, stall: Code, his: Payment) -> None:
    none, partly, whole, failed = (sold(stall, amount) for amount in (100, 200, 300, 400))
    for number, (payment, amount, state) in enumerate(
        [(partly, 50, ""), (partly, 60, "succeeded"), (whole, 100, ""), (whole, 200, ""), (failed, 400, "failed")]
    ):
        asked = {"amount": {"amount": amount, "currency": "CNY"}}
        key = {"Idempotency-Key": f"k{number}"}
        assert api.post(f"{PAYMENTS}/{payment}/refunds", asked, headers=key).status_code == 201
        if state:
            refund_told(payment, state, refund=Refund.objects.latest("id"), object_id=f"wrf_{number}").deliver()
            drain()
    assert listed(api, refunded="partly") == names(partly)
    assert listed(api, refunded="whole") == names(whole)
    assert listed(api, refunded="yes") == names(whole, partly)
    assert listed(api, refunded="no") == names(failed, none)
    assert listed(api, search="wrf_1") == names(partly)


def test_amounts_are_bounded_in_minor_units(api: APIClient, stall: Code, his: Payment) -> None:
    one, two, three = (sold(stall, amount) for amount in (100, 200, 300))
    assert listed(api, min_amount=200) == names(three, two)
    assert listed(api, max_amount=200) == names(two, one)
    assert listed(api, min_amount=101, max_amount=299) == names(two)


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("item=apples", {"item": "unknown_id"}),
        ("provider=cash", {"provider": "invalid_choice"}),
        ("refunded=perhaps", {"refunded": "invalid_choice"}),
        ("min_amount=two", {"min_amount": "invalid"}),
        ("max_amount=-1", {"max_amount": "min_value"}),
        ("search=" + "x" * 121, {"search": "max_length"}),
        ("order=amount", {"order": "invalid_choice"}),
        ("occurred_after=noon", {"occurred_after": "invalid"}),
    ],
)
def test_a_question_that_makes_no_sense_is_named(api: APIClient, query: str, refused: dict[str, str]) -> None:
    assert field_problems(api.get(f"{PAYMENTS}?{query}")) == refused


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "2026-11-29", "1969-01-01"])
def test_a_day_that_is_none_or_has_not_begun_is_refused(api: APIClient, day: str) -> None:
    for name in ("day", "since_day"):
        assert problem(api.get(f"{PAYMENTS}?{name}={day}")) == (400, "period_wrong")


# --- Pages -----------------------------------------------------------------------------------------------------------


def test_pages_hold_each_payment_once_though_many_carry_one_time(api: APIClient, stall: Code, his: Payment) -> None:
    same = [sold(stall, 100) for _ in range(5)]
    older = sold(stall, 100, at=NOON - timedelta(hours=1))
    query = f"{PAYMENTS}?day=2026-11-28&min_amount=100&limit=2"
    pages, address = [], query
    while address:
        page = api.get(address).json()
        pages.append(page)
        address = page["next"]
        sold(stall, 100, at=NOON + timedelta(minutes=len(pages)))  # What comes meanwhile moves nothing.
    assert [[row["id"] for row in page["results"]] for page in pages] == [
        names(same[4], same[3]), names(same[2], same[1]), names(same[0], older),
    ]  # fmt: skip
    back = api.get(pages[2]["previous"]).json()
    assert back["results"] == pages[1]["results"]
    assert api.get(back["next"]).json()["results"] == pages[2]["results"]
    assert api.get(pages[1]["previous"]).json()["results"] == pages[0]["results"]
    assert (pages[0]["previous"], len(api.get(query.replace("limit=2", "limit=x")).json()["results"])) == (None, 9)


@pytest.mark.parametrize("cursor", ["nonsense", "bnww", "eHwyMDI2LTExLTI4fHg=", "é"])
def test_a_place_that_we_never_named_is_not_found(api: APIClient, cursor: str) -> None:
    assert problem(api.get(PAYMENTS, {"order": "occurred", "cursor": cursor})) == (404, "not_found")


def test_a_cursor_of_the_order_of_recording_is_none_of_the_other(api: APIClient, stall: Code) -> None:
    for _ in range(3):
        sold(stall, 100)
    recorded = api.get(f"{PAYMENTS}?limit=1").json()["next"]
    assert problem(api.get(f"{recorded}&order=occurred")) == (404, "not_found")


# --- What was typed --------------------------------------------------------------------------------------------------


def test_a_payment_is_found_by_whatever_names_it(api: APIClient, stall: Code, his: Payment) -> None:
    wanted = sold(stall, 1250, object_id="4200001-XYZ")
    other = sold(stall, 200)
    assert wanted.intent is not None
    number = wanted.intent.reference
    for text in (
        number, number.upper(), f"  {number[4:]} ", number[-4:], number[-9:].upper(), f"{number[-8:-4]} {number[-4:]}",
        str(wanted), "4200001-XYZ", "12.50", "12,5", "¥12.50", "１２．５０", "١٢٫٥٠",
    ):  # fmt: skip
        assert listed(api, search=text) == names(wanted), text
    assert listed(api, search="2") == names(other)
    assert listed(api, search="12.50", day="2026-11-27") == []
    assert his.intent is not None
    near = number[:-1] + ("1" if number[-1] == "0" else "0")
    for text in (
        "12.51", "4200001", near, "zzzz", "xyz", "0", "-2", "1e3", "9" * 40, "\u200f", "int_", str(his),
        his.object_id, his.intent.reference, "2.000",
    ):  # fmt: skip
        assert listed(api, search=text) == [], text


def test_letters_that_look_alike_are_one(stall: Code) -> None:
    assert search.number_in("int_01jd O0iL") == "01jd0011"
    assert search.number_in("abc") == search.number_in("pay_01jd") == search.number_in("2.50") == ""


def test_each_question_has_an_index(mei: Person, stall: Code) -> None:
    """As the planner sees them once it may neither read the whole table nor sort: then its statistics do not matter."""
    own = Payment.objects.filter(shop=mei.shop).order_by("-occurred_at", "-id")
    asked = {
        "payment_happened": own.filter(occurred_at__gte=NOON),
        "payment_by_wallet": own.filter(provider_account=platform()),
        "payment_by_amount": own.filter(amount=200),
        "payment_wants_look": own.filter(IRREGULAR),
    }
    with connection.cursor() as cursor:
        cursor.execute("REINDEX TABLE payments_payment")  # What other tests took back still lies in the indexes.
        for way in ("seqscan", "sort", "incremental_sort", "bitmapscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        for index, rows in asked.items():
            plan = rows[:51].explain()
            assert index in plan and "Seq Scan" not in plan, plan
