"""How every page that a customer sees is sent: one small document, its own strict policy, kept by nobody."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe

# A wallet's page may want to know on whose site its payer began (WeChat's turns away whoever brings no Referer). It is
# told the site alone: a receipt's address is a secret.
REFERRER_POLICY = "strict-origin-when-cross-origin"


def _style(*names: str) -> str:
    """Style sheets of this folder as they stand in a page: without comments, and without spaces that say nothing."""
    text = "".join((Path(__file__).parent / name).read_text() for name in names)
    return re.sub(r"\s*([{};,>]|:(?= ))\s*", r"\1", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip()


def _inline(name: str) -> str:
    """A script of this folder as it stands in a page: without comments, and without spaces that say nothing.

    The scripts end every statement with a semicolon, and none has a space beside a sign in a text or a pattern.
    """
    text = re.sub(r"^\s*//.*", "", (Path(__file__).parent / name).read_text(), flags=re.MULTILINE)
    return re.sub(r"\s*([{}()\[\];:,=<>?!&|+*])\s*", r"\1", text).strip()


# The style stands in the document, so that the first paint waits for nothing else; each page carries what it needs.
STYLE, SCAN_STYLE = _style("style.css"), _style("style.css", "scan.css")
RECEIPT_STYLE = _style("style.css", "receipt.css")
# The only scripts of any of these pages: one calls the wallet whose browser shows the receipt; the other, on every
# other receipt, asks whether it says something else by now, and replaces the code by which a paid one proves itself.
BRIDGE, LIVE = _inline("bridge.js"), _inline("proof.js") + _inline("live.js")


def respond(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    form_origins: Iterable[str] = (),
    style: str = STYLE,
    script: str = "",
) -> HttpResponse:
    """Renders a page. `form_origins` are where its form may be redirected to: browsers hold redirects to the policy.

    `style` and `script` are those that the template carries; the policy admits them by their hashes, and no others.
    """
    ours = {"style": mark_safe(style), "script": mark_safe(script)}  # noqa: S308  Our own files.
    response = render(request, template, {**context, **ours}, status=status)
    response["Content-Security-Policy"] = "; ".join(
        [
            "default-src 'none'",
            f"style-src {_hash(style)}",
            *([f"script-src {_hash(script)}"] if script else []),
            "img-src 'self'",
            *(["connect-src 'self'"] if script == LIVE else []),
            " ".join(["form-action 'self'", *form_origins]),
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = REFERRER_POLICY
    response["X-Robots-Tag"] = "noindex"
    return response


def respond_picture(picture: bytes, content_type: str = "image/svg+xml") -> HttpResponse:
    """Sends a picture of one moment: kept by nobody, and powerless when it is opened by itself."""
    headers = {
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "X-Robots-Tag": "noindex",
    }
    return HttpResponse(picture, content_type=content_type, headers=headers)


@cache
def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
