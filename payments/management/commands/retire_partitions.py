"""`retire_partitions`: writes old partitions to proved files, and takes them out of the database."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError
from django.utils import timezone

from merchants import ids
from payments import archive, archive_files, chain, partitions, retiring
from payments.models import Archive
from payments.partitions import Partition

_WRONG = (archive_files.Damaged, archive.Differs, chain.NotAsSealed, OperationalError)


class Command(BaseCommand):
    help = "Archives old partitions: raw events leave the database, ledger entries only when months of them are kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bodies-older-than-months", type=int, default=archive.BODIES_MONTHS)
        parser.add_argument("--entries-older-than-years", type=int, default=archive.ENTRIES_YEARS)
        parser.add_argument("--ledger-months-kept", type=int, default=settings.LEDGER_MONTHS_KEPT, help="0: all")
        parser.add_argument("--folder", type=Path, default=Path(settings.DATA_DIR) / "archives")
        parser.add_argument("--partition", help="this one alone, also if it was restored; it must be old enough too")

    def handle(self, *args: Any, **options: Any) -> None:
        now, failed = timezone.now(), False
        if 0 < options["ledger_months_kept"] < settings.LEDGER_MONTHS_KEPT_MIN:
            raise CommandError(f"at least {settings.LEDGER_MONTHS_KEPT_MIN} months are kept, or 0 for all")
        limits = {
            archive.EVENTS: options["bodies_older_than_months"],
            archive.ENTRIES: 12 * options["entries_older_than_years"],
        }
        if kept := options["ledger_months_kept"]:
            failed = not self._retire_months(now, kept, options)
        for table, months in limits.items():
            bound = ids.first_of(partitions.months_before(now, months))
            for part in partitions.of(table):
                if part.until <= bound and options["partition"] in (None, part.name):
                    failed |= not self._archive(table, part, options)
        if failed:
            raise CommandError("not everything was archived; nothing is lost, and the next run goes on from here")

    def _retire_months(self, now: datetime, kept: int, options: dict[str, Any]) -> bool:
        folder, chosen = options["folder"], options["partition"]
        try:
            if chosen is None:
                for part, told in retiring.retire_due(now=now, kept=kept, folder=folder):
                    self.stdout.write(f"{part.name}: {told}")
            for part in retiring.due(now=now, kept=kept):
                if part.name == chosen:
                    self.stdout.write(f"{part.name}: {retiring.step(part, folder=folder, now=now)}")
        except archive.StillWanted as why:
            self.stdout.write(f"{chosen}: stays, for there are {why}")
        except _WRONG as failure:
            self.stderr.write(str(failure))
            return False
        return True

    def _archive(self, table: str, part: Partition, options: dict[str, Any]) -> bool:
        row = Archive.objects.filter(partition=part.name).first()
        if row and row.verified_at and (table == archive.ENTRIES or (options["partition"] is None and row.restored_at)):
            self.stdout.write(f"{part.name}: {'restored, and' if row.restored_at else 'archived, and'} stays")
            return True
        try:
            row = archive.write(table, part, folder=options["folder"], now=timezone.now())
            if table == archive.EVENTS:
                archive.retire(part, now=timezone.now())
        except archive.StillWanted as why:
            self.stdout.write(f"{part.name}: stays, for there are {why}")
            return True
        except _WRONG as failure:
            self.stderr.write(f"{part.name}: {failure}")
            return False
        did = "retired to" if table == archive.EVENTS else "archived, and stays; copy in"
        self.stdout.write(f"{part.name}: {row.rows} rows, {did} {row.file}, sha256 {row.sha256}")
        return True
