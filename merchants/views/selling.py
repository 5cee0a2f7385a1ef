"""The shop, its items and its codes: `/api/v1/shop`, `/items`, `/codes`. All starts from the caller's shop."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import codes, ids, items, languages, shops
from merchants.bodies import Form, Json
from merchants.idempotency import header, once
from merchants.models import Code, Item, Staff
from merchants.refusals import Refused
from merchants.shapes import CodeChange, CodeShape, ItemShape, NewCode, Replacing, ShopShape
from merchants.tokens import require, shop_of, staff_of

_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)


class ShopView(APIView):
    """The caller's shop."""

    parser_classes = [Json, Form]

    @extend_schema(operation_id="shop", responses=ShopShape)
    def get(self, request: Request) -> Response:
        """Who is paid, and where notices are told live."""
        staff = staff_of(request)
        languages.remember(user=staff.user, header=request.headers.get("Accept-Language", ""))
        return Response(ShopShape(staff.shop, context={"role": staff.role}).data)

    @extend_schema(operation_id="shop_change", request=ShopShape, responses=ShopShape)
    def patch(self, request: Request) -> Response:
        """Changes the shop. Its currency is fixed while items have prices in it, and once a customer began to pay."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        asked = ShopShape(staff.shop, data=request.data, partial=True, context={"role": staff.role})
        asked.is_valid(raise_exception=True)
        shop = shops.update(shop=staff.shop, now=timezone.now(), **_with_files(asked.validated_data, "photo", "logo"))
        return Response(ShopShape(shop, context={"role": staff.role}).data)


class ItemsView(ListAPIView[Item]):
    """The items of the caller's shop."""

    queryset = Item.objects.none()  # The OpenAPI document asks for the model; a request gets `get_queryset`.
    serializer_class = ItemShape
    parser_classes = [Json, Form]

    def get_queryset(self) -> QuerySet[Item]:
        return items.of_shop(shop_of(self.request))

    @extend_schema(operation_id="items")
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """What the shop sells, newest first."""
        return self.list(request, *args, **options)

    @extend_schema(operation_id="item_create", parameters=[header()], request=ItemShape, responses={201: ItemShape})
    def post(self, request: Request) -> Response:
        """Adds an item, and its code with it."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        asked = ItemShape(data=request.data)
        asked.is_valid(raise_exception=True)
        fields = {"unit": "", "photo": None, **asked.validated_data}

        def effect() -> Response:
            item = items.create(shop=staff.shop, now=timezone.now(), **fields)
            return Response(ItemShape(item).data, status=201)

        return once(request, effect)


class ItemView(APIView):
    """One item of the caller's shop."""

    parser_classes = [Json, Form]

    @extend_schema(operation_id="item", parameters=[_ID], responses=ItemShape)
    def get(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """One item."""
        return Response(ItemShape(_item(staff_of(request), id)).data)

    @extend_schema(operation_id="item_change", parameters=[_ID], request=ItemShape, responses=ItemShape)
    def patch(self, request: Request, id: str) -> Response:  # noqa: A002
        """Changes what is given; its codes show the new price at once."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        item = _item(staff, id)
        asked = ItemShape(item, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        return Response(ItemShape(items.update(item=item, **_with_files(asked.validated_data, "photo"))).data)

    @extend_schema(operation_id="item_delete", parameters=[_ID], responses={204: None})
    def delete(self, request: Request, id: str) -> Response:  # noqa: A002
        """Takes the item off the list and retires its codes."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        items.delete(item=_item(staff, id), now=timezone.now())
        return Response(status=204)


class CodesView(ListAPIView[Code]):
    """The codes of the caller's shop."""

    queryset = Code.objects.none()
    serializer_class = CodeShape
    parser_classes = [Json]

    def get_queryset(self) -> QuerySet[Code]:
        found = Code.objects.filter(shop=shop_of(self.request)).select_related("item")
        asked = self.request.query_params
        if "item" in asked:
            found = found.filter(item_id=_id(Item.prefix, asked["item"]))
        return found.filter(**{field: asked[field] for field in ("kind", "state") if field in asked})

    @extend_schema(
        operation_id="codes",
        parameters=[
            OpenApiParameter("kind", str, enum=Code.Kind.values),
            OpenApiParameter("state", str, enum=Code.State.values),
            OpenApiParameter("item", str, description="the id of an item"),
        ],
    )
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """What points at the shop, newest first."""
        return self.list(request, *args, **options)

    @extend_schema(operation_id="code_create", parameters=[header()], request=NewCode, responses={201: CodeShape})
    def post(self, request: Request) -> Response:
        """Makes a code: of the shop (the payer enters the amount), of an item, or for one payment."""
        staff = staff_of(request)
        asked = NewCode(data=request.data)
        asked.is_valid(raise_exception=True)
        fields = dict(asked.validated_data)
        item_id, price, mine = fields.pop("item", None), fields.pop("price", None) or {}, fields.pop("attribute_to_me")
        item = items.find(staff.shop, item_id) if item_id else None
        if item_id and item is None:
            raise Refused(400, "item_unknown", _("There is no such item."))

        def effect() -> Response:
            code = codes.create(
                shop=staff.shop, item=item, staff=staff if mine else None, now=timezone.now(), **price, **fields
            )
            return Response(CodeShape(code).data, status=201)

        return once(request, effect)


class OneCodeView(APIView):
    """One code of the caller's shop."""

    parser_classes = [Json]

    @extend_schema(operation_id="code", parameters=[_ID], responses=CodeShape)
    def get(self, request: Request, id: str) -> Response:  # noqa: A002
        """One code."""
        return Response(CodeShape(_code(staff_of(request), id)).data)

    @extend_schema(operation_id="code_change", parameters=[_ID], request=CodeChange, responses=CodeShape)
    def patch(self, request: Request, id: str) -> Response:  # noqa: A002
        """Renames, suspends, activates or retires a code. An assistant may do so with codes that are hers."""
        code = _code_to_change(staff_of(request), id)
        asked = CodeChange(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(CodeShape(codes.change(code=code, now=timezone.now(), **asked.validated_data)).data)


class ReplaceView(APIView):
    """Another code in the place of one."""

    parser_classes = [Json]

    @extend_schema(
        operation_id="code_replace", parameters=[_ID, header()], request=Replacing, responses={201: CodeShape}
    )
    def post(self, request: Request, id: str) -> Response:  # noqa: A002
        """Retires the code and makes another for the same. The old one's page leads on to it, or says to ask for it."""
        code = _code_to_change(staff_of(request), id)
        asked = Replacing(data=request.data)
        asked.is_valid(raise_exception=True)

        def effect() -> Response:
            new = codes.replace(code=code, forward=asked.validated_data["forward"], now=timezone.now())
            return Response(CodeShape(new).data, status=201)

        return once(request, effect)


def _item(staff: Staff, public_id: str) -> Item:
    item = items.find(staff.shop, _id(Item.prefix, public_id))
    if item is None:
        raise NotFound
    return item


def _code(staff: Staff, public_id: str) -> Code:
    code = codes.of_shop(staff.shop, _id(Code.prefix, public_id))
    if code is None:
        raise NotFound
    return code


def _code_to_change(staff: Staff, public_id: str) -> Code:
    """A code of the shop; an assistant changes only those that are hers."""
    code = _code(staff, public_id)
    if staff.role == Staff.Role.ASSISTANT and code.staff_id != staff.id:
        raise PermissionDenied(_("This code is not attributed to you."), code="role_too_low")
    return code


def _id(prefix: str, text: str) -> UUID:
    try:
        return ids.parse(prefix, text)
    except ValueError:
        raise NotFound from None


def _with_files(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """A file that was sent as null is one to remove; one that was not sent stays."""
    return {**fields, **{f"remove_{name}": name in fields and fields[name] is None for name in names}}
