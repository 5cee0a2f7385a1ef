"""The statement as a file: what a spreadsheet and a bookkeeper find in it, byte for byte, over HTTP."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import LazySettings
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import codes, ids, items
from merchants.models import Shop, Staff
from payments import refunds, statement, statement_csv, statement_file
from payments.models import LedgerEntry, Payment, PaymentIntent
from payments.statement import Asked, Basis
from tests.cast import Person, field_problems, hire, problem
from tests.test_ledger import NOON, movement, pending, post, receivable
from tests.till import drain, expect, paid, platform, refund_told, shop_code

ADDRESS = "/api/v1/ledger/statement"
LATER = datetime(2027, 6, 1, tzinfo=UTC)


def asked(shop: Shop, day: str = "2026-11-22", basis: Basis = Basis.RECORDED) -> Asked:
    period = statement.period(day=day, month="", zone=shop.time_zone, known_at=LATER)
    return Asked(shop, period, basis, everything=False, known_at=LATER)


def raw(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def rows(file: bytes) -> list[dict[str, str]]:
    """The file as a spreadsheet reads it."""
    return list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline=""), strict=True))


def file_of(question: Asked) -> bytes:
    return b"".join(statement_csv.pieces(question))


def today(shop: Shop) -> str:
    return timezone.localtime(timezone.now(), ZoneInfo(shop.time_zone)).date().isoformat()


@pytest.fixture
def sale(mei: Person) -> Payment:
    """Two piles of apples for 4 yuan, of which half goes back."""
    platform()
    apples = items.create(shop=mei.shop, name="红苹果, 大", amount=200, unit="pile", photo=None, now=timezone.now())
    paid(expect(apples.codes.get(), quantity=2)).deliver()
    drain()
    payment = Payment.objects.get()
    refund = refunds.request(staff=mei.staff, payment=payment, amount=200, reason="one bad pile", now=timezone.now())
    refund_told(payment, "succeeded", refund=refund).deliver()
    drain()
    return payment


def test_every_byte_of_a_small_statement(mei: Person) -> None:
    platform()
    post(movement(mei.shop, 1000), now=NOON - timedelta(days=1))
    post(movement(mei.shop, 250), now=NOON)
    post(
        movement(mei.shop, 5, debit=pending(mei.shop), credit=receivable(), kind="refund_reported"),
        now=NOON + timedelta(milliseconds=1),
    )
    first, second = [
        ids.public("ent", key) for key in LedgerEntry.objects.order_by("id").values_list("id", flat=True)[1:]
    ]
    assert file_of(asked(mei.shop)).decode() == (
        "\ufeffrecorded_at,occurred_at,kind,description,reason,change,balance,currency,receipt,payment,refund,dispute,"
        "entry\r\n"
        "2026-11-22T00:00:00+08:00,,Opening balance,,,,10.00,CNY,,,,,\r\n"
        f"2026-11-22T20:00:00+08:00,2026-11-22T20:00:00+08:00,Payment,,,2.50,12.50,CNY,,,,,{first}\r\n"
        "2026-11-22T20:00:00+08:00,2026-11-22T20:00:00+08:00,Refund made at the provider,,,-0.05,12.45,CNY,,,,,"
        f"{second}\r\n"
        "2026-11-23T00:00:00+08:00,,Closing balance,,,,12.45,CNY,,,,,\r\n"
    )


def test_each_line_leads_to_its_receipt(api: APIClient, mei: Person, sale: Payment, settings: LazySettings) -> None:
    answer = api.get(f"{ADDRESS}.csv?day={today(mei.shop)}")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="statement-{today(mei.shop)}.csv"'
    assert answer.headers["Cache-Control"] == "private, no-store"
    opening, payment, refund, closing = rows(raw(answer))
    assert (opening["kind"], opening["balance"]) == ("Opening balance", "0.00")
    assert (closing["kind"], closing["balance"]) == ("Closing balance", "2.00")
    columns = ("kind", "description", "reason", "change", "balance")
    assert [payment[column] for column in columns] == ["Payment", "红苹果, 大 × 2", "", "4.00", "4.00"]
    assert [refund[column] for column in columns] == ["Refund", "红苹果, 大 × 2", "one bad pile", "-2.00", "2.00"]
    intent = PaymentIntent.objects.get()
    for row in (payment, refund):
        assert row["receipt"] == f"{settings.PUBLIC_URL}/r/{intent.receipt}"
        assert row["payment"] == ids.public("pay", sale.id)
    assert (payment["refund"], refund["refund"]) == ("", ids.public("rfd", sale.refunds.get().id))
    known = {row["id"] for row in api.get("/api/v1/ledger/entries").json()["results"]}
    assert {payment["entry"], refund["entry"]} < known


def test_what_people_wrote_never_becomes_a_formula(mei: Person) -> None:
    platform()
    wicked = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "  =1",
        "＝1",
        "=cmd|' /C calc'!A0",
        '=HYPERLINK("x","y")',
    ]
    for name in wicked:
        code = codes.create(
            shop=mei.shop, kind="one_time", item=None, staff=None, amount=100, currency="CNY", label=name,
            now=timezone.now(),
        )  # fmt: skip
        intent = expect(code)
        PaymentIntent.objects.filter(id=intent.id).update(description=name)
        paid(intent).deliver()
    drain()
    lines = rows(file_of(_today(mei.shop)))[1:-1]
    assert sorted(line["description"] for line in lines) == sorted(f"'{name}" for name in wicked)
    assert {line["change"] for line in lines} == {"1.00"}


def test_nor_does_the_reason_of_a_refund(mei: Person, sale: Payment) -> None:
    refunds.request(staff=mei.staff, payment=sale, amount=10, reason="=1+1", now=timezone.now())
    assert [row["reason"] for row in rows(file_of(_today(mei.shop)))] == ["", "", "one bad pile", "'=1+1", ""]


@pytest.mark.parametrize("text", ["Apples", "a=b", "5-pack", "'quoted'", "", "苹果", "mei@shop", "3 + 4"])
def test_what_is_harmless_is_left_as_it_is(text: str) -> None:
    assert statement_csv.defused(text) == text


def test_names_with_commas_quotes_and_line_breaks_stay_one_cell(mei: Person) -> None:
    platform()
    name = 'big, "sweet"\r\nand red\n=1'
    intent = expect(shop_code(mei.shop), 100)
    PaymentIntent.objects.filter(id=intent.id).update(description=name)
    paid(intent).deliver()
    drain()
    assert [row["description"] for row in rows(file_of(_today(mei.shop)))] == ["", name, ""]


@pytest.mark.parametrize(
    ("currency", "amount", "change"),
    [
        ("JPY", 150, "150"),
        ("CNY", 150, "1.50"),
        ("KWD", 150, "0.150"),
        ("CNY", 123_456_789_012_345, "1234567890123.45"),
    ],
)
def test_amounts_have_the_places_of_their_currency(mei: Person, currency: str, amount: int, change: str) -> None:
    platform()
    Shop.objects.filter(id=mei.shop.id).update(currency=currency)
    mei.shop.refresh_from_db()
    post(
        movement(mei.shop, amount, currency=currency),
        movement(mei.shop, 2 * amount, currency=currency, debit=pending(mei.shop), credit=receivable(), key="z"),
    )
    found = rows(file_of(asked(mei.shop)))
    assert [row["change"] for row in found] == ["", change, f"-{Decimal(change) * 2}", ""]
    assert [row["balance"] for row in found[1:]] == [change, f"-{change}", f"-{change}"]
    assert {row["currency"] for row in found} == {currency}


def test_a_long_file_comes_in_pieces_and_its_sums_hold(mei: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    platform()
    monkeypatch.setattr(statement_csv, "_LINES_AT_ONCE", 100)
    monkeypatch.setattr(statement, "_AT_ONCE", 70)
    post(*(movement(mei.shop, amount) for amount in range(1, 1001)))
    for basis in Basis:
        pieces = list(statement_csv.pieces(asked(mei.shop, basis=basis)))
        assert len(pieces) == 11
        found = rows(b"".join(pieces))
        assert len(found) == 1002
        running = Decimal(found[0]["balance"])
        for row in found[1:-1]:
            running += Decimal(row["change"])
            assert Decimal(row["balance"]) == running
        assert found[-1]["balance"] == str(running) == "5005.00"


def test_an_effective_file_goes_by_the_other_column(mei: Person) -> None:
    platform()
    post(movement(mei.shop, 100, occurred_at=NOON - timedelta(days=3)), now=NOON)
    found = rows(file_of(asked(mei.shop, "2026-11-19", Basis.EFFECTIVE)))
    assert [(row["recorded_at"], row["occurred_at"]) for row in found] == [
        ("", "2026-11-19T00:00:00+08:00"),
        ("2026-11-22T20:00:00+08:00", "2026-11-19T20:00:00+08:00"),
        ("", "2026-11-20T00:00:00+08:00"),
    ]


def test_a_day_that_is_not_over_is_told_until_now(api: APIClient, mei: Person, sale: Payment) -> None:
    began = timezone.now()
    closing = rows(raw(api.get(f"{ADDRESS}.csv?day={today(mei.shop)}")))[-1]
    until = datetime.fromisoformat(closing["recorded_at"])
    assert began - timedelta(seconds=1) <= until <= timezone.now() + timedelta(seconds=1)


def test_the_summary_says_the_same_as_the_file(api: APIClient, mei: Person, sale: Payment) -> None:
    day = today(mei.shop)
    found = api.get(f"{ADDRESS}?day={day}").json()
    assert found["period"]["name"] == day
    assert found["period"]["time_zone"] == "Asia/Shanghai"
    assert found["period"]["start"].endswith("T16:00:00Z")
    assert (found["basis"], found["final"]) == ("recorded", False)
    assert found["opening"]["total"] == {"amount": 0, "currency": "CNY"}
    assert found["closing"] == api.get("/api/v1/ledger/balance").json()
    assert (found["money_in"]["amount"], found["money_out"]["amount"]) == (400, 200)
    assert found["totals"] == [
        {"kind": "paid", "count": 1, "change": {"amount": 400, "currency": "CNY"}},
        {"kind": "refund_asked", "count": 1, "change": {"amount": -200, "currency": "CNY"}},
    ]
    everything = api.get(f"{ADDRESS}?month={day[:7]}&all=1&basis=effective").json()
    assert [row["kind"] for row in everything["totals"]] == ["paid", "refund_asked", "refund_confirmed"]
    assert everything["closing"] == found["closing"]


@pytest.mark.parametrize("ending", ["", ".csv"])
@pytest.mark.parametrize(
    "query", ["", "?day=2026-11-22&month=2026-11", "?day=22.11.2026", "?day=9000-01-01", "?month=1900-01"]
)
def test_a_wrong_period_is_a_problem(api: APIClient, ending: str, query: str) -> None:
    assert problem(api.get(f"{ADDRESS}{ending}{query}")) == (400, "period_wrong")


@pytest.mark.parametrize("ending", ["", ".csv"])
def test_other_wrong_questions_are_problems_too(api: APIClient, ending: str) -> None:
    assert problem(api.get(f"{ADDRESS}{ending}?day=2026-11-22&at=noon")) == (400, "moment_wrong")
    assert problem(api.get(f"{ADDRESS}{ending}?day=2026-01-22&at=2026-01-20T00:00:00Z")) == (400, "period_wrong")
    assert field_problems(api.get(f"{ADDRESS}{ending}?day=2026-01-22&basis=best")) == {"basis": "invalid_choice"}
    assert field_problems(api.get(f"{ADDRESS}{ending}?day=2026-01-22&all=maybe")) == {"all": "invalid"}


@pytest.mark.parametrize("ending", ["", ".csv"])
def test_owners_and_managers_get_statements_and_nobody_else(
    mei: Person, lan: Person, stranger: APIClient, ending: str
) -> None:
    manager = hire(mei.shop, "+8613700137000", Staff.Role.MANAGER)
    question = f"{ADDRESS}{ending}?month=2026-01"
    for person in (mei, manager):
        assert person.api().get(question).status_code == 200
    assert problem(lan.api().get(question)) == (403, "role_too_low")
    assert problem(stranger.get(question)) == (401, "not_authenticated")


def test_a_shop_sees_only_its_own_book(mei: Person, arjun: Person, sale: Payment) -> None:
    # In his own days: when her month has begun, his may not have.
    for period in (f"month={today(arjun.shop)[:7]}", f"day={today(arjun.shop)}"):
        answer = arjun.api().get(f"{ADDRESS}.csv?{period}")
        assert [row["kind"] for row in rows(raw(answer))] == ["Opening balance", "Closing balance"]


def test_nobody_reads_a_book_over_and_over(api: APIClient, mei: Person, arjun: Person, settings: LazySettings) -> None:
    settings.STATEMENT_BUDGET = "2/minute"
    assert api.get(f"{ADDRESS}?month=2026-01").status_code == 200
    assert problem(api.get(f"{ADDRESS}?month=20-01")) == (400, "period_wrong")  # Costs nothing, and no budget.
    assert api.get(f"{ADDRESS}.csv?month=2026-01").status_code == 200
    refused = api.get(f"{ADDRESS}?month=2026-01")
    assert problem(refused) == (429, "too_many_statements")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert arjun.api().get(f"{ADDRESS}?month=2026-01").status_code == 200


def test_a_statement_is_made_while_nobody_can_count_them(api: APIClient, settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert api.get(f"{ADDRESS}?month=2026-01").status_code == 200


@pytest.mark.parametrize("accept", ["text/csv", "text/csv, application/json;q=0.1", "application/vnd.ms-excel", "*/*"])
def test_whoever_asks_for_csv_gets_csv_and_problems_all_the_same(api: APIClient, accept: str) -> None:
    assert api.get(f"{ADDRESS}.csv?month=2026-01", HTTP_ACCEPT=accept).status_code == 200
    assert problem(api.get(f"{ADDRESS}.csv", HTTP_ACCEPT=accept)) == (400, "period_wrong")


def test_the_balance_is_told_on_either_basis(api: APIClient, mei: Person) -> None:
    platform()
    at = "2026-01-22T12:00:00Z"
    post(movement(mei.shop, 200, occurred_at=datetime(2026, 1, 22, 12, tzinfo=UTC)), now=timezone.now())
    said = {basis: api.get(f"/api/v1/ledger/balance?at={at}&basis={basis}").json() for basis in Basis}
    assert [said[basis]["total"]["amount"] for basis in (Basis.RECORDED, Basis.EFFECTIVE)] == [0, 200]
    assert api.get("/api/v1/ledger/balance?basis=effective").json() == api.get("/api/v1/ledger/balance").json()
    assert field_problems(api.get("/api/v1/ledger/balance?basis=best")) == {"basis": "invalid_choice"}


def test_every_movement_that_can_touch_a_shop_has_words_of_its_own() -> None:
    never_hers = {"settled", "credited"}
    told = {kind: statement_file.words(kind) for kind in LedgerEntry.Kind.values if kind not in never_hers}
    assert [kind for kind, words in told.items() if words == kind.replace("_", " ").capitalize()] == [
        "refund_confirmed"
    ]
    assert len(set(told.values())) == len(told)
    assert (told["fee"], told["provider_fee"]) == ("Our fee", "Fee of the network")


def _today(shop: Shop) -> Asked:
    period = statement.period(day=today(shop), month="", zone=shop.time_zone, known_at=timezone.now())
    return Asked(shop, period, Basis.RECORDED, everything=False, known_at=timezone.now())
