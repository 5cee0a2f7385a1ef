"""Lines of providers' statements held against our book: each outcome, its question, its fee, and why."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pytest
from django.utils import timezone

from merchants import ids
from payments import refunds
from payments.models import Discrepancy, Inquiry, IntentTimer, Match, Payment, Refund, Statement, StatementLine
from payments.settlement import judging, matching
from tests.cast import Person
from tests.evening import (
    balances,
    contract,
    entries_of,
    look,
    lost_sale,
    outcomes,
    questions,
    sale,
    stated,
    told,
)
from tests.till import assert_books_hold, direct, disputed, drain, expect, paid, platform, refund_told, shop_code, total

pytestmark = pytest.mark.django_db


def given_back(mei: Person, payment: Payment, amount: int) -> Refund:
    """A refund that Mei asked for, and that the wallet has told of."""
    asked = refunds.request(staff=mei.staff, payment=payment, amount=amount, reason="", now=timezone.now())
    refund_told(payment, "succeeded", refund=asked).deliver()
    drain()
    return Refund.objects.select_related("payment").get(id=asked.id)


# --- What fits -------------------------------------------------------------------------------------------------------


def test_a_line_is_matched_by_the_wallets_own_id_and_its_fee_is_booked(mei: Person) -> None:
    payment = sale(mei)
    (line,) = stated(told(payment, fee=2, settlement_id="set_1"))

    assert look() == 1

    match = Match.objects.get()
    assert outcomes([line]) == ["matched"]
    assert (match.rule, match.payment, match.refund, match.made_by) == ("object_id", payment, None, None)
    assert entries_of(match) == [("provider_fee", "provider_fees", "provider_receivable", 2)]
    assert -total("provider_receivable", account=platform()) == 198
    assert questions() == []
    line.refresh_from_db()
    assert (line.match, line.look_at, line.looks) == (match, None, 1)
    assert look() == 0
    assert_books_hold()


def test_a_match_says_what_was_compared_on_both_sides(mei: Person) -> None:
    payment = sale(mei)
    (line,) = stated(told(payment, fee=2))
    look()
    why = Match.objects.get().why
    assert why["rule"] == "by the provider's own id"
    assert why["stated"] == {
        "lines": [f"{line.statement} line 2"],
        "object": payment.object_id,
        "reference": payment.intent.reference if payment.intent else "",
        "amount": 200,
        "currency": "CNY",
        "occurred_at": payment.occurred_at.isoformat(),
        "settlement": "",
    }
    assert why["booked"] == {
        "payment": str(payment),
        "object": payment.object_id,
        "amount": 200,
        "currency": "CNY",
        "occurred_at": payment.occurred_at.isoformat(),
    }
    assert why["fee"] == {"stated": 2, "expected": None, "tolerance": None, "booked": 2}


def test_the_fee_of_a_direct_account_is_the_shops_own_cost(mei: Person) -> None:
    account = direct(mei.shop)
    payment = sale(mei)
    assert payment.provider_account == account
    stated(told(payment, fee=3), account=account)
    look()
    assert entries_of(Match.objects.get()) == [("provider_fee", "shop_available", "settled_direct", 3)]
    assert_books_hold()


def test_a_refund_is_matched_and_a_fee_that_is_given_back_goes_the_other_way(mei: Person) -> None:
    payment = sale(mei)
    refund = given_back(mei, payment, 50)
    lines = stated(told(payment, fee=2), told(refund, fee=-1))
    look()
    assert outcomes(lines) == ["matched", "matched"]
    match = Match.objects.get(refund=refund)
    assert entries_of(match) == [("provider_fee", "provider_receivable", "provider_fees", 1)]
    assert_books_hold()


def test_a_refund_is_matched_by_our_reference_where_the_file_names_it_otherwise(mei: Person) -> None:
    refund = given_back(mei, sale(mei), 50)
    stated(told(refund, object_id="another-name"))
    look()
    assert Match.objects.get().rule == "reference"


def test_a_payment_without_a_name_is_matched_by_our_reference(mei: Person) -> None:
    payment = sale(mei)
    lines = stated(told(payment, object_id=""))
    look()
    assert (outcomes(lines), Match.objects.get().rule) == (["matched"], "reference")


def test_of_two_payments_under_one_reference_each_line_gets_one(mei: Person) -> None:
    payment = sale(mei)
    assert payment.intent is not None
    paid(payment.intent, object_id="wpy_again").deliver()
    drain()
    lines = stated(told(payment, object_id=""), told(payment, object_id=""))
    look()
    assert outcomes(lines) == ["matched", "matched"]
    assert set(Match.objects.values_list("payment__match", flat=True)) == {"exact", "double"}


def test_a_line_without_any_name_is_matched_by_its_amount_when_both_are_alone(mei: Person) -> None:
    payment = sale(mei, 731)
    lines = stated(told(payment, object_id="", reference=""))
    look()
    match = Match.objects.get()
    assert (outcomes(lines), match.rule, match.payment) == (["matched"], "amount", payment)


@pytest.mark.parametrize("rival", ["payment", "line"])
def test_with_a_rival_on_either_side_nothing_is_matched_by_amount(mei: Person, rival: str) -> None:
    payment = sale(mei, 731)
    if rival == "payment":
        sale(mei, 731)
    line = told(payment, object_id="", reference="")
    lines = stated(*([line] if rival == "payment" else [line, line]))
    look()
    assert set(outcomes(lines)) == {"missing_in_books"}
    assert Match.objects.count() == 0


def test_a_line_whose_name_we_do_not_know_is_never_matched_by_amount(mei: Person) -> None:
    payment = sale(mei, 731)
    lines = stated(told(payment, object_id="wpy_unknown", reference=""), fetched=False, operator=mei.user)
    for hours in (0, 1, 2, 4):
        look(timedelta(hours=hours))
    assert outcomes(lines) == ["missing_in_books"]
    assert Match.objects.count() == 0
    assert Payment.objects.get() == payment


def test_several_lines_that_make_the_amount_are_one_match(mei: Person) -> None:
    payment = sale(mei, 1000)
    lines = stated(*(told(payment, amount=part, fee=1) for part in (300, 300, 400)))
    look()
    match = Match.objects.get()
    assert (outcomes(lines), match.rule) == (["matched"] * 3, "sum")
    assert match.lines.count() == 3
    assert entries_of(match) == [("provider_fee", "provider_fees", "provider_receivable", 3)]
    assert questions() == []


def test_the_rest_that_comes_in_a_later_file_answers_the_question(mei: Person) -> None:
    payment = sale(mei, 1000)
    first = stated(told(payment, amount=600, fee=4))
    look()
    assert (outcomes(first), questions()) == (["amount_differs"], [("amount_differs", 400)])

    rest = stated(told(payment, amount=400, fee=2))
    look()

    assert outcomes([*first, *rest]) == ["matched", "matched"]
    match = Match.objects.get()
    assert [amount for *_, amount in entries_of(match)] == [4, 2]
    question = Discrepancy.objects.get()
    assert (question.state, question.owner) == ("resolved", None)
    assert question.resolution.startswith("Answered by itself")
    assert_books_hold()


# --- What differs ----------------------------------------------------------------------------------------------------


def test_another_amount_is_a_pair_with_a_question(mei: Person) -> None:
    payment = sale(mei)
    lines = stated(told(payment, amount=180))
    look()
    assert (outcomes(lines), questions()) == (["amount_differs"], [("amount_differs", 20)])
    assert Discrepancy.objects.get().payment == payment
    assert Match.objects.get().payment == payment


def test_another_currency_keeps_the_two_apart(mei: Person) -> None:
    payment = sale(mei)
    lines = stated(told(payment, currency="USD", fee=1))
    before = balances()
    look()
    assert (outcomes(lines), questions()) == (["currency_differs"], [("currency_differs", 200)])
    assert (Match.objects.count(), balances()) == (0, before)


@pytest.mark.parametrize(
    ("fee", "outcome", "booked", "asked"),
    [(6, "matched", 6, []), (7, "matched", 7, []), (9, "fee_differs", 6, [("fee_differs", 3)]),
     (0, "fee_differs", 6, [("fee_differs", 6)])],
)  # fmt: skip
def test_a_fee_within_the_tolerance_is_booked_as_stated_and_beyond_it_as_agreed(
    mei: Person, fee: int, outcome: str, booked: int, asked: list[tuple[str, int]]
) -> None:
    contract(mei.user)
    lines = stated(told(sale(mei, 1000), fee=fee))
    look()
    assert (outcomes(lines), questions()) == ([outcome], asked)
    assert total("provider_fees", account=platform()) == -booked
    assert_books_hold()


def test_the_same_line_twice_is_a_duplicate_in_one_file_or_in_two(mei: Person) -> None:
    payment = sale(mei)
    lines = stated(told(payment, fee=2), told(payment, fee=2))
    look()
    lines += stated(told(payment, fee=2))
    look()
    assert outcomes(lines) == ["matched", "duplicate", "duplicate"]
    assert questions() == [("stated_twice", 200), ("stated_twice", 200)]
    assert total("provider_fees", account=platform()) == -2


def test_the_line_that_fits_is_matched_and_not_the_one_that_stands_before_it(mei: Person) -> None:
    payment = sale(mei)
    lines = stated(told(payment, amount=150), told(payment))
    look()
    assert outcomes(lines) == ["duplicate", "matched"]


def test_a_fee_or_a_correction_about_nothing_of_ours_is_a_question(mei: Person) -> None:
    fee = {"kind": "fee", "object_id": "f_1", "amount": 0, "fee": 30}
    lines = stated(told(**fee), told(kind="adjustment", object_id="a_1", amount=-70), told(kind="fee", amount=0))
    before = balances()
    look()
    assert outcomes(lines) == ["missing_in_books", "missing_in_books", "nothing"]
    assert questions() == [("stated_otherwise", 30), ("stated_otherwise", 70)]
    assert balances() == before


def test_payouts_and_lines_that_move_nothing_are_not_matched(mei: Person) -> None:
    lines = stated(told(kind="payout", amount=-5000), told(kind="nothing", amount=0), told(kind="", amount=0))
    look()
    assert outcomes(lines) == ["nothing", "nothing", "unreadable"]
    assert questions() == [("line_unreadable", 0)]


def test_a_line_of_a_statement_that_was_replaced_is_about_nothing(mei: Person) -> None:
    lines = stated(told(sale(mei)))
    Statement.objects.update(state="replaced")
    look()
    assert (outcomes(lines), Match.objects.count()) == (["nothing"], 0)


# --- Disputes --------------------------------------------------------------------------------------------------------


def test_a_chargeback_is_matched_with_its_dispute_and_its_return_makes_it_whole(mei: Person) -> None:
    payment = sale(mei)
    disputed(payment, "opened").deliver()
    drain()
    taken = told(kind="chargeback", object_id="wdp_1", parent_object_id=payment.object_id, amount=-200, fee=15)
    first = stated(taken)
    look()
    assert outcomes(first) == ["matched"]
    disputed(payment, "won", at=timezone.now()).deliver()
    drain()
    back = stated({**taken, "amount": 200, "fee": 0})
    look()
    assert outcomes([*first, *back]) == ["matched", "matched"]
    assert Match.objects.get().rule == "sum"
    assert_books_hold()


# --- Timing ----------------------------------------------------------------------------------------------------------


def test_a_refund_that_is_only_asked_for_with_us_is_a_matter_of_time(mei: Person) -> None:
    payment = sale(mei)
    asked = refunds.request(staff=mei.staff, payment=payment, amount=50, reason="", now=timezone.now())
    lines = stated(told(payment), told(asked, object_id="wrf_1"))
    look()
    assert (outcomes(lines), questions()) == (["matched", "timing"], [])

    refund_told(payment, "succeeded", refund=asked, object_id="wrf_1").deliver()
    drain()
    look(timedelta(hours=2))
    assert outcomes(lines) == ["matched", "matched"]


# --- The shell -------------------------------------------------------------------------------------------------------


def test_lines_of_our_bank_are_not_looked_at_here(mei: Person) -> None:
    stated(told(kind="credit"))
    StatementLine.objects.update(provider_account=None)
    assert not matching.has_due(now=timezone.now())
    assert look() == 0


def test_no_more_lines_are_looked_at_than_asked_for(mei: Person) -> None:
    stated(*[told(sale(mei)) for _ in range(3)])
    assert matching.look(now=timezone.now(), limit=2) == 2
    assert Match.objects.count() == 2
    assert look() == 1


def test_a_line_that_breaks_its_batch_stands_alone_and_comes_back(mei: Person) -> None:
    payments = [sale(mei) for _ in range(4)]
    lines = stated(*map(told, payments))
    judge = judging.conclude

    def breaking(pairing, terms, *, looks=0):  # type: ignore[no-untyped-def]
        assert pairing.ours.id != payments[2].id, "broken"
        return judge(pairing, terms, looks=looks)

    with mock.patch.object(judging, "conclude", breaking):
        assert look() == 4
    assert outcomes(lines) == ["matched", "matched", "", "matched"]
    look(timedelta(minutes=6))
    assert outcomes(lines) == ["matched"] * 4


def test_many_lines_cost_no_more_statements_than_one(mei: Person, django_assert_max_num_queries: object) -> None:
    contract(mei.user)
    stated(*[told(sale(mei), fee=1) for _ in range(30)])
    with django_assert_max_num_queries(32):  # type: ignore[operator]
        assert look() == 30


def test_a_name_of_anothers_account_is_not_ours(mei: Person) -> None:
    payment = sale(mei)
    other = direct(mei.shop)
    lines = stated(told(payment, reference=""), account=other)
    look()
    assert outcomes(lines) == ["asked"]
    assert Match.objects.count() == 0
    assert Inquiry.objects.get().object_id == payment.object_id


def test_a_lost_payment_is_asked_about_by_its_intent(mei: Person) -> None:
    intent, object_id = lost_sale(mei)
    IntentTimer.objects.all().delete()
    lines = stated(told(object_id=object_id, reference=intent.reference))
    look()
    intent.refresh_from_db()
    assert outcomes(lines) == ["asked"]
    assert IntentTimer.objects.get(intent=intent).next_query_at is not None
    assert Inquiry.objects.count() == 0
    line = lines[0]
    line.refresh_from_db()
    assert line.look_at is not None and timedelta(seconds=50) < line.look_at - timezone.now() < timedelta(seconds=61)


def test_a_reference_of_ours_with_another_name_waits_for_what_the_provider_says(mei: Person) -> None:
    payment = sale(mei)
    assert payment.intent is not None
    lines = stated(told(payment, object_id="wpy_other"))
    look()
    assert outcomes(lines) == ["asked"]
    for hours in (1, 2, 4):
        look(timedelta(hours=hours))
    match = Match.objects.get()
    assert (outcomes(lines), match.rule, match.why["looks"]) == (["matched"], "reference", 4)


def test_public_names_in_a_question_are_those_that_everybody_knows(mei: Person) -> None:
    payment = sale(mei)
    stated(told(payment, currency="USD"))
    look()
    assert Discrepancy.objects.get().details["booked"]["payment"] == ids.public("pay", payment.id)
    assert expect(shop_code(mei.shop), 5)


def test_a_line_that_has_its_match_is_not_chosen_again_whatever_its_time_says(mei: Person) -> None:
    (line,) = stated(told(sale(mei), fee=1))
    look()
    StatementLine.objects.filter(id=line.id).update(look_at=timezone.now() - timedelta(hours=1))
    rounds = iter([True, True, False])
    assert matching.look(now=timezone.now(), in_time=lambda: next(rounds)) == 0
    assert not matching.has_due(now=timezone.now())
