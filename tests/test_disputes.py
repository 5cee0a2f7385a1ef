"""A shop is reminded of the date until which it may answer a dispute: once, in time, and of open ones only."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from merchants.models import Item, Notice
from payments import disputes
from payments.models import Dispute, Payment
from tests.cast import Person
from tests.till import disputed, drain, expect, paid, platform


@pytest.fixture
def payment(mei: Person, apples: Item) -> Payment:
    platform()
    paid(expect(apples.codes.get())).deliver()
    drain()
    return Payment.objects.select_related("intent", "provider_account").get()


def reminders() -> list[Notice]:
    return list(Notice.objects.filter(kind="dispute_evidence_due"))


def contest(payment: Payment, due: datetime | None, object_id: str = "wdp_1") -> Dispute:
    disputed(payment, "opened", amount=50, due=due, object_id=object_id).deliver()
    drain()
    return Dispute.objects.latest("id")


def test_a_reminder_comes_two_days_before_the_date_and_only_once(payment: Payment) -> None:
    due = timezone.now() + timedelta(days=5)
    dispute = contest(payment, due)
    assert disputes.remind(now=due - timedelta(days=2, seconds=1)) == 0
    assert disputes.remind(now=due - timedelta(days=2)) == 1
    assert disputes.remind(now=due - timedelta(days=1)) == 0
    [notice] = reminders()
    assert notice.data == {
        "payment": str(payment),
        "dispute": str(dispute),
        "amount": {"amount": 50, "currency": "CNY"},
        "evidence_due_at": due.isoformat(),
    }


def test_nobody_is_reminded_of_what_has_ended_has_no_date_or_is_too_late(payment: Payment) -> None:
    now = timezone.now()
    contest(payment, now + timedelta(days=1), object_id="wdp_1")
    disputed(payment, "won", amount=50, object_id="wdp_1").deliver()
    contest(payment, None, object_id="wdp_2")
    contest(payment, now + timedelta(minutes=1), object_id="wdp_3")
    drain()
    assert disputes.remind(now=now + timedelta(minutes=2)) == 0
    assert reminders() == []


def test_the_api_shows_a_shop_its_own_disputes_and_nobody_elses(mei: Person, arjun: Person, payment: Payment) -> None:
    due = timezone.now() + timedelta(days=5)
    dispute = contest(payment, due)
    [row] = mei.api().get("/api/v1/disputes").json()["results"]
    assert (row["id"], row["payment"], row["state"]) == (str(dispute), str(payment), "open")
    assert row["amount"] == {"amount": 50, "currency": "CNY"}
    assert datetime.fromisoformat(row["evidence_due_at"]) == due
    assert mei.api().get("/api/v1/disputes?state=lost").json()["results"] == []
    assert arjun.api().get("/api/v1/disputes").json()["results"] == []
    assert [one["id"] for one in mei.api().get(f"/api/v1/payments/{payment}").json()["disputes"]] == [str(dispute)]
    [held, _paid] = mei.api().get("/api/v1/ledger/entries").json()["results"]
    assert (held["kind"], held["dispute"], held["change"]) == ("dispute_held", str(dispute), -50)
