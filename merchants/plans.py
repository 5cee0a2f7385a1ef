"""Plans of what every batch asks: of look-ups only, whatever the tables hold by then, and of its writes made once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from merchants import columns

_SEEN_BEFORE = 1  # So often a session has run a statement in `kept` before it keeps its plan.


def by_index() -> None:
    """Until the transaction ends, every look-up is by an index, and a plan is for any values and not for those at hand.

    A plan made while the tables were empty would read them whole, and sessions keep such a plan (the checks of foreign
    keys among them): posting then slows with every row. A join that is no loop of look-ups reads the whole of a table
    that is not large yet, for each batch.
    """
    with columns.cursor() as cursor:
        cursor.execute(_SQL)


@contextmanager
def kept() -> Iterator[None]:
    """What `columns.cursor` runs in here is read and planned once in a session; call it after `by_index`.

    Planning takes longer than all else that a write of one row does. Only for statements with one way to find their
    rows, by the keys that they are given: a plan of a join or of an order, made while the tables were empty, begins
    with the table that it believes to be empty.

    Elsewhere the session goes on as if it had never seen them.
    """
    session = connection.connection
    usual, session.prepare_threshold = session.prepare_threshold, _SEEN_BEFORE
    try:
        yield
    finally:
        session.prepare_threshold = usual


_SQL = (
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),"
    " set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)"
)
