"""What the shop was told: `/api/v1/notices`. The live stream is a process of its own (`merchants/stream.py`)."""

from __future__ import annotations

from urllib.parse import urlencode

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import payment_texts
from merchants.bodies import Json
from merchants.models import Notice, Token
from merchants.shapes import NoticePage, NoticeShape
from merchants.tokens import shop_of

PAGE = 50
PAGE_MAX = 200


class _Asked(serializers.Serializer[dict[str, int]]):
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=PAGE_MAX, default=PAGE)


class NoticesView(APIView):
    """The notices of the caller's shop, in the order of their numbers."""

    @extend_schema(
        operation_id="notices",
        parameters=[
            OpenApiParameter("after", int, description="the number of the last notice you have"),
            OpenApiParameter("limit", int, description=f"at most {PAGE_MAX}; {PAGE} when left out"),
        ],
        responses=NoticePage,
    )
    def get(self, request: Request) -> Response:
        """Catches up: what was told after the number you name, oldest first."""
        asked = _Asked(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        after, limit = asked.validated_data["after"], asked.validated_data["limit"]
        rows = list(Notice.objects.filter(shop=shop_of(request), number__gt=after).order_by("number")[: limit + 1])
        page, more = rows[:limit], len(rows) > limit
        following = f"{request.path}?{urlencode({'after': page[-1].number, 'limit': limit})}" if more else ""
        return Response(
            {
                "next": request.build_absolute_uri(following) if more else None,
                "previous": None,
                "results": NoticeShape(page, many=True).data,
            }
        )


class HeardUpTo(serializers.Serializer[dict[str, int]]):
    number = serializers.IntegerField(min_value=1, max_value=2**63 - 1, help_text="of the last notice that was heard")


class HeardView(APIView):
    """What a page of the caller's has heard."""

    parser_classes = [Json]

    @extend_schema(operation_id="notices_heard", request=HeardUpTo, responses={204: None})
    def post(self, request: Request) -> Response:
        """Says that this phone was told every notice up to a number: its person is not texted of them."""
        asked = HeardUpTo(data=request.data)
        asked.is_valid(raise_exception=True)
        token: Token = request.auth  # type: ignore[assignment]  # The stubs know only DRF's own tokens.
        payment_texts.heard_up_to(token=token, number=asked.validated_data["number"])
        return Response(status=204)
