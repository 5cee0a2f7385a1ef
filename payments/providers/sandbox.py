"""The client of the pretend wallet (`payments/sandbox`, a program of its own): orders, refunds, signed notifications.

It speaks to that program over HTTP only and knows nothing of its inside, as with any other provider.
Notifications are signed by the Standard Webhooks scheme (headers webhook-id, webhook-timestamp, webhook-signature).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import IO, Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from payments import credentials
from payments.models import PaymentIntent, ProviderAccount, Refund
from payments.providers import client, sandbox_statement
from payments.providers.base import (
    AMOUNT_MAX,
    Delivery,
    Event,
    Field,
    Kind,
    ProviderError,
    RawLine,
    Ref,
    Reply,
    Started,
    StatementRow,
    UnableToRead,
    UnableToVerify,
    Verified,
    Visit,
    answered,
)

TITLE = "Pretend wallet"
WALLET = gettext_noop("Pretend wallet")
CURRENCIES = None
FIELDS = (
    Field("api_key", gettext_noop("API key")),
    Field("webhook_secrets", gettext_noop("Webhook secrets (whsec_…)"), form="secrets"),
)
APP = None
DESTINATIONS: tuple[str, ...] = ()
FORMATS = {"settlement": "settlement file (CSV)"}
STATEMENT_ZONE = UTC
STATEMENT_READY = timedelta(minutes=5)
STATEMENT_FINAL = timedelta(days=1, hours=1)  # What it settles a day late is in the next day's file.
STATEMENT_GROWS = False

_SIGNED_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def start(account: ProviderAccount, intent: PaymentIntent, visit: Visit) -> Started:
    body = {
        "reference": intent.reference,
        "amount": intent.amount,
        "currency": intent.currency,
        "description": intent.description,
        "return_url": visit.return_url,
        "expires_at": intent.expires_at.isoformat(),
    }
    order = _call(account, "POST", "/v1/orders", key=intent.reference, body=body)
    try:
        return Started(object_id=order["id"], redirect_url=order["pay_url"])
    except (KeyError, TypeError) as failure:
        raise ProviderError("the wallet's order has not the form we know", permanent=False) from failure


def close(account: ProviderAccount, intent: PaymentIntent) -> Verified:
    path = f"/v1/orders/{intent.reference}/close"
    try:
        return answered(_call(account, "POST", path, key=f"close-{intent.reference}", body={}))
    except Unknown:
        # It was never started there (the wallet was down then), so nobody can pay it: that is closed, too.
        terms = {"reference": intent.reference, "amount": intent.amount, "currency": intent.currency}
        return answered({"unknown": terms, "at": timezone.now().isoformat()})


def refund(account: ProviderAccount, refund: Refund, payment_object_id: str) -> Verified:
    body = {"reference": refund.reference, "amount": refund.amount}
    path = f"/v1/payments/{payment_object_id}/refunds"
    try:
        _call(account, "POST", path, key=refund.reference, body=body)
        # The answer to the first asking is repeated for ever; how the refund stands now, only this tells.
        return answered({"refund": _call(account, "GET", f"/v1/refunds/{refund.reference}")})
    except Refused as refusal:
        # The wallet's "no" is its word on this refund, and enters the inbox as such.
        told = {"refused": refusal.answer, "payment": payment_object_id, "currency": refund.currency, **body}
        return answered({**told, "at": timezone.now().isoformat()})


def verify(account: ProviderAccount, delivery: Delivery, *, now: datetime) -> Verified:
    """Standard Webhooks over the raw bytes, five minutes either way, any of the account's secrets (rotation)."""
    signed = {name: delivery.headers.get(name, "") for name in _SIGNED_HEADERS}
    if not all(signed.values()):
        raise UnableToVerify("signature_missing")
    stale = False
    for secret in credentials.secrets(account, "webhook_secrets", now=now):
        key_id, checker = _checker(secret)
        try:
            checker.verify(delivery.raw, signed, json_parse=False)
        except WebhookVerificationError as failure:
            stale = stale or "timestamp" in str(failure).lower()
        except ValueError:  # What is not even of the scheme's form (base 64, UTF-8, "v1,…") is no signature.
            continue
        else:
            return Verified(
                delivery_id=signed["webhook-id"], raw=delivery.raw, authority="signed", headers=signed, key_id=key_id
            )
    raise UnableToVerify("timestamp_stale" if stale else "signature_wrong")


def normalise(account: ProviderAccount, verified: Verified) -> Sequence[Event]:
    """A notification tells of one payment or refund; an answer shows a whole order, or one refund."""
    try:
        message = json.loads(verified.raw)
        if verified.authority == "signed":
            return _read_notification(message)
        if "never_heard_of" in message:
            return []
        if "unknown" in message:
            return [_read_unknown(message)]
        if "refused" in message:
            return [_read_refusal(message)]
        if "refund" in message:
            return [_read_refund(message["refund"])]
        return _read_order(message)
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        raise UnableToRead(f"the wallet's message has not the form we know: {failure!r}") from failure


def query(account: ProviderAccount, ref: Ref) -> Verified:
    about = ref.reference or ref.object_id
    try:
        return answered(_call(account, "GET", f"/v1/orders/{about}"))
    except Unknown:
        return answered({"never_heard_of": about})


def statement(account: ProviderAccount, day: date, into: IO[bytes]) -> str:
    """The wallet's file of a day in UTC."""
    headers = {"Authorization": f"Bearer {credentials.of(account)['api_key']}"}
    client.download(account, f"{settings.SANDBOX_URL}/v1/settlements/{day.isoformat()}.csv", into, headers=headers)
    return "settlement"


def lines(account: ProviderAccount, form: str, file: IO[bytes]) -> Iterator[RawLine]:
    return sandbox_statement.lines(file)


def meaning(account: ProviderAccount, form: str, raw: Mapping[str, Any]) -> StatementRow | None:
    return sandbox_statement.meaning(raw)


def acknowledge(refusal: str = "") -> Reply:
    return Reply(status=400) if refusal else Reply(status=204)


def register(account: ProviderAccount) -> None:
    """Tells the pretend wallet of our account: its key, its secret, and where notifications go (its control API)."""
    secrets = credentials.of(account)
    body = {
        "api_key": secrets["api_key"],
        "webhook_secret": secrets["webhook_secrets"].split()[0],
        "notify_url": f"{settings.PUBLIC_URL}/webhooks/{account.provider}/{account.name}",
    }
    headers = {"Authorization": f"Bearer {settings.SANDBOX_CONTROL_KEY}", "Content-Type": "application/json"}
    url = f"{settings.SANDBOX_URL}/control/accounts/{account.name}"
    answer = client.send(account, "PUT", url, body=json.dumps(body).encode(), headers=headers, safe=True)
    if not answer.ok:
        raise answer.refusal()


# --- What its messages mean ------------------------------------------------------------------------------------------

_KINDS: dict[str, Kind] = {
    "payment.succeeded": "payment.succeeded",
    "payment.failed": "payment.failed",
    "order.closed": "payment.closed",
    "refund.succeeded": "refund.succeeded",
    "refund.failed": "refund.failed",
    "dispute.opened": "dispute.opened",
    "dispute.won": "dispute.won",
    "dispute.lost": "dispute.lost",
    "dispute.closed": "dispute.closed",
}


def _read_notification(message: dict[str, Any]) -> list[Event]:
    kind = _KINDS.get(message["type"], "unknown")
    data, at = message["data"], message["occurred_at"]
    if kind.startswith("refund."):
        return [_read_refund(data["refund"], at)]
    if kind.startswith("dispute."):
        return [_read_dispute(kind, data["dispute"], at)]
    if kind == "payment.succeeded":
        return [_read_payment(data["payment"], data["order"]["reference"])]
    order = data["order"]
    return [
        Event(
            kind=kind,
            object_id=str(order["id"]),
            amount=_positive(order["amount"]),
            currency=str(order["currency"]),
            occurred_at=_moment(at),
            reference=str(order["reference"] or ""),
        )
    ]


def _read_order(order: dict[str, Any]) -> list[Event]:
    events = [_read_payment(payment, order["reference"]) for payment in order["payments"]]
    events += [_read_refund(refund) for refund in order["refunds"]]
    unpaid: dict[str, Kind] = {"open": "payment.pending", "refused": "payment.failed", "closed": "payment.closed"}
    if order["state"] in unpaid:
        events.append(
            Event(
                kind=unpaid[order["state"]],
                object_id=str(order["id"]),
                amount=_positive(order["amount"]),
                currency=str(order["currency"]),
                occurred_at=_moment(order["created_at"]),
                reference=str(order["reference"]),
                final=order["state"] != "open",
            )
        )
    return events


def _read_payment(payment: dict[str, Any], reference: str | None) -> Event:
    return Event(
        kind="payment.succeeded",
        object_id=str(payment["id"]),
        amount=_positive(payment["amount"]),
        currency=str(payment["currency"]),
        occurred_at=_moment(payment["occurred_at"]),
        reference=str(reference or ""),
    )


def _read_refund(refund: dict[str, Any], at: str | None = None) -> Event:
    kinds: dict[str, Kind] = {
        "pending": "refund.pending",
        "succeeded": "refund.succeeded",
        "failed": "refund.failed",
    }
    return Event(
        kind=kinds[refund["state"]],
        object_id=str(refund["id"]),
        parent_object_id=str(refund["payment_id"]),
        amount=_positive(refund["amount"]),
        currency=str(refund["currency"]),
        occurred_at=_moment(at or refund.get("settled_at") or refund["created_at"]),
        reference=str(refund["reference"] or ""),
        final=refund["state"] != "pending",
    )


def _read_unknown(message: dict[str, Any]) -> Event:
    order = message["unknown"]
    return Event(
        kind="payment.closed",
        object_id="",
        amount=_positive(order["amount"]),
        currency=str(order["currency"]),
        occurred_at=_moment(message["at"]),
        reference=str(order["reference"]),
    )


def _read_refusal(message: dict[str, Any]) -> Event:
    return Event(
        kind="refund.failed",
        object_id="",
        parent_object_id=str(message["payment"]),
        amount=_positive(message["amount"]),
        currency=str(message["currency"]),
        occurred_at=_moment(message["at"]),
        reference=str(message["reference"]),
    )


def _read_dispute(kind: Kind, dispute: dict[str, Any], at: str) -> Event:
    due = dispute.get("evidence_due_at")
    return Event(
        kind=kind,
        object_id=str(dispute["id"]),
        parent_object_id=str(dispute["payment_id"]),
        amount=_positive(dispute["amount"]),
        currency=str(dispute["currency"]),
        occurred_at=_moment(at),
        final=kind != "dispute.opened",
        evidence_due_at=_moment(due) if due else None,
    )


def _positive(amount: Any) -> int:
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= AMOUNT_MAX:
        raise ValueError(f"not an amount: {amount!r}")
    return amount


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return moment


class Unknown(ProviderError):
    """The wallet does not know what we speak of."""


class Refused(ProviderError):
    """The wallet understood the request and said no to it, for good."""

    def __init__(self, answer: str) -> None:
        super().__init__(f"the wallet said no: {answer}", permanent=True)
        self.answer = answer


# --- Calling it ------------------------------------------------------------------------------------------------------


def _call(
    account: ProviderAccount, method: str, path: str, *, key: str = "", body: dict[str, Any] | None = None
) -> dict[str, Any]:
    return _send(account, method, path, key=key, body=body).object()


def _send(
    account: ProviderAccount, method: str, path: str, *, key: str = "", body: dict[str, Any] | None = None
) -> client.Answer:
    """One call; a POST carries its idempotency key, so that every call may be made twice."""
    headers = {"Authorization": f"Bearer {credentials.of(account)['api_key']}", "Content-Type": "application/json"}
    if key:
        headers["Idempotency-Key"] = key
    raw = json.dumps(body).encode() if body is not None else b""
    answer = client.send(account, method, settings.SANDBOX_URL + path, body=raw, headers=headers, safe=True)
    if answer.ok:
        return answer
    if answer.status == 409:
        raise Refused(answer.body[:200].decode("utf-8", "replace"))
    if answer.status == 404 and b"order_unknown" in answer.body:
        raise Unknown("refused with 404: it does not know this order", permanent=True)
    raise answer.refusal()


@lru_cache(maxsize=256)
def _checker(secret: str) -> tuple[str, Webhook]:
    """The checker of a secret, with a name for it that gives nothing away."""
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:12]}", Webhook(secret)
