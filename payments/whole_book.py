"""The whole ledger for one question, with the entries of months that have left the database, read from their files.

For whoever proves all of it: `check_books`, and the export of the chain. It costs what those months have ever cost.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from django.db import connection, transaction

from payments import archive_files
from payments.models import Archive, LedgerEntry

LEDGER = LedgerEntry._meta.db_table
_AT_ONCE = 2000


def load(folder: Path | None = None) -> str:
    """A table of all entries, for the rest of the transaction; answers its name.

    Files are looked for in `folder` first. Raises archive_files.Damaged for one that is not what was written.
    """
    assert transaction.get_connection().in_atomic_block, "it goes with the transaction"
    gone = list(Archive.objects.filter(table=LEDGER, retired_at__isnull=False).order_by("until"))
    if not gone:
        return LEDGER
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', '0', true)")
        cursor.execute("DROP TABLE IF EXISTS pg_temp.archived_entry CASCADE")
        cursor.execute(f"CREATE TEMPORARY TABLE archived_entry (LIKE {LEDGER}) ON COMMIT DROP")
        for row in gone:
            fill("archived_entry", row, where(row, folder))
        cursor.execute("ANALYZE archived_entry")
        cursor.execute(
            f"CREATE TEMPORARY VIEW whole_ledger AS SELECT * FROM {LEDGER} UNION ALL SELECT * FROM archived_entry"  # noqa: S608
        )
    return "whole_ledger"


def where(row: Archive, folder: Path | None) -> Path:
    """Its file: in the folder, when it is there, or where it was written."""
    path = Path(row.file)
    return folder / path.name if folder and (folder / path.name).exists() else path


def fill(table: str, row: Archive, path: Path) -> None:
    """Adds the rows of a file to a table. Raises archive_files.Damaged, when some may have been added already."""
    columns = archive_files.head_of(path).columns
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(f"(line ->> '{name}')::{kind}" for name, kind in columns.items())
    lines = archive_files.read(path, row.sha256)
    with connection.cursor() as cursor:
        while some := [line.decode() for line in islice(lines, _AT_ONCE)]:
            cursor.execute(
                f'INSERT INTO "{table}" ({names}) SELECT {values} FROM unnest(%s::jsonb[]) AS line',  # noqa: S608
                [some],
            )
