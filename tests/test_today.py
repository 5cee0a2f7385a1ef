"""Today on one page: exact figures, each with its list behind it, for whom may see them, in few questions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from merchants import bell, ids
from merchants.models import CodeAlarm
from payments import circuit, rollups, today
from payments.admin.parts import chart
from payments.models import Discrepancy, LedgerEntry, Payment, ProviderAccount, QueuedEvent, StatementLine
from tests.cast import Person
from tests.operators import Operator, quick_passwords, signed_in  # noqa: F401
from tests.test_figures import line, payout, question, statement
from tests.test_payments_admin import assert_obeys_the_policy
from tests.till import drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.django_db
QUESTIONS_MAX = 16


@pytest.fixture
def wei() -> Operator:
    """An operator."""
    return signed_in()


@pytest.fixture
def account() -> ProviderAccount:
    return platform()


def payment(account: ProviderAccount, amount: int, at: datetime, currency: str = "CNY", **changed: Any) -> Payment:
    """A payment that was recorded at that moment and booked to nobody."""
    with transaction.atomic():
        rollups.add([(currency, amount)], now=at)
    return Payment.objects.create(
        id=ids.new(at),
        provider_account=account,
        object_id=str(ids.new(at)),
        amount=amount,
        currency=currency,
        occurred_at=at,
        recorded_at=at,
        **{"match": "unexpected", "placed": False, **changed},
    )


def rows(operator: Operator, part: str) -> list[list[str]]:
    """A table of the page, without its links."""
    parts = {one.id: one for one in operator.client.get("/admin/today/").context["parts"]}
    return [[unescape(re.sub("<[^>]+>", "", str(cell))) for cell in row] for row in parts[part].rows]


def test_the_front_page_leads_to_it_in_one_click(wei: Operator) -> None:
    assert 'href="/admin/today/"' in wei.client.get("/admin/").text
    page = wei.client.get("/admin/today/")
    assert page.status_code == 200
    assert_obeys_the_policy(page)
    assert wei.client.post("/admin/today/").status_code == 405


def test_what_was_paid_is_summed_by_currency_and_hour(account: ProviderAccount) -> None:
    now = datetime(2026, 11, 28, 15, 30, tzinfo=UTC)
    for amount, at in ((200, "00:00"), (300, "00:59"), (500, "14:00"), (7, "15:29")):
        payment(account, amount, datetime.fromisoformat(f"2026-11-28T{at}:00+00:00"))
    payment(account, 1_000_000, datetime(2026, 11, 27, 23, 59, 59, 999_000, tzinfo=UTC))
    payment(account, 2_000_000, datetime(2026, 11, 29, tzinfo=UTC))
    payment(account, 1500, now, currency="INR")
    yuan, rupees = today.volume(now=now)
    assert (yuan.currency, yuan.count, yuan.amount, len(yuan.hours)) == ("CNY", 4, 1007, 24)
    assert [(hour.begins.hour, hour.count, hour.amount) for hour in yuan.hours if hour.count] == [
        (0, 2, 500),
        (14, 1, 500),
        (15, 1, 7),
    ]
    assert (rupees.currency, rupees.count, rupees.amount) == ("INR", 1, 1500)


def test_the_chart_says_in_words_what_it_shows_and_a_table_stands_beside_it(
    wei: Operator, account: ProviderAccount
) -> None:
    begin = today.midnight(timezone.now())
    payment(account, 200, begin)
    payment(account, 300, begin + timedelta(minutes=30))
    assert rows(wei, "paid-cny") == [["00:00", "2", "CN¥5.00"], ["in all", "2", "CN¥5.00"]]
    text = wei.client.get("/admin/today/").text
    said = "Paid today in CNY, by hour: CN¥5.00 in all, most at 00:00 (CN¥5.00)"
    assert f'role="img" aria-label="{said}"' in text
    assert text.count("<rect ") == 24
    assert "<title>00:00: CN¥5.00, 2 payments</title>" in text


def test_bars_are_as_high_as_their_values_and_nothing_of_a_stranger_is_markup() -> None:
    drawn = chart("a <b>", [("00:00", 100, "one"), ("01:00", 50, "<i>"), ("02:00", 0, "none")], "100 & more")
    assert re.findall(r' height="([\d.]+)"', drawn) == ["66.0", "33.0", "0.0"]
    assert [text in drawn for text in ("a &lt;b&gt;", "&lt;i&gt;", "100 &amp; more")] == [True, True, True]
    assert "<rect" not in chart("empty", [], "")


def test_every_number_leads_to_a_list_of_so_many_rows(wei: Operator, account: ProviderAccount, mei: Person) -> None:
    _a_bad_day(account, mei, 1)
    counted = []
    for part in wei.client.get("/admin/today/").context["parts"]:
        for cell in (cell for row in part.rows for cell in row):
            if found := re.fullmatch(r'<a href="([^"]+)">([^<]+)</a>', str(cell)):
                listed = wei.client.get(unescape(found[1]))
                assert listed.status_code == 200, found[1]
                if found[2].isdigit():
                    assert len(listed.context["cl"].result_list) == int(found[2]), (part.heading, cell)
                    counted.append(part.id)
    assert {name: counted.count(name) for name in counted} == {
        "paid-cny": 2,
        "waiting": 6,
        "discrepancies": 3,
        "lines": 4,
        "events": 3,
        "payouts": 1,
    }


def test_what_waits_is_told_with_its_age(wei: Operator, account: ProviderAccount, mei: Person) -> None:
    _a_bad_day(account, mei, 1)
    assert rows(wei, "events") == [["Parked", "1", "3 h"], ["Quarantined", "1", "3 h"], ["Dead", "1", "3 h"]]
    assert rows(wei, "discrepancies") == [
        ["under a day", "the payer paid less than asked", "1", "CN¥2.00"],
        ["older", "paid twice", "1", "CN¥9.00"],
        ["all", "", "2", ""],
    ]
    assert rows(wei, "lines") == [
        ["for less than an hour", "1"],
        ["for less than a day", "1"],
        ["for longer", "1"],
        ["not due yet: looked at, and again later", "1"],
    ]
    assert rows(wei, "payouts") == [["Prepared", "1", "CN¥0.70"]]
    assert rows(wei, "waiting") == [
        ["refunds to look at", "0"],
        ["open alarms about codes", "1"],
        ["open disputes", "0"],
        ["adjustments for a second operator", "0"],
        ["batches of payouts to release", "0"],
        ["payout accounts to prove", "1"],
    ]


def test_the_lag_is_between_the_arrival_and_the_decision(account: ProviderAccount, mei: Person) -> None:
    assert today.lag(now=timezone.now()) is None
    for _ in range(3):
        paid(expect(shop_code(mei.shop), 500)).deliver()
    drain()
    # Entries refuse to be changed: so the events are given another time of arrival.
    decided = LedgerEntry.objects.filter(kind="paid").order_by("id").values_list("event_id", "recorded_at")
    for (event, at), seconds in zip(decided, (1, 2, 60), strict=True):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(
                "UPDATE payments_webhookevent SET received_at = %s WHERE id = %s",
                [at - timedelta(seconds=seconds), event],
            )
            cursor.execute("SET LOCAL session_replication_role = origin")
    told = today.lag(now=timezone.now())
    assert told == today.Lag(payments=3, median_s=2.0, p99_s=60.0, longest_s=60.0)


def test_providers_that_are_left_alone_come_first_and_the_last_payment_of_each_is_told(
    wei: Operator, account: ProviderAccount, mei: Person
) -> None:
    own = ProviderAccount.objects.create(
        provider="sandbox", name="a-shops", funds="direct", shop=mei.shop, sealed_credentials=b""
    )
    payment(account, 1, timezone.now() - timedelta(hours=3))
    assert rows(wei, "providers") == [["sandbox/platform", "called as usual", "3\xa0hours ago"]]
    for _ in range(5):
        circuit.failed(own.id, "sandbox")
    assert rows(wei, "providers") == [
        ["sandbox/a-shops", "left alone after failures", "never"],
        ["sandbox/platform", "called as usual", "3\xa0hours ago"],
    ]
    bell.store().flushdb()


def test_suspense_stands_by_currency(wei: Operator, account: ProviderAccount) -> None:
    paid(amount=700, reference="nothing of ours").deliver()
    drain()
    assert rows(wei, "suspense") == [["CNY", "CN¥7.00"]]


def test_the_page_is_as_many_questions_however_bad_the_day_is(
    wei: Operator, account: ProviderAccount, mei: Person
) -> None:
    _a_bad_day(account, mei, 1)
    with CaptureQueriesContext(connection) as few:
        wei.client.get("/admin/today/")
    _a_bad_day(account, mei, 10)
    with CaptureQueriesContext(connection) as many:
        wei.client.get("/admin/today/")
    assert len(few) == len(many) <= QUESTIONS_MAX


def test_an_operator_sees_what_her_permissions_allow_and_nothing_else_is_asked(
    wei: Operator, account: ProviderAccount, mei: Person
) -> None:
    _a_bad_day(account, mei, 1)
    wei.user.groups.clear()
    nothing = wei.client.get("/admin/today/")
    assert (nothing.context["parts"], "Nothing of today is yours to see." in nothing.text) == ([], True)
    allowed = {
        "view_payment": ["paid-cny"],
        "view_ledgerentry": ["lag"],
        "view_queuedevent": ["events"],
        "view_discrepancy": ["discrepancies"],
        "view_statementline": ["lines"],
        "view_account": ["suspense"],
        "view_provideraccount": ["providers"],
        "view_payout": ["payouts"],
        "view_codealarm": ["waiting"],
    }
    for name, parts in allowed.items():
        wei.user.user_permissions.set(Permission.objects.filter(codename=name))
        with CaptureQueriesContext(connection) as asked:
            page = wei.client.get("/admin/today/")
        assert [part.id for part in page.context["parts"]] == parts
        assert len(asked) <= 6, name
    assert [row[0] for row in page.context["parts"][0].rows] == ["open alarms about codes"]


def _a_bad_day(account: ProviderAccount, mei: Person, times: int) -> None:
    """So many of everything that the page tells of."""
    now = timezone.now()
    code = shop_code(mei.shop)
    taken = statement(account, "imported", now - timedelta(days=Discrepancy.objects.count() + 3))
    for number in range(times):
        payment(account, 200, today.midnight(now))
        for state in ("parked", "quarantined", "dead"):
            message = paid(account=account)
            message.deliver()
            event = QueuedEvent.objects.get(state="queued")
            QueuedEvent.objects.filter(pk=event.pk).update(state=state, received_at=now - timedelta(hours=3))
        question(account, "short", 200, now - timedelta(hours=2))
        question(account, "double", 900, now - timedelta(days=40))
        for at, minutes in enumerate((5, 300, 3000, -30)):
            line(taken, 4 * number + at, now - timedelta(minutes=minutes))
        payout(mei, "prepared", 70, now)
        if not number:
            CodeAlarm.objects.filter(code=code).delete()
            CodeAlarm.objects.create(
                shop=mei.shop, code=code, kind="silent", evidence={"count": 9}, raised_at=now - timedelta(hours=1)
            )
    assert StatementLine.objects.exists()
