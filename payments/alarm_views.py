"""The addresses of alarms about codes: what is open and what was, and what the vendor found when she looked."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import ids
from merchants.bodies import Json
from merchants.idempotency import header, once
from merchants.models import CodeAlarm, Staff
from merchants.tokens import require, shop_of, staff_of
from payments import code_watch
from payments.alarm_shapes import AlarmAnswer, AlarmShape


class AlarmsView(ListAPIView[CodeAlarm]):
    """Alarms about the codes of the caller's shop."""

    queryset = CodeAlarm.objects.none()
    serializer_class = AlarmShape

    def get_queryset(self) -> QuerySet[CodeAlarm]:
        found = CodeAlarm.objects.filter(shop=shop_of(self.request)).select_related("code__item")
        asked = self.request.query_params.get("state")
        return found if asked not in ("open", "ended") else found.filter(ended_at__isnull=asked == "open")

    @extend_schema(operation_id="code_alarms", parameters=[OpenApiParameter("state", str, enum=["open", "ended"])])
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """Codes that fell silent or are only looked at, newest first."""
        return self.list(request, *args, **options)


class AlarmAnswerView(APIView):
    """What somebody of the shop found."""

    parser_classes = [Json]

    @extend_schema(
        operation_id="code_alarm_answer",
        parameters=[OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH), header()],
        request=AlarmAnswer,
        responses=AlarmShape,
    )
    def post(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """Ends an alarm: `fine`, this was normal; `swapped`, which pauses the code at once (owner, manager)."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        try:
            alarm = CodeAlarm.objects.get(shop=staff.shop, id=ids.parse(CodeAlarm.prefix, id))
        except (ValueError, CodeAlarm.DoesNotExist):
            raise NotFound from None
        asked = AlarmAnswer(data=request.data)
        asked.is_valid(raise_exception=True)

        def effect() -> Response:
            ended = code_watch.answer(alarm=alarm, staff=staff, now=timezone.now(), **asked.validated_data)
            return Response(AlarmShape(ended).data)

        return once(request, effect)
