"""How push subscriptions look in the API: what a browser gives of its own, and when its phone wants to be told."""

from __future__ import annotations

from datetime import time
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from merchants import push_proofs, push_services, push_words, vapid
from merchants.models import PaymentTexts, PushSubscription
from merchants.pushing import Wishes
from merchants.shapes import Amount, PublicId


class Bytes(serializers.CharField):
    """Bytes in base64url, as browsers write them."""

    default_error_messages = {"not_base64url": gettext_lazy("Write this in base64url.")}

    def to_internal_value(self, data: Any) -> Any:
        try:
            return vapid.from_base64url(super().to_internal_value(data))
        except ValueError:
            self.fail("not_base64url")


class Keys(serializers.Serializer[Any]):
    p256dh = Bytes(max_length=100)
    auth = Bytes(max_length=40)


class QuietHours(serializers.Serializer[Any]):
    """In which language somebody is told, and when not: whole minutes of the shop's day, which may pass midnight."""

    language = serializers.ChoiceField(choices=push_words.LANGUAGES, required=False)
    quiet_from = serializers.TimeField(format="%H:%M", input_formats=["%H:%M"], required=False, allow_null=True)
    quiet_until = serializers.TimeField(format="%H:%M", input_formats=["%H:%M"], required=False, allow_null=True)

    def quiet(self, before: PushSubscription | PaymentTexts | None = None) -> tuple[time | None, time | None]:
        """What is asked, over what was wished before."""
        asked = self.validated_data
        quiet_from: time | None = asked.get("quiet_from", before and before.quiet_from)
        quiet_until: time | None = asked.get("quiet_until", before and before.quiet_until)
        if (quiet_from is None) != (quiet_until is None) or (quiet_from is not None and quiet_from == quiet_until):
            raise serializers.ValidationError(
                {"quiet_until": [serializers.ErrorDetail(_("Quiet hours begin and end."), code="quiet_hours_unclear")]}
            )
        return quiet_from, quiet_until


class WishesAsked(QuietHours):
    """When a phone wants to be told."""

    big_amount = Amount(required=False, allow_null=True, help_text="from here on quiet hours do not count")

    def wishes(self, *, currency: str, before: PushSubscription | None = None) -> Wishes:
        """What is asked, over what was wished before. Call it after `is_valid`."""
        asked = self.validated_data
        quiet_from, quiet_until = self.quiet(before)
        big = asked.get("big_amount")
        if big is not None and big["currency"] != currency:
            raise serializers.ValidationError(
                {
                    "big_amount": [
                        serializers.ErrorDetail(
                            _("This shop sells in %(currency)s.") % {"currency": currency}, code="currency_mismatch"
                        )
                    ]
                }
            )
        big_amount: int | None = before.big_amount if before else None
        if "big_amount" in asked:
            big_amount = big["amount"] if big else None
        language = asked.get("language") or (before.language if before else push_words.LANGUAGES[0])
        return Wishes(language, quiet_from, quiet_until, big_amount)


class Subscribing(WishesAsked):
    """What `PushSubscription.toJSON()` of a browser gives, and the wishes."""

    endpoint = serializers.CharField(max_length=push_services.ADDRESS_MAX)
    keys = Keys()


class PushShape(serializers.ModelSerializer[PushSubscription]):
    """A phone that is told by push. Give `context["token"]`, the caller's, and `context["currency"]`, her shop's."""

    id = PublicId(PushSubscription.prefix, read_only=True)
    this_phone = serializers.SerializerMethodField(help_text="whether it is the phone that asks")
    quiet_from = serializers.TimeField(format="%H:%M", allow_null=True, help_text="in the shop's time zone")
    quiet_until = serializers.TimeField(format="%H:%M", allow_null=True)
    big_amount = serializers.SerializerMethodField()
    failures = serializers.IntegerField(help_text="in a row; after 20 it ends")
    ended_why = serializers.CharField(
        help_text="asked, gone (the browser gave it up), left (the shop), unreachable, or empty"
    )

    class Meta:
        model = PushSubscription
        fields = [
            "id",
            "this_phone",
            "language",
            "quiet_from",
            "quiet_until",
            "big_amount",
            "created_at",
            "last_success",
            "failures",
            "ended_at",
            "ended_why",
        ]
        read_only_fields = fields

    def get_this_phone(self, row: PushSubscription) -> bool:
        return bool(row.token_id == self.context["token"].pk)

    @extend_schema_field(Amount(allow_null=True))
    def get_big_amount(self, row: PushSubscription) -> dict[str, Any] | None:
        return None if row.big_amount is None else {"amount": row.big_amount, "currency": self.context["currency"]}


class NewPush(PushShape):
    """A phone that has subscribed, and what it may say when its browser gives it another address."""

    renewal = serializers.SerializerMethodField(help_text="keep it, and send it with the new address")

    class Meta(PushShape.Meta):
        fields = [*PushShape.Meta.fields, "renewal"]
        read_only_fields = fields

    def get_renewal(self, row: PushSubscription) -> str:
        return push_proofs.of_renewal(row.id)


class Renewing(serializers.Serializer[Any]):
    """Another address of a phone that subscribed before."""

    renewal = serializers.CharField(max_length=200)
    endpoint = serializers.CharField(max_length=push_services.ADDRESS_MAX)
    keys = Keys()


class HeardPush(serializers.Serializer[Any]):
    proof = serializers.CharField(max_length=300, help_text="what stood in the push")


class PushState(serializers.Serializer[Any]):
    """What a browser subscribes with (null where push is not set up), and the caller's phones in this shop."""

    public_key = serializers.CharField(allow_null=True, help_text="`applicationServerKey`, in base64url")
    subscriptions = PushShape(many=True)
