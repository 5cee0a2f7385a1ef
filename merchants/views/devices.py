"""The phones that are signed in, and how they are signed out: `/api/v1/devices`."""

from __future__ import annotations

from typing import Any

from django.db.models import F, QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import devices, ids
from merchants.models import Staff, Token
from merchants.shapes import DeviceShape, SignedOut
from merchants.tokens import require, staff_of

MINE, SHOPS = "me", "shop"


class _Listing(serializers.Serializer[Any]):
    of = serializers.ChoiceField(choices=[MINE, SHOPS], default=MINE)


class _Ending(serializers.Serializer[Any]):
    this_one_too = serializers.BooleanField(default=False)


class DevicesView(ListAPIView[Token]):
    """The devices of the caller, or of everybody who works in her shop."""

    queryset = Token.objects.none()  # The OpenAPI document asks for the model; a request gets `get_queryset`.
    serializer_class = DeviceShape

    def get_queryset(self) -> QuerySet[Any]:
        asked = _Listing(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        staff, now = staff_of(self.request), timezone.now()
        if asked.validated_data["of"] == SHOPS:
            require(staff, Staff.Role.OWNER)
            found = devices.of_shop(staff, now=now)
        else:
            found = devices.of(staff, now=now)
        # Pages go by `id`, which no model may have that is not its key.
        listed: QuerySet[Any] = found.annotate(id=F("device")).select_related("user")
        return listed

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "token": self.request.auth}

    @extend_schema(
        operation_id="devices",
        parameters=[
            OpenApiParameter("of", str, enum=[MINE, SHOPS], description="`shop`: of everybody who works there (owner)")
        ],
    )
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """Where the caller is signed in to this shop, the last sign-in first."""
        return self.list(request, *args, **options)

    @extend_schema(
        operation_id="devices_sign_out",
        parameters=[OpenApiParameter("this_one_too", bool, description="this phone as well; it stays when left out")],
        request=None,
        responses=SignedOut,
    )
    def delete(self, request: Request) -> Response:
        """Signs the caller out everywhere else in this shop."""
        asked = _Ending(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        mine = devices.of(staff_of(request), now=timezone.now())
        if not asked.validated_data["this_one_too"]:
            token: Token = request.auth  # type: ignore[assignment]  # The stubs know only DRF's own tokens.
            mine = mine.exclude(pk=token.pk)
        return Response({"signed_out": devices.sign_out(mine)})


class OneDeviceView(APIView):
    """One device."""

    @extend_schema(
        operation_id="device_sign_out",
        parameters=[OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)],
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """Signs one of the caller's devices out; an owner's word goes for everybody's in her shop."""
        staff, now = staff_of(request), timezone.now()
        may = devices.of_shop(staff, now=now) if staff.role == Staff.Role.OWNER else devices.of(staff, now=now)
        try:
            found = may.filter(device=ids.parse(Token.prefix, id))
        except ValueError:
            raise NotFound from None
        if devices.sign_out(found) == 0:
            raise NotFound
        return Response(status=204)
