"""Partitions: a month has its place before its first row, no row is without one, and what is said once stays so."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from merchants import ids
from payments import books, facts, inbox, ledger, partitions, tasks
from payments.chart import Movement, Place
from payments.models import Delivery, EntryKey, LedgerEntry, ProviderAccount, QueuedEvent, WebhookEvent
from payments.providers.base import Verified
from tests.one_table import one_table
from tests.races.together import together
from tests.till import platform, posted

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENTRIES = "payments_ledgerentry"
CLAIMED = "a key was claimed by the entry that has it"


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return platform()


def post(account: ProviderAccount, *keys: str, now: datetime = NOON) -> set[str]:
    debit, credit = Place("provider_receivable", "held", None, account.id), Place("suspense")
    return posted([Movement(key, "paid", debit, credit, 7, "CNY", now) for key in keys], now=now)


def keep(account: ProviderAccount, delivery: str, *, now: datetime = NOON) -> bool:
    return inbox.keep(account=account, verified=Verified(delivery, b"{}", "signed"), now=now)


def places(table: str = ENTRIES) -> dict[str, int]:
    """How many rows each partition has, of those that have any."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1")
        return dict(cursor.fetchall())


def refused(statement: str, said: str) -> None:
    with pytest.raises(IntegrityError, match=said), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def broken(law: str) -> list[dict[str, Any]]:
    return [json.loads(breach.row) for breach in books.breaches() if breach.law == law]


def numbers() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT key, number FROM {ENTRIES}")
        return dict(cursor.fetchall())


# --- Made ahead ------------------------------------------------------------------------------------------------------


def test_months_are_made_before_they_begin_and_once(db: None) -> None:
    now = datetime(2030, 11, 30, 23, 59, tzinfo=UTC)
    assert partitions.make_ahead(now=now) == 8
    assert partitions.make_ahead(now=now) == 0
    assert [part.name for part in partitions.of(ENTRIES)][-4:] == [
        f"{ENTRIES}_2030_11", f"{ENTRIES}_2030_12", f"{ENTRIES}_2031_01", f"{ENTRIES}_2031_02",
    ]  # fmt: skip
    last = partitions.of(ENTRIES)[-1]
    assert last.since == ids.first_of(datetime(2031, 2, 1, tzinfo=UTC))
    assert partitions.datetime_of(last.until) == datetime(2031, 3, 1, tzinfo=UTC)
    assert partitions.ahead_days(now=now) == 90.0


def test_a_row_goes_to_its_month_and_one_without_a_month_is_kept_too(account: ProviderAccount) -> None:
    partitions.make_ahead(now=datetime(2030, 11, 5, tzinfo=UTC))
    for month in (9, 10, 11, 12):
        post(account, f"of {month}", now=datetime(2030, month, 1, tzinfo=UTC))
        keep(account, f"of {month}", now=datetime(2030, month, 1, tzinfo=UTC))
    expected = {"_2030_11": 1, "_2030_12": 1, "_default": 2}
    assert places() == {ENTRIES + name: rows for name, rows in expected.items()}
    table = "payments_webhookevent"
    assert places(table) == {table + name: rows for name, rows in expected.items()}
    assert partitions.strayed() == 4


def test_what_has_strayed_moves_into_its_month_when_that_is_made(account: ProviderAccount) -> None:
    now = datetime(2030, 11, 5, tzinfo=UTC)
    post(account, "lost", now=now)
    post(account, "later", now=now + timedelta(days=400))
    before = numbers()
    assert partitions.make_ahead(now=now) == 8
    assert places() == {f"{ENTRIES}_2030_11": 1, f"{ENTRIES}_default": 1}
    assert numbers() == before
    assert partitions.strayed() == 1
    post(account, "again", now=now)
    assert numbers()["again"] > max(before.values())
    refused(f"UPDATE {ENTRIES}_default SET amount = 1", "append-only")
    refused(f"UPDATE {ENTRIES}_2030_11 SET amount = 1", "append-only")


@pytest.mark.usefixtures("real_db")
def test_writers_go_on_while_a_month_is_made() -> None:
    account, under_way, made = platform(), threading.Event(), threading.Event()

    def pay() -> set[str]:
        with transaction.atomic():
            first = post(account, "before")
            under_way.set()
            assert made.wait(10)
            return first | post(account, "after")

    def make() -> bool:
        assert under_way.wait(10)
        try:
            return partitions._make(ENTRIES, date(2040, 5, 1))
        finally:
            made.set()

    try:
        assert together([pay, make]) == [{"before", "after"}, True]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {ENTRIES}_2040_05")


def test_the_figures_say_how_far_ahead_months_reach(db: None) -> None:
    tasks.make_partitions()

    def told() -> dict[str, object]:
        answer: dict[str, object] = Client().get("/healthz/books", SERVER_PORT="8003").json()["partitions"]
        return answer

    ahead = partitions.ahead_days(now=timezone.now())
    assert 89 <= ahead <= 124
    assert told() == {"ahead_days": ahead, "strayed": 0, "health": "well"}
    keep(platform(), "ahead of all clocks", now=NOON + timedelta(days=5000))
    assert told() == {"ahead_days": ahead, "strayed": 1, "health": "look"}


# --- Laws that hold for every part -----------------------------------------------------------------------------------


def test_no_part_of_the_book_is_changed_or_written_past_the_whole(account: ProviderAccount) -> None:
    post(account, "a")
    post(account, "b", now=NOON + timedelta(days=5000))
    names = [*(part.name for part in partitions.of(ENTRIES)), f"{ENTRIES}_default"]
    for name in names:
        refused(f"INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM {ENTRIES}", "through its parent")
        refused(f"TRUNCATE {name}", "append-only")
    for name in places():
        refused(f"UPDATE {name} SET amount = 1", "append-only")
        refused(f"DELETE FROM {name}", "append-only")
    assert LedgerEntry.objects.filter(amount=7).count() == 2


def test_check_books_misses_the_triggers_of_a_part(db: None) -> None:
    law = "the triggers that keep the book are in place"
    assert broken(law) == []
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER through_parent ON {ENTRIES}_default")
    assert broken(law) == [{"table": f"{ENTRIES}_default", "missing": "through_parent"}]


def test_what_was_said_once_is_not_said_again_in_another_month(account: ProviderAccount) -> None:
    later = NOON + timedelta(days=90)
    assert (post(account, "a"), post(account, "a", "b", now=later)) == ({"a"}, {"b"})
    assert (keep(account, "evt_1"), keep(account, "evt_1", now=later), keep(account, "evt_2", now=later)) == (
        True, False, True,
    )  # fmt: skip
    entries = dict(LedgerEntry.objects.values_list("key", "id"))
    assert dict(EntryKey.objects.values_list("key", "entry_id")) == entries
    told = dict(WebhookEvent.objects.values_list("delivery_id", "id"))
    assert dict(Delivery.objects.values_list("delivery_id", "event_id")) == told
    assert set(QueuedEvent.objects.values_list("event_id", flat=True)) == set(told.values())


def test_a_key_is_not_claimed_by_an_entry_that_was_refused(account: ProviderAccount) -> None:
    post(account, "good")
    place = Place("suspense")
    with pytest.raises(IntegrityError), transaction.atomic():
        ledger.post([Movement("bad", "paid", place, place, 7, "CNY", NOON)], now=NOON)
    assert not EntryKey.objects.filter(key="bad").exists()
    assert post(account, "bad") == {"bad"}
    assert broken(CLAIMED) == []
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM payments_entrykey WHERE key = 'bad'")
        cursor.execute("SET session_replication_role = origin")
    assert broken(CLAIMED) == [{"id": str(LedgerEntry.objects.get(key="bad").id), "key": "bad"}]


@pytest.mark.usefixtures("real_db")
def test_one_key_posted_at_once_in_two_months_is_booked_once() -> None:
    account = platform()
    answers = together([partial(post, account, "once", now=NOON + timedelta(days=31 * n)) for n in range(4)])
    assert sorted(map(len, answers)) == [0, 0, 0, 1]
    assert LedgerEntry.objects.count() == EntryKey.objects.count() == 1
    assert broken(CLAIMED) == []


def test_events_are_found_by_their_ids_in_their_own_months_alone(account: ProviderAccount) -> None:
    keep(account, "evt_1")
    (event,) = WebhookEvent.objects.values_list("id", flat=True)
    plan = json.loads(WebhookEvent.objects.filter(id__in=[event]).explain(format="json"))[0]["Plan"]
    assert plan["Relation Name"].startswith("payments_webhookevent_before_")
    assert [found for found, _account, _verified in facts.stored_events([event])] == [event]


# --- The tables as they were -----------------------------------------------------------------------------------------


def test_rows_of_before_keep_their_numbers_and_are_known_by_their_keys(account: ProviderAccount) -> None:
    post(account, "a", "b")
    keep(account, "evt_1")
    before, event = numbers(), WebhookEvent.objects.get().id
    with one_table(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_partitioned_table")
        assert cursor.fetchone() == (0,)
        cursor.execute(f"SELECT count(*) FROM {ENTRIES}")
        assert cursor.fetchone() == (2,)
    assert numbers() == before
    (name,) = places()
    assert name.startswith(f"{ENTRIES}_before_")
    assert (post(account, "a", "c"), keep(account, "evt_1")) == ({"c"}, False)
    assert numbers()["c"] == max(before.values()) + 1
    assert Delivery.objects.get().event_id == event
    assert broken(CLAIMED) == []
