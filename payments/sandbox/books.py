"""The wallet's own books: orders, what was really paid on them, what was given back, and totals kept a second way.

Every function here runs inside the caller's transaction and takes the time as an argument. Amounts are integer minor
units. These books are the truth our product's books are compared with.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .behaviours import Timings, loaded, planned, stored, taken
from .events import tell
from .exchange import Refusal, invalid
from .store import moment, new_id


class BooksDisagree(Exception):
    """The totals kept with every movement differ from the sums of the movements: the wallet itself is wrong."""


@dataclass(frozen=True)
class Terms:
    """What a merchant asks for with an order. `amount` is in minor units of `currency`."""

    reference: str
    amount: int
    currency: str
    description: str
    return_url: str
    expires_at: datetime
    behaviours: frozenset[str]


def open_order(db: sqlite3.Connection, account: str, terms: Terms, now: datetime) -> tuple[sqlite3.Row, bool]:
    """Open an order; returns (order, whether it is new).

    The same reference with the same terms is the same order, asked for again; with other terms it is refused
    (409 `reference_taken`). An expiry that has passed is refused (422).
    """
    known = db.execute(
        "SELECT * FROM orders WHERE account = ? AND reference = ?", (account, terms.reference)
    ).fetchone()
    if known is not None:
        asked = (terms.amount, terms.currency, terms.return_url)
        if (known["amount"], known["currency"], known["return_url"]) != asked:
            raise Refusal(409, "reference_taken", "This reference already names an order with other terms.")
        return known, False
    if terms.expires_at <= now:
        raise invalid("expires_at", "must be in the future")
    order_id = new_id("wor", now)
    db.execute(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?)",
        (
            order_id,
            account,
            terms.reference,
            terms.amount,
            terms.currency,
            terms.description,
            terms.return_url,
            stored(terms.behaviours | planned(db)),
            moment(terms.expires_at),
            moment(now),
        ),
    )
    return order_row(db, order_id), True


def order_row(db: sqlite3.Connection, order_id: str) -> sqlite3.Row:
    """Find an order by its id; 404 `order_unknown`."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
    if row is None:
        raise Refusal(404, "order_unknown", "There is no such order.")
    return row


def order_referenced(db: sqlite3.Connection, account: str, reference: str) -> sqlite3.Row:
    """Find an account's order by its reference; 404 `order_unknown`."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM orders WHERE account = ? AND reference = ?", (account, reference)
    ).fetchone()
    if row is None:
        raise Refusal(404, "order_unknown", "There is no such order.")
    return row


def state_at(order: sqlite3.Row, now: datetime) -> str:
    """Return an order's state as anybody may be told it: an open order past its expiry is closed already."""
    expired = order["state"] == "open" and order["expires_at"] <= moment(now)
    return "closed" if expired else str(order["state"])


def is_paid(db: sqlite3.Connection, order_id: str) -> bool:
    """Return whether any payment was booked on an order, whatever its state."""
    return bool(_payments_of(db, order_id))


def approve(
    db: sqlite3.Connection, order_id: str, *, behaviours: frozenset[str], now: datetime, timings: Timings
) -> sqlite3.Row:
    """Book the payer's approval: the payment (two with `double`) and what is told of it.

    Approving a paid order again changes nothing. A refused order is refused again (409 `order_refused`), and so is a
    closed or expired one (409 `order_closed`), except with `late`: then the order is closed, if it was not, and the
    payment is booked on the closed order.
    """
    order = _closed_if_expired(db, order_row(db, order_id), now, timings)
    if order["state"] == "paid":
        return order
    behaviours |= loaded(order["behaviours"])
    late = "late" in behaviours
    if order["state"] == "refused":
        raise Refusal(409, "order_refused", "This payment was refused.")
    if order["state"] == "closed" and not late:
        raise Refusal(409, "order_closed", "This order is closed or has expired.")
    if late and order["state"] == "closed" and is_paid(db, order_id):
        return order
    db.execute("UPDATE orders SET behaviours = ? WHERE id = ?", (stored(behaviours), order_id))
    if late and order["state"] == "open":
        order = _set_state(db, order_id, "closed")
        tell(db, event_type="order.closed", order=order, now=now, timings=timings)
    order = order_row(db, order_id) if late else _set_state(db, order_id, "paid")
    for _ in range(2 if "double" in behaviours else 1):
        payment = _book_payment(db, order, behaviours, now)
        wait_s = timings.late_s if late else 0.0
        tell(db, event_type="payment.succeeded", order=order, payment=payment, now=now, timings=timings, wait_s=wait_s)
    return order


def refuse(db: sqlite3.Connection, order_id: str, *, now: datetime, timings: Timings) -> sqlite3.Row:
    """Book the payer's refusal; 409 `order_closed` or `order_paid` when it is too late for one."""
    order = _closed_if_expired(db, order_row(db, order_id), now, timings)
    if order["state"] == "open":
        order = _set_state(db, order_id, "refused")
        tell(db, event_type="payment.failed", order=order, now=now, timings=timings)
    elif order["state"] != "refused":
        raise Refusal(409, f"order_{order['state']}", f"This order is {order['state']} already.")
    return order


def close(db: sqlite3.Connection, order: sqlite3.Row, *, now: datetime, timings: Timings) -> sqlite3.Row:
    """Close an order for its merchant; one that was paid stays paid, one that is closed stays closed."""
    if order["state"] in ("paid", "closed"):
        return order
    order = _set_state(db, order["id"], "closed")
    tell(db, event_type="order.closed", order=order, now=now, timings=timings)
    return order


def ask_refund(
    db: sqlite3.Connection,
    *,
    account: str,
    payment_id: str,
    reference: str,
    amount: int,
    now: datetime,
    timings: Timings,
) -> tuple[sqlite3.Row, bool]:
    """Begin a refund of a payment; returns (refund, whether it is new).

    All refunds of a payment that have not failed never exceed it (409 `refund_too_large`). The same reference with
    the same terms is the same refund; with other terms it is refused (409 `reference_taken`).
    """
    payment = db.execute("SELECT * FROM payments WHERE id = ? AND account = ?", (payment_id, account)).fetchone()
    if payment is None:
        raise Refusal(404, "payment_unknown", "There is no such payment.")
    known = db.execute("SELECT * FROM refunds WHERE account = ? AND reference = ?", (account, reference)).fetchone()
    if known is not None:
        if (known["payment_id"], known["amount"]) != (payment_id, amount):
            raise Refusal(409, "reference_taken", "This reference already names another refund.")
        return known, False
    given: int = db.execute(
        "SELECT coalesce(sum(amount), 0) FROM refunds WHERE payment_id = ? AND state != 'failed'", (payment_id,)
    ).fetchone()[0]
    if given + amount > payment["amount"]:
        raise Refusal(409, "refund_too_large", f"Of this payment {payment['amount'] - given} can be refunded.")
    refund_id = new_id("wrf", now)
    due_at = (now + timedelta(seconds=timings.refund_s)).timestamp()
    db.execute(
        "INSERT INTO refunds VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, NULL)",
        (
            refund_id,
            account,
            payment_id,
            payment["order_id"],
            reference,
            amount,
            payment["currency"],
            due_at,
            moment(now),
        ),
    )
    return db.execute("SELECT * FROM refunds WHERE id = ?", (refund_id,)).fetchone(), True


def refund_referenced(db: sqlite3.Connection, account: str, reference: str) -> sqlite3.Row:
    """Find an account's refund by its reference; 404 `refund_unknown`."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM refunds WHERE account = ? AND reference = ?", (account, reference)
    ).fetchone()
    if row is None:
        raise Refusal(404, "refund_unknown", "There is no such refund.")
    return row


def settle_refunds(db: sqlite3.Connection, *, now: datetime, timings: Timings, limit: int = 200) -> int:
    """Let the pending refunds that are due succeed, or fail where `refund_fail` wants it; returns how many."""
    due = db.execute(
        "SELECT refunds.*, refunds_fail FROM refunds JOIN payments ON payments.id = payment_id"
        " WHERE state = 'pending' AND due_at <= ? ORDER BY due_at LIMIT ?",
        (now.timestamp(), limit),
    ).fetchall()
    for row in due:
        state = "failed" if row["refunds_fail"] else "succeeded"
        db.execute("UPDATE refunds SET state = ?, occurred_at = ? WHERE id = ?", (state, moment(now), row["id"]))
        if state == "succeeded":
            _add_to_totals(db, row["account"], row["currency"], refunded=row["amount"])
        refund = {**refund_shape(row), "state": state, "settled_at": moment(now)}
        payment = payment_shape(db.execute("SELECT * FROM payments WHERE id = ?", (row["payment_id"],)).fetchone())
        order = order_row(db, row["order_id"])
        tell(db, event_type=f"refund.{state}", order=order, payment=payment, refund=refund, now=now, timings=timings)
    return len(due)


def close_expired(db: sqlite3.Connection, *, now: datetime, timings: Timings, limit: int = 200) -> int:
    """Close the open orders whose time has passed and tell of it; returns how many."""
    due = db.execute(
        "SELECT * FROM orders WHERE state = 'open' AND expires_at <= ? ORDER BY expires_at LIMIT ?",
        (moment(now), limit),
    ).fetchall()
    for order in due:
        close(db, order, now=now, timings=timings)
    return len(due)


def order_shape(db: sqlite3.Connection, order: sqlite3.Row, *, pay_url_base: str, now: datetime) -> dict[str, Any]:
    """Return an order as the API shows it, with its payments and refunds."""
    refunds = db.execute("SELECT * FROM refunds WHERE order_id = ? ORDER BY id", (order["id"],))
    return {
        "id": order["id"],
        "reference": order["reference"],
        "account": order["account"],
        "amount": order["amount"],
        "currency": order["currency"],
        "state": state_at(order, now),
        "pay_url": f"{pay_url_base}/pay/{order['id']}",
        "payments": [payment_shape(row) for row in _payments_of(db, order["id"])],
        "refunds": [refund_shape(row) for row in refunds],
        "expires_at": order["expires_at"],
        "created_at": order["created_at"],
    }


def payment_shape(row: sqlite3.Row) -> dict[str, Any]:
    """Return a payment as the API and the events show it."""
    shown = {name: row[name] for name in ("id", "order_id", "reference", "amount", "currency")}
    return {**shown, "state": "succeeded", "occurred_at": row["occurred_at"]}


def refund_shape(row: Mapping[str, Any] | sqlite3.Row) -> dict[str, Any]:
    """Return a refund as the API shows it."""
    names = ("id", "reference", "payment_id", "amount", "currency", "state", "created_at")
    return {**{name: row[name] for name in names}, "settled_at": row["occurred_at"]}


def whole_books(db: sqlite3.Connection) -> dict[str, Any]:
    """Return {accounts: {id: {currency: {received, refunded, net}}}, payments, refunds}: everything that moved.

    The sums of the movements are compared with the totals kept along the way; `BooksDisagree` if they differ.
    """
    summed: dict[tuple[str, str], list[int]] = {}
    payments = db.execute("SELECT * FROM payments ORDER BY id").fetchall()
    refunds = db.execute("SELECT * FROM refunds ORDER BY id").fetchall()
    for row in payments:
        summed.setdefault((row["account"], row["currency"]), [0, 0])[0] += row["amount"]
    for row in refunds:
        if row["state"] == "succeeded":
            summed[row["account"], row["currency"]][1] += row["amount"]
    kept = {(row["account"], row["currency"]): [row["received"], row["refunded"]] for row in _totals(db)}
    if kept != summed:
        raise BooksDisagree(f"kept {kept}, summed {summed}")
    accounts: dict[str, dict[str, dict[str, int]]] = {
        row["account"]: {} for row in db.execute("SELECT account FROM accounts ORDER BY account")
    }
    for (account, currency), (received, refunded) in sorted(summed.items()):
        accounts[account][currency] = {"received": received, "refunded": refunded, "net": received - refunded}
    return {
        "accounts": accounts,
        "payments": [{**payment_shape(row), "account": row["account"]} for row in payments],
        "refunds": [{**refund_shape(row), "account": row["account"]} for row in refunds],
    }


def _totals(db: sqlite3.Connection) -> list[sqlite3.Row]:
    return db.execute("SELECT * FROM totals").fetchall()


def _payments_of(db: sqlite3.Connection, order_id: str) -> list[sqlite3.Row]:
    return db.execute("SELECT * FROM payments WHERE order_id = ? ORDER BY id", (order_id,)).fetchall()


def _closed_if_expired(db: sqlite3.Connection, order: sqlite3.Row, now: datetime, timings: Timings) -> sqlite3.Row:
    expired = state_at(order, now) != order["state"]
    return close(db, order, now=now, timings=timings) if expired else order


def _set_state(db: sqlite3.Connection, order_id: str, state: str) -> sqlite3.Row:
    db.execute("UPDATE orders SET state = ? WHERE id = ?", (state, order_id))
    return order_row(db, order_id)


def _book_payment(
    db: sqlite3.Connection, order: sqlite3.Row, behaviours: frozenset[str], now: datetime
) -> dict[str, Any]:
    amount, currency = taken(order["amount"], order["currency"], behaviours, order["id"])
    payment_id = new_id("wpy", now)
    db.execute(
        "INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            payment_id,
            order["account"],
            order["id"],
            order["reference"],
            amount,
            currency,
            "refund_fail" in behaviours,
            moment(now),
        ),
    )
    _add_to_totals(db, order["account"], currency, received=amount)
    return payment_shape(db.execute("SELECT * FROM payments WHERE id = ?", (payment_id,)).fetchone())


def _add_to_totals(
    db: sqlite3.Connection, account: str, currency: str, *, received: int = 0, refunded: int = 0
) -> None:
    # UPDATE comes first: the CHECK on a row proposed by INSERT would refuse a refund before it could be added.
    changed = db.execute(
        "UPDATE totals SET received = received + ?, refunded = refunded + ? WHERE account = ? AND currency = ?",
        (received, refunded, account, currency),
    ).rowcount
    if changed == 0:
        db.execute("INSERT INTO totals VALUES (?, ?, ?, ?)", (account, currency, received, refunded))
