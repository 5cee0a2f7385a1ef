"""The pictures of a shop's own codes over the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import ClassVar

from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from merchants import ids
from merchants.models import Code, Shop
from merchants.refusals import Refused
from merchants.tokens import shop_of
from qr import draw
from qr.branding import Style, Unreadable, Use, level
from qr.symbol import Level

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
_USE = OpenApiParameter(
    "use",
    str,
    enum=["screen", "print"],
    description="What it is for: `screen` (the default) corrects 15 % of errors, `print` 25 %.",
)
_BRANDED = OpenApiParameter(
    "branded",
    bool,
    description="In the shop's colour and with its logo, if it has them; a code with a logo corrects 30 %.",
)
_DESCRIPTION = (
    "The code as people scan it: its address, with a quiet zone of four modules or more. A code that cannot be read in "
    "the shop's colour or with its logo is refused: `code_unreadable`."
)
_USES: dict[str, Use] = {"screen": "screen", "print": "print"}
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class _Dress:
    """What a style is made of, before the logo's file is opened."""

    level: Level
    colour: str = ""
    logo: str = ""

    def style(self) -> Style:
        return Style(self.level, self.colour, _logo(self.logo) if self.logo else b"")


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
    picture: ClassVar[Callable[[str, int, Style], bytes]]

    def answer(self, request: Request, code_id: str) -> HttpResponse:
        shop = shop_of(request)
        text, size, dress = _code(shop, code_id).url, _size(request), _dress_asked(request, shop)
        tag = draw.tag(text, self.content_type, size, " ".join(astuple(dress)))
        # A repeat ends here: nothing is drawn, and no file is opened.
        response = get_conditional_response(request._request, etag=f'"{tag}"')
        if response is None:
            response = HttpResponse(self._drawn(text, size, dress), content_type=self.content_type)
        response["ETag"] = f'"{tag}"'
        known = request.query_params.get("v") == tag
        response["Cache-Control"] = "private, max-age=31536000, immutable" if known else "private, no-cache"
        response["Vary"] = "Authorization"
        return response

    def _drawn(self, text: str, size: int, dress: _Dress) -> bytes:
        try:
            return type(self).picture(text, size, dress.style())
        except Unreadable as unreadable:
            raise Refused(409, "code_unreadable", str(unreadable)) from None
        except draw.TooSmall:
            raise ValidationError({"size": _("is too small for this code")}) from None


class PngPicture(_Picture):
    """GET /api/v1/codes/{id}/image.png"""

    content_type = "image/png"
    picture = staticmethod(draw.png)

    @extend_schema(
        operation_id="code_image_png",
        summary="A code as PNG",
        description=_DESCRIPTION,
        tags=["codes"],
        parameters=[_SIZE, _USE, _BRANDED, _VERSION],
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
        parameters=[_SIZE, _USE, _BRANDED, _VERSION],
        responses={(200, "image/svg+xml"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, code_id: str) -> HttpResponse:
        return self.answer(request, code_id)


def _code(shop: Shop, code_id: str) -> Code:
    """The caller's own code; another shop's is as unknown as one that never was."""
    try:
        key = ids.parse(Code.prefix, code_id)
    except ValueError:
        raise NotFound
    code = Code.objects.filter(shop=shop, id=key).first()
    if code is None:
        raise NotFound
    return code


def _dress_asked(request: Request, shop: Shop) -> _Dress:
    use = _USES.get(request.query_params.get("use", "screen"))
    if use is None:
        raise ValidationError({"use": _("must be screen or print")})
    branded = _FLAGS.get(request.query_params.get("branded", "0"))
    if branded is None:
        raise ValidationError({"branded": _("must be true or false")})
    if not branded:
        return _Dress(level(use))
    logo = shop.logo.name or ""
    return _Dress(level(use, logo=bool(logo)), shop.colour, logo)


@lru_cache(maxsize=64)
def _logo(name: str) -> bytes:
    """A logo's file. Its name is never given to another, so it is read once."""
    with default_storage.open(name) as file:
        return bytes(file.read())


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
