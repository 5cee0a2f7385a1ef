"""The book: a movement is booked once, balances follow, any moment can be asked for, and nothing is ever changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from merchants import ids
from merchants.models import Shop
from payments import books, ledger
from payments.chart import Movement, Place
from payments.ledger import Balance
from payments.models import Account, AccountBalance, BalanceSnapshot, LedgerEntry, ProviderAccount
from tests.cast import Person
from tests.races.together import together
from tests.till import direct, platform, posted

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SUSPENSE = Place("suspense")


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return platform()


def pending(shop: Shop) -> Place:
    return Place("shop_pending", "held", shop.id)


def available(shop: Shop, funds: str = "held") -> Place:
    return Place("shop_available", funds, shop.id)


def receivable() -> Place:
    return Place("provider_receivable", "held", None, platform().id)


def movement(shop: Shop, amount: int, *, key: str = "", debit: Place | None = None, **changes: Any) -> Movement:
    """A payment of the shop, unless told otherwise."""
    terms: dict[str, Any] = {
        "key": key or f"test|{uuid4().hex}",
        "kind": "paid",
        "debit": debit or receivable(),
        "credit": pending(shop),
        "amount": amount,
        "currency": "CNY",
        "occurred_at": NOON,
        "shop_id": shop.id,
    }
    return Movement(**terms | changes)


def post(*movements: Movement, now: datetime = NOON) -> set[str]:
    return posted(movements, now=now)


def numbers(balance: Balance) -> tuple[int, int, int, int]:
    return balance.available, balance.pending, balance.total, balance.direct


# --- Posting ---------------------------------------------------------------------------------------------------------


def test_a_movement_debits_one_account_and_credits_another(account: ProviderAccount, mei: Person) -> None:
    assert post(movement(mei.shop, 200, key="paid|1")) == {"paid|1"}

    entry = LedgerEntry.objects.select_related("debit", "credit").get()
    assert (entry.kind, entry.amount, entry.currency, entry.shop) == ("paid", 200, "CNY", mei.shop)
    assert (entry.debit.kind, entry.debit.provider_account, entry.debit.shop) == ("provider_receivable", account, None)
    assert (entry.credit.kind, entry.credit.funds, entry.credit.shop) == ("shop_pending", "held", mei.shop)
    assert (entry.occurred_at, entry.recorded_at) == (NOON, NOON)
    assert ledger.total_of(receivable(), "CNY") == -200
    assert ledger.total_of(pending(mei.shop), "CNY") == 200


def test_posting_twice_posts_once(account: ProviderAccount, mei: Person) -> None:
    first = movement(mei.shop, 200, key="paid|1")
    assert post(first) == {"paid|1"}
    assert post(first, now=NOON + timedelta(days=1)) == set()
    assert post(first, movement(mei.shop, 50, key="paid|2")) == {"paid|2"}
    assert LedgerEntry.objects.count() == 2
    assert ledger.total_of(pending(mei.shop), "CNY") == 250


def test_the_same_movement_twice_in_one_batch_is_booked_once(account: ProviderAccount, mei: Person) -> None:
    twin = movement(mei.shop, 200, key="paid|1")
    assert post(twin, twin) == {"paid|1"}
    assert LedgerEntry.objects.count() == 1
    assert ledger.total_of(pending(mei.shop), "CNY") == 200


def test_the_first_of_two_stories_under_one_key_stays(account: ProviderAccount, mei: Person) -> None:
    post(movement(mei.shop, 200, key="paid|1"))
    assert post(movement(mei.shop, 9000, key="paid|1")) == set()
    assert LedgerEntry.objects.get().amount == 200
    assert ledger.total_of(pending(mei.shop), "CNY") == 200


def test_currencies_never_meet_in_one_account(account: ProviderAccount, mei: Person) -> None:
    post(movement(mei.shop, 200), movement(mei.shop, 300, currency="USD"), movement(mei.shop, 5, currency="JPY"))
    totals = {code: ledger.total_of(pending(mei.shop), code) for code in ("CNY", "USD", "JPY", "KWD")}
    assert totals == {"CNY": 200, "USD": 300, "JPY": 5, "KWD": 0}
    assert Account.objects.filter(kind="shop_pending").count() == 3


def test_a_batch_of_nothing_is_nothing(db: None) -> None:
    assert post() == set()


def test_money_is_only_booked_inside_a_transaction(real_db: None, mei: Person) -> None:
    with pytest.raises(AssertionError, match="transaction"):
        ledger.post([movement(mei.shop, 200)], now=NOON)
    assert LedgerEntry.objects.count() == 0


def test_a_whole_batch_costs_the_same_number_of_statements_as_one_movement(
    account: ProviderAccount, mei: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    post(movement(mei.shop, 1))
    batch = [movement(mei.shop, amount) for amount in range(1, 201)]
    with transaction.atomic(), django_assert_num_queries(2):
        ledger.post(batch, now=NOON)
    assert ledger.total_of(pending(mei.shop), "CNY") == 1 + sum(range(1, 201))


@pytest.mark.parametrize("amount", [0, -1, -200])
def test_the_database_refuses_an_amount_that_is_not_above_zero(
    account: ProviderAccount, mei: Person, amount: int
) -> None:
    with pytest.raises(IntegrityError, match="ledger_entry_amount_positive"):
        post(movement(mei.shop, amount))
    assert LedgerEntry.objects.count() == AccountBalance.objects.count() == 0


def test_the_database_refuses_a_movement_from_an_account_to_itself(account: ProviderAccount, mei: Person) -> None:
    with pytest.raises(IntegrityError, match="ledger_entry_two_accounts"):
        post(movement(mei.shop, 200, debit=pending(mei.shop)))
    assert LedgerEntry.objects.count() == AccountBalance.objects.count() == 0


def test_the_database_refuses_an_amount_beyond_its_numbers(account: ProviderAccount, mei: Person) -> None:
    with pytest.raises(DataError):
        post(movement(mei.shop, 2**63))
    assert LedgerEntry.objects.count() == 0


def insert(debit: int, credit: int, currency: str) -> None:
    """An entry as a mistaken program would write it, past all our code."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_ledgerentry (id, key, kind, debit_id, credit_id, amount, currency, occurred_at,"
            " recorded_at) VALUES (%s, 'wild', 'paid', %s, %s, 5, %s, now(), now())",
            [uuid4(), debit, credit, currency],
        )


def test_the_database_refuses_an_entry_whose_account_does_not_exist(account: ProviderAccount, mei: Person) -> None:
    post(movement(mei.shop, 200))
    entry = LedgerEntry.objects.get()
    for debit, credit in ((entry.debit_id, 987_654), (987_654, entry.credit_id), (987_654, 987_655)):
        with pytest.raises(IntegrityError, match="does not exist or has another currency"):
            insert(debit, credit, "CNY")
    assert LedgerEntry.objects.count() == 1


def test_the_database_refuses_an_entry_in_another_currency_than_its_accounts(
    account: ProviderAccount, mei: Person
) -> None:
    post(movement(mei.shop, 200), movement(mei.shop, 200, currency="USD"))
    yuan, dollars = LedgerEntry.objects.get(currency="CNY"), LedgerEntry.objects.get(currency="USD")
    for debit, credit, currency in (
        (yuan.debit_id, dollars.credit_id, "CNY"),
        (dollars.debit_id, yuan.credit_id, "CNY"),
        (yuan.debit_id, yuan.credit_id, "USD"),
    ):
        with pytest.raises(IntegrityError, match="does not exist or has another currency"):
            insert(debit, credit, currency)
    assert LedgerEntry.objects.count() == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_ledgerentry SET amount = 1",
        "UPDATE payments_ledgerentry SET occurred_at = now() WHERE amount = 200",
        "DELETE FROM payments_ledgerentry",
        "TRUNCATE payments_ledgerentry",
        "TRUNCATE payments_ledgerentry CASCADE",
        """INSERT INTO payments_ledgerentry OVERRIDING SYSTEM VALUE SELECT * FROM payments_ledgerentry
               ON CONFLICT (id) DO UPDATE SET amount = 9""",
        "UPDATE payments_balancesnapshot SET credits = 0",
        "DELETE FROM payments_balancesnapshot",
    ],
)
def test_the_database_refuses_to_change_what_was_booked(account: ProviderAccount, mei: Person, statement: str) -> None:
    post(movement(mei.shop, 200))
    ledger.take_snapshots(moment=NOON + timedelta(seconds=1))
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert LedgerEntry.objects.get().amount == 200
    assert sorted(BalanceSnapshot.objects.values_list("debits", "credits")) == [(0, 200), (200, 0)]


def test_django_cannot_change_an_entry_either(account: ProviderAccount, mei: Person) -> None:
    post(movement(mei.shop, 200))
    entry = LedgerEntry.objects.get()
    entry.amount = 1
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        entry.save()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        entry.delete()
    assert LedgerEntry.objects.get().amount == 200


# --- Balances --------------------------------------------------------------------------------------------------------


def test_a_shop_without_entries_has_nothing(mei: Person) -> None:
    empty = ledger.balance(shop=mei.shop)
    assert (numbers(empty), empty.currency) == ((0, 0, 0, 0), "CNY")
    assert numbers(ledger.balance(shop=mei.shop, at=NOON)) == (0, 0, 0, 0)


def test_held_and_direct_money_stand_apart_and_add_up(account: ProviderAccount, mei: Person) -> None:
    own = direct(mei.shop)
    settled = Place("settled_direct", "direct", mei.shop.id, own.id)
    post(
        movement(mei.shop, 1000),
        movement(mei.shop, 400, debit=pending(mei.shop), credit=available(mei.shop), kind="due"),
        movement(mei.shop, 70, debit=settled, credit=available(mei.shop, "direct")),
    )
    assert numbers(ledger.balance(shop=mei.shop)) == (470, 600, 1070, 70)


def test_another_shops_money_and_another_currency_are_not_hers(
    account: ProviderAccount, mei: Person, arjun: Person
) -> None:
    post(movement(arjun.shop, 500, currency="INR"), movement(mei.shop, 300, currency="USD"), movement(mei.shop, 20))
    assert numbers(ledger.balance(shop=mei.shop)) == (0, 20, 20, 0)
    assert numbers(ledger.balance(shop=arjun.shop)) == (0, 500, 500, 0)
    assert ledger.balance(shop=arjun.shop).currency == "INR"


def test_what_was_given_back_beyond_what_came_is_shown_as_a_debt(account: ProviderAccount, mei: Person) -> None:
    post(movement(mei.shop, 200, debit=pending(mei.shop), credit=receivable(), kind="refund_reported"))
    assert numbers(ledger.balance(shop=mei.shop)) == (0, -200, -200, 0)


def test_the_balance_costs_the_same_whatever_it_is_of(
    account: ProviderAccount, mei: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    post(*(movement(mei.shop, 1) for _ in range(100)))
    with django_assert_num_queries(1):
        assert ledger.balance(shop=mei.shop).pending == 100


@pytest.mark.parametrize("at", [None, NOON + timedelta(days=9)])
def test_money_that_turns_available_while_the_balance_is_read_is_shown_once(
    real_db: None, mei: Person, at: datetime | None
) -> None:
    platform()
    post(movement(mei.shop, 100))
    turns = movement(mei.shop, 100, debit=pending(mei.shop), credit=available(mei.shop), kind="due")

    def between_any_two_statements(execute: Callable[..., Any], *asked: Any) -> Any:
        answer = execute(*asked)
        together([lambda: post(turns)])
        return answer

    with connection.execute_wrapper(between_any_two_statements):
        assert ledger.balance(shop=mei.shop, at=at).total == 100
    assert numbers(ledger.balance(shop=mei.shop, at=at)) == (100, 0, 100, 0)


# --- At a moment -----------------------------------------------------------------------------------------------------


def played(shop: Shop, *, days: int) -> dict[datetime, tuple[int, int, int, int]]:
    """Some days of trade; for every moment of it, what the balance said right then."""
    dice = random.Random(20261122)
    own = direct(shop)
    settled = Place("settled_direct", "direct", shop.id, own.id)
    said: dict[datetime, tuple[int, int, int, int]] = {}
    moment = NOON
    while moment < NOON + timedelta(days=days):
        kinds = [
            movement(shop, dice.randint(1, 999)),
            movement(shop, dice.randint(1, 99), debit=pending(shop), credit=available(shop), kind="due"),
            movement(shop, dice.randint(1, 99), debit=settled, credit=available(shop, "direct")),
            movement(shop, dice.randint(1, 99), debit=available(shop), credit=receivable(), kind="refund_reported"),
        ]
        post(*dice.sample(kinds, dice.randint(1, 4)), now=moment)
        said[moment] = numbers(ledger.balance(shop=shop))
        moment += timedelta(milliseconds=dice.choice([1, 2, 1000, 3_600_000, 20_000_000]))
    return said


def midnights(days: int) -> list[datetime]:
    return [datetime(2026, 11, 23, tzinfo=UTC) + timedelta(days=day) for day in range(days)]


def test_the_balance_of_a_moment_is_what_was_said_then_with_and_without_snapshots(
    account: ProviderAccount, mei: Person
) -> None:
    said = played(mei.shop, days=3)
    assert len(said) > 20

    def assert_all_as_said() -> None:
        for moment, balance in said.items():
            assert numbers(ledger.balance(shop=mei.shop, at=moment)) == balance, moment

    assert_all_as_said()
    for midnight in midnights(2):
        ledger.take_snapshots(moment=midnight)
        assert_all_as_said()
    assert numbers(ledger.balance(shop=mei.shop, at=NOON - timedelta(milliseconds=1))) == (0, 0, 0, 0)
    assert numbers(ledger.balance(shop=mei.shop, at=NOON + timedelta(days=99))) == numbers(
        ledger.balance(shop=mei.shop)
    )


def test_between_two_entries_the_earlier_one_counts(account: ProviderAccount, mei: Person) -> None:
    post(movement(mei.shop, 200), now=NOON)
    post(movement(mei.shop, 50), now=NOON + timedelta(seconds=2))
    for seconds, total in ((-1, 0), (0, 200), (1, 200), (1.999, 200), (2, 250), (3, 250)):
        assert ledger.balance(shop=mei.shop, at=NOON + timedelta(seconds=seconds)).pending == total, seconds


def test_entries_of_one_millisecond_belong_to_its_end_together(account: ProviderAccount, mei: Person) -> None:
    """Ids carry milliseconds: "at" is the end of its millisecond, whatever stands behind it."""
    for micros, amount in ((0, 1), (1, 2), (500, 4), (999, 8), (1000, 16)):
        post(movement(mei.shop, amount), now=NOON + timedelta(microseconds=micros))
    assert ledger.balance(shop=mei.shop, at=NOON).pending == 15
    assert ledger.balance(shop=mei.shop, at=NOON + timedelta(microseconds=999)).pending == 15
    assert ledger.balance(shop=mei.shop, at=NOON + timedelta(milliseconds=1)).pending == 31
    assert ledger.balance(shop=mei.shop, at=NOON - timedelta(microseconds=1)).pending == 0


@pytest.mark.parametrize("millisecond", [1, 123, 124, 501, 999])
def test_no_millisecond_is_lost_to_rounding(account: ProviderAccount, mei: Person, millisecond: int) -> None:
    moment = NOON + timedelta(milliseconds=millisecond)
    post(movement(mei.shop, 200), now=moment + timedelta(microseconds=999))
    assert ledger.balance(shop=mei.shop, at=moment).pending == 200
    assert ledger.balance(shop=mei.shop, at=moment - timedelta(milliseconds=1)).pending == 0


def test_an_entry_on_the_stroke_of_the_snapshot_is_counted_once(account: ProviderAccount, mei: Person) -> None:
    midnight = midnights(1)[0]
    for offset in (-1, 0, 1):
        post(movement(mei.shop, 10 ** (offset + 1)), now=midnight + timedelta(milliseconds=offset))
    ledger.take_snapshots(moment=midnight)
    told = [ledger.balance(shop=mei.shop, at=midnight + timedelta(milliseconds=ms)).pending for ms in (-2, -1, 0, 1)]
    assert told == [0, 1, 11, 111]


def test_snapshots_are_taken_once_for_every_account_that_moved(
    account: ProviderAccount, mei: Person, arjun: Person
) -> None:
    first, second, third = midnights(3)
    post(movement(mei.shop, 200), now=first - timedelta(hours=1))
    assert ledger.take_snapshots(moment=first) == 2
    assert ledger.take_snapshots(moment=first) == 0
    post(movement(arjun.shop, 500, currency="INR"), now=second - timedelta(hours=1))
    assert ledger.take_snapshots(moment=second) == 2  # Mei's did not move, so nothing new is kept of them.
    assert ledger.take_snapshots(moment=third) == 0
    assert BalanceSnapshot.objects.count() == 4
    post(movement(mei.shop, 1), now=third + timedelta(hours=1))
    assert ledger.balance(shop=mei.shop, at=third + timedelta(hours=2)).pending == 201
    assert ledger.balance(shop=mei.shop, at=second).pending == 200


def test_a_day_that_was_missed_is_in_the_next_snapshot(account: ProviderAccount, mei: Person) -> None:
    first, second, third = midnights(3)
    for midnight, amount in ((first, 1), (second, 2), (third, 4)):
        post(movement(mei.shop, amount), now=midnight - timedelta(hours=1))
    ledger.take_snapshots(moment=first)
    ledger.take_snapshots(moment=third)
    hers = BalanceSnapshot.objects.filter(account__kind="shop_pending").order_by("moment")
    assert list(hers.values_list("moment", "debits", "credits")) == [(first, 0, 1), (third, 0, 7)]
    assert ledger.balance(shop=mei.shop, at=second).pending == 3


def test_a_busy_hour_has_snapshots_of_its_shop_alone(
    account: ProviderAccount, mei: Person, arjun: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BUSY", 3)
    midnight, hour = midnights(1)[0], timedelta(hours=1)
    post(movement(mei.shop, 1), movement(arjun.shop, 1, currency="INR"), now=midnight - hour)
    ledger.take_snapshots(moment=midnight)
    post(movement(mei.shop, 10, debit=SUSPENSE), now=midnight + hour)
    for _ in range(2):
        post(movement(mei.shop, 100), movement(arjun.shop, 7, currency="INR"), now=midnight + 2 * hour)
    post(movement(mei.shop, 100), now=midnight + 2 * hour)
    post(movement(mei.shop, 1000), now=midnight + 4 * hour)
    at = midnight + 3 * hour
    before = {moment: ledger.balance(shop=mei.shop, at=moment) for moment in (at - hour, at, at + hour, at + 3 * hour)}
    assert [told.pending for told in before.values()] == [311, 311, 1311, 1311]
    assert [ledger.take_snapshots_of_busy(moment=at) for _ in range(2)] == [1, 0]
    kept = BalanceSnapshot.objects.get(whole=False)
    assert (kept.account.shop, kept.account.kind, kept.moment, kept.credits) == (mei.shop, "shop_pending", at, 311)
    assert {moment: ledger.balance(shop=mei.shop, at=moment) for moment in before} == before
    assert ledger.balance(shop=arjun.shop, at=at).pending == 15
    assert ledger.take_snapshots(moment=midnight + 24 * hour) == 5  # Both shops, the provider twice, and suspense.
    assert ledger.balance(shop=mei.shop, at=midnight + 30 * hour).pending == 1311
    assert "a snapshot is the sum of the entries before its moment" not in {breach.law for breach in books.breaches()}


def test_ids_of_entries_ascend_with_the_time_they_were_recorded(account: ProviderAccount, mei: Person) -> None:
    for second in (0, 1, 2):
        post(movement(mei.shop, 1), movement(mei.shop, 2), now=NOON + timedelta(seconds=second))
    entries = list(LedgerEntry.objects.order_by("id").values_list("recorded_at", flat=True))
    assert entries == sorted(entries)
    assert UUID(int=0) < ids.first_of(NOON) <= LedgerEntry.objects.order_by("id")[0].id
