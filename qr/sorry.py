"""The polite page where nothing can be paid: what is so, in a sentence, and never another shop's code."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from merchants.models import Code
from qr.page import respond

STATUS = {
    "code_unknown": 404,
    "code_blank": 404,
    "receipt_unknown": 404,
    "code_retired": 410,
    "code_replaced": 410,
    "code_expired": 410,
    "code_used": 410,
    "item_not_sold": 410,
    "shop_closed": 410,
    "code_suspended": 403,
    "shop_frozen": 403,
    "shop_restricted": 403,
    "no_provider": 503,
    "payer_unknown": 403,
    "too_many_starts": 429,
}


def sorry(request: HttpRequest, reason: str, code: Code | None) -> HttpResponse:
    """The page for a reason; one that has no words of its own is told in general ones."""
    heading, sentence = _words().get(
        reason, (_("This cannot be paid now"), _("Nothing was paid. Please ask at the stall."))
    )
    context = {"heading": heading, "sentence": sentence, "shop": code.shop if code else None}
    return respond(request, "qr/sorry.html", context, status=STATUS.get(reason, 409))


def _words() -> dict[str, tuple[str, str]]:
    no_payments = (
        _("This shop cannot take payments now"),
        _("Nothing was paid. Please pay in another way, or come back later."),
    )
    return {
        "code_unknown": (
            _("We do not know this code"),
            _("It may be misprinted, or not one of ours. Please ask at the stall before you pay anybody."),
        ),
        "code_blank": (
            _("This code belongs to nobody yet"),
            _("Nothing can be paid by it. If you are the seller: scan it in your Pushcart page to make it yours."),
        ),
        "receipt_unknown": (
            _("We do not know this receipt"),
            _("Please check the address. A receipt is found only by its whole address."),
        ),
        "code_retired": (
            _("This code is no longer used"),
            _("Please ask at the stall for the code they use now."),
        ),
        "code_replaced": (
            _("This code was replaced"),
            _("Nothing was paid. Please ask at the stall for the new one."),
        ),
        "code_expired": (_("This code has expired"), _("Please ask at the stall for a new one.")),
        "code_used": (
            _("This code has been used"),
            _("It was made for one payment, which is paid. Please ask at the stall."),
        ),
        "code_in_use": (
            _("Somebody is paying with this code"),
            _("It was made for one payment, and another phone is paying now. Please ask at the stall."),
        ),
        "code_suspended": (
            _("This code is paused"),
            _("The shop takes no payments with it at the moment. Nothing was paid."),
        ),
        "item_not_sold": (_("Not on sale now"), _("The shop does not sell this at the moment. Nothing was paid.")),
        "shop_frozen": no_payments,
        "shop_restricted": no_payments,
        "shop_closed": (_("This shop has closed"), _("It takes no more payments. Nothing was paid.")),
        "no_provider": (
            _("No wallet is connected yet"),
            _("This shop cannot take payments with this code yet. Nothing was paid."),
        ),
        "payer_unknown": (
            _("Somebody else began this payment"),
            _("Only the browser it was begun in can go on with it. Nothing was paid; please scan the code again."),
        ),
        "too_many_starts": (
            _("That was often in a short time"),
            _("Nothing was paid. Please wait a minute and try again."),
        ),
    }
