"""Columns of many rows as arrays: what goes in is what the database reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from merchants import columns
from tests.cast import Person

pytestmark = pytest.mark.django_db

TEXT = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"))
BEGIN, END = datetime(1971, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001  Hypothesis adds the zones.
ZONES = some.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])
MOMENTS = some.datetimes(min_value=BEGIN, max_value=END, timezones=ZONES)


def read(kind: str, values: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM unnest(%s::{kind}[])", [columns.literal(values)])
        return [row[0] for row in cursor.fetchall()]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.data())
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", TEXT),
        ("bigint", some.integers(-(2**63), 2**63 - 1)),
        ("boolean", some.booleans()),
        ("uuid", some.uuids()),
        ("timestamptz", MOMENTS),
    ],
)
def test_the_database_reads_what_was_meant(kind: str, values: some.SearchStrategy[Any], data: some.DataObject) -> None:
    column = data.draw(some.lists(some.none() | values))
    assert read(kind, column) == column


@pytest.mark.parametrize(
    "text", ["", "NULL", "null", "{a,b}", 'a"b', "a\\b", "a,b", " ", "'; DROP TABLE x; --", "%s", "é中🍎"]
)
def test_words_that_mean_something_in_an_array_are_only_words(text: str) -> None:
    assert read("text", [text, None, text]) == [text, None, text]


def test_no_sign_in_a_word_makes_two_words_of_it() -> None:
    """Columns of text are written as a whole, with a sign between words that the database takes in none."""
    with pytest.raises(DataError, match="NUL"), transaction.atomic():
        read("text", ["a\0b", "c"])
    assert read("text", ["a", "b"]) == ["a", "b"]


def test_words_of_an_enumeration_are_written_as_what_they_extend() -> None:
    class Fit(StrEnum):
        EXACT = "exact"
        OVER = "over"

    class Size(IntEnum):
        SMALL = 1

    assert columns.literal([Fit.EXACT, Fit.OVER]) == columns.literal(["exact", Fit.OVER]) == '{"exact","over"}'
    assert columns.literal([Size.SMALL, Size.SMALL]) == columns.literal([1, Size.SMALL]) == "{1,1}"


def test_values_go_beside_the_statement_and_bytes_come_as_they_are(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1), columns.cursor(binary=True) as cursor:
        cursor.execute("SELECT %s::uuid, %s::bytea, %s::text[]", [UUID(int=1), b"\0\xff", columns.literal(["a'b"])])
        assert cursor.fetchall() == [(UUID(int=1), b"\0\xff", ["a'b"])]


def test_rows_become_columns() -> None:
    one, two = UUID(int=1), UUID(int=2)
    assert columns.literals([(one, 1, "a"), (two, None, "b")]) == [
        f"{{{one.hex},{two.hex}}}", "{1,NULL}", '{"a","b"}',
    ]  # fmt: skip
    with pytest.raises(ValueError, match="zip"):
        columns.literals([(1, 2), (3,)])


def test_what_is_sent_together_is_done_in_order_and_answered_at_the_end(db: None) -> None:
    with columns.cursor() as first, columns.cursor() as second:
        with transaction.atomic(), columns.together():
            first.execute("SELECT set_config('pushcart.word', 'one', true)")
            first.execute("SELECT current_setting('pushcart.word')")
            second.execute("SELECT set_config('pushcart.word', %s, true)", ["two"])
        assert (first.fetchone(), second.fetchone()) == (("one",), ("two",))


def test_what_is_refused_comes_out_as_django_says_it_and_nothing_behind_it_is_done(mei: Person) -> None:
    with columns.cursor() as cursor:
        with pytest.raises(IntegrityError) as refused, transaction.atomic(), columns.together():
            cursor.execute("UPDATE merchants_shop SET name = 'Before' WHERE id = %s", [mei.shop.id])
            cursor.execute("UPDATE merchants_shop SET name = NULL WHERE id = %s", [mei.shop.id])
            cursor.execute("UPDATE merchants_shop SET name = 'Behind' WHERE id = %s", [mei.shop.id])
        assert getattr(refused.value.__cause__, "sqlstate", "") == "23502"
        with pytest.raises(IntegrityError), transaction.atomic(), columns.together():
            cursor.execute("UPDATE merchants_shop SET name = NULL WHERE id = %s RETURNING id", [mei.shop.id])
            cursor.fetchone()  # Or at the first reading.
            pytest.fail("an answer was read of what was refused")
    mei.shop.refresh_from_db()
    assert mei.shop.name == "Mei's fruit"
