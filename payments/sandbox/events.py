"""What the wallet has to tell a merchant: events and their deliveries, written in the transaction they tell of."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from .behaviours import Timings, loaded
from .store import moment, new_id

COPIES = 3  # What `duplicate` and `duplicate_new_id` make of one event.


def tell(
    db: sqlite3.Connection,
    *,
    event_type: str,
    order: sqlite3.Row,
    payment: Mapping[str, Any] | None = None,
    refund: Mapping[str, Any] | None = None,
    now: datetime,
    timings: Timings,
    wait_s: float = 0.0,
) -> list[str]:
    """Write an event about an order, and how it will go out, as the order's behaviours want it; returns event ids."""
    behaviours = loaded(order["behaviours"])
    ids = []
    for _ in range(COPIES if "duplicate_new_id" in behaviours else 1):
        event_id, number = _write_event(
            db,
            event_type=event_type,
            account=order["account"],
            data=event_data(order, payment, refund),
            lost="lose" in behaviours,
            now=now,
        )
        ids.append(event_id)
        if "lose" in behaviours:
            continue
        wait = wait_s + (timings.delay_s if "delay" in behaviours else 0.0)
        held = "reorder" in behaviours and not _something_is_held(db, order["account"])
        wait += timings.reorder_s if held else 0.0
        copies = COPIES if "duplicate" in behaviours else 1
        due = now + timedelta(seconds=wait)
        for _ in range(copies):
            _write_delivery(db, number, order["account"], held=held, now=now, due=due)
        if "forge" in behaviours:
            _write_delivery(db, number, order["account"], forged=True, now=now, due=now)
    return ids


def forge(db: sqlite3.Connection, *, event_type: str, account: str, data: dict[str, Any], now: datetime) -> str:
    """Write an event that never happened, to be sent once with a wrong signature; returns its id."""
    event_id, number = _write_event(db, event_type=event_type, account=account, data=data, lost=False, now=now)
    _write_delivery(db, number, account, forged=True, now=now, due=now)
    return event_id


def event_data(
    order: Mapping[str, Any] | sqlite3.Row,
    payment: Mapping[str, Any] | None,
    refund: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return an event's `data`: the order, and the payment and refund it is about, or null."""
    return {
        "order": {name: order[name] for name in ("id", "reference", "amount", "currency", "state")},
        "payment": payment,
        "refund": refund and {name: refund[name] for name in refund if name != "created_at"},
    }


def history(db: sqlite3.Connection, account: str, after: int, limit: int) -> dict[str, Any]:
    """Return {events, next}: an account's events (all accounts' when empty) with every attempt, oldest first."""
    rows = db.execute(
        "SELECT * FROM events WHERE (account = ?1 OR ?1 = '') AND number > ?2 ORDER BY number LIMIT ?3",
        (account, after, limit),
    ).fetchall()
    return {
        "events": [_event_with_attempts(db, row) for row in rows],
        "next": rows[-1]["number"] if len(rows) == limit else None,
    }


def _write_event(
    db: sqlite3.Connection, *, event_type: str, account: str, data: dict[str, Any], lost: bool, now: datetime
) -> tuple[str, int]:
    event_id = new_id("evt", now)
    body = {"id": event_id, "type": event_type, "account": account, "occurred_at": moment(now), "data": data}
    number = db.execute(
        "INSERT INTO events (id, account, reference, type, body, occurred_at, lost) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            event_id,
            account,
            data["order"]["reference"],
            event_type,
            json.dumps(body, separators=(",", ":")),
            moment(now),
            lost,
        ),
    ).lastrowid
    assert number is not None
    return event_id, number


def _write_delivery(
    db: sqlite3.Connection,
    event: int,
    account: str,
    *,
    held: bool = False,
    forged: bool = False,
    now: datetime,
    due: datetime,
) -> None:
    db.execute(
        "INSERT INTO deliveries (event, account, forged, held, created_at, due_at, tries, state)"
        " VALUES (?, ?, ?, ?, ?, ?, 0, 'waiting')",
        (event, account, forged, held, now.timestamp(), due.timestamp()),
    )


def _something_is_held(db: sqlite3.Connection, account: str) -> bool:
    # Events that are to be reordered swap in pairs: were the second held as well, each would wait for the other.
    held = "SELECT 1 FROM deliveries WHERE account = ? AND held = 1"
    return db.execute(held, (account,)).fetchone() is not None


def _event_with_attempts(db: sqlite3.Connection, event: sqlite3.Row) -> dict[str, Any]:
    deliveries = db.execute("SELECT * FROM deliveries WHERE event = ? ORDER BY id", (event["number"],)).fetchall()
    attempts = db.execute(
        "SELECT attempts.*, forged FROM attempts JOIN deliveries ON deliveries.id = delivery WHERE event = ?"
        " ORDER BY attempts.id",
        (event["number"],),
    )
    return {
        "id": event["id"],
        "number": event["number"],
        "type": event["type"],
        "account": event["account"],
        "reference": event["reference"],
        "occurred_at": event["occurred_at"],
        "lost": bool(event["lost"]),
        "body": json.loads(event["body"]),
        "deliveries": [
            {"state": row["state"], "forged": bool(row["forged"]), "tries": row["tries"], "due_at": row["due_at"]}
            for row in deliveries
        ],
        "attempts": [
            {
                "time": row["at"],
                "status": row["status"],
                "error": row["error"],
                "forged": bool(row["forged"]),
                "took_ms": row["took_ms"],
            }
            for row in attempts
        ],
    }
