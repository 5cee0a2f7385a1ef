"""`restore_partition`: brings a retired partition back from its file, bit for bit, for its events to be replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from payments import archive
from payments.models import Archive


class Command(BaseCommand):
    help = "Brings a retired partition back. It stays until `retire_partitions --partition` names it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("partition")
        parser.add_argument("--file", type=Path, help="where the file is now, if not where it was written")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            row = archive.restore(options["partition"], file=options["file"], now=timezone.now())
        except Archive.DoesNotExist as unknown:
            raise CommandError(f"{options['partition']} is not retired") from unknown
        except (archive.Damaged, archive.Differs) as failure:
            raise CommandError(str(failure)) from failure
        self.stdout.write(f"{row.partition}: {row.rows} rows are back, sha256 {row.sha256}")
