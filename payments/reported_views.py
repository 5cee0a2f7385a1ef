"""Reported sales over the API, apart from everything that is money: each answer says `unconfirmed`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import ids
from merchants.bodies import Json
from merchants.idempotency import header, once
from merchants.models import Staff, WalletCode
from merchants.refusals import Refused
from merchants.shapes import NAME_LENGTH, Amount, PublicId
from merchants.tokens import staff_of
from payments import reported
from payments.models import ReportedSale
from payments.shapes import Money
from payments.statement import Period, PeriodWrong

_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)
_DAY = OpenApiParameter("day", str, description="for example 2026-11-28, in the shop's time zone; today when left out")


class NewReportedSale(serializers.Serializer[Any]):
    """A sale to be noted, as its vendor saw it in her own wallet."""

    wallet_code = PublicId(WalletCode.prefix)
    price = Amount()
    note = serializers.CharField(max_length=NAME_LENGTH, required=False, allow_blank=True, default="")


class ReportedSaleShape(serializers.ModelSerializer[ReportedSale]):
    """A sale that was noted. Nobody has confirmed it: it is no payment."""

    id = PublicId(ReportedSale.prefix, read_only=True)
    state = serializers.SerializerMethodField(help_text="always `unconfirmed`")
    wallet_code = PublicId(WalletCode.prefix, source="wallet_code_id", read_only=True)
    staff = PublicId(Staff.prefix, source="staff_id", read_only=True)
    price = Money()

    class Meta:
        model = ReportedSale
        fields = ["id", "state", "wallet_code", "staff", "price", "note", "reported_at", "withdrawn_at"]
        read_only_fields = fields

    def get_state(self, sale: ReportedSale) -> str:
        return reported.STATE


class NotedShape(serializers.Serializer[Any]):
    """What was noted in one currency and not withdrawn."""

    price = Money()
    count = serializers.IntegerField()


class ReportedSalePage(serializers.Serializer[Any]):
    """The notes of one day, newest first, and their sum, which stands in no other total."""

    day = serializers.CharField()
    state = serializers.CharField(help_text="always `unconfirmed`")
    sentence = serializers.CharField(help_text="what that means, for people")
    sums = NotedShape(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ReportedSaleShape(many=True)


class ReportedSalesView(ListAPIView[ReportedSale]):
    """What the caller's shop noted by wallet codes of its own."""

    queryset = ReportedSale.objects.none()
    serializer_class = ReportedSaleShape
    parser_classes = [Json]
    filter_backends = []

    def get_queryset(self) -> QuerySet[ReportedSale]:
        staff = staff_of(self.request)
        return reported.of_day(staff.shop, _day(self.request, staff))

    @extend_schema(operation_id="reported_sales", parameters=[_DAY], responses=ReportedSalePage)
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """The notes of a day and their sum."""
        staff = staff_of(request)
        period = _day(request, staff)
        answer = self.list(request, *args, **options)
        answer.data = {
            "day": period.name,
            "state": reported.STATE,
            "sentence": _(reported.SENTENCE),
            "sums": NotedShape(reported.sums(staff.shop, period), many=True).data,
            **answer.data,
        }
        return answer

    @extend_schema(
        operation_id="reported_sale_create",
        parameters=[header()],
        request=NewReportedSale,
        responses={201: ReportedSaleShape},
    )
    def post(self, request: Request) -> Response:
        """Notes a sale that the vendor saw in her own wallet. It is never booked, and never called paid."""
        staff = staff_of(request)
        asked = NewReportedSale(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data

        def effect() -> Response:
            sale = reported.report(
                staff=staff,
                wallet_code_id=given["wallet_code"],
                note=given["note"],
                now=timezone.now(),
                **given["price"],
            )
            return Response(ReportedSaleShape(sale).data, status=201)

        return once(request, effect)


class ReportedSaleView(APIView):
    """One note of the caller's shop."""

    @extend_schema(operation_id="reported_sale_withdraw", parameters=[_ID], request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """Takes it back on the day it was made: whoever noted it, the owner or a manager."""
        try:
            reported.withdraw(staff=staff_of(request), sale_id=_id(id), now=timezone.now())
        except ReportedSale.DoesNotExist:
            raise NotFound from None
        return Response(status=204)


def _day(request: Request, staff: Staff) -> Period:
    try:
        return reported.day(staff.shop, request.query_params.get("day", ""), now=timezone.now())
    except PeriodWrong as wrong:
        raise Refused(400, "period_wrong", str(wrong)) from None


def _id(text: str) -> UUID:
    try:
        return ids.parse(ReportedSale.prefix, text)
    except ValueError:
        raise NotFound from None
