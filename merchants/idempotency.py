"""A request that is sent twice takes effect once: the reply is kept in the transaction of the effect, and given again.

After the IETF draft "The Idempotency-Key HTTP Header Field", scoped to the caller (shop and person). An advisory
try-lock tells a request that still runs from one that is done; a unique key is the second lock.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection, transaction
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from merchants.models import IdempotentReply, Token
from merchants.refusals import Refused

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_CHUNK = 65_536

T = TypeVar("T")


def header(*, required: bool = False) -> OpenApiParameter:
    """The header, for the OpenAPI document of a view that uses `once`."""
    return OpenApiParameter(
        "Idempotency-Key",
        location=OpenApiParameter.HEADER,
        required=required,
        description=(
            "1 to 255 visible ASCII letters of your choice. For seven days the same key with the same request gives "
            "the stored reply (with `Idempotent-Replayed: true`); with another request 422; while the first runs 409."
        ),
    )


def once(request: Request, effect: Callable[[], Response], *, required: bool = False) -> Response:
    """The response of `effect`, which runs in one transaction with the record of its reply; or that reply, again.

    A reply that is not 2xx undoes the effect and is not kept. Without the header the effect simply runs, in a
    transaction too. Raises Refused: 400 `idempotency_key_missing` (when required) or `idempotency_key_invalid`,
    409 `request_in_flight`, 422 `idempotency_key_reused`.
    """
    return once_proved(request, lambda: None, lambda _nothing: effect(), required=required)


def once_proved(
    request: Request,
    proof: Callable[[], T],
    effect: Callable[[T], Response],
    *,
    required: bool = False,
    proved_by: str = "",
) -> Response:
    """As `once`, for an effect that first wants a proof, which is handed to it.

    `proof` is not asked for a request that was answered before. It runs outside the transaction: what it counts stays
    counted. The body's field `proved_by` is no part of what was asked: with another proof it is the same request.
    """
    key = request.headers.get("Idempotency-Key", "")
    if not key and required:
        raise Refused(400, "idempotency_key_missing", _("This request needs the header Idempotency-Key."))
    if key and not _KEY.fullmatch(key):
        raise Refused(400, "idempotency_key_invalid", _("Idempotency-Key is 1 to 255 visible ASCII letters."))
    if not key:
        proved = proof()
        with transaction.atomic():
            return _run(effect, proved)
    token: Token = request.auth  # type: ignore[assignment]  # The stubs know only DRF's own tokens.
    caller = f"{token.shop_id.hex}:{token.user_id.hex}"
    fingerprint = _fingerprint(request, proved_by)
    known = _known(caller, key)
    if known is not None:
        return _again(known, fingerprint)
    try:
        proved = proof()
    except Refused:
        # The first may have ended since our look, and have used up what proves: then its reply is the answer.
        known = _known(caller, key)
        if known is None:
            raise
        return _again(known, fingerprint)
    with transaction.atomic():
        if not _lock(caller, key):
            raise Refused(409, "request_in_flight", _("The first request with this key is still running."))
        # The first may have ended between our look and our lock.
        known = _known(caller, key)
        if known is not None:
            return _again(known, fingerprint)
        response = _run(effect, proved)
        if 200 <= response.status_code < 300:
            IdempotentReply.objects.create(
                caller=caller,
                key=key,
                fingerprint=fingerprint,
                status=response.status_code,
                body=_plain(response.data),
                language=get_language() or "",
                created_at=timezone.now(),
            )
        return response


def _run(effect: Callable[[T], Response], proved: T) -> Response:
    response = effect(proved)
    if response.status_code >= 300:
        transaction.set_rollback(True)
    return response


def _again(known: IdempotentReply, fingerprint: bytes) -> Response:
    if bytes(known.fingerprint) != fingerprint:
        raise Refused(422, "idempotency_key_reused", _("This key was used for another request."))
    # Its words are those of the first time: the reply is the same to the letter, and says in which language it is.
    said = {"Content-Language": known.language} if known.language else {}
    return Response(known.body, status=known.status, headers={"Idempotent-Replayed": "true", **said})


def _known(caller: str, key: str) -> IdempotentReply | None:
    return IdempotentReply.objects.filter(caller=caller, key=key).first()


def _lock(caller: str, key: str) -> bool:
    """Held until the transaction ends, and never waited for."""
    digest = hashlib.sha256(f"idempotency:{caller}:{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        return bool(cursor.fetchone()[0])


def _fingerprint(request: Request, proved_by: str) -> bytes:
    """HMAC-SHA256 over what was asked, not how it was written: fields in another order or form are the same request.

    Keyed, because there may be secrets in what was asked.
    """
    asked = {"method": request.method, "path": request.path, "body": _canonical(request, proved_by)}
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hmac.new(settings.SECRET_KEY.encode(), f"idempotency:{text}".encode(), hashlib.sha256).digest()


def _canonical(request: Request, proved_by: str) -> Any:
    data = request.data
    if isinstance(data, Mapping) and not isinstance(data, QueryDict):
        return {name: value for name, value in data.items() if name != proved_by}
    if not isinstance(data, QueryDict):
        return data
    files = {name: [_file_digest(file) for file in request.FILES.getlist(name)] for name in request.FILES}
    fields = {name: data.getlist(name) for name in data if name not in files}
    return {"fields": fields, "files": files}


def _file_digest(file: Any) -> str:
    digest = hashlib.sha256()
    for chunk in file.chunks(_CHUNK):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _plain(data: Any) -> Any:
    """The reply's data as its JSON: what is stored is what was sent."""
    return None if data is None else json.loads(JSONRenderer().render(data))
