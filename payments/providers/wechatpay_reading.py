"""What WeChat Pay's notifications and answers mean, in our words. Pure: no clock, no database, no network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from payments.providers import wechatpay_signing as signing
from payments.providers.base import AMOUNT_MAX, Event, Kind, UnableToRead, Verified

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
_CURRENCY = re.compile(r"[A-Z]{3}")

# An order's states before it is paid: what they are to us, and whether they are over.
_UNPAID: dict[str, tuple[Kind, bool]] = {
    "NOTPAY": ("payment.pending", False),
    "USERPAYING": ("payment.pending", False),
    "CLOSED": ("payment.closed", True),
    "REVOKED": ("payment.closed", True),
    "PAYERROR": ("payment.failed", False),  # She may try again with another card until the order is closed.
}
# REFUND only says that some of the money went back: it was paid all the same, and each refund is told of by itself.
_PAID = {"SUCCESS", "REFUND"}

# A refund's states. ABNORMAL: the payer's bank did not take it and she does not have her money, so it has failed and
# the shop is told; at WeChat Pay's desk somebody may still send it elsewhere, and then SUCCESS overtakes it.
_REFUNDS: dict[str, tuple[Kind, bool]] = {
    "PROCESSING": ("refund.pending", False),
    "SUCCESS": ("refund.succeeded", True),
    "ABNORMAL": ("refund.failed", False),
    "CLOSED": ("refund.failed", True),
}


def notification(verified: Verified, apiv3_keys: Iterable[str]) -> Sequence[Event]:
    """The one thing that a notification tells. Raises UnableToRead."""
    try:
        message = json.loads(verified.raw.decode())
        told, resource = message["event_type"], message["resource"]
        kind = resource.get("original_type")
        if not isinstance(told, str):
            raise TypeError("the event's type is no text")
        if told == "TRANSACTION.SUCCESS" and kind == "transaction":
            opened = json.loads(signing.decrypted(resource, apiv3_keys).decode())
            return [_payment(opened, contradiction=_contradiction(opened["trade_state"], _PAID))]
        if told.startswith("REFUND.") and kind == "refund":
            opened = json.loads(signing.decrypted(resource, apiv3_keys).decode())
            state = told.removeprefix("REFUND.")
            contradiction = _contradiction(opened["refund_status"], {state})
            return [_refund(opened, state, _moment(message["create_time"]), contradiction=contradiction)]
        return [_other(message, told, kind)]
    except _UNREADABLE as failure:
        raise UnableToRead(f"the notification has not the form we know: {_told(failure)}") from failure


def answer(verified: Verified) -> Sequence[Event]:
    """What an answer to a call of ours tells: of an order with its refunds, of one refund, or of nothing."""
    try:
        message = json.loads(verified.raw)
        if "order" in message:
            events = [_order(message["order"], message.get("at"))]
            return events + [_refund_as_it_stands(refund) for refund in message["refunds"]]
        if "closed" in message:
            return [_closed(message["closed"])]
        if "refund" in message:
            return [_refund_as_it_stands(message["refund"])]
        if "refused" in message:
            return [_refused_refund(message["refused"])]
        if "never_heard_of" in message or "keys" in message:
            return []
        raise KeyError("an answer that none of our calls could have got")
    except _UNREADABLE as failure:
        raise UnableToRead(f"the answer has not the form we know: {_told(failure)}") from failure


# --- Payments --------------------------------------------------------------------------------------------------------


def _payment(order: Mapping[str, Any], *, contradiction: str = "") -> Event:
    """A paid order. `amount.total` is its price; `payer_total` is what was left of that after coupons."""
    return Event(
        kind="payment.succeeded",
        object_id=_text(order["transaction_id"]),
        amount=_positive(order["amount"]["total"]),
        currency=_currency(order["amount"]),
        occurred_at=_moment(order["success_time"]),
        reference=_text(order["out_trade_no"]),
        account=_us(order),
        decision="quarantine" if contradiction else "apply",
        reason=contradiction,
    )


def _order(order: Mapping[str, Any], at: str | None) -> Event:
    state = order["trade_state"]
    if state in _PAID:
        return _payment(order)
    kind, final = _UNPAID[state]
    amount = order.get("amount") or {}
    return Event(
        kind=kind,
        object_id=_text(order.get("transaction_id") or order["out_trade_no"]),
        amount=_positive(amount["total"]) if "total" in amount else 0,  # Unpaid orders may be told of without one.
        currency=_currency(amount),
        occurred_at=_moment(at),
        reference=_text(order["out_trade_no"]),
        account=_us(order),
        final=final,
    )


def _closed(terms: Mapping[str, Any]) -> Event:
    return Event(
        kind="payment.closed",
        object_id=_text(terms["reference"]),
        amount=_positive(terms["amount"]),
        currency=_text(terms["currency"]),
        occurred_at=_moment(terms["at"]),
        reference=_text(terms["reference"]),
    )


# --- Refunds ---------------------------------------------------------------------------------------------------------


def _refund(refund: Mapping[str, Any], state: str, at: datetime, *, contradiction: str = "") -> Event:
    kind, final = _REFUNDS[state]
    return Event(
        kind=kind,
        object_id=_text(refund["refund_id"]),
        parent_object_id=_text(refund["transaction_id"]),
        amount=_positive(refund["amount"]["refund"]),
        currency=_currency(refund["amount"]),
        occurred_at=_moment(refund["success_time"]) if state == "SUCCESS" else at,
        reference=_text(refund["out_refund_no"]),
        # Answers about a refund do not name us; notifications name the merchant and no app.
        account={"mchid": _text(refund["mchid"])} if "mchid" in refund else {},
        final=final,
        decision="quarantine" if contradiction else "apply",
        reason=contradiction,
    )


def _refund_as_it_stands(refund: Mapping[str, Any]) -> Event:
    """An answer says when a refund was made and when it succeeded, but not when it failed: before any success."""
    return _refund(refund, refund["status"], _moment(refund["create_time"]))


def _refused_refund(told: Mapping[str, Any]) -> Event:
    return Event(
        kind="refund.failed",
        object_id="",
        parent_object_id=_text(told["payment"]),
        amount=_positive(told["amount"]),
        currency=_text(told["currency"]),
        occurred_at=_moment(told["at"]),
        reference=_text(told["reference"]),
    )


# --- The rest --------------------------------------------------------------------------------------------------------


def _other(message: Mapping[str, Any], told: str, kind: Any) -> Event:
    """What moves no money of ours is ignored; a word on payments or refunds that we do not know waits for a person."""
    if told == "TRANSACTION.SUCCESS" and kind == "profitsharing":
        reason = "a share of money that was told of before"
    elif told.startswith("COMPLAINT."):
        reason = "a complaint moves no money by itself"
    elif told.startswith(("TRANSACTION.", "REFUND.")):
        reason = ""
    else:
        reason = f"not about payments: {told[:60]!r}"
    return Event(
        kind="info" if reason else "unknown",
        object_id=_text(message["id"]),
        amount=0,
        currency="CNY",
        occurred_at=_moment(message["create_time"]),
        decision="ignore" if reason else "apply",
        reason=reason,
    )


def _contradiction(stated: Any, expected: set[str]) -> str:
    """Proved, but the event's name and what is sealed in it disagree: a person must look."""
    return "" if stated in expected else f"it tells of {' or '.join(sorted(expected))} and holds {str(stated)[:40]!r}"


def _us(order: Mapping[str, Any]) -> dict[str, str]:
    return {"mchid": _text(order["mchid"]), "appid": _text(order["appid"])}


def _currency(amount: Mapping[str, Any]) -> str:
    """The currency beside an amount; refunds and some answers tell none, and all money here is in yuan."""
    currency = amount.get("currency") or "CNY"
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise ValueError("no currency")
    return currency


def _text(value: Any) -> str:
    """An id as it may stand in our tables. Raises ValueError for what is none."""
    if not isinstance(value, str) or not 0 < len(value) <= 80 or not value.isprintable():
        raise ValueError("no id")
    return value


def _positive(amount: Any) -> int:
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= AMOUNT_MAX:
        raise ValueError("no amount")
    return amount


def _moment(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not 2000 < moment.year < 2200:
        raise ValueError("no time")
    return moment


def _told(failure: Exception) -> str:
    """What was wrong, without what stood there: a resource says who the payer is at WeChat."""
    ours = {"no id", "no amount", "no currency", "no time", "no APIv3 key of ours opens it"}
    shown = isinstance(failure, KeyError) or str(failure) in ours
    return f"{type(failure).__name__}: {str(failure)[:80]}" if shown else type(failure).__name__
