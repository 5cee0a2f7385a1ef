"""Plans of a batch: kept by the session, right for tables that grow, and left behind when the transaction ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from merchants import columns, plans

_LOOK_UP = "SELECT word FROM kept_here JOIN unnest(%s::bigint[]) AS wanted(id) USING (id) ORDER BY id"
_OF_IT = "FROM pg_prepared_statements WHERE statement LIKE '%kept_here JOIN%'"


@pytest.fixture
def small(db: None) -> Iterator[None]:
    """A table that is empty when a plan is made, and holds ten thousand rows afterwards."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE kept_here (id bigint PRIMARY KEY, word text NOT NULL)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE kept_here; DEALLOCATE ALL")


def looked_up(*wanted: int) -> list[str]:
    with columns.cursor() as cursor:
        cursor.execute(_LOOK_UP, [columns.literal(wanted)])
        return [word for (word,) in cursor.fetchall()]


def asked(question: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return list(cursor.fetchall())


def test_a_statement_is_planned_once_and_serves_every_value(small: None) -> None:
    asked("INSERT INTO kept_here VALUES (1, 'one'), (2, 'two'), (3, 'three') RETURNING id")
    with transaction.atomic(), plans.kept():
        assert [looked_up(n) for n in (1, 2, 3)] == [["one"], ["two"], ["three"]]
    with transaction.atomic(), plans.kept():
        assert looked_up(3, 9, 1) == ["one", "three"]
    # The first was not kept yet; the others were of one plan, which was made without looking at any value.
    assert asked(f"SELECT generic_plans, custom_plans {_OF_IT}") == [(3, 0)]


def test_a_plan_of_an_empty_table_looks_by_index_when_it_has_grown(small: None) -> None:
    with transaction.atomic(), plans.kept():
        assert looked_up(1) == looked_up(2) == []
    asked("INSERT INTO kept_here SELECT n, 'row ' || n FROM generate_series(1, 10000) AS n RETURNING 1")
    [(name,)] = asked(f"SELECT name {_OF_IT}")
    with transaction.atomic(), plans.kept():
        assert looked_up(7) == ["row 7"]
        plan = "\n".join(str(line) for (line,) in asked(f"EXPLAIN EXECUTE {name} ('{{7}}')"))
    assert "Index" in plan
    assert "Seq Scan" not in plan


def test_outside_the_session_is_as_it_was(small: None) -> None:
    settings = "SELECT current_setting('enable_seqscan'), current_setting('plan_cache_mode')"
    before = asked(settings)
    with transaction.atomic(), plans.kept():
        assert looked_up(1) == looked_up(2) == []
        assert asked(settings) == [("off", "force_generic_plan")] != before
    # In tests a transaction is around this one, whose end would end them.
    asked("SELECT set_config('enable_seqscan', 'on', true)")
    assert [looked_up(1) for _ in range(4)] == [[]] * 4
    assert asked(f"SELECT generic_plans {_OF_IT}") == [(1,)]


@pytest.mark.usefixtures("real_db")
def test_the_settings_end_with_their_transaction() -> None:
    settings = "SELECT current_setting('enable_seqscan'), current_setting('plan_cache_mode')"
    with transaction.atomic(), plans.kept():
        assert asked(settings) == [("off", "force_generic_plan")]
    assert asked(settings) == [("on", "auto")]
    with pytest.raises(RuntimeError), transaction.atomic(), plans.kept():
        raise RuntimeError
    assert asked(settings) == [("on", "auto")]
    assert connection.connection.prepare_threshold is None
