"""Undoing a match restores every balance exactly; lines are looked at again, or matched by hand, at a person's wish."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from merchants.audit import UnableToAct
from merchants.ids import new
from merchants.models import OperatorAct
from payments import ledger
from payments.models import (
    BankAccount,
    Discrepancy,
    LedgerEntry,
    Match,
    Settlement,
    SettlementMatch,
    Statement,
    StatementLine,
)
from payments.settlement import totals, undoing
from tests.cast import Person
from tests.evening import balances, contract, entries_of, look, outcomes, questions, sale, stated, told
from tests.till import assert_books_hold, direct, drain, expect, paid, platform, shop_code, total

pytestmark = pytest.mark.django_db


def undo(match: Match, mei: Person) -> None:
    undoing.undo(match_id=match.id, operator=mei.user, reason="the wrong one", now=timezone.now())


def test_undoing_restores_every_balance_and_frees_the_lines(mei: Person) -> None:
    payment = sale(mei)
    before = balances()
    (line,) = stated(told(payment, fee=2))
    look()
    match = Match.objects.get()
    assert balances() != before

    undo(match, mei)

    assert balances() == before
    match.refresh_from_db()
    line.refresh_from_db()
    assert (match.undone_by, match.undone_reason) == (mei.user, "the wrong one")
    assert match.undone_at is not None
    assert (line.outcome, line.match, line.look_at) == ("undone", None, None)
    assert entries_of(match) == [
        ("provider_fee", "provider_fees", "provider_receivable", 2),
        ("reversed", "provider_receivable", "provider_fees", 2),
    ]
    assert LedgerEntry.objects.filter(key=f"reversed|provider_fee|{match.id.hex}").exists()
    act = OperatorAct.objects.get(act="undo")
    assert (act.operator, act.subject_id, act.reason) == (mei.user, str(match), "the wrong one")
    assert_books_hold()


def test_what_others_post_in_between_stays(mei: Person) -> None:
    account = direct(mei.shop)
    first = sale(mei)
    stated(told(first, fee=3), account=account)
    look()
    sale(mei, 500)
    undo(Match.objects.get(), mei)
    assert ledger.balance(shop=mei.shop).total == 700
    assert_books_hold()


def test_an_undone_line_is_not_matched_by_itself_and_a_person_has_it_looked_at_again(mei: Person) -> None:
    (line,) = stated(told(sale(mei), fee=2))
    look()
    first = Match.objects.get()
    undo(first, mei)
    assert look(timedelta(days=9)) == 0

    assert undoing.look_again(line_ids=[line.id], operator=mei.user, reason="right", now=timezone.now()) == 1
    look()

    second = Match.objects.get(undone_at=None)
    assert second != first
    assert entries_of(second) == [("provider_fee", "provider_fees", "provider_receivable", 2)]
    assert total("provider_fees", account=platform()) == -2
    assert OperatorAct.objects.filter(act="look_again", subject_id=str(line.id)).count() == 1
    assert_books_hold()


def test_what_only_the_match_had_asked_is_answered_with_it(mei: Person) -> None:
    contract(mei.user)
    stated(told(sale(mei), amount=150, fee=9))
    look()
    assert {reason for reason, _ in questions()} == {"amount_differs", "fee_differs"}
    undo(Match.objects.get(), mei)
    assert questions() == []
    assert {row.owner for row in Discrepancy.objects.all()} == {None}


def test_a_match_is_undone_once(mei: Person) -> None:
    stated(told(sale(mei), fee=2))
    look()
    match = Match.objects.get()
    undo(match, mei)
    before = balances()
    with pytest.raises(UnableToAct) as refusal:
        undo(match, mei)
    assert (refusal.value.code, balances()) == ("undone_already", before)
    assert OperatorAct.objects.filter(act="undo").count() == 1


def test_a_match_of_a_payout_is_not_undone_here(mei: Person) -> None:
    match = Match.objects.create(rule="reference", payout_id=new(), made_at=timezone.now())
    with pytest.raises(UnableToAct) as refusal:
        undo(match, mei)
    match.refresh_from_db()
    assert (refusal.value.code, match.undone_at) == ("of_a_payout", None)


def test_settlements_are_counted_anew(mei: Person) -> None:
    payment = sale(mei)
    (line,) = stated(told(payment, fee=2, settlement_id="set_1"))
    (settlement_id,) = totals.note(statement_id=line.statement_id, now=timezone.now())
    bank = BankAccount.objects.create(name="main", holder="Us", number="1", currency="CNY")
    credit = StatementLine.objects.create(
        statement=Statement.objects.create(
            bank_account=bank, state="imported", fetched=False, uploaded_by=mei.user, created_at=timezone.now()
        ),
        number=1, raw={}, kind="credit", amount=198, currency="CNY", outcome="matched",
    )  # fmt: skip
    match = Match.objects.create(rule="settlement_id", made_at=timezone.now())
    StatementLine.objects.filter(id=credit.id).update(match=match)
    SettlementMatch.objects.create(match=match, settlement_id=settlement_id, amount=198)
    totals.recount(settlement_ids=[settlement_id], now=timezone.now())
    assert Settlement.objects.get().state == "arrived"

    undo(match, mei)

    settlement = Settlement.objects.get()
    assert (settlement.state, settlement.arrived_amount) == ("in_transit", 0)
    credit.refresh_from_db()
    assert (credit.outcome, credit.match, credit.look_at is not None) == ("", None, True)  # Its money stands somewhere.


# --- Looking again ---------------------------------------------------------------------------------------------------


def test_a_line_whose_match_holds_is_not_looked_at_again(mei: Person) -> None:
    (line,) = stated(told(sale(mei)))
    look()
    with pytest.raises(UnableToAct) as refusal:
        undoing.look_again(line_ids=[line.id], operator=mei.user, reason="x", now=timezone.now())
    line.refresh_from_db()
    assert (refusal.value.code, line.look_at) == ("matched_already", None)


def test_a_line_of_a_replaced_statement_is_not_looked_at_again(mei: Person) -> None:
    (line,) = stated(told(object_id="", reference=""))
    look()
    Statement.objects.update(state="replaced")
    with pytest.raises(UnableToAct) as refusal:
        undoing.look_again(line_ids=[line.id], operator=mei.user, reason="x", now=timezone.now())
    assert refusal.value.code == "replaced"


def test_a_question_that_answered_itself_is_asked_anew(mei: Person) -> None:
    (line,) = stated(told(object_id="", reference="", amount=731))
    look()
    assert questions() == [("missing_in_books", 731)]
    payment = sale(mei, 731, at=timezone.now() - timedelta(minutes=1))
    undoing.look_again(line_ids=[line.id], operator=mei.user, reason="booked now", now=timezone.now())
    look()
    assert questions() == []
    assert Match.objects.get().payment == payment

    undo(Match.objects.get(), mei)
    sale(mei, 731)
    undoing.look_again(line_ids=[line.id], operator=mei.user, reason="once more", now=timezone.now())
    look()
    assert questions() == [("missing_in_books", 731)]


# --- By hand ---------------------------------------------------------------------------------------------------------


def test_a_person_matches_a_line_with_a_payment(mei: Person) -> None:
    payment = sale(mei)
    (line,) = stated(told(object_id="", reference="", amount=190, fee=2))
    look()
    match = undoing.match_by_hand(
        line_ids=[line.id], payment_id=payment.id, operator=mei.user, reason="same till", now=timezone.now()
    )
    assert (match.rule, match.payment, match.made_by) == ("by_hand", payment, mei.user)
    assert "same till" in match.why["rule"]
    assert outcomes([line]) == ["amount_differs"]
    assert entries_of(match) == [("provider_fee", "provider_fees", "provider_receivable", 2)]
    assert questions() == [("amount_differs", 10)]  # That it was missing has answered itself.
    assert OperatorAct.objects.get(act="match_by_hand").subject_id == str(match)
    assert_books_hold()


def test_several_lines_by_hand_are_one_match(mei: Person) -> None:
    payment = sale(mei)
    lines = stated(told(object_id="", reference="", amount=150), told(object_id="", reference="", amount=50))
    match = undoing.match_by_hand(
        line_ids=[line.id for line in lines], payment_id=payment.id, operator=mei.user, reason="both",
        now=timezone.now(),
    )  # fmt: skip
    assert outcomes(lines) == ["matched", "matched"]
    assert match.lines.count() == 2


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"kind": "refund", "amount": -200}, "other_kind"), ({"currency": "USD"}, "other_currency")],
)
def test_what_cannot_be_is_not_matched_by_hand(mei: Person, changed: dict[str, object], code: str) -> None:
    payment = sale(mei)
    (line,) = stated(told(object_id="", reference="", **changed))
    with pytest.raises(UnableToAct) as refusal:
        undoing.match_by_hand(
            line_ids=[line.id], payment_id=payment.id, operator=mei.user, reason="x", now=timezone.now()
        )
    assert (refusal.value.code, Match.objects.count(), outcomes([line])) == (code, 0, [""])


def test_neither_side_is_matched_twice_by_hand(mei: Person) -> None:
    payment, other = sale(mei), sale(mei)
    first, second = stated(told(payment), told(object_id="x", reference=""))
    look()
    for line, chosen in ((first, other), (second, payment)):
        with pytest.raises(UnableToAct) as refusal:
            undoing.match_by_hand(
                line_ids=[line.id], payment_id=chosen.id, operator=mei.user, reason="x", now=timezone.now()
            )
        assert refusal.value.code == "matched_already"
    assert Match.objects.count() == 1


def test_a_line_of_another_account_is_not_matched_by_hand(mei: Person) -> None:
    payment = sale(mei)
    (line,) = stated(told(object_id="", reference=""), account=direct(mei.shop))
    with pytest.raises(UnableToAct) as refusal:
        undoing.match_by_hand(
            line_ids=[line.id], payment_id=payment.id, operator=mei.user, reason="x", now=timezone.now()
        )
    assert refusal.value.code == "other_account"
    with pytest.raises(UnableToAct) as unknown:
        undoing.match_by_hand(line_ids=[9], payment_id=payment.id, operator=mei.user, reason="x", now=timezone.now())
    assert unknown.value.code == "unknown"
    assert (drain(), paid(expect(shop_code(mei.shop), 5)).deliver()) == (0, True)
