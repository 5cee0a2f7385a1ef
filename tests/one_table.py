"""The database as it was before its tables were partitioned, for as long as a test needs it so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace

from django.db import connection


@contextmanager
def one_table() -> Iterator[None]:
    """Each of the partitioned tables is one again within, and partitioned behind: both as the migration does it."""
    migration = import_module("payments.migrations.0011_partitions")
    with connection.cursor() as cursor:
        migration.make_whole(None, SimpleNamespace(connection=connection))
        cursor.execute(migration.NOT_NARROW)
        yield
        cursor.execute(migration.NARROW)
        migration.partition(None, SimpleNamespace(connection=connection))
