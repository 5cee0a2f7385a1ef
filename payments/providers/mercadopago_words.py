"""What Mercado Pago's hints and answers mean in our words. Pure.

An order is paid by payments; a payment lists its refunds, and says by its `status_detail` how a chargeback ended. There
is one dispute to a payment, whether the payment or its chargeback tells of it, so it is named by the payment's id. The
network does not repeat the key under which we asked for a refund: one that it lists is known by its own id only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from merchants.money import exponent
from payments.providers.base import AMOUNT_MAX, Event, Kind, StatementRow, UnableToRead, Verified

_WORD = re.compile(r"[A-Za-z0-9]{1,40}")
_QUERY_VALUE = re.compile(r"[A-Za-z0-9_.:/-]{1,120}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a message of another form makes Python say while it is read.
_MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)

_TOPICS = {
    "payment": "payment",
    "order": "order",
    "orders": "order",
    "chargebacks": "chargeback",
    "topic_chargebacks_wh": "chargeback",
}
_RECEIVED = {"approved", "refunded", "partially_refunded", "charged_back", "in_mediation"}
_PAYMENT_KINDS: dict[str, Kind] = {
    "pending": "payment.pending",
    "in_process": "payment.pending",
    "authorized": "payment.pending",
    "rejected": "payment.failed",
    "cancelled": "payment.closed",
}
_ORDER_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("created", "action_required", "processing", "in_review", "at_terminal"), "payment.pending"),
    **dict.fromkeys(("processed", "refunded", "partially_refunded", "charged_back"), "payment.pending"),
    **dict.fromkeys(("canceled", "cancelled", "expired"), "payment.closed"),
    "failed": "payment.failed",
}
_REFUND_KINDS: dict[str | None, Kind] = {
    None: "refund.succeeded",  # Older answers list only what was done, and no status.
    "approved": "refund.succeeded",
    "in_process": "refund.pending",
    "pending": "refund.pending",
    "authorized": "refund.pending",
    "rejected": "refund.failed",
    "cancelled": "refund.failed",
}
_CURRENCIES = {
    "ARG": "ARS", "BRA": "BRL", "CHL": "CLP", "COL": "COP", "MEX": "MXN", "PER": "PEN", "URY": "UYU",
    "AR": "ARS", "BR": "BRL", "CL": "CLP", "CO": "COP", "MX": "MXN", "PE": "PEN", "UY": "UYU",
}  # fmt: skip


def events(verified: Verified) -> list[Event]:
    """Everything that a hint or an answer tells of. Raises UnableToRead, and nothing else."""
    try:
        if verified.authority != "queried":
            return [_of_hint(verified)]
        return _of_answer(_object(json.loads(verified.raw, parse_float=str)))
    except _MISSHAPEN as failure:
        raise UnableToRead(f"the message has not the form we know: {failure!r}") from failure


def named(query: Mapping[str, str]) -> dict[str, str]:
    """What of a notification's address says what it is about; anything of another form is left out."""
    names = ("data.id", "type", "id", "topic")
    return {name: query[name] for name in names if _QUERY_VALUE.fullmatch(query.get(name, ""))}


def hinted(raw: bytes, named: Mapping[str, str]) -> str | None:
    """What a notification says we should ask about (`payment/123`); "" for what is not ours, None when it says nothing.

    Its address counts before its body: there are two generations of both.
    """
    body = _body(raw)
    topic = named.get("type") or named.get("topic") or body.get("type") or body.get("topic")
    data = body.get("data")
    inner = data.get("id") if isinstance(data, dict) else None
    name = named.get("data.id") or named.get("id") or inner or body.get("resource")
    if not isinstance(topic, str) or not topic:
        return None
    kind = _TOPICS.get(topic)
    if kind is None:
        return ""
    found = str(name).rpartition("/")[2]
    if name is None or isinstance(name, bool) or not _WORD.fullmatch(found):
        return None
    return f"{kind}/{found.upper() if kind == 'order' else found}"


def payments_of(found: dict[str, Any]) -> list[str]:
    """The ids of the payments of an order or a chargeback."""
    listed = found.get("payments")
    if isinstance(transactions := found.get("transactions"), dict):
        listed = transactions.get("payments")
    rows = listed if isinstance(listed, list) else []
    return [name for row in rows if (name := _payment_id(row))]


def was_paid(order: dict[str, Any]) -> bool:
    return order.get("status") in ("processed", "refunded", "partially_refunded", "charged_back")


def statement_rows(payment: Any) -> list[StatementRow]:
    """The rows of a payment: itself, and what became of it; none while it is not approved. Raises ValueError."""
    try:
        return [_row(event) for event in _of_payment(_object(payment)) if event.kind in _ROW_KINDS]
    except _MISSHAPEN as failure:
        raise ValueError(f"the list has not the form we know: {failure!r}") from failure


def written(amount: int, currency: str) -> str:
    """An amount as the network writes it: with the currency's decimals, or none."""
    places = exponent(currency)
    return f"{amount // 10**places}.{amount % 10**places:0{places}d}" if places else str(amount)


def order_id(told: Any) -> str:
    return word(told).upper()


def word(told: Any) -> str:
    """An id, which may stand in an address. Raises ValueError for anything else."""
    if isinstance(told, bool) or not isinstance(told, int | str) or not _WORD.fullmatch(str(told)):
        raise ValueError(f"not an id: {told!r}")
    return str(told)


# --- Hints -----------------------------------------------------------------------------------------------------------


def _of_hint(verified: Verified) -> Event:
    about = hinted(verified.raw, verified.headers)
    if about is None:
        raise ValueError("a notification that says nothing")
    asked: Literal["query", "ignore"] = "query" if about else "ignore"
    reason = "" if about else "a notification about something else"
    at = _body(verified.raw).get("date_created")
    try:
        moment = _moment(at)
    except _MISSHAPEN:
        moment = _EPOCH
    return Event("info", about, 0, "", moment, final=False, decision=asked, reason=reason)


def _body(raw: bytes) -> dict[str, Any]:
    try:
        read = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


# --- Answers ---------------------------------------------------------------------------------------------------------


def _of_answer(message: dict[str, Any]) -> list[Event]:
    if "never_heard_of" in message:
        return []
    if "unknown" in message:
        return [_of_order({**_object(message["unknown"]), "status": "expired", "id": ""})]
    if "refused" in message or "refund" in message:
        return [_of_own_refund(message)]
    payments = [_object(payment) for payment in _list(message["payments"])]
    chargeback = _object(message["chargeback"]) if "chargeback" in message else None
    told = [event for payment in payments for event in _of_payment(payment, chargeback, alone=len(payments) == 1)]
    if "order" in message and not any(event.kind == "payment.succeeded" for event in told):
        told.append(_of_order(_object(message["order"])))
    return told


def _of_order(order: dict[str, Any]) -> Event:
    """How an order stands that brought no money yet. One refused payment does not end it; it ends by itself."""
    kind = _ORDER_KINDS[order["status"]]
    currency = order.get("currency") or _CURRENCIES.get(str(order.get("country_code")), "")
    at = order.get("at") or order.get("last_updated_date") or order["created_date"]
    return Event(
        kind=kind,
        object_id=f"order/{order_id(order['id'])}" if order["id"] else "",
        amount=_amount(order["total_amount"], currency) if currency else 0,
        currency=currency,
        occurred_at=_moment(at),
        reference=_reference(order.get("external_reference")),
        final=kind != "payment.pending",
        account={"user_id": word(order["user_id"])} if order.get("user_id") else {},
    )


def _of_payment(
    payment: dict[str, Any], chargeback: dict[str, Any] | None = None, *, alone: bool = True
) -> list[Event]:
    """The payment, its refunds and its dispute. While a mediation lasts (`in_mediation`) the money has still come."""
    status, currency = payment["status"], str(payment["currency_id"])
    received = status in _RECEIVED
    account = {"user_id": word(payment["collector_id"])} if payment.get("collector_id") else {}
    paid = Event(
        kind="payment.succeeded" if received else _PAYMENT_KINDS[status],
        object_id=word(payment["id"]),
        amount=_amount(payment["transaction_amount"], currency),
        currency=currency,
        occurred_at=_moment((payment.get("date_approved") if received else None) or payment["date_created"]),
        reference=_reference(payment.get("external_reference")),
        final=received,
        fee=_fee(payment.get("fee_details"), currency) if received else None,
        account=account,
    )
    if not received:
        return [paid]
    refunds = [_of_refund(_object(refund), paid) for refund in _list(payment.get("refunds"))]
    told = [paid, *refunds, *_unlisted(payment, paid, refunds)]
    if status == "charged_back" or chargeback is not None:
        told.append(_of_dispute(payment, paid, chargeback, alone=alone))
    return told


def _of_refund(refund: dict[str, Any], paid: Event) -> Event:
    kind = _REFUND_KINDS[refund.get("status")]
    return Event(
        kind=kind,
        object_id=word(refund["id"]),
        parent_object_id=paid.object_id,
        amount=_amount(refund["amount"], paid.currency),
        currency=paid.currency,
        occurred_at=_moment(refund["date_created"]),
        final=kind != "refund.pending",
        account=paid.account,
    )


def _unlisted(payment: dict[str, Any], paid: Event, refunds: list[Event]) -> list[Event]:
    """What was refunded beyond what is listed (a search may leave the list out), as the total that it is."""
    told = payment.get("transaction_amount_refunded")
    total = _amount(told, paid.currency, least=0) if told is not None else 0
    if payment["status"] == "refunded":
        total = max(total, paid.amount)
    listed = sum(refund.amount for refund in refunds if refund.kind != "refund.failed")
    if payment["status"] == "charged_back" or total <= listed:
        return []
    return [
        Event(
            kind="refund.total",
            object_id=paid.object_id,
            parent_object_id=paid.object_id,
            amount=total,
            currency=paid.currency,
            occurred_at=_moment(payment.get("date_last_updated") or payment["date_created"]),
            refunded_total=total,
            account=paid.account,
        )
    ]


def _of_dispute(payment: dict[str, Any], paid: Event, chargeback: dict[str, Any] | None, *, alone: bool) -> Event:
    """`reimbursed`, or covered by the network: won; `settled`: lost; anything else: it goes on."""
    case = chargeback or {}
    covered = str(case.get("coverage_applied")).lower() == "true"
    ends: dict[Any, Kind] = {"reimbursed": "dispute.won", "settled": "dispute.lost"}
    charged_back = payment["status"] == "charged_back"
    kind = "dispute.won" if covered else ends.get(payment.get("status_detail") if charged_back else None)
    due = case.get("date_documentation_deadline")
    amount = case.get("amount") if alone else None
    times = [case.get("date_last_updated"), payment.get("date_last_updated"), payment["date_created"]]
    return Event(
        kind=kind or "dispute.opened",
        object_id=paid.object_id,
        parent_object_id=paid.object_id,
        amount=_amount(amount, paid.currency) if amount is not None else paid.amount,
        currency=paid.currency,
        occurred_at=max(_moment(time) for time in times if time),
        final=kind is not None,
        evidence_due_at=_moment(due) if due else None,
        account=paid.account,
    )


def _of_own_refund(message: dict[str, Any]) -> Event:
    """The answer to our own asking: what it is about, and under which reference, we noted beside it."""
    currency, refused = str(message["currency"]), "refused" in message
    refund = message if refused else _object(message["refund"])
    kind = "refund.failed" if refused else _REFUND_KINDS[refund.get("status")]
    return Event(
        kind=kind,
        object_id="" if refused else word(refund["id"]),
        parent_object_id=word(message["payment"]),
        amount=_amount(refund["amount"], currency),
        currency=currency,
        occurred_at=_moment(message["at"] if refused else refund["date_created"]),
        reference=str(message["asked"]),
        final=kind != "refund.pending",
    )


_ROW_KINDS: dict[str, Literal["payment", "refund", "chargeback"]] = {
    "payment.succeeded": "payment",
    "refund.succeeded": "refund",
    "refund.total": "refund",
    "dispute.opened": "chargeback",
    "dispute.lost": "chargeback",
}


def _row(event: Event) -> StatementRow:
    kind = _ROW_KINDS[event.kind]
    return StatementRow(
        kind=kind,
        object_id=event.object_id,
        reference=event.reference,
        amount=event.amount if kind == "payment" else -event.amount,
        fee=event.fee or 0,
        currency=event.currency,
        occurred_at=event.occurred_at,
        parent_object_id=event.parent_object_id,
    )


# --- Single values ---------------------------------------------------------------------------------------------------


def _amount(told: Any, currency: str, *, least: int = 1) -> int:
    scaled = _scaled(told, currency)
    if scaled != scaled.to_integral_value() or not least <= scaled <= AMOUNT_MAX:
        raise ValueError(f"not an amount of {currency}: {told!r}")
    return int(scaled)


def _fee(told: Any, currency: str) -> int | None:
    """What the network keeps of a payment: the fees that its receiver pays."""
    rows = [_object(row) for row in _list(told)]
    if not rows:
        return None
    kept = sum((_scaled(row["amount"], currency) for row in rows if row.get("fee_payer") == "collector"), Decimal())
    if not 0 <= kept <= AMOUNT_MAX:
        raise ValueError(f"not a fee: {kept}")
    return int(kept.to_integral_value(ROUND_HALF_UP))


def _scaled(told: Any, currency: str) -> Decimal:
    if isinstance(told, bool) or not isinstance(told, int | str) or not _NUMBER.fullmatch(str(told)):
        raise ValueError(f"not a number: {told!r}")
    return Decimal(str(told)).scaleb(exponent(currency))


def _reference(told: Any) -> str:
    reference = str(told) if told is not None else ""
    if not reference.isprintable() or len(reference) > 256:
        raise ValueError("not a reference")
    return reference


def _payment_id(row: Any) -> str:
    """Of a payment in an order: its id as a payment stands beside the one that it has within the order."""
    if isinstance(row, dict):
        reference = row.get("reference")
        inner = reference.get("id") if isinstance(reference, dict) else None
        row = row.get("reference_id") or inner
    try:
        return word(row)
    except ValueError:
        return ""


def _moment(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return moment.astimezone(UTC)


def _object(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise TypeError(f"not an object: {type(told).__name__}")
    return told


def _list(told: Any) -> list[Any]:
    if told is not None and not isinstance(told, list):
        raise TypeError(f"not a list: {type(told).__name__}")
    return told or []
