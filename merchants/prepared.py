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
    """A cursor on Django's connection as Django makes one: within its transaction if there is one, with its errors."""
    database = connections[using]
    database.close_if_health_check_failed()
    database.ensure_connection()
    database.validate_thread_sharing()
    session = database.connection
    session.prepare_threshold = SEEN_BEFORE
    make = database.make_debug_cursor if database.queries_logged else database.make_cursor
    return make(psycopg.Cursor(session))  # type: ignore[arg-type]  # It is what wraps a driver's.
