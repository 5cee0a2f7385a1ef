"""The evening's figures: what each counts, that no backlog makes us unready, and that no question reads it all."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from merchants import ids
from merchants.models import Shop
from payments import figures
from payments.models import (
    Adjustment,
    Discrepancy,
    Payout,
    PayoutAccount,
    ProviderAccount,
    Settlement,
    Statement,
    StatementLine,
)
from tests.cast import Person
from tests.till import drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def ago(**parts: float) -> Any:
    return NOW - timedelta(**parts)


@pytest.fixture
def account() -> ProviderAccount:
    return platform()


def question(account: ProviderAccount, reason: str, amount: int, opened_at: Any, **changed: Any) -> Discrepancy:
    return Discrepancy.objects.create(
        key=str(ids.new(NOW)),
        reason=reason,
        provider_account=account,
        amount=amount,
        opened_at=opened_at,
        **{"currency": "CNY", **changed},
    )


def statement(account: ProviderAccount, state: str, created_at: Any) -> Statement:
    return Statement.objects.create(
        id=ids.new(created_at),
        provider_account=account,
        format="sandbox",
        day=created_at.date(),
        state=state,
        fetched=True,
        created_at=created_at,
    )


def line(of: Statement, number: int, look_at: Any) -> StatementLine:
    return StatementLine.objects.create(statement=of, number=number, raw={}, look_at=look_at)


def settlement(account: ProviderAccount, state: str, **amounts: Any) -> Settlement:
    reference = f"set_{Settlement.objects.count()}"
    return Settlement.objects.create(
        provider_account=account,
        reference=reference,
        state=state,
        created_at=NOW,
        **{"currency": "CNY", **amounts},
    )


def payout(mei: Person, state: str, amount: int, created_at: Any) -> Payout:
    account = PayoutAccount.objects.filter(shop=mei.shop).first() or PayoutAccount.objects.create(
        shop=mei.shop,
        currency="CNY",
        scheme="local",
        country="CN",
        holder="Mei",
        tail="1234",
        sealed_number=b"sealed",
        requested_by=mei.staff,
        requested_at=NOW,
        effective_at=NOW,
    )
    return Payout.objects.create(
        id=ids.new(created_at),
        shop=mei.shop,
        account=account,
        earned_day=date(2026, 1, 1) + timedelta(days=Payout.objects.count()),
        amount=amount,
        currency="CNY",
        state=state,
        created_at=created_at,
    )


def told() -> dict[str, Any]:
    return figures.told(now=NOW)


def samples(name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """A gauge's values by those of these labels."""
    text = figures.metrics(told()).decode()
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_what_does_not_fit_is_summed_by_reason_currency_and_age(account: ProviderAccount) -> None:
    for amount, opened_at in [(100, ago(hours=1)), (-30, ago(hours=23)), (5, ago(days=1)), (7, ago(days=29.9))]:
        question(account, "missing_in_books", amount, opened_at)
    question(account, "missing_at_provider", 900, ago(days=30))
    question(account, "missing_at_provider", 50, ago(days=400), currency="USD")
    question(account, "missing_at_provider", 999, ago(days=2), state="resolved")
    expected = {
        ("missing_at_provider", "CNY", "older"): (1, 900),
        ("missing_at_provider", "USD", "older"): (1, 50),
        ("missing_in_books", "CNY", "under_1d"): (2, 130),
        ("missing_in_books", "CNY", "under_30d"): (1, 7),
        ("missing_in_books", "CNY", "under_7d"): (1, 5),
    }
    found = {(row["reason"], row["currency"], row["age"]): (row["count"], row["amount"]) for row in told()["unmatched"]}
    assert found == expected
    labels = ("reason", "currency", "age")
    assert samples("pushcart_unmatched", *labels) == {about: count for about, (count, _) in expected.items()}
    assert samples("pushcart_unmatched_amount", *labels) == {about: amount for about, (_, amount) in expected.items()}


def test_lines_that_wait_are_counted_with_the_age_of_the_oldest(
    account: ProviderAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = statement(account, "imported", ago(hours=2))
    for number, look_at in enumerate([ago(hours=1), ago(minutes=1), NOW, ago(days=-1), None, None], start=1):
        line(taken, number, look_at)
    assert told()["lines"] == {"waiting": 3, "later": 1, "oldest_s": 3600}
    assert samples("pushcart_statement_lines", "state") == {("waiting",): 3, ("later",): 1}
    assert samples("pushcart_statement_lines_seconds") == {(): 3600}
    monkeypatch.setattr(figures, "COUNTED_MAX", 2)
    assert told()["lines"]["waiting"] == 2


def test_a_line_that_is_only_due_later_has_no_age(account: ProviderAccount) -> None:
    line(statement(account, "imported", NOW), 1, ago(days=-1))
    assert told()["lines"] == {"waiting": 0, "later": 1, "oldest_s": 0}


def test_statements_that_have_not_come_and_those_that_were_refused_lately(account: ProviderAccount) -> None:
    for state, created_at in [
        ("wanted", ago(days=2)),
        ("wanted", ago(hours=1)),
        ("imported", ago(days=3)),
        ("refused", ago(days=6)),
        ("refused", ago(days=8)),
    ]:
        statement(account, state, created_at)
    assert told()["statements"] == {"wanted": 2, "oldest_s": 172_800, "refused": 1}
    names = ("wanted", "wanted_seconds", "refused")
    assert [samples(f"pushcart_statements_{name}")[()] for name in names] == [2, 172_800, 1]


def test_settlements_on_their_way_and_overdue_are_what_the_bank_has_not_seen(account: ProviderAccount) -> None:
    settlement(account, "in_transit", lines_amount=700)
    settlement(account, "in_transit", lines_amount=700, told_amount=650)
    settlement(account, "overdue", told_amount=300, arrived_amount=100)
    settlement(account, "overdue", told_amount=40, currency="USD")
    settlement(account, "differs", told_amount=100, arrived_amount=101)
    settlement(account, "arrived", told_amount=9000, arrived_amount=9000)
    assert told()["settlements"] == [
        {"state": "differs", "currency": "CNY", "count": 1, "amount": -1},
        {"state": "in_transit", "currency": "CNY", "count": 2, "amount": 1350},
        {"state": "overdue", "currency": "CNY", "count": 1, "amount": 200},
        {"state": "overdue", "currency": "USD", "count": 1, "amount": 40},
    ]
    assert samples("pushcart_settlements_amount", "state", "currency")["overdue", "CNY"] == 200


def test_what_a_provider_owes_us_stands_by_account_and_currency(account: ProviderAccount, mei: Person) -> None:
    paid(expect(shop_code(mei.shop), 200)).deliver()
    paid(expect(shop_code(mei.shop), 300), currency="USD").deliver()
    drain()
    assert samples("pushcart_receivable", "account", "currency") == {
        ("sandbox/platform", "CNY"): 200,
        ("sandbox/platform", "USD"): 300,
    }


def test_payouts_under_way_and_lately_failed_are_summed_by_state(mei: Person) -> None:
    for state, amount, created_at in [
        ("prepared", 100, ago(days=90)),
        ("sent", 200, ago(days=1)),
        ("sent", 30, NOW),
        ("paid", 999, NOW),
        ("failed", 5, ago(days=6)),
        ("returned", 6, NOW),
        ("returned", 7, ago(days=8)),
    ]:
        payout(mei, state, amount, created_at)
    assert samples("pushcart_payouts_amount", "state", "currency") == {
        ("prepared", "CNY"): 100,
        ("sent", "CNY"): 230,
        ("failed", "CNY"): 5,
        ("returned", "CNY"): 6,
    }
    assert samples("pushcart_payouts", "state", "currency")["sent", "CNY"] == 2


def test_adjustments_that_wait_for_a_second_operator(account: ProviderAccount, mei: Person) -> None:
    for state, proposed_at in [("proposed", ago(hours=3)), ("proposed", NOW), ("refused", ago(days=9))]:
        Adjustment.objects.create(
            discrepancy=question(account, "short", 1, NOW),
            remedy="write_off",
            amount=1,
            currency="CNY",
            note="lost",
            state=state,
            proposed_by=mei.user,
            proposed_at=proposed_at,
            four_eyes=True,
        )
    assert told()["adjustments_waiting"] == {"count": 2, "oldest_s": 10_800}
    assert samples("pushcart_adjustments_waiting") == {(): 2}
    assert samples("pushcart_adjustments_waiting_seconds") == {(): 10_800}


@pytest.fixture
def backlog(account: ProviderAccount, mei: Person) -> Shop:
    """Something of everything waits for longer than it should."""
    taken = statement(account, "imported", ago(days=50))
    line(taken, 1, ago(days=40))
    statement(account, "wanted", ago(days=40))
    statement(account, "refused", ago(days=1))
    settlement(account, "overdue", told_amount=10**9)
    payout(mei, "sent", 10**9, ago(days=40))
    payout(mei, "failed", 1, ago(days=1))
    Adjustment.objects.create(
        discrepancy=question(account, "missing_in_books", 10**9, ago(days=40)),
        remedy="write_off",
        amount=1,
        currency="CNY",
        note="lost",
        proposed_by=mei.user,
        proposed_at=ago(days=40),
        four_eyes=True,
    )
    return mei.shop


def test_no_backlog_of_any_kind_makes_us_unready(backlog: Shop) -> None:
    found = told()
    for name in ("unmatched", "settlements", "payouts"):
        assert found[name], name
    waits = [found["lines"]["waiting"], found["statements"]["wanted"], found["statements"]["refused"]]
    assert [*waits, found["adjustments_waiting"]["count"]] == [1, 1, 1, 1]
    assert Client().get("/healthz/ready").status_code == 200


def test_the_figures_are_as_many_questions_however_much_waits(backlog: Shop, account: ProviderAccount) -> None:
    with CaptureQueriesContext(connection) as few:
        told()
    taken = Statement.objects.get(state="imported")
    for number in range(2, 60):
        line(taken, number, ago(days=1))
        question(account, "short", 1, ago(days=number))
        settlement(account, "overdue", told_amount=number)
    with CaptureQueriesContext(connection) as many:
        told()
    assert len(few) == len(many)


@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("payments_statementline", "statement_line_due"),
        ("payments_discrepancy", "discrepancy_open"),
        ("payments_payout", "payout_under_way"),
        ("payments_adjustment", "adjustment_one_waits"),
        ("payments_statement", "statement_wanted"),
        ("payments_settlement", "settlement_state"),
    ],
)
def test_what_has_ended_is_not_read_for_the_figures_of_what_waits(backlog: Shop, table: str, index: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        told()
    found = [query["sql"] for query in asked if re.search(f'FROM "{table}" ', query["sql"])]
    assert found
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plans = []
        for sql in found:
            cursor.execute(f"EXPLAIN {sql}".replace("%", "%%"))
            plans.append("\n".join(row for (row,) in cursor.fetchall()))
    assert any(index in plan for plan in plans), plans
    assert all("Seq Scan" not in plan for plan in plans), plans
