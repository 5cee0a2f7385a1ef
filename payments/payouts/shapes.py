"""How payouts and the accounts they go to look in the API. A number is written here and never read."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from merchants import countries
from merchants.shapes import Amount, PublicId
from payments.models import Payout, PayoutAccount
from payments.payouts.owed import Reason
from payments.shapes import Money

HOLDER_MAX, NUMBER_MAX, BANK_CODE_MAX = 140, 64, 35


class PayoutAccountShape(serializers.ModelSerializer[PayoutAccount]):
    """Where the shop's money is paid to; of its number only the tail. It is paid to once it is verified and active."""

    id = PublicId(PayoutAccount.prefix, read_only=True)
    verified = serializers.SerializerMethodField(help_text="whether its holder has been proved")
    verification = serializers.SerializerMethodField(help_text="how it was proved, or why it is not")

    class Meta:
        model = PayoutAccount
        fields = [
            "id", "state", "scheme", "country", "currency", "bank_code", "holder", "tail", "verified", "verification",
            "requested_at", "effective_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.BooleanField())
    def get_verified(self, account: PayoutAccount) -> bool:
        return account.verified_at is not None

    def get_verification(self, account: PayoutAccount) -> str:
        """Our own words are kept in English, as the catalogues have them; an operator's and a bank's stay as said."""
        return _(account.verification) if account.verification else ""


class PayoutAccounts(serializers.Serializer[Any]):
    """The account that is paid to, and the one that waits to take its place; each may be missing."""

    active = PayoutAccountShape(allow_null=True)
    waiting = PayoutAccountShape(allow_null=True)


class NewPayoutAccount(serializers.Serializer[Any]):
    """An IBAN, or a bank's code and a number by the rules of its country; and the code of a step-up for `payout`."""

    scheme = serializers.ChoiceField(choices=PayoutAccount.Scheme.choices)
    number = serializers.CharField(max_length=NUMBER_MAX, write_only=True)
    holder = serializers.CharField(max_length=HOLDER_MAX, help_text="as the bank writes it")
    country = serializers.CharField(
        max_length=2, required=False, default="", help_text="ISO 3166; the shop's own when it is left out"
    )
    bank_code = serializers.CharField(
        max_length=BANK_CODE_MAX,
        required=False,
        allow_blank=True,
        default="",
        help_text="the BIC of an IBAN's bank (may be left out), or the national code (IFSC, CNAPS, ISPB, sort code …)",
    )
    code = serializers.CharField(max_length=20, required=False, allow_blank=True, default="")

    def validate_country(self, value: str) -> str:
        if value and not countries.is_country(value):
            raise serializers.ValidationError(_("This is no country of ISO 3166."), code="country_unknown")
        return value

    def validate_holder(self, value: str) -> str:
        plain = " ".join(value.split())
        if not plain.isprintable():
            raise serializers.ValidationError(_("A name has no such letters."), code="holder_unreadable")
        return plain


class PayoutShape(serializers.ModelSerializer[Payout]):
    """Money out: prepared → sent → paid; `failed` and `returned` money is the shop's available money again."""

    id = PublicId(Payout.prefix, read_only=True)
    amount = Money()
    account = PublicId(PayoutAccount.prefix, source="account_id", read_only=True)
    tail = serializers.CharField(source="account.tail", read_only=True)
    earned_until = serializers.DateField(source="earned_day", read_only=True)
    pay_day = serializers.DateField(source="batch.execution_day", read_only=True, allow_null=True)
    failure = serializers.SerializerMethodField()

    class Meta:
        model = Payout
        fields = [
            "id", "amount", "state", "account", "tail", "earned_until", "pay_day", "failure", "created_at", "sent_at",
            "settled_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_failure(self, payout: Payout) -> str:
        """Why it did not arrive; what a channel said while it was still being asked is not the shop's business."""
        told = payout.failure if payout.state in (Payout.State.FAILED, Payout.State.RETURNED) else ""
        return _(told) if told else ""


class NextPayoutShape(serializers.Serializer[Any]):
    """What the next payout would be by what stands now. `reason` is why it is not paid at this moment, or null."""

    amount = serializers.SerializerMethodField()
    reason = serializers.ChoiceField(choices=[str(reason) for reason in Reason], allow_null=True, source="owed.reason")
    earned_until = serializers.DateTimeField(source="turn.cut_off_at", allow_null=True, default=None)
    pay_day = serializers.DateField(source="turn.pay_day", allow_null=True, default=None)
    minimum = serializers.SerializerMethodField(help_text="less than this waits for more")
    account = PayoutAccountShape(allow_null=True)

    @extend_schema_field(Amount)
    def get_amount(self, found: Any) -> dict[str, Any]:
        return {"amount": found.owed.amount, "currency": found.currency}

    @extend_schema_field(Amount(allow_null=True))
    def get_minimum(self, found: Any) -> dict[str, Any] | None:
        if found.terms is None:
            return None
        return {"amount": found.terms.minimum_amount, "currency": found.currency}
