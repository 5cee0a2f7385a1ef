"""Statements that a session keeps are the same statements: their values, their transaction and their errors."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from merchants import prepared
from merchants.models import Shop
from tests.cast import Person

_KEPT = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%as whatever'"


def test_a_session_keeps_what_it_has_run_before_whatever_the_values(db: None) -> None:
    for value in (b"", b"\0'\\x", b"x" * 70_000, None):
        with prepared.cursor() as cursor:
            cursor.execute("SELECT %(value)s::bytea as whatever", {"value": value})
            assert cursor.fetchone() == (value,)
    with connection.cursor() as cursor:
        cursor.execute(_KEPT)
        assert cursor.fetchone() == (1,)  # And not this question, which is Django's own.


def test_it_is_part_of_the_transaction_and_fails_as_django_does(mei: Person) -> None:
    with pytest.raises(IntegrityError), transaction.atomic(), prepared.cursor() as cursor:
        cursor.execute("UPDATE merchants_shop SET name = 'Gone' WHERE id = %s", [mei.shop.id])
        assert Shop.objects.get(id=mei.shop.id).name == "Gone"
        cursor.execute("UPDATE merchants_shop SET name = NULL WHERE id = %s", [mei.shop.id])
    assert Shop.objects.get(id=mei.shop.id).name == "Mei's fruit"
