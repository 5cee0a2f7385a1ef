"""The laws of the book, asked of the database: each is seen to be broken, is named with its row, and holds again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from merchants import items
from merchants.models import Item, User
from payments import books, ledger, reconcile, refunds, remedies
from payments.models import Discrepancy, Match, Payment, Refund
from payments.payouts import outcomes
from payments.payouts.endings import Word
from payments.settlement import undoing
from tests.bank_day import bank_says, credit, look, settled
from tests.cast import MEI_PHONE, Person, open_shop
from tests.evening import look as look_at_lines
from tests.evening import stated, told
from tests.operators import OPERATOR_PHONE
from tests.payday import earn, monday, our_bank, proved, released, terms
from tests.till import agree, direct, disputed, drain, expect, make_due, paid, platform, refund_told

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
    ("an hour's sums are those of its payments", "UPDATE payments_hourrollup SET amount = amount + 1"),
    ("an hour's sums are those of its payments", "DELETE FROM payments_hourrollup"),
    (
        "an hour's starts are those of its intents",
        """INSERT INTO payments_startrollup (hour, provider_account_id, starts, failed)
           SELECT date_trunc('hour', created_at, 'UTC'), provider_account_id, 900, 0
             FROM payments_paymentintent LIMIT 1""",
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
        "a payment's fee is what was booked as its fee",
        "UPDATE payments_payment SET fee_amount = fee_amount + 1 WHERE fee_amount > 0",
    ),
    ("a payment's fee is what was booked as its fee", "DELETE FROM payments_ledgerentry WHERE kind = 'fee'"),
    (
        "a payment's fee is what was booked as its fee",
        "UPDATE payments_ledgerentry SET payment_id = NULL WHERE kind = 'fee'",
    ),
    (
        "a fee is charged on what became available, and never more",
        "UPDATE payments_payment SET fee_amount = amount + 1 WHERE fee_amount > 0",
    ),
    (
        "a fee is charged on what became available, and never more",
        "UPDATE payments_payment SET due_at = recorded_at WHERE fee_amount > 0",
    ),
    (
        "a payment waits to be released exactly while it has a day for it",
        "DELETE FROM payments_pendingrelease",
    ),
    (
        "a payment waits to be released exactly while it has a day for it",
        (
            "INSERT INTO payments_pendingrelease (payment_id, shop_id, due_at)"
            " SELECT id, shop_id, recorded_at FROM payments_payment WHERE due_at IS NULL AND placed"
        ),
    ),
    (
        "only an intent that is open waits to be closed, each asked by the account it was started with",
        (
            "INSERT INTO payments_intenttimer (intent_id, provider_account_id, next_close_at)"
            " SELECT id, provider_account_id, created_at FROM payments_paymentintent WHERE state = 'paid'"
        ),
    ),
    (
        "what is in flight to shops is what their payouts say",
        "UPDATE payments_payout SET amount = amount + 1 WHERE state = 'sent'",
    ),
    ("what is in flight to shops is what their payouts say", "UPDATE payments_payout SET state = 'sent'"),
    (
        "a payout's entries are what its state says",
        "UPDATE payments_payout SET state = 'returned' WHERE state = 'paid'",
    ),
    ("a payout's entries are what its state says", "UPDATE payments_payout SET state = 'paid' WHERE state = 'failed'"),
    (
        "a payout's entries are what its state says",
        "DELETE FROM payments_ledgerentry WHERE kind = 'payout_failed'",
    ),
    (
        "every entry of a payout has its payout, of its own shop",
        "UPDATE payments_ledgerentry SET cause_id = gen_random_uuid() WHERE kind = 'payout_paid'",
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
    (
        "a settlement's arrived amount is what its matches say and what was posted",
        "UPDATE payments_settlement SET arrived_amount = arrived_amount + 1",
    ),
    (
        "a settlement's arrived amount is what its matches say and what was posted",
        "UPDATE payments_match SET undone_at = now() WHERE rule = 'settlement_id'",
    ),
    (
        "a settlement's arrived amount is what its matches say and what was posted",
        "UPDATE payments_settlementmatch SET amount = amount - 1",
    ),
    (
        "a settlement's arrived amount is what its matches say and what was posted",
        "UPDATE payments_ledgerentry SET amount = amount + 1 WHERE kind = 'settled'",
    ),
    (
        "an adjustment is posted once, and above the limit by two",
        "UPDATE payments_adjustment SET state = 'refused' WHERE NOT four_eyes",
    ),
    (
        "an adjustment is posted once, and above the limit by two",
        (
            "ALTER TABLE payments_adjustment DROP CONSTRAINT adjustment_four_eyes;"
            " UPDATE payments_adjustment SET four_eyes = true WHERE state = 'posted'"
        ),
    ),
    (
        "an adjustment is posted once, and above the limit by two",
        "UPDATE payments_adjustment SET decided_by_id = NULL WHERE NOT four_eyes",
    ),
    (
        "an adjustment is posted once, and above the limit by two",
        "UPDATE payments_ledgerentry SET amount = amount + 1 WHERE kind = 'adjusted'",
    ),
    (
        "an adjusting entry was posted for an adjustment of its amount",
        "UPDATE payments_ledgerentry SET cause_id = NULL WHERE kind = 'adjusted'",
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
        "a line names a match that holds, and a provider's does when it is called matched",
        "UPDATE payments_match SET undone_at = now() WHERE undone_at IS NULL",
    ),
    (
        "a line names a match that holds, and a provider's does when it is called matched",
        "UPDATE payments_statementline SET outcome = 'matched' WHERE outcome = 'undone'",
    ),
    (
        "the entries of an undone match come to nothing",
        "DELETE FROM payments_ledgerentry WHERE kind = 'reversed'",
    ),
    ("a key was claimed by the entry that has it", "DELETE FROM payments_entrykey WHERE key LIKE 'paid|%'"),
    ("a key was claimed by the entry that has it", "UPDATE payments_entrykey SET entry_id = gen_random_uuid()"),
    ("the triggers that keep the book are in place", "DROP TRIGGER entries_fit ON payments_ledgerentry"),
    ("the triggers that keep the book are in place", "DROP TRIGGER append_only_whole ON payments_ledgerentry"),
]


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written meanwhile was never there, not even what is durable, as in Django's own TestCase."""
    around = transaction.atomic()
    around._from_testcase = True  # type: ignore[attr-defined]
    with around:
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def traded(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """One day for all tests: to play it takes longer than to break it."""
    with django_db_blocker.unblock(), undone():
        mei = open_shop(MEI_PHONE, "Mei's fruit")
        a_day(mei, items.create(shop=mei.shop, name="Apples", amount=200, unit="pile", photo=None, now=timezone.now()))
        yield


@pytest.fixture
def trade(traded: None) -> Iterator[None]:
    """That day, as it was played: what the test breaks is whole again afterwards."""
    with undone():
        yield


def a_day(mei: Person, apples: Item) -> None:
    """Something of everything: exact, short, late, in suspense, direct, refunds of every end, released less our fee.
    Two of its lines were matched, and the match of one was undone.
    """
    platform()
    agree(parts_per_million=6000)
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
    make_due(timezone.now(), third)
    drain()
    assert reconcile.release_due(now=timezone.now() + timedelta(seconds=1), limit=10) == 1
    pay_out(mei)
    direct(mei.shop)
    paid(expect(code)).deliver()
    expect(code)
    drain()
    stated(told(second, fee=2), told(third, fee=2))
    look_at_lines()
    match = Match.objects.get(payment=third)
    undoing.undo(match_id=match.id, operator=mei.user, reason="wrong", now=timezone.now())
    evening()


def evening() -> None:
    """What the bank says: of 1,000 it got 995, and 3 are written off; 60,000 of nobody want two people to keep them."""
    wei, now = User.objects.create_user(OPERATOR_PHONE, is_staff=True), timezone.now()
    settled("stl_0001", 1_000, now=now)
    bank_says(credit(995, "stl_0001"), credit(60_000), now=now)
    look(now)
    for remedy, amount in (("accept_settlement", 3), ("keep", None)):
        question = Discrepancy.objects.get(reason__in=REASONS[remedy])
        remedies.propose(
            discrepancy_id=question.id, remedy=remedy, amount=amount, note="", operator=wei, now=timezone.now()
        )


REASONS = {"accept_settlement": ["settlement_differs"], "keep": ["unknown_credit"]}


def pay_out(mei: Person) -> None:
    """Two days later: one payout that is on its way, one that was paid, and one that failed."""
    make_due(monday(days=60), *Payment.objects.filter(due_at__isnull=False))  # What is pending stays so.
    terms()
    our_bank()
    proved(mei, now=monday(9))
    ends: list[Word | None] = ["paid", "failed", None]
    for day, word in enumerate(ends):
        earn(mei, 100, at=monday(12, days=day))
        payout, noon = released(monday(1, days=day + 1)), monday(2, days=day + 1)
        if word:
            outcomes.end(payout_id=payout.id, word=word, at=noon, now=noon)
            Discrepancy.objects.filter(payout=payout).update(state="resolved", resolved_at=noon)


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
    assert not Payment.objects.exists()
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
