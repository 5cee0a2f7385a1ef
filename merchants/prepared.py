"""Statements that the server reads and plans once in each session, and that get their values beside them as bytes.

Django writes the values into the statement, which the server then reads, understands and plans anew each time. For most
of ours that is a small part of the whole; what every request asks, or what carries a long value, is worth the words.
"""

from __future__ import annotations

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.utils import CursorWrapper

SEEN_BEFORE = 2  # So often a session has run a statement when the server is told to keep it.


def cursor(using: str = DEFAULT_DB_ALIAS) -> CursorWrapper:
    """A cursor on Django's connection, within its transaction if there is one, with its errors; nothing is logged."""
    database = connections[using]
    database.close_if_health_check_failed()
    database.ensure_connection()
    session = database.connection
    session.prepare_threshold = SEEN_BEFORE
    return database.make_cursor(psycopg.Cursor(session))  # type: ignore[arg-type]  # It is what wraps a driver's.
