"""Law 8: no column can hold a payee other than a Shop. The schema itself is read, and every way round it is tried."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from payments.models import Payout, PayoutAccount
from tests.cast import Person, hire
from tests.payday import earn, monday, our_bank, prepared, proved, terms
from tests.till import platform

TABLES = ("payments_payout", "payments_payoutaccount", "payments_payoutbatch", "payments_payoutterms")
# Every column of these tables that names a person, and what that person is in it. None of them is who is paid.
PEOPLE = {
    ("payments_payoutaccount", "requested_by_id"): "who entered it",
    ("payments_payoutaccount", "verified_by_id"): "the operator who saw a document",
    ("payments_payoutbatch", "approved_by_id"): "the first operator",
    ("payments_payoutbatch", "released_by_id"): "the second operator",
}
_FOREIGN = """
SELECT source.relname, array_agg(DISTINCT column_.attname::text), target.relname
  FROM pg_constraint held
  JOIN pg_class source ON source.oid = held.conrelid
  JOIN pg_class target ON target.oid = held.confrelid
  JOIN pg_attribute column_ ON column_.attrelid = held.conrelid AND column_.attnum = ANY(held.conkey)
 WHERE held.contype = 'f' AND source.relname = ANY(%s)
 GROUP BY held.oid, source.relname, target.relname
"""


def foreign_keys() -> list[tuple[str, list[str], str]]:
    with connection.cursor() as cursor:
        cursor.execute(_FOREIGN, [list(TABLES)])
        return list(cursor.fetchall())


@pytest.fixture
def payout(mei: Person) -> Payout:
    platform()
    terms()
    our_bank()
    proved(mei, now=monday(9))
    earn(mei, 200, at=monday(12))
    return prepared(monday(1, days=1))


def other_account(person: Person) -> PayoutAccount:
    return proved(person, number="DE89370400440532013000", holder="Somebody", now=timezone.now())


def row(payout: Payout, *, shop: UUID, account: UUID) -> Payout:
    return Payout(
        shop_id=shop, account_id=account, earned_day="2030-01-01", amount=1, currency="CNY", created_at=monday()
    )


def test_whoever_is_named_by_a_column_is_nobody_who_is_paid(db: None) -> None:
    people = {
        (table, column)
        for table, columns, target in foreign_keys()
        for column in columns
        if target in ("merchants_user", "merchants_staff", "merchants_token")
    }
    assert people == set(PEOPLE)


def test_a_payout_and_its_account_have_a_shop_and_cannot_be_without_one(db: None) -> None:
    keys = {(table, tuple(sorted(columns)), target) for table, columns, target in foreign_keys()}
    assert ("payments_payout", ("account_id", "shop_id"), "payments_payoutaccount") in keys
    assert ("payments_payout", ("shop_id",), "merchants_shop") in keys
    assert ("payments_payoutaccount", ("shop_id",), "merchants_shop") in keys
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE is_nullable = 'YES'"
            " AND table_name IN ('payments_payout', 'payments_payoutaccount')"
            " AND column_name IN ('shop_id', 'account_id')"
        )
        assert cursor.fetchall() == []


def test_no_column_of_a_payout_holds_a_number_or_a_name_of_its_own(db: None) -> None:
    """Who is paid is said once, by the account; a second place could say something else."""
    columns = {field.name for field in Payout._meta.get_fields()}
    assert columns & {"holder", "number", "iban", "payee", "phone", "user", "staff", "recipient"} == set()


def test_the_database_refuses_a_payout_to_another_shops_account(payout: Payout, arjun: Person) -> None:
    theirs = other_account(arjun)
    with pytest.raises(IntegrityError, match="payout_to_its_own_shop"), transaction.atomic():
        row(payout, shop=payout.shop_id, account=theirs.id).save(force_insert=True)
    with pytest.raises(IntegrityError, match="payout_to_its_own_shop"), transaction.atomic():
        Payout.objects.filter(id=payout.id).update(account=theirs)
    with pytest.raises(IntegrityError, match="payout_to_its_own_shop"), transaction.atomic():
        Payout.objects.filter(id=payout.id).update(shop=arjun.shop)


def test_the_database_refuses_to_move_an_account_to_another_shop_once_it_was_paid_to(
    payout: Payout, arjun: Person
) -> None:
    with pytest.raises(IntegrityError, match="payout_to_its_own_shop"), transaction.atomic():
        PayoutAccount.objects.filter(id=payout.account_id).update(shop=arjun.shop)


def test_the_database_refuses_an_account_or_a_payee_that_is_no_shop(payout: Payout, mei: Person) -> None:
    helper = hire(mei.shop, "+8613700137000")
    for somebody in (helper.user.id, helper.staff.id, uuid4()):
        with pytest.raises(IntegrityError), transaction.atomic():
            PayoutAccount.objects.filter(id=payout.account_id).update(shop_id=somebody)
            connection.check_constraints()
        with pytest.raises(IntegrityError), transaction.atomic():
            row(payout, shop=payout.shop_id, account=somebody).save(force_insert=True)
            connection.check_constraints()


def test_sql_of_a_superuser_is_refused_as_well(payout: Payout, arjun: Person) -> None:
    theirs = other_account(arjun)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE payments_payout SET account_id = %s", [theirs.id])
