"""How texts about payments look in the API: when a person wants one, and what was sent today."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework import serializers

from merchants import payment_texts, push_words
from merchants.models import PaymentTexts, Staff
from merchants.payment_texts import Asked
from merchants.push_shapes import QuietHours
from merchants.shapes import Amount

A_DAY = 5  # What is asked for where nothing is said.


class PaymentTextsAsked(QuietHours):
    """What is left out stays as it was."""

    from_amount = Amount(required=False, allow_null=True, help_text="less is not texted; null: every payment")
    a_day = serializers.IntegerField(required=False, min_value=1, max_value=100, help_text="texts at most")

    def asked(self, *, currency: str, before: PaymentTexts | None) -> Asked:
        """What is asked, over what was asked before. Call it after `is_valid`."""
        given = self.validated_data
        least = given.get("from_amount")
        if least is not None and least["currency"] != currency:
            raise serializers.ValidationError(
                {
                    "from_amount": [
                        serializers.ErrorDetail(
                            _("This shop sells in %(currency)s.") % {"currency": currency}, code="currency_mismatch"
                        )
                    ]
                }
            )
        from_amount = before.from_amount if before else 0
        if "from_amount" in given:
            from_amount = least["amount"] if least else 0
        return Asked(
            given.get("language") or (before.language if before else push_words.LANGUAGES[0]),
            from_amount,
            given.get("a_day") or (before.a_day if before else A_DAY),
            *self.quiet(before),
        )


class PaymentTextsShape(serializers.Serializer[Any]):
    """Whether the caller is texted of payments that no phone of hers has heard of, and when."""

    offered = serializers.BooleanField(help_text="whether such texts are sent here at all")
    a_day_max = serializers.IntegerField(help_text="the most that can be asked for")
    on = serializers.BooleanField()
    language = serializers.CharField(allow_null=True)
    from_amount = Amount(allow_null=True)
    a_day = serializers.IntegerField(allow_null=True)
    sent_today = serializers.IntegerField()
    quiet_from = serializers.TimeField(format="%H:%M", allow_null=True, help_text="in the shop's time zone")
    quiet_until = serializers.TimeField(format="%H:%M", allow_null=True)


def shown(staff: Staff, row: PaymentTexts | None, *, now: datetime) -> dict[str, Any]:
    today = now.astimezone(ZoneInfo(staff.shop.time_zone)).date()
    least = {"amount": row.from_amount, "currency": staff.shop.currency} if row and row.from_amount else None
    values = {
        "offered": payment_texts.is_offered(),
        "a_day_max": settings.PAYMENT_TEXTS_A_DAY_MAX,
        "on": row is not None,
        "language": row.language if row else None,
        "from_amount": least,
        "a_day": row.a_day if row else None,
        "sent_today": row.sent if row and row.day == today else 0,
        "quiet_from": row.quiet_from if row else None,
        "quiet_until": row.quiet_until if row else None,
    }
    return PaymentTextsShape(values).data
