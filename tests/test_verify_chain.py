"""The verifier reads an export without us: it names the first row that was changed, removed, added or moved, also when
a superuser did it behind the database's triggers, and catches rewritten seals by a head that was published before."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from payments import chain, ledger, verify_chain
from payments.chart import Movement, Place
from payments.models import LedgerEntry, Seal
from payments.verify_chain import Broken, Head, Unreadable, canonical, heads_in, verify

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MODULE = Path(verify_chain.__file__)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def book(db: None, settings: LazySettings, tmp_path: Path) -> None:
    """Twelve entries in three seals of four, and two that are not sealed yet; the head was published at noon."""
    settings.DATA_DIR = tmp_path
    for part in range(3):
        post(*range(4 * part, 4 * part + 4))
        assert chain.seal(now=NOON + timedelta(minutes=part)) == 4
    assert chain.publish(now=NOON + timedelta(minutes=3))
    post(12, 13)


def post(*numbers: int) -> None:
    rows = [Movement(f"k{n:02}", "paid", Place("bank"), Place("suspense"), 100 + n, "CNY", NOON) for n in numbers]
    with transaction.atomic():
        ledger.post(rows, now=NOON)


def export(file: Path) -> Path:
    file.unlink(missing_ok=True)
    call_command("export_entries", str(file), verbosity=0)
    return file


def by_superuser(*statements: str) -> None:
    """SQL in a session that runs no triggers."""
    with connection.cursor() as cursor:
        for statement in (
            "SET session_replication_role = replica",
            *statements,
            "SET session_replication_role = origin",
        ):
            cursor.execute(statement)


def found_in(file: Path, *heads: Head) -> str:
    with pytest.raises(Broken) as broken:
        verify(file, heads)
    return str(broken.value)


def entry(key: str) -> tuple[str, str]:
    """An entry by its key, as findings name it: with its id, and with its line in the export."""
    row = LedgerEntry.objects.get(key=key)
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM payments_ledgerentry WHERE id = %s", [row.id])
        number = cursor.fetchone()[0]
    place = int(key[1:])
    return str(row.id), f"entry {row.id} (number {number}, key {key}, line {2 + place + place // 4})"


# --- What holds ------------------------------------------------------------------------------------------------------


def test_an_export_of_the_real_book_holds(book: None, file: Path) -> None:
    proof = verify(export(file))
    newest = Seal.objects.get(number=3)
    assert (proof.entries, proof.seals, proof.unsealed, proof.head, proof.last) == (14, 3, 2, newest.hash, newest.last)


def test_an_export_of_nothing_holds(db: None, file: Path) -> None:
    assert verify(export(file)).entries == 0


def test_an_export_is_its_owners_alone_and_overwrites_nothing(book: None, file: Path) -> None:
    assert export(file).stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    with pytest.raises(CommandError, match="File exists"):
        call_command("export_entries", str(file), verbosity=0)
    assert file.read_bytes() == before


def test_it_runs_alone_with_nothing_of_ours_and_nothing_of_the_environment(
    book: None, file: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "elsewhere" / "verify.py"
    copied.parent.mkdir()
    copied.write_bytes(MODULE.read_bytes())
    heads = tmp_path / "heads" / "ledger.jsonl"

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-I", str(copied), str(file), *arguments]
        done = subprocess.run(command, env={}, cwd=copied.parent, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    export(file)
    head = Seal.objects.get(number=3).hash
    code, said = run("--head", head.upper(), "--heads", str(heads))
    assert code == 0, said
    assert f"head    {head}" in said and "12 entries in 3 seals" in said and "2 published heads" in said
    by_superuser("UPDATE payments_ledgerentry SET amount = amount + 1 WHERE key = 'k05'")
    export(file)
    code, said = run()
    assert (code, said.startswith("BROKEN  ")) == (1, True)
    assert entry("k05")[1] in said
    file.write_text("{")
    code, said = run()
    assert (code, said) == (2, "not readable as an export: line 1 is not a JSON object\n")


def test_it_imports_nothing_but_pythons_own_library() -> None:
    lines = [
        line.split()[1].split(".")[0]
        for line in MODULE.read_text().splitlines()
        if line.startswith(("import ", "from "))
    ]
    assert {*lines} - sys.stdlib_module_names == set()


# --- What a superuser changed ----------------------------------------------------------------------------------------

CHANGES = {
    "amount": "amount = amount + 1",
    "accounts": "debit_id = credit_id, credit_id = debit_id",
    "key": "key = 'k05 '",
    "kind": "kind = 'due'",
    "currency": "currency = 'USD'",
    "shop": "shop_id = gen_random_uuid()",
    "payment": "payment_id = gen_random_uuid()",
    "when it happened": "occurred_at = occurred_at - interval '1 microsecond'",
    "when it was recorded": "recorded_at = recorded_at + interval '1 day'",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_one_changed_column_names_its_row(book: None, file: Path, change: str) -> None:
    named = entry("k05")[1].replace("key k05", "key k05 ") if change.startswith("key") else entry("k05")[1]
    by_superuser(f"UPDATE payments_ledgerentry SET {change} WHERE key = 'k05'")
    assert found_in(export(file)) == f"{named} was changed after seal 2 was set"


def test_the_first_of_several_changed_rows_is_named(book: None, file: Path) -> None:
    by_superuser("UPDATE payments_ledgerentry SET amount = 1 WHERE key IN ('k02', 'k09', 'k03')")
    assert found_in(export(file)) == f"{entry('k02')[1]} was changed after seal 1 was set"


@pytest.mark.parametrize("change", ["kind = 'shop_available'", "key = 'suspense|CNY||anybody|'", "currency = 'USD'"])
def test_an_account_that_became_another_names_the_first_entry_that_moved_it(
    book: None, file: Path, change: str
) -> None:
    by_superuser(f"UPDATE payments_account SET {change} WHERE kind = 'suspense'")
    assert found_in(export(file)) == f"{entry('k00')[1]} was changed after seal 1 was set"


def test_a_removed_row_is_named(book: None, file: Path) -> None:
    (gone, _), (_, after) = entry("k05"), entry("k05")
    after = entry("k06")[1].replace("line 9", "line 8")
    by_superuser("DELETE FROM payments_ledgerentry WHERE key = 'k05'")
    assert found_in(export(file)) == f"entry {gone} was removed: seal 2 has it before {after}"


def test_a_row_removed_from_the_end_of_a_seal_is_named(book: None, file: Path) -> None:
    gone = entry("k07")[0]
    by_superuser("DELETE FROM payments_ledgerentry WHERE key = 'k07'")
    assert found_in(export(file)) == f"entry {gone} was removed from the end of what seal 2 covers"


INSERTED = """
INSERT INTO payments_ledgerentry
       (id, key, kind, debit_id, credit_id, amount, currency, occurred_at, recorded_at, number)
OVERRIDING SYSTEM VALUE
SELECT gen_random_uuid(), 'k99', kind, debit_id, credit_id, amount, currency, occurred_at, recorded_at, number{}
  FROM payments_ledgerentry WHERE key = '{}'"""


def test_a_row_added_among_sealed_ones_is_named(book: None, file: Path) -> None:
    by_superuser(INSERTED.format(" - 1000", "k05"))
    assert "key k99, line 2) was added to what seal 1 covers" in found_in(export(file))


def test_a_row_put_in_the_place_of_another_is_named(book: None, file: Path) -> None:
    gone = entry("k05")[0]
    by_superuser("UPDATE payments_ledgerentry SET id = gen_random_uuid() WHERE key = 'k05'")
    assert found_in(export(file)) == (f"{entry('k05')[1]} was put in the place of entry {gone}, which seal 2 covers")


def test_rows_whose_numbers_were_exchanged_are_named(book: None, file: Path) -> None:
    (fifth, _), (sixth, _) = entry("k05"), entry("k06")
    by_superuser(
        "ALTER TABLE payments_ledgerentry ALTER COLUMN number SET GENERATED BY DEFAULT",
        "UPDATE payments_ledgerentry SET number = -1 WHERE key = 'k05'",
        "UPDATE payments_ledgerentry SET number = number - 1 WHERE key = 'k06'",
        "UPDATE payments_ledgerentry SET number = (SELECT number + 1 FROM payments_ledgerentry WHERE key = 'k06')"
        " WHERE key = 'k05'",
    )
    said = found_in(export(file))
    assert said.startswith(f"entry {sixth} (") and said.endswith(f"was moved: seal 2 has entry {fifth} there")


@pytest.mark.parametrize(
    "change",
    [
        "leaves = leaves || decode(repeat('00', 48), 'hex')",
        "leaves = overlay(leaves placing '\\x00'::bytea from 100)",
        "total = total + 1",
        "entries = 5",
        "sealed_at = now()",
        f"hash = '{'a' * 64}'",
        f"previous = '{'a' * 64}'",
        "first = first + 1",
    ],
)
def test_a_changed_seal_is_named(book: None, file: Path, change: str) -> None:
    by_superuser(f"UPDATE payments_seal SET {change} WHERE number = 2")
    assert found_in(export(file)) == "seal 2 (line 11) was changed: its hash is not that of what it says"


def test_a_removed_seal_is_named(book: None, file: Path) -> None:
    by_superuser("DELETE FROM payments_seal WHERE number = 2")
    assert found_in(export(file)) == "seal 3 (line 15) stands where seal 2 belongs"


# --- Seals that were made anew ---------------------------------------------------------------------------------------


def rewrite(change: str) -> None:
    """What a superuser with our code does: changes an entry, and seals everything anew."""
    by_superuser(f"UPDATE payments_ledgerentry SET {change}", "DELETE FROM payments_seal")
    with mock.patch.object(chain, "_ENTRIES_MAX", 4):
        for part in range(4):
            chain.seal(now=NOON + timedelta(minutes=part), in_time=partial(next, iter([True, False])))


def test_one_seal_made_anew_does_not_fit_its_successor(book: None, file: Path) -> None:
    old = Seal.objects.get(number=2).hash
    rewrite("amount = 1 WHERE key = 'k05'")
    by_superuser(f"UPDATE payments_seal SET previous = '{old}' WHERE number = 3")
    third = Seal.objects.defer("leaves").get(number=3)
    link = chain._seal(3, old, third.first, third.last, 4, 12, third.sealed_at, Seal.objects.get(number=3).leaves)
    by_superuser(f"UPDATE payments_seal SET hash = '{link.hash}' WHERE number = 3")
    assert found_in(export(file)) == (
        f"seal 2 was rewritten: seal 3 (line 16) was made upon another one with the hash {old}"
    )


def test_a_chain_that_was_made_anew_is_caught_by_a_published_head_and_by_nothing_else(
    book: None, file: Path, tmp_path: Path
) -> None:
    (published,) = heads_in(tmp_path / "heads" / "ledger.jsonl")
    assert verify(export(file), [published]).seals == 3
    rewrite("amount = 1 WHERE key = 'k05'")
    assert verify(export(file)).seals == 4
    assert found_in(file, published) == (
        f"seal 3 (line 16) is not the one of the head {published.hash} that was published at "
        "2026-11-22T12:03:00.000000Z for seal 3: from behind entry number 0 on, entries were rewritten together with "
        "their seals"
    )
    assert (
        found_in(file, Head(published.hash))
        == f"the head {published.hash} is not in this chain, which ends with seal 4"
    )


def test_the_heads_of_many_days_bound_what_was_rewritten(book: None, file: Path) -> None:
    days = [Head(row.hash, row.number, f"day {row.number}") for row in Seal.objects.order_by("number")]
    last = Seal.objects.get(number=1).last
    rewrite("amount = 1 WHERE key = 'k05'")
    assert f"for seal 2: from behind entry number {last} on" in found_in(export(file), *days)


def test_seals_that_were_cut_off_are_missed(book: None, file: Path) -> None:
    head = Seal.objects.get(number=3).hash
    by_superuser("DELETE FROM payments_seal WHERE number = 3", "DELETE FROM payments_ledgerentry WHERE key > 'k07'")
    assert verify(export(file)).seals == 2
    assert found_in(file, Head(head)) == f"the head {head} is not in this chain, which ends with seal 2"


# --- The file itself -------------------------------------------------------------------------------------------------


def lines_of(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


def test_any_byte_changed_in_any_line_is_seen(book: None, file: Path) -> None:
    head = Head(Seal.objects.get(number=3).hash)
    whole = lines_of(export(file))
    chance = random.Random(1)
    for number in range(1, 16):
        for _ in range(20):
            at = chance.randrange(len(whole[number]) - 1)
            changed = bytearray(whole[number])
            changed[at] ^= 1 << chance.randrange(7)
            file.write_bytes(b"".join([*whole[:number], bytes(changed), *whole[number + 1 :]]))
            with pytest.raises((Broken, Unreadable)):
                verify(file, [head])


def test_lines_left_out_doubled_or_exchanged_are_seen(book: None, file: Path) -> None:
    head = Head(Seal.objects.get(number=3).hash)
    whole = lines_of(export(file))
    for number in range(1, 16):
        for other in (
            [*whole[:number], *whole[number + 1 :]],
            [*whole[: number + 1], *whole[number:]],
            [*whole[:number], whole[number + 1], whole[number], *whole[number + 2 :]],
        ):
            file.write_bytes(b"".join(other))
            with pytest.raises((Broken, Unreadable)):
                verify(file, [head])


def test_an_old_row_behind_the_newest_seal_is_seen(book: None, file: Path) -> None:
    whole = lines_of(export(file))
    end = canonical({**json.loads(whole[-1]), "entries": 15})
    file.write_bytes(b"".join([*whole[:-1], whole[1], end]))
    assert found_in(file) == entry("k00")[1].replace("line 2", "line 19") + (
        " stands behind an entry with a higher number"
    )


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda whole: [], "line 1 is not a JSON object"),
        (lambda whole: [b"[]\n"], "line 1 is not a JSON object"),
        (lambda whole: [b'{"export":"something else"}\n'], "line 1 does not say “pushcart ledger, form 1”"),
        (lambda whole: whole[:-1], "the file stops before its end"),
        (lambda whole: [*whole, whole[1]], "line 20 follows the end"),
        (lambda whole: [*whole[:5], b'{"moon":1}\n'], "line 6 is neither an entry nor a seal"),
        (lambda whole: [*whole[:5], b'{"id":"1"}\n'], "line 6 has no id that can be read"),
        (lambda whole: [*whole[:5], b'{"seal":true}\n'], "line 6 has no text “leaves”"),
        (lambda whole: [*whole[:5], b'{"seal":1,"leaves":"AA=="}\n'], "line 6 has no leaves that can be read"),
        (lambda whole: [*whole[:5], b'{"seal":1,"leaves":""}\n'], "line 6 has no whole number “first”"),
        (lambda whole: [*whole[:5], b"[" * 100_000 + b"\n"], "line 6 is not a JSON object"),
        (lambda whole: [*whole[:5], b"\xff\n"], "line 6 is not a JSON object"),
    ],
)
def test_what_is_no_whole_export_is_said(
    book: None, file: Path, spoil: Callable[[list[bytes]], list[bytes]], why: str
) -> None:
    file.write_bytes(b"".join(spoil(lines_of(export(file)))))
    with pytest.raises(Unreadable) as unreadable:
        verify(file)
    assert str(unreadable.value) == why


def test_a_chain_of_another_program_is_read_by_the_documented_form_alone(file: Path) -> None:
    """Made here from the words of the page about it, with nothing of the product's."""

    def text(told: dict[str, Any]) -> bytes:
        return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()

    entry_id = "01939d3c-7c00-7000-8000-000000000001"
    line = text({"id": entry_id, "number": 1, "amount": 5})
    leaves = bytes.fromhex(entry_id.replace("-", "")) + sha256(line).digest()
    link = {"seal": 1, "previous": "0" * 64, "first": 1, "last": 1, "entries": 1, "total": 1, "sealed_at": "now"}
    link_hash = sha256(text({**link, "leaves": sha256(leaves).hexdigest()})).hexdigest()
    told = {**link, "leaves": base64.b64encode(leaves).decode(), "hash": link_hash}
    opening, end = {"export": "pushcart ledger, form 1"}, {"end": True, "entries": 1, "seals": 1}
    file.write_bytes(b"\n".join([text(opening), line, text(told), text(end)]) + b"\n")
    assert verify(file, [Head(link_hash)]).head == link_hash
