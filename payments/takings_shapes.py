"""How a day's takings look in the API, and which day may be asked for."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from merchants.models import Item, Staff
from merchants.shapes import Amount, PublicId
from payments import providers
from payments.book_shapes import PeriodShape
from payments.shapes import money
from payments.statement import Basis
from payments.takings import Day, Group, Part, Sum, Takings

_BASES = [basis.value for basis in Basis]


class TakingsAsked(serializers.Serializer[Any]):
    """Which day is asked for, in the shop's time zone."""

    day = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="for example 2026-11-22; today when left out"
    )
    basis = serializers.ChoiceField(
        choices=_BASES,
        default=Basis.EFFECTIVE.value,
        help_text="effective: what happened on that day; recorded: what our book learned on it",
    )


@extend_schema_field(Amount)
class ShopMoney(serializers.Field[Any, Any, dict[str, Any], Any]):
    """Minor units in the shop's currency (`context["currency"]`), read only."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Any) -> dict[str, Any]:
        return money(int(value), self.context["currency"])


class CountedShape(serializers.Serializer[Sum]):
    count = serializers.IntegerField()
    amount = ShopMoney()


class GroupShape(serializers.Serializer[Group]):
    """What came in this way, and what of such payments went back on the day."""

    count = serializers.IntegerField()
    amount = ShopMoney()
    refunded = ShopMoney()


class ItemTakings(GroupShape):
    """Of one item; without an item, of codes for which the payer enters the amount."""

    item = PublicId(Item.prefix, source="key", allow_null=True)
    name = serializers.CharField()


class WalletTakings(GroupShape):
    """By one provider."""

    provider = serializers.CharField(source="key")
    wallet = serializers.SerializerMethodField(help_text="what people call that provider")

    def get_wallet(self, group: Group) -> str:
        return _(providers.named(group.key).TITLE)


class SellerTakings(GroupShape):
    """By the codes of one person; without one, by codes that are nobody's in particular."""

    staff = PublicId(Staff.prefix, source="key", allow_null=True)
    name = serializers.CharField()


class DayTakings(serializers.Serializer[Day]):
    """A day in short. `net` is `payments` less `refunds`."""

    day = serializers.CharField(source="period.name")
    until = serializers.DateTimeField(help_text="up to which moment of it: its end, or the time that it is now")
    payments = CountedShape()
    refunds = CountedShape()
    net = ShopMoney()


class TakingsShape(DayTakings):
    """A day's takings from the shop's book, to the minor unit.

    `net` with `disputes`, `fees`, `payouts` and `corrections`, which are negative where money left, is `change`: the
    closing of that day's statement less its opening. What is `in_question` waits in suspense and is in no other sum.
    """

    period = PeriodShape()
    direct = ShopMoney(help_text="of the payments, what has reached the shop by itself and is not paid out by us")
    disputes = serializers.SerializerMethodField()
    fees = serializers.SerializerMethodField()
    payouts = serializers.SerializerMethodField()
    corrections = serializers.SerializerMethodField()
    change = ShopMoney()
    in_question = serializers.SerializerMethodField()
    wants_look = serializers.IntegerField(help_text="how many `GET /payments?wants_look=true` lists of that day")
    by_item = ItemTakings(many=True, source="items")
    by_wallet = WalletTakings(many=True, source="wallets")
    by_seller = SellerTakings(many=True, source="sellers")
    before = DayTakings(many=True, help_text="the day before, and the same weekday a week before")

    @extend_schema_field(Amount)
    def get_disputes(self, found: Takings) -> dict[str, Any]:
        return self._change(found, Part.DISPUTES)

    @extend_schema_field(Amount)
    def get_fees(self, found: Takings) -> dict[str, Any]:
        return self._change(found, Part.FEES)

    @extend_schema_field(Amount)
    def get_payouts(self, found: Takings) -> dict[str, Any]:
        return self._change(found, Part.PAYOUTS)

    @extend_schema_field(Amount)
    def get_corrections(self, found: Takings) -> dict[str, Any]:
        return self._change(found, Part.CORRECTIONS)

    @extend_schema_field(CountedShape(many=True))
    def get_in_question(self, found: Takings) -> list[dict[str, Any]]:
        return [
            {"count": waits.count, "amount": money(waits.amount, currency)}
            for currency, waits in sorted(found.in_question.items())
        ]

    def _change(self, found: Takings, part: Part) -> dict[str, Any]:
        return money(found.changes.get(part, 0), self.context["currency"])
