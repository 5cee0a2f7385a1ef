"""Archives: what leaves the database is in a proved file first, comes back bit for bit, and nothing wanted leaves."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from merchants import ids
from payments import archive, chain, inbox, ledger, partitions
from payments.chart import Movement, Place
from payments.models import Archive, Discrepancy, ProviderAccount, QueuedEvent, WebhookEvent
from payments.partitions import Partition
from payments.providers.base import Verified
from tests.races.together import together
from tests.till import platform

MONTH = datetime(2030, 11, 5, tzinfo=UTC)
NAME = "payments_webhookevent_2030_11"
WRONG = (archive.Damaged, archive.Differs)
RAW = [b'{"a": "\xc3\xa4"}', bytes(range(256)), b"", b'"\\u0000"\n\n']


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archives"


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return platform()


@pytest.fixture
def kept(account: ProviderAccount) -> list[tuple[object, ...]]:
    """Four events of a month, all of them applied."""
    return keep_four(account)


def keep_four(account: ProviderAccount) -> list[tuple[object, ...]]:
    partitions.make_ahead(now=MONTH)
    for n, raw in enumerate(RAW):
        verified = Verified(f"evt_{n}", raw, "signed", headers={"x": "ü\n", "n": str(n)}, key_id="k")
        assert inbox.keep(account=account, verified=verified, now=MONTH + timedelta(days=n, microseconds=n))
    inbox.settle(list(WebhookEvent.objects.values_list("id", flat=True)))
    return rows()


def rows() -> list[tuple[object, ...]]:
    """Every column of every event as PostgreSQL stores it, with the row it belongs to."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, event::text FROM payments_webhookevent event ORDER BY id")
        found: list[tuple[object, ...]] = cursor.fetchall()
        return found


def part(name: str = NAME) -> Partition:
    (found,) = [one for one in partitions.of(name[: -len("_2030_11")]) if one.name == name]
    return found


def retire(folder: Path) -> Archive:
    row = archive.write(archive.EVENTS, part(), folder=folder, now=MONTH)
    archive.retire(part(), now=MONTH)
    return row


def command(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=out)
    return out.getvalue()


# --- There and back --------------------------------------------------------------------------------------------------


def test_a_month_leaves_for_a_file_and_comes_back_bit_for_bit(kept: list[tuple[object, ...]], folder: Path) -> None:
    row = retire(folder)
    assert rows() == []
    assert NAME not in [one.name for one in partitions.of(archive.EVENTS)]
    lines = gzip.decompress(Path(row.file).read_bytes()).splitlines()
    assert [bytes.fromhex(json.loads(line)["raw"][2:]) for line in lines[1:-1]] == RAW
    assert json.loads(lines[-1]) == {"end": True, "rows": 4, "sha256": row.sha256}
    assert Path(row.file).stat().st_mode & 0o777 == 0o600
    archive.restore(NAME, now=MONTH)
    assert rows() == kept
    with pytest.raises(Exception, match="through its parent"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {NAME} SELECT * FROM {NAME}")
    retire(folder)
    assert Archive.objects.get().sha256 == row.sha256


def test_the_command_retires_restores_and_leaves_alone_what_was_restored(
    kept: list[tuple[object, ...]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime(2031, 12, 9, tzinfo=UTC))  # Thirteen months after it began.
    old = ["--folder", str(folder), "--bodies-older-than-months=12", "--entries-older-than-years=90"]
    chosen = [*old, "--partition", NAME]
    assert command("retire_partitions", "--folder", str(folder), "--partition", NAME) == ""  # It is not old enough.
    assert f"{NAME}: 4 rows, retired to {folder}" in command("retire_partitions", *chosen)
    assert rows() == []
    assert f"`restore_partition {NAME}` brings it back" in command("replay_events", "--since=2030-11-30T00:00:00+00:00")
    assert NAME not in command("replay_events", "--since=2030-12-02T00:00:00+00:00")
    with pytest.raises(CommandError, match="cannot be read"):
        command("restore_partition", NAME, "--file", str(folder / "nowhere"))
    assert "4 rows are back" in command("restore_partition", NAME)
    assert rows() == kept
    assert f"{NAME}: restored, and stays" in command("retire_partitions", *old)
    assert "4 rows, retired" in command("retire_partitions", *chosen)
    with pytest.raises(CommandError, match="is not retired"):
        command("restore_partition", "payments_webhookevent_2030_12")


def test_what_a_provider_says_again_is_known_though_its_event_is_in_a_file(
    kept: list[tuple[object, ...]], account: ProviderAccount, folder: Path
) -> None:
    retire(folder)
    assert not inbox.keep(account=account, verified=Verified("evt_1", RAW[1], "signed"), now=MONTH)
    assert QueuedEvent.objects.count() == 0
    hint = Verified("evt_1", RAW[1], "unsigned_hint")
    assert inbox._hear_again(account, hint, MONTH)  # A hint is heard again, whenever it was first told.
    assert not inbox._hear_again(account, hint, MONTH)
    assert QueuedEvent.objects.get().event.delivery_id == "evt_1@2030-11-05"


# --- What stays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", QueuedEvent.State.values)
def test_a_month_with_an_event_that_is_not_applied_stays(
    kept: list[tuple[object, ...]], folder: Path, state: str
) -> None:
    event = WebhookEvent.objects.earliest("id")
    QueuedEvent.objects.create(event=event, state=state, due_at=MONTH, received_at=MONTH)
    with pytest.raises(archive.StillWanted, match="1 events that are not applied"):
        retire(folder)
    assert rows() == kept


def test_a_month_that_an_open_discrepancy_points_to_stays_until_it_is_closed(
    kept: list[tuple[object, ...]], account: ProviderAccount, folder: Path
) -> None:
    event = WebhookEvent.objects.latest("id")
    question = Discrepancy.objects.create(
        key="x", reason="suspect", provider_account=account, event_id=event.id, opened_at=MONTH, amount=0
    )
    with pytest.raises(archive.StillWanted, match="1 open discrepancies"):
        retire(folder)
    assert rows() == kept
    Discrepancy.objects.filter(id=question.id).update(state="resolved")
    retire(folder)


def requeued_meanwhile(folder: Path) -> list[object]:
    """Somebody wants an event again while its month is about to leave; answers what became of both."""
    account = platform()
    keep_four(account)
    archive.write(archive.EVENTS, part(), folder=folder, now=MONTH)
    event, compare = WebhookEvent.objects.earliest("id").id, archive.compare

    def compare_slowly(row: Archive) -> None:
        compare(row)
        assert together([lambda: inbox.requeue(event_ids=[event], now=MONTH)]) == [1]

    with mock.patch.object(archive, "compare", compare_slowly):
        return together([lambda: archive.retire(part(), now=MONTH)])


@pytest.fixture
def own_month(real_db: None) -> Iterator[None]:
    """What these tests made goes again, for others have committed rows too."""
    yield
    with connection.cursor() as cursor:
        for one in [one for table in partitions.TABLES for one in partitions.of(table) if one.name[-7:] > "2030"]:
            cursor.execute(f"DROP TABLE {one.name}")


@pytest.mark.usefixtures("own_month")
def test_a_month_of_which_an_event_is_wanted_again_meanwhile_stays(folder: Path) -> None:
    (answer,) = requeued_meanwhile(folder)
    assert isinstance(answer, archive.StillWanted)
    assert len(rows()) == 4
    assert Archive.objects.get().retired_at is None


@pytest.mark.usefixtures("own_month")
def test_without_asking_again_its_event_would_be_queued_and_gone(folder: Path) -> None:
    with mock.patch.object(archive, "wanted", return_value=""):
        assert requeued_meanwhile(folder) == [None]
    assert (len(rows()), QueuedEvent.objects.count()) == (0, 1)


# --- Files that are not what was written -----------------------------------------------------------------------------


def flipped(file: Path) -> None:
    packed = bytearray(file.read_bytes())
    packed[len(packed) // 2] ^= 1
    file.write_bytes(packed)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def without_a_row(file: Path) -> None:
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    file.write_bytes(gzip.compress(b"".join(lines[:2] + lines[3:])))


def another(file: Path) -> None:
    file.write_bytes(gzip.compress(b"{}\n"))


@pytest.mark.parametrize("damage", [flipped, cut, without_a_row, another, Path.unlink])
def test_a_month_stays_when_its_file_is_not_what_was_written_and_is_written_anew(
    kept: list[tuple[object, ...]], folder: Path, damage: object
) -> None:
    row = archive.write(archive.EVENTS, part(), folder=folder, now=MONTH)
    damage(Path(row.file))  # type: ignore[operator]
    with pytest.raises(WRONG), transaction.atomic():
        archive.retire(part(), now=MONTH)
    with pytest.raises(WRONG):
        archive.write(archive.EVENTS, part(), folder=folder, now=MONTH)
    assert rows() == kept
    retire(folder)
    if damage is not Path.unlink:
        damage(Path(row.file))  # type: ignore[operator]
        with pytest.raises(WRONG), transaction.atomic():
            archive.restore(NAME, now=MONTH)
    assert rows() == []


def test_a_row_that_came_after_the_file_was_written_is_not_lost(
    kept: list[tuple[object, ...]], account: ProviderAccount, folder: Path
) -> None:
    archive.write(archive.EVENTS, part(), folder=folder, now=MONTH)
    inbox.keep(account=account, verified=Verified("late", b"late", "signed"), now=MONTH)
    inbox.settle([WebhookEvent.objects.get(delivery_id="late").id])
    with pytest.raises(archive.Differs), transaction.atomic():
        archive.retire(part(), now=MONTH)
    with pytest.raises(archive.Differs):
        archive.write(archive.EVENTS, part(), folder=folder, now=MONTH)
    assert retire(folder).rows == 5


def test_a_run_that_was_killed_while_it_wrote_is_begun_anew(kept: list[tuple[object, ...]], folder: Path) -> None:
    with mock.patch("os.fsync", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        archive.write(archive.EVENTS, part(), folder=folder, now=MONTH)
    assert not Archive.objects.exists()
    assert [file.suffix for file in folder.iterdir()] == [".partial"]
    assert retire(folder).rows == 4
    assert [file.name for file in folder.iterdir()] == [f"{NAME}.jsonl.gz"]


# --- Entries ---------------------------------------------------------------------------------------------------------


def test_entries_are_archived_when_they_are_sealed_and_stay(account: ProviderAccount, folder: Path) -> None:
    partitions.make_ahead(now=MONTH)
    place = Place("provider_receivable", "held", None, account.id)
    with transaction.atomic():
        ledger.post([Movement("a", "adjusted", place, Place("suspense"), 7, "CNY", MONTH)], now=MONTH)
    name = "payments_ledgerentry_2030_11"
    with pytest.raises(archive.StillWanted, match="no seal"):
        archive.write(archive.ENTRIES, part(name), folder=folder, now=MONTH)
    chain.seal(now=timezone.now())
    row = archive.write(archive.ENTRIES, part(name), folder=folder, now=MONTH)
    assert (row.rows, Archive.objects.get().verified_at) == (1, MONTH)
    line = json.loads(gzip.decompress(Path(row.file).read_bytes()).splitlines()[1])
    assert (line["key"], line["amount"], line["id"][:13]) == ("a", 7, str(ids.first_of(MONTH))[:13])
    with pytest.raises(Archive.DoesNotExist):
        archive.retire(part(name), now=MONTH)
