"""What a merchant may ask of the wallet with its API key: orders, refunds, the settlement of a day."""

import hashlib
import sqlite3
from collections.abc import Callable
from datetime import datetime

from . import bank_statement, books
from .behaviours import behaviours_of
from .exchange import (
    Answer,
    Refusal,
    Request,
    amount_of,
    currency_of,
    json_answer,
    moment_of,
    reference_of,
    text_of,
    url_of,
)
from .office import Office
from .settlement import day_of, settlement
from .store import moment

Effect = Callable[[sqlite3.Connection, str], Answer]


def create_order(office: Office, request: Request, now: datetime) -> Answer:
    """`POST /v1/orders` → 201, or 200 with the order this reference already names."""
    values = request.json()
    terms = books.Terms(
        reference=reference_of(values),
        amount=amount_of(values),
        currency=currency_of(values),
        description=text_of(values, "description", ""),
        return_url=url_of(values, "return_url"),
        expires_at=moment_of(values, "expires_at"),
        behaviours=behaviours_of(values),
    )

    def effect(db: sqlite3.Connection, account: str) -> Answer:
        order, new = books.open_order(db, account, terms, now)
        return json_answer(201 if new else 200, office.order_shape(db, order, now))

    return once(office, request, now, effect)


def get_order(office: Office, request: Request, now: datetime, reference: str) -> Answer:
    """`GET /v1/orders/{reference}` → the order with its payments and refunds."""
    with office.store.reading() as db:
        order = books.order_referenced(db, account_of(db, request), reference)
        return json_answer(200, office.order_shape(db, order, now))


def close_order(office: Office, request: Request, now: datetime, reference: str) -> Answer:
    """`POST /v1/orders/{reference}/close` → the order: closed, or paid if it was paid already."""

    def effect(db: sqlite3.Connection, account: str) -> Answer:
        order = books.order_referenced(db, account, reference)
        order = books.close(db, order, now=now, timings=office.timings)
        return json_answer(200, office.order_shape(db, order, now))

    return once(office, request, now, effect)


def create_refund(office: Office, request: Request, now: datetime, payment_id: str) -> Answer:
    """`POST /v1/payments/{id}/refunds` → 201 pending, or 200 with the refund this reference already names."""
    values = request.json()
    reference, amount = reference_of(values), amount_of(values)

    def effect(db: sqlite3.Connection, account: str) -> Answer:
        refund, new = books.ask_refund(
            db,
            account=account,
            payment_id=payment_id,
            reference=reference,
            amount=amount,
            now=now,
            timings=office.timings,
        )
        return json_answer(201 if new else 200, books.refund_shape(refund))

    return once(office, request, now, effect)


def get_refund(office: Office, request: Request, now: datetime, reference: str) -> Answer:
    """`GET /v1/refunds/{reference}` → the refund as it stands."""
    with office.store.reading() as db:
        refund = books.refund_referenced(db, account_of(db, request), reference)
        return json_answer(200, books.refund_shape(refund))


def get_settlement(office: Office, request: Request, now: datetime, day: str) -> Answer:
    """`GET /v1/settlements/{YYYY-MM-DD}.csv` → the settlement file of a UTC day."""
    with office.store.reading() as db:
        text = settlement(db, account_of(db, request), day_of(day, now.date()))
    return Answer(200, text.encode(), "text/csv; charset=utf-8")


def get_bank_statement(office: Office, request: Request, now: datetime, day: str, form: str) -> Answer:
    """`GET /v1/bank/{YYYY-MM-DD}.xml|csv?currency=` → what the payouts of a UTC day did to the bank account."""
    with office.store.reading() as db:
        currency = request.query.get("currency", [""])[0]
        stand = bank_statement.day_at(db, account_of(db, request), day_of(day, now.date()), currency)
    if form == "csv":
        return Answer(200, bank_statement.as_csv(stand).encode(), "text/csv; charset=utf-8")
    return Answer(200, bank_statement.as_camt053(stand).encode(), "application/xml")


def api_key_hash(api_key: str) -> str:
    """Return what is kept of an API key: enough to know it again, too little to use it."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def account_of(db: sqlite3.Connection, request: Request) -> str:
    found = db.execute(
        "SELECT account FROM accounts WHERE api_key_hash = ?", (api_key_hash(request.bearer()),)
    ).fetchone()
    if found is None:
        raise Refusal(401, "unauthorized", "This API key is not known.")
    return str(found["account"])


def once(office: Office, request: Request, now: datetime, effect: Effect) -> Answer:
    """Do `effect` once per account and Idempotency-Key and give the same answer ever after (for a week).

    The answer is kept in the transaction of the effect. A refusal changes nothing and is not kept: an order that was
    unknown when its closing was asked for may be known when it is asked for again. The same key with another request
    is refused (422 `idempotency_key_reused`).
    """
    key = request.headers.get("idempotency-key", "")
    if not 1 <= len(key) <= 255:
        raise Refusal(400, "idempotency_key_missing", "Send an Idempotency-Key of 1 to 255 characters.")
    asked = f"{request.method} {request.path}\n".encode() + request.body
    fingerprint = hashlib.sha256(asked).hexdigest()
    with office.store.writing() as db:
        account = account_of(db, request)
        kept = db.execute("SELECT * FROM kept_answers WHERE account = ? AND key = ?", (account, key)).fetchone()
        if kept is not None:
            if kept["fingerprint"] != fingerprint:
                raise Refusal(422, "idempotency_key_reused", "This key was used for another request.")
            return Answer(kept["status"], kept["body"], headers={"Idempotency-Replayed": "true"})
        answer = effect(db, account)
        db.execute(
            "INSERT INTO kept_answers VALUES (?, ?, ?, ?, ?, ?)",
            (account, key, fingerprint, answer.status, answer.body, moment(now)),
        )
        return answer
