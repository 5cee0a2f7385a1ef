"""The ends of payouts as a law: any words in any order, and the shop's money is neither lost nor doubled."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchants.models import Notice
from payments import chart
from payments.chart import Movement, PayoutSubject
from payments.models import LedgerEntry, Payout
from payments.payouts import outcomes
from payments.payouts.endings import Word, ending
from tests.cast import Person
from tests.payday import earn, monday, our_bank, proved, released, terms
from tests.till import assert_books_hold, platform, total

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
SUBJECT = PayoutSubject(uuid4(), uuid4(), 200, "CNY")
# What a bank can really have done, and every word with which it can tell of it.
TRUTHS: dict[str, tuple[Word, ...]] = {"paid": ("paid",), "failed": ("failed",), "returned": ("paid", "returned")}
STEPS = {
    "asked_again": lambda: chart.payout_asked(SUBJECT, NOON, again=True),
    "paid": lambda: chart.payout_paid(SUBJECT, NOON),
    "failed": lambda: chart.payout_failed(SUBJECT, NOON),
    "returned": lambda: chart.payout_returned(SUBJECT, NOON),
}


def told(words: list[Word], state: str = "sent") -> tuple[str, dict[str, int]]:
    """The state after these words, and what stands in each kind of account; each movement is posted once."""
    book: dict[str, Movement] = {}
    asked = chart.payout_asked(SUBJECT, NOON)
    book[asked.key] = asked
    for word in words:
        found = ending(state, word)
        if found is not None:
            state = found.state
            for step in found.steps:
                movement = STEPS[step]()
                assert movement.key not in book, "a movement of another time would be lost"
                book[movement.key] = movement
    stands = {"shop_available": 200, "payouts_in_flight": 0, "bank": 0}
    for movement in book.values():
        stands[movement.debit.kind] -= movement.amount
        stands[movement.credit.kind] += movement.amount
    return state, stands


@settings(max_examples=500)
@given(data=st.data(), truth=st.sampled_from(sorted(TRUTHS)), begins=st.sampled_from(["prepared", "sent"]))
def test_every_order_of_true_words_ends_with_the_truth(data: st.DataObject, truth: str, begins: str) -> None:
    words = TRUTHS[truth]
    heard = data.draw(st.lists(st.sampled_from(words), max_size=8))
    said = data.draw(st.permutations([*heard, *words]))
    state, stands = told(list(said), begins)
    assert state == truth
    gone = 200 if truth == "paid" else 0
    assert stands == {"shop_available": 200 - gone, "payouts_in_flight": 0, "bank": gone}


@settings(max_examples=500)
@given(words=st.lists(st.sampled_from(["paid", "failed", "returned"]), max_size=12))
def test_whatever_is_said_even_lies_the_money_is_in_one_place(words: list[Word]) -> None:
    state, stands = told(words)
    assert sum(stands.values()) == 200
    assert stands["bank"] == (200 if state == "paid" else 0)
    assert stands["payouts_in_flight"] == (200 if state == "sent" else 0)


@pytest.fixture
def payout(mei: Person) -> Payout:
    platform()
    terms()
    our_bank()
    proved(mei, now=monday(9))
    earn(mei, 200, at=monday(12))
    return released(monday(1, days=1))


@pytest.mark.parametrize("words", [["paid"], ["paid", "paid"], ["returned", "paid"], ["failed", "failed", "returned"]])
def test_words_on_the_real_tables_come_to_the_same_and_a_repeated_one_tells_nobody(
    mei: Person, payout: Payout, words: list[Word]
) -> None:
    notices = []
    for word in words:
        before = Notice.objects.count()
        outcomes.end(payout_id=payout.id, word=word, at=monday(12, days=1), now=monday(12, days=1), failure="why")
        notices.append(Notice.objects.count() - before)
    state, stands = told(words)
    payout.refresh_from_db()
    assert payout.state == state
    found = {kind: total(kind, shop=mei.shop) for kind in ("shop_available", "payouts_in_flight")}
    assert {**found, "bank": total("bank")} == stands
    assert sum(notices) == 1
    assert_books_hold()


def test_each_movement_names_its_payout(payout: Payout) -> None:
    outcomes.end(payout_id=payout.id, word="paid", at=monday(12, days=1), now=monday(12, days=1))
    entries = LedgerEntry.objects.filter(kind__startswith="payout_")
    assert set(entries.values_list("cause_id", "shop_id")) == {(payout.id, payout.shop_id)}
