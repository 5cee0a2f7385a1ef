"""What the receipt's script asks again and again: whether its page says something else by now. Two queries at most."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from payments import checkout
from payments.models import Payment, PaymentIntent, Refund
from qr import proofs, receipts
from qr.page import REFERRER_POLICY

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": REFERRER_POLICY,
    "X-Robots-Tag": "noindex",
}


@require_safe
def receipt_state(request: HttpRequest, secret: str) -> HttpResponse:
    """GET /r/{receipt}/state: the kind and version of what the receipt says now, and in how many seconds to ask again.

    `again_s` is null when nothing more is awaited. Asked with the ETag of its last answer it says 304 while all is so.
    """
    story = checkout.receipt_story(secret)
    if story is None:
        return JsonResponse({"kind": "unknown"}, status=404, headers=_HEADERS)
    intent, payments, refunds = story
    now = timezone.now()
    told = receipts.tell(intent, payments, refunds, now=now)
    says = {
        "kind": told.kind,
        "version": version(told, intent, payments, refunds, now=now),
        "again_s": told.refresh_s,
    }
    answer = JsonResponse(says, headers=_HEADERS)
    answer["ETag"] = f'"{_short(json.dumps(says))}"'
    conditional = get_conditional_response(request, etag=answer["ETag"], response=answer)
    if conditional is not None and conditional is not answer:
        for name, value in _HEADERS.items():
            conditional[name] = value
        return conditional
    return answer


def version(
    told: receipts.Receipt,
    intent: PaymentIntent,
    payments: Sequence[Payment],
    refunds: Sequence[Refund],
    *,
    now: datetime,
) -> str:
    """The same for as long as the page says the same, in whichever language and in whosever browser."""
    facts = (
        told.kind,
        sorted((str(payment.id), payment.match, payment.amount, payment.currency) for payment in payments),
        sorted((str(refund.id), refund.state, refund.held, refund.amount) for refund in refunds),
        checkout.payable(intent, now) and intent.startable,
        proofs.provable(intent, payments, refunds, now=now),
    )
    return _short(repr(facts))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
