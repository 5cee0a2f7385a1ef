"""What tests, demonstrations and set-up may ask with the control key: accounts, misbehaviour, the truth."""

import binascii
import hmac
import sqlite3
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook

from . import books, events, settlement
from .behaviours import behaviours_of, end_plan, put_plan
from .exchange import (
    Answer,
    Refusal,
    Request,
    amount_of,
    currency_of,
    invalid,
    json_answer,
    reference_of,
    text_of,
    url_of,
)
from .merchant import api_key_hash
from .office import Office
from .store import moment, new_id

MOST_APPROVALS = 1000
MOST_EVENTS = 1000
EVENT_TYPES = ("payment.succeeded", "payment.failed", "order.closed", "refund.succeeded", "refund.failed")


def put_account(office: Office, request: Request, now: datetime, account: str) -> Answer:
    """`PUT /control/accounts/{account}` {api_key, webhook_secret, notify_url} → 200; again to change any of them."""
    authorise(office, request)
    values = request.json()
    api_key, secret = text_of(values, "api_key"), text_of(values, "webhook_secret")
    notify_url = url_of(values, "notify_url")
    if len(api_key) < 16:
        raise invalid("api_key", "must have at least 16 characters")
    _check_secret(secret)
    with office.store.writing() as db:
        try:
            db.execute(
                "INSERT INTO accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET"
                " api_key_hash = excluded.api_key_hash, webhook_secret = excluded.webhook_secret,"
                " notify_url = excluded.notify_url",
                (account, api_key_hash(api_key), secret, notify_url, moment(now)),
            )
        except sqlite3.IntegrityError:
            raise Refusal(409, "api_key_taken", "Another account has this API key.") from None
    return json_answer(200, {"account": account, "notify_url": notify_url})


def put_terms(office: Office, request: Request, now: datetime, account: str) -> Answer:
    """`PUT /control/accounts/{account}/terms` {fee_ppm, bank_account?} → 200: what later looks at its days find.

    `fee_ppm` is what is kept of every payment, in millionths (6000 is 0.6 %), half a minor unit and more counting as
    one; `bank_account` is the number of the account into which it is paid.
    """
    authorise(office, request)
    values = request.json()
    fee_ppm, bank_account = values.get("fee_ppm", 0), text_of(values, "bank_account", "")
    if isinstance(fee_ppm, bool) or not isinstance(fee_ppm, int) or not 0 <= fee_ppm <= settlement.MILLION:
        raise invalid("fee_ppm", "must be a whole number of millionths")
    with office.store.writing() as db:
        if db.execute("SELECT 1 FROM accounts WHERE account = ?", (account,)).fetchone() is None:
            raise Refusal(404, "account_unknown", "There is no such account.")
        db.execute("INSERT OR REPLACE INTO terms VALUES (?, ?, ?)", (account, fee_ppm, bank_account))
    return json_answer(200, {"account": account, "fee_ppm": fee_ppm, "bank_account": bank_account})


def put_misbehaviour(office: Office, request: Request, now: datetime) -> Answer:
    """`PUT /control/plan` {seed, rates} → 200: later orders draw their behaviours from it."""
    authorise(office, request)
    with office.store.writing() as db:
        return json_answer(200, put_plan(db, request.json()))


def end_misbehaviour(office: Office, request: Request, now: datetime) -> Answer:
    """`DELETE /control/plan` → 204."""
    authorise(office, request)
    with office.store.writing() as db:
        end_plan(db)
    return Answer(204)


def get_books(office: Office, request: Request, now: datetime) -> Answer:
    """`GET /control/books` → the wallet's own truth; 500 `books_disagree` if it contradicts itself."""
    authorise(office, request)
    with office.store.reading() as db:
        try:
            return json_answer(200, books.whole_books(db))
        except books.BooksDisagree as problem:
            raise Refusal(500, "books_disagree", str(problem)) from problem


def get_deliveries(office: Office, request: Request, now: datetime) -> Answer:
    """`GET /control/deliveries?account=&after=&limit=` → {events, next}, oldest first, each with its attempts."""
    authorise(office, request)
    account = request.query.get("account", [""])[0]
    after, limit = _number(request, "after", 0), _number(request, "limit", MOST_EVENTS)
    with office.store.reading() as db:
        return json_answer(200, events.history(db, account, after, max(1, min(limit, MOST_EVENTS))))


def approve_orders(office: Office, request: Request, now: datetime) -> Answer:
    """`POST /control/approve` {reference | references, account?, behaviour?} → {orders, refused}, in one transaction.

    References are an account's own: without `account`, one that several accounts use is refused
    (`reference_ambiguous`).
    """
    authorise(office, request)
    values = request.json()
    asked = values.get("references", [values.get("reference")])
    if not isinstance(asked, list) or not 1 <= len(asked) <= MOST_APPROVALS:
        raise invalid("references", f"must be a list of 1 to {MOST_APPROVALS} references")
    references = [reference_of({"references": reference}, "references") for reference in asked]
    account, behaviours = text_of(values, "account", ""), behaviours_of(values)
    orders, refused = [], []
    with office.store.writing() as db:
        for reference in references:
            try:
                order_id = _order_id(db, reference, account)
                order = books.approve(db, order_id, behaviours=behaviours, now=now, timings=office.timings)
                orders.append(office.order_shape(db, order, now))
            except Refusal as refusal:
                refused.append({"reference": reference, "code": refusal.code})
    return json_answer(200, {"orders": orders, "refused": refused})


def forge(office: Office, request: Request, now: datetime) -> Answer:
    """`POST /control/forge` {account, reference?, amount?, currency?, type?} → 202 {id}.

    Sends a notification of something that never happened, signed with a wrong secret. With the reference of a real
    order it claims that this order was paid; the wallet's books stay as they are.
    """
    authorise(office, request)
    values = request.json()
    account, event_type = text_of(values, "account"), text_of(values, "type", "payment.succeeded")
    if event_type not in EVENT_TYPES:
        raise invalid("type", f"must be one of {', '.join(EVENT_TYPES)}")
    with office.store.writing() as db:
        if db.execute("SELECT 1 FROM accounts WHERE account = ?", (account,)).fetchone() is None:
            raise Refusal(404, "account_unknown", "There is no such account.")
        data = _forged_data(db, account, event_type, values, now)
        event_id = events.forge(db, event_type=event_type, account=account, data=data, now=now)
    return json_answer(202, {"id": event_id})


def authorise(office: Office, request: Request) -> None:
    if not hmac.compare_digest(request.bearer().encode(), office.control_key.encode()):
        raise Refusal(401, "unauthorized", "This is not the control key.")


def _check_secret(secret: str) -> None:
    """Refuse a webhook secret that Standard Webhooks would not allow: `whsec_` and base64 of 24 to 64 bytes."""
    rule = "must be whsec_ and the base64 of 24 to 64 bytes"
    if not secret.startswith("whsec_"):
        raise invalid("webhook_secret", rule)
    try:
        key = binascii.a2b_base64(secret.removeprefix("whsec_") + "==", strict_mode=False)
        Webhook(secret)
    except (binascii.Error, ValueError, RuntimeError):
        raise invalid("webhook_secret", rule) from None
    if not 24 <= len(key) <= 64:
        raise invalid("webhook_secret", rule)


def _number(request: Request, name: str, default: int) -> int:
    value = request.query.get(name, [str(default)])[0]
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise invalid(name, "must be a whole number")
    return int(value)


def _order_id(db: sqlite3.Connection, reference: str, account: str) -> str:
    found = db.execute(
        "SELECT id FROM orders WHERE reference = ?1 AND (account = ?2 OR ?2 = '')", (reference, account)
    ).fetchall()
    if not found:
        raise Refusal(404, "order_unknown", "There is no such order.")
    if len(found) > 1:
        raise Refusal(409, "reference_ambiguous", "Several accounts have this reference: name the account.")
    return str(found[0]["id"])


def _forged_data(
    db: sqlite3.Connection, account: str, event_type: str, values: dict[str, Any], now: datetime
) -> dict[str, Any]:
    claims = {"amount": 100, "currency": "CNY", "reference": f"forged-{now.timestamp():.0f}", **values}
    order: dict[str, Any] = {
        "id": new_id("wor", now),
        "reference": reference_of(claims),
        "amount": amount_of(claims),
        "currency": currency_of(claims),
    }
    known = db.execute(
        "SELECT * FROM orders WHERE account = ? AND reference = ?", (account, order["reference"])
    ).fetchone()
    if known is not None:
        order = {name: known[name] for name in order} | {name: values[name] for name in order if name in values}
    order["state"] = "closed" if event_type == "order.closed" else "paid"
    payment = {
        "id": new_id("wpy", now),
        "order_id": order["id"],
        "reference": order["reference"],
        "amount": order["amount"],
        "currency": order["currency"],
        "state": "succeeded",
        "occurred_at": moment(now),
    }
    refund = {
        "id": new_id("wrf", now),
        "reference": f"{order['reference'][:90]}-refund",
        "payment_id": payment["id"],
        "amount": order["amount"],
        "currency": order["currency"],
        "state": event_type.removeprefix("refund."),
    }
    return events.event_data(
        order,
        payment if event_type != "order.closed" else None,
        refund if event_type.startswith("refund.") else None,
    )
