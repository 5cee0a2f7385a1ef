"""Versions of contracts: added with a line in the trail, one after the other, never about the past, never changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from merchants.audit import UnableToAct
from merchants.models import OperatorAct
from payments import fee_desk
from payments.fees import Rates, Tier
from payments.models import FeeContract
from tests.cast import Person
from tests.till import agree, platform

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def add(mei: Person, **changed: Any) -> FeeContract:
    terms: dict[str, Any] = {
        "side": "charge",
        "provider": "sandbox",
        "currency": "CNY",
        "shop": None,
        "provider_account": None,
        "valid_from": NOW,
        "rates": Rates(parts_per_million=6000),
        "operator": mei.user,
        "note": "the contract of May",
        "now": NOW,
    }
    return fee_desk.add_version(**terms | changed)


def test_a_version_stands_in_its_scope_and_in_the_trail(mei: Person) -> None:
    first = add(mei)
    tiers = (Tier(1000, 5000), Tier(5000, 4000, 10))
    second = add(mei, rates=Rates(6000, 1, 2, 300, tiers), valid_from=NOW + timedelta(days=30), note="cheaper")
    assert (first.version, second.version) == (1, 2)
    second.refresh_from_db()
    assert second.tiers == [
        {"from_amount": 1000, "parts_per_million": 5000, "fixed_amount": 0},
        {"from_amount": 5000, "parts_per_million": 4000, "fixed_amount": 10},
    ]
    act = OperatorAct.objects.latest("id")
    assert (act.operator, act.act, act.subject_id, act.reason) == (
        mei.user,
        "add_fee_version",
        str(second),
        "cheaper",
    )
    assert (act.before["version"], act.before["rates"]) == (1, "0.6 %")
    assert act.after["rates"] == (
        "0.6 % + CN¥0.01, from CN¥10.00 on 0.5 %, from CN¥50.00 on 0.4 % + CN¥0.10, at least CN¥0.02, at most CN¥3.00"
    )


def test_each_scope_counts_its_own_versions(mei: Person) -> None:
    account = platform()
    scopes: list[dict[str, Any]] = [
        {},
        {"shop": mei.shop},
        {"currency": "USD"},
        {"provider": "stripe"},
        {"side": "cost"},
        {"side": "cost", "provider_account": account},
    ]
    assert [add(mei, **scope).version for scope in scopes] == [1] * 6
    assert [add(mei, **scope).version for scope in scopes] == [2] * 6


def test_only_the_first_version_of_a_scope_may_begin_in_the_past(mei: Person) -> None:
    add(mei, valid_from=NOW - timedelta(days=400))
    with pytest.raises(UnableToAct) as refusal:
        add(mei, valid_from=NOW - timedelta(microseconds=1))
    assert refusal.value.code == "valid_from_past"
    assert FeeContract.objects.count() == OperatorAct.objects.count() == 1
    assert add(mei, valid_from=NOW).version == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": "gift"},
        {"provider": "moonpay"},
        {"currency": "XAU"},
        {"currency": "cny"},
    ],
)
def test_a_scope_that_makes_no_sense_is_refused(mei: Person, wrong: dict[str, Any]) -> None:
    with pytest.raises(UnableToAct) as refusal:
        add(mei, **wrong)
    assert refusal.value.code == "scope_wrong"
    assert FeeContract.objects.count() == OperatorAct.objects.count() == 0


def test_a_side_takes_its_own_kind_of_owner(mei: Person) -> None:
    account = platform()
    for wrong in (
        {"provider_account": account},
        {"side": "cost", "shop": mei.shop},
        {"side": "cost", "provider_account": account, "provider": "stripe"},
    ):
        with pytest.raises(UnableToAct) as refusal:
            add(mei, **wrong)
        assert refusal.value.code == "scope_wrong"
    assert FeeContract.objects.count() == 0


@pytest.mark.parametrize(
    ("rates", "tolerance"),
    [
        (Rates(parts_per_million=1_000_001), 0),
        (Rates(parts_per_million=-1), 0),
        (Rates(fixed_amount=-1), 0),
        (Rates(floor_amount=-1), 0),
        (Rates(floor_amount=11, cap_amount=10), 0),
        (Rates(cap_amount=10_000_000_001), 0),
        (Rates(), 1),
        (Rates(tiers=(Tier(0, 1),)), 0),
        (Rates(tiers=(Tier(1000, 1), Tier(1000, 2))), 0),
        (Rates(tiers=(Tier(2000, 1), Tier(1000, 2))), 0),
        (Rates(tiers=(Tier(1000, 1_000_001),)), 0),
        (Rates(tiers=(Tier(1000, 1, -1),)), 0),
        (Rates(tiers=tuple(Tier(amount, 1) for amount in range(1, 22))), 0),
    ],
)
def test_rates_that_make_no_sense_are_refused(mei: Person, rates: Rates, tolerance: int) -> None:
    with pytest.raises(UnableToAct) as refusal:
        add(mei, rates=rates, tolerance_amount=tolerance)
    assert refusal.value.code == "rates_wrong"
    assert FeeContract.objects.count() == OperatorAct.objects.count() == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(parts_per_million=1),
        lambda rows: rows.update(valid_from=NOW),
        lambda rows: rows.delete(),
    ],
)
def test_the_database_changes_no_version(mei: Person, change: Any) -> None:
    row = agree(parts_per_million=6000)
    with pytest.raises(DatabaseError), transaction.atomic():
        change(FeeContract.objects.filter(id=row.id))
    assert FeeContract.objects.get().parts_per_million == 6000
