"""The vendor's phone page at /app/: one small document; all it does, its modules do through the public API."""

from __future__ import annotations

from functools import cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from iso4217 import Currency

from merchants.money import exponent, is_currency


@require_safe
def phone_page(request: HttpRequest) -> HttpResponse:
    """The document of the phone page. It holds nothing of any shop, so it is the same for everybody."""
    response = render(request, "merchants/app.html", {"exponents": _exponents()})
    response["Cache-Control"] = "no-cache"
    response["Referrer-Policy"] = "same-origin"
    return response


@cache
def _exponents() -> str:
    """ "JPY0 KWD3 …": the currencies that have not two decimals. Browsers follow CLDR, which differs from ISO 4217."""
    codes = sorted(currency.value for currency in Currency if is_currency(currency.value))
    return " ".join(f"{code}{exponent(code)}" for code in codes if exponent(code) != 2)
