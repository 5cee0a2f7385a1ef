"""A shop's payouts over the API: where it is paid, what was paid, and what comes next or why not."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import ids, step_up
from merchants.bodies import Json
from merchants.idempotency import header, once_proved
from merchants.models import Shop, Staff
from merchants.refusals import Refused
from merchants.step_up import Confirmation
from merchants.tokens import require, staff_of
from payments.models import Payout, PayoutAccount
from payments.owners import UnableToChange
from payments.payouts import accounts, bank_numbers, preparing
from payments.payouts.bank_numbers import BankNumber
from payments.payouts.shapes import (
    NewPayoutAccount,
    NextPayoutShape,
    PayoutAccounts,
    PayoutAccountShape,
    PayoutShape,
)

_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)


class AccountView(APIView):
    """The account to which the caller's shop is paid."""

    parser_classes = [Json]

    @extend_schema(operation_id="payout_account", responses=PayoutAccounts)
    def get(self, request: Request) -> Response:
        """The active account and the one that waits. Of a number only its last letters are shown."""
        by_state = {account.state: account for account in accounts.of(_shop(request))}
        shown = {name: by_state.get(name) for name in ("active", "waiting")}
        return Response(PayoutAccounts(shown).data)

    @extend_schema(
        operation_id="payout_account_change",
        parameters=[header(required=True)],
        request=NewPayoutAccount,
        responses={201: PayoutAccountShape},
    )
    def post(self, request: Request) -> Response:
        """Enters an account. The first waits for its holder to be proved; a change waits a day too, told by text."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER)
        asked = NewPayoutAccount(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        bank = _bank(staff.shop, given)

        def proof() -> Confirmation:
            return step_up.confirm(user=staff.user, purpose="payout", code=given["code"], now=timezone.now())

        def effect(confirmation: Confirmation) -> Response:
            try:
                account = accounts.request(
                    staff=staff, bank=bank, holder=given["holder"], confirmation=confirmation, now=timezone.now()
                )
            except UnableToChange as refusal:
                raise Refused(409, refusal.code, refusal.detail)
            return Response(PayoutAccountShape(account).data, status=201)

        return once_proved(request, proof, effect, required=True, proved_by="code")


class WaitingAccountView(APIView):
    """One account that waits."""

    @extend_schema(operation_id="payout_account_cancel", parameters=[_ID], request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """Cancels it: nothing changes. It needs no code, so that an owner who was warned can act at once."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER)
        try:
            account_id = ids.parse(PayoutAccount.prefix, id)
            accounts.cancel(shop=staff.shop, account_id=account_id, now=timezone.now())
        except (ValueError, PayoutAccount.DoesNotExist):
            raise NotFound from None
        except UnableToChange as refusal:
            raise Refused(409, refusal.code, refusal.detail)
        return Response(status=204)


class PayoutsView(ListAPIView[Payout]):
    """The payouts of the caller's shop."""

    serializer_class = PayoutShape

    def get_queryset(self) -> QuerySet[Payout]:
        if getattr(self, "swagger_fake_view", False):
            return Payout.objects.none()
        return _payouts(self.request)

    @extend_schema(operation_id="payouts")
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """Money out, newest first."""
        return self.list(request, *args, **options)


class PayoutView(APIView):
    """One payout of the caller's shop."""

    @extend_schema(operation_id="payout", parameters=[_ID], responses=PayoutShape)
    def get(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """One payout."""
        try:
            payout = _payouts(request).get(id=ids.parse(Payout.prefix, id))
        except (ValueError, Payout.DoesNotExist):
            raise NotFound from None
        return Response(PayoutShape(payout).data)


class NextPayoutView(APIView):
    """What comes next."""

    @extend_schema(operation_id="payout_next", responses=NextPayoutShape)
    def get(self, request: Request) -> Response:
        """What would be paid next, and when, by what stands now; and why nothing is paid at this moment."""
        return Response(NextPayoutShape(preparing.look(_shop(request), now=timezone.now())).data)


def _shop(request: Request) -> Shop:
    """The caller's shop, for those who may see where its money goes."""
    staff = staff_of(request)
    require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
    return staff.shop


def _payouts(request: Request) -> QuerySet[Payout]:
    return Payout.objects.filter(shop=_shop(request)).select_related("account", "batch").order_by("-id")


def _bank(shop: Shop, given: dict[str, Any]) -> BankNumber:
    try:
        if given["scheme"] == PayoutAccount.Scheme.IBAN:
            return bank_numbers.iban(given["number"], given["bank_code"])
        return bank_numbers.local(given["country"] or shop.country, given["bank_code"], given["number"])
    except bank_numbers.Wrong as wrong:
        raise ValidationError({wrong.field: [ErrorDetail(wrong.detail, wrong.code)]}) from None
