"""How payments, refunds and disputes look in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from merchants import ids
from merchants.models import Code, Item, Staff
from merchants.shapes import Amount, PublicId
from payments import activity, providers
from payments.models import Dispute, Payment, Refund


def money(amount: int, currency: str) -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def written(moment: datetime) -> str:
    """As DRF writes a time that the database tells, which is one of UTC."""
    return moment.isoformat().replace("+00:00", "Z")


@extend_schema_field(Amount)
class Money(serializers.Field[Any, Any, dict[str, Any], Any]):
    """An amount of the row's own currency, read only. `source="*"` and the name of its column."""

    def __init__(self, column: str = "amount", **options: Any) -> None:
        super().__init__(source="*", read_only=True, **options)
        self.column = column

    def to_representation(self, value: Any) -> dict[str, Any]:
        return money(getattr(value, self.column), value.currency)


class RefundShape(serializers.ModelSerializer[Refund]):
    """Money back: `requested` until the provider has given its word, then `succeeded` or `failed`.

    While it is `held_for_review` an operator of ours looks at it first; `refusal` says why one refused it.
    """

    id = PublicId(Refund.prefix, read_only=True)
    payment = PublicId(Payment.prefix, source="payment_id", read_only=True)
    amount = Money()
    held_for_review = serializers.BooleanField(
        source="held", read_only=True, help_text="the provider is asked once an operator has approved it"
    )

    class Meta:
        model = Refund
        fields = [
            "id", "payment", "amount", "state", "held_for_review", "refusal", "origin", "reason", "created_at",
            "settled_at",
        ]  # fmt: skip
        read_only_fields = fields


class DisputeShape(serializers.ModelSerializer[Dispute]):
    """Money contested by its payer: held while it is `open`; hers again when `won` or `closed`, gone when `lost`."""

    id = PublicId(Dispute.prefix, read_only=True)
    payment = PublicId(Payment.prefix, source="payment_id", read_only=True)
    amount = Money()

    class Meta:
        model = Dispute
        fields = ["id", "payment", "amount", "state", "evidence_due_at", "opened_at", "closed_at"]
        read_only_fields = fields


class RefundRequest(serializers.Serializer[Any]):
    """What to give back; without an amount, all that is left. Large refunds, and many in a day, want a fresh code."""

    amount = Amount(required=False)
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    code = serializers.CharField(
        max_length=20,
        required=False,
        allow_blank=True,
        default="",
        help_text="from POST /auth/step-up, when the answer was `step_up_required`",
    )


class PaymentShape(serializers.ModelSerializer[Payment]):
    """Money that arrived. `match` says how it fits what was asked; `placed` is false while it waits in suspense."""

    id = PublicId(Payment.prefix, read_only=True)
    amount = Money()
    expected = serializers.SerializerMethodField()
    refunded = serializers.SerializerMethodField()
    fee = serializers.SerializerMethodField(help_text="what we charged when it became available; null until then")
    description = serializers.SerializerMethodField()
    quantity = serializers.SerializerMethodField()
    code = serializers.SerializerMethodField()
    item = serializers.SerializerMethodField(help_text="what was sold, when a code of an item was paid")
    provider = serializers.CharField(source="provider_account.provider", read_only=True)
    wallet = serializers.SerializerMethodField(help_text="what people call that provider")
    reference = serializers.CharField(source="object_id", read_only=True, help_text="the payment's name there")
    receipt_number = serializers.SerializerMethodField(help_text="as it stands on the customer's receipt")
    staff = serializers.SerializerMethodField(help_text="whose sale it is: whom the code was attributed to")
    receipt_url = serializers.SerializerMethodField()
    refunds = RefundShape(many=True, read_only=True)
    disputes = DisputeShape(many=True, read_only=True)

    class Meta:
        model = Payment
        fields = [
            "id", "amount", "match", "placed", "expected", "refunded", "fee", "description", "quantity", "item", "code",
            "provider", "wallet", "reference", "receipt_number", "staff", "receipt_url", "occurred_at", "recorded_at",
            "refunds", "disputes",
        ]  # fmt: skip
        read_only_fields = fields

    def to_representation(self, payment: Payment) -> dict[str, Any]:
        """What the fields above would write, written out: field by field, a page would be thousands of calls."""
        return {
            "id": ids.public(Payment.prefix, payment.id),
            "amount": money(payment.amount, payment.currency),
            "match": payment.match,
            "placed": payment.placed,
            "expected": self.get_expected(payment),
            "refunded": self.get_refunded(payment),
            "fee": self.get_fee(payment),
            "description": self.get_description(payment),
            "quantity": self.get_quantity(payment),
            "item": self.get_item(payment),
            "code": self.get_code(payment),
            "provider": payment.provider_account.provider,
            "wallet": self.get_wallet(payment),
            "reference": payment.object_id,
            "receipt_number": self.get_receipt_number(payment),
            "staff": self.get_staff(payment),
            "receipt_url": self.get_receipt_url(payment),
            "occurred_at": written(payment.occurred_at),
            "recorded_at": written(payment.recorded_at),
            # Most payments have neither, and what would write them is made only for those that have.
            "refunds": payment.its_refunds and self.fields["refunds"].to_representation(payment.its_refunds),
            "disputes": payment.its_disputes and self.fields["disputes"].to_representation(payment.its_disputes),
        }

    @extend_schema_field(Amount(allow_null=True))
    def get_expected(self, payment: Payment) -> dict[str, Any] | None:
        return money(payment.intent.amount, payment.intent.currency) if payment.intent else None

    @extend_schema_field(Amount)
    def get_refunded(self, payment: Payment) -> dict[str, Any]:
        rows = [refund.amount for refund in payment.its_refunds if refund.state != Refund.State.FAILED]
        return money(sum(rows), payment.currency)

    @extend_schema_field(Amount(allow_null=True))
    def get_fee(self, payment: Payment) -> dict[str, Any] | None:
        return money(payment.fee_amount, payment.currency) if payment.due_at is None and payment.placed else None

    def get_description(self, payment: Payment) -> str:
        return payment.intent.description if payment.intent else ""

    def get_quantity(self, payment: Payment) -> int:
        return payment.intent.quantity if payment.intent else 1

    def get_item(self, payment: Payment) -> str | None:
        item = payment.intent.item_id if payment.intent else None
        return ids.public(Item.prefix, item) if item else None

    def get_wallet(self, payment: Payment) -> str:
        return _(providers.named(payment.provider_account.provider).TITLE)

    def get_receipt_number(self, payment: Payment) -> str | None:
        return payment.intent.reference if payment.intent else None

    def get_code(self, payment: Payment) -> str | None:
        return ids.public(Code.prefix, payment.intent.code_id) if payment.intent else None

    def get_staff(self, payment: Payment) -> str | None:
        staff = payment.intent.staff_id if payment.intent else None
        return ids.public(Staff.prefix, staff) if staff else None

    def get_receipt_url(self, payment: Payment) -> str | None:
        return f"{settings.PUBLIC_URL}/r/{payment.intent.receipt}" if payment.intent else None


class ActivityAsked(serializers.Serializer[Any]):
    """How many days of a code are asked for."""

    days = serializers.IntegerField(
        min_value=1, max_value=activity.DAYS_MAX, default=30, help_text="today included, in the shop's time zone"
    )


@extend_schema_field(Amount(many=True))
class Sums(serializers.Field[Any, Any, list[dict[str, Any]], Any]):
    """A sum for each currency, read only."""

    def to_representation(self, value: dict[str, int]) -> list[dict[str, Any]]:
        return [money(amount, currency) for currency, amount in sorted(value.items()) if amount]


class ToldShape(serializers.Serializer[Any]):
    """What a code did: scans of its page, payments booked for the shop, and what of these went back."""

    scans = serializers.IntegerField()
    payments = serializers.IntegerField()
    sums = Sums(read_only=True)
    refunded = Sums(read_only=True, help_text="of these payments")


class DayShape(ToldShape):
    """The same of one day of the shop's."""

    day = serializers.DateField()


class SellerShape(serializers.Serializer[Any]):
    """Whose sales a code's are."""

    id = PublicId(Staff.prefix)
    name = serializers.CharField(source="user.name")


class ActivityShape(ToldShape):
    """What a code did in the days asked for, together and day by day, the first day first."""

    code = PublicId(Code.prefix)
    staff = SellerShape(allow_null=True, help_text="whom its sales are attributed to")
    last_scan_at = serializers.DateTimeField(allow_null=True, help_text="within these days")
    last_payment_at = serializers.DateTimeField(allow_null=True, help_text="within these days")
    days = DayShape(many=True)
