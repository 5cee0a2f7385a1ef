"""How our fees look to the shop that pays them: in plain numbers, in words, and by an example."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from merchants import money as currencies
from merchants.shapes import Amount
from payments import fees, providers
from payments.fees import Contract, Offer
from payments.shapes import money

_EXAMPLE_UNITS = 100  # Of the currency: large enough for a share of it to be seen.


class TierShape(serializers.Serializer[Any]):
    """The rates of payments from an amount on."""

    from_amount = Amount()
    parts_per_million = serializers.IntegerField()
    fixed = Amount()


class ExampleShape(serializers.Serializer[Any]):
    """What is charged on `amount`, and what is left of it."""

    amount = Amount()
    fee = Amount()
    rest = Amount()


class FeeShape(serializers.Serializer[Any]):
    """A fee: the share of a payment, rounded half up to the minor unit, and a fixed part; at least, and at most."""

    words = serializers.CharField(help_text="the same for people: 0.6 % + CN¥0.10")
    since = serializers.DateTimeField(allow_null=True, help_text="payments made from then on; null: nothing was agreed")
    parts_per_million = serializers.IntegerField(help_text="6000 is 0.6 %")
    fixed = Amount()
    floor = Amount()
    cap = Amount(allow_null=True)
    tiers = TierShape(many=True)
    example = ExampleShape()


class OfferShape(serializers.Serializer[Any]):
    """What one way of being paid costs the shop. Of `direct` money we charge nothing; the network itself may."""

    provider = serializers.CharField()
    title = serializers.SerializerMethodField()
    funds = serializers.CharField(help_text="direct: the network pays the shop itself; held: we do")
    fee = serializers.SerializerMethodField()
    next = serializers.SerializerMethodField(help_text="what was announced, and from when; null: no change")

    def get_title(self, offer: Offer) -> str:
        return _(providers.named(offer.provider).TITLE)

    @extend_schema_field(FeeShape)
    def get_fee(self, offer: Offer) -> dict[str, Any]:
        return _fee(offer.contract, offer.currency)

    @extend_schema_field(FeeShape(allow_null=True))
    def get_next(self, offer: Offer) -> dict[str, Any] | None:
        return _fee(offer.next, offer.currency) if offer.next else None


class FeePage(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = OfferShape(many=True)


def _fee(contract: Contract, currency: str) -> dict[str, Any]:
    rates, amount = contract.rates, _EXAMPLE_UNITS * 10 ** currencies.exponent(currency)
    fee = fees.charged(rates, amount)
    return {
        "words": fees.shown(rates, currency),
        "since": contract.valid_from and _moment.to_representation(contract.valid_from),
        "parts_per_million": rates.parts_per_million,
        "fixed": money(rates.fixed_amount, currency),
        "floor": money(rates.floor_amount, currency),
        "cap": None if rates.cap_amount is None else money(rates.cap_amount, currency),
        "tiers": [
            {
                "from_amount": money(tier.from_amount, currency),
                "parts_per_million": tier.parts_per_million,
                "fixed": money(tier.fixed_amount, currency),
            }
            for tier in rates.tiers
        ],
        "example": {
            "amount": money(amount, currency),
            "fee": money(fee, currency),
            "rest": money(amount - fee, currency),
        },
    }


_moment = serializers.DateTimeField(default_timezone=UTC)
