"""In which language a person is written to: the one that her phone last opened the app in.

An answer is in the language that its request asks for (Django's LocaleMiddleware). What is written to a person later,
by a worker or at the wish of somebody else, is in her own: it is kept when she signs in and when her phone opens the
shop, and written only when it has changed.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils.cache import patch_vary_headers
from django.utils.translation import activate, get_language, get_language_from_request, to_locale
from django.utils.translation.trans_real import get_supported_language_variant, parse_accept_lang_header

from merchants.models import User

# English as most of the world writes it: the day before the month.
_DATES = {"en": "en_GB"}


class Answers(LocaleMiddleware):
    """Django's choice of language for each answer, where no address begins with a language, as none of ours does.

    What anybody may keep (a photo) has no words, and stays one: otherwise shared caches would keep it once for every
    Accept-Language there is.
    """

    def process_request(self, request: HttpRequest) -> None:
        language = get_language_from_request(request)
        activate(language)
        request.LANGUAGE_CODE = language

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if "public" not in response.headers.get("Cache-Control", ""):
            patch_vary_headers(response, ("Accept-Language",))
            response.headers.setdefault("Content-Language", get_language() or settings.LANGUAGE_CODE)
        return response


def asked(header: str) -> str:
    """The language of ours that an Accept-Language header asks for first; "" when it asks for none."""
    for tag, _weight in parse_accept_lang_header(header):
        if tag != "*":
            try:
                return get_supported_language_variant(tag)
            except LookupError:
                continue
    return ""


def remember(*, user: User, header: str) -> None:
    """Keeps the language that this person's phone asks for. A program that asks for none changes nothing."""
    language = asked(header)
    if language and language != user.language:
        User.objects.filter(id=user.id).update(language=language)
        user.language = language


def of(user: User) -> str:
    """The language in which she is written to."""
    return user.language or settings.LANGUAGE_CODE


def cldr() -> str:
    """The language of now by its name in CLDR, for dates and lists."""
    language = get_language() or settings.LANGUAGE_CODE
    return _DATES.get(language) or to_locale(language)


def day(here: datetime) -> str:
    """A day of these months, in the language of now: "23 Nov"."""
    return str(format_skeleton("MMMd", here, locale=cldr()))


def moment(at: datetime, zone: str) -> str:
    """A moment of these months on that zone's clock: "23 Nov 14:00 CST"."""
    here = at.astimezone(ZoneInfo(zone))
    return f"{day(here)} {here:%H:%M %Z}"
