"""Pictures of a shop's own wallet codes: their payload as it is, in byte mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from merchants.tokens import staff_of
from qr import draw
from qr.pictures import FirstRenderer
from qr.wallet_code_views import find_active

_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)
_SIZE = OpenApiParameter(
    "size",
    int,
    description=f"Width and height in pixels, {draw.SIZE_MIN} to {draw.SIZE_MAX}; {draw.SIZE} when left out.",
)
_DESCRIPTION = (
    "The payload as people scan it, with a quiet zone of four modules or more. No server confirms what is paid by it. "
    "A retired one is not drawn: 409 `wallet_code_retired`."
)


class _Picture(APIView):
    content_negotiation_class = FirstRenderer
    content_type: ClassVar[str]
    picture: ClassVar[Callable[[str, int], bytes]]

    def answer(self, request: Request, public_id: str) -> HttpResponse:
        code, size = find_active(staff_of(request), public_id), _size(request)
        tag = f'"{draw.tag(code.payload, self.content_type, size)}"'
        response = get_conditional_response(request._request, etag=tag)
        if response is None:
            response = HttpResponse(self._drawn(code.payload, size), content_type=self.content_type)
        response["ETag"] = tag
        response["Cache-Control"] = "private, no-cache"  # Asked for again each time: it may have been retired.
        response["Vary"] = "Authorization"
        return response

    def _drawn(self, text: str, size: int) -> bytes:
        try:
            return type(self).picture(text, size)
        except ValueError:
            raise ValidationError({"size": _("is too few pixels for this code")}) from None


class PngPicture(_Picture):
    """GET /api/v1/wallet-codes/{id}/image.png"""

    content_type = "image/png"
    picture = staticmethod(draw.png)

    @extend_schema(
        operation_id="wallet_code_image_png",
        summary="A wallet code as PNG",
        description=_DESCRIPTION,
        tags=["wallet-codes"],
        parameters=[_ID, _SIZE],
        responses={(200, "image/png"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, id: str) -> HttpResponse:  # noqa: A002  The contract calls it so.
        return self.answer(request, id)


class SvgPicture(_Picture):
    """GET /api/v1/wallet-codes/{id}/image.svg"""

    content_type = "image/svg+xml"
    picture = staticmethod(draw.svg)

    @extend_schema(
        operation_id="wallet_code_image_svg",
        summary="A wallet code as SVG",
        description=_DESCRIPTION,
        tags=["wallet-codes"],
        parameters=[_ID, _SIZE],
        responses={(200, "image/svg+xml"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, id: str) -> HttpResponse:  # noqa: A002
        return self.answer(request, id)


def _size(request: Request) -> int:
    text = request.query_params.get("size", str(draw.SIZE))
    if not (text.isascii() and text.isdigit() and draw.SIZE_MIN <= int(text[:9]) <= draw.SIZE_MAX):
        raise ValidationError(
            {
                "size": _("must be a whole number from %(size_min)s to %(size_max)s")
                % {"size_min": draw.SIZE_MIN, "size_max": draw.SIZE_MAX}
            }
        )
    return int(text)
