"""The laws of the book, asked of the database: each is seen to be broken, is named with its row, and holds again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from merchants.models import Item
from payments import books, ledger, reconcile, refunds
from payments.models import Match, Payment, Refund
from payments.settlement import undoing
from tests.cast import Person
from tests.evening import look, stated, told
from tests.till import direct, disputed, drain, expect, paid, platform, refund_told

ONE = "(SELECT id FROM {} WHERE {} ORDER BY id LIMIT 1)"
EXACT = ONE.format("payments_payment", "match = 'exact'")
PENDING = "(SELECT id FROM payments_account WHERE kind = 'shop_pending' ORDER BY id LIMIT 1)"
PAID_ENTRY = ONE.format("payments_ledgerentry", "kind = 'paid'")

# What breaks each law: statements that no code of ours could have run, because triggers and types stand in their way.
BREAKS: list[tuple[str, str]] = [
    (
        "an account's balance is the sum of its entries",
        f"UPDATE payments_accountbalance SET credits = credits + 1 WHERE account_id = {PENDING}",
    ),
    (
        "an account's balance is the sum of its entries",
        f"DELETE FROM payments_accountbalance WHERE account_id = {PENDING}",
    ),
    (
        "a dispute holds what is open and has moved what is lost",
        "UPDATE payments_dispute SET amount = amount + 1",
    ),
    (
        "a snapshot is the sum of the entries before its moment",
        "UPDATE payments_ledgerentry SET recorded_at = recorded_at - interval '1 day' WHERE kind = 'refund_asked'",
    ),
    (
        "a snapshot is the sum of the entries before its moment",
        f"UPDATE payments_balancesnapshot SET credits = credits + 1 WHERE account_id = {PENDING}",
    ),
    (
        "debits equal credits in every currency",
        f"UPDATE payments_accountbalance SET credits = credits + 1 WHERE account_id = {PENDING}",
    ),
    (
        "an entry's accounts exist and carry its currency",
        f"UPDATE payments_ledgerentry SET currency = 'USD' WHERE id = {PAID_ENTRY}",
    ),
    (
        "an entry's accounts exist and carry its currency",
        f"UPDATE payments_ledgerentry SET debit_id = 987654 WHERE id = {PAID_ENTRY}",
    ),
    ("every payment is posted once, with its own amount", f"DELETE FROM payments_ledgerentry WHERE id = {PAID_ENTRY}"),
    (
        "every payment is posted once, with its own amount",
        f"UPDATE payments_ledgerentry SET amount = amount + 1 WHERE id = {PAID_ENTRY}",
    ),
    (
        "every payment is posted once, with its own amount",
        (
            "INSERT INTO payments_ledgerentry (id, key, kind, debit_id, credit_id, amount, currency, shop_id,"
            " payment_id, occurred_at, recorded_at) SELECT gen_random_uuid(), 'twice', kind, debit_id, credit_id,"
            " amount, currency, shop_id, payment_id, occurred_at, recorded_at"
            f" FROM payments_ledgerentry WHERE id = {PAID_ENTRY}"
        ),
    ),
    ("every posted payment is a payment", f"DELETE FROM payments_payment WHERE id = {EXACT}"),
    (
        "every posted payment is a payment",
        f"UPDATE payments_ledgerentry SET payment_id = NULL WHERE id = {PAID_ENTRY}",
    ),
    (
        "a refund's entries are what its state says",
        "UPDATE payments_refund SET state = 'failed' WHERE state = 'succeeded'",
    ),
    (
        "a refund's entries are what its state says",
        "UPDATE payments_refund SET amount = amount + 1 WHERE state = 'requested'",
    ),
    (
        "a refund's entries are what its state says",
        "UPDATE payments_refund SET state = 'requested' WHERE state = 'failed'",
    ),
    (
        "what went back or is contested beyond what was received has raised a question",
        "UPDATE payments_refund SET amount = 201 WHERE state = 'succeeded'",
    ),
    (
        "what went back or is contested beyond what was received has raised a question",
        (
            "INSERT INTO payments_dispute (id, payment_id, shop_id, object_id, amount, currency, state,"
            " pending_amount, told_at, opened_at)"
            " SELECT gen_random_uuid(), payment_id, shop_id, 'wdp_1', 200, currency, 'lost', 0, created_at, created_at"
            " FROM payments_refund WHERE state = 'succeeded'"
        ),
    ),
    (
        "a dispute holds what is open and has moved what is lost",
        (
            "INSERT INTO payments_dispute (id, payment_id, shop_id, object_id, amount, currency, state,"
            " pending_amount, told_at, opened_at)"
            " SELECT gen_random_uuid(), payment_id, shop_id, 'wdp_1', 1, currency, 'open', 0, created_at, created_at"
            " FROM payments_refund WHERE state = 'succeeded'"
        ),
    ),
    (
        "what is pending is what is left of payments that are not due",
        f"UPDATE payments_payment SET due_at = NULL WHERE id = {EXACT}",
    ),
    (
        "what is pending is what is left of payments that are not due",
        "UPDATE payments_refund SET pending_amount = 0 WHERE state = 'succeeded'",
    ),
    (
        "a paid intent has money, and money that was placed for an open intent does not exist",
        "UPDATE payments_paymentintent SET state = 'open' WHERE state = 'paid'",
    ),
    (
        "a paid intent has money, and money that was placed for an open intent does not exist",
        "UPDATE payments_paymentintent SET state = 'paid' WHERE state = 'open'",
    ),
    (
        "a payment that does not fit has raised a question",
        "DELETE FROM payments_discrepancy WHERE reason = 'short'",
    ),
    (
        "a payment that does not fit has raised a question",
        f"UPDATE payments_payment SET match = 'over' WHERE id = {EXACT}",
    ),
    ("every payment of a shop was told once", "DELETE FROM merchants_notice WHERE number = 1"),
    (
        "every payment of a shop was told once",
        (
            "INSERT INTO merchants_notice SELECT gen_random_uuid(), 99, kind, data, about, created_at, shop_id"
            " FROM merchants_notice WHERE number = 1"
        ),
    ),
    ("a shop's notices are numbered without a gap", "UPDATE merchants_notice SET number = 99 WHERE number = 1"),
    (
        "the triggers that keep the book are in place",
        "ALTER TABLE payments_ledgerentry DISABLE TRIGGER append_only",
    ),
    (
        "a match that holds has lines, and books the fee that it says",
        (
            "DELETE FROM payments_ledgerentry WHERE kind = 'provider_fee' AND cause_id IN"
            " (SELECT id FROM payments_match WHERE undone_at IS NULL)"
        ),
    ),
    (
        "a match that holds has lines, and books the fee that it says",
        "UPDATE payments_statementline SET match_id = NULL",
    ),
    (
        "a line of a provider names a match that holds when it is called matched, and only then",
        "UPDATE payments_match SET undone_at = now() WHERE undone_at IS NULL",
    ),
    (
        "a line of a provider names a match that holds when it is called matched, and only then",
        "UPDATE payments_statementline SET outcome = 'matched' WHERE outcome = 'undone'",
    ),
    (
        "the entries of an undone match come to nothing",
        "DELETE FROM payments_ledgerentry WHERE kind = 'reversed'",
    ),
    ("the triggers that keep the book are in place", "DROP TRIGGER entries_fit ON payments_ledgerentry"),
    ("the triggers that keep the book are in place", "DROP TRIGGER append_only_whole ON payments_ledgerentry"),
]


@pytest.fixture
def trade(mei: Person, apples: Item) -> None:
    """A day with something of everything: exact, short, late, in suspense, direct, refunds of every end, released.

    Two of its lines were matched, and the match of one was undone.
    """
    platform()
    code = apples.codes.get()
    for word in (paid(expect(code)), paid(expect(code)), paid(expect(code)), paid(expect(code), amount=150)):
        word.deliver()
    paid(expect(code), currency="USD").deliver()
    paid(reference="nobody", amount=77).deliver()
    drain()
    assert ledger.take_snapshots(moment=Payment.objects.latest("id").recorded_at + timedelta(milliseconds=1)) > 0
    first, second, third = Payment.objects.filter(match="exact").order_by("id").select_related("provider_account")
    refund_told(first, "succeeded", refund=ask(mei, first, 60)).deliver()
    refund_told(first, "failed", refund=ask(mei, first, 30)).deliver()
    ask(mei, second, 40)
    disputed(second, "opened", amount=10).deliver()
    disputed(second, "lost", amount=7, object_id="wdp_2").deliver()
    Payment.objects.filter(id=third.id).update(due_at=timezone.now())
    drain()
    assert reconcile.release_due(now=timezone.now() + timedelta(seconds=1), limit=10) == 1
    direct(mei.shop)
    paid(expect(code)).deliver()
    expect(code)
    drain()
    stated(told(second, fee=2), told(third, fee=2))
    look()
    match = Match.objects.get(payment=third)
    undoing.undo(match_id=match.id, operator=mei.user, reason="wrong", now=timezone.now())


def ask(mei: Person, payment: Payment, amount: int) -> Refund:
    return refunds.request(staff=mei.staff, payment=payment, amount=amount, reason="", now=timezone.now())


@contextmanager
def without_triggers() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # What is deferred must not fire into what we break.
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")


def check() -> tuple[int, str, str]:
    """What `check_books` exits with and says."""
    out, err = StringIO(), StringIO()
    try:
        call_command("check_books", stdout=out, stderr=err, no_color=True)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_an_empty_book_holds_every_law(db: None) -> None:
    status, out, err = check()
    assert (status, err) == (0, "")
    assert out.splitlines() == [f"holds   {law}" for law in books.LAWS]


def test_a_day_of_trade_holds_every_law(trade: None) -> None:
    status, out, err = check()
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == len(books.LAWS)


def test_every_law_is_broken_below() -> None:
    assert {law for law, _ in BREAKS} == set(books.LAWS)


@pytest.mark.parametrize(("law", "statement"), BREAKS)
def test_a_broken_law_is_named_with_the_row_that_breaks_it(trade: None, law: str, statement: str) -> None:
    assert list(books.breaches()) == []
    with without_triggers(), connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.rowcount != 0

    status, out, err = check()

    assert status == 1
    named = [line for line in err.splitlines() if line.startswith(f"BROKEN  {law}: ")]
    assert named, err
    assert isinstance(json.loads(named[0].removeprefix(f"BROKEN  {law}: ")), dict)
    assert out == ""


def test_a_law_that_was_broken_holds_again_once_the_row_is_right(trade: None) -> None:
    statement = f"UPDATE payments_accountbalance SET credits = credits + %s WHERE account_id = {PENDING}"
    with connection.cursor() as cursor:
        cursor.execute(statement, [1])
        assert {breach.law for breach in books.breaches()} >= {"an account's balance is the sum of its entries"}
        cursor.execute(statement, [-1])
    assert list(books.breaches()) == []


def test_no_more_rows_are_shown_than_asked_for(trade: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE payments_accountbalance SET credits = credits + 1")
    law = "an account's balance is the sum of its entries"
    assert len([breach for breach in books.breaches(limit=2) if breach.law == law]) == 2
    assert len([breach for breach in books.breaches() if breach.law == law]) > 2
