"""What a phone keeps of a stall on its home screen: a name, an icon, and the pay page that opens; for who comes daily.

The page names the manifest and says nothing of it: whoever wants it finds "Add to home screen" in the browser's menu.
What opens is an ordinary page in the ordinary browser (`display: browser`): a wallet's app is called from there as
ever, the address is seen, and browsers never ask of their own accord whether it should be kept.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any

from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe
from PIL import Image, ImageOps

from merchants import codes
from merchants.models import Code

ICON_PIXELS = 192
_COLOURS = 96  # A photo this small looks no better with more, and is a third of its weight.
_HEADERS = {
    "Cache-Control": "public, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Robots-Tag": "noindex",
}


def address(code: Code) -> str:
    """Where the code's manifest stands; "" for a code that nobody can use again tomorrow."""
    lasting = code.kind in (Code.Kind.SHOP, Code.Kind.ITEM) and code.replaced_by_id is None
    return reverse("home-screen", args=[code.slug]) if lasting and code.state == Code.State.ACTIVE else ""


@require_safe
def manifest(request: HttpRequest, slug: str) -> HttpResponse:
    """GET /s/{slug}/app.webmanifest: the same for everybody, by no cookie; 404 for a code that does not last."""
    code = _code(slug)
    page, shop, item = reverse("scan", args=[slug]), code.shop.name, code.item.name if code.item else ""
    said: dict[str, Any] = {
        "name": f"{item} · {shop}" if item else shop,
        "short_name": item or shop,
        "dir": "auto",
        "id": page,
        "start_url": page,
        "scope": page,
        "display": "browser",
        "background_color": "#f6f3ee",
        "theme_color": "#0b6b46",
        "icons": _icons(code),
    }
    answer = JsonResponse(said, headers=_HEADERS, json_dumps_params={"ensure_ascii": False})
    answer["Content-Type"] = "application/manifest+json"
    return answer


@require_safe
def icon(request: HttpRequest, slug: str) -> HttpResponse:
    """GET /s/{slug}/icon.png: the photo of what the code sells, or of the shop, as a small square; 404 without one."""
    name = _photo(_code(slug))
    if not name or not default_storage.exists(name):
        raise Http404
    return HttpResponse(_square(name), content_type="image/png", headers=_HEADERS)


def _code(slug: str) -> Code:
    code = codes.find(slug)
    if code is None or not address(code):
        raise Http404
    return code


def _photo(code: Code) -> str:
    of_item = code.item.photo.name if code.item else ""
    return of_item or code.shop.photo.name or ""


def _icons(code: Code) -> list[dict[str, str]]:
    if _photo(code):
        size = f"{ICON_PIXELS}x{ICON_PIXELS}"
        return [{"src": reverse("home-icon", args=[code.slug]), "sizes": size, "type": "image/png"}]
    return [
        {"src": static(f"app/icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png"} for size in (192, 512)
    ]


@lru_cache(maxsize=256)
def _square(name: str) -> bytes:
    """The middle of a stored photo. A name is never used for another photo, so what was made once stays right."""
    with default_storage.open(name) as file, Image.open(file, formats=("JPEG",)) as photo:
        small = ImageOps.fit(photo.convert("RGB"), (ICON_PIXELS, ICON_PIXELS), Image.Resampling.LANCZOS)
    out = BytesIO()
    small.quantize(_COLOURS).save(out, "PNG", optimize=True)
    return out.getvalue()
