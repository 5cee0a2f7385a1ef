"""The vendor's phone page at /app/: a small document and its service worker; its modules do the rest over the API."""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from babel.messages.pofile import read_po
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import override, to_locale
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from iso4217 import Currency

from merchants.money import exponent, is_currency
from merchants.page_files import served

_FOLDER = Path(__file__).parent / "static" / "app"
_LOCALE = Path(__file__).parent / "locale"
_KINDS = {".js", ".css", ".svg", ".png", ".webmanifest"}


@require_safe
def phone_page(request: HttpRequest) -> HttpResponse:
    """The document of the phone page. It holds nothing of any shop, so it is the same for everybody."""
    response = render(request, "merchants/app.html", {"exponents": _exponents(), "version": _version()})
    response["Cache-Control"] = "no-cache"
    response["Referrer-Policy"] = "same-origin"
    return response


@require_safe
def phone_worker(request: HttpRequest) -> HttpResponse:
    """The service worker: its text, with the version and every file's SHA-256 put before it. Its scope is /app/."""
    known = f"const VERSION = {json.dumps(_version())};\nconst FILES = {json.dumps(_files())};\n"
    response = HttpResponse(known + (_FOLDER / "worker.js").read_text(), content_type="text/javascript")
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
@gzip_page  # It holds nothing secret, and is three times as long without.
def phone_words(request: HttpRequest, language: str) -> HttpResponse:
    """The catalogue of the page's modules in a language: English → its translation, or a list of its plural forms."""
    if language not in _languages():
        raise Http404
    response = HttpResponse(_written(language), content_type="application/json")
    response["Cache-Control"] = "no-cache"
    return response


def _languages() -> list[str]:
    return [code for code, _ in settings.LANGUAGES if code != "en"]


@cache
def _written(language: str) -> bytes:
    with (_LOCALE / to_locale(language) / "LC_MESSAGES" / "djangojs.po").open("rb") as file:
        catalogue = read_po(file, locale=to_locale(language))
    words: dict[str, object] = {}
    for message in catalogue:
        english = message.id if isinstance(message.id, str) else message.id[0]
        forms = [message.string] if isinstance(message.string, str | None) else list(message.string)
        if english and all(forms):  # Until it is translated, in all its forms, the page says it in English.
            words[english] = forms[0] if isinstance(message.id, str) else forms
    return json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode()


@cache
def _files() -> dict[str, str]:
    """The page's files: address → SHA-256 in base64, as subresource integrity writes it."""
    found = sorted(path for path in _FOLDER.rglob("*") if path.suffix in _KINDS and path.name != "worker.js")
    files = {f"{settings.STATIC_URL}app/{path.relative_to(_FOLDER).as_posix()}": _bytes(path) for path in found} | {
        f"/app/words/{language}.json": _written(language) for language in _languages()
    }
    return {address: b64encode(sha256(body).digest()).decode() for address, body in files.items()}


def _bytes(path: Path) -> bytes:
    """What a browser gets at that file's address."""
    if path.suffix == ".js" and not settings.DEBUG:
        return served(path.read_text()).encode()
    return path.read_bytes()


@cache
def _version() -> str:
    """Changes with any file, with the document, and with the stream's address, which the kept policy names."""
    with override("en"):
        document = render_to_string("merchants/app.html", {"exponents": _exponents()})
    parts = [_files(), document, (_FOLDER / "worker.js").read_text(), settings.STREAM_URL]
    return sha256(json.dumps(parts).encode()).hexdigest()[:16]


@cache
def _exponents() -> str:
    """ "JPY0 KWD3 …": the currencies that have not two decimals. Browsers follow CLDR, which differs from ISO 4217."""
    codes = sorted(currency.value for currency in Currency if is_currency(currency.value))
    return " ".join(f"{code}{exponent(code)}" for code in codes if exponent(code) != 2)
