"""How every page that a customer sees is sent: one small document, its own strict policy, kept by nobody."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe

# A wallet's page may want to know on whose site its payer began (WeChat's turns away whoever brings no Referer). It is
# told the site alone: a receipt's address is a secret.
REFERRER_POLICY = "strict-origin-when-cross-origin"


# Where a name is one that may be made short: not as a part of another, nor as something of somebody else's; and no text
# is touched.
NAMES, PROPERTIES = r"""("[^"]*")|(?<![\w.])(NAME)(?!\w)""", r"(?<![\w.-])(NAME)(?![\w-])"


def shorter(text: str, names: Iterable[str], prefix: str, where: str) -> str:
    """The text with each of these names, wherever it stands so, exchanged for one or two letters."""
    letters = [*ascii_lowercase, *(f"a{letter}" for letter in ascii_lowercase)]
    short = {name: prefix + letters[number] for number, name in enumerate(dict.fromkeys(names))}
    found = where.replace("NAME", "|".join(sorted(short, key=len, reverse=True)))
    return re.sub(found, lambda match: short.get(match[0], match[0]), text)


def _style(*names: str) -> str:
    """Style sheets of this folder as they stand in a page: without comments, without spaces that say nothing, and with
    short names of what only they name."""
    text = "".join((Path(__file__).parent / name).read_text() for name in names)
    text = re.sub(r"\s*([{};,>]|:(?= ))\s*", r"\1", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip()
    return shorter(text.replace(";}", "}"), re.findall(r"(--[\w-]+):", text), "--", PROPERTIES)


def _inline(*names: str) -> str:
    """Scripts of this folder as they stand in a page: as `_style` does, with short names of variables and functions.

    The scripts end every statement with a semicolon, and none has a space beside a sign in a text or a pattern, a
    pattern at all, a key named as a variable, or a variable of one letter.
    """
    text = "".join((Path(__file__).parent / name).read_text() for name in names)
    text = re.sub(r"^\s*//.*", "", text, flags=re.MULTILINE)
    text = re.sub(r"\s*([{}()\[\];:,=<>?!&|+*])\s*", r"\1", text).strip().replace(";}", "}")
    declared = re.findall(r"\bvar ([\w,]+)|\bfunction ?(\w*)\(([\w,]*)\)", text)
    own = [name for group in declared for part in group for name in part.split(",") if name]
    return shorter(text, own, "", NAMES)


# The style stands in the document, so that the first paint waits for nothing else; each page carries what it needs.
STYLE, SCAN_STYLE = _style("style.css"), _style("style.css", "scan.css")
RECEIPT_STYLE = _style("style.css", "receipt.css")
# The only scripts of any of these pages: one calls the wallet whose browser shows the receipt; the other, on every
# other receipt, hears or asks whether it says something else by now, and replaces the code by which a paid one proves
# itself.
BRIDGE, LIVE = _inline("bridge.js"), _inline("proof.js", "live.js")


def respond(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    form_origins: Iterable[str] = (),
    style: str = STYLE,
    script: str = "",
    manifest: bool = False,
) -> HttpResponse:
    """Renders a page. `form_origins` are where its form may be redirected to: browsers hold redirects to the policy.

    `style` and `script` are those that the template carries; the policy admits them by their hashes, and no others.
    `manifest`: whether the page has one.
    """
    ours = {"style": mark_safe(style), "script": mark_safe(script)}  # noqa: S308  Our own files.
    response = render(request, template, {**context, **ours}, status=status)
    response["Content-Security-Policy"] = "; ".join(
        [
            "default-src 'none'",
            f"style-src {_hash(style)}",
            *([f"script-src {_hash(script)}"] if script else []),
            "img-src 'self'",
            *([_connect()] if script == LIVE else []),
            *(["manifest-src 'self'"] if manifest else []),
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


def _connect() -> str:
    """Whom the receipt's script may ask: us, and the process of the stream where that has an origin of its own."""
    elsewhere = settings.STREAM_URL != settings.PUBLIC_URL
    return f"connect-src 'self' {settings.STREAM_URL}" if elsewhere else "connect-src 'self'"


@cache
def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
