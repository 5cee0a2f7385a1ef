"""What somebody scanned, told to her: `POST /api/v1/codes/read` takes a text or a photo, and writes nothing down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import ids, limits, mine
from merchants.bodies import Form, Json
from merchants.models import Shop
from merchants.tokens import shop_of
from qr import payloads, read
from qr.payloads import web, words
from qr.payloads.base import Reading


class ToRead(serializers.Serializer[Any]):
    """Either of the two."""

    text = serializers.CharField(
        required=False,
        max_length=payloads.LONGEST,
        trim_whitespace=False,
        help_text="what a scanner made of the code, as it stands",
    )
    image = serializers.FileField(
        required=False, allow_empty_file=True, help_text="a JPEG, PNG or WebP, sent as a form (multipart/form-data)"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError(_("Send either text or image."), code="text_or_image")
        return attrs


class ViolationShape(serializers.Serializer[Any]):
    code = serializers.CharField()
    where = serializers.CharField(help_text='the field, as its kind of code names it ("54", "26.01", "am"); "" for all')
    detail = serializers.CharField()
    fatal = serializers.BooleanField(help_text="nobody should pay by it")


class ReadingShape(serializers.Serializer[Any]):
    profile = serializers.CharField(help_text='"upi", "pix", "pushcart" (our own), "link", "look_alike", "unknown" …')
    title = serializers.CharField()
    sentences = serializers.ListField(child=serializers.CharField())
    payee = serializers.CharField(help_text="the name that the code claims")
    account = serializers.CharField(help_text="what is paid, or which host is opened")
    amount = serializers.IntegerField(allow_null=True, help_text="minor units of `currency`; null: the payer enters it")
    currency = serializers.CharField()
    reference = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    confirmation = serializers.ChoiceField(
        ["provider", "lookup", "unconfirmed"], help_text="who says that it was paid: unconfirmed is nobody"
    )
    violations = ViolationShape(many=True)
    ours = serializers.ChoiceField(
        mine.ANSWERS, allow_null=True, help_text="whose it is, of a link that is ours or looks like it"
    )


class FoundShape(serializers.Serializer[Any]):
    found = ReadingShape(many=True)


class ReadView(APIView):
    """Any payment code."""

    parser_classes = [Json, Form]

    @extend_schema(operation_id="code_read", request=ToRead, responses=FoundShape)
    def post(self, request: Request) -> Response:
        """Says what a code is, whose, and what is wrong with it; of a picture, for every code in it."""
        shop = shop_of(request)
        limits.spend_on_reading(ids.public(Shop.prefix, shop.id))
        asked = ToRead(data=request.data)
        asked.is_valid(raise_exception=True)
        if "image" in asked.validated_data:
            readings = read.picture(asked.validated_data["image"])
        else:
            readings = [payloads.read(asked.validated_data["text"])]
        return Response(FoundShape({"found": [_shown(shop, reading) for reading in readings]}).data)


def _shown(shop: Shop, reading: Reading) -> Mapping[str, Any]:
    now = timezone.now()
    said, whose = words.sentences(reading, now=now), None
    if reading.profile in {web.PROFILE, web.LOOK_ALIKE}:
        answer = mine.tell(text=reading.text, shop=shop, now=now)
        whose = answer.answer
        said.append(answer.sentence)
    kept = ("profile", "title", "payee", "account", "amount", "currency", "reference", "expires_at", "confirmation")
    return {name: getattr(reading, name) for name in kept} | {
        "sentences": said,
        "violations": reading.violations,
        "ours": whose,
    }
