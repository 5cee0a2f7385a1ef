"""Takes a notification: proves it, keeps it once, and sends a task for it after the commit."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from functools import partial

from django.conf import settings
from django.db import transaction
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.peers.naive.models import WebhookEvent
from bench.peers.naive.tasks import post_event

_KEY = base64.b64decode(settings.WEBHOOK_SECRET.removeprefix("whsec_"))
TOLERANCE_S = 300


class _Payment(serializers.Serializer):
    id = serializers.CharField(max_length=64)
    reference = serializers.CharField(max_length=64)
    amount = serializers.IntegerField(min_value=1)
    currency = serializers.CharField(max_length=3)
    state = serializers.CharField(max_length=20)
    occurred_at = serializers.DateTimeField()


class _Data(serializers.Serializer):
    payment = _Payment()


class _Notification(serializers.Serializer):
    id = serializers.CharField(max_length=120)
    type = serializers.CharField(max_length=40)
    data = _Data()


class WebhookView(APIView):
    def post(self, request):
        if not _is_signed(request):
            return Response({"detail": "not signed"}, status=400)
        notification = _Notification(data=request.data)
        notification.is_valid(raise_exception=True)
        with transaction.atomic():
            event, created = WebhookEvent.objects.get_or_create(
                delivery_id=notification.validated_data["id"],
                defaults={
                    "payload": request.data,
                    "headers": {k: v for k, v in request.headers.items() if k.lower().startswith("webhook-")},
                },
            )
            if created:
                transaction.on_commit(partial(post_event.delay, str(event.pk)))
        return Response({"received": True})


def _is_signed(request):
    """Standard Webhooks: HMAC-SHA256 over id, time and raw body."""
    moment = request.headers.get("webhook-timestamp", "0")
    signed = f"{request.headers.get('webhook-id', '')}.{moment}.".encode() + request.body
    wanted = "v1," + base64.b64encode(hmac.digest(_KEY, signed, hashlib.sha256)).decode()
    given = request.headers.get("webhook-signature", "")
    return hmac.compare_digest(given, wanted) and abs(time.time() - int(moment)) <= TOLERANCE_S
