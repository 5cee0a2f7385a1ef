"""Signing in and out, and proving it once more: `/api/v1/auth/…`."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import devices, languages, limits, sign_in, step_up
from merchants.addresses import client_address
from merchants.bodies import Json
from merchants.shapes import CodeAsked, CodeSent, ShopShape, StepUpAsked, TokenAsked, TokenGiven
from merchants.tokens import staff_of


class CodeView(APIView):
    """Asks for a one-time code by text."""

    authentication_classes = []
    permission_classes = [AllowAny]
    parser_classes = [Json]

    @extend_schema(operation_id="auth_code", request=CodeAsked, responses={202: CodeSent}, auth=[])
    def post(self, request: Request) -> Response:
        """Sends a code to a mobile phone. The answer is the same whether or not the phone is known."""
        asked = CodeAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        phone = asked.validated_data["phone"]
        sign_in.send_code(phone=phone, address=client_address(request), now=timezone.now())
        return Response({"expires_in_s": int(settings.ONE_TIME_CODE_LIFE.total_seconds())}, status=202)


class TokenView(APIView):
    """A token for a code, and its end."""

    parser_classes = [Json]

    def get_authenticators(self) -> list[BaseAuthentication]:
        # A phone that still sends the token of yesterday must be able to sign in again.
        # (The OpenAPI document is made without a request.)
        return [] if getattr(self.request, "method", "") == "POST" else super().get_authenticators()

    def get_permissions(self) -> list[BasePermission]:
        return [AllowAny()] if self.request.method == "POST" else [IsAuthenticated()]

    @extend_schema(
        operation_id="auth_token",
        request=TokenAsked,
        responses={
            200: OpenApiResponse(TokenGiven, description="Welcome back."),
            201: OpenApiResponse(TokenGiven, description="Welcome: this made the person and the shop."),
        },
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Signs in with the code; the first time this makes a shop, named `shop_name`."""
        limits.spend_on_guess(client_address(request))
        asked = TokenAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        agent = request.headers.get("User-Agent", "")
        signed_in = sign_in.redeem(**asked.validated_data, user_agent=agent, now=timezone.now())
        languages.remember(user=signed_in.user, header=request.headers.get("Accept-Language", ""))
        shop = ShopShape(signed_in.shop, context={"role": signed_in.role}).data
        answer = {"token": signed_in.token, "shop": shop}
        return Response(answer, status=201 if signed_in.created else 200, headers={"Cache-Control": "no-store"})

    @extend_schema(operation_id="auth_sign_out", request=None, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Signs this phone out: its token is of no use from now on."""
        mine = devices.of(staff_of(request), now=timezone.now())
        devices.sign_out(mine.filter(pk=request.auth.pk))
        return Response(status=204)


class StepUpView(APIView):
    """A fresh code for what a token alone does not allow."""

    parser_classes = [Json]

    @extend_schema(operation_id="auth_step_up", request=StepUpAsked, responses={202: CodeSent})
    def post(self, request: Request) -> Response:
        """Sends a code to the caller's own phone; give it as `code` with what it confirms."""
        asked = StepUpAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        purpose = asked.validated_data["purpose"]
        step_up.send_code(staff=staff_of(request), purpose=purpose, address=client_address(request), now=timezone.now())
        return Response({"expires_in_s": int(settings.ONE_TIME_CODE_LIFE.total_seconds())}, status=202)
