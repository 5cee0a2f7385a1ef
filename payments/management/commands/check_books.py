"""`check_books`: proves the laws of the book over the whole database, and names the row that breaks one."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from payments import books


class Command(BaseCommand):
    help = "Proves the laws of the book over the whole database; exits with 1 and the rows when one is broken."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = list(books.breaches())
        for breach in broken:
            self.stderr.write(self.style.ERROR(f"BROKEN  {breach.law}: {breach.row}"))
        if broken:
            sys.exit(1)
        for law in books.LAWS:
            self.stdout.write(f"holds   {law}")
