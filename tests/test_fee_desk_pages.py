"""The back office's pages of fees: what was agreed, what it charges, and a version that is looked at, then kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from merchants.lists import public_id
from payments.admin.fee_forms import parts_per_million
from payments.fees import Tier
from payments.models import FeeContract
from tests.cast import Person
from tests.operators import CHIEF_PHONE, Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.till import agree, platform

pytestmark = pytest.mark.django_db
BASE = "/admin/payments/feecontract"


@pytest.fixture
def chief() -> Operator:
    """A superuser, who may say what is charged."""
    return signed_in(CHIEF_PHONE, superuser=True)


@pytest.fixture
def wei() -> Operator:
    """An operator, who may read it."""
    return signed_in()


def send(operator: Operator, button: str, **changed: str) -> Any:
    form = {
        "side": "charge",
        "provider": "sandbox",
        "currency": "cny",
        "shop": "",
        "account": "",
        "percent": "0.6",
        "fixed": "0.10",
        "floor": "0",
        "cap": "",
        "tiers": "",
        "tolerance_text": "0",
        "valid_from": "",
        "reason": "the contract of May",
    }
    return operator.client.post(f"{BASE}/next/", {**form, **changed, button: "1"})


def test_a_version_is_looked_at_first_and_nothing_is_kept(chief: Operator) -> None:
    agree(parts_per_million=10_000)
    page = send(chief, "look", tiers="1000 0.4\n5000 0.3 1").content.decode()
    assert "0.6 % + CN¥0.10, from CN¥1,000.00 on 0.4 %, from CN¥5,000.00 on 0.3 % + CN¥1.00" in page
    for amount, fee, today in [
        ("CN¥1.00", "CN¥0.11", "CN¥0.01"),
        ("CN¥100.00", "CN¥0.70", "CN¥1.00"),
        ("CN¥999.99", "CN¥6.10", "CN¥10.00"),
        ("CN¥1,000.00", "CN¥4.00", "CN¥10.00"),
        ("CN¥5,000.00", "CN¥16.00", "CN¥50.00"),
    ]:
        assert f"<tr><td>{amount}</td><td>{fee}</td><td>{today}</td></tr>" in page
    assert "Add this version" in page
    assert FeeContract.objects.count() == 1


def test_a_shops_first_contract_is_compared_with_what_all_are_charged_today(chief: Operator, mei: Person) -> None:
    agree(parts_per_million=10_000)
    agree(parts_per_million=90_000, since=timezone.now() + timedelta(days=3))
    page = send(chief, "look", shop=public_id(mei.shop)).content.decode()
    assert "<tr><td>CN¥100.00</td><td>CN¥0.70</td><td>CN¥1.00</td></tr>" in page


def test_then_it_is_kept_with_its_reason_in_the_trail(chief: Operator, mei: Person) -> None:
    response = send(chief, "keep", shop=public_id(mei.shop), tiers="1000 0.4 0.2", cap="20", floor="0.05")
    row = FeeContract.objects.get()
    assert (response.status_code, response.headers["Location"]) == (302, f"{BASE}/{row.pk}/change/")
    assert (row.shop, row.currency, row.version, row.made_by, row.note) == (
        mei.shop,
        "CNY",
        1,
        chief.user,
        "the contract of May",
    )
    assert (row.parts_per_million, row.fixed_amount, row.floor_amount, row.cap_amount) == (6000, 10, 5, 2000)
    assert row.tiers == [{"from_amount": 100_000, "parts_per_million": 4000, "fixed_amount": 20}]
    assert timezone.now() - row.valid_from < timedelta(minutes=1)
    assert acts() == [("add_fee_version", "the contract of May")]
    page = chief.client.get(f"{BASE}/{row.pk}/change/").content.decode()
    assert "What it charges: 0.6 % + CN¥0.10" in page
    assert "in force" in page


def test_the_next_version_begins_as_the_one_it_follows(chief: Operator) -> None:
    account = platform()
    row = agree(
        side="cost", account=account, parts_per_million=29_050, fixed_amount=30, tolerance=1, tiers=(Tier(5000, 1),)
    )
    page = chief.client.get(f"{BASE}/{row.pk}/change/").content.decode()
    assert f"{BASE}/next/?after={row.pk}" in page
    form = chief.client.get(f"{BASE}/next/", {"after": str(row.pk)}).context["form"]
    begun = form.initial
    assert (begun["percent"], begun["fixed"], begun["tiers"]) == ("2.905", "0.30", "50.00 0.0001 0.00")
    assert (begun["tolerance_text"], begun["account"]) == ("0.01", public_id(account))
    send(chief, "keep", **begun, valid_from="2126-01-01 00:00")
    newer = FeeContract.objects.latest("version")
    assert (newer.version, newer.provider_account, newer.tiers) == (2, account, row.tiers)
    assert (newer.parts_per_million, newer.fixed_amount, newer.tolerance_amount) == (29_050, 30, 1)
    assert newer.valid_from == datetime(2126, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("percent", "0.60001", "at most four decimals"),
        ("percent", "-1", "at most four decimals"),
        ("percent", "101", "between nothing and the whole"),
        ("fixed", "0.105", "2 decimal places"),
        ("floor", "a lot", "not an amount"),
        ("cap", "-5", "not an amount"),
        ("tiers", "1000", "1000 0.5 0.10"),
        ("tiers", "1000 0.5\n900 0.4", "each at a higher amount"),
        ("tolerance_text", "0.01", "Only what a provider charges has a tolerance"),
        ("shop", "shp_nobody", "There is no such one"),
        ("account", "pac_nobody", "There is no such one"),
        ("currency", "XYZ", "There is no such currency"),
        ("valid_from", "tomorrow", "valid date/time"),
        ("valid_from", "2020-01-01 00:00", "may not rewrite the past"),
        ("reason", "", "This field is required"),
        ("provider", "moonpay", "Select a valid choice"),
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field_and_nothing_is_kept(
    chief: Operator, field: str, typed: str, said: str
) -> None:
    agree(parts_per_million=1)
    page = send(chief, "keep", **{field: typed})
    assert page.status_code == 200
    assert said in page.content.decode()
    assert FeeContract.objects.count() == 1


def test_an_operator_reads_and_only_who_may_adds(wei: Operator) -> None:
    row = agree(parts_per_million=6000)
    for address in ("/", f"/{row.pk}/change/"):
        page = wei.client.get(BASE + address)
        assert page.status_code == 200
        assert "next/" not in page.content.decode()
    assert wei.client.get(f"{BASE}/next/").status_code == 403
    assert send(wei, "keep").status_code == 403
    assert FeeContract.objects.count() == 1

    wei.user.user_permissions.add(Permission.objects.get(codename="add_feecontract"))
    assert send(wei, "keep").status_code == 302


def test_the_list_says_which_version_holds_and_costs_as_many_questions_however_many_there_are(
    chief: Operator, mei: Person
) -> None:
    now = timezone.now()
    agree(parts_per_million=1000, now=now - timedelta(days=3))
    agree(parts_per_million=2000, since=now - timedelta(days=1), now=now - timedelta(days=2))
    agree(parts_per_million=3000, since=now + timedelta(days=9), now=now)
    agree(shop=mei.shop, parts_per_million=4000)
    page = chief.client.get(f"{BASE}/").content.decode()
    rows = [row for row in page.split("<tr>") if " %<" in row]
    words = ("replaced", "in force", "announced")
    standing = [(rate, word) for rate in range(1, 5) for row in rows for word in words
                if f">0.{rate} %<" in row and word in row]  # fmt: skip
    assert standing == [(1, "replaced"), (2, "in force"), (3, "announced"), (4, "in force")]
    assert "charge sandbox CNY: all" in page
    with CaptureQueriesContext(connection) as few:
        chief.client.get(f"{BASE}/")
    for day in range(20):
        agree(shop=mei.shop, parts_per_million=day, since=now + timedelta(days=day + 1))
    with CaptureQueriesContext(connection) as many:
        chief.client.get(f"{BASE}/")
    assert len(few) == len(many)
    found = chief.client.get(f"{BASE}/", {"q": public_id(mei.shop)}).content.decode()
    assert "0.4 %" in found
    assert "0.2 %" not in found


def test_percent_is_read_exactly() -> None:
    typed = ("0", "0.6", "2,9", "100", "0.0001", "12.3456")
    assert [parts_per_million(text) for text in typed] == [0, 6000, 29_000, 1_000_000, 1, 123_456]
