"""Fees: one rounding on whole numbers, tiers, caps and floors, and which contract holds at a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from payments import fees
from payments.fees import Rates, Tier
from payments.models import ProviderAccount
from tests.cast import Person
from tests.till import agree, direct, platform

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MAY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7))

SIX_PER_MILLE = Rates(parts_per_million=6000)
CARD = Rates(parts_per_million=29_000, fixed_amount=30)
BOUNDED = Rates(parts_per_million=10_000, floor_amount=20, cap_amount=500)
TIERED = Rates(
    parts_per_million=10_000,
    fixed_amount=5,
    floor_amount=10,
    tiers=(Tier(1000, 8000), Tier(100_000, 5000, fixed_amount=50)),
)


# --- The arithmetic --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "amount", "expected"),
    [
        (SIX_PER_MILLE, 200, 1),  # 1.2
        (SIX_PER_MILLE, 83, 0),  # 0.498
        (SIX_PER_MILLE, 250, 2),  # 1.5 exactly: half goes up.
        (SIX_PER_MILLE, 249, 1),
        (SIX_PER_MILLE, 1, 0),
        (CARD, 200, 36),  # 5.8 is rounded to 6 before the fixed part is added.
        (CARD, 1, 30),
        (BOUNDED, 1, 20),
        (BOUNDED, 1999, 20),
        (BOUNDED, 2050, 21),
        (BOUNDED, 49_949, 499),
        (BOUNDED, 10_000_000_000, 500),
        (TIERED, 400, 10),  # 4 + 5 is below the floor.
        (TIERED, 999, 15),
        (TIERED, 1000, 10),  # 8 without a fixed part; the floor stays.
        (TIERED, 99_999, 800),
        (TIERED, 100_000, 550),
        (Rates(), 200, 0),
        (Rates(parts_per_million=1_000_000), 200, 200),
    ],
)
def test_the_percentage_part_is_rounded_once_and_half_up(rates: Rates, amount: int, expected: int) -> None:
    assert fees.fee(rates, amount) == expected


@pytest.mark.parametrize("amount", [0, -1, -200])
@pytest.mark.parametrize("rates", [SIX_PER_MILLE, CARD, BOUNDED, TIERED])
def test_nothing_and_money_that_goes_back_cost_nothing(rates: Rates, amount: int) -> None:
    assert fees.fee(rates, amount) == fees.charged(rates, amount) == 0


def test_the_payments_own_amount_chooses_the_tier_of_what_is_left_of_it() -> None:
    assert fees.fee(TIERED, 500) == 10
    assert fees.fee(TIERED, 500, paid=100_000) == 53  # 2.5 is rounded to 3.


def test_we_never_charge_more_than_there_is_and_a_provider_may() -> None:
    assert (fees.fee(CARD, 20), fees.charged(CARD, 20)) == (31, 20)


@given(
    amount=st.integers(-10, 10**10),
    per_million=st.integers(0, 1_000_000),
    fixed=st.integers(0, 10**6),
    floor=st.integers(0, 10**6),
    above=st.none() | st.integers(0, 10**6),
)
def test_it_is_the_exact_fraction_rounded_and_held_within_its_bounds(
    amount: int, per_million: int, fixed: int, floor: int, above: int | None
) -> None:
    cap = None if above is None else floor + above
    rates = Rates(per_million, fixed, floor, cap)
    made = fees.fee(rates, amount)
    if amount <= 0:
        assert made == 0
        return
    exact = Fraction(amount * per_million, 1_000_000) + fixed
    bounded = max(exact, Fraction(floor)) if cap is None else min(max(exact, Fraction(floor)), Fraction(cap))
    assert Fraction(-1, 2) < made - bounded <= Fraction(1, 2)
    assert 0 <= fees.charged(rates, amount) <= amount


@given(amount=st.integers(1, 10**9), more=st.integers(1, 10**6))
def test_without_tiers_more_money_never_costs_less(amount: int, more: int) -> None:
    for rates in (SIX_PER_MILLE, CARD, BOUNDED):
        assert fees.fee(rates, amount + more) >= fees.fee(rates, amount)


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        (Rates(), "nothing"),
        (Rates(fixed_amount=5, cap_amount=0), "nothing"),
        (SIX_PER_MILLE, "0.6 %"),
        (Rates(parts_per_million=29_050, fixed_amount=30), "2.905 % + CN¥0.30"),
        (Rates(fixed_amount=30), "CN¥0.30"),
        (BOUNDED, "1 %, at least CN¥0.20, at most CN¥5.00"),
        (Rates(parts_per_million=1, tiers=(Tier(1000, 0, 7),)), "0.0001 %, from CN¥10.00 on CN¥0.07"),
    ],
)
def test_rates_are_read_aloud(rates: Rates, said: str) -> None:
    assert fees.shown(rates, "CNY") == said


# --- Whose contract, and of when -------------------------------------------------------------------------------------


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return platform()


def test_without_a_contract_nothing_is_expected_and_nothing_charged(account: ProviderAccount, mei: Person) -> None:
    assert fees.cost_terms(account_ids=[account.id]).expected(account.id, "CNY", 200, JUNE) is None
    assert fees.cost_terms(account_ids=[]).expected(uuid4(), "CNY", 200, JUNE) is None
    nothing = fees.charge_terms(shop_ids=[mei.shop.id]).contract(mei.shop.id, "sandbox", "CNY", JUNE)
    assert (nothing.id, fees.charged(nothing.rates, 200)) == (None, 0)


def test_the_newest_version_that_has_begun_is_in_force(account: ProviderAccount) -> None:
    agree(side="cost", since=NEW_YEAR, parts_per_million=10_000, now=NEW_YEAR)
    agree(side="cost", since=JUNE, parts_per_million=20_000, tolerance=2, now=MAY)
    terms = fees.cost_terms(account_ids=[account.id])
    for at, expected in [
        (NEW_YEAR - timedelta(microseconds=1), None),
        (NEW_YEAR, (2, 0)),
        (JUNE - timedelta(microseconds=1), (2, 0)),
        (JUNE, (4, 2)),
        (JULY, (4, 2)),
    ]:
        assert terms.expected(account.id, "CNY", 200, at) == expected
    assert terms.expected(account.id, "USD", 200, JULY) is None
    assert terms.expected(account.id, "CNY", -200, JULY) == (0, 2)


def test_an_announced_version_is_replaced_by_a_newer_one_before_it_begins(account: ProviderAccount) -> None:
    agree(side="cost", since=NEW_YEAR, parts_per_million=10_000, now=NEW_YEAR)
    agree(side="cost", since=JUNE, parts_per_million=500_000, now=NEW_YEAR)
    agree(side="cost", since=JUNE, parts_per_million=20_000, now=MAY)
    assert fees.cost_terms(account_ids=[account.id]).expected(account.id, "CNY", 200, JUNE) == (4, 0)


def test_an_accounts_own_contract_goes_before_the_one_of_all_from_when_it_begins(
    account: ProviderAccount, mei: Person
) -> None:
    other = direct(mei.shop)
    agree(side="cost", since=NEW_YEAR, parts_per_million=10_000, now=NEW_YEAR)
    agree(side="cost", since=MAY, account=other, parts_per_million=30_000, now=NEW_YEAR)
    agree(side="cost", since=JUNE, parts_per_million=20_000, now=MAY)
    terms = fees.cost_terms(account_ids=[account.id, other.id])
    moments = (NEW_YEAR, MAY, JUNE)
    assert [terms.expected(account.id, "CNY", 200, at) for at in moments] == [(2, 0), (2, 0), (4, 0)]
    assert [terms.expected(other.id, "CNY", 200, at) for at in moments] == [(2, 0), (6, 0), (6, 0)]


def test_a_shops_own_contract_is_hers_alone(account: ProviderAccount, mei: Person, arjun: Person) -> None:
    agree(parts_per_million=10_000)
    agree(shop=mei.shop, parts_per_million=5000)
    terms = fees.charge_terms(shop_ids=[mei.shop.id, arjun.shop.id])
    rates = [terms.contract(who.shop.id, "sandbox", "CNY", JUNE).rates.parts_per_million for who in (mei, arjun)]
    assert rates == [5000, 10_000]
    assert terms.contract(arjun.shop.id, "stripe", "CNY", JUNE).id is None


def test_terms_are_one_question_however_many_they_are_of(
    account: ProviderAccount, mei: Person, arjun: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    both = [account.id, direct(mei.shop).id]
    for month in (MAY, JUNE, JULY):
        agree(side="cost", since=month, parts_per_million=1000, now=NEW_YEAR)
        agree(since=month, parts_per_million=1000, now=NEW_YEAR)
    with django_assert_num_queries(1):
        assert fees.cost_terms(account_ids=both).expected(both[1], "CNY", 1000, JULY) == (1, 0)
    with django_assert_num_queries(1):
        fees.charge_terms(shop_ids=[mei.shop.id, arjun.shop.id])


def test_a_shop_is_offered_what_holds_now_and_what_was_announced(account: ProviderAccount, mei: Person) -> None:
    own = direct(mei.shop)
    agree(since=NEW_YEAR, parts_per_million=6000, now=NEW_YEAR)
    agree(since=JULY, parts_per_million=8000, now=MAY)
    agree(since=JUNE, currency="INR", parts_per_million=9000, now=MAY)
    held, paid_directly = fees.offers(shop=mei.shop, accounts=[account, own], now=MAY)
    assert held.contract.rates == Rates(6000)
    assert held.next is not None
    assert (held.next.rates, held.next.valid_from) == (Rates(8000), JULY)
    assert (paid_directly.contract.rates, paid_directly.next) == (Rates(), None)
    assert fees.offers(shop=mei.shop, accounts=[account], now=JULY)[0].next is None
