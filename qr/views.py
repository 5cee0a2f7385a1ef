"""The customer's pages: scan a code, pay, and see on the receipt what became of it. No login, no script."""

from __future__ import annotations

import unicodedata
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from merchants import codes, limits
from merchants.addresses import client_address
from merchants.models import Code
from merchants.money import decimal, exponent, minor_units, shown
from merchants.refusals import Refused
from payments import checkout
from payments.models import PaymentIntent
from qr import page_ids, receipts
from qr.page import respond
from qr.sorry import sorry

# A cart sells by the handful; every choice shows its total, so the payer needs no script to see the sum.
QUANTITIES = (*range(1, 21), 25, 30, 40, 50)
TYPED_MAX = 16


@require_safe
def scan(request: HttpRequest, slug: str) -> HttpResponse:
    """GET /s/{slug}: the pay page of a code, or a polite page that says why nothing can be paid here."""
    code = codes.find(slug)
    if code is None:
        return sorry(request, "code_unknown", None)
    if refusal := checkout.blocked(code, code.shop, timezone.now()):
        return sorry(request, refusal.code, code)
    return _pay_page(request, code, message=_message(request.GET.get("again", "")))


# Exempt because the page id is the stronger token: signed, expiring, and bound to this code and to the HttpOnly
# cookie of this payer, which SameSite keeps from travelling with another site's form.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def pay(request: HttpRequest, slug: str) -> HttpResponse:
    """POST /s/{slug}/pay: starts what the page offered, once, and sends the payer to the wallet (303)."""
    code = codes.find(slug)
    if code is None:
        return sorry(request, "code_unknown", None)
    if request.method != "POST":  # Somebody opened the address again after an answer to the form stood in it.
        return _see_other(reverse("scan", args=[slug]))
    try:
        page = page_ids.read(
            request.POST.get("page", ""), code=code, payer=page_ids.payer_of(request), now=timezone.now()
        )
    except page_ids.PageUnusable as unusable:
        return _see_other(f"{reverse('scan', args=[slug])}?again={unusable.reason}")
    return _start(request, code, page)


@require_safe
def receipt(request: HttpRequest, secret: str) -> HttpResponse:
    """GET /r/{receipt}: waiting, paid, being checked, refused, expired or refunded, as the books know it now."""
    intent = checkout.receipt(secret)
    if intent is None:
        return sorry(request, "receipt_unknown", None)
    payments = list(intent.payments.all())
    told = receipts.tell(
        intent,
        payments,
        [refund for payment in payments for refund in payment.refunds.all()],
        now=timezone.now(),
    )
    context = {
        "intent": intent,
        "receipt": told,
        "asked": _money(intent.amount, intent.currency),
        "number": intent.reference,
        "zone": intent.shop.time_zone,
        "pretend": intent.provider_account.provider == "sandbox",
    }
    return respond(request, "qr/receipt.html", context)


def _start(request: HttpRequest, code: Code, page: page_ids.Page) -> HttpResponse:
    quantity = _quantity(request)
    if quantity is None:
        return _pay_page(request, code, message=_("Please choose how many."), status=422)
    typed = request.POST.get("amount", "")
    amount, wrong = _amount(page, typed, quantity)
    if wrong:
        return _pay_page(request, code, message=wrong, typed=typed, quantity=quantity, status=422)
    if (page.amount, page.currency) != _price(code) and not PaymentIntent.objects.filter(page=page.id).exists():
        return _pay_page(request, code, message=_message("price_changed"), quantity=quantity, status=409)
    payer = page_ids.payer_of(request)
    try:
        limits.spend_on_start(payer, client_address(request))
    except Refused as refusal:
        answer = _pay_page(
            request, code, message=_message("too_many_starts"), typed=typed, quantity=quantity, status=429
        )
        answer["Retry-After"] = str(refusal.wait)
        return answer
    try:
        intent = _intent(code=code, amount=amount, quantity=quantity, page=page.id, payer=payer)
    except checkout.UnableToStart as unable:
        message = _message(unable.code)
        if message:
            return _pay_page(request, code, message=message, typed=typed, quantity=quantity, status=409)
        return sorry(request, unable.code, code)
    if intent.state == PaymentIntent.State.OPEN and intent.redirect_url:
        return _see_other(intent.redirect_url)
    return _see_other(reverse("receipt", args=[intent.receipt]))


def _intent(*, code: Code, amount: int | None, quantity: int, page: UUID, payer: str) -> PaymentIntent:
    """Starts this page's intent. A payer who holds a one-time code already goes on with the intent that holds it."""
    now = timezone.now()
    try:
        return checkout.start(code=code, amount=amount, quantity=quantity, page=page, payer=payer, now=now)
    except checkout.UnableToStart as unable:
        held = PaymentIntent.objects.filter(
            code=code, payer=payer, single_use=True, state=PaymentIntent.State.OPEN
        ).first()
        if unable.code != "code_in_use" or held is None:
            raise
        return checkout.start(
            code=code, amount=held.amount, quantity=held.quantity, page=held.page, payer=payer, now=now
        )


def _pay_page(
    request: HttpRequest, code: Code, *, message: str = "", typed: str = "", quantity: int = 1, status: int = 200
) -> HttpResponse:
    """The page with a fresh id, always: an id that was posted once is never offered again."""
    now = timezone.now()
    price, currency = _price(code)
    payer, cookie = page_ids.payer_of(request), ""
    if not payer:
        cookie, payer = page_ids.new_payer()
    several = code.kind == Code.Kind.ITEM and price is not None
    context = {
        "code": code,
        "shop": code.shop,
        "title": code.item.name if code.item else code.label or code.shop.name,
        "photo": code.item.photo if code.item else None,
        "unit": code.item.unit if code.item else "",
        "price": None if price is None else _money(price, currency),
        "quantities": [(n, _money(n * price, currency)) for n in QUANTITIES] if several and price else [],
        "quantity": quantity,
        "currency": currency,
        "example": str(decimal(0, currency)),
        "keys": "decimal" if exponent(currency) else "numeric",
        "typed": typed[:TYPED_MAX],
        "message": message,
        "page": page_ids.make(code=code, payer=payer, amount=price, currency=currency, now=now),
        "pretend": bool(settings.SANDBOX_URL),
    }
    response = respond(
        request, "qr/scan.html", context, status=status, form_origins=checkout.origins(checkout.accepted(code.shop))
    )
    if cookie:
        page_ids.set_payer(response, cookie)
    return response


def _price(code: Code) -> tuple[int | None, str]:
    """The fixed price of a code (None where the payer enters the amount) and its currency."""
    return codes.price(code) or (None, code.shop.currency)


def _quantity(request: HttpRequest) -> int | None:
    text = request.POST.get("quantity", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
    return number if number in QUANTITIES else None


def _amount(page: page_ids.Page, typed: str, quantity: int) -> tuple[int | None, str]:
    """What the payer means to pay, and what is wrong with it ('' when nothing is).

    Where the page showed a price it is the total that was shown: the code decides what is asked for.
    """
    if page.amount is not None:
        return page.amount * quantity, ""
    # A Chinese keyboard types full-width digits and its own full stop.
    text = unicodedata.normalize("NFKC", typed[: TYPED_MAX + 1]).replace("。", ".")
    try:
        amount = minor_units(text, page.currency)
    except ValueError:
        example = str(decimal(1234, page.currency))
        return None, _("Please type an amount in %(currency)s, for example %(example)s.") % {
            "currency": page.currency,
            "example": example,
        }
    if amount <= 0:
        return None, _("Please type an amount above zero.")
    if amount > settings.AMOUNT_MAX or len(text) > TYPED_MAX:
        return None, _("This amount is too large.")
    return amount, ""


def _message(reason: str) -> str:
    """What the pay page says after a refusal that leaves it usable; '' for any other word."""
    return {
        "expired": _("The page had been open for a long time. Please check it and pay again."),
        "foreign": _("Please pay from this page. (Your browser must accept cookies from this site.)"),
        "price_changed": _("The price has changed. Please check the new price before you pay."),
        "amount_missing": _("Please type how much you pay."),
        "quantity_wrong": _("Please choose how many."),
        "amount_too_large": _("This amount is too large."),
        "too_many_starts": _("That was often in a short time. Please wait a minute and pay again."),
    }.get(reason, "")


def _money(amount: int, currency: str) -> str:
    return shown(amount, currency, get_language() or "en")


def _see_other(address: str) -> HttpResponse:
    """303: the browser follows with GET, whatever it had sent; nobody keeps the answer."""
    return HttpResponse(status=303, headers={"Location": address, "Cache-Control": "no-store"})
