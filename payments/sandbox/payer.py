"""What a payer may do, who has nothing but the address of an order: look at it, approve it, refuse it."""

from datetime import datetime

from . import books
from .behaviours import behaviours_of
from .exchange import Answer, Refusal, Request, invalid
from .office import Office
from .pages import message_page, order_page


def show_order(office: Office, request: Request, now: datetime, order_id: str) -> Answer:
    """`GET /pay/{order id}` → the page on which the order is approved or refused, or what became of it."""
    try:
        return _order_page(office, order_id, now)
    except Refusal as refusal:
        return message_page(refusal.status, "No such order", refusal.message)


def decide_order(office: Office, request: Request, now: datetime, order_id: str) -> Answer:
    """`POST /pay/{order id}` {decision: approve|refuse, behaviour?} → 303 to the shop, or a page that says why."""
    try:
        values = request.fields()
        decision, behaviours = values.get("decision"), behaviours_of(values)
        if decision not in ("approve", "refuse"):
            raise invalid("decision", "must be approve or refuse")
        with office.store.writing() as db:
            if decision == "approve":
                order = books.approve(db, order_id, behaviours=behaviours, now=now, timings=office.timings)
            else:
                order = books.refuse(db, order_id, now=now, timings=office.timings)
    except Refusal as refusal:
        if refusal.status == 409:
            return _order_page(office, order_id, now, status=409)
        return message_page(refusal.status, "That did not work", refusal.message)
    return Answer(303, headers={"Location": order["return_url"]})


def show_welcome(office: Office, request: Request, now: datetime) -> Answer:
    """`GET /` → what this program is."""
    return message_page(200, "Nothing to pay", "A shop's payment page brings you here with an order.")


def _order_page(office: Office, order_id: str, now: datetime, status: int = 200) -> Answer:
    with office.store.reading() as db:
        order = books.order_row(db, order_id)
        return order_page(order, state=books.state_at(order, now), paid=books.is_paid(db, order_id), status=status)
