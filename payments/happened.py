"""Pages of payments in the order in which they happened, the last one first: each goes on from a time and an id.

Many payments may carry one time (statements name days, not moments), so the time alone could not say where a page ends.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import BasePagination, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from payments.models import Payment

LIMIT, LIMIT_MAX = 50, 200  # As in every other list.
_FORWARD, _BACK = "n", "p"


class HappenedPages(BasePagination):
    """{"next", "previous", "results"} of a queryset of payments."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        limit = _limit(request)
        self._address = request.build_absolute_uri()
        cursor = request.query_params.get("cursor", "")
        way, at, pk = _read(cursor) if cursor else (_FORWARD, None, None)
        order = ("-occurred_at", "-id") if way == _FORWARD else ("occurred_at", "id")
        rows: QuerySet[Payment] = queryset.order_by(*order)
        if at is not None:
            rows = rows.filter(_beyond(way, at, pk))
        found = list(rows[: limit + 1])
        more, page = len(found) > limit, found[:limit]
        if way == _BACK:
            page.reverse()
        self._next = page[-1] if page and (more or way == _BACK) else None
        self._previous = page[0] if page and (more if way == _BACK else at is not None) else None
        return page

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "next": self._link(_FORWARD, self._next),
                "previous": self._link(_BACK, self._previous),
                "results": data,
            }
        )

    def _link(self, way: str, row: Payment | None) -> str | None:
        if row is None:
            return None
        place = f"{way}|{row.occurred_at.isoformat()}|{row.id.hex}"
        return str(replace_query_param(self._address, "cursor", urlsafe_b64encode(place.encode()).decode()))


def _beyond(way: str, at: datetime, pk: UUID | None) -> Q:
    """What lies behind that row. The first condition is the index's, the second one parts those of one time."""
    if way == _FORWARD:
        return Q(occurred_at__lte=at) & (Q(occurred_at__lt=at) | Q(id__lt=pk))
    return Q(occurred_at__gte=at) & (Q(occurred_at__gt=at) | Q(id__gt=pk))


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "")
    return (
        min(int(text), LIMIT_MAX) if text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) else LIMIT
    )


def _read(cursor: str) -> tuple[str, datetime, UUID]:
    """The place that a cursor of ours names. Raises NotFound for anything that we have never given."""
    try:
        way, at, pk = urlsafe_b64decode(cursor.encode()).decode().split("|")
        moment, row = datetime.fromisoformat(at), UUID(pk)
    except ValueError:  # Also of no base64 and of no UTF-8.
        raise NotFound(CursorPagination.invalid_cursor_message) from None
    if way not in (_FORWARD, _BACK) or moment.tzinfo is None or not 1970 <= moment.year <= 9998:
        raise NotFound(CursorPagination.invalid_cursor_message)
    return way, moment, row
