"""Plans of a batch: right for tables that grow, kept by the session, and left behind when the transaction ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.utils import timezone

from merchants import columns, plans
from payments import reconcile, taking
from payments.models import Payment, QueuedEvent
from tests.cast import Person
from tests.till import assert_books_hold, closed, expect, paid, platform, refund_told, shop_code

_SETTINGS = (
    "SELECT current_setting('enable_seqscan'), current_setting('enable_hashjoin'),"
    " current_setting('enable_mergejoin'), current_setting('plan_cache_mode')"
)
_IN_A_BATCH, _ELSEWHERE = ("off", "off", "off", "force_generic_plan"), ("on", "on", "on", "auto")
_LOOK_UP = "SELECT word FROM kept_here WHERE id = ANY(%s::bigint[]) ORDER BY word"
_OF_IT = "FROM pg_prepared_statements WHERE statement LIKE '%kept_here WHERE%'"


@pytest.fixture
def small(real_db: None) -> Iterator[None]:
    end_session()  # It may know some statements already.
    asked("CREATE TEMPORARY TABLE kept_here (id bigint PRIMARY KEY, word text NOT NULL)")
    asked("INSERT INTO kept_here VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    yield
    end_session()


def end_session() -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # Which would hand out another that is no newer.


def asked(question: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return list(cursor.fetchall()) if cursor.description else []


def looked_up(*wanted: int) -> list[str]:
    with columns.cursor() as cursor:
        cursor.execute(_LOOK_UP, [columns.literal(wanted)])
        return [word for (word,) in cursor.fetchall()]


def test_a_statement_is_planned_once_and_serves_every_value(small: None) -> None:
    with transaction.atomic(), plans.kept():
        plans.by_index()
        assert [looked_up(n) for n in (1, 2, 3)] == [["one"], ["two"], ["three"]]
    with transaction.atomic(), plans.kept():
        plans.by_index()
        assert looked_up(3, 9, 1) == ["one", "three"]
    # The first was not kept yet; the others were of one plan, which was made without looking at any value.
    assert asked(f"SELECT generic_plans, custom_plans {_OF_IT}") == [(3, 0)]


def test_elsewhere_a_session_is_as_it_was_whatever_happens(small: None) -> None:
    assert asked(_SETTINGS) == [_ELSEWHERE]
    with pytest.raises(ZeroDivisionError), transaction.atomic(), plans.kept():
        plans.by_index()
        assert asked(_SETTINGS) == [_IN_A_BATCH]
        raise ZeroDivisionError
    assert asked(_SETTINGS) == [_ELSEWHERE]
    with transaction.atomic(), plans.kept():
        assert looked_up(1) == looked_up(1)
    assert [looked_up(1) for _ in range(4)] == [["one"]] * 4
    assert asked(f"SELECT generic_plans + custom_plans {_OF_IT}") == [(1,)]


@pytest.mark.usefixtures("real_db")
def test_no_plan_that_a_session_keeps_reads_a_whole_table(mei: Person, settings: LazySettings) -> None:
    """Made while the tables are empty, and known to be: then all ways to read them cost the same."""
    account = platform()
    for number in range(3):
        paying, closing = expect(shop_code(mei.shop), 200), expect(shop_code(mei.shop), 300)
        paid(paying, object_id=f"wpy_{number}").deliver()
        closed(closing).deliver()
        paid(amount=5, currency="USD", account=account).deliver()  # Nobody's.
        payment = Payment(
            object_id=f"wpy_{number}", amount=200, currency="CNY", provider_account=account, intent=paying
        )
        refund_told(payment, "succeeded", amount=200, object_id=f"wrf_{number}").deliver()
    end_session()  # The one that drains has seen nothing.
    asked("ANALYZE payments_payment, payments_ledgerentry, payments_accountbalance, merchants_notice")
    settings.DRAIN_BATCH_MAX = 1
    while (batch := taking.batch(clock=timezone.now)).leased:
        reconcile.apply(batch, clock=timezone.now)
    assert not QueuedEvent.objects.exists()
    assert_books_hold()
    kept = asked("SELECT name, cardinality(parameter_types), statement FROM pg_prepared_statements")
    whole = {}
    with transaction.atomic():
        plans.by_index()  # Or they would be planned anew for what is asked here.
        for name, count, statement in kept:
            values = f"({', '.join(['NULL'] * count)})" if count else ""
            [(plan,)] = asked(f"EXPLAIN (FORMAT JSON) EXECUTE {name} {values}")
            for node in scans(json.loads(plan) if isinstance(plan, str) else plan):
                if node["Node Type"] == "Seq Scan" or "Index Cond" not in node:
                    whole[statement] = node
    assert whole == {}
    assert len(kept) == 10  # Or some were not looked at.


def scans(plan: Any) -> Iterator[dict[str, Any]]:
    """Every node of a plan that reads a table or an index of one."""
    if isinstance(plan, list):
        for one in plan:
            yield from scans(one)
        return
    node = plan.get("Plan", plan)
    if node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan", "Tid Scan"):
        yield node
    yield from scans(node.get("Plans", []))
