"""`export_entries`: writes every ledger entry and every seal to a file that `verify_chain` can read anywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from payments import archive_files, chain


class Command(BaseCommand):
    help = "Writes the ledger's entries with the seals of their chain to a file, for `python -m payments.verify_chain`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a new file; one that exists is left alone")
        parser.add_argument("--archived", action="store_true", help="with the entries of months that are in archives")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        lines = size = 0
        try:
            # Whoever reads it knows every movement of every shop: it is its owner's alone.
            output = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except OSError as failure:
            raise CommandError(f"{file} cannot be made: {failure.strerror}") from failure
        with output:
            try:
                for line in chain.export(now=timezone.now(), archived=options["archived"]):
                    size += output.write(line + b"\n")
                    lines += 1
            except archive_files.Damaged as failure:
                raise CommandError(f"{failure}; {file} is not whole") from failure
            output.flush()
            os.fsync(output.fileno())
        self.stdout.write(f"{lines} lines, {size} bytes; without its last line a file is not whole")
