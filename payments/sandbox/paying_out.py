"""The wallet's bank: payouts taken on, then paid, failed or returned; and whose the accounts elsewhere are.

Every function here runs inside the caller's transaction and takes the time as an argument.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Any

from .behaviours import Timings, loaded, planned, stored
from .exchange import Refusal
from .store import moment, new_id

CLOSE = 0.75  # From this likeness on a name is close to another.


@dataclass(frozen=True)
class Order:
    """What a merchant asks to be paid. `amount` is in minor units of `currency`."""

    reference: str
    amount: int
    currency: str
    account_number: str
    bank_code: str
    holder: str
    behaviours: frozenset[str]


def take_on(
    db: sqlite3.Connection, account: str, order: Order, now: datetime, timings: Timings
) -> tuple[sqlite3.Row, bool]:
    """Take a payout on; returns (payout, whether it is new).

    The same reference with the same terms is the same payout, asked for again; with other terms it is refused
    (409 `reference_taken`).
    """
    known = db.execute(
        "SELECT * FROM payouts WHERE account = ? AND reference = ?", (account, order.reference)
    ).fetchone()
    if known is not None:
        asked = (order.amount, order.currency, order.account_number, order.holder)
        if (known["amount"], known["currency"], known["account_number"], known["holder"]) != asked:
            raise Refusal(409, "reference_taken", "This reference already names a payout with other terms.")
        return known, False
    db.execute(
        "INSERT INTO payouts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', '', ?, ?, NULL)",
        (
            new_id("wpo", now),
            account,
            order.reference,
            order.amount,
            order.currency,
            order.account_number,
            order.bank_code,
            order.holder,
            stored(order.behaviours | planned(db)),
            (now + timedelta(seconds=timings.payout_s)).timestamp(),
            moment(now),
        ),
    )
    return payout_referenced(db, account, order.reference), True


def payout_referenced(db: sqlite3.Connection, account: str, reference: str) -> sqlite3.Row:
    """Find an account's payout by its reference; 404 `payout_unknown`."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM payouts WHERE account = ? AND reference = ?", (account, reference)
    ).fetchone()
    if row is None:
        raise Refusal(404, "payout_unknown", "There is no such payout.")
    return row


def settle_payouts(db: sqlite3.Connection, *, now: datetime, timings: Timings, limit: int = 200) -> int:
    """Let the payouts that are due be paid, fail or come back; returns how many."""
    due = db.execute(
        "SELECT * FROM payouts WHERE due_at <= ? ORDER BY due_at LIMIT ?", (now.timestamp(), limit)
    ).fetchall()
    for row in due:
        state, failure, again = _settled(db, row, now, timings)
        db.execute(
            "UPDATE payouts SET state = ?, failure = ?, due_at = ?, settled_at = ? WHERE id = ?",
            (state, failure, again, moment(now), row["id"]),
        )
    return len(due)


def held_by(db: sqlite3.Connection, account_number: str, holder: str) -> str:
    """Say how a name fits an account's holder: match, close, no_match, or unknown where the account is."""
    row = db.execute("SELECT holder FROM payees WHERE account_number = ?", (account_number,)).fetchone()
    if row is None:
        return "unknown"
    ours, theirs = (" ".join(name.casefold().split()) for name in (row["holder"], holder))
    if ours == theirs:
        return "match"
    return "close" if SequenceMatcher(None, ours, theirs).ratio() >= CLOSE else "no_match"


def payout_shape(row: sqlite3.Row) -> dict[str, Any]:
    """Return a payout as the API shows it."""
    names = ("id", "reference", "amount", "currency", "state", "failure", "created_at", "settled_at")
    return {name: row[name] for name in names}


def _settled(
    db: sqlite3.Connection, row: sqlite3.Row, now: datetime, timings: Timings
) -> tuple[str, str, float | None]:
    """Decide what becomes of a payout that is due: its state, why it failed, and when it is due again."""
    behaviours = loaded(row["behaviours"])
    if row["state"] == "paid":
        return "returned", "account_closed", None
    if "payout_fail" in behaviours:
        return "failed", "account_closed", None
    other_name = held_by(db, row["account_number"], row["holder"]) == "no_match"
    if "payout_wrong_name" in behaviours or other_name:
        return "failed", "name_differs", None
    back = (now + timedelta(seconds=timings.return_s)).timestamp() if "payout_return" in behaviours else None
    return "paid", "", back
