"""What a shop's code did, over the API."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import codes, ids
from merchants.models import Code
from merchants.tokens import shop_of
from payments import activity
from payments.shapes import ActivityAsked, ActivityShape


class ActivityView(APIView):
    """Scans and payments of one code of the caller's shop."""

    @extend_schema(
        operation_id="code_activity",
        parameters=[OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH), ActivityAsked],
        responses=ActivityShape,
    )
    def get(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """How often the code was scanned, and what was paid by it: the last days, together and one by one."""
        try:
            code = codes.of_shop(shop_of(request), ids.parse(Code.prefix, id))
        except ValueError:
            raise NotFound from None
        if code is None:
            raise NotFound
        asked = ActivityAsked(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        return Response(ActivityShape(activity.of_code(code=code, now=timezone.now(), **asked.validated_data)).data)
