"""The address at which a shop reads what we charge it."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants.models import Staff
from merchants.tokens import require, staff_of
from payments import checkout, fees
from payments.fee_shapes import FeePage, OfferShape


class FeesView(APIView):
    """What the caller's shop is charged."""

    @extend_schema(operation_id="shop_fees", responses=FeePage)
    def get(self, request: Request) -> Response:
        """What each way of being paid costs now, and what was announced, with an example (owner, manager)."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        found = fees.offers(shop=staff.shop, accounts=checkout.accepted(staff.shop), now=timezone.now())
        return Response({"next": None, "previous": None, "results": OfferShape(found, many=True).data})
