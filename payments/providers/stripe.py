"""Stripe: cards and whatever else its Checkout page takes. One Checkout session for each intent, at its reference.

Source: Stripe's API reference, and for signatures docs.stripe.com/webhooks (the SDKs' own reading of the header). What
its objects mean stands in `stripe_events`, how it counts money in `stripe_amounts`, how it is called in `stripe_calls`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import IO, Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from payments import credentials
from payments.models import PaymentIntent, ProviderAccount, Refund
from payments.providers import stripe_events, stripe_statement
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
from payments.providers.stripe_amounts import to_stripe
from payments.providers.stripe_calls import Refused, Unknown, call, listed, quoted

TITLE = "Stripe"
WALLET = gettext_noop("Card")
CURRENCIES = None
FIELDS = (
    Field("secret_key", gettext_noop("Secret key (sk_… or rk_…)")),
    Field("webhook_secrets", gettext_noop("Webhook signing secrets (whsec_…)"), form="secrets"),
    Field("account", gettext_noop("Account id (acct_…), for Connect"), secret=False, required=False, names_us=True),
)
APP = None
DESTINATIONS: tuple[str, ...] = ("https://checkout.stripe.com",)
FORMATS = {
    "balance": "balance transactions (JSON lines)",
    "payout_report": "payout reconciliation report, itemized (CSV)",
}
STATEMENT_ZONE = UTC
STATEMENT_READY = timedelta(hours=1)  # The list is Stripe's own book as it stands.
STATEMENT_FINAL = timedelta(days=1)
STATEMENT_GROWS = False

_TOLERANCE_S = 300
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}")
_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{1,100}")

# Stripe lets no session end sooner than half an hour from now. Ours ends with its intent, by `close`; this only bounds
# it should that never come. Counted from the intent's end, every start while it is open asks for the same moment.
_SESSION_OUTLASTS = timedelta(minutes=35)

_PAGES_OF_SESSIONS = 50  # To find one whose answer was lost: 5,000 sessions within an intent's life.
_SESSIONS_WITHOUT_TIME = 10
_PAGES_OF_PAYMENT = 10  # Of one payment's refunds or disputes.
_AROUND = timedelta(minutes=1)  # Their clock and ours may differ by this.

_SHOWN_WITH_SESSION = [("expand[]", "payment_intent.latest_charge.balance_transaction")]
_SHOWN_WITH_PAYMENT = [("expand[]", "latest_charge.balance_transaction")]
_SHOWN_WITH_REFUND = "failure_balance_transaction"


def start(account: ProviderAccount, intent: PaymentIntent, visit: Visit) -> Started:
    try:
        amount = to_stripe(intent.amount, intent.currency)
    except ValueError as failure:
        raise ProviderError(f"Stripe cannot take this amount: {failure}", permanent=True) from failure
    body = [
        ("mode", "payment"),
        ("client_reference_id", intent.reference),
        ("metadata[reference]", intent.reference),
        ("payment_intent_data[metadata][reference]", intent.reference),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", intent.currency.lower()),
        ("line_items[0][price_data][unit_amount]", str(amount)),
        ("line_items[0][price_data][product_data][name]", intent.description),
        ("adaptive_pricing[enabled]", "false"),  # The payer pays in the shop's currency, or the amounts would differ.
        ("expires_at", str(int((intent.expires_at + _SESSION_OUTLASTS).timestamp()))),
        ("success_url", visit.return_url),
        ("cancel_url", visit.return_url),
    ]
    session = call(account, "POST", "/v1/checkout/sessions", body, key=intent.reference)
    object_id, url = session.get("id"), session.get("url")
    if not isinstance(object_id, str) or not isinstance(url, str) or not url.startswith("https://"):
        raise ProviderError("the session has not the form we know", permanent=False)
    return Started(object_id=object_id, redirect_url=url)


def close(account: ProviderAccount, intent: PaymentIntent) -> Verified:
    ref = Ref(intent.reference, intent.provider_object_id, intent.created_at)
    object_id = ref.object_id or _found(account, ref)
    if object_id:
        try:
            return answered({"session": call(account, "POST", f"/v1/checkout/sessions/{quoted(object_id)}/expire")})
        except Unknown:
            object_id = ""
        except Refused as refusal:
            if refusal.status != 400:
                raise
            # Only an open session can be closed: this one is paid, or was closed before.
            return query(account, Ref(intent.reference, object_id, intent.created_at))
    # It was never started there (or not with these keys), so nobody can pay it: that is closed, too.
    terms = {"reference": intent.reference, "amount": intent.amount, "currency": intent.currency}
    return answered({"never_started": terms, "at": timezone.now().isoformat()})


def refund(account: ProviderAccount, refund: Refund, payment_object_id: str) -> Verified:
    """Stripe forgets an idempotency key after a day, and we ask for longer: so it is first looked for among those made.

    Within the day the key guards against a refund that is made but not listed yet.
    """
    about = "charge" if payment_object_id.startswith(("ch_", "py_")) else "payment_intent"
    for made in _refunds(account, about, payment_object_id):
        if stripe_events.reference(made) == refund.reference:
            return answered({"refunds": [made]})
    try:
        amount = to_stripe(refund.amount, refund.currency)
    except ValueError as failure:
        raise ProviderError(f"Stripe cannot refund this amount: {failure}", permanent=True) from failure
    body = [
        (about, payment_object_id),
        ("amount", str(amount)),
        ("metadata[reference]", refund.reference),
        ("expand[]", _SHOWN_WITH_REFUND),
    ]
    try:
        return answered({"refunds": [call(account, "POST", "/v1/refunds", body, key=refund.reference)]})
    except Refused as refusal:
        if not refusal.is_final_for_refund:
            raise
        asked = {
            "payment": payment_object_id,
            "amount": refund.amount,
            "currency": refund.currency,
            "reference": refund.reference,
        }
        return answered({"refused": refusal.error, "asked": asked, "at": timezone.now().isoformat()})


def verify(account: ProviderAccount, delivery: Delivery, *, now: datetime) -> Verified:
    """`Stripe-Signature: t=…,v1=…`: HMAC-SHA256 of `t.body`, any of several `v1` by any of several secrets.

    Five minutes either way; Stripe's own SDKs take a time in the future, which only somebody with the secret can sign.
    """
    signed_at, signatures = _read_header(delivery.headers.get("stripe-signature", ""))
    signed = signed_at.encode() + b"." + delivery.raw
    for secret in credentials.secrets(account, "webhook_secrets", now=now):
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        if any(hmac.compare_digest(expected.encode(), signature) for signature in signatures):
            break
    else:
        raise UnableToVerify("signature_wrong")
    if abs(now.timestamp() - int(signed_at)) > _TOLERANCE_S:
        raise UnableToVerify("timestamp_stale")
    event_id, about = _event(delivery.raw)
    if about and not credentials.of(account).get("account"):
        # One secret serves the events of all connected accounts, and this account of ours is none of them.
        raise UnableToVerify("other_account")
    return Verified(
        delivery_id=event_id,
        raw=delivery.raw,
        authority="signed",
        headers={"stripe-signature": f"t={signed_at},v1={expected}"},  # What proves it, and nothing that came with it.
        key_id=f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:12]}",
    )


def normalise(account: ProviderAccount, verified: Verified) -> Sequence[Event]:
    try:
        message = json.loads(verified.raw.decode(), parse_float=Decimal)
        if verified.authority == "signed":
            return stripe_events.of_notification(message)
        return stripe_events.of_answer(message)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as failure:
        raise UnableToRead(f"Stripe's message has not the form we know: {failure!r:.200}") from failure


def query(account: ProviderAccount, ref: Ref) -> Verified:
    object_id = ref.object_id or _found(account, ref)
    if not object_id:
        return answered({"never_heard_of": ref.reference})
    answer: dict[str, Any] = {}
    try:
        if object_id.startswith("pi_"):
            payment = call(account, "GET", f"/v1/payment_intents/{quoted(object_id)}", _SHOWN_WITH_PAYMENT)
            answer["payment_intent"] = payment
        else:
            session = call(account, "GET", f"/v1/checkout/sessions/{quoted(object_id)}", _SHOWN_WITH_SESSION)
            answer["session"], payment = session, session.get("payment_intent") or {}
    except Unknown:
        return answered({"never_heard_of": ref.reference or object_id})
    if isinstance(payment, dict) and payment.get("status") == "succeeded":
        _add_what_came_after(account, payment, answer)
    return answered(answer)


def statement(account: ProviderAccount, day: date, into: IO[bytes]) -> str:
    """The balance transactions of one day (UTC), in the currency of the balance."""
    return "balance" if stripe_statement.write(account, day, into) else ""


def lines(account: ProviderAccount, form: str, file: IO[bytes]) -> Iterator[RawLine]:
    return stripe_statement.report_lines(file) if form == "payout_report" else stripe_statement.balance_lines(file)


def meaning(account: ProviderAccount, form: str, raw: Mapping[str, Any]) -> StatementRow | None:
    return stripe_statement.report_row(raw) if form == "payout_report" else stripe_statement.balance_row(raw)


def acknowledge(refusal: str = "") -> Reply:
    return Reply(status=400) if refusal else Reply(status=200)


# --- Signatures ------------------------------------------------------------------------------------------------------


def _read_header(header: str) -> tuple[str, list[bytes]]:
    """The time and the `v1` signatures of the header, read as the SDKs read it: the first `t` counts, `v0` does not.

    Nothing is trimmed: what a proxy has rewritten is no header of Stripe's.
    """
    if not header:
        raise UnableToVerify("signature_missing")
    parts = [part.split("=", 2) for part in header.split(",")]
    if any(len(part) < 2 for part in parts if part[0] in {"t", "v1"}):
        raise UnableToVerify("signature_malformed")
    times = [part[1] for part in parts if part[0] == "t"]
    signatures = [part[1].encode("utf-8", "replace") for part in parts if part[0] == "v1"]
    if not times or not _TIMESTAMP.fullmatch(times[0]):
        raise UnableToVerify("signature_malformed")
    if not signatures:
        raise UnableToVerify("signature_missing")
    return times[0], signatures


def _event(raw: bytes) -> tuple[str, Any]:
    """The id of a proved event, and the connected account that it is about, if any.

    A "thin" event only points at an object, in a form that is not read here.
    """
    try:
        event = json.loads(raw.decode(), parse_float=Decimal)
    except (ValueError, RecursionError):
        raise UnableToVerify("not_an_event") from None
    if not isinstance(event, dict):
        raise UnableToVerify("not_an_event")
    if event.get("object") == "v2.core.event":
        raise UnableToVerify("thin_event")
    found = event.get("id")
    if event.get("object") != "event" or not isinstance(found, str) or not _EVENT_ID.fullmatch(found):
        raise UnableToVerify("not_an_event")
    return found, event.get("account")


# --- What it knows of a payment --------------------------------------------------------------------------------------


def _found(account: ProviderAccount, ref: Ref) -> str:
    """The session of that reference, whose id we never got to know; "" when there is none.

    Without a time it is looked for among the newest only; that much is always asked, so that refused keys show.
    """
    path = "/v1/checkout/sessions"
    if ref.created_at is None:
        sessions: Iterator[dict[str, Any]] = islice(listed(account, path, (), 1), _SESSIONS_WITHOUT_TIME)
    else:
        until = ref.created_at + settings.INTENT_LIFE + _AROUND
        span = [
            ("created[gte]", str(int((ref.created_at - _AROUND).timestamp()))),
            ("created[lte]", str(int(until.timestamp()))),
        ]
        sessions = listed(account, path, span, _PAGES_OF_SESSIONS)
    for session in sessions:
        if session.get("client_reference_id") == ref.reference and isinstance(session.get("id"), str):
            return str(session["id"])
    return ""


def _add_what_came_after(account: ProviderAccount, payment: dict[str, Any], answer: dict[str, Any]) -> None:
    """Adds refunds and disputes; the time of asking only where a dispute has ended, which does not say when it did."""
    payment_id = str(payment.get("id"))
    answer["refunds"] = _refunds(account, "payment_intent", payment_id)
    charge = payment.get("latest_charge")
    if not isinstance(charge, dict) or not charge.get("disputed"):
        return
    about = [("payment_intent", payment_id)]
    answer["disputes"] = list(listed(account, "/v1/disputes", about, _PAGES_OF_PAYMENT))
    try:
        if any(stripe_events.has_ended(dispute) for dispute in answer["disputes"]):
            answer["at"] = timezone.now().isoformat()
    except (KeyError, TypeError) as failure:
        raise ProviderError("a dispute has not the form we know", permanent=False) from failure


def _refunds(account: ProviderAccount, about: str, object_id: str) -> list[dict[str, Any]]:
    wanted = [(about, object_id), ("expand[]", f"data.{_SHOWN_WITH_REFUND}")]
    return list(listed(account, "/v1/refunds", wanted, _PAGES_OF_PAYMENT))
