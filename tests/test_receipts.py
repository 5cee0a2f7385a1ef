"""What a receipt says, for every story its money can have."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from payments.models import Payment, PaymentIntent, Refund
from qr import receipts

NOW = datetime.fromisoformat("2026-11-22T12:00:00+00:00")


def intent(**fields: Any) -> PaymentIntent:
    given = {"state": "open", "redirect_url": "http://wallet/pay/1", **fields}
    return PaymentIntent(amount=400, currency="CNY", created_at=NOW, expires_at=NOW + timedelta(minutes=15), **given)


def paid(amount: int = 400, match: str = "exact", currency: str = "CNY", seconds: int = 5) -> Payment:
    return Payment(amount=amount, currency=currency, match=match, occurred_at=NOW + timedelta(seconds=seconds))


def back(amount: int, state: str = "succeeded") -> Refund:
    return Refund(amount=amount, currency="CNY", state=state)


def told(
    of: PaymentIntent, payments: list[Payment], refunds: list[Refund], after: timedelta = timedelta(0)
) -> receipts.Receipt:
    return receipts.tell(of, payments, refunds, now=NOW + after)


@pytest.mark.parametrize(
    ("waited", "refresh_s"),
    [(0, 2), (59, 2), (60, 5), (299, 5), (300, 15), (3601, None)],
)
def test_a_waiting_receipt_looks_again_ever_more_slowly(waited: int, refresh_s: int | None) -> None:
    receipt = told(intent(), [], [], timedelta(seconds=waited))
    assert (receipt.kind, receipt.refresh_s) == ("waiting", refresh_s)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"redirect_url": "", "start_failure": "the wallet does not answer"}, "not_started"),
        ({"state": "canceled", "closing": "refused"}, "refused"),
        ({"state": "canceled", "closing": "frozen"}, "closed"),
        ({"state": "expired", "closing": "expired"}, "expired"),
    ],
)
def test_without_money_it_says_what_became_of_the_intent(fields: dict[str, str], kind: str) -> None:
    receipt = told(intent(**fields), [], [])
    assert (receipt.kind, receipt.mood, receipt.amount) == (kind, "bad", "CN¥4.00")


def test_whoever_can_be_handed_over_is_waited_for_by_whatever_way_she_is() -> None:
    assert told(intent(redirect_url="", handover={"qr": "upi://pay?pa=a@b"}), [], []).kind == "waiting"
    assert told(intent(redirect_url="", handover={}), [], []).kind == "not_started"
    # Her wallet was to say who she is, and what came back was refused: that address leads nowhere any more.
    assert told(intent(start_failure="invalid code"), [], []).kind == "not_started"


def test_exact_money_is_paid_and_nothing_more_is_awaited() -> None:
    receipt = told(intent(state="paid"), [paid()], [])
    assert (receipt.kind, receipt.mood, receipt.heading, receipt.amount) == ("paid", "good", "Paid", "CN¥4.00")
    assert (receipt.lines, receipt.refresh_s, receipt.at) == ((), None, NOW + timedelta(seconds=5))


@pytest.mark.parametrize(
    ("state", "payment", "sentence"),
    [
        ("paid", paid(360, "short"), "CN¥4.00 was asked, but only CN¥3.60 arrived."),
        ("paid", paid(440, "over"), "CN¥4.00 was asked, but CN¥4.40 arrived."),
        ("expired", paid(400, "late"), "CN¥4.00 arrived after this payment was closed."),
        ("open", paid(400, "unexpected", "USD"), "CN¥4.00 was asked, but $4.00 arrived, in another currency."),
    ],
)
def test_money_that_does_not_fit_is_being_checked_and_told_as_it_came(
    state: str, payment: Payment, sentence: str
) -> None:
    receipt = told(intent(state=state), [payment], [])
    assert (receipt.kind, receipt.mood) == ("checking", "wait")
    assert receipt.sentence.startswith(sentence)


def test_a_second_payment_does_not_unpay_the_first() -> None:
    receipt = told(intent(state="paid"), [paid(match="double", seconds=9), paid()], [])
    assert (receipt.kind, receipt.mood, receipt.heading) == ("checking", "good", "Paid twice")
    assert receipt.sentence.startswith("Your purchase is paid, once.")
    assert receipt.lines == ("CN¥4.00 arrived, as asked", "CN¥4.00 arrived a second time")


@pytest.mark.parametrize(
    ("more", "heading"),
    [
        ([paid(match="double"), paid(match="double")], "Paid more than once"),
        ([paid(200, match="late")], "Paid, and more came"),
        ([paid(400, match="double", currency="USD")], "Paid twice"),
    ],
)
def test_how_often_it_was_paid_is_said_only_where_that_is_what_happened(more: list[Payment], heading: str) -> None:
    assert told(intent(state="paid"), [paid(), *more], []).heading == heading


def test_what_came_twice_and_was_sent_back_leaves_the_purchase_paid() -> None:
    receipt = told(intent(state="paid"), [paid(), paid(match="double")], [back(400)])
    assert (receipt.kind, receipt.heading, receipt.refresh_s) == ("refunded", "Paid", None)
    assert receipt.sentence == "What came above the price was sent back to you."
    assert receipt.lines[-1] == "CN¥4.00 was refunded to you"


@pytest.mark.parametrize(
    ("payments", "refunds"),
    [
        ([paid(), paid(match="double")], [back(399)]),
        ([paid(), paid(match="double")], [back(400, "requested")]),
        ([paid(), paid(match="double", currency="USD")], [back(400)]),
    ],
)
def test_less_than_that_sent_back_settles_nothing(payments: list[Payment], refunds: list[Refund]) -> None:
    assert told(intent(state="paid"), payments, refunds).kind == "checking"


def test_every_end_has_words_of_its_own() -> None:
    stories: list[tuple[PaymentIntent, list[Payment], list[Refund]]] = [
        (intent(), [], []),
        (intent(state="paid"), [paid()], []),
        (intent(state="canceled", closing="refused"), [], []),
        (intent(state="expired", closing="expired"), [], []),
        (intent(redirect_url=""), [], []),
        (intent(state="canceled", closing="frozen"), [], []),
        (intent(state="paid"), [paid()], [back(400)]),
        (intent(state="paid"), [paid()], [back(100)]),
        (intent(state="paid"), [paid(), paid(match="double")], []),
        (intent(state="expired"), [paid(match="late")], []),
    ]
    said = [told(*story) for story in stories]
    assert len({(receipt.heading, receipt.sentence) for receipt in said}) == len(stories)
    assert [receipt.worth_keeping for receipt in said] == [False, True, False, True, False, False, *[True] * 4]


def test_a_part_that_was_refunded_and_one_that_is_on_its_way_are_both_shown() -> None:
    receipt = told(intent(state="paid"), [paid()], [back(100), back(50, "requested"), back(25, "failed")])
    assert (receipt.kind, receipt.heading, receipt.refresh_s) == ("refunded", "Paid, partly refunded", 5)
    assert receipt.lines == (
        "CN¥1.00 was refunded to you",
        "CN¥0.50 is on its way back to you",
        "CN¥0.25 could not be refunded; the shop has been told",
    )


def test_a_refund_that_is_only_asked_for_leaves_the_payment_paid() -> None:
    assert told(intent(state="paid"), [paid()], [back(400, "requested")]).kind == "paid"


def test_the_whole_refunded_is_refunded() -> None:
    receipt = told(intent(state="paid"), [paid()], [back(300), back(100)])
    assert (receipt.kind, receipt.heading, receipt.refresh_s) == ("refunded", "Refunded", None)
