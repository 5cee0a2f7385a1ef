"""The address at which anybody reads the keys that receipts are verified with."""

from __future__ import annotations

import base64
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from payments import receipt_keys
from payments.models import ReceiptKey


class ReceiptKeyShape(serializers.Serializer[Any]):
    """A key of Ed25519 (RFC 8032) that signs the statements on receipts."""

    number = serializers.IntegerField(help_text="how a statement names it")
    public_key = serializers.SerializerMethodField(help_text="32 bytes, base64url without padding")
    signs_from = serializers.DateTimeField()
    trusted_until = serializers.DateTimeField(help_text="believe nothing that it signed from then on")

    def get_public_key(self, key: ReceiptKey) -> str:
        return base64.urlsafe_b64encode(key.public_key).decode().rstrip("=")


class ReceiptKeyPage(serializers.Serializer[Any]):
    """All of them, on one page."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ReceiptKeyShape(many=True)


class ReceiptKeysView(APIView):
    """The keys of receipts. Public: a till of somebody else's may verify receipts as our phone page does."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(operation_id="receipt_keys", responses=ReceiptKeyPage, auth=[])
    def get(self, request: Request) -> Response:
        """Every key that may be trusted now, the one that signs next included. What is not in this list is not ours."""
        keys = receipt_keys.published(now=timezone.now())
        page = {"next": None, "previous": None, "results": ReceiptKeyShape(keys, many=True).data}
        return Response(page, headers={"Cache-Control": "no-cache"})
