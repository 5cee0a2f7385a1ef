"""Texts about payments that no phone of the caller's has heard of: `/api/v1/payment-texts`."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import payment_texts
from merchants.bodies import Json
from merchants.payment_text_shapes import PaymentTextsAsked, PaymentTextsShape, shown
from merchants.tokens import staff_of


class PaymentTextsView(APIView):
    """Whether and when the caller herself is texted; each person asks for herself."""

    parser_classes = [Json]

    @extend_schema(operation_id="payment_texts", responses=PaymentTextsShape)
    def get(self, request: Request) -> Response:
        """What she asked for, and how many texts she was sent today."""
        staff = staff_of(request)
        return Response(shown(staff, payment_texts.of(staff), now=timezone.now()))

    @extend_schema(operation_id="payment_texts_ask", request=PaymentTextsAsked, responses=PaymentTextsShape)
    def put(self, request: Request) -> Response:
        """Texts her, from the next payment on, of what no phone of hers has heard of within a minute."""
        staff = staff_of(request)
        given = PaymentTextsAsked(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.asked(currency=staff.shop.currency, before=payment_texts.of(staff))
        row = payment_texts.ask(staff=staff, asked=asked, now=timezone.now())
        return Response(shown(staff, row, now=timezone.now()))

    @extend_schema(operation_id="payment_texts_end", responses={204: None})
    def delete(self, request: Request) -> Response:
        """Texts her no more."""
        payment_texts.end(staff=staff_of(request))
        return Response(status=204)
