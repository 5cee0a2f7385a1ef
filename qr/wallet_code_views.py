"""A shop's own wallet codes over the API: each answer says that no server confirms what is paid by them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import ids, step_up
from merchants.bodies import Json
from merchants.idempotency import header, once_proved
from merchants.models import Staff, WalletCode
from merchants.refusals import Refused
from merchants.step_up import Confirmation
from merchants.tokens import require, staff_of
from qr import wallet_codes
from qr.wallet_code_shapes import NewWalletCode, WalletCodeChange, WalletCodeShape

_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)
_STATE = OpenApiParameter("state", str, enum=WalletCode.State.values)


class WalletCodesView(ListAPIView[WalletCode]):
    """The codes of the caller's shop that belong to wallets and banks of its own."""

    queryset = WalletCode.objects.none()
    serializer_class = WalletCodeShape
    parser_classes = [Json]
    filter_backends = []

    def get_queryset(self) -> QuerySet[WalletCode]:
        found = wallet_codes.of(staff_of(self.request).shop)
        state = self.request.query_params.get("state")
        return found.filter(state=state) if state in WalletCode.State.values else found

    @extend_schema(operation_id="wallet_codes", parameters=[_STATE])
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """What the shop keeps, newest first."""
        return self.list(request, *args, **options)

    @extend_schema(
        operation_id="wallet_code_add",
        parameters=[header(required=True)],
        request=NewWalletCode,
        responses={201: WalletCodeShape},
    )
    def post(self, request: Request) -> Response:
        """Keeps a code that was scanned (`text`) or is composed (`profile`, `fields`). Every owner is told by text."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER)
        asked = NewWalletCode(data=request.data, context={"shop": staff.shop})
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        wallet_codes.readable(staff.shop, given["text"])

        def proof() -> Confirmation:
            return step_up.confirm(user=staff.user, purpose="account", code=given["code"], now=timezone.now())

        def effect(confirmation: Confirmation) -> Response:
            code = wallet_codes.add(
                staff=staff, text=given["text"], label=given["label"], confirmation=confirmation, now=timezone.now()
            )
            return Response(WalletCodeShape(code).data, status=201)

        return once_proved(request, proof, effect, required=True, proved_by="code")


class WalletCodeView(APIView):
    """One such code of the caller's shop."""

    parser_classes = [Json]

    @extend_schema(operation_id="wallet_code", parameters=[_ID], responses=WalletCodeShape)
    def get(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """One code, and what it says."""
        return Response(WalletCodeShape(find(staff_of(request), id)).data)

    @extend_schema(
        operation_id="wallet_code_change", parameters=[_ID], request=WalletCodeChange, responses=WalletCodeShape
    )
    def patch(self, request: Request, id: str) -> Response:  # noqa: A002
        """Renames it (owner, manager). What it pays to never changes: retire it and add another."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        code = find(staff, id)
        asked = WalletCodeChange(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(WalletCodeShape(wallet_codes.rename(code=code, **asked.validated_data)).data)

    @extend_schema(operation_id="wallet_code_retire", parameters=[_ID], request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:  # noqa: A002
        """Retires it (owner, manager). It needs no code, so that an owner who was warned can act at once."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        wallet_codes.retire(code=find(staff, id), now=timezone.now())
        return Response(status=204)


def find(staff: Staff, public_id: str) -> WalletCode:
    """The caller's own; another shop's is as unknown as one that never was."""
    try:
        key = ids.parse(WalletCode.prefix, public_id)
    except ValueError:
        raise NotFound from None
    code = wallet_codes.of(staff.shop).select_related("shop").filter(id=key).first()
    if code is None:
        raise NotFound
    return code


def find_active(staff: Staff, public_id: str) -> WalletCode:
    """The same, to be shown to customers: Refused 409 `wallet_code_retired` when nobody should pay by it any more."""
    code = find(staff, public_id)
    if code.state != WalletCode.State.ACTIVE:
        raise Refused(409, "wallet_code_retired", _("This wallet code is retired: nobody should pay by it."))
    return code
