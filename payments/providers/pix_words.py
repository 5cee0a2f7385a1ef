"""What the messages of the central bank's Pix API mean in our words, and how ours are written for it. Pure.

Amounts are strings of reais with two decimals; what became of a charge is its `status`, of a refund its `devolucao`'s.
Our references come back without their underscore. (bacen/pix-api, openapi 2.9.)
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from merchants import ids
from payments.models import PaymentIntent, Refund
from payments.providers.base import Event, Kind, StatementRow, UnableToRead, Verified

CURRENCY = "BRL"
END_TO_END_ID = re.compile(r"[a-zA-Z0-9]{32}")
CHARGE_ID = re.compile(r"[a-zA-Z0-9]{26,35}")

_WORD = re.compile(r"[a-zA-Z0-9]{1,35}")
_VALOR = re.compile(r"[0-9]{1,10}\.[0-9]{2}")
# What a message of another form makes Python say while it is read.
_MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
_NO_TXID = {"", "***"}  # A static code names no charge.
_REFUND_KINDS: dict[str, Kind] = {
    "EM_PROCESSAMENTO": "refund.pending",
    "DEVOLVIDO": "refund.succeeded",
    "NAO_REALIZADO": "refund.failed",
}
_CHARGE_KINDS: dict[str, Kind] = {
    "ATIVA": "payment.pending",
    "CONCLUIDA": "payment.pending",  # Told without its payment, which is what counts.
    "REMOVIDA_PELO_USUARIO_RECEBEDOR": "payment.closed",
    "REMOVIDA_PELO_PSP": "payment.closed",
}


def events(verified: Verified) -> list[Event]:
    """Everything that a notification or an answer tells of. Raises UnableToRead, and nothing else."""
    if not verified.raw.strip():
        return []  # What a bank sends to see whether anybody listens.
    try:
        message = _object(json.loads(verified.raw))
        if verified.authority == "queried":
            return _of_answer(message)
        return _of_notification(message.get("pix"))
    except _MISSHAPEN as failure:
        raise UnableToRead(f"the bank's message has not the form we know: {failure!r}") from failure


def statement_rows(payment: Any) -> list[StatementRow]:
    """The rows of a payment: itself, and what was returned of it. Raises ValueError for another form."""
    try:
        told = _of_payment(_object(payment))
    except _MISSHAPEN as failure:
        raise ValueError(f"the list has not the form we know: {failure!r}") from failure
    return [_row(event) for event in told if event.kind in ("payment.succeeded", "refund.succeeded")]


def valor(amount: int) -> str:
    """Centavos as the API writes them."""
    return f"{amount // 100}.{amount % 100:02d}"


def written(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def made_at(charge: dict[str, Any]) -> datetime | None:
    """When a charge was made; None when it does not say."""
    try:
        return _moment(charge["calendario"]["criacao"])
    except _MISSHAPEN:
        return None


def runs_out_at(charge: dict[str, Any]) -> datetime | None:
    """When a charge stops being payable by itself; None when it does not say."""
    try:
        return _moment(charge["calendario"]["criacao"]) + timedelta(seconds=int(charge["calendario"]["expiracao"]))
    except _MISSHAPEN:
        return None


# --- Payments and charges --------------------------------------------------------------------------------------------


def _of_answer(message: dict[str, Any]) -> list[Event]:
    if "cob" in message:
        return _of_charge(_object(message["cob"]), message.get("ran_out_at"))
    if "unknown" in message:
        return [_of_unknown(message)]
    if "refused" in message:
        return [_of_refusal(message)]
    if "devolucao" in message:
        return [_of_refund(_object(message["devolucao"]), _end_to_end_id(message), {})]
    return _of_payments(message.get("pix"))


def _of_payments(payments: Any) -> list[Event]:
    return [event for payment in _list(payments) for event in _of_payment(_object(payment))]


def _of_notification(payments: Any) -> list[Event]:
    """The bank tells every client of its own under one certificate, at whatever address that client has given it.

    So a payment is believed where it names the key that was paid, which is then compared with ours. Where it does not,
    it may be somebody else's, under a txid that he took from us: the bank is asked about it as our own client.
    """
    events = []
    for payment in map(_object, _list(payments)):
        paid, *refunds = _of_payment(payment)
        if paid.account:
            events += [paid, *refunds]
        else:
            events.append(replace(paid, decision="query", reason="does not say which key was paid"))
    return events


def _of_payment(payment: dict[str, Any]) -> list[Event]:
    """What arrived, and every refund of it. Cash that the shop hands out (saque, troco) is part of the amount."""
    end_to_end_id = _end_to_end_id(payment)
    account = {"key": str(payment["chave"])} if payment.get("chave") else {}
    paid = Event(
        kind="payment.succeeded",
        object_id=end_to_end_id,
        amount=_amount(payment["valor"]),
        currency=CURRENCY,
        occurred_at=_moment(payment["horario"]),
        reference=_reference(PaymentIntent.prefix, payment.get("txid")),
        account=account,
    )
    refunds = payment.get("devolucoes")
    listed = [refunds] if isinstance(refunds, dict) else _list(refunds)  # The API's own example shows one alone.
    return [paid, *(_of_refund(_object(refund), end_to_end_id, account) for refund in listed)]


def _of_charge(charge: dict[str, Any], ran_out_at: Any) -> list[Event]:
    """A charge that was paid tells of its payments; any other of how it stands."""
    payments = _list(charge.get("pix"))
    if payments:
        own = {"txid": charge["txid"], **({"chave": charge["chave"]} if charge.get("chave") else {})}
        return [event for payment in payments for event in _of_payment({**own, **_object(payment)})]
    kind = "payment.closed" if ran_out_at is not None else _CHARGE_KINDS[charge["status"]]
    return [
        Event(
            kind=kind,
            object_id=_word(charge["txid"]),
            amount=_amount(_object(charge["valor"])["original"]),
            currency=CURRENCY,
            occurred_at=_moment(_object(charge["calendario"])["criacao"]),
            reference=_reference(PaymentIntent.prefix, charge["txid"]),
            final=kind != "payment.pending",
            account={"key": str(charge["chave"])} if charge.get("chave") else {},
        )
    ]


def _row(event: Event) -> StatementRow:
    paid = event.kind == "payment.succeeded"
    return StatementRow(
        kind="payment" if paid else "refund",
        object_id=event.object_id,
        reference=event.reference,
        amount=event.amount if paid else -event.amount,
        fee=0,
        currency=CURRENCY,
        occurred_at=event.occurred_at,
        parent_object_id=event.parent_object_id,
    )


def _of_unknown(message: dict[str, Any]) -> Event:
    terms = _object(message["unknown"])
    return Event(
        kind="payment.closed",
        object_id="",
        amount=_amount(terms["valor"]),
        currency=CURRENCY,
        occurred_at=_moment(message["at"]),
        reference=_reference(PaymentIntent.prefix, terms["txid"]),
    )


# --- Refunds ---------------------------------------------------------------------------------------------------------


def _of_refund(refund: dict[str, Any], end_to_end_id: str, account: dict[str, str]) -> Event:
    """Its own id at the central bank (`rtrId`) names it; the one that it was asked for by is ours, or a desk's."""
    kind = _REFUND_KINDS[refund["status"]]
    times = _object(refund["horario"])
    return Event(
        kind=kind,
        object_id=_word(refund.get("rtrId") or refund["id"]),
        parent_object_id=end_to_end_id,
        amount=_amount(refund["valor"]),
        currency=CURRENCY,
        occurred_at=_moment(times.get("liquidacao") or times["solicitacao"]),
        reference=_ours(Refund.prefix, refund["id"]),
        final=kind != "refund.pending",
        account=account,
    )


def _of_refusal(message: dict[str, Any]) -> Event:
    return Event(
        kind="refund.failed",
        object_id="",
        parent_object_id=_end_to_end_id(message),
        amount=_amount(message["valor"]),
        currency=CURRENCY,
        occurred_at=_moment(message["at"]),
        reference=_ours(Refund.prefix, message["asked"]),
    )


# --- Single values ---------------------------------------------------------------------------------------------------


def _reference(prefix: str, told: Any) -> str:
    """Ours, with its underscore again; a name that is not ours as it stands; none for a static code."""
    if told is None or told in _NO_TXID:
        return ""
    return _ours(prefix, told) or _word(told)


def _ours(prefix: str, told: Any) -> str:
    reference = f"{prefix}_{str(told).removeprefix(prefix)}"
    try:
        ids.parse(prefix, reference)
    except ValueError:
        return ""
    return reference if str(told).startswith(prefix) else ""


def _amount(text: Any) -> int:
    if not isinstance(text, str) or not _VALOR.fullmatch(text):
        raise ValueError(f"not an amount: {text!r}")
    amount = int(text.replace(".", ""))
    if not amount:
        raise ValueError("an amount of nothing")
    return amount


def _moment(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return moment.astimezone(UTC)


def _end_to_end_id(told: dict[str, Any]) -> str:
    found = told["endToEndId"]
    if not isinstance(found, str) or not END_TO_END_ID.fullmatch(found):
        raise ValueError(f"not the id of a payment: {found!r}")
    return found


def _word(told: Any) -> str:
    if not isinstance(told, str) or not _WORD.fullmatch(told):
        raise ValueError(f"not an id: {told!r}")
    return told


def _object(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise TypeError(f"not an object: {type(told).__name__}")
    return told


def _list(told: Any) -> list[Any]:
    if told is not None and not isinstance(told, list):
        raise TypeError(f"not a list: {type(told).__name__}")
    return told or []
