"""Which phones are told of payments while the app is closed: `/api/v1/push`."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import ids, payment_texts, push_proofs, pushing, vapid
from merchants.bodies import Json
from merchants.idempotency import header, once
from merchants.models import PushSubscription, Shop, Token
from merchants.push_shapes import HeardPush, NewPush, PushShape, PushState, Renewing, Subscribing, WishesAsked
from merchants.refusals import Refused
from merchants.tokens import shop_of, staff_of

SHOWN_MAX = 50
_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)


class PushView(APIView):
    """The caller's phones that are told by push."""

    parser_classes = [Json]

    @extend_schema(operation_id="push", responses=PushState)
    def get(self, request: Request) -> Response:
        """What to subscribe with, and which of the caller's phones are told."""
        staff = staff_of(request)
        rows = pushing.of(staff)[:SHOWN_MAX]
        return Response(
            {
                "public_key": vapid.public_key() if vapid.has_key() else None,
                "subscriptions": PushShape(rows, many=True, context=_context(request, staff.shop)).data,
            }
        )

    @extend_schema(operation_id="push_subscribe", parameters=[header()], request=Subscribing, responses={201: NewPush})
    def post(self, request: Request) -> Response:
        """Tells this phone of payments from now on, in the place of what it subscribed before."""
        shop = shop_of(request)
        asked = Subscribing(data=request.data)
        asked.is_valid(raise_exception=True)
        wishes = asked.wishes(currency=shop.currency)
        token: Token = request.auth  # type: ignore[assignment]  # The stubs know only DRF's own tokens.

        def effect() -> Response:
            row = pushing.subscribe(
                token=token,
                address=asked.validated_data["endpoint"],
                **asked.validated_data["keys"],
                wishes=wishes,
                now=timezone.now(),
            )
            return Response(NewPush(row, context=_context(request, shop)).data, status=201)

        return once(request, effect)


class OnePushView(APIView):
    """One of the caller's phones."""

    parser_classes = [Json]

    @extend_schema(operation_id="push_change", parameters=[_ID], request=WishesAsked, responses=PushShape)
    def patch(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """Changes when this phone is told: its quiet hours, its big amount, its language."""
        row, shop = _row(request, id), shop_of(request)
        asked = WishesAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        row = pushing.change(subscription=row, wishes=asked.wishes(currency=shop.currency, before=row))
        return Response(PushShape(row, context=_context(request, shop)).data)

    @extend_schema(operation_id="push_end", parameters=[_ID], responses={204: None})
    def delete(self, request: Request, id: str) -> Response:  # noqa: A002
        """Tells this phone no more."""
        row = _row(request, id)
        pushing.end(subscription=row, why=PushSubscription.Ended.ASKED, now=timezone.now())
        return Response(status=204)


class PushTestView(APIView):
    """A push that tells of no payment."""

    parser_classes = [Json]

    @extend_schema(operation_id="push_test", parameters=[_ID], request=None, responses={202: None})
    def post(self, request: Request, id: str) -> Response:  # noqa: A002
        """Sends one to this phone, so that its person sees what it will look like."""
        pushing.ask_test(subscription=_row(request, id))
        return Response(status=202)


class PushHeardView(APIView):
    """What a service worker says, which has no token."""

    authentication_classes = []
    permission_classes = []
    parser_classes = [Json]

    @extend_schema(operation_id="push_heard", auth=[], request=HeardPush, responses={204: None})
    def post(self, request: Request) -> Response:
        """Says that this push was shown: its person is not texted of that payment."""
        asked = HeardPush(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            payment_texts.heard_one(push_proofs.read_heard(asked.validated_data["proof"]))
        except push_proofs.Wrong:
            raise _wrong_proof() from None
        return Response(status=204)


class PushRenewalView(APIView):
    """Another address of a phone, said by its service worker."""

    authentication_classes = []
    permission_classes = []
    parser_classes = [Json]

    @extend_schema(operation_id="push_renew", auth=[], request=Renewing, responses={204: None})
    def post(self, request: Request) -> Response:
        """Tells the phone at the address that its browser has given it now, as it was told at the one before."""
        asked = Renewing(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            subscription_id = push_proofs.read_renewal(asked.validated_data["renewal"])
        except push_proofs.Wrong:
            raise _wrong_proof() from None
        pushing.renew(
            subscription_id=subscription_id,
            address=asked.validated_data["endpoint"],
            **asked.validated_data["keys"],
            now=timezone.now(),
        )
        return Response(status=204)


def _wrong_proof() -> Refused:
    return Refused(400, "proof_wrong", _("This was not given out by us, or is too old."))


def _row(request: Request, public_id: str) -> PushSubscription:
    """One of the caller's own: a colleague's phone is nobody else's business."""
    try:
        row = pushing.of(staff_of(request)).filter(id=ids.parse(PushSubscription.prefix, public_id)).first()
    except ValueError:
        raise NotFound from None
    if row is None:
        raise NotFound
    return row


def _context(request: Request, shop: Shop) -> dict[str, Any]:
    return {"token": request.auth, "currency": shop.currency}
