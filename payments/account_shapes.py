"""How a shop's own accounts at the providers look in the API. Secrets are written here and never read."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from merchants.shapes import PublicId
from payments import entered
from payments.models import CredentialChange, ProviderAccount
from payments.providers.base import Field

FIELDS_MAX = 40


class FieldShape(serializers.Serializer[Field]):
    """One field of a form: `secret` ones are never shown again; `form` says what is checked."""

    name = serializers.CharField()
    label = serializers.SerializerMethodField()  # type: ignore[assignment]  # DRF keeps fields apart from attributes.
    secret = serializers.BooleanField()
    required = serializers.BooleanField()  # type: ignore[assignment]
    form = serializers.CharField(help_text="text, secrets, private_key, public_key, certificate or address")

    def get_label(self, field: Field) -> str:
        return _(field.label)


class ProviderShape(serializers.Serializer[Any]):
    """A network, and what it asks for."""

    provider = serializers.CharField()
    title = serializers.CharField(source="module.TITLE")
    fields_ = FieldShape(source="module.FIELDS", many=True)
    addresses = serializers.SerializerMethodField(help_text="what a field of form `address` may hold")

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        return {name.rstrip("_"): field for name, field in fields.items()}

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_addresses(self, row: dict[str, Any]) -> list[str]:
        wanted = any(field.form == "address" for field in row["module"].FIELDS)
        return entered.allowed_addresses(row["provider"]) if wanted else []


class ProviderPage(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ProviderShape(many=True)


class ChangeShape(serializers.ModelSerializer[CredentialChange]):
    """New credentials that wait: what of them is no secret, and when they take effect."""

    id = PublicId(CredentialChange.prefix, read_only=True)
    identity = serializers.DictField(child=serializers.CharField())

    class Meta:
        model = CredentialChange
        fields = ["id", "identity", "requested_at", "effective_at"]
        read_only_fields = fields


class AccountShape(serializers.Serializer[Any]):
    """An account of the shop's own; `id` is null while its first credentials wait in `change`."""

    id = PublicId(ProviderAccount.prefix, read_only=True, allow_null=True)
    provider = serializers.CharField()
    title = serializers.CharField()
    funds = serializers.CharField(help_text="direct: the network pays the shop itself; held: we do")
    active = serializers.BooleanField(help_text="whether new payments are started with it")
    identity = serializers.DictField(child=serializers.CharField(), help_text="what is no secret of its credentials")
    webhook_url = serializers.URLField(help_text="to be entered at the provider: where it sends its notifications")
    created_at = serializers.DateTimeField(allow_null=True)
    change = ChangeShape(allow_null=True)


class AccountPage(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = AccountShape(many=True)


class NewCredentials(serializers.Serializer[Any]):
    """Credentials by the names of the provider's fields, and the code of a step-up for `account`."""

    provider = serializers.CharField(max_length=20)
    credentials = serializers.DictField(
        child=serializers.CharField(max_length=entered.PEM_MAX, allow_blank=True), write_only=True
    )
    code = serializers.CharField(max_length=20, required=False, allow_blank=True, default="")

    def validate_credentials(self, given: dict[str, str]) -> dict[str, str]:
        if len(given) > FIELDS_MAX:
            raise serializers.ValidationError(_("There are too many fields."), code="too_many_fields")
        return given
