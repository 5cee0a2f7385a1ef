"""What Stripe's objects mean in our words: sessions, payment intents, charges, refunds, disputes and payouts.

Pure. A notification holds one object and says what happened to it; an answer shows a session (or a payment intent) as
it stands, with its refunds and disputes. A payment is named by its PaymentIntent in all of them, so that the three
events that tell of it are one. Readers raise KeyError, TypeError, ValueError or AttributeError for a form they do not
know; `stripe.normalise` makes one refusal of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from payments.providers.base import AMOUNT_MAX, Event, Kind
from payments.providers.stripe_amounts import from_stripe

Thing = dict[str, Any]

_ID = re.compile(r"[A-Za-z0-9_]{1,80}")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_REFERENCE_MAX = 120
_YEAR_2100 = 4_102_444_800


def of_notification(message: Thing) -> list[Event]:
    """A signed event. Where it carries `account` (Connect), the account it is about is told of for comparison."""
    at, kind = moment(message["created"]), message["type"]
    thing = message["data"]["object"]
    reader = _READERS.get(kind)
    event = reader(thing, at) if reader else _info(str(kind), at)
    about = message.get("account")
    return [replace(event, account={"account": identifier(about)} if about else {})]


def of_answer(answer: Thing) -> list[Event]:
    """An answer to a call of ours (see `stripe`): everything it shows, each part as an event of its own."""
    if "never_started" in answer:
        return [_never_started(answer["never_started"], answer["at"])]
    if "refused" in answer:
        return [_refused(answer["asked"], answer["at"])]
    events: list[Event] = []
    if "session" in answer:
        events.append(_session_as_it_stands(answer["session"]))
    if "payment_intent" in answer:
        events.append(_payment_intent_as_it_stands(answer["payment_intent"]))
    events += [_refund(refund, _settled_at(refund)) for refund in answer.get("refunds", [])]
    asked_at = datetime.fromisoformat(answer["at"]) if "at" in answer else None
    if asked_at is not None and asked_at.tzinfo is None:
        raise ValueError("a time without a zone")
    for dispute in answer.get("disputes", []):
        # A dispute does not say when it ended; whatever it was before, it had ended when we asked.
        at = asked_at if asked_at and has_ended(dispute) else moment(dispute["created"])
        events.append(_dispute(dispute, at))
    return events


def has_ended(dispute: Thing) -> bool:
    return _DISPUTES[dispute["status"]] != "dispute.opened"


def identifier(thing: Any) -> str:
    """The id of an object, whether it stands there as its id or in full."""
    found = thing["id"] if isinstance(thing, dict) else thing
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise ValueError(f"not an id: {found!r:.40}")
    return found


def reference(thing: Thing) -> str:
    """Our own reference, as the object repeats it; empty where it holds none that could be ours."""
    told = thing.get("client_reference_id") or (thing.get("metadata") or {}).get("reference") or ""
    return told if isinstance(told, str) and len(told) <= _REFERENCE_MAX and told.isprintable() else ""


def payment_id(thing: Thing) -> str:
    """The payment that a charge, refund or dispute belongs to: its PaymentIntent, or for a bare charge the charge."""
    if thing.get("payment_intent"):
        return identifier(thing["payment_intent"])
    return identifier(thing if thing["object"] == "charge" else thing["charge"])


def currency_of(thing: Thing) -> str:
    code = thing["currency"]
    if not isinstance(code, str) or not _CURRENCY.fullmatch(code):
        raise ValueError(f"not a currency: {code!r:.40}")
    return code.upper()


def whole(amount: Any) -> int:
    if not isinstance(amount, int) or isinstance(amount, bool) or abs(amount) > AMOUNT_MAX:
        raise ValueError(f"not an amount: {amount!r:.40}")
    return amount


def moment(seconds: Any) -> datetime:
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds < _YEAR_2100:
        raise ValueError(f"not a time: {seconds!r:.40}")
    return datetime.fromtimestamp(seconds, UTC)


# --- Money in --------------------------------------------------------------------------------------------------------


def _session_completed(session: Thing, at: datetime) -> Event:
    """The payer is through with the page. Paid at once, or (a bank debit, a voucher) still to be paid."""
    if session["mode"] != "payment" or session["payment_status"] == "no_payment_required":
        return _info("a session without a payment", at)
    if session["payment_status"] == "paid":
        return _of_session("payment.succeeded", session, identifier(session["payment_intent"]), at)
    return _of_session("payment.pending", session, _id_of_unpaid(session), at, final=False)


def _session_failed(session: Thing, at: datetime) -> Event:
    """A payment that was under way came to nothing, and a completed page cannot be paid a second time."""
    return _of_session("payment.failed", session, _id_of_unpaid(session), at)


def _session_expired(session: Thing, at: datetime) -> Event:
    return _of_session("payment.closed", session, identifier(session), at)


def _session_as_it_stands(session: Thing) -> Event:
    payment, opened_at = session.get("payment_intent"), moment(session["created"])
    if isinstance(payment, dict) and payment["status"] == "succeeded":
        paid = _payment_intent_succeeded(payment, _charged_at(payment))
        return replace(paid, reference=reference(session) or paid.reference)
    match session["status"]:
        case "expired":
            return _session_expired(session, opened_at)
        case "complete" if isinstance(payment, dict) and payment["status"] in {"requires_payment_method", "canceled"}:
            return _session_failed(session, opened_at)
        case "complete":
            return _session_completed(session, opened_at)
        case "open":
            return _of_session("payment.pending", session, identifier(session), opened_at, final=False)
    raise ValueError(f"a session in an unknown state: {session['status']!r:.40}")


def _of_session(kind: Kind, session: Thing, object_id: str, at: datetime, *, final: bool = True) -> Event:
    return _event(kind, session, object_id, session["amount_total"], at, final=final)


def _id_of_unpaid(session: Thing) -> str:
    return identifier(session.get("payment_intent") or session)


def _payment_intent_succeeded(payment: Thing, at: datetime) -> Event:
    return replace(
        _event("payment.succeeded", payment, identifier(payment), payment["amount_received"], at),
        fee=_fee(payment.get("latest_charge")),
    )


def _payment_intent_failed(payment: Thing, at: datetime) -> Event:
    """One try was declined; on the same page the payer may try again, with another card."""
    return _event("payment.failed", payment, identifier(payment), payment["amount"], at, final=False)


def _payment_intent_processing(payment: Thing, at: datetime) -> Event:
    return _event("payment.pending", payment, identifier(payment), payment["amount"], at, final=False)


def _payment_intent_as_it_stands(payment: Thing) -> Event:
    if payment["status"] == "succeeded":
        return _payment_intent_succeeded(payment, _charged_at(payment))
    return _payment_intent_processing(payment, moment(payment["created"]))


def _charge_succeeded(charge: Thing, at: datetime) -> Event:
    """A charge repeats the metadata of its PaymentIntent. One that is only authorised is no money yet."""
    if not charge["captured"]:
        return _event("payment.pending", charge, payment_id(charge), charge["amount"], at, final=False)
    received = charge["amount_captured"]
    return replace(_event("payment.succeeded", charge, payment_id(charge), received, at), fee=_fee(charge))


def _charge_refunded(charge: Thing, at: datetime) -> Event:
    told = _event("refund.total", charge, payment_id(charge), charge["amount_refunded"], at)
    return replace(told, decision="ignore", reason="a running total; each refund is told of by itself")


def _charged_at(payment: Thing) -> datetime:
    charge = payment.get("latest_charge")
    return moment((charge if isinstance(charge, dict) else payment)["created"])


def _fee(charge: Any) -> int | None:
    """What Stripe keeps, where the answer shows it in the payment's own currency."""
    booked = charge.get("balance_transaction") if isinstance(charge, dict) else None
    if not isinstance(booked, dict) or currency_of(booked) != currency_of(charge):
        return None
    try:
        return from_stripe(whole(booked["fee"]), currency_of(booked))
    except ValueError:  # A fee in fractions that the currency has no more is no reason to leave a payment unread.
        return None


# --- Money back, contested, and out ----------------------------------------------------------------------------------

_REFUNDS: dict[str, Kind] = {
    "pending": "refund.pending",  # Also while our balance there is too low for it.
    "requires_action": "refund.pending",
    "succeeded": "refund.succeeded",
    "failed": "refund.failed",
    "canceled": "refund.failed",
}

_DISPUTES: dict[str, Kind] = {
    "warning_needs_response": "dispute.opened",
    "warning_under_review": "dispute.opened",
    "needs_response": "dispute.opened",
    "under_review": "dispute.opened",
    "won": "dispute.won",
    "lost": "dispute.lost",
    "warning_closed": "dispute.closed",
    "prevented": "dispute.closed",
}


def _refund(refund: Thing, at: datetime) -> Event:
    kind = _REFUNDS[refund["status"]]
    # Even one that succeeded fails when the payer's bank sends it back.
    told = _event(kind, refund, identifier(refund), refund["amount"], at, final=kind == "refund.failed")
    return replace(told, parent_object_id=payment_id(refund))


def _settled_at(refund: Thing) -> datetime:
    """When a refund that was asked about came to stand as it does: the object itself only says when it was made.

    A failure is dated by the return of the money, so it overtakes an earlier word of success; success by its making,
    so it never overtakes a later word.
    """
    returned = refund.get("failure_balance_transaction")
    return moment((returned if isinstance(returned, dict) else refund)["created"])


def _dispute(dispute: Thing, at: datetime) -> Event:
    """By its status, whichever event tells of it: an update may come after the end."""
    kind = _DISPUTES[dispute["status"]]
    due = dispute["evidence_details"].get("due_by") if kind == "dispute.opened" else None
    return replace(
        _event(kind, dispute, identifier(dispute), dispute["amount"], at, final=kind != "dispute.opened"),
        parent_object_id=payment_id(dispute),
        reference="",
        evidence_due_at=moment(due) if due else None,
    )


def _payout_paid(payout: Thing, at: datetime) -> Event:
    return _payout("payout.paid", payout, at)


def _payout_failed(payout: Thing, at: datetime) -> Event:
    return _payout("payout.failed", payout, at)


def _payout(kind: Kind, payout: Thing, at: datetime) -> Event:
    if whole(payout["amount"]) <= 0:  # A negative balance that Stripe collects from the bank.
        return _info("money collected from the bank account", at)
    # Stripe reverses a payout that its bank returns days after it was paid.
    return _event(kind, payout, identifier(payout), payout["amount"], at, final=kind == "payout.failed")


def _never_started(terms: Thing, at: str) -> Event:
    """Stripe never heard of it, so nobody can pay it: that is closed, too."""
    return _of_ours("payment.closed", terms, at)


def _refused(asked: Thing, at: str) -> Event:
    """Stripe will never make this refund: its final word on it."""
    return replace(_of_ours("refund.failed", asked, at), parent_object_id=identifier(asked["payment"]))


def _of_ours(kind: Kind, terms: Thing, at: str) -> Event:
    """What we noted ourselves beside an answer, in our own units."""
    asked_at = datetime.fromisoformat(at)
    if whole(terms["amount"]) <= 0 or asked_at.tzinfo is None:
        raise ValueError("not what we note")
    return Event(
        kind=kind,
        object_id="",
        amount=terms["amount"],
        currency=currency_of(terms),
        occurred_at=asked_at,
        reference=reference({"client_reference_id": terms["reference"]}),
    )


def _event(kind: Kind, thing: Thing, object_id: str, amount: Any, at: datetime, *, final: bool = True) -> Event:
    currency = currency_of(thing)
    ours = from_stripe(whole(amount), currency)
    if not 0 < ours <= AMOUNT_MAX:
        raise ValueError(f"not an amount of money that moves: {amount!r:.40}")
    return Event(
        kind=kind,
        object_id=object_id,
        amount=ours,
        currency=currency,
        occurred_at=at,
        reference=reference(thing),
        final=final,
    )


def _info(reason: str, at: datetime) -> Event:
    return Event(
        kind="info", object_id="", amount=0, currency="", occurred_at=at, decision="ignore", reason=reason[:100]
    )


_READERS: dict[str, Callable[[Thing, datetime], Event]] = {
    "checkout.session.completed": _session_completed,
    "checkout.session.async_payment_succeeded": _session_completed,
    "checkout.session.async_payment_failed": _session_failed,
    "checkout.session.expired": _session_expired,
    "payment_intent.succeeded": _payment_intent_succeeded,
    "payment_intent.payment_failed": _payment_intent_failed,
    "payment_intent.processing": _payment_intent_processing,
    "charge.succeeded": _charge_succeeded,
    "charge.captured": _charge_succeeded,
    "charge.refunded": _charge_refunded,
    "charge.refund.updated": _refund,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "payout.paid": _payout_paid,
    "payout.failed": _payout_failed,
    "payout.canceled": _payout_failed,
}
