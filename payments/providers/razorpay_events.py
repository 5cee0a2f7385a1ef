"""What Razorpay's notifications and answers mean, in our words. Pure: no clock, no database, no network.

One payment comes as `payment.authorized`, `payment.captured`, `qr_code.credited` and `order.paid`, in any order; all of
them are about the same `pay_…`. Amounts are in paise, times in Unix seconds.
https://razorpay.com/docs/webhooks/payloads/, and for what we asked, the entities of https://razorpay.com/docs/api/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from payments.providers.base import AMOUNT_MAX, Event, Kind

Entity = Mapping[str, Any]

_TIME_MAX = 4_765_046_400  # The latest moment that it takes itself.
_REFERENCE_MAX = 256  # Of one value of its notes.
_REFUND_KINDS: dict[str, Kind] = {
    "pending": "refund.pending",
    "processed": "refund.succeeded",
    "failed": "refund.failed",
}
_DISPUTE_KINDS: dict[str, Kind] = {
    "created": "dispute.opened",
    "action_required": "dispute.opened",
    "under_review": "dispute.opened",
    "won": "dispute.won",
    "lost": "dispute.lost",
    "closed": "dispute.closed",
}


def read_notification(message: Entity) -> Event:
    """What a signed notification says. Raises KeyError, TypeError or ValueError when it has not the form we know."""
    event = _told(message)
    named = message.get("account_id")
    return replace(event, account={"account_id": named}) if isinstance(named, str) and named else event


def read_answer(message: Entity) -> list[Event]:
    """What an answer to a call of ours says, as `razorpay` has put it together."""
    if "nothing" in message:
        return []
    if "unknown" in message:
        return [_never_started(message)]
    if "refused" in message:
        return [_refusal(message)]
    if "refund" in message:
        return [_refund(message["refund"], message.get("asked_at"))]
    events = [event for source in message["sources"] for event in _source(source)]
    return events + [_refund(refund, message.get("asked_at")) for refund in message["refunds"]]


# --- Its own values, checked ---


def amount_of(value: Any, *, zero: bool = False) -> int:
    """An amount in paise. Raises ValueError for anything but a whole number within reason."""
    if not isinstance(value, int) or isinstance(value, bool) or not (0 if zero else 1) <= value <= AMOUNT_MAX:
        raise ValueError(f"not an amount: {str(value)[:40]!r}")
    return value


def currency_of(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{3}", value):
        raise ValueError(f"not a currency: {str(value)[:40]!r}")
    return value


def id_of(value: Any, prefix: str) -> str:
    """An id of the kind that `prefix` names (`pay`, `rfnd`, …). Raises ValueError for anything else."""
    if not isinstance(value, str) or not re.fullmatch(prefix + r"_[A-Za-z0-9]{1,40}", value):
        raise ValueError(f"not the id of a {prefix}: {str(value)[:40]!r}")
    return value


def moment_of(value: Any) -> datetime:
    """Unix seconds, which come as a number or as its digits. Raises ValueError for anything else."""
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(digits, str) or not re.fullmatch(r"[0-9]{1,10}", digits) or int(digits) > _TIME_MAX:
        raise ValueError(f"not a time: {str(value)[:40]!r}")
    return datetime.fromtimestamp(int(digits), UTC)


def reference_in(notes: Any) -> str:
    """Our reference in its notes, which are an object, an empty list or mere text; "" when there is none.

    Others may write notes, too: what cannot be a reference is none, and does not make the money unreadable.
    """
    value = notes.get("reference") if isinstance(notes, dict) else None
    return value if isinstance(value, str) and len(value) <= _REFERENCE_MAX and value.isprintable() else ""


# --- Notifications ---


def _told(message: Entity) -> Event:
    name, payload = message["event"], message["payload"]
    at = moment_of(message["created_at"] if "created_at" in message else payload["created_at"])
    subject, _, what = name.rpartition(".")
    if name in {"payment.captured", "order.paid", "qr_code.credited"}:
        return _captured(_entity(payload, "payment"), _among(payload, "order"), _among(payload, "qr_code"))
    if name in {"payment.authorized", "payment.failed"}:
        return _unsettled(_entity(payload, "payment"), failed=what == "failed")
    if subject == "refund":
        return _refund_told(what, _entity(payload, "refund"), _among(payload, "payment"), at)
    if subject == "payment.dispute" and what in _DISPUTE_KINDS:
        return _dispute(what, _entity(payload, "dispute"), _among(payload, "payment"), at)
    if name == "qr_code.closed":
        return _code_closed(_entity(payload, "qr_code"), at)
    if name == "settlement.processed":
        return _settled(_entity(payload, "settlement"), at)
    return Event("info", "", 0, "INR", at, decision="ignore", reason="tells of nothing that we book")


def _entity(payload: Entity, name: str) -> dict[str, Any]:
    entity = payload[name]["entity"]
    if not isinstance(entity, dict):
        raise TypeError(f"the {name} is no object")
    return entity


def _among(payload: Entity, name: str) -> dict[str, Any] | None:
    return _entity(payload, name) if name in payload else None


def _captured(payment: Entity, order: Entity | None, code: Entity | None) -> Event:
    """Money that has arrived. Where the message does not say for what, the provider is asked about the payment."""
    event = _received(payment, order, code)
    if event.decision != "apply":
        return event
    if not _is_captured(payment):
        return replace(event, decision="quarantine", reason="captured by its name, and not by its content")
    if not event.reference and order is None and code is None:
        return replace(event, decision="query", reason="does not say what was paid for")
    return event


def _received(payment: Entity, order: Entity | None, code: Entity | None) -> Event:
    # The payment's own time, and not that of the notification: every word about it then tells of the same moment.
    event = Event(
        kind="payment.succeeded",
        object_id=id_of(payment["id"], "pay"),
        amount=amount_of(payment["amount"]),
        currency=currency_of(payment["currency"]),
        occurred_at=moment_of(payment["created_at"]),
        reference=_reference(payment, order, code),
        fee=None if payment.get("fee") is None else amount_of(payment["fee"], zero=True),  # Its tax is part of it.
    )
    return _checked(event, payment, order)


def _checked(event: Event, payment: Entity, order: Entity | None) -> Event:
    """Puts aside what contradicts itself."""
    if _amount_or_zero(payment, "amount_refunded") > amount_of(payment["amount"]):
        return replace(event, decision="quarantine", reason="more is refunded than was paid")
    if order is not None and order["id"] != payment.get("order_id"):
        return replace(event, decision="quarantine", reason="the payment is of another order")
    if event.fee is not None and event.fee > event.amount:
        return replace(event, decision="quarantine", reason="the fee is larger than the payment")
    return event


def _reference(payment: Entity, order: Entity | None, code: Entity | None) -> str:
    """Ours, from what only we can write: the order, or the code.

    The notes of a payment for an order are filled by the payer's own browser, so they may name anybody's intent. Those
    of a payment by a code are the code's own.
    """
    if payment.get("order_id"):
        return (reference_in({"reference": order.get("receipt")}) or reference_in(order.get("notes"))) if order else ""
    return (reference_in(code.get("notes")) if code else "") or reference_in(payment.get("notes"))


def _amount_or_zero(entity: Entity, name: str) -> int:
    """An amount that may be left out, or null: then it is 0."""
    return 0 if entity.get(name) is None else amount_of(entity[name], zero=True)


def _is_captured(payment: Entity) -> bool:
    """Whether the money is ours. One that was refunded without ever being captured has the state `refunded`, too."""
    return payment["status"] in {"captured", "refunded"} and payment.get("captured", True) is True


def _unsettled(payment: Entity, *, failed: bool) -> Event:
    """Not money: an authorised payment waits to be captured, and even a failed one may be authorised late."""
    kind: Kind = "payment.failed" if failed else "payment.pending"
    return replace(_received(payment, None, None), kind=kind, fee=None, final=False)


def _refund_told(what: str, refund: Entity, payment: Entity | None, at: datetime) -> Event:
    """The entity says how the refund stands: `created` and `speed_changed` may tell of its end already."""
    status: str = what if what in {"processed", "failed"} else refund["status"]
    event = replace(_refund(refund, None), kind=_REFUND_KINDS[status], final=status != "pending", occurred_at=at)
    if {status, refund["status"]} == {"processed", "failed"}:
        return replace(event, decision="quarantine", reason="processed and failed at once")
    if payment is None:
        return event
    if payment["id"] != event.parent_object_id:
        return replace(event, decision="quarantine", reason="the refund is of another payment")
    if payment.get("captured") is False:
        return replace(event, decision="ignore", reason="goes back without ever having been captured")
    return _checked(event, payment, None)


def _dispute(what: str, dispute: Entity, payment: Entity | None, at: datetime) -> Event:
    kind, contested = _DISPUTE_KINDS[what], amount_of(dispute["amount"])
    deducted = _amount_or_zero(dispute, "amount_deducted")
    event = Event(
        kind=kind,
        object_id=id_of(dispute["id"], "disp"),
        parent_object_id=id_of(dispute["payment_id"], "pay"),
        amount=deducted if kind == "dispute.lost" and deducted else contested,
        currency=currency_of(dispute["currency"]),
        occurred_at=at,
        final=kind != "dispute.opened",
        evidence_due_at=moment_of(dispute["respond_by"])
        if kind == "dispute.opened" and dispute.get("respond_by")
        else None,
    )
    if deducted > contested:
        return replace(event, decision="quarantine", reason="more is deducted than was contested")
    if kind in {"dispute.won", "dispute.closed"} and deducted:
        return replace(event, decision="quarantine", reason="ended without a loss, and yet something is deducted")
    if payment is None:
        return event
    if payment["id"] != event.parent_object_id:
        return replace(event, decision="quarantine", reason="the dispute is of another payment")
    if contested > amount_of(payment["amount"]):
        return replace(event, decision="quarantine", reason="more is contested than was paid")
    return _checked(event, payment, None)


def _code_closed(code: Entity, at: datetime) -> Event:
    """Closed by somebody. A code that ran out is never told of: the intent's own time ends that."""
    reference = reference_in(code.get("notes"))
    if not reference or not _is_closed_unpaid(code):
        return Event("info", "", 0, "INR", at, decision="ignore", reason="closed because it was paid, or not ours")
    return _unpaid_code(code, reference, "payment.closed", at)


def _settled(settlement: Entity, at: datetime) -> Event:
    event = Event(
        kind="payout.paid",
        object_id=id_of(settlement["id"], "setl"),
        amount=amount_of(settlement["amount"]),
        currency="INR",  # It names none: settlements are always made in rupees.
        occurred_at=at,
        fee=_amount_or_zero(settlement, "fees"),
    )
    if settlement["status"] != "processed":
        return replace(event, decision="quarantine", reason="processed by its name, and not by its content")
    return event


# --- Answers ---


def _source(source: Entity) -> list[Event]:
    """An order or a code with its payments (or a payment that belongs to neither), and how it stands when unpaid."""
    order, code, payments = source.get("order"), source.get("qr_code"), source["payments"]
    events = [_asked(payment, order, code) for payment in payments]
    if any(event.kind == "payment.succeeded" for event in events):
        return events
    return events + _unpaid(order, code, closed=bool(source.get("given_up")))


def _asked(payment: Entity, order: Entity | None, code: Entity | None) -> Event:
    if _is_captured(payment):
        return _received(payment, order, code)
    pending = payment["status"] in {"created", "authorized"}
    return replace(_unsettled(payment, failed=not pending), reference=_reference(payment, order, code))


def _unpaid(order: Entity | None, code: Entity | None, *, closed: bool) -> list[Event]:
    if code is not None:
        kind: Kind = "payment.closed" if _is_closed_unpaid(code) else "payment.pending"
        at = moment_of(code.get("closed_at") or code["created_at"])
        reference = reference_in(code.get("notes"))
        return [_unpaid_code(code, reference, kind, at)] if reference else []
    if order is None:
        return []
    reference = reference_in({"reference": order.get("receipt")}) or reference_in(order.get("notes"))
    return [
        Event(
            kind="payment.closed" if closed else "payment.pending",
            object_id=id_of(order["id"], "order"),
            amount=amount_of(order["amount"]),
            currency=currency_of(order["currency"]),
            occurred_at=moment_of(order["created_at"]),
            reference=reference,
            final=closed,
        )
    ]


def _unpaid_code(code: Entity, reference: str, kind: Kind, at: datetime) -> Event:
    return Event(
        kind=kind,
        object_id=id_of(code["id"], "qr"),
        amount=amount_of(code["payment_amount"]),
        currency="INR",  # A code of UPI names none.
        occurred_at=at,
        reference=reference,
        final=kind == "payment.closed",
    )


def _is_closed_unpaid(code: Entity) -> bool:
    return code["status"] == "closed" and code.get("close_reason") != "paid" and not code.get("payments_count_received")


def _refund(refund: Entity, asked_at: Any) -> Event:
    """A refund as it stands. It tells only when it was made: that it failed was heard when we asked, and so later."""
    status = refund["status"]
    return Event(
        kind=_REFUND_KINDS[status],
        object_id=id_of(refund["id"], "rfnd"),
        parent_object_id=id_of(refund["payment_id"], "pay"),
        amount=amount_of(refund["amount"]),
        currency=currency_of(refund["currency"]),
        occurred_at=moment_of(asked_at if status == "failed" and asked_at else refund["created_at"]),
        reference=reference_in(refund.get("notes")) or reference_in({"reference": refund.get("receipt")}),
        final=status != "pending",
    )


def _refusal(message: Entity) -> Event:
    return Event(
        kind="refund.failed",
        object_id="",
        parent_object_id=id_of(message["payment"], "pay"),
        amount=amount_of(message["amount"]),
        currency=currency_of(message["currency"]),
        occurred_at=moment_of(message["at"]),
        reference=reference_in(message),
    )


def _never_started(message: Entity) -> Event:
    intent = message["unknown"]
    return Event(
        kind="payment.closed",
        object_id="",
        amount=amount_of(intent["amount"]),
        currency=currency_of(intent["currency"]),
        occurred_at=moment_of(message["at"]),
        reference=reference_in(intent),
    )
