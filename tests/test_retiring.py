"""Retiring months of the ledger: from their end on every answer is the one it was, to the cent; nothing leaves that is
not proved or is still wanted; a kill loses nothing; and a month comes back bit for bit."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from merchants import ids
from merchants.audit import UnableToAct
from merchants.models import User
from merchants.refusals import Refused
from payments import (
    archive,
    archive_files,
    books,
    boundary,
    cases,
    chain,
    figures,
    ledger,
    partitions,
    retiring,
    statement,
    tasks,
)
from payments.chart import Movement, Place
from payments.models import (
    Adjustment,
    Archive,
    Discrepancy,
    Dispute,
    EntryKey,
    LedgerEntry,
    Match,
    Payment,
    PendingRelease,
    ProviderAccount,
    Refund,
    Settlement,
    SettlementMatch,
)
from payments.settlement import differences, undoing
from payments.statement import Basis
from payments.verify_chain import Broken, verify
from tests.cast import Person
from tests.closed_months import NOVEMBER, NOW, OCTOBER, OF_OCTOBER, OF_SEPTEMBER, SEPTEMBER, made, retire
from tests.market import sold
from tests.test_ledger import SUSPENSE, available, movement, numbers, pending, post, receivable
from tests.test_statement import ask, recomputed, told
from tests.till import shop_code

MINUTES = retiring.AFTER_CLOSING


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return made()


def dumped() -> list[tuple[Any, ...]]:
    """Every column of every entry as PostgreSQL stores it, with the month it lies in."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, entry::text FROM payments_ledgerentry entry ORDER BY id")
        return list(cursor.fetchall())


def september() -> partitions.Partition:
    (found,) = [part for part in partitions.of(archive.ENTRIES) if part.name == OF_SEPTEMBER]
    return found


def trade(shop: Any, seed: int) -> list[datetime]:
    """Five months of random movements, most of them heard of late, some by days; answers when."""
    sys.stdout.write(f"seed {seed}\n")  # Shown when the test fails.
    dice, at, moments = random.Random(seed), SEPTEMBER, []
    ways: list[dict[str, Any]] = [
        {},
        {"debit": pending(shop), "credit": available(shop), "kind": "due"},
        {"debit": available(shop), "credit": Place("fee_income"), "kind": "fee"},
        {"debit": receivable(), "credit": available(shop, "direct")},
        {"debit": SUSPENSE, "credit": receivable(), "kind": "adjusted", "shop_id": None},
    ]
    while at < NOW:
        late = timedelta(seconds=dice.choice([0, 1, 600, 90_000, 400_000]), milliseconds=dice.randint(-5, 5))
        post(
            *(movement(shop, dice.randint(1, 999), occurred_at=at - late, **dice.choice(ways)) for _ in range(2)),
            now=at,
        )
        moments.append(at)
        at += timedelta(days=dice.choice([0, 1, 2, 9, 12]), milliseconds=dice.choice([1, 3, 20_000_000]))
    chain.seal(now=timezone.now())
    return moments


def answers(shop: Any, moments: list[datetime]) -> dict[str, Any]:
    """What the book says of everything from the boundary on."""
    found: dict[str, Any] = {"now": ledger.balance(shop=shop)}
    for at in (NOVEMBER - timedelta(milliseconds=1), NOVEMBER, *(each for each in moments if each >= NOVEMBER)):
        found[f"at {at}"] = ledger.balance(shop=shop, at=at)
    for at in (each for each in moments if each >= NOVEMBER + statement.EARLY):
        found[f"as it was {at}"] = statement.effective_balance(shop=shop, at=at, known_at=NOW)
    for basis in Basis:
        for name in ("2030-12", "2031-01", "2030-11-03"):
            asked = ask(shop, name, basis, everything=True, at=NOW)
            found[f"{basis} {name}"] = (statement.summary(asked), told(asked))
    found["laws"] = sorted((breach.law, breach.row) for breach in books.breaches(limit=1000))
    return found


# --- The book stays what it was --------------------------------------------------------------------------------------


def test_from_the_boundary_on_every_answer_is_the_one_it_was_and_months_come_back_bit_for_bit(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    moments = trade(mei.shop, random.randrange(1_000_000))
    before, rows = answers(mei.shop, moments), dumped()
    assert [said.split(" to ")[0] for said in retire(tmp_path)][-2:] == [
        f"{len([1 for name, _ in rows if name == month])} rows, retired" for month in (OF_SEPTEMBER, OF_OCTOBER)
    ]
    assert boundary.since() == NOVEMBER
    assert dumped() == [row for row in rows if row[0] not in (OF_SEPTEMBER, OF_OCTOBER)]
    assert answers(mei.shop, moments) == before
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(debits) - sum(credits) FROM payments_accountbalance")
        assert cursor.fetchone() == (0,)
    for at in (NOVEMBER - timedelta(milliseconds=2), moments[0]):
        with pytest.raises(Refused):
            ledger.balance(shop=mei.shop, at=at)
    for part in (OF_OCTOBER, OF_SEPTEMBER):
        archive.restore(part, now=NOW)
    assert dumped() == rows
    boundary.forget()
    assert boundary.since() < SEPTEMBER  # type: ignore[operator]
    entries = list(LedgerEntry.objects.filter(shop=mei.shop).select_related("debit", "credit"))
    for at in moments:
        assert numbers(ledger.balance(shop=mei.shop, at=at)) == recomputed(entries, "recorded_at", at)
    assert answers(mei.shop, moments) == before


def test_the_chain_is_verified_across_the_boundary_with_and_without_the_archived_entries(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    trade(mei.shop, 5)
    whole = exported(tmp_path / "whole")
    gone = len([1 for name, _ in dumped() if name in (OF_SEPTEMBER, OF_OCTOBER)])
    retire(tmp_path)
    row = Archive.objects.get(partition=OF_SEPTEMBER)
    assert (row.seal_hash, row.seal) == (chain.head().hash, 1)  # type: ignore[union-attr]
    proof = verify(exported(tmp_path / "here"))
    assert (proof.archived, proof.since, proof.head) == (gone, ids.first_of(NOVEMBER), verify(whole).head)
    assert (
        exported(tmp_path / "again", "--archived").read_bytes().split(b"\n")[1:] == whole.read_bytes().split(b"\n")[1:]
    )
    lines = (tmp_path / "here").read_bytes().splitlines()
    (tmp_path / "less").write_bytes(b"\n".join(lines[:1] + lines[2:]))
    with pytest.raises(Broken, match="was removed: seal 1 has it"):
        verify(tmp_path / "less")


def exported(file: Path, *options: str) -> Path:
    call_command("export_entries", str(file), *options, stdout=StringIO())
    return file


# --- Nothing is booked there, and nothing is lost --------------------------------------------------------------------


def test_what_is_booked_by_a_clock_that_is_months_late_is_booked_behind_the_boundary(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    post(movement(mei.shop, 200), now=SEPTEMBER)
    chain.seal(now=timezone.now())
    retire(tmp_path)
    post(movement(mei.shop, 30, key="late"), now=SEPTEMBER + timedelta(days=1))
    entry = LedgerEntry.objects.get(key="late")
    assert (entry.recorded_at, entry.id > ids.first_of(NOVEMBER)) == (NOVEMBER, True)
    assert ledger.balance(shop=mei.shop).pending == ledger.balance(shop=mei.shop, at=NOW).pending == 230
    boundary.remember(None)  # A process that has not heard of it.
    with pytest.raises(IntegrityError, match="is in an archive"):
        post(movement(mei.shop, 7, key="never"), now=SEPTEMBER + timedelta(days=2))
    assert not EntryKey.objects.filter(key="never").exists()
    assert partitions.strayed() == 0


KILLED = [
    (os, "fsync", False), (archive, "compare", False), (ledger, "take_snapshots", False),
    (archive_files, "read", False), (chain, "prove", False), (archive, "take_out", True),
    (archive, "compare", True), (archive, "wanted", True),
]  # fmt: skip


def test_a_kill_at_any_step_loses_nothing_and_the_next_run_goes_on(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    post(movement(mei.shop, 200), now=SEPTEMBER)
    chain.seal(now=timezone.now())
    rows = dumped()
    for number, (place, name, closed) in enumerate(KILLED):
        folder = tmp_path / str(number)
        with begun_anew(), mock.patch.object(partitions, "of", return_value=[september()]):
            if closed:
                list(retiring.retire_due(now=NOW, kept=3, folder=folder))
            with mock.patch.object(place, name, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
                list(retiring.retire_due(now=NOW + MINUTES * closed, kept=3, folder=folder))
            assert dumped() == rows, name
            retire(folder)
            assert dumped() == [], name
            assert ledger.balance(shop=mei.shop).pending == ledger.balance(shop=mei.shop, at=OCTOBER).pending == 200
            assert archive.restore(OF_SEPTEMBER, now=NOW).rows == 1
            assert dumped() == rows, name


@contextmanager
def begun_anew() -> Iterator[None]:
    """What is done within is undone in the database."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    boundary.forget()


def test_a_month_whose_snapshots_do_not_say_what_its_entries_make_stays(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    post(movement(mei.shop, 200), now=SEPTEMBER)
    ledger.take_snapshots(moment=OCTOBER)
    post(movement(mei.shop, 5), now=SEPTEMBER + timedelta(days=3))  # By a clock that is late: no snapshot has it.
    chain.seal(now=timezone.now())
    with pytest.raises(archive.Differs, match="does not stand at its end where its entries say"):
        retire(tmp_path)
    assert len(dumped()) == 2
    assert boundary.since() < SEPTEMBER  # type: ignore[operator]


def test_a_month_that_was_changed_behind_the_triggers_stays(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    post(movement(mei.shop, 200), now=SEPTEMBER)
    chain.seal(now=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE payments_ledgerentry SET key = 'another'")
        cursor.execute("SET session_replication_role = origin")
    with pytest.raises(chain.NotAsSealed, match="is not as seal 1 has it"):
        retire(tmp_path)


# --- What stays ------------------------------------------------------------------------------------------------------


def waits(payment: Payment) -> None:
    assert payment.shop is not None
    PendingRelease.objects.create(payment=payment, shop=payment.shop, due_at=NOW)


def refunding(payment: Payment) -> None:
    Refund.objects.create(
        id=UUID(int=7), payment=payment, shop_id=payment.shop_id, amount=1, currency="CNY", created_at=NOW
    )


def contested(payment: Payment) -> None:
    Dispute.objects.create(
        id=UUID(int=7), payment=payment, shop_id=payment.shop_id, amount=1, currency="CNY", object_id="d", told_at=NOW,
        opened_at=NOW,
    )  # fmt: skip


def asked(payment: Payment) -> None:
    Discrepancy.objects.create(key="q", reason="over", payment=payment, amount=1, currency="CNY", opened_at=NOW)


def on_its_way(payment: Payment) -> None:
    settlement = Settlement.objects.create(
        provider_account_id=payment.provider_account_id, reference="s", currency="CNY", created_at=NOW
    )
    match = Match.objects.create(id=UUID(int=7), rule="settlement_id", made_at=NOW)
    SettlementMatch.objects.create(match=match, settlement=settlement, amount=1)


STAYS: list[tuple[Callable[[Payment], None] | None, str]] = [
    (waits, "1 entries of payments that wait to be released"),
    (refunding, "1 entries of refunds that have not ended"),
    (contested, "1 entries of open disputes"),
    (asked, "1 entries that open discrepancies are about"),
    (on_its_way, "1 entries of settlements that have not arrived"),
    (None, "1 entries that happened more than 1 day after its end"),
]


def test_a_month_stays_while_anything_that_it_is_about_goes_on_and_keeps_the_younger_ones(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    (payment,) = sold([(shop_code(mei.shop), SEPTEMBER)])
    about: dict[str, Any] = dict.fromkeys(("refund_id", "dispute_id", "cause_id"), UUID(int=7))
    for plant, why in STAYS:
        with begun_anew():
            happened = SEPTEMBER if plant else NOVEMBER
            post(movement(mei.shop, 200, occurred_at=happened, payment_id=payment.id, **about), now=SEPTEMBER)
            chain.seal(now=timezone.now())
            if plant:
                plant(payment)
            *_, last = retiring.retire_due(now=NOW, kept=3, folder=tmp_path)
            assert (last[0].name, last[1]) == (OF_SEPTEMBER, f"stays, for there are {why}")
            assert boundary.since() < SEPTEMBER  # type: ignore[operator]
            october = next(part for part in partitions.of(archive.ENTRIES) if part.name == OF_OCTOBER)
            with pytest.raises(archive.StillWanted, match=f"older months that stay: {OF_SEPTEMBER}"):
                retiring.step(october, folder=tmp_path, now=NOW)


def test_a_month_stays_while_older_entries_lie_where_nobody_made_a_month(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    post(movement(mei.shop, 200), now=SEPTEMBER - timedelta(days=9))
    assert partitions.strayed() == 1
    chain.seal(now=timezone.now())
    *_, last = retiring.retire_due(now=NOW, kept=3, folder=tmp_path)
    assert (last[0].name, last[1]) == (
        OF_SEPTEMBER,
        "stays, for there are 1 entries of older months that nobody has made",
    )


def test_of_two_runs_at_once_one_gives_way(account: ProviderAccount, tmp_path: Path) -> None:
    with retiring._alone(tmp_path):
        told = [said for _part, said in retiring.retire_due(now=NOW, kept=3, folder=tmp_path)]
    assert told == ["stays, for there are other runs that have not ended"]
    assert not Archive.objects.exists()


def test_a_month_that_is_wanted_again_after_it_was_closed_opens_again(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    (payment,) = sold([(shop_code(mei.shop), SEPTEMBER)])
    post(movement(mei.shop, 200, payment_id=payment.id), now=SEPTEMBER)
    chain.seal(now=timezone.now())
    list(retiring.retire_due(now=NOW, kept=3, folder=tmp_path))
    assert boundary.since() == NOVEMBER
    soon = NOW + MINUTES - timedelta(seconds=1)
    assert {said for _, said in retiring.retire_due(now=soon, kept=3, folder=tmp_path)} == {
        "closed; it leaves with a run from 03:15 on"
    }
    asked(payment)
    with pytest.raises(archive.StillWanted, match="open discrepancies"):
        retiring.step(september(), folder=tmp_path, now=NOW + MINUTES)
    assert Archive.objects.get(partition=OF_SEPTEMBER).closed_at is None
    assert len(dumped()) == 1


# --- Who looks back --------------------------------------------------------------------------------------------------


def test_a_match_whose_entries_may_be_gone_is_not_undone_and_says_itself_which_fee_it_booked(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    match = Match.objects.create(rule="by_hand", made_at=SEPTEMBER, why={"fee": {"booked": 12}})
    retire(tmp_path)
    with pytest.raises(UnableToAct, match="bring its month back first") as refused:
        undoing.undo(match_id=match.id, operator=mei.user, reason="wrong", now=NOW)
    assert refused.value.code == "archived"
    match.refresh_from_db()
    assert match.undone_at is None
    assert cases._fee_booked(match.id) == 12


def test_what_operators_booked_of_a_settlement_is_known_when_its_entries_are_gone(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    settlement = Settlement.objects.create(
        provider_account=account, reference="s", currency="CNY", created_at=SEPTEMBER, state="arrived"
    )
    for number, (debit, credit, amount) in enumerate(((SUSPENSE, receivable(), 70), (receivable(), SUSPENSE, 30))):
        question = Discrepancy.objects.create(
            key=f"q{number}", reason="settlement_differs", settlement=settlement, amount=amount, currency="CNY",
            opened_at=SEPTEMBER, state="resolved", details={"between": differences.PROVIDER_AND_BANK},
        )  # fmt: skip
        adjustment = Adjustment.objects.create(
            discrepancy=question, remedy="write_off", amount=amount, currency="CNY", note="", state="posted",
            proposed_by=User.objects.get(), proposed_at=SEPTEMBER, decided_by=User.objects.get(), decided_at=SEPTEMBER,
            four_eyes=False,
        )  # fmt: skip
        post(
            movement(mei.shop, amount, debit=debit, credit=credit, kind="adjusted", cause_id=adjustment.id),
            now=SEPTEMBER,
        )
    chain.seal(now=timezone.now())
    assert differences._explained([settlement.id])[settlement.id][differences.PROVIDER_AND_BANK] == 40
    retire(tmp_path)
    assert not LedgerEntry.objects.exists()
    assert differences._explained([settlement.id])[settlement.id][differences.PROVIDER_AND_BANK] == 40


# --- Their files -----------------------------------------------------------------------------------------------------


def check_books(*options: str) -> tuple[int, list[str]]:
    out = StringIO()
    try:
        call_command("check_books", *options, stdout=out, stderr=out, no_color=True)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue().splitlines()
    return 0, out.getvalue().splitlines()


def test_an_archive_that_is_gone_or_changed_is_found_by_the_check_and_by_the_daily_look(
    account: ProviderAccount, tmp_path: Path, settings: LazySettings
) -> None:
    settings.DATA_DIR, settings.LEDGER_MONTHS_KEPT = tmp_path, 3
    post(Movement("a", "provider_fee", receivable(), Place("provider_fees"), 7, "CNY", SEPTEMBER), now=SEPTEMBER)
    chain.seal(now=timezone.now())
    for now in (NOW, NOW + MINUTES):
        with mock.patch.object(timezone, "now", return_value=now):
            tasks.retire_months()
    file = Path(Archive.objects.get(partition=OF_SEPTEMBER).file)
    assert file == tmp_path / "archives" / f"{OF_SEPTEMBER}.jsonl.gz"
    assert check_books()[1][0] == f"holds   {books.ARCHIVES}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file.rename(elsewhere / file.name)
    assert check_books() == (1, [f"BROKEN  {books.ARCHIVES}: {file} cannot be read: No such file or directory"])
    assert check_books("--archives", str(elsewhere))[0] == 0
    assert archive.look_at_files(now=NOW) == [f"{file} cannot be read: No such file or directory"]
    assert (figures.told(now=NOW)["archives"]["wrong"], figures.told(now=NOW)["archives"]["health"]) == (1, "look")
    (elsewhere / file.name).rename(file)
    assert archive.look_at_files(now=NOW) == []
    assert figures.told(now=NOW)["archives"] == {
        "retired": Archive.objects.count(), "wrong": 0, "read_s": mock.ANY, "health": "well",
        "entries_since": "2030-11-01T00:00:00+00:00",
    }  # fmt: skip
    file.write_bytes(file.read_bytes()[:-20])
    assert check_books()[0] == 1
    with pytest.raises(archive.Damaged), transaction.atomic():
        archive.restore(OF_SEPTEMBER, now=NOW)
    with pytest.raises(CommandError, match="is not whole"):
        call_command("export_entries", str(tmp_path / "x"), "--archived", stdout=StringIO())


def test_the_command_closes_months_at_first_and_takes_them_out_a_quarter_of_an_hour_later(
    account: ProviderAccount, mei: Person, tmp_path: Path
) -> None:
    post(movement(mei.shop, 200), now=SEPTEMBER)
    chain.seal(now=timezone.now())

    def run(now: datetime, *options: str) -> str:
        out = StringIO()
        with mock.patch.object(timezone, "now", return_value=now):
            call_command("retire_partitions", "--folder", str(tmp_path), *options, stdout=out, stderr=out)
        return out.getvalue()

    kept = "--ledger-months-kept=3"
    with pytest.raises(CommandError, match="at least 3 months are kept, or 0 for all"):
        run(NOW, "--ledger-months-kept=2")
    assert OF_SEPTEMBER not in run(NOW)  # Off, as long as nobody says how many are kept.
    assert f"{OF_SEPTEMBER}: closed: what needs it is refused" in run(NOW, kept)
    assert f"{OF_SEPTEMBER}: 1 rows, retired to {tmp_path}" in run(NOW + MINUTES, kept)
    assert not LedgerEntry.objects.exists()
    call_command("restore_partition", OF_SEPTEMBER, stdout=StringIO())
    assert LedgerEntry.objects.get().amount == 200
    assert f"{OF_SEPTEMBER}: restored, and stays" in run(NOW + MINUTES, kept)
    assert f"{OF_SEPTEMBER}: closed" in run(NOW + MINUTES, kept, "--partition", OF_SEPTEMBER)
    row = Archive.objects.get(partition=OF_SEPTEMBER)
    assert json.loads(json.dumps(row.sums)) == {"CNY": 200}
