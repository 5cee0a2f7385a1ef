"""The printed forms of a shop's own codes over the API: sheets of stickers, posters, table tents, and a print page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from merchants import countries, ids
from merchants.models import Code, Shop
from merchants.refusals import Refused
from merchants.shapes import Flag
from merchants.tokens import shop_of
from qr import labels, phrases, poster, print_page, sheet, stickers, tent
from qr.labels import LAYOUTS, PAPERS
from qr.pictures import FirstRenderer

CODES_MAX = 200  # On one answer,
STICKERS_MAX = 500  # and so many stickers of them: about a second of a core.
STYLE = 1  # Part of every tag: raise it when the same question gives another file.

_ID = OpenApiParameter("code_id", OpenApiTypes.STR, OpenApiParameter.PATH)
_PDF = {(200, "application/pdf"): OpenApiTypes.BINARY}


class SheetAsked(serializers.Serializer[Any]):
    """Which codes are printed on which labels."""

    ids = serializers.CharField(help_text=f"ids of the shop's own codes, with commas between them; {CODES_MAX} at most")
    layout = serializers.ChoiceField(
        choices=list(LAYOUTS), required=False, help_text="the labels; when left out, plain paper to be cut"
    )
    paper = serializers.ChoiceField(
        choices=("a4", "letter"),
        required=False,
        help_text="of plain paper; the size of the shop's country when left out",
    )
    copies = serializers.IntegerField(
        min_value=1,
        max_value=STICKERS_MAX,
        required=False,
        help_text="of each sticker; when left out one, and of a single code as many as fill the sheet",
    )
    start = serializers.IntegerField(
        min_value=1, max_value=max(form.count for form in LAYOUTS.values()), default=1,
        help_text="the first label that is free on a sheet used in part, row by row",
    )  # fmt: skip
    language = serializers.ChoiceField(
        choices=list(phrases.PHRASES), required=False, help_text="the language of the shop's country when left out"
    )
    price = Flag(default=True, help_text="whether the price is printed")


class PrintPageAsked(SheetAsked):
    """The same, or one poster after the other."""

    layout = serializers.ChoiceField(choices=[*LAYOUTS, "poster"], required=False)


class TentAsked(serializers.Serializer[Any]):
    """How a table tent is printed."""

    paper = serializers.ChoiceField(choices=("a4", "letter"), required=False)
    language = serializers.ChoiceField(choices=list(phrases.PHRASES), required=False)
    price = Flag(default=True, help_text="whether the price is printed")


class PosterAsked(TentAsked):
    """How a poster is printed."""

    paper = serializers.ChoiceField(choices=list(PAPERS), required=False)
    photo = Flag(default=True, help_text="whether the photo is printed, when there is one")
    marks = Flag(default=False, help_text="for a print shop: colour 3 mm over the edge, and marks where it is cut")


class _Printed(APIView):
    content_negotiation_class = FirstRenderer

    def answer(self, request: Request, name: str, content: object, make: Callable[[], bytes]) -> HttpResponse:
        """The file, or 304 without drawing it again when what it shows is what the caller has."""
        tag = hashlib.sha256(f"{STYLE} {name} {content!r}".encode()).hexdigest()[:32]
        response = get_conditional_response(request._request, etag=f'"{tag}"')
        if response is None:
            html = name.endswith(".html")
            response = HttpResponse(make(), content_type=print_page.CONTENT_TYPE if html else sheet.CONTENT_TYPE)
            response["Content-Disposition"] = f'inline; filename="{name}"'
        response["ETag"] = f'"{tag}"'
        response["Cache-Control"] = "private, no-cache"
        response["Vary"] = "Authorization"
        return response


class SheetPdf(_Printed):
    """GET /api/v1/codes/sheet.pdf"""

    @extend_schema(operation_id="codes_sheet_pdf", tags=["codes"], parameters=[SheetAsked], responses=_PDF)
    def get(self, request: Request) -> HttpResponse:
        """Stickers of codes on labels of the common makers or on plain paper, every code at error correction Q.

        Refused with 422: `label_too_small` where scanners could not resolve a code, `letters_not_drawable` where a
        name is in a script that needs the print page.
        """
        shop, asked = shop_of(request), _asked(SheetAsked, request)
        layout, start = _layout(shop, asked), asked["start"]
        made, copies = _stickers(shop, asked, layout)
        content = (layout, LAYOUTS[layout], copies, start, made)
        return self.answer(
            request, "stickers.pdf", content, lambda: sheet.pdf(made, layout, copies=copies, start=start)
        )


class PrintPage(_Printed):
    """GET /api/v1/codes/print.html"""

    @extend_schema(
        operation_id="codes_print_page",
        tags=["codes"],
        parameters=[PrintPageAsked],
        responses={(200, "text/html"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponse:
        """The same as one document that needs nothing else, in the letters of the phone that prints it."""
        shop, asked = shop_of(request), _asked(PrintPageAsked, request)
        language = asked.get("language") or phrases.language(shop.country)
        if asked.get("layout") == "poster":
            paper = asked.get("paper") or _paper(shop)
            signs = [
                stickers.poster(code, language=language, price=asked["price"]) for code in _codes(shop, asked["ids"])
            ]
            content: object = (language, paper, signs)
            return self.answer(
                request, "poster.html", content, lambda: print_page.posters(signs, paper, language=language)
            )
        layout, start = _layout(shop, asked), asked["start"]
        made, copies = _stickers(shop, asked, layout)
        content = (language, layout, LAYOUTS[layout], copies, start, made)
        return self.answer(
            request,
            "stickers.html",
            content,
            lambda: print_page.stickers(made, layout, language=language, copies=copies, start=start),
        )


class PosterPdf(_Printed):
    """GET /api/v1/codes/{id}/poster.pdf"""

    @extend_schema(operation_id="code_poster_pdf", tags=["codes"], parameters=[_ID, PosterAsked], responses=_PDF)
    def get(self, request: Request, code_id: str) -> HttpResponse:
        """One code on one page to be hung on a cart; of a shop's own code, its sign."""
        shop, asked = shop_of(request), _asked(PosterAsked, request)
        [code] = _codes(shop, code_id)
        language = asked.get("language", "")
        said = stickers.poster(code, language=language, price=asked["price"], photo=asked["photo"])
        paper, marks = asked.get("paper") or _paper(shop), asked["marks"]
        return self.answer(request, "poster.pdf", (paper, marks, said), lambda: poster.pdf(said, paper, marks=marks))


class TentPdf(_Printed):
    """GET /api/v1/codes/{id}/tent.pdf"""

    @extend_schema(operation_id="code_tent_pdf", tags=["codes"], parameters=[_ID, TentAsked], responses=_PDF)
    def get(self, request: Request, code_id: str) -> HttpResponse:
        """One code on both sides of a sheet that is folded to stand on a table."""
        shop, asked = shop_of(request), _asked(TentAsked, request)
        [code] = _codes(shop, code_id)
        said = stickers.poster(code, language=asked.get("language", ""), price=asked["price"], photo=False)
        paper = asked.get("paper") or _paper(shop)
        return self.answer(request, "tent.pdf", (paper, said), lambda: tent.pdf(said, paper))


def _asked(form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    asked = form(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def _codes(shop: Shop, text: str) -> list[Code]:
    """The shop's own codes of these ids, in their order. One that is not hers is as unknown as one that never was."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not 1 <= len(names) <= CODES_MAX:
        raise ValidationError(
            {"ids": _("1 to %(codes_max)s ids of codes, with commas between them") % {"codes_max": CODES_MAX}}
        )
    try:
        keys = [ids.parse(Code.prefix, name) for name in names]
    except ValueError:
        raise NotFound
    found = {code.id: code for code in Code.objects.select_related("item").filter(shop=shop, id__in=keys)}
    if len(found) < len(set(keys)):
        raise NotFound
    for code in found.values():
        code.shop = shop
        if code.state == Code.State.RETIRED:
            raise Refused(409, "code_retired", _("A retired code is paid by nobody, so it is not printed any more."))
    return [found[key] for key in keys]


def _stickers(shop: Shop, asked: dict[str, Any], layout: str) -> tuple[list[stickers.Sticker], int]:
    """One sticker of each code, and how many copies of it."""
    found = _codes(shop, asked["ids"])
    copies: int = asked.get("copies") or (LAYOUTS[layout].count - asked["start"] + 1 if len(found) == 1 else 1)
    if len(found) * copies > STICKERS_MAX:
        raise ValidationError(
            {"copies": _("%(stickers_max)s stickers at most are printed at once") % {"stickers_max": STICKERS_MAX}}
        )
    language = asked.get("language", "")
    return [stickers.of_code(code, language=language, price=asked["price"], line=True) for code in found], copies


def _layout(shop: Shop, asked: dict[str, Any]) -> str:
    paper = asked.get("paper")
    layout: str = asked.get("layout") or labels.default(paper or _paper(shop))
    if paper and LAYOUTS[layout].paper != paper:
        raise ValidationError(
            {"paper": _("%(layout)s is cut on %(paper)s") % {"layout": layout, "paper": LAYOUTS[layout].paper}}
        )
    if asked["start"] > LAYOUTS[layout].count:
        raise ValidationError(
            {"start": _("%(layout)s has %(count)s labels") % {"layout": layout, "count": LAYOUTS[layout].count}}
        )
    return layout


def _paper(shop: Shop) -> str:
    return "letter" if countries.prints_on_letter(shop.country) else "a4"
