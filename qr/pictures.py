"""The pictures of a shop's own codes over the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from merchants import ids
from merchants.models import Code
from merchants.tokens import shop_of
from qr import draw

_SIZE = OpenApiParameter(
    "size",
    int,
    description=f"Width and height in pixels, {draw.SIZE_MIN} to {draw.SIZE_MAX}; {draw.SIZE} when left out.",
)
_VERSION = OpenApiParameter(
    "v",
    str,
    description="The picture's ETag without quotes. With the right one the picture may be kept for ever; without it, "
    "it is asked for again by its ETag.",
)
_DESCRIPTION = (
    "The code as people scan it: its address at error correction M, with a quiet zone of four modules or more."
)


class FirstRenderer(BaseContentNegotiation):
    """A picture's format stands in its address, so `Accept: image/png` must not be refused for an error in JSON."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))


class _Picture(APIView):
    content_negotiation_class = FirstRenderer
    content_type: ClassVar[str]
    picture: ClassVar[Callable[[str, int], bytes]]

    def answer(self, request: Request, code_id: str) -> HttpResponse:
        text, size = _code(request, code_id).url, _size(request)
        tag = draw.tag(text, self.content_type, size)
        response = get_conditional_response(request._request, etag=f'"{tag}"')
        if response is None:
            response = HttpResponse(type(self).picture(text, size), content_type=self.content_type)
        response["ETag"] = f'"{tag}"'
        known = request.query_params.get("v") == tag
        response["Cache-Control"] = "private, max-age=31536000, immutable" if known else "private, no-cache"
        response["Vary"] = "Authorization"
        return response


class PngPicture(_Picture):
    """GET /api/v1/codes/{id}/image.png"""

    content_type = "image/png"
    picture = staticmethod(draw.png)

    @extend_schema(
        operation_id="code_image_png",
        summary="A code as PNG",
        description=_DESCRIPTION,
        tags=["codes"],
        parameters=[_SIZE, _VERSION],
        responses={(200, "image/png"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, code_id: str) -> HttpResponse:
        return self.answer(request, code_id)


class SvgPicture(_Picture):
    """GET /api/v1/codes/{id}/image.svg"""

    content_type = "image/svg+xml"
    picture = staticmethod(draw.svg)

    @extend_schema(
        operation_id="code_image_svg",
        summary="A code as SVG",
        description=_DESCRIPTION,
        tags=["codes"],
        parameters=[_SIZE, _VERSION],
        responses={(200, "image/svg+xml"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, code_id: str) -> HttpResponse:
        return self.answer(request, code_id)


def _code(request: Request, code_id: str) -> Code:
    """The caller's own code; another shop's is as unknown as one that never was."""
    try:
        key = ids.parse(Code.prefix, code_id)
    except ValueError:
        raise NotFound
    code = Code.objects.filter(shop=shop_of(request), id=key).first()
    if code is None:
        raise NotFound
    return code


def _size(request: Request) -> int:
    text = request.query_params.get("size", str(draw.SIZE))
    if not (text.isascii() and text.isdigit() and draw.SIZE_MIN <= int(text[:9]) <= draw.SIZE_MAX):
        raise ValidationError({"size": f"must be a whole number from {draw.SIZE_MIN} to {draw.SIZE_MAX}"})
    return int(text)
