"""The addresses of money: notifications of providers, and the shop's payments, refunds and disputes."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.request import HttpHeaders
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import ids, in_threads, step_up
from merchants.addresses import passed_certificate
from merchants.idempotency import header, once_proved
from merchants.journal import journal
from merchants.models import Staff
from merchants.refusals import Refused
from merchants.step_up import Confirmation
from merchants.tokens import require, shop_of, staff_of
from payments import group_commit, inbox, refunds, webhook_answers
from payments.happened import HappenedPages
from payments.models import Dispute, Payment
from payments.payment_filter import PaymentFilter, in_order_of_happening
from payments.providers.base import Delivery
from payments.shapes import DisputeShape, PaymentShape, RefundRequest, RefundShape
from payments.webhook_answers import Answer

_log = journal(__name__)

# What a list of payments shows: an intent's handover and an account's credentials are long, and none of it.
_LISTED = (
    "id", "amount", "currency", "match", "placed", "fee_amount", "object_id", "occurred_at", "recorded_at", "due_at",
    "provider_account__provider",
    "intent__amount", "intent__currency", "intent__description", "intent__quantity", "intent__code", "intent__item",
    "intent__staff", "intent__receipt",
)  # fmt: skip

_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH)


@csrf_exempt  # A provider has no cookie of ours; its signature over the raw bytes is the proof.
@require_POST
def webhook(request: HttpRequest, provider: str, account: str, ending: str = "") -> HttpResponse:
    """POST /webhooks/{provider}/{account}: the provider's own "kept" after commit, or its "no" and nothing stored.

    `ending` is what some providers add to the address that we give them.
    """
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.WEBHOOK_BYTES_MAX:
            raise inbox.too_large()
        delivery = Delivery(
            raw=request.body,
            headers=_headers(request),
            query=request.GET.dict() if request.META.get("QUERY_STRING") else {},
            client_certificate=passed_certificate(request),
        )
        inbox.receive(
            provider=provider, account=account, delivery=delivery, now=timezone.now(), together=_together(request)
        )
    except inbox.UnableToReceive as refusal:
        return _answered(webhook_answers.not_kept(provider, refusal.code, refusal.status))
    except (OperationalError, InterfaceError) as failure:  # Gone, restarting, or without a free connection for us.
        _log.warning("webhook_not_kept", failure=repr(failure))
        gone = inbox.unavailable()
        return _answered(webhook_answers.not_kept(provider, gone.code, gone.status))
    return _answered(webhook_answers.kept(provider))


def _together(request: HttpRequest) -> inbox.Together | None:
    """Keeps it with those that the server's loop keeps; None behind a server that has no loop of ours."""
    loop = request.META.get(in_threads.LOOP)
    return None if loop is None else partial(group_commit.keep_from_thread, loop)


def _headers(request: HttpRequest) -> dict[str, str]:
    """The sender's headers by their names in lower case; `request.headers` costs as much as the proof itself."""
    return {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in request.META.items()
        if name.startswith("HTTP_") or name in HttpHeaders.UNPREFIXED_HEADERS
    }


def _answered(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.body, status=answer.status, headers=answer.headers)


class PaymentsView(ListAPIView[Payment]):
    """The payments of the caller's shop."""

    serializer_class = PaymentShape
    filterset_class = PaymentFilter

    def get_queryset(self) -> QuerySet[Payment]:
        if getattr(self, "swagger_fake_view", False):
            return Payment.objects.none()
        return _payments(self.request).only(*_LISTED)

    @property
    def paginator(self) -> Any:
        """What is asked for in the order of happening has pages of its own."""
        return self._happened if in_order_of_happening(self.request) else super().paginator

    @cached_property
    def _happened(self) -> HappenedPages:
        return HappenedPages()

    @extend_schema(operation_id="payments")
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """Money that arrived, newest first: as it was recorded, or with any other filter as it happened."""
        return self.list(request, *args, **options)


class PaymentView(APIView):
    """One payment of the caller's shop."""

    @extend_schema(operation_id="payment", parameters=[_ID], responses=PaymentShape)
    def get(self, request: Request, id: str) -> Response:  # noqa: A002  The contract calls it so.
        """One payment, with its refunds."""
        return Response(PaymentShape(_payment(request, id)).data)


class RefundsView(APIView):
    """Refunds of one payment."""

    @extend_schema(
        operation_id="refund_request",
        parameters=[_ID, header(required=True)],
        request=RefundRequest,
        responses={201: RefundShape},
    )
    def post(self, request: Request, id: str) -> Response:  # noqa: A002
        """Gives money back; the provider's word on it comes as a notice and in the payment."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        payment = _payment(request, id)
        asked = RefundRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        amount = _refund_amount(payment, asked.validated_data)

        def proof() -> Confirmation | None:
            code = asked.validated_data["code"]
            return step_up.confirm(user=staff.user, purpose="refund", code=code, now=timezone.now()) if code else None

        def effect(confirmation: Confirmation | None) -> Response:
            try:
                refund = refunds.request(
                    staff=staff,
                    payment=payment,
                    amount=amount,
                    reason=asked.validated_data["reason"],
                    now=timezone.now(),
                    confirmation=confirmation,
                )
            except refunds.UnableToRefund as refusal:
                raise Refused(409, refusal.code, refusal.detail)
            return Response(RefundShape(refund).data, status=201)

        return once_proved(request, proof, effect, required=True, proved_by="code")


class DisputesView(ListAPIView[Dispute]):
    """Disputes about payments of the caller's shop."""

    serializer_class = DisputeShape
    filterset_fields = ["state"]

    def get_queryset(self) -> QuerySet[Dispute]:
        if getattr(self, "swagger_fake_view", False):
            return Dispute.objects.none()
        return Dispute.objects.filter(shop=shop_of(self.request))

    @extend_schema(operation_id="disputes")
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """Money that payers contest, newest first."""
        return self.list(request, *args, **options)


def _payments(request: Request) -> QuerySet[Payment]:
    own = Payment.objects.filter(shop=shop_of(request))
    beside = Prefetch("refunds", to_attr="its_refunds"), Prefetch("disputes", to_attr="its_disputes")
    # The stubs take the properties that hold what was read for fields of its own.
    return own.select_related("intent", "provider_account").prefetch_related(*beside)  # type: ignore[no-redef]


def _payment(request: Request, text: str) -> Payment:
    payment = _payments(request).filter(id=_uuid(Payment.prefix, text)).first()
    if payment is None:
        raise NotFound
    return payment


def _uuid(prefix: str, text: str) -> UUID:
    try:
        return ids.parse(prefix, text)
    except ValueError:
        raise NotFound


def _refund_amount(payment: Payment, asked: dict[str, Any]) -> int:
    if "amount" not in asked:
        return payment.amount - sum(r.amount for r in payment.its_refunds if r.state != "failed")
    if asked["amount"]["currency"] != payment.currency:
        raise Refused(
            400, "currency_wrong", _("This payment was made in %(currency)s.") % {"currency": payment.currency}
        )
    return int(asked["amount"]["amount"])
