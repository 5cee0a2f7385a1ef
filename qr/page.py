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

_css = (Path(__file__).parent / "style.css").read_text()
# The style stands in the document, so that the first paint waits for nothing else. No spaces that say nothing.
STYLE = re.sub(r"\s*([{};:,>])\s*", r"\1", re.sub(r"/\*.*?\*/", "", _css, flags=re.DOTALL)).strip()


def _inline(name: str) -> str:
    """A script of this folder as it stands in a page: without its comments and margins."""
    text = (Path(__file__).parent / name).read_text()
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"//.*", "", text)).strip()


# The only scripts of any of these pages: one calls the wallet whose browser shows the receipt, the other replaces the
# code by which a paid receipt proves itself.
BRIDGE, PROOF = _inline("bridge.js"), _inline("proof.js")


def respond(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    form_origins: Iterable[str] = (),
    script: str = "",
) -> HttpResponse:
    """Renders a page. `form_origins` are where its form may be redirected to: browsers hold redirects to the policy.

    `script` is the one that the template carries as `{{ script }}`; the policy admits it by its hash, and no other.
    """
    ours = {"style": mark_safe(STYLE), "script": mark_safe(script)}  # noqa: S308  Our own files.
    response = render(request, template, {**context, **ours}, status=status)
    response["Content-Security-Policy"] = "; ".join(
        [
            "default-src 'none'",
            f"style-src {_hash(STYLE)}",
            *([f"script-src {_hash(script)}"] if script else []),
            "img-src 'self'",
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
