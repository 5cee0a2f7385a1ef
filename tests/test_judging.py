"""The judgement by itself, without a database: by the thousand, whatever lines say and in whatever order they stand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchants import ids
from payments.settlement import judging
from payments.settlement.stated import Book, Line, Ours, Patience

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
ACCOUNT = uuid4()
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PATIENCE = Patience([MINUTE, HOUR], [HOUR, HOUR], timedelta(days=1))


class Agreed:
    """A contract of ten minor units a payment, one more or less."""

    def expected(self, account_id: UUID, currency: str, amount: int, at: datetime) -> tuple[int, int] | None:
        return (10, 1) if currency == "CNY" else None


def line(number: int = 1, **changed: object) -> Line:
    made = Line(
        id=number, statement="stm_1", number=number, account_id=ACCOUNT, kind="payment", object_id="p1",
        parent_object_id="", reference="", settlement_id="", amount=200, fee=10, currency="CNY", occurred_at=NOON,
        looks=0, fetched=True,
    )  # fmt: skip
    return replace(made, **changed)  # type: ignore[arg-type]


def payment(object_id: str = "p1", **changed: object) -> Ours:
    row = uuid4()
    made = Ours("payment", row, f"pay_{object_id}", ACCOUNT, row, uuid4(), "held", object_id, 200, "CNY", NOON)
    return replace(made, **changed)  # type: ignore[arg-type]


def book_of(*ours: Ours) -> Book:
    book = Book()
    for one in ours:
        book.add(one)
    return book


def test_a_line_that_fits_says_so_on_both_sides() -> None:
    ours = payment()
    (verdict,) = judging.judge([line()], book_of(ours), PATIENCE, uuid4)
    assert verdict.pairing is not None
    made = judging.conclude(verdict.pairing, Agreed())
    assert (made.outcome, made.fee, made.questions) == ("matched", 10, ())
    assert (made.why["stated"]["amount"], made.why["booked"]["payment"]) == (200, "pay_p1")


@pytest.mark.parametrize(
    ("fee", "booked", "outcome"), [(9, 9, "matched"), (11, 11, "matched"), (12, 10, "fee_differs")]
)
def test_the_tolerance_is_the_contracts_own_and_exact(fee: int, booked: int, outcome: str) -> None:
    (verdict,) = judging.judge([line(fee=fee)], book_of(payment()), PATIENCE, uuid4)
    assert verdict.pairing is not None
    made = judging.conclude(verdict.pairing, Agreed())
    assert (made.fee, made.outcome) == (booked, outcome)


@pytest.mark.parametrize(
    ("looks", "fetched", "expected"),
    [(0, True, ("asked", MINUTE, False)), (1, True, ("asked", HOUR, False)), (2, True, ("asked", MINUTE, True)),
     (3, True, ("missing_in_books", None, False)), (2, False, ("missing_in_books", None, False))],
)  # fmt: skip
def test_an_unknown_line_is_asked_about_then_proved_by_what_we_fetched_then_a_question(
    looks: int, fetched: bool, expected: tuple[str, timedelta | None, bool]
) -> None:
    (verdict,) = judging.judge([line(looks=looks, fetched=fetched)], Book(), PATIENCE, uuid4)
    assert (verdict.outcome, verdict.again, verdict.proves) == expected
    assert (verdict.question is not None) == (verdict.outcome == "missing_in_books")


def test_its_provider_is_asked_about_our_intent_where_the_line_names_one() -> None:
    intent, book = uuid4(), Book()
    book.intents[intent] = ACCOUNT
    (verdict,) = judging.judge([line(reference=ids.public("int", intent))], book, PATIENCE, uuid4)
    assert verdict.ask is not None
    assert (verdict.ask.intent_id, verdict.ask.object_id) == (intent, "")
    (other,) = judging.judge([line(reference="not-ours")], book, PATIENCE, uuid4)
    assert other.ask is not None
    assert (other.ask.intent_id, other.ask.object_id) == (None, "p1")


def test_a_refund_waits_for_its_provider_while_it_is_only_asked_for() -> None:
    paid = payment()
    refund = Ours(
        "refund", uuid4(), "rfd_1", ACCOUNT, paid.id, paid.shop_id, "held", "r1", -50, "CNY", NOON, "requested"
    )
    stated = line(kind="refund", object_id="r1", parent_object_id="p1", amount=-50, fee=0)
    (verdict,) = judging.judge([stated], book_of(paid, refund), PATIENCE, uuid4)
    assert (verdict.outcome, verdict.again) == ("timing", HOUR)
    succeeded = replace(refund, state="succeeded")
    (verdict,) = judging.judge([stated], book_of(paid, succeeded), PATIENCE, uuid4)
    assert verdict.pairing is not None and verdict.pairing.ours == succeeded


NAMES = st.sampled_from(["p1", "p2", "p3", ""])
LINES: st.SearchStrategy[dict[str, object]] = st.builds(
    dict,
    object_id=NAMES,
    amount=st.sampled_from([50, 100, 150, 200, -200, 0]),
    currency=st.sampled_from(["CNY", "CNY", "CNY", "USD"]),
    kind=st.sampled_from(["payment", "payment", "payment", "refund", "fee", "payout", ""]),
    looks=st.integers(0, 4),
    fetched=st.booleans(),
    fee=st.integers(-3, 20),
)


@settings(max_examples=500, deadline=None)
@given(said=st.lists(LINES, max_size=8), order=st.randoms(use_true_random=False))
def test_every_line_has_one_verdict_and_every_thing_of_ours_one_pairing(said: list[dict[str, object]], order) -> None:  # type: ignore[no-untyped-def]
    lines = [line(number, **one) for number, one in enumerate(said, start=1)]
    order.shuffle(lines)
    book = book_of(payment("p1"), payment("p2"))

    verdicts = judging.judge(lines, book, PATIENCE, uuid4)

    assert Counter(verdict.line.id for verdict in verdicts) == Counter(one.id for one in lines)
    paired = [verdict for verdict in verdicts if verdict.pairing]
    assert all(bool(verdict.outcome) != bool(verdict.pairing) for verdict in verdicts)
    for pairing in book.pairings.values():
        of_it = [verdict.line for verdict in paired if verdict.pairing is pairing]
        assert sorted(one.id for one in of_it) == sorted(one.id for one in pairing.lines)
        assert pairing.amount == sum(one.amount for one in of_it)
        assert {one.currency for one in of_it} == {pairing.ours.currency}
        made = judging.conclude(pairing, Agreed())
        claimed = sum(q.details["stated"] - q.details["expected"] for q in made.questions if q.reason == "fee_differs")
        assert made.fee == sum(one.fee for one in of_it) - claimed
        assert (made.outcome == "matched") == (not made.questions)
    for verdict in verdicts:
        settled = verdict.again is None and not verdict.pairing
        assert not settled or verdict.question or verdict.outcome == "nothing"
