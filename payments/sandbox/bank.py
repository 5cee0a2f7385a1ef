"""What a merchant may ask of the wallet's bank with its API key, and what tests may tell it and see of it."""

import sqlite3
from datetime import datetime

from . import paying_out
from .behaviours import behaviours_of, loaded
from .control import authorise
from .exchange import Answer, Refusal, Request, amount_of, currency_of, invalid, json_answer, reference_of, text_of
from .merchant import account_of, once
from .office import Office


def create_payout(office: Office, request: Request, now: datetime) -> Answer:
    """`POST /v1/payouts` → 201 pending, or 200 with the payout this reference already names.

    With `payout_silent` the payout is taken on and the answer is 504, once.
    """
    values = request.json()
    order = paying_out.Order(
        reference=reference_of(values),
        amount=amount_of(values),
        currency=currency_of(values),
        account_number=_filled(text_of(values, "account_number"), "account_number"),
        bank_code=text_of(values, "bank_code", ""),
        holder=_filled(text_of(values, "holder"), "holder"),
        behaviours=behaviours_of(values),
    )
    silent = False

    def effect(db: sqlite3.Connection, account: str) -> Answer:
        nonlocal silent
        payout, new = paying_out.take_on(db, account, order, now, office.timings)
        silent = new and "payout_silent" in loaded(payout["behaviours"])
        return json_answer(201 if new else 200, paying_out.payout_shape(payout))

    answer = once(office, request, now, effect)
    if silent:
        raise Refusal(504, "no_answer", "The bank did not answer in time.")
    return answer


def get_payout(office: Office, request: Request, now: datetime, reference: str) -> Answer:
    """`GET /v1/payouts/{reference}` → the payout as it stands."""
    with office.store.reading() as db:
        payout = paying_out.payout_referenced(db, account_of(db, request), reference)
        return json_answer(200, paying_out.payout_shape(payout))


def check_payee(office: Office, request: Request, now: datetime) -> Answer:
    """`POST /v1/payees/check` {account_number, holder} → {match: match | close | no_match | unknown}."""
    values = request.json()
    number, holder = text_of(values, "account_number"), text_of(values, "holder")
    with office.store.reading() as db:
        account_of(db, request)
        return json_answer(200, {"match": paying_out.held_by(db, number, holder)})


def put_payee(office: Office, request: Request, now: datetime) -> Answer:
    """`PUT /control/payees` {account_number, holder} → 200: from now on the bank knows whose account that is."""
    authorise(office, request)
    values = request.json()
    payee = {name: _filled(text_of(values, name), name) for name in ("account_number", "holder")}
    with office.store.writing() as db:
        db.execute("INSERT OR REPLACE INTO payees VALUES (:account_number, :holder)", payee)
    return json_answer(200, payee)


def get_payouts(office: Office, request: Request, now: datetime) -> Answer:
    """`GET /control/payouts` → {payouts}: the bank's own truth, oldest first, each with its account."""
    authorise(office, request)
    with office.store.reading() as db:
        rows = db.execute("SELECT * FROM payouts ORDER BY id").fetchall()
        return json_answer(
            200, {"payouts": [{**paying_out.payout_shape(row), "account": row["account"]} for row in rows]}
        )


def _filled(text: str, name: str) -> str:
    if not text.strip():
        raise invalid(name, "must not be empty")
    return text
