"""Mercado Pago: orders that are paid by scanning a dynamic code, and notifications that are never believed.

A notification's signature covers an id and a time but not its body, and those about codes carry none at all: so each is
a hint, and what counts is what the network answers when it is asked. An object is named by its kind and its id there:
`order/ORD…`, `payment/123`, `chargeback/456`. Amounts are JSON numbers, and are kept as they are written.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from datetime import timezone as time_zone
from typing import IO, Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from payments import credentials
from payments.models import PaymentIntent, ProviderAccount, Refund
from payments.providers import client, json_lines, mercadopago_words
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

TITLE = "Mercado Pago"
WALLET = "Mercado Pago"
CURRENCIES: frozenset[str] | None = frozenset({"ARS", "BRL", "CLP", "COP", "MXN", "PEN", "UYU"})
FIELDS = (
    Field("access_token", gettext_noop("Access token")),
    Field("webhook_secrets", gettext_noop("Webhook secrets"), required=False, form="secrets"),
    Field("user_id", gettext_noop("User id of the seller"), secret=False, required=False, names_us=True),
    Field("pos_id", gettext_noop("External id of the point of sale"), secret=False),
)
APP = re.compile(r"MercadoPago", re.IGNORECASE)
DESTINATIONS: tuple[str, ...] = ()  # The code is shown on our own page.
FORMATS = {"payments": "payments approved, with what became of them (JSON lines)"}
STATEMENT_ZONE = time_zone(timedelta(hours=-4))  # The network's own: its times and its reports are written in it.
STATEMENT_READY = timedelta(hours=1)  # The list is the network's own book as it stands.
STATEMENT_FINAL = timedelta(days=2)
STATEMENT_GROWS = True

_TOLERANCE = timedelta(seconds=300)
_MILLISECONDS_FROM = 10**11  # A larger count of seconds would be in the year 5138.
_PAGE = 50
_PAGES_MAX = 2000
_PAYMENTS_MAX = 20  # Of one order or chargeback.
# "Not in that state", "too old", "no partial refund of this one": the final words on a refund.
_KEY_KEPT = timedelta(hours=12)  # How long an idempotency key is surely remembered; they say a day.
_NO = {"2024", "2063", "3024", "15016"}


def start(account: ProviderAccount, intent: PaymentIntent, visit: Visit) -> Started:
    """An order with a code of its own. In Brazil the code is one of Pix, too, which may be pasted into any wallet."""
    order = _order(account, intent)
    try:
        order_id = mercadopago_words.order_id(order["id"])
        code = str(order["type_response"]["qr_data"])
    except (KeyError, TypeError, ValueError) as failure:
        raise ProviderError(f"the order has not the form we know: {failure!r}", permanent=False) from failure
    return Started(object_id=f"order/{order_id}", qr=code, copy=code if intent.currency == "BRL" else "")


def close(account: ProviderAccount, intent: PaymentIntent) -> Verified:
    object_id = intent.provider_object_id
    if not object_id:
        # The answer to the start was lost: the same key leads to the same order, or to a new one that nobody has seen.
        try:
            object_id = start(account, intent, Visit(return_url="")).object_id
        except Refused:
            return _nothing(intent)
    path = f"/v1/{_path(object_id)}/cancel"
    # A key of its own each time: "not now" (somebody is just paying) must not be repeated for ever.
    canceled = _send(account, "POST", path, key=str(uuid.uuid4()))
    if canceled.status == 404:
        return _nothing(intent)
    if not canceled.ok and canceled.status != 409:
        raise canceled.refusal()
    return query(account, Ref(intent.reference, object_id))


def refund(account: ProviderAccount, refund: Refund, payment_object_id: str) -> Verified:
    """Under our reference as the key, which the network does not repeat: so it is noted beside the answer."""
    if timezone.now() - refund.created_at > _KEY_KEPT:
        # It may have been carried out and its answer lost; asked again it would be another one, and nothing in their
        # list says whose it is. A person looks; what they did is booked from their own word.
        raise ProviderError("asked for long ago, and perhaps carried out: not asked for again", permanent=True)
    path = f"/v1/payments/{payment_object_id}/refunds"
    body = f'{{"amount":{mercadopago_words.written(refund.amount, refund.currency)}}}'.encode()
    about = {"asked": refund.reference, "payment": payment_object_id, "currency": refund.currency}
    try:
        made = _read(_send(account, "POST", path, key=refund.reference, body=body))
    except Refused as refusal:
        if not refusal.codes & _NO:
            raise
        # The network's "no" is its word on this refund, and enters the inbox as such.
        amount = mercadopago_words.written(refund.amount, refund.currency)
        return answered({"refused": refusal.answer, "amount": amount, "at": timezone.now().isoformat(), **about})
    if made.get("status") not in (None, "approved"):
        # The answer to the first asking is repeated; how the refund stands now, only this tells.
        now = _send(account, "GET", f"{path}/{quote(str(made.get('id')), safe='')}")
        made = _read(now) if now.ok else made
    return answered({"refund": made, **about})


def verify(account: ProviderAccount, delivery: Delivery, *, now: datetime) -> Verified:
    """A hint, whatever its signature; but one whose signature is wrong or old is not even that."""
    named = mercadopago_words.named(delivery.query)
    if mercadopago_words.hinted(delivery.raw, named) is None:
        raise UnableToVerify("hint_unreadable")
    key_id = _signed_by(account, delivery, now)
    content = hashlib.sha256(json.dumps(named, sort_keys=True).encode() + b"\n" + delivery.raw).hexdigest()
    return Verified(
        delivery_id=f"content:{content}",
        raw=delivery.raw,
        authority="unsigned_hint",
        headers=named,
        key_id=key_id,
    )


def normalise(account: ProviderAccount, verified: Verified) -> Sequence[Event]:
    """A hint tells what is to be asked about; an answer of an order, its payments, their refunds and disputes."""
    return mercadopago_words.events(verified)


def query(account: ProviderAccount, ref: Ref) -> Verified:
    """By the order or what else was hinted at; without either (the start's answer was lost) by our reference."""
    kind = ref.object_id.partition("/")[0]
    if not ref.object_id:
        return answered({"payments": _search(account, {"external_reference": ref.reference, **_BY_CREATION})})
    if not _PATHS.get(kind) or not _OBJECT_ID.fullmatch(ref.object_id):
        return answered({"never_heard_of": ref.object_id})
    told = _send(account, "GET", f"/v1/{_path(ref.object_id)}")
    if told.status == 404:
        return answered({"never_heard_of": ref.object_id})
    found = _read(told)
    if kind == "payment":
        return answered({"payments": [found]})
    ids = mercadopago_words.payments_of(found)
    if kind == "order" and not ids and mercadopago_words.was_paid(found):
        reference = {"external_reference": str(found.get("external_reference") or ref.reference)}
        return answered({kind: found, "payments": _search(account, {**reference, **_BY_CREATION})})
    payments = [_read(_send(account, "GET", f"/v1/payments/{name}")) for name in ids[:_PAYMENTS_MAX]]
    return answered({kind: found, "payments": payments})


def statement(account: ProviderAccount, day: date, into: IO[bytes]) -> str:
    """The payments approved on that day, with what became of them, once their number adds up."""
    begin = datetime.combine(day, time_of_day(), STATEMENT_ZONE)
    span = {
        "range": "date_approved",
        "begin_date": begin.isoformat(timespec="milliseconds"),
        "end_date": (begin + timedelta(days=1, milliseconds=-1)).isoformat(timespec="milliseconds"),
        "sort": "date_approved",
        "criteria": "asc",
    }
    payments = _search(account, span)
    try:
        written = json_lines.write(json_lines.parts(payments, mercadopago_words.statement_rows), into)
    except ValueError as failure:
        raise ProviderError(str(failure), permanent=False) from failure
    return "payments" if written else ""


def lines(account: ProviderAccount, form: str, file: IO[bytes]) -> Iterator[RawLine]:
    return json_lines.read(file, lambda raw: json_lines.row_of(raw, mercadopago_words.statement_rows))


def meaning(account: ProviderAccount, form: str, raw: Mapping[str, Any]) -> StatementRow | None:
    try:
        return json_lines.row_of(raw, mercadopago_words.statement_rows)
    except ValueError as failure:
        raise UnableToRead(str(failure)) from failure


def acknowledge(refusal: str = "") -> Reply:
    return Reply(status=400) if refusal else Reply(status=200)


# --- Signatures ------------------------------------------------------------------------------------------------------


def _signed_by(account: ProviderAccount, delivery: Delivery, now: datetime) -> str:
    """Which secret signed it, "" for none. Raises UnableToVerify for a signature that is wrong, or too old or new.

    HMAC-SHA256 over `id:<data.id>;request-id:<…>;ts:<…>;`, with what is absent left out. The id stands in the address,
    and is signed as it stands there or in lower case.
    """
    header = delivery.headers.get("x-signature", "").strip()
    if not header:
        return ""
    parts = {}
    for part in header.split(","):
        name, _, value = part.partition("=")
        parts[name.strip().lower()] = value.strip()
    at, told = parts.get("ts", ""), parts.get("v1", "").encode("utf-8", "replace")
    name, request_id = delivery.query.get("data.id", "").strip(), delivery.headers.get("x-request-id", "").strip()
    checked = False
    for secret in credentials.secrets(account, "webhook_secrets", now=now):
        checked = True
        if any(hmac.compare_digest(_signature(secret, form, request_id, at), told) for form in {name, name.lower()}):
            if not _is_near(at, now):
                raise UnableToVerify("timestamp_stale")
            return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:12]}"
    if checked:
        raise UnableToVerify("signature_wrong")
    return ""  # Without a secret of ours nothing can be said of it.


def _is_near(at: str, now: datetime) -> bool:
    """Whether a time in seconds or (as it is mostly sent) milliseconds is within the tolerance, either way."""
    if not re.fullmatch(r"[0-9]{1,16}", at):
        return False
    moment = int(at) / 1000 if int(at) >= _MILLISECONDS_FROM else int(at)
    return abs(now.timestamp() - moment) <= _TOLERANCE.total_seconds()


def _signature(secret: str, name: str, request_id: str, at: str) -> bytes:
    given = [("id", name), ("request-id", request_id), ("ts", at)]
    manifest = "".join(f"{part}:{value};" for part, value in given if value)
    return hmac.new(secret.encode(), manifest.encode("utf-8", "replace"), hashlib.sha256).hexdigest().encode()


# --- Calling the network ---------------------------------------------------------------------------------------------


class Refused(ProviderError):
    """The network understood the request and said no to it; `codes` are the causes that it gives."""

    def __init__(self, told: ProviderError, answer: dict[str, Any]) -> None:
        super().__init__(str(told), permanent=True)
        self.answer = answer
        causes = answer.get("cause")
        listed = causes if isinstance(causes, list) else []
        self.codes = {str(cause.get("code")) for cause in listed if isinstance(cause, dict)}


_PATHS = {"order": "orders", "payment": "payments", "chargeback": "chargebacks"}
_OBJECT_ID = re.compile(r"[a-z]{1,12}/[A-Za-z0-9]{1,40}")
_BY_CREATION = {"sort": "date_created", "criteria": "asc"}


def _path(object_id: str) -> str:
    kind, _, name = object_id.partition("/")
    return f"{_PATHS[kind]}/{name}"


def _nothing(intent: PaymentIntent) -> Verified:
    """It was never started there (the network was down then), so nobody can pay it: that is closed, too."""
    terms = {"external_reference": intent.reference, "at": timezone.now().isoformat()}
    amount = mercadopago_words.written(intent.amount, intent.currency)
    return answered({"unknown": {**terms, "total_amount": amount, "currency": intent.currency}})


def _order(account: ProviderAccount, intent: PaymentIntent) -> dict[str, Any]:
    """The order of an intent; asked for again under the same key, the same order."""
    amount = mercadopago_words.written(intent.amount, intent.currency)
    minutes, seconds = divmod(max(int((intent.expires_at - intent.created_at).total_seconds()), 30), 60)
    body = {
        "type": "qr",
        "external_reference": intent.reference,
        "total_amount": amount,
        "description": intent.description[:150],
        "expiration_time": f"PT{minutes}M" + (f"{seconds}S" if seconds else ""),
        "config": {"qr": {"external_pos_id": credentials.of(account)["pos_id"], "mode": "dynamic"}},
        "transactions": {"payments": [{"amount": amount}]},
    }
    return _read(_send(account, "POST", "/v1/orders", key=intent.reference, body=json.dumps(body).encode()))


def _search(account: ProviderAccount, terms: dict[str, str]) -> list[dict[str, Any]]:
    """Every payment that fits, over all pages; raises ProviderError unless there are as many as is said."""
    found: dict[str, dict[str, Any]] = {}
    for page in range(_PAGES_MAX):
        window = urlencode({**terms, "limit": _PAGE, "offset": page * _PAGE})
        told = _read(_send(account, "GET", f"/v1/payments/search?{window}"))
        try:
            total, rows = int(told["paging"]["total"]), told["results"]
            found.update({str(row["id"]): row for row in rows})
        except (KeyError, TypeError, ValueError, AttributeError) as failure:
            raise ProviderError(f"the search has not the form we know: {failure!r}", permanent=False) from failure
        if not rows or (page + 1) * _PAGE >= total:
            break
    if len(found) != total:
        raise ProviderError(f"the search does not add up: {len(found)} of {total} payments", permanent=False)
    return list(found.values())


def _send(account: ProviderAccount, method: str, path: str, *, key: str = "", body: bytes = b"") -> client.Answer:
    """One call; a POST carries its idempotency key, so that every call may be made twice."""
    headers = {"Authorization": f"Bearer {credentials.of(account)['access_token']}", "Content-Type": "application/json"}
    if key:
        headers["X-Idempotency-Key"] = key
    return client.send(account, method, settings.MERCADOPAGO_URL + path, body=body, headers=headers, safe=True)


def _read(answer: client.Answer) -> dict[str, Any]:
    """The answer with its numbers as they are written. Raises Refused for a 400 or 404 that says why."""
    try:
        read = json.loads(answer.body, parse_float=str)
    except (ValueError, RecursionError):
        read = None
    if not answer.ok:
        told = answer.refusal()
        raise Refused(told, read) if answer.status in (400, 404) and isinstance(read, dict) else told
    if not isinstance(read, dict):
        raise ProviderError("the answer is no JSON object", permanent=False)
    return read
