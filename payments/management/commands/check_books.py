"""`check_books`: proves the laws of the book over the whole database, and names the row that breaks one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from payments import books
from payments.models import Archive


class Command(BaseCommand):
    help = "Proves the laws of the book over the whole database; exits with 1 and the rows when one is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--archives", type=Path, help="where archives are, if not where they were written")

    def handle(self, *args: Any, **options: Any) -> None:
        broken = list(books.breaches(archives=options["archives"]))
        for breach in broken:
            self.stderr.write(self.style.ERROR(f"BROKEN  {breach.law}: {breach.row}"))
        if broken:
            sys.exit(1)
        kept = [books.ARCHIVES] if Archive.objects.filter(retired_at__isnull=False).exists() else []
        for law in (*kept, *books.LAWS):
            self.stdout.write(f"holds   {law}")
