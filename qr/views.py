"""The customer's pages: scan a code, pay, and see on the receipt what became of it. No login, no need of script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from merchants import batches, codes, limits, scans
from merchants.addresses import client_address
from merchants.models import Code
from merchants.money import exponent, minor_units
from merchants.refusals import Refused
from payments import checkout, providers
from payments.models import PaymentIntent, ProviderAccount
from qr import draw, handover, home_screen, live, page_ids, proofs, reader, receipts
from qr.page import BRIDGE, LIVE, RECEIPT_STYLE, REFERRER_POLICY, SCAN_STYLE, respond, respond_picture
from qr.sorry import sorry

# A cart sells by the handful; every choice shows its total, so the payer needs no script to see the sum.
QUANTITIES = (*range(1, 21), 25, 30, 40, 50)
TYPED_MAX = 16
USER_AGENT_MAX = 400  # Wallets write themselves well within this, and patterns are searched in it.
# What a wallet sends back to say who the payer is there (OAuth).
_GRANT = re.compile(r"[!-~]{1,200}")


@require_safe
def scan(request: HttpRequest, slug: str) -> HttpResponse:
    """GET /s/{slug}: the pay page of a code, or a polite page that says why nothing can be paid here."""
    code = codes.find(slug)
    if code is None:
        return _no_code(request, slug)
    if code.replaced_by_id is not None:
        return _replaced(request, code)
    now = timezone.now()
    if refusal := checkout.blocked(code, code.shop, now):
        return sorry(request, refusal.code, code)
    again = request.GET.get("again", "")
    answer = _pay_page(request, code, message=_message(again))
    if answer.status_code == 200 and request.method == "GET" and not again and scans.by_a_person(request.headers):
        scans.count(code_id=code.id, payer=page_ids.payer_told(request, answer), now=now)
    return answer


# Exempt because the page id is the stronger token: signed, expiring, and bound to this code and to the HttpOnly
# cookie of this payer, which SameSite keeps from travelling with another site's form.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def pay(request: HttpRequest, slug: str) -> HttpResponse:
    """POST /s/{slug}/pay: starts what the page offered, once, and sends the payer to the wallet (303)."""
    code = codes.find(slug)
    if code is None:
        return _no_code(request, slug)
    if request.method != "POST":  # Somebody opened the address again after an answer to the form stood in it.
        return _see_other(reverse("scan", args=[slug]))
    try:
        page = page_ids.read(
            request.POST.get("page", ""), code=code, payer=page_ids.payer_of(request), now=timezone.now()
        )
    except page_ids.PageUnusable as unusable:
        return _see_other(f"{reverse('scan', args=[slug])}?again={unusable.reason}")
    return _start(request, code, page)


# Exempt because it changes nothing: some wallets send the payer back by a form of theirs, which we do not read.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def receipt(request: HttpRequest, secret: str) -> HttpResponse:
    """GET /r/{receipt}: waiting, paid, being checked, refused, expired or refunded, as the books know it now.

    While it waits it hands the payer over to her wallet.
    """
    if request.method == "POST":
        return _see_other(reverse("receipt", args=[secret]))
    intent = checkout.receipt(secret)
    if intent is None:
        return sorry(request, "receipt_unknown", None)
    now = timezone.now()
    payments = list(intent.payments.all())
    refunds = [refund for payment in payments for refund in payment.refunds.all()]
    reads = reader.of(intent.shop)
    told = receipts.tell(intent, payments, refunds, now=now, reader=reads)
    proof = proofs.provable(intent, payments, refunds, now=now)
    hand, again_s = None, told.refresh_s
    if told.kind == "waiting":
        browser = _browser(request)
        hand = handover.offered(intent, payer=page_ids.payer_of(request), user_agent=browser.user_agent, now=now)
        told = handover.patient(told, hand) if hand else told
    context = {
        "intent": intent,
        "receipt": told,
        "hand": hand,
        "version": live.version(told, intent, payments, refunds, now=now),
        "again_s": again_s,
        "stream": settings.STREAM_URL,
        "proof": proof,
        "bridge": handover.bridge_data(told, hand) if hand and hand.bridge else None,
        "other_wallets": hand is not None and not intent.single_use and len(checkout.accepted(intent.shop)) > 1,
        "asked": reads.amount(intent.amount, intent.currency),
        "at": reads.moment(told.at),
        "number": intent.reference,
        "pretend": intent.provider_account.provider == receipts.PRETEND,
    }
    return respond(
        request,
        "qr/receipt.html",
        context,
        form_origins=handover.form_origins(intent, hand) if hand else (),
        style=RECEIPT_STYLE,
        script=BRIDGE if hand and hand.bridge else LIVE,
    )


@require_safe
def code_picture(request: HttpRequest, secret: str) -> HttpResponse:
    """GET /r/{receipt}/code.svg: the code that the wallet scans, as long as money is waited for; 404 otherwise."""
    intent = checkout.receipt(secret)
    content = handover.code(intent, now=timezone.now()) if intent else ""
    if not content:
        return sorry(request, "receipt_unknown", None)
    return respond_picture(draw.svg(content))


# Whoever makes a payer's browser come here must know the receipt's secret, and the grant is spent on that one intent:
# the `state` that wallets send back beside it would prove nothing more.
@require_GET
def identified(request: HttpRequest, secret: str) -> HttpResponse:
    """GET /r/{receipt}/payer: the payer comes back from her wallet, which says who she is there; the start goes on."""
    intent, payer = checkout.receipt(secret), page_ids.payer_of(request)
    if intent is None:
        return sorry(request, "receipt_unknown", None)
    if not payer or intent.payer != payer:
        return sorry(request, "payer_unknown", intent.code)
    grant = request.GET.get("code", "")
    if not _GRANT.fullmatch(grant):
        return _see_other(reverse("receipt", args=[secret]))
    try:
        limits.spend_on_start(payer, client_address(request))
    except Refused as refusal:
        answer = sorry(request, refusal.code, intent.code)
        answer["Retry-After"] = str(refusal.wait)
        return answer
    now = timezone.now()
    found = checkout.identified(receipt=secret, payer=payer, grant=grant, browser=_browser(request), now=now)
    # After a failure the receipt says so: sent back to the wallet, her browser would go round in circles.
    if found is None or found.start_failure:
        return _see_other(reverse("receipt", args=[secret]))
    return _onward(found, now)


def _no_code(request: HttpRequest, slug: str) -> HttpResponse:
    """A slug that belongs to no shop: a printed blank that nobody has bound, or none of ours."""
    return sorry(request, "code_blank" if batches.blank_of(slug) else "code_unknown", None)


def _replaced(request: HttpRequest, code: Code) -> HttpResponse:
    """Leads on to the code that stands in its place (302, by nobody remembered), or says to ask for it."""
    new = codes.leads_to(code)
    if new is None:
        return sorry(request, "code_replaced", code)
    headers = {"Cache-Control": "no-store", "Referrer-Policy": REFERRER_POLICY}
    return HttpResponseRedirect(reverse("scan", args=[new.slug]), headers=headers)


def _start(request: HttpRequest, code: Code, page: page_ids.Page) -> HttpResponse:
    quantity = _quantity(request)
    if quantity is None:
        return _pay_page(request, code, message=_("Please choose how many."), status=422)
    typed = request.POST.get("amount", "")
    amount, wrong = _amount(page, typed, quantity, reader.of(code.shop))
    if wrong:
        return _pay_page(request, code, message=wrong, typed=typed, quantity=quantity, status=422)
    if (page.amount, page.currency) != _price(code) and not PaymentIntent.objects.filter(page=page.id).exists():
        return _pay_page(request, code, message=_message("price_changed"), quantity=quantity, status=409)
    payer, browser, wallet = page_ids.payer_of(request), _browser(request), request.POST.get("wallet", "")
    try:
        limits.spend_on_start(payer, client_address(request))
    except Refused as refusal:
        answer = _pay_page(
            request, code, message=_message("too_many_starts"), typed=typed, quantity=quantity, status=429
        )
        answer["Retry-After"] = str(refusal.wait)
        return answer
    try:
        intent = _intent(
            code=code, amount=amount, quantity=quantity, page=page.id, payer=payer, wallet=wallet, browser=browser
        )
    except checkout.UnableToStart as unable:
        message = _message(unable.code)
        if message:
            return _pay_page(request, code, message=message, typed=typed, quantity=quantity, status=409)
        return sorry(request, unable.code, code) if code.replaced_by_id is None else _replaced(request, code)
    if wallet and intent.provider_account.provider != wallet:
        # She has begun with another wallet already: the receipt says so, and she chooses there.
        return _see_other(reverse("receipt", args=[intent.receipt]))
    return _onward(intent, timezone.now())


def _onward(intent: PaymentIntent, now: datetime) -> HttpResponse:
    """Straight to the wallet where an address leads there; otherwise the receipt hands her over, or says what is so."""
    direct = checkout.payable(intent, now) and not intent.handover.get("form")
    if direct and urlsplit(intent.redirect_url).scheme in handover.PAGES:
        return _see_other(intent.redirect_url)
    return _see_other(reverse("receipt", args=[intent.receipt]))


def _intent(
    *,
    code: Code,
    amount: int | None,
    quantity: int,
    page: UUID,
    payer: str,
    wallet: str,
    browser: checkout.Browser,
) -> PaymentIntent:
    """Starts this page's intent. A payer who holds a one-time code already goes on with the intent that holds it."""
    now = timezone.now()
    try:
        return checkout.start(
            code=code,
            amount=amount,
            quantity=quantity,
            page=page,
            payer=payer,
            now=now,
            wallet=wallet,
            browser=browser,
        )
    except checkout.UnableToStart as unable:
        held = PaymentIntent.objects.filter(
            code=code, payer=payer, single_use=True, state=PaymentIntent.State.OPEN
        ).first()
        if unable.code != "code_in_use" or held is None:
            raise
        return checkout.start(
            code=code,
            amount=held.amount,
            quantity=held.quantity,
            page=held.page,
            payer=payer,
            now=now,
            browser=browser,
        )


def _pay_page(
    request: HttpRequest, code: Code, *, message: str = "", typed: str = "", quantity: int = 1, status: int = 200
) -> HttpResponse:
    """The page with a fresh id, always: an id that was posted once is never offered again."""
    accounts = checkout.accepted(code.shop, _browser(request).user_agent)
    if not accounts:
        return sorry(request, "no_provider", code)
    now = timezone.now()
    price, currency = _price(code)
    payer, cookie = page_ids.payer_of(request), ""
    if not payer:
        cookie, payer = page_ids.new_payer()
    several = code.kind == Code.Kind.ITEM and price is not None
    reads = reader.of(code.shop)
    context = {
        "code": code,
        "shop": code.shop,
        "shop_name": reader.isolated(code.shop.name),
        "title": code.item.name if code.item else code.label or code.shop.name,
        "photo": code.item.photo if code.item else None,
        "unit": code.item.unit if code.item else "",
        "price": None if price is None else reads.amount(price, currency),
        "quantities": _quantities(price, currency, reads) if several and price else [],
        "quantity": quantity,
        "currency": currency,
        "example": reads.number(0, currency),
        "keys": "decimal" if exponent(currency) else "numeric",
        "typed": typed[:TYPED_MAX],
        "message": message,
        "page": page_ids.make(code=code, payer=payer, amount=price, currency=currency, now=now),
        "wallets": _wallets(accounts),
        "home": home_screen.address(code),
    }
    response = respond(
        request,
        "qr/scan.html",
        context,
        status=status,
        form_origins=checkout.origins(accounts),
        style=SCAN_STYLE,
        manifest=bool(context["home"]),
    )
    if cookie:
        page_ids.set_payer(response, cookie)
    return response


def _quantities(price: int, currency: str, reads: reader.Reader) -> list[tuple[int, str, str]]:
    """What may be chosen, each with its total: what the form sends, and the two numbers as they are read."""
    return [(n, reads.count(n), reads.amount(n * price, currency)) for n in QUANTITIES]


def _wallets(accounts: Sequence[ProviderAccount]) -> list[dict[str, object]]:
    """What the page's buttons say, the scanning app's own wallet first."""
    return [
        {
            "name": account.provider,
            "title": _(providers.named(account.provider).WALLET),
            "pretend": account.provider == receipts.PRETEND,
        }
        for account in accounts
    ]


def _browser(request: HttpRequest) -> checkout.Browser:
    user_agent = request.headers.get("User-Agent", "")[:USER_AGENT_MAX]
    return checkout.Browser(user_agent=user_agent, address=client_address(request))


def _price(code: Code) -> tuple[int | None, str]:
    """The fixed price of a code (None where the payer enters the amount) and its currency."""
    return codes.price(code) or (None, code.shop.currency)


def _quantity(request: HttpRequest) -> int | None:
    text = request.POST.get("quantity", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
    return number if number in QUANTITIES else None


def _amount(page: page_ids.Page, typed: str, quantity: int, reads: reader.Reader) -> tuple[int | None, str]:
    """What the payer means to pay, and what is wrong with it ('' when nothing is).

    Where the page showed a price it is the total that was shown: the code decides what is asked for.
    """
    if page.amount is not None:
        return page.amount * quantity, ""
    text = typed[: TYPED_MAX + 1]
    try:
        amount = minor_units(text, page.currency)
    except ValueError:
        return None, _("Please type an amount in %(currency)s, for example %(example)s.") % {
            "currency": page.currency,
            "example": reader.within(reads.number(1234, page.currency)),
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
        "wallet_not_taken": _("This shop does not take that wallet. Please choose one of these."),
        "price_changed": _("The price has changed. Please check the new price before you pay."),
        "amount_missing": _("Please type how much you pay."),
        "quantity_wrong": _("Please choose how many."),
        "amount_too_large": _("This amount is too large."),
        "too_many_starts": _("That was often in a short time. Please wait a minute and pay again."),
    }.get(reason, "")


def _see_other(address: str) -> HttpResponse:
    """303: the browser follows with GET, whatever it had sent; nobody keeps the answer."""
    headers = {"Location": address, "Cache-Control": "no-store", "Referrer-Policy": REFERRER_POLICY}
    return HttpResponse(status=303, headers=headers)
