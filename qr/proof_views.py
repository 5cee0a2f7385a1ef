"""What a receipt proves to whoever scans it: its code, and our page about a statement for any other camera."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from merchants.models import Shop
from payments import checkout
from qr import draw, proofs, reader
from qr.page import respond, respond_picture
from qr.proofs import Statement, Verdict
from qr.sorry import sorry

# Four pixels a module and its quiet zone: about 1 kB, a tenth of the same as SVG, and a page fetches it every 20 s.
_SIZE = 260
_STATUS: Mapping[Verdict, int] = {"real": 200, "expired": 410, "early": 400, "forged": 404, "unknown_key": 404}


@require_safe
def proof_picture(request: HttpRequest, secret: str) -> HttpResponse:
    """GET /r/{receipt}/proof.png: the code that proves the receipt, signed now; 404 where there is nothing to prove.

    `?moving` asks for the one of a page that replaces it: it is good for a minute, any other for five.
    """
    intent, now = checkout.receipt(secret), timezone.now()
    life = proofs.MOVING_LIFE if "moving" in request.GET else proofs.STILL_LIFE
    content = ""
    if intent is not None:
        payments = list(intent.payments.all())
        refunds = [refund for payment in payments for refund in payment.refunds.all()]
        content = proofs.address(intent, payments, refunds, life=life, now=now)
    if not content:
        return sorry(request, "receipt_unknown", None)
    return respond_picture(draw.png(content, _SIZE), "image/png")


@require_safe
def proof(request: HttpRequest, token: str) -> HttpResponse:
    """GET /p/{statement}: real, too old or not ours, and never more than what the statement itself says."""
    verdict, statement = proofs.check(token, now=timezone.now())
    heading, sentence = _words(verdict)
    context = {"verdict": verdict, "heading": heading, "sentence": sentence, "statement": statement}
    if statement is not None:
        context |= _said(statement)
    return respond(request, "qr/proof.html", context, status=_STATUS[verdict])


def _said(statement: Statement) -> dict[str, Any]:
    shop = Shop.objects.get(id=statement.shop)
    reads = reader.of(shop)
    return {
        "shop_name": reader.isolated(shop.name),
        "at": reader.isolated(reads.moment(statement.paid_at)),
        "amount": reads.amount(statement.amount, statement.currency),
        "refunded": reader.isolated(reads.amount(statement.refunded, statement.currency)) if statement.refunded else "",
    }


def _words(verdict: Verdict) -> tuple[str, str]:
    if verdict == "real":
        return _("Real"), _("The shop's own phone page also remembers it: shown a second time, it is refused there.")
    if verdict == "expired":
        return _("Too old"), _("This was a real receipt. Ask for it again: its page shows a fresh code.")
    if verdict == "early":
        return _("Not good yet"), _("It says that it was made later than now. Ask for it again in a moment.")
    if verdict == "unknown_key":
        return _("We cannot vouch for this"), _("It was signed with a key that we do not use, or use no more.")
    return _("Not a receipt of ours"), _("It was edited, or never was one. Nothing in it can be believed.")
