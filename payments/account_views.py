"""A shop's own accounts at the providers, over the API: for its owner only, and no secret ever comes back."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import ids, step_up
from merchants.bodies import Json
from merchants.idempotency import header, once_proved
from merchants.models import Staff
from merchants.refusals import Refused
from merchants.step_up import Confirmation
from merchants.tokens import require, staff_of
from payments import accounts, entered, providers
from payments.account_shapes import AccountPage, AccountShape, NewCredentials, ProviderPage, ProviderShape
from payments.models import CredentialChange
from payments.owners import UnableToChange

_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)


class ProvidersView(APIView):
    """The networks at which a shop can have an account of its own."""

    @extend_schema(operation_id="providers", responses=ProviderPage)
    def get(self, request: Request) -> Response:
        """The providers that know the shop's currency, each with the fields of its credentials."""
        staff = _owner(request)
        rows = [{"provider": name, "module": providers.named(name)} for name in accounts.offered(staff.shop)]
        return Response(_page(ProviderShape(rows, many=True).data))


class AccountsView(APIView):
    """The accounts of the caller's shop."""

    parser_classes = [Json]

    @extend_schema(operation_id="provider_accounts", responses=AccountPage)
    def get(self, request: Request) -> Response:
        """The shop's own accounts, each with the change that waits for it."""
        return Response(_page(AccountShape(accounts.own(_owner(request).shop), many=True).data))

    @extend_schema(
        operation_id="provider_account_change",
        parameters=[header(required=True)],
        request=NewCredentials,
        responses={201: AccountShape},
    )
    def post(self, request: Request) -> Response:
        """Enters credentials of the shop's own account. They take effect a day later; every owner is told by text."""
        staff = _owner(request)
        asked = NewCredentials(data=request.data)
        asked.is_valid(raise_exception=True)
        provider, given = _read(staff, asked.validated_data)

        def proof() -> Confirmation:
            code = asked.validated_data["code"]
            return step_up.confirm(user=staff.user, purpose="account", code=code, now=timezone.now())

        def effect(confirmation: Confirmation) -> Response:
            try:
                changed = accounts.request_change(
                    staff=staff, provider=provider, given=given, confirmation=confirmation, now=timezone.now()
                )
            except UnableToChange as refusal:
                raise Refused(409, refusal.code, refusal.detail)
            return Response(AccountShape(changed).data, status=201)

        return once_proved(request, proof, effect, required=True, proved_by="code")


class AccountChangeView(APIView):
    """One change that waits."""

    @extend_schema(operation_id="provider_account_change_cancel", parameters=[_ID], request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """Cancels it: nothing changes. It needs no code, so that an owner who was warned can act at once."""
        staff = _owner(request)
        try:
            accounts.cancel(shop=staff.shop, change_id=ids.parse(CredentialChange.prefix, id), now=timezone.now())
        except (ValueError, CredentialChange.DoesNotExist):
            raise NotFound from None
        except UnableToChange as refusal:
            raise Refused(409, refusal.code, refusal.detail)
        return Response(status=204)


def _owner(request: Request) -> Staff:
    staff = staff_of(request)
    require(staff, Staff.Role.OWNER)
    return staff


def _read(staff: Staff, asked: dict[str, Any]) -> tuple[str, dict[str, str]]:
    provider = asked["provider"]
    if provider not in accounts.offered(staff.shop):
        raise ValidationError({"provider": [_("This shop cannot have an account there.")]}, code="provider_unknown")
    try:
        return provider, entered.read(provider, asked["credentials"])
    except entered.Wrong as wrong:
        details = {name: [ErrorDetail(detail, code)] for name, (code, detail) in wrong.errors.items()}
        raise ValidationError({"credentials": details}) from None


def _page(rows: Any) -> dict[str, Any]:
    """A list that is always short enough for one page."""
    return {"next": None, "previous": None, "results": rows}
