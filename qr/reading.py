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

from merchants import codes, ids, limits
from merchants.bodies import Form, Json
from merchants.models import Shop
from merchants.tokens import shop_of
from qr import payloads, read
from qr.payloads import web, words
from qr.payloads.base import Reading


class Scanned(serializers.Serializer[Any]):
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
            raise serializers.ValidationError("Send either text or image.", code="text_or_image")
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
    ours = serializers.ChoiceField(["yours", "another_shops", "not_ours"], allow_null=True)


class FoundShape(serializers.Serializer[Any]):
    found = ReadingShape(many=True)


class ReadView(APIView):
    """Any payment code."""

    parser_classes = [Json, Form]

    @extend_schema(operation_id="code_read", request=Scanned, responses=FoundShape)
    def post(self, request: Request) -> Response:
        """Says what a code is, whose, and what is wrong with it; of a picture, for every code in it."""
        shop = shop_of(request)
        limits.spend_on_reading(ids.public(Shop.prefix, shop.id))
        asked = Scanned(data=request.data)
        asked.is_valid(raise_exception=True)
        if "image" in asked.validated_data:
            readings = read.picture(asked.validated_data["image"])
        else:
            readings = [payloads.read(asked.validated_data["text"])]
        return Response(FoundShape({"found": [_shown(shop, reading) for reading in readings]}).data)


def ours(shop: Shop, reading: Reading) -> str | None:
    """Whose a link of ours is, as this shop may know it; None for what does not even look like one."""
    if reading.profile == web.LOOK_ALIKE:
        return "not_ours"
    if reading.profile != web.PROFILE:
        return None
    code = codes.find(reading.fields["slug"])
    if code is None:
        return "not_ours"
    return "yours" if code.shop_id == shop.id else "another_shops"


def _shown(shop: Shop, reading: Reading) -> Mapping[str, Any]:
    whose = ours(shop, reading)
    said = words.sentences(reading, now=timezone.now())
    if reading.profile == web.PROFILE and whose is not None:
        said.append(_WHOSE[whose]())
    kept = ("profile", "title", "payee", "account", "amount", "currency", "reference", "expires_at", "confirmation")
    return {name: getattr(reading, name) for name in kept} | {
        "sentences": said,
        "violations": reading.violations,
        "ours": whose,
    }


_WHOSE = {
    "yours": lambda: _("It is a code of your shop."),
    "another_shops": lambda: _("It is a code of another shop."),
    "not_ours": lambda: _("No code of this service has this address."),
}
