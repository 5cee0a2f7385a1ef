"""The chain over the ledger: everything that is committed is sealed once, however late, and nothing that may still come
is passed; seals only grow, and their head leaves the database once a day."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, connections, transaction
from django.test import Client
from django.utils import timezone

from merchants.models import Item
from payments import chain, ledger, tasks
from payments.chart import Movement, Place
from payments.models import LedgerEntry, Payment, ProviderAccount, Seal
from payments.verify_chain import LEAF_BYTES, NOTHING_BEFORE
from tests.cast import problem
from tests.one_table import one_table
from tests.races.together import slow_after, together
from tests.till import drain, expect, paid, platform, posted, refund_told

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    """Where heads are published."""
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def account(database: None) -> ProviderAccount:
    return platform()


def post(account: ProviderAccount, *keys: str, now: datetime = NOON) -> set[str]:
    """Entries of 7 fen each between two accounts of the platform."""
    debit, credit = Place("provider_receivable", "held", None, account.id), Place("suspense")
    return posted([Movement(key, "paid", debit, credit, 7, "CNY", NOON) for key in keys], now=now)


def seal(*, now: datetime = NOON) -> int:
    return chain.seal(now=now)


def sealed_ids() -> list[UUID]:
    """Every id in the leaves of every seal, in the chain's order."""
    found = []
    for row in Seal.objects.order_by("number"):
        leaves = bytes(row.leaves)
        found += [UUID(bytes=leaves[at : at + 16]) for at in range(0, len(leaves), LEAF_BYTES)]
    return found


def sealed_keys() -> list[str]:
    keys = dict(LedgerEntry.objects.values_list("id", "key"))
    return [keys[entry_id] for entry_id in sealed_ids()]


def assert_one_chain() -> None:
    """Numbered without a gap, each upon the one before, no entry twice, and the totals true."""
    before, total, last = NOTHING_BEFORE, 0, 0
    for number, row in enumerate(Seal.objects.order_by("number"), 1):
        total += row.entries
        assert (row.number, row.previous, row.total) == (number, before, total)
        assert last < row.first <= row.last
        assert len(bytes(row.leaves)) == row.entries * LEAF_BYTES
        before, last = row.hash, row.last
    assert max(Counter(sealed_ids()).values(), default=0) <= 1


@contextmanager
def somebody_posting(account: ProviderAccount, key: str, *, rolled_back: bool = False) -> Iterator[Callable[[], None]]:
    """An entry that another connection has inserted and not committed; what is yielded ends its transaction."""
    inserted, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                post(account, key)
                inserted.set()
                assert may_end.wait(30)
                if rolled_back:
                    transaction.set_rollback(True)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert inserted.wait(30)

    def end() -> None:
        may_end.set()
        thread.join(30)

    try:
        yield end
    finally:
        end()


# --- Sealing ---------------------------------------------------------------------------------------------------------


def test_entries_are_sealed_in_the_order_of_their_numbers(account: ProviderAccount) -> None:
    post(account, "b")
    post(account, "a", "c")
    assert seal() == 3
    row = Seal.objects.get()
    assert (row.number, row.previous, row.entries, row.total, row.sealed_at) == (1, NOTHING_BEFORE, 3, 3, NOON)
    assert row.last - row.first == 2
    assert sealed_keys() == ["b", "a", "c"]


def test_the_next_seal_stands_upon_the_last_one(account: ProviderAccount) -> None:
    post(account, "a", "b")
    seal()
    post(account, "c")
    assert seal(now=NOON + timedelta(minutes=1)) == 1
    first, second = Seal.objects.order_by("number")
    assert (second.number, second.previous, second.entries, second.total) == (2, first.hash, 1, 3)
    assert_one_chain()


def test_when_nothing_was_added_nothing_is_sealed(account: ProviderAccount) -> None:
    assert seal() == 0
    post(account, "a")
    assert (seal(), seal(), seal()) == (1, 0, 0)
    post(account, "a")  # Posted already: a number was given out, and no entry carries it.
    assert seal() == 0
    assert Seal.objects.count() == 1


def test_a_long_tail_becomes_several_seals(account: ProviderAccount) -> None:
    post(account, *(f"k{n:02}" for n in range(25)))
    with mock.patch.object(chain, "_ENTRIES_MAX", 10):
        assert seal() == 25
    assert list(Seal.objects.order_by("number").values_list("entries", "total")) == [(10, 10), (10, 20), (5, 25)]
    assert_one_chain()


def test_sealing_ends_in_time_and_goes_on_the_next_time(account: ProviderAccount) -> None:
    post(account, *(f"k{n:02}" for n in range(25)))
    turns = iter([True, True, False])
    with mock.patch.object(chain, "_ENTRIES_MAX", 10):
        assert chain.seal(now=NOON, in_time=lambda: next(turns)) == 20
        assert seal() == 5
    assert_one_chain()


def test_what_a_seal_holds_of_an_entry_can_be_recomputed_by_hand(account: ProviderAccount) -> None:
    post(account, "kä", now=NOON + timedelta(microseconds=5))
    seal()
    entry, row = LedgerEntry.objects.get(), Seal.objects.get()
    line = (
        f'{{"amount":7,"credit":"suspense|CNY|||","currency":"CNY","debit":"provider_receivable|CNY|held||{account.id.hex}"'
        f',"id":"{entry.id}","key":"k\\u00e4","kind":"paid","number":{row.first},'
        '"occurred_at":"2026-11-22T12:00:00.000000Z","recorded_at":"2026-11-22T12:00:00.000005Z"}'
    )
    leaves = entry.id.bytes + sha256(line.encode()).digest()
    assert bytes(row.leaves) == leaves
    link = (
        f'{{"entries":1,"first":{row.first},"last":{row.first},"leaves":"{sha256(leaves).hexdigest()}",'
        f'"previous":"{"0" * 64}","seal":1,"sealed_at":"2026-11-22T12:00:00.000000Z","total":1}}'
    )
    assert row.hash == sha256(link.encode()).hexdigest()


def test_a_seal_covers_every_column_of_an_entry_that_the_database_has(db: None) -> None:
    with connection.cursor() as cursor:
        columns = {
            field.name for field in connection.introspection.get_table_description(cursor, "payments_ledgerentry")
        }
    assert columns == {*chain._NAMES} - {"debit", "credit"} | {"debit_id", "credit_id"}


def test_real_money_is_sealed_with_everything_it_names(apples: Item) -> None:
    platform()
    paid(expect(apples.codes.get())).deliver()
    drain()
    refund_told(Payment.objects.get(), "succeeded", amount=50).deliver()
    drain()
    assert seal() == LedgerEntry.objects.count() == 2
    receipt, refund = [json.loads(line) for line in chain.export(now=NOON)][1:3]
    payment = Payment.objects.get()
    assert (receipt["amount"], receipt["shop_id"], receipt["payment_id"]) == (200, str(apples.shop_id), str(payment.id))
    assert (refund["amount"], refund["refund_id"]) == (50, str(payment.refunds.get().id))
    assert refund["debit"] == f"shop_pending|CNY|held|{apples.shop_id.hex}|"
    assert "refund_id" not in receipt


# --- Never past what may still come ----------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_PATIENCE_S", 0.2)


def posted_elsewhere(key: str) -> None:
    """Committed between accounts of their own: balances are locked until the transaction that moves them ends."""
    with transaction.atomic():
        ledger.post([Movement(key, "adjusted", Place("adjustments"), Place("bank"), 7, "USD", NOON)], now=NOON)


def overtake(account: ProviderAccount) -> tuple[int, list[str]]:
    """Five entries are committed and sealing begins while an earlier one is under way, which is committed then.

    Answers how many were sealed meanwhile, and what is sealed in the end.
    """
    post(account, "before")
    seal()
    with somebody_posting(account, "late") as end:
        for n in range(5):
            posted_elsewhere(f"after-{n}")
        meanwhile = seal()
        end()
    seal()
    return meanwhile, sealed_keys()


@pytest.mark.usefixtures("real_db", "impatient")
def test_nothing_is_sealed_past_a_running_transaction_and_its_entries_are_sealed_after_it(
    account: ProviderAccount,
) -> None:
    assert overtake(account) == (0, ["before", "late", *(f"after-{n}" for n in range(5))])
    assert_one_chain()


@pytest.mark.usefixtures("real_db")
def test_without_waiting_for_it_its_entry_would_never_be_sealed(account: ProviderAccount) -> None:
    with mock.patch.object(chain, "_posting", return_value=set()):
        assert overtake(account) == (5, ["before", *(f"after-{n}" for n in range(5))])


@pytest.mark.usefixtures("real_db")
def test_a_short_transaction_is_waited_for(account: ProviderAccount) -> None:
    with somebody_posting(account, "late") as end:
        posted_elsewhere("after")
        threading.Timer(0.3, end).start()
        assert seal() == 2
    assert sealed_keys() == ["late", "after"]


@pytest.mark.usefixtures("real_db", "impatient")
def test_a_transaction_that_began_after_is_not_waited_for(account: ProviderAccount) -> None:
    post(account, "a")
    real, looks = chain._posting, list[int]()

    def look() -> set[str]:
        """The second writer begins between two looks, and stays."""
        looks.append(len(looks))
        if len(looks) == 2:
            second.__enter__()
        return real()

    first = somebody_posting(account, "first")
    second = somebody_posting(account, "second", rolled_back=True)
    with mock.patch.object(chain, "_posting", look), mock.patch.object(chain, "_PATIENCE_S", 30):
        end_first = first.__enter__()
        with mock.patch.object(time, "sleep", lambda _s: end_first()):
            assert seal() == 2
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert sealed_keys() == ["a", "first"]


def test_one_that_is_prepared_meanwhile_is_still_waited_for(account: ProviderAccount) -> None:
    post(account, "a")
    looks = [{"3/1"}, {chain._PREPARED}, {chain._PREPARED, "4/2"}, {"4/2"}]
    with mock.patch.object(chain, "_posting", side_effect=looks) as posting:
        assert (seal(), posting.call_count) == (1, 4)


@pytest.mark.usefixtures("real_db")
def test_numbers_of_what_was_rolled_back_are_skipped(account: ProviderAccount) -> None:
    post(account, "a")
    with somebody_posting(account, "never", rolled_back=True):
        pass
    post(account, "b")
    assert seal() == 2
    row = Seal.objects.get()
    assert (row.entries, row.last - row.first) == (2, 2)
    assert sealed_keys() == ["a", "b"]


@pytest.mark.usefixtures("real_db")
@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_committed_at_once_in_any_order_is_sealed_once_by_several_sealers(seed: int) -> None:
    over = threading.Event()
    currencies = ["CNY", "USD", "INR", "BRL"]

    def pay(currency: str) -> None:
        chance = random.Random(f"{seed}{currency}")
        for n in range(12):
            with transaction.atomic():
                for part in range(chance.randint(1, 3)):
                    keys = [f"{currency}-{n}-{part}-{row}" for row in range(chance.randint(1, 40))]
                    rows = [
                        Movement(k, "adjusted", Place("adjustments"), Place("bank"), 7, currency, NOON) for k in keys
                    ]
                    ledger.post(rows, now=NOON - timedelta(seconds=chance.randint(0, 900)))
                    time.sleep(chance.choice([0, 0, 0.01, 0.05]))
                transaction.set_rollback(chance.random() < 0.2)

    def keep_sealing() -> None:
        while not over.is_set():
            seal()

    def pay_all() -> None:
        answers = together([partial(pay, currency) for currency in currencies])
        over.set()
        assert answers == [None] * len(currencies)

    with mock.patch.object(chain, "_ENTRIES_MAX", 64):
        assert together([pay_all, keep_sealing, keep_sealing]) == [None] * 3
        assert Seal.objects.count() > 1
        seal()
    assert Counter(sealed_ids()) == Counter(LedgerEntry.objects.values_list("id", flat=True))
    assert chain.tail(now=NOON).entries == 0
    assert_one_chain()


# --- Several sealers, and dead ones ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("real_db")
def test_two_sealers_at_once_make_one_chain(account: ProviderAccount) -> None:
    post(account, "a", "b", "c")
    with slow_after("payments.chain.head", callers=2):
        assert sorted(together([seal, seal])) == [0, 3]
    assert Seal.objects.count() == 1


@pytest.mark.usefixtures("real_db")
def test_without_their_lock_the_table_itself_refuses_the_second(account: ProviderAccount) -> None:
    post(account, "a", "b", "c")
    with slow_after("payments.chain.head", callers=2), mock.patch.object(chain, "_alone", return_value=True):
        answers = together([seal, seal])
    assert sorted(type(answer).__name__ for answer in answers) == ["IntegrityError", "int"]
    assert_one_chain()
    assert (Seal.objects.count(), seal()) == (1, 0)


@pytest.mark.usefixtures("real_db")
def test_a_sealer_that_dies_before_it_commits_leaves_nothing_behind(account: ProviderAccount) -> None:
    post(account, "a", "b")
    create, alone = Seal.objects.create, []

    def die(**columns: object) -> Seal:
        made = create(**columns)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            alone.append(cursor.fetchone()[0])
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return made

    with mock.patch.object(Seal.objects, "create", die):
        (answer,) = together([seal])
    assert isinstance(answer, OperationalError) and alone
    assert Seal.objects.count() == 0
    assert seal() == 2
    assert_one_chain()


# --- The table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["UPDATE {} SET total = 0", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_database_refuses_to_change_a_seal(account: ProviderAccount, statement: str) -> None:
    post(account, "a")
    seal()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format("payments_seal"))
    assert Seal.objects.get().total == 1


def test_nobody_chooses_the_number_of_an_entry(account: ProviderAccount) -> None:
    post(account, "a")
    with pytest.raises(ProgrammingError, match="number"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_ledgerentry (id, key, kind, debit_id, credit_id, amount, currency, occurred_at,"
            " recorded_at, number) SELECT gen_random_uuid(), 'b', kind, debit_id, credit_id, amount, currency,"
            " occurred_at, recorded_at, 99 FROM payments_ledgerentry"
        )
    assert LedgerEntry.objects.count() == 1


def test_entries_from_before_the_chain_are_numbered_by_its_migration_and_sealed_from_the_beginning(
    account: ProviderAccount,
) -> None:
    migration = import_module("payments.migrations.0005_chain")
    post(account, *(f"old-{n}" for n in range(5)))
    with one_table(), connection.cursor() as cursor:
        cursor.execute(migration.NOT_NUMBERED + migration.NUMBERED)
    post(account, "new")
    assert seal() == 6
    assert Counter(sealed_keys()) == Counter([*(f"old-{n}" for n in range(5)), "new"])
    assert sealed_keys()[-1] == "new"
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE payments_ledgerentry SET amount = 8")


# --- Telling ---------------------------------------------------------------------------------------------------------


def answer_of(path: str, port: int = 8003) -> Any:
    """What the web answers at that port; 8003 is the internal one."""
    return Client().get(path, SERVER_PORT=str(port))


def test_the_endpoint_tells_the_head_and_what_stands_behind_it(account: ProviderAccount) -> None:
    nothing = {"seal": None, "hash": None, "entries": 0, "sealed_at": None, "unsealed": 0, "unsealed_oldest_s": 0.0}
    assert answer_of("/healthz/chain").json() == nothing
    assert problem(answer_of("/healthz/chain", 8000)) == (404, "not_found")  # The public port knows no such thing.
    post(account, "a", "b")
    seal()
    post(account, "c", now=timezone.now() - timedelta(minutes=2))
    told = answer_of("/healthz/chain").json()
    assert 120 <= told.pop("unsealed_oldest_s") < 130
    newest = Seal.objects.get()
    assert told == {
        "seal": 1, "hash": newest.hash, "entries": 2, "sealed_at": "2026-11-22T12:00:00Z", "unsealed": 1,
    }  # fmt: skip


def test_the_figures_tell_what_no_seal_covers(account: ProviderAccount) -> None:
    post(account, "a", "b", now=timezone.now() - timedelta(minutes=2))
    figures = dict(re.findall(r"^(pushcart_chain_\w+) (\S+)$", answer_of("/metrics").content.decode(), re.MULTILINE))
    assert figures.pop("pushcart_chain_unsealed") == "2.0"
    assert 120 <= float(figures.pop("pushcart_chain_unsealed_seconds")) < 130
    assert figures == {}
    seal()
    assert answer_of("/healthz/books").json()["unsealed"] == {"count": 0, "oldest_s": 0.0}


def test_the_head_is_published_once_a_day(
    account: ProviderAccount, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder / "heads" / "ledger.jsonl"
    assert not chain.publish(now=NOON)
    assert not file.exists()
    post(account, "a")
    seal()
    first = Seal.objects.get()
    with caplog.at_level("INFO", "payments.chain"):
        assert chain.publish(now=NOON)
    assert first.hash in caplog.text
    post(account, "b")
    seal()
    assert not chain.publish(now=NOON + timedelta(hours=11))
    assert chain.publish(now=NOON + timedelta(hours=12))
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert told == [
        {"at": "2026-11-22T12:00:00.000000Z", "entries": 1, "hash": first.hash, "seal": 1},
        {"at": "2026-11-23T00:00:00.000000Z", "entries": 2, "hash": Seal.objects.get(number=2).hash, "seal": 2},
    ]


def test_a_line_that_a_crash_cut_off_does_not_stop_the_publishing(account: ProviderAccount, folder: Path) -> None:
    post(account, "a")
    seal()
    chain.publish(now=NOON)
    file = folder / "heads" / "ledger.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:50])
    assert chain.publish(now=NOON + timedelta(days=1))
    assert [json.loads(line)["at"][:10] for line in file.read_text().splitlines()] == ["2026-11-22", "2026-11-23"]


def test_many_who_publish_at_once_publish_once(real_db: None, account: ProviderAccount, folder: Path) -> None:
    post(account, "a")
    seal()
    assert sorted(together([lambda: chain.publish(now=NOON)] * 8)) == [False] * 7 + [True]
    assert len((folder / "heads" / "ledger.jsonl").read_text().splitlines()) == 1


def test_the_task_seals_and_publishes(account: ProviderAccount, folder: Path) -> None:
    post(account, "a", "b")
    tasks.seal_entries()
    assert Seal.objects.get().hash in (folder / "heads" / "ledger.jsonl").read_text()
