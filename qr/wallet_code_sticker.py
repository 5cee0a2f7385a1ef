"""A printed sticker of an own wallet code, which says below the code that nobody here confirms what is paid by it."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from merchants import countries, lettering, money
from merchants.models import WalletCode
from merchants.tokens import staff_of
from qr import payloads, phrases, sheet
from qr.labels import LAYOUTS
from qr.pictures import FirstRenderer
from qr.stickers import Sticker
from qr.wallet_code_views import find_active

_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)

# In every language that printed codes speak.
UNCONFIRMED = {
    "en": "Not confirmed by Pushcart",
    "zh": "未经 Pushcart 确认",
    "zh-Hant": "未經 Pushcart 確認",
    "hi": "Pushcart ने पुष्टि नहीं की है",
    "pt-BR": "Não confirmado pelo Pushcart",
    "es": "No confirmado por Pushcart",
    "th": "Pushcart ไม่ได้ยืนยันการชำระเงิน",
    "vi": "Pushcart không xác nhận",
    "id": "Tidak dikonfirmasi oleh Pushcart",
    "ar": "لم يتم التأكيد من Pushcart",
    "km": "មិនមានការបញ្ជាក់ពី Pushcart ទេ",
}


class StickerAsked(serializers.Serializer[Any]):
    """On which label it is printed, and in which language."""

    layout = serializers.ChoiceField(
        choices=list(LAYOUTS), required=False, help_text="when left out, a card on plain paper to be cut"
    )
    language = serializers.ChoiceField(
        choices=list(UNCONFIRMED), required=False, help_text="the language of the shop's country when left out"
    )


class StickerPdf(APIView):
    """GET /api/v1/wallet-codes/{id}/sticker.pdf"""

    content_negotiation_class = FirstRenderer

    @extend_schema(
        operation_id="wallet_code_sticker_pdf",
        tags=["wallet-codes"],
        parameters=[_ID, StickerAsked],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, id: str) -> HttpResponse:  # noqa: A002  The contract calls it so.
        """One label: the payload as it is, whose it says it is, and that nobody here confirms what is paid by it.

        Refused with 409 `wallet_code_retired`, 422 `label_too_small` where scanners could not resolve the code.
        """
        code = find_active(staff_of(request), id)
        asked = StickerAsked(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        paper = "letter" if countries.prints_on_letter(code.shop.country) else "a4"
        said = sticker(code, language=given.get("language", ""))
        file = sheet.pdf([said], given.get("layout") or f"grid-{paper}")
        response = HttpResponse(file, content_type=sheet.CONTENT_TYPE)
        response["Content-Disposition"] = 'inline; filename="wallet-code.pdf"'
        response["Cache-Control"] = "private, no-cache"
        return response


def sticker(code: WalletCode, *, language: str = "") -> Sticker:
    """What it says, in the shop's language unless another is given; in letters that our fonts have."""
    reading = payloads.read(code.payload)
    country = code.shop.country
    price = "" if reading.amount is None else money.shown(reading.amount, reading.currency, countries.locale(country))
    return Sticker(
        text=code.payload,
        title=_drawable(code.label, reading.payee, reading.title),
        price=price,
        caption=_drawable(UNCONFIRMED[language or phrases.language(country)], UNCONFIRMED["en"]),
    )


def _drawable(*texts: str) -> str:
    """The first of these texts that is there and has only letters of our fonts."""
    return next((text for text in texts if text and lettering.drawable(text)), texts[-1])
