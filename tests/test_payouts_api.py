"""Payouts over the API: what was paid, what comes next, and why nothing does."""

from __future__ import annotations

from datetime import datetime

import pytest
import time_machine
from rest_framework.test import APIClient

from merchants.models import Staff
from payments.models import Payout
from payments.payouts import outcomes
from tests.cast import Person, hire, problem
from tests.payday import earn, entered, monday, our_bank, proved, released, terms
from tests.till import platform

PAYOUTS, NEXT = "/api/v1/payouts", "/api/v1/payouts/next"


@pytest.fixture
def ready(mei: Person) -> Person:
    platform()
    terms(minimum=150)
    our_bank()
    proved(mei, now=monday(9))
    return mei


def cny(amount: int) -> dict[str, object]:
    return {"amount": amount, "currency": "CNY"}


def test_a_payout_is_listed_and_shown_with_its_state_and_why_it_failed(ready: Person) -> None:
    earn(ready, 200, at=monday(12))
    payout = released(monday(1, days=1))
    [row] = ready.api().get(PAYOUTS).json()["results"]
    assert row == ready.api().get(f"{PAYOUTS}/{payout}").json()
    assert row == {
        "id": str(payout), "amount": cny(200), "state": "sent", "account": str(payout.account), "tail": "0128",
        "earned_until": monday().date().isoformat(), "pay_day": monday(days=1).date().isoformat(), "failure": "",
        "created_at": row["created_at"], "sent_at": row["sent_at"], "settled_at": None,
    }  # fmt: skip
    noon = monday(12, days=1)
    Payout.objects.update(failure="it did not answer yet")
    assert ready.api().get(f"{PAYOUTS}/{payout}").json()["failure"] == ""
    outcomes.end(payout_id=payout.id, word="failed", at=noon, now=noon, failure="account_closed")
    shown = ready.api().get(f"{PAYOUTS}/{payout}").json()
    assert (shown["state"], shown["failure"]) == ("failed", "account_closed")
    entries = ready.api().get("/api/v1/ledger/entries").json()["results"]
    assert [(entry["kind"], entry["change"]) for entry in entries[:2]] == [
        ("payout_failed", 200),
        ("payout_asked", -200),
    ]


def test_the_list_is_in_pages(ready: Person) -> None:
    for day in range(3):
        earn(ready, 200, at=monday(12, days=day))
        released(monday(1, days=day + 1))
    page = ready.api().get(f"{PAYOUTS}?limit=2").json()
    rest = ready.api().get(page["next"]).json()
    assert (len(page["results"]), len(rest["results"]), rest["next"]) == (2, 1, None)


@pytest.mark.parametrize(
    ("at", "amount", "reason", "pay_day"),
    [
        (monday(13), 200, "not_yet", monday(days=1)),
        (monday(20), 200, "not_yet", monday(days=1)),
        (monday(1, days=1), 200, None, monday(days=1)),
    ],
)
def test_what_comes_next_and_when(
    ready: Person, at: datetime, amount: int, reason: str | None, pay_day: datetime
) -> None:
    earn(ready, 200, at=monday(12))
    with time_machine.travel(at, tick=False):
        shown = ready.api().get(NEXT).json()
    assert (shown["amount"], shown["reason"], shown["pay_day"]) == (cny(amount), reason, pay_day.date().isoformat())
    assert datetime.fromisoformat(shown["earned_until"]) == monday(18)
    assert (shown["minimum"], shown["account"]["tail"]) == (cny(150), "0128")


def test_why_nothing_comes(ready: Person) -> None:
    earn(ready, 100, at=monday(12))
    with time_machine.travel(monday(1, days=1), tick=False):
        assert ready.api().get(NEXT).json()["reason"] == "below_minimum"
        entered(ready, "6222029876543210987", now=monday(1, days=1))
        assert ready.api().get(NEXT).json()["reason"] == "account_changing"


def test_a_shop_without_terms_or_account_is_told_so(mei: Person) -> None:
    shown = mei.api().get(NEXT).json()
    assert shown == {
        "amount": cny(0), "reason": "no_terms", "earned_until": None, "pay_day": None, "minimum": None, "account": None,
    }  # fmt: skip
    terms()
    assert mei.api().get(NEXT).json()["reason"] == "no_account"


def test_owners_and_managers_see_payouts_assistants_and_others_do_not(
    ready: Person, lan: Person, arjun: Person, stranger: APIClient
) -> None:
    earn(ready, 200, at=monday(12))
    payout = released(monday(1, days=1))
    manager = hire(ready.shop, "+8613700137000", Staff.Role.MANAGER)
    for path in (PAYOUTS, NEXT, f"{PAYOUTS}/{payout}"):
        assert manager.api().get(path).status_code == 200
        assert problem(lan.api().get(path)) == (403, "role_too_low")
        assert problem(stranger.get(path)) == (401, "not_authenticated")
    assert problem(arjun.api().get(f"{PAYOUTS}/{payout}")) == (404, "not_found")
    assert problem(ready.api().get(f"{PAYOUTS}/pyo_x")) == (404, "not_found")
    assert arjun.api().get(PAYOUTS).json()["results"] == []
