"""The wallet notices when its own books contradict themselves, and forgets only what it may."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from payments.sandbox.behaviours import Timings
from payments.sandbox.books import BooksDisagree, Terms, approve, ask_refund, open_order, whole_books
from payments.sandbox.clerk import make_round
from payments.sandbox.exchange import Refusal
from payments.sandbox.store import Store
from tests.sandbox.pretend_shop import Shop, Wallet

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMS = Terms("r-1", 200, "CNY", "Apples", "https://shop.example/", NOW + timedelta(minutes=5), frozenset())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The books of a wallet with one account, opened in this process."""
    opened = Store(tmp_path / "books.sqlite3")
    with opened.writing() as db:
        db.execute("INSERT INTO accounts VALUES ('fruit', 'hash', 'whsec_', 'http://127.0.0.1/', '2026')")
    return opened


def test_totals_kept_along_the_way_are_compared_with_the_movements(store: Store) -> None:
    with store.writing() as db:
        order, _ = open_order(db, "fruit", TERMS, NOW)
        approve(db, order["id"], behaviours=frozenset(), now=NOW, timings=Timings())
        assert whole_books(db)["accounts"] == {"fruit": {"CNY": {"received": 200, "refunded": 0, "net": 200}}}
        db.execute("UPDATE payments SET amount = 201")
        with pytest.raises(BooksDisagree):
            whole_books(db)


def test_books_that_disagree_are_answered_as_an_error(own_wallet: Wallet, new_shop: Callable[[Wallet], Shop]) -> None:
    new_shop(own_wallet).paid("honest")
    with sqlite3.connect(own_wallet.database) as thief:
        thief.execute("UPDATE totals SET received = received - 1")
    thief.close()
    reply = own_wallet.control("GET", "/books")
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "books_disagree")


def test_a_round_closes_what_expired_settles_what_is_due_and_forgets_old_answers(store: Store) -> None:
    with store.writing() as db:
        paid, _ = open_order(db, "fruit", TERMS, NOW)
        approve(db, paid["id"], behaviours=frozenset(), now=NOW, timings=Timings())
        payment_id = db.execute("SELECT id FROM payments").fetchone()["id"]
        asked = {"account": "fruit", "payment_id": payment_id, "now": NOW, "timings": Timings()}
        ask_refund(db, reference="back", amount=200, **asked)
        with pytest.raises(Refusal, match="0 can be refunded"):
            ask_refund(db, reference="more", amount=1, **asked)
        open_order(db, "fruit", Terms(**{**vars(TERMS), "reference": "r-2"}), NOW)
        db.execute("INSERT INTO kept_answers VALUES ('fruit', 'k', 'f', 200, x'', '2026-03-01T12:00:00.000000Z')")

    def standing() -> tuple[str, str, int]:
        with store.reading() as db:
            refund = db.execute("SELECT state FROM refunds").fetchone()["state"]
            order = db.execute("SELECT state FROM orders WHERE reference = 'r-2'").fetchone()["state"]
            return refund, order, db.execute("SELECT count(*) FROM kept_answers").fetchone()[0]

    make_round(store, NOW + timedelta(milliseconds=199), Timings())
    assert standing() == ("pending", "open", 1)
    make_round(store, NOW + timedelta(milliseconds=200), Timings())
    assert standing() == ("succeeded", "open", 1)
    make_round(store, NOW + timedelta(minutes=5), Timings())
    assert standing() == ("succeeded", "closed", 1)
    make_round(store, NOW + timedelta(days=7), Timings())
    assert standing() == ("succeeded", "closed", 1)
    make_round(store, NOW + timedelta(days=7, seconds=1), Timings())
    assert standing() == ("succeeded", "closed", 0)
