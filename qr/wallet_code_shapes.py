"""How a shop's own wallet codes look in the API, and what it may send to have one kept."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from merchants.models import Shop, Staff, WalletCode
from merchants.shapes import NAME_LENGTH, Amount, PublicId
from qr import own_payloads, payloads, wallet_codes
from qr.payloads.base import Unwritable
from qr.reading import ViolationShape
from qr.symbol import LONGEST_TEXT

FIELDS_MAX = 20


class NewWalletCode(serializers.Serializer[Any]):
    """Either `text`, as it was scanned or pasted, or a `profile` with its `fields` and perhaps a fixed `price`.

    Give `context["shop"]`. What is composed becomes `text`, so that both go one way from here.
    """

    text = serializers.CharField(max_length=LONGEST_TEXT, required=False, trim_whitespace=False)
    profile = serializers.ChoiceField(choices=sorted(own_payloads.KINDS), required=False)
    fields_ = serializers.DictField(
        child=serializers.CharField(max_length=200, allow_blank=True),
        required=False,
        help_text="by their names",
    )
    price = Amount(required=False, allow_null=True, help_text="when every payment is of the same amount")
    label = serializers.CharField(  # type: ignore[assignment]  # DRF's metaclass keeps fields apart from attributes.
        max_length=NAME_LENGTH, required=False, allow_blank=True, default=""
    )
    code = serializers.CharField(
        max_length=20, required=False, allow_blank=True, default="", help_text="from POST /auth/step-up for `account`"
    )

    def get_fields(self) -> dict[str, Any]:
        return {name.rstrip("_"): field for name, field in super().get_fields().items()}

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("text" in given) == ("profile" in given):
            raise ValidationError(_("Send either `text` or `profile` with `fields`."), code="text_or_profile")
        if "text" in given:
            if "fields" in given or given.get("price"):
                raise ValidationError({"text": [_("A text has its fields already.")]}, code="field_not_allowed")
            return given
        return {**given, "text": self._composed(given)}

    def _composed(self, given: dict[str, Any]) -> str:
        shop: Shop = self.context["shop"]
        fields = given.get("fields", {})
        if len(fields) > FIELDS_MAX:
            raise ValidationError({"fields": [_("There are too many fields.")]}, code="too_many_fields")
        price = given.get("price")
        if price and price["currency"] != shop.currency:
            raise ValidationError(
                {"price": [_("This shop sells in %(currency)s.") % {"currency": shop.currency}]},
                code="currency_mismatch",
            )
        try:
            return own_payloads.compose(
                given["profile"], fields, amount=price["amount"] if price else None, currency=shop.currency
            )
        except own_payloads.Wrong as wrong:
            details = {name: [ErrorDetail(detail, code)] for name, (code, detail) in wrong.errors.items()}
            raise ValidationError({"fields": details}) from None
        except Unwritable as refusal:
            raise ValidationError({"fields": [ErrorDetail(refusal.detail, refusal.code)]}) from None


class WalletCodeChange(serializers.Serializer[Any]):
    """What may be changed of a wallet code: what its shop calls it."""

    label = serializers.CharField(max_length=NAME_LENGTH, allow_blank=True)  # type: ignore[assignment]


class WalletCodeShape(serializers.ModelSerializer[WalletCode]):
    """A code of the shop's own wallet or bank. `confirmation` is `unconfirmed`: no server tells us when it is paid."""

    id = PublicId(WalletCode.prefix, read_only=True)
    staff = PublicId(Staff.prefix, source="staff_id", read_only=True)
    title = serializers.SerializerMethodField()
    confirmation = serializers.SerializerMethodField(help_text="always `unconfirmed`")
    sentence = serializers.SerializerMethodField(help_text="what that means for the vendor")
    price = serializers.SerializerMethodField(help_text="what the code asks for; null when the payer enters it")
    violations = serializers.SerializerMethodField()

    class Meta:
        model = WalletCode
        fields = [
            "id",
            "profile",
            "title",
            "payee",
            "account",
            "label",
            "price",
            "state",
            "confirmation",
            "sentence",
            "payload",
            "violations",
            "staff",
            "created_at",
            "retired_at",
        ]
        read_only_fields = fields

    def to_representation(self, code: WalletCode) -> dict[str, Any]:
        self._reading = payloads.read(code.payload)
        return super().to_representation(code)

    def get_title(self, code: WalletCode) -> str:
        return self._reading.title

    def get_confirmation(self, code: WalletCode) -> str:
        return wallet_codes.STATE

    def get_sentence(self, code: WalletCode) -> str:
        return wallet_codes.sentence(self._reading)

    @extend_schema_field(Amount(allow_null=True))
    def get_price(self, code: WalletCode) -> dict[str, Any] | None:
        reading = self._reading
        return None if reading.amount is None else {"amount": reading.amount, "currency": reading.currency}

    @extend_schema_field(ViolationShape(many=True))
    def get_violations(self, code: WalletCode) -> Any:
        return ViolationShape(self._reading.violations, many=True).data
