"""Plans of what every batch asks: made once in a session, and of look-ups only, whatever the tables hold by then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from merchants import columns

_SEEN_BEFORE = 1  # So often a session has run a statement in here before it keeps its plan.


@contextmanager
def kept() -> Iterator[None]:
    """In this transaction every look-up is by an index, and what `columns.cursor` runs is read and planned only once.

    A plan made while the tables were empty would read them whole, and sessions keep such a plan (the checks of foreign
    keys among them): posting then slows with every row. A join that is no loop of look-ups reads the whole of a table
    that is not large yet, for each batch. A plan for the values at hand, made anew each time, is no better than one for
    any values when there is one way to look, and takes longer than all else that a statement for one event does.

    The session keeps these statements for such places: elsewhere it goes on as if it had never seen them.
    """
    connection.ensure_connection()
    session = connection.connection
    usual, session.prepare_threshold = session.prepare_threshold, _SEEN_BEFORE
    try:
        with columns.cursor() as cursor:
            cursor.execute(_SQL)
        yield
    finally:
        session.prepare_threshold = usual


_SQL = (
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),"
    " set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)"
)
