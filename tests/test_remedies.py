"""Ending a discrepancy with money: refusals that change nothing, four eyes, and two who end it at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, transaction
from django.utils import timezone

from merchants.audit import UnableToAct
from merchants.models import Item, Notice, OperatorAct, Shop, User
from payments import endings, operating, refunds, remedies
from payments.models import AccountBalance, Adjustment, Discrepancy, LedgerEntry, Payment, Refund
from payments.settlement import totals
from tests.bank_day import bank_says, credit, look, settled
from tests.cast import Person
from tests.operators import CHIEF_PHONE, OPERATOR_PHONE
from tests.races.together import slow_after, together, without_row_locks
from tests.till import assert_books_hold, direct, disputed, drain, expect, paid, platform, total

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def held(database: None) -> None:
    platform()


@pytest.fixture
def wei(database: None) -> User:
    """An operator."""
    return User.objects.create_user(OPERATOR_PHONE, is_staff=True)


@pytest.fixture
def chen(database: None) -> User:
    """Another operator."""
    return User.objects.create_user(CHIEF_PHONE, is_staff=True)


@pytest.fixture
def short(now: datetime, held: None) -> Discrepancy:
    """Of 1,000 the bank got 970."""
    settled("stl_0001", 1_000, now=now)
    bank_says(credit(970, "stl_0001"), now=now)
    look(now)
    return Discrepancy.objects.get(reason="settlement_differs")


@pytest.fixture
def lost(held: None) -> Discrepancy:
    """77 that came with a reference of nobody."""
    paid(reference="nobody", amount=77).deliver()
    drain()
    return Discrepancy.objects.get(reason="unknown_reference")


def propose(question: Discrepancy, remedy: str, operator: User, **more: Any) -> Adjustment:
    return remedies.propose(
        discrepancy_id=question.id, remedy=remedy, note="why", operator=operator, now=timezone.now(), **more
    )


def everything() -> list[object]:
    tables = (LedgerEntry, AccountBalance, Adjustment, Discrepancy, Payment, Refund, Notice, OperatorAct, Shop)
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


def refused(call: Any) -> str:
    """The code of the refusal, which changes nothing."""
    before = everything()
    with pytest.raises(UnableToAct) as refusal:
        call()
    assert everything() == before
    assert refusal.value.detail
    return refusal.value.code


# --- What is possible ------------------------------------------------------------------------------------------------


def test_every_reason_names_remedies_that_exist_and_every_hindrance_has_a_sentence() -> None:
    reasons = {reason for remedy in endings.REMEDIES.values() for reason in remedy.reasons}
    assert reasons <= set(Discrepancy.Reason)
    assert all(endings.WHY_NOT.values())
    assert all(len(name) <= 24 for name in endings.REMEDIES)


def test_the_desk_offers_what_is_possible_and_nothing_else(short: Discrepancy) -> None:
    assert [(remedy.name, most) for remedy, most in remedies.possible(short)] == [("accept_settlement", 30)]


def test_of_a_payment_of_nobody(lost: Discrepancy, wei: User) -> None:
    offered = [(remedy.name, most) for remedy, most in remedies.possible(lost)]
    assert offered == [("place_with_shop", 77), ("return_to_payer", 77), ("keep", 77)]
    operating.resolve(discrepancy_ids=[lost.id], operator=wei, note="found", now=timezone.now())
    lost.refresh_from_db()
    assert remedies.possible(lost) == []


def test_a_remedy_that_does_not_fit_is_refused(short: Discrepancy, wei: User) -> None:
    assert refused(partial(propose, short, "magic", wei)) == "remedy_unknown"
    for unfit in ("accept_fee", "write_off", "keep", "place_with_shop", "correct_shop"):
        assert refused(partial(propose, short, unfit, wei)) == "remedy_unfit"


@pytest.mark.parametrize("amount", [0, -1, 31])
def test_a_part_is_a_part(short: Discrepancy, wei: User, amount: int) -> None:
    assert refused(partial(propose, short, "accept_settlement", wei, amount=amount)) == "amount_wrong"


def test_what_was_resolved_is_not_ended_again(short: Discrepancy, wei: User) -> None:
    propose(short, "accept_settlement", wei)
    assert refused(partial(propose, short, "accept_settlement", wei)) == "resolved_already"


# --- Giving it to a shop ---------------------------------------------------------------------------------------------


def test_only_to_a_shop_that_can_have_it(lost: Discrepancy, wei: User, mei: Person, arjun: Person) -> None:
    assert refused(partial(propose, lost, "place_with_shop", wei)) == "shop_missing"
    assert refused(partial(propose, lost, "place_with_shop", wei, shop_id=arjun.shop.id)) == "shop_currency"
    assert refused(partial(propose, lost, "place_with_shop", wei, shop_id=mei.shop.id, amount=7)) == "amount_whole"
    for state in ("frozen", "closed"):
        Shop.objects.filter(id=mei.shop.id).update(state=state)
        assert refused(partial(propose, lost, "place_with_shop", wei, shop_id=mei.shop.id)) == f"shop_{state}"


def test_not_while_it_is_contested(lost: Discrepancy, wei: User, mei: Person) -> None:
    disputed(Payment.objects.get(), "opened", amount=10).deliver()
    drain()
    for remedy in ("place_with_shop", "keep", "return_to_payer"):
        assert refused(partial(propose, lost, remedy, wei, shop_id=mei.shop.id)) == "money_moves"
    disputed(Payment.objects.get(), "lost", amount=10).deliver()
    drain()
    assert propose(lost, "place_with_shop", wei, shop_id=mei.shop.id).amount == 67
    assert total("suspense") == 0
    assert_books_hold()


def test_not_when_nothing_is_left(lost: Discrepancy, wei: User) -> None:
    disputed(Payment.objects.get(), "lost", amount=77).deliver()
    drain()
    assert refused(partial(propose, lost, "keep", wei)) == "nothing_left"


def test_dollars_for_meis_apples_are_not_given_to_another(apples: Item, wei: User, arjun: Person) -> None:
    paid(expect(apples.codes.get()), amount=500, currency="USD").deliver()
    drain()
    question = Discrepancy.objects.get()
    assert refused(partial(propose, question, "place_with_shop", wei, shop_id=arjun.shop.id)) == "payment_has_shop"


def test_what_a_shops_own_account_got_is_not_ours_to_keep(mei: Person, apples: Item, wei: User) -> None:
    direct(mei.shop)
    paid(expect(apples.codes.get()), amount=500, currency="USD").deliver()
    drain()
    question = Discrepancy.objects.get()
    for remedy in ("keep", "return_to_payer"):
        assert refused(partial(propose, question, remedy, wei)) == "not_our_money"


def test_a_return_is_asked_for_at_the_provider(lost: Discrepancy, wei: User, now: datetime) -> None:
    propose(lost, "return_to_payer", wei)
    refund = Refund.objects.get()
    assert (refund.shop, refund.requested_by, refund.amount, refund.attempts) == (None, None, 77, 0)
    assert refunds.has_due(now=timezone.now()) is True
    assert LedgerEntry.objects.get(kind="refund_asked").cause_id == Adjustment.objects.get().id
    assert_books_hold()


# --- Correcting a shop's book ----------------------------------------------------------------------------------------


def test_a_shop_is_not_put_into_the_red_and_not_touched_while_it_is_pending(
    mei: Person, apples: Item, wei: User
) -> None:
    paid(expect(apples.codes.get())).deliver()
    drain()
    payment = Payment.objects.get()
    question = Discrepancy.objects.create(
        key="q", reason="missing_at_provider", amount=200, currency="CNY", opened_at=timezone.now(), payment=payment,
        shop=mei.shop, provider_account=platform(),
    )  # fmt: skip
    assert refused(partial(propose, question, "correct_shop", wei)) == "payment_pending"
    Payment.objects.filter(id=payment.id).update(due_at=None)  # Available, as far as the question can see.
    assert refused(partial(propose, question, "correct_shop", wei)) == "balance_too_low"
    Shop.objects.filter(id=mei.shop.id).update(state="frozen")
    assert refused(partial(propose, question, "correct_shop", wei)) == "shop_frozen"


# --- Four eyes -------------------------------------------------------------------------------------------------------


def test_the_limit_is_by_currency_and_100_whole_units_where_none_is_set(settings: LazySettings) -> None:
    assert remedies.limit("CNY") == 50_000
    assert (remedies.limit("SGD"), remedies.limit("BHD"), remedies.limit("KRW")) == (10_000, 100_000, 100)


def test_exactly_the_limit_is_one_persons(short: Discrepancy, wei: User, settings: LazySettings) -> None:
    settings.FOUR_EYES_ABOVE = {"CNY": 30}
    assert propose(short, "accept_settlement", wei).state == "posted"


def test_the_limit_is_not_passed_in_small_steps(short: Discrepancy, wei: User, settings: LazySettings) -> None:
    settings.FOUR_EYES_ABOVE = {"CNY": 20}
    assert propose(short, "accept_settlement", wei, amount=15).state == "posted"
    assert propose(short, "accept_settlement", wei, amount=15).state == "proposed"
    assert_books_hold()


@pytest.fixture
def waiting(short: Discrepancy, wei: User, settings: LazySettings) -> Adjustment:
    """30, above the limit, proposed by Wei."""
    settings.FOUR_EYES_ABOVE = {"CNY": 20}
    return propose(short, "accept_settlement", wei)


def agree(adjustment: Adjustment, operator: User) -> Adjustment:
    return remedies.agree(adjustment_id=adjustment.id, operator=operator, note="yes", now=timezone.now())


def refuse(adjustment: Adjustment, operator: User) -> Adjustment:
    return remedies.refuse(adjustment_id=adjustment.id, operator=operator, note="no", now=timezone.now())


def test_who_proposed_it_cannot_agree(waiting: Adjustment, wei: User) -> None:
    assert refused(partial(agree, waiting, wei)) == "same_operator"


def test_nor_does_the_database_let_her(waiting: Adjustment, wei: User) -> None:
    with pytest.raises(IntegrityError, match="adjustment_four_eyes"), transaction.atomic():
        Adjustment.objects.update(state="posted", decided_by=wei, decided_at=timezone.now())


def test_while_one_waits_nothing_else_is_proposed(waiting: Adjustment, chen: User) -> None:
    again = partial(propose, waiting.discrepancy, "accept_settlement", chen, amount=1)
    assert refused(again) == "adjustment_waits"


def test_what_is_refused_leaves_the_discrepancy_open(waiting: Adjustment, wei: User, chen: User) -> None:
    refuse(waiting, chen)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.decided_by) == ("refused", chen)
    assert waiting.discrepancy.state == "open"
    assert OperatorAct.objects.latest("id").act == "refuse"
    assert refused(partial(agree, waiting, chen)) == "decided_already"
    assert refused(partial(refuse, waiting, chen)) == "decided_already"
    assert propose(waiting.discrepancy, "accept_settlement", wei).state == "proposed"
    assert_books_hold()


def test_who_proposed_it_may_withdraw_it(waiting: Adjustment, wei: User) -> None:
    assert refuse(waiting, wei).state == "refused"
    assert_books_hold()


def test_agreed_to_it_is_booked_once(waiting: Adjustment, chen: User) -> None:
    agree(waiting, chen)
    assert refused(partial(agree, waiting, chen)) == "resolved_already"
    assert total("adjustments") == -30
    assert_books_hold()


def test_what_has_ended_by_itself_meanwhile_is_not_booked(waiting: Adjustment, chen: User, now: datetime) -> None:
    bank_says(credit(30, "stl_0001"), now=now)
    look(now)
    assert refused(partial(agree, waiting, chen)) == "resolved_already"
    refuse(waiting, chen)
    assert_books_hold()


def test_what_has_become_less_meanwhile_is_not_booked(waiting: Adjustment, chen: User, now: datetime) -> None:
    bank_says(credit(10, "stl_0001"), now=now)
    look(now)
    assert Discrepancy.objects.get().amount == 20
    assert refused(partial(agree, waiting, chen)) == "amount_changed"


def test_counting_a_settlement_anew_does_not_ask_what_was_accepted(waiting: Adjustment, chen: User) -> None:
    agree(waiting, chen)
    settlement = waiting.discrepancy.settlement_id
    assert settlement is not None
    totals.recount(settlement_ids=[settlement], now=timezone.now())
    assert Discrepancy.objects.filter(state="open").count() == 0


# --- Two at once -----------------------------------------------------------------------------------------------------


def test_of_two_who_agree_at_once_one_does(real_db: None, waiting: Adjustment, chen: User) -> None:
    with slow_after("payments.cases.of", callers=2):
        answers = together([partial(agree, waiting, chen)] * 2)
    assert [isinstance(answer, Adjustment) for answer in answers].count(True) == 1
    assert {getattr(answer, "code", "") for answer in answers} == {"", "resolved_already"}
    assert total("adjustments") == -30
    assert_books_hold()


def test_without_the_locks_both_believe_that_they_booked_it(real_db: None, waiting: Adjustment, chen: User) -> None:
    with without_row_locks(), slow_after("payments.cases.of", callers=2):
        answers = together([partial(agree, waiting, chen)] * 2)
    assert [isinstance(answer, Adjustment) for answer in answers] == [True, True]


def test_of_two_who_end_it_at_once_one_does(real_db: None, lost: Discrepancy, wei: User, mei: Person) -> None:
    calls = [
        partial(propose, lost, "place_with_shop", wei, shop_id=mei.shop.id),
        partial(propose, lost, "return_to_payer", wei),
    ]
    answers = together(calls)
    assert {getattr(answer, "code", "") for answer in answers} == {"", "resolved_already"}
    assert total("suspense") == 0
    assert Adjustment.objects.count() == 1
    assert_books_hold()


def test_without_the_locks_both_do(real_db: None, lost: Discrepancy, wei: User, mei: Person) -> None:
    calls = [partial(propose, lost, "keep", wei), partial(propose, lost, "return_to_payer", wei)]
    with without_row_locks(), slow_after("payments.cases.of", callers=2):
        together(calls)
    assert total("suspense") == -77  # The same money was kept and given back.


def test_placing_and_a_refund_of_the_providers_own_desk(
    real_db: None, lost: Discrepancy, wei: User, mei: Person
) -> None:
    """Whichever comes first, what went back is nobody's balance."""
    disputed(Payment.objects.get(), "lost", amount=7).deliver()
    calls: list[Callable[[], Any]] = [drain, partial(propose, lost, "place_with_shop", wei, shop_id=mei.shop.id)]
    answers = together(calls)
    assert isinstance(answers[1], Adjustment), answers
    assert total("shop_available", shop=mei.shop) == 70
    assert total("suspense") == 0
    assert_books_hold()
