"""Pages that are no API: the photos of shops and items, and the developer's outbox of text messages."""

from __future__ import annotations

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_safe

from merchants.addresses import is_loopback_peer
from merchants.channels.console import outbox
from merchants.photos import STORED_NAME

_YEAR_S = 31_536_000


@require_safe
def photo(request: HttpRequest, name: str) -> HttpResponseBase:
    """A photo we encoded ourselves. Its name is never used for another, so it may be kept for a year."""
    if not STORED_NAME.fullmatch(name) or not default_storage.exists(name):
        raise Http404
    answer = FileResponse(default_storage.open(name), content_type="image/jpeg")
    answer["Cache-Control"] = f"public, max-age={_YEAR_S}, immutable"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


@require_safe
def dev_outbox(request: HttpRequest) -> HttpResponse:
    """The last text messages, for whoever sits at this machine; nothing is here for anybody else."""
    if not settings.DEV_OUTBOX or not is_loopback_peer(request):
        raise Http404
    messages = outbox()
    if "text/html" in request.headers.get("Accept", ""):
        rows = format_html_join(
            "\n",
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            ((message["sent_at"], message["phone"], message["text"]) for message in messages),
        )
        answer = HttpResponse(
            format_html(
                '<!doctype html><html lang="en"><meta charset="utf-8"><title>Outbox</title><h1>Outbox</h1>'
                "<p>Text messages that would have been sent, newest first. They are kept for ten minutes.</p>"
                "<table>{}</table></html>",
                rows,
            )
        )
    else:
        answer = JsonResponse({"results": messages})
    answer["Cache-Control"] = "no-store"
    return answer
