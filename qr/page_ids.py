"""The id a pay page carries: signed, expiring, and good for one code in one payer's browser only.

It is what makes a double tap one payment and a copied page worthless: a page sent to somebody else, or kept too
long, can start nothing. It also says which price the payer saw.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponse

from merchants import ids
from merchants.models import Code

COOKIE = "payer"
COOKIE_LIFE_S = 180 * 86_400  # A regular comes back within half a year; the cookie names nobody.
_signer = Signer(salt="qr.page_ids")


@dataclass(frozen=True)
class Page:
    """One showing of a pay page: `amount` is the fixed price shown (empty where the payer enters one)."""

    id: UUID
    amount: int | None
    currency: str


class PageUnusable(Exception):
    """This page cannot start a payment; `reason` is `expired` or `foreign` (another code, another browser, no page)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def make(*, code: Code, payer: str, amount: int | None, currency: str, now: datetime) -> str:
    """A fresh page id as the text that the form carries."""
    page = [ids.new(now).hex, code.id.hex, payer, amount, currency, int(now.timestamp())]
    return _signer.sign_object(page, compress=False)


def read(text: str, *, code: Code, payer: str, now: datetime) -> Page:
    """The page behind a text from a form. Raises PageUnusable."""
    try:
        page, code_hex, page_payer, amount, currency, made_at = _signer.unsign_object(text)
    except (BadSignature, ValueError):
        raise PageUnusable("foreign")
    # An empty payer is a browser that sent no cookie: it is nobody, and nobody's page is not its page.
    if code_hex != code.id.hex or not payer or page_payer != payer:
        raise PageUnusable("foreign")
    if now.timestamp() - made_at > settings.PAGE_LIFE.total_seconds():
        raise PageUnusable("expired")
    return Page(UUID(page), amount, currency)


def payer_of(request: HttpRequest) -> str:
    """The hash of this browser's cookie (64 hex digits), or an empty text when it sent none."""
    cookie = request.COOKIES.get(COOKIE, "")
    return _hash(cookie) if len(cookie) >= 22 else ""


def payer_told(request: HttpRequest, response: HttpResponse) -> str:
    """The payer whose page this answer is: of the cookie that came with the request, or that goes with the answer."""
    return payer_of(request) or _hash(response.cookies[COOKIE].value)


def new_payer() -> tuple[str, str]:
    """A cookie of 128 random bits and its hash, which is all we keep."""
    cookie = secrets.token_urlsafe(16)
    return cookie, _hash(cookie)


def set_payer(response: HttpResponse, cookie: str) -> None:
    """Gives the browser its cookie; no script reads it and no other site can make it travel with a form."""
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=COOKIE_LIFE_S,
        path="/",  # The receipt knows her by it, too.
        secure=settings.PUBLIC_URL.startswith("https://"),
        httponly=True,
        samesite="Lax",
    )


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
