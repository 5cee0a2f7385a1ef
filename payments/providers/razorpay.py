"""The client of Razorpay (India): UPI codes for one payment, orders on its hosted page, refunds, signed notifications.

Facts from https://razorpay.com/docs/api/ and https://razorpay.com/docs/webhooks/. What its messages mean stands in
`razorpay_events`, how it is called in `razorpay_calls`, its settlement rows in `razorpay_statement`.

Neither codes nor orders have an idempotency key: before one is made, it is looked for under the intent's reference.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import IO, Any

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_noop

from payments import credentials
from payments.models import PaymentIntent, ProviderAccount, Refund
from payments.providers import razorpay_calls as calls
from payments.providers import razorpay_events, razorpay_statement
from payments.providers.base import (
    Delivery,
    Event,
    Field,
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

TITLE = "Razorpay"
WALLET = "UPI"
CURRENCIES = frozenset({"INR"})
FIELDS = (
    Field("key_id", gettext_noop("Key id (rzp_…)"), secret=False),
    Field("key_secret", gettext_noop("Key secret")),
    Field("webhook_secrets", gettext_noop("Webhook secrets"), form="secrets"),
    Field("account_id", gettext_noop("Account id (acc_…)"), secret=False, required=False, names_us=True),
)
APP = None
DESTINATIONS = ("https://api.razorpay.com", "https://rzp.io")
FORMATS = {"recon": "settlement recon (JSON lines)"}
STATEMENT_ZONE = razorpay_statement.ZONE
STATEMENT_READY = timedelta(hours=4)  # Settlements are made during the day, and reported within hours.
STATEMENT_FINAL = timedelta(days=7)  # What is paid now is settled two or three working days later.
STATEMENT_GROWS = False

# No code may be set to close sooner than 15 minutes from now. The intent ends earlier, and is then closed by us.
_CODE_LIFE_MIN = timedelta(minutes=16)
_CLOCKS = timedelta(seconds=10)  # How far its clock may be from ours when we look for what was made around a time.
_LOOK_PAGES = 5  # Of a hundred codes each.
_NO_MORE = (  # Refusals of a refund that are its last word, by their sentences in the documentation.
    "has been fully refunded already",
    "greater than amount captured",
    "amount must be at least",
)


def start(account: ProviderAccount, intent: PaymentIntent, visit: Visit) -> Started:
    """At a computer a code to scan; on a phone the wallet's own link, or an order on the hosted page without one.

    The code's content is given to accounts that have the "image content" feature; others get the address of a picture.
    """
    if visit.place == "computer":
        return _by_code(_code(account, intent))
    order = _order_named(account, intent.reference)
    if order is None:
        code = _code(account, intent)
        if code.get("image_content"):
            return _by_code(code)
        # Its picture cannot be scanned by the phone that shows it. Only one of the two may stay payable.
        _close_code(account, _id(code, "qr"))
        terms = {"receipt": intent.reference, "amount": intent.amount, "currency": intent.currency}
        order = calls.post(account, "/v1/orders", {**terms, "notes": {"reference": intent.reference}})
    return _by_hosted_page(account, intent, visit, _id(order, "order"))


def close(account: ProviderAccount, intent: PaymentIntent) -> Verified:
    """Closes the code. An order cannot be closed: one that is unpaid now is given up, and money that comes is late."""
    ref = Ref(intent.reference, intent.provider_object_id, intent.created_at)
    found = _known(account, ref)
    for object_id in found:
        if object_id.startswith("qr_"):
            _close_code(account, object_id)
    try:
        sources = [_source(account, object_id) for object_id in found]
    except calls.Unknown:
        sources = []
    if not sources:
        terms = {"reference": intent.reference, "amount": intent.amount, "currency": intent.currency}
        return answered({"unknown": terms, "at": int(timezone.now().timestamp())})
    return _answer(account, [source if "qr_code" in source else {**source, "given_up": True} for source in sources])


def refund(account: ProviderAccount, refund: Refund, payment_object_id: str) -> Verified:
    path = f"/v1/payments/{payment_object_id}"
    # Its idempotency keys are not kept for ever, and we may ask again after days: what is there, counts.
    for made in calls.every(account, f"{path}/refunds"):
        if razorpay_events.reference_in(made.get("notes")) == refund.reference or (
            made.get("receipt") == refund.reference
        ):
            return answered({"refund": made, **_asked_at([made])})
    terms = {"amount": refund.amount, "speed": "normal", "receipt": refund.reference}
    body = {**terms, "notes": {"reference": refund.reference}}
    try:
        made = calls.post(account, f"{path}/refund", body, refund_key=refund.reference)
    except calls.Refused as refusal:
        if not any(words in refusal.description.lower() for words in _NO_MORE):
            raise
        told = {"refused": refusal.description, "payment": payment_object_id, "reference": refund.reference}
        at = int(timezone.now().timestamp())
        return answered({**told, "amount": refund.amount, "currency": refund.currency, "at": at})
    return answered({"refund": made, **_asked_at([made])})


def verify(account: ProviderAccount, delivery: Delivery, *, now: datetime) -> Verified:
    """Hexadecimal HMAC-SHA256 of the raw body, by any of the accepted secrets. The scheme knows no time.

    Retries of old events are signed with the secret of then. https://razorpay.com/docs/webhooks/validate-test/
    """
    given = delivery.headers.get("x-razorpay-signature", "").encode("utf-8", "backslashreplace")
    if not given:
        raise UnableToVerify("signature_missing")
    for secret in credentials.secrets(account, "webhook_secrets", now=now):
        key = secret.encode()
        if hmac.compare_digest(hmac.new(key, delivery.raw, hashlib.sha256).hexdigest().encode(), given):
            break
    else:
        raise UnableToVerify("signature_wrong")
    if _read(delivery.raw) is None:
        raise UnableToVerify("body_unreadable")
    # Not the header x-razorpay-event-id: no signature covers it, so whoever holds one signed body could fill the inbox
    # with it under ever new ids, or send it under the id of an event to come, which would then be dropped as known.
    # Two notifications with the same body, its time and ids included, tell of the same thing.
    delivery_id = f"sha256:{hashlib.sha256(delivery.raw).hexdigest()}"
    return Verified(delivery_id=delivery_id, raw=delivery.raw, authority="signed", key_id=_name_of(secret))


def normalise(account: ProviderAccount, verified: Verified) -> Sequence[Event]:
    message = _read(verified.raw)
    if message is None:
        raise UnableToRead("no JSON object")
    try:
        if verified.authority == "signed":
            return [razorpay_events.read_notification(message)]
        return razorpay_events.read_answer(message)
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        raise UnableToRead(f"Razorpay's message has not the form we know: {failure!r}") from failure


def query(account: ProviderAccount, ref: Ref) -> Verified:
    """Everything about the intent's code or order; or about one payment (`pay_…`) and what it was made for."""
    try:
        if ref.object_id.startswith("pay_"):
            sources = [_source_of_payment(account, ref.object_id)]
        else:
            sources = [_source(account, object_id) for object_id in _known(account, ref)]
    except calls.Unknown:
        sources = []
    return _answer(account, sources) if sources else answered({"nothing": ref.object_id or ref.reference})


def statement(account: ProviderAccount, day: date, into: IO[bytes]) -> str:
    """What was settled on that day of India's calendar."""
    return "recon" if razorpay_statement.write(account, day, into) else ""


def lines(account: ProviderAccount, form: str, file: IO[bytes]) -> Iterator[RawLine]:
    return razorpay_statement.lines(file)


def meaning(account: ProviderAccount, form: str, raw: Mapping[str, Any]) -> StatementRow | None:
    return razorpay_statement.meaning(raw)


def acknowledge(refusal: str = "") -> Reply:
    return Reply(status=400) if refusal else Reply(status=200)


# --- Starting --------------------------------------------------------------------------------------------------------


def _code(account: ProviderAccount, intent: PaymentIntent) -> dict[str, Any]:
    """The intent's code: the one that a start whose answer was lost has made, else a new one."""
    now = timezone.now()
    for code in _codes_named(account, intent.reference, intent.created_at, now):
        return code
    body = {
        "type": "upi_qr",
        "name": intent.shop.name[:50],
        "usage": "single_use",
        "fixed_amount": True,
        "payment_amount": intent.amount,
        "description": intent.description,
        "close_by": int(max(intent.expires_at, now + _CODE_LIFE_MIN).timestamp()),
        "notes": {"reference": intent.reference},
    }
    return calls.post(account, "/v1/payments/qr_codes", body)


def _by_code(code: Mapping[str, Any]) -> Started:
    object_id, content = _id(code, "qr"), code.get("image_content")
    if isinstance(content, str) and content:
        opens = content.lower().startswith("upi://pay")
        return Started(object_id=object_id, qr=content, app_url=content if opens else "")
    picture = code.get("image_url")
    if not isinstance(picture, str) or not picture.startswith(tuple(f"{origin}/" for origin in DESTINATIONS)):
        raise ProviderError("the code has neither content nor a picture that we would show", permanent=False)
    return Started(object_id=object_id, redirect_url=picture)


def _by_hosted_page(account: ProviderAccount, intent: PaymentIntent, visit: Visit, order_id: str) -> Started:
    """https://razorpay.com/docs/payments/payment-gateway/web-integration/hosted/: it posts back to the return URL."""
    form = {
        "key_id": credentials.of(account)["key_id"],
        "order_id": order_id,
        "amount": str(intent.amount),
        "currency": intent.currency,
        "name": intent.shop.name,
        "description": intent.description,
        "callback_url": visit.return_url,
        "cancel_url": visit.return_url,
    }
    return Started(object_id=order_id, redirect_url=f"{settings.RAZORPAY_URL}/v1/checkout/embedded", form=form)


# --- Looking up ------------------------------------------------------------------------------------------------------


def _known(account: ProviderAccount, ref: Ref) -> list[str]:
    """The codes and orders of an intent: the one it was started as, or all that bear its reference."""
    if ref.object_id.startswith(("qr_", "order_")):
        return [ref.object_id]
    order = _order_named(account, ref.reference or ref.object_id)
    found = [_id(order, "order")] if order else []
    if ref.created_at is not None:
        until = ref.created_at + settings.INTENT_LIFE
        found += [_id(code, "qr") for code in _codes_named(account, ref.reference, ref.created_at, until)]
    return found


def _order_named(account: ProviderAccount, reference: str) -> dict[str, Any] | None:
    found = calls.items_of(calls.get(account, "/v1/orders", {"receipt": reference}))
    return next((order for order in found if order.get("receipt") == reference), None)


def _codes_named(
    account: ProviderAccount, reference: str, since: datetime, until: datetime
) -> Iterator[dict[str, Any]]:
    """Codes cannot be looked for by their notes: those of the time in which it was made are gone through.

    Of a busy account only the newest: a code whose making was never answered was never shown, so nobody can pay it.
    """
    span = {"from": int((since - _CLOCKS).timestamp()), "to": int((until + _CLOCKS).timestamp())}
    for codes in calls.pages(account, "/v1/payments/qr_codes", span, size=100, pages_max=_LOOK_PAGES):
        for code in codes:
            if razorpay_events.reference_in(code.get("notes")) == reference:
                yield code


def _source(account: ProviderAccount, object_id: str) -> dict[str, Any]:
    """The code or the order itself, and then its payments: what is paid in between is among them."""
    if object_id.startswith("order_"):
        order = calls.get(account, f"/v1/orders/{object_id}")
        return {"order": order, "payments": calls.items_of(calls.get(account, f"/v1/orders/{object_id}/payments"))}
    path = f"/v1/payments/qr_codes/{object_id}"
    return {"qr_code": calls.get(account, path), "payments": calls.every(account, f"{path}/payments")}


def _source_of_payment(account: ProviderAccount, payment_id: str) -> dict[str, Any]:
    payment = calls.get(account, f"/v1/payments/{payment_id}")
    if payment.get("order_id"):
        order_id = _id({"id": payment["order_id"]}, "order")
        return {"order": calls.get(account, f"/v1/orders/{order_id}"), "payments": [payment]}
    try:
        codes = calls.items_of(calls.get(account, "/v1/payments/qr_codes", {"payment_id": payment_id}))
    except calls.Refused:
        codes = []  # That there is none is told as a refusal.
    return {**({"qr_code": codes[0]} if codes else {}), "payments": [payment]}


def _answer(account: ProviderAccount, sources: Sequence[Mapping[str, Any]]) -> Verified:
    refunded = [
        _id(payment, "pay")
        for source in sources
        for payment in source["payments"]
        if payment.get("amount_refunded") or payment.get("refund_status")
    ]
    refunds = [made for payment_id in refunded for made in calls.every(account, f"/v1/payments/{payment_id}/refunds")]
    return answered({"sources": sources, "refunds": refunds, **_asked_at(refunds)})


def _asked_at(refunds: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """When we were told of a failed refund; left out where nothing needs it, so that the same answer stays the same."""
    failed = any(made.get("status") == "failed" for made in refunds)
    return {"asked_at": int(timezone.now().timestamp())} if failed else {}


def _close_code(account: ProviderAccount, code_id: str) -> None:
    """Closes it; one that was closed before (paid, or out of time) is refused, and that is just as well."""
    path = f"/v1/payments/qr_codes/{code_id}"
    try:
        calls.post(account, f"{path}/close", {})
    except calls.Unknown:
        return
    except calls.Refused:
        if calls.get(account, path).get("status") != "closed":
            raise


def _id(entity: Mapping[str, Any], prefix: str) -> str:
    try:
        return razorpay_events.id_of(entity.get("id"), prefix)
    except ValueError as failure:
        raise ProviderError(f"the answer has not the form we know: {failure}", permanent=False) from failure


# --- Reading and naming ----------------------------------------------------------------------------------------------


def _read(raw: bytes) -> dict[str, Any] | None:
    """The body as a JSON object, or None. Decoded first: left alone, the parser also takes what is not UTF-8."""
    try:
        message = json.loads(raw.decode())
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


@lru_cache(maxsize=256)
def _name_of(secret: str) -> str:
    """A name for a secret. People choose these secrets, so a plain hash would be a way to guess them."""
    return salted_hmac("payments.providers.razorpay", secret, algorithm="sha256").hexdigest()[:16]
