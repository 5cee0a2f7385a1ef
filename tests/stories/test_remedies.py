"""Stories of how discrepancies end with money, with the numbers written out."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants.models import Item, Notice, OperatorAct, User
from payments import ledger, reconcile, remedies
from payments.chart import Movement, Place, receivable
from payments.models import Adjustment, Discrepancy, LedgerEntry, Match, Payment, Refund, StatementLine
from tests.bank_day import HOUR, amounts, bank_says, credit, look, provider_says, settled
from tests.cast import Person
from tests.operators import CHIEF_PHONE, OPERATOR_PHONE
from tests.till import assert_books_hold, direct, drain, expect, make_due, paid, platform, refund_told, total

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def held(db: None) -> None:
    platform()


@pytest.fixture
def wei(db: None) -> User:
    """An operator."""
    return User.objects.create_user(OPERATOR_PHONE, is_staff=True)


@pytest.fixture
def chen(db: None) -> User:
    """Another operator."""
    return User.objects.create_user(CHIEF_PHONE, is_staff=True)


def end(remedy: str, operator: User, *, amount: int | None = None, shop: Person | None = None) -> Adjustment:
    """Ends the one open discrepancy."""
    return remedies.propose(
        discrepancy_id=Discrepancy.objects.get(state="open").id,
        remedy=remedy,
        note="looked at it",
        operator=operator,
        now=timezone.now(),
        amount=amount,
        shop_id=shop.shop.id if shop else None,
    )


def last_entry() -> tuple[str, str, str, int]:
    """The newest adjusting entry."""
    row = LedgerEntry.objects.filter(kind="adjusted").select_related("debit", "credit").latest("id")
    return (row.kind, row.debit.kind, row.credit.kind, row.amount)


def asked_about(reason: str, amount: int, **about: object) -> Discrepancy:
    """A question as the matching of statements asks it."""
    return Discrepancy.objects.create(
        key=f"{reason}|test", reason=reason, amount=amount, currency="CNY", opened_at=timezone.now(),
        provider_account=platform(), **about,
    )  # fmt: skip


# --- Settlements -----------------------------------------------------------------------------------------------------


def test_the_rest_of_a_settlement_will_not_come(now: datetime, wei: User) -> None:
    """Of 1,000 the bank got 970. The provider kept 30 and says so on the phone: our loss."""
    day = settled("stl_0001", 1_000, now=now)
    bank_says(credit(970, "stl_0001"), now=now + DAY)
    look(now + DAY)
    adjustment = end("accept_settlement", wei)
    assert (adjustment.amount, adjustment.state, adjustment.four_eyes) == (30, "posted", False)
    assert last_entry() == ("adjusted", "adjustments", "provider_receivable", 30)
    question = Discrepancy.objects.get()
    assert (question.state, question.owner, question.resolution) == (
        "resolved", wei, "Accept what arrived: looked at it",
    )  # fmt: skip
    act = OperatorAct.objects.get()
    assert (act.act, act.before, act.after["amount"]) == ("adjust", {"state": "open", "amount": 30}, 30)
    assert_books_hold()

    bank_says(credit(30, "stl_0001"), now=now + 2 * DAY)  # And then it comes all the same: 30 too much.
    look(now + 2 * DAY)
    assert amounts([day])[0][3:] == (1_000, "arrived")
    assert Discrepancy.objects.filter(state="open").values_list("reason", "amount").get() == ("settlement_differs", 30)
    end("accept_settlement", wei)
    assert last_entry() == ("adjusted", "provider_receivable", "adjustments", 30)
    assert total("adjustments") == 0
    assert_books_hold()


def test_what_came_above_a_settlement_and_nobody_claims(now: datetime, wei: User) -> None:
    settled("stl_0001", 1_000, now=now)
    bank_says(credit(1_005, "stl_0001"), now=now + DAY)
    look(now + DAY)
    end("accept_settlement", wei)
    assert last_entry() == ("adjusted", "provider_receivable", "adjustments", 5)
    assert_books_hold()


def test_a_settlement_that_never_comes_is_written_off_in_parts(now: datetime, wei: User) -> None:
    """900 are overdue. 400 are lost for certain; 500 go on being asked about, and arrive."""
    day = settled("stl_0001", 900, now=now)
    look(now + 5 * DAY)
    end("accept_settlement", wei, amount=400)
    assert Discrepancy.objects.values_list("state", "amount", "owner").get() == ("open", 500, wei.id)
    bank_says(credit(500, "stl_0001"), now=now + 6 * DAY)
    look(now + 6 * DAY)
    assert amounts([day])[0][3:] == (500, "differs")
    assert Discrepancy.objects.values_list("state", "resolution").get() == ("resolved", "By itself: it has arrived.")
    assert total("adjustments") == -400
    assert_books_hold()


# --- Fees and lines --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kept", "agreed", "sides"), [
    (9, 6, ("provider_fees", "provider_receivable")),
    (4, 6, ("provider_receivable", "provider_fees")),
])  # fmt: skip
def test_a_fee_beyond_the_agreed_one_is_accepted(
    now: datetime, wei: User, kept: int, agreed: int, sides: tuple[str, str]
) -> None:
    """The agreed 6 were booked when the line was matched. It kept 9: 3 more are a cost. It kept 4: 2 are spared."""
    line = stated(now, amount=200, fee=kept)
    why = {"fee": {"stated": kept, "booked": agreed}}
    match = Match.objects.create(rule="object_id", provider_account=platform(), made_at=now, why=why)
    StatementLine.objects.filter(id=line.id).update(match=match, outcome="fee_differs")
    booked_fee(match, agreed, now)
    asked_about("fee_differs", abs(kept - agreed), line=StatementLine.objects.get(id=line.id))
    end("accept_fee", wei)
    assert last_entry() == ("adjusted", *sides, abs(kept - agreed))
    assert total("provider_fees", account=platform()) == -kept
    assert_books_hold()


def test_a_payment_that_no_statement_confirms_is_our_loss_or_the_shops(mei: Person, apples: Item, wei: User) -> None:
    """200 were credited to Mei, the provider knows nothing of them. 150 are taken back, she is told; 50 are lost."""
    payment = available(apples)
    asked_about("missing_at_provider", 200, payment=payment, shop=mei.shop)
    end("correct_shop", wei, amount=150)
    assert last_entry() == ("adjusted", "shop_available", "provider_receivable", 150)
    assert ledger.balance(shop=mei.shop).available == 50
    notice = Notice.objects.latest("number")
    assert (notice.kind, notice.data["amount"]["amount"], notice.data["taken"]) == ("balance_corrected", 150, True)
    assert Discrepancy.objects.get(state="open").amount == 50
    end("write_off", wei)
    assert last_entry() == ("adjusted", "adjustments", "provider_receivable", 50)
    assert total("provider_receivable", account=platform()) == 0
    assert_books_hold()


def test_a_refund_that_the_provider_never_made_is_the_shops_again(mei: Person, apples: Item, wei: User) -> None:
    payment = available(apples)
    refund_told(payment, "succeeded", amount=70, object_id="wrf_7").deliver()
    drain()
    asked_about("missing_at_provider", 70, payment=payment, shop=mei.shop, refund=Refund.objects.get())
    end("correct_shop", wei)
    assert last_entry() == ("adjusted", "provider_receivable", "shop_available", 70)
    assert Notice.objects.latest("number").data["taken"] is False
    assert ledger.balance(shop=mei.shop).available == 200
    assert_books_hold()


def test_a_charge_of_the_provider_that_is_about_nothing_of_ours(now: datetime, wei: User) -> None:
    asked_about("stated_otherwise", 12, line=stated(now, amount=-12, kind="adjustment"))
    end("accept_fee", wei)
    assert last_entry() == ("adjusted", "provider_fees", "provider_receivable", 12)
    assert_books_hold()


def test_the_fee_of_a_shops_own_account_is_the_shops_own_cost(mei: Person, now: datetime, wei: User) -> None:
    own = direct(mei.shop)
    line = stated(now, amount=-12, kind="adjustment")
    asked = asked_about("stated_otherwise", 12, line=line)
    Discrepancy.objects.filter(id=asked.id).update(provider_account=own, shop=mei.shop)
    end("accept_fee", wei)
    assert last_entry() == ("adjusted", "shop_available", "settled_direct", 12)
    assert ledger.balance(shop=mei.shop).direct == -12
    notice = Notice.objects.get()
    assert (notice.kind, notice.data["taken"], notice.data["payment"]) == ("balance_corrected", True, None)
    assert_books_hold()


# --- Suspense --------------------------------------------------------------------------------------------------------


def test_a_payment_of_nobody_becomes_a_shops(mei: Person, wei: User) -> None:
    """77 came with a reference that is not ours. Mei shows her customer's receipt: they are hers, at once."""
    paid(reference="nobody", amount=77).deliver()
    drain()
    assert total("suspense") == 77
    adjustment = end("place_with_shop", wei, shop=mei)
    assert adjustment.shop == mei.shop
    assert last_entry() == ("adjusted", "suspense", "shop_available", 77)
    payment = Payment.objects.get()
    assert (payment.shop, payment.placed, payment.due_at, payment.match) == (mei.shop, True, None, "unexpected")
    assert (total("suspense"), ledger.balance(shop=mei.shop).available) == (0, 77)
    notice = Notice.objects.get()
    assert (notice.kind, notice.about, notice.data["amount"]["amount"]) == ("payment_received", payment.id, 77)
    mei.shop.refresh_from_db()
    assert mei.shop.currency_locked_at is not None
    assert_books_hold()
    refund_told(payment, "succeeded", amount=7).deliver()  # From now on it is a payment like any other.
    drain()
    assert ledger.balance(shop=mei.shop).available == 70
    assert_books_hold()


def test_only_what_is_left_of_a_payment_is_placed(mei: Person, wei: User) -> None:
    paid(reference="nobody", amount=77).deliver()
    drain()
    refund_told(Payment.objects.get(), "succeeded", amount=7).deliver()
    drain()
    assert end("place_with_shop", wei, shop=mei).amount == 70
    assert (total("suspense"), ledger.balance(shop=mei.shop).available) == (0, 70)
    assert_books_hold()


def test_money_in_a_wrong_currency_goes_back_to_its_payer(apples: Item, wei: User) -> None:
    """5 dollars came for a pile of apples. They are refunded; the provider says yes."""
    paid(expect(apples.codes.get()), amount=500, currency="USD").deliver()
    drain()
    end("return_to_payer", wei)
    refund = Refund.objects.get()
    assert (refund.origin, refund.amount, refund.state, refund.reason) == (
        "operator", 500, "requested", "looked at it",
    )  # fmt: skip
    assert (total("suspense", "USD"), total("refunds_in_flight", "USD")) == (0, 500)
    assert_books_hold()
    refund_told(Payment.objects.get(), "succeeded", refund=refund).deliver()
    drain()
    assert total("provider_receivable", "USD", account=platform()) == 0
    assert_books_hold()


def test_a_return_that_fails_is_asked_about_again(apples: Item, wei: User) -> None:
    paid(expect(apples.codes.get()), amount=500, currency="USD").deliver()
    drain()
    end("return_to_payer", wei)
    refund_told(Payment.objects.get(), "failed", refund=Refund.objects.get()).deliver()
    drain()
    assert total("suspense", "USD") == 500
    assert Discrepancy.objects.get(state="open").reason == "refund_refused"
    end("keep", wei)
    assert last_entry() == ("adjusted", "suspense", "adjustments", 500)
    assert total("suspense", "USD") == 0
    assert_books_hold()


def test_dollars_on_a_shops_own_account_are_left_there(mei: Person, apples: Item, wei: User) -> None:
    direct(mei.shop)
    paid(expect(apples.codes.get()), amount=500, currency="USD").deliver()
    drain()
    end("leave_with_shop", wei)
    assert last_entry() == ("adjusted", "suspense", "settled_direct", 500)
    assert_books_hold()


def test_a_credit_that_nobody_claims_is_kept_and_a_debit_is_lost(now: datetime, wei: User) -> None:
    [line] = bank_says(credit(40), now=now)
    look(now)
    end("keep", wei)
    assert last_entry() == ("adjusted", "suspense", "adjustments", 40)
    settled("stl_0001", 40, now=now + HOUR)
    look(now + 2 * HOUR)  # It does not stand in suspense any more: no settlement is paid by it.
    line.refresh_from_db()
    assert (line.look_at, Discrepancy.objects.filter(state="open").count()) == (None, 0)

    bank_says(credit(-25), now=now + DAY)
    look(now + DAY)
    end("write_off", wei)
    assert last_entry() == ("adjusted", "adjustments", "suspense", 25)
    assert total("suspense") == 0
    assert_books_hold()


# --- Four eyes -------------------------------------------------------------------------------------------------------


def test_above_the_limit_two_people_look(now: datetime, wei: User, chen: User, settings: LazySettings) -> None:
    """The limit is 20. 30 are proposed by Wei, and wait; Chen agrees, and they are booked."""
    settings.FOUR_EYES_ABOVE = {"CNY": 20}
    settled("stl_0001", 1_000, now=now)
    bank_says(credit(970, "stl_0001"), now=now + DAY)
    look(now + DAY)
    adjustment = end("accept_settlement", wei)
    assert (adjustment.state, adjustment.four_eyes, adjustment.decided_by) == ("proposed", True, None)
    assert LedgerEntry.objects.filter(kind="adjusted").count() == 0
    assert_books_hold()
    remedies.agree(adjustment_id=adjustment.id, operator=chen, note="I called them too", now=timezone.now())
    assert last_entry() == ("adjusted", "adjustments", "provider_receivable", 30)
    assert Discrepancy.objects.get().state == "resolved"
    assert list(OperatorAct.objects.order_by("id").values_list("act", "operator")) == [
        ("propose", wei.id), ("agree", chen.id),
    ]  # fmt: skip
    assert_books_hold()


def available(apples: Item) -> Payment:
    """A pile of apples, paid and available: 200."""
    paid(expect(apples.codes.get())).deliver()
    drain()
    make_due(timezone.now(), *Payment.objects.all())
    assert reconcile.release_due(now=timezone.now() + timedelta(seconds=1), limit=10) == 1
    return Payment.objects.select_related("intent", "provider_account").get()


def stated(now: datetime, **columns: object) -> StatementLine:
    """A line of the provider's that no settlement has yet."""
    statement = provider_says((0, ""), now=now)
    StatementLine.objects.filter(statement=statement).update(**columns)
    return StatementLine.objects.get(statement=statement)


def booked_fee(match: Match, amount: int, now: datetime) -> None:
    """What matching books when a line has a fee."""
    from_, to = Place("provider_fees", "held", None, platform().id), receivable(platform().id)
    movement = Movement(f"fee|{match.id.hex}", "provider_fee", from_, to, amount, "CNY", now, cause_id=match.id)
    ledger.post([movement], now=now)
