"""How the shop's book looks in the API: balances, entries and statements, and what may be asked of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from merchants import ids
from merchants.shapes import Amount, Flag, PublicId
from payments.ledger import Balance
from payments.models import Account, Dispute, LedgerEntry, Payment, Refund
from payments.shapes import Money, money, written
from payments.statement import Asked, Basis, Summary

_SHOP_KINDS = {Account.Kind.SHOP_PENDING, Account.Kind.SHOP_AVAILABLE}
_BASES = [basis.value for basis in Basis]


@extend_schema_field(OpenApiTypes.DATETIME)
class MomentText(serializers.CharField):
    """A moment as it was written; whether it is one, the view says (`moment_wrong`)."""


class BalanceAsked(serializers.Serializer[Any]):
    """Which balance is asked for."""

    at = MomentText(required=False, help_text="a moment; now, when left out")
    basis = serializers.ChoiceField(
        choices=_BASES,
        default=Basis.RECORDED.value,
        help_text="recorded: as our book stood then; effective: as it was, by all that we know now",
    )
    known_at = MomentText(required=False, help_text="leaves out what was recorded after it; now, when left out")


class StatementAsked(serializers.Serializer[Any]):
    """Which statement is asked for: of a `day` or of a `month`, in the shop's time zone."""

    day = serializers.CharField(required=False, allow_blank=True, help_text="for example 2026-11-22")
    month = serializers.CharField(required=False, allow_blank=True, help_text="for example 2026-11")
    basis = serializers.ChoiceField(
        choices=_BASES,
        default=Basis.RECORDED.value,
        help_text="recorded: what our book learned in the period; effective: what happened in it",
    )
    all = Flag(default=False, help_text="also the movements that leave the total as it is")
    at = MomentText(required=False, help_text="leaves out what was recorded after this moment; now, when left out")


class EntryShape(serializers.ModelSerializer[LedgerEntry]):
    """One movement in the shop's book. `change` is what it does to her total: minor units, negative when it leaves."""

    id = PublicId(LedgerEntry.prefix, read_only=True)
    amount = Money()
    debit = serializers.CharField(source="debit.kind", read_only=True)
    credit = serializers.CharField(source="credit.kind", read_only=True)
    change = serializers.IntegerField()
    payment = PublicId(Payment.prefix, source="payment_id", read_only=True)
    refund = PublicId(Refund.prefix, source="refund_id", read_only=True)
    dispute = PublicId(Dispute.prefix, source="dispute_id", read_only=True)

    class Meta:
        model = LedgerEntry
        fields = [
            "id",
            "kind",
            "amount",
            "debit",
            "credit",
            "change",
            "payment",
            "refund",
            "dispute",
            "occurred_at",
            "recorded_at",
        ]
        read_only_fields = fields

    def to_representation(self, entry: Any) -> dict[str, Any]:
        """The fields above of a row that holds `book_views.ENTRY`, written out: one by one, a page would be a thousand
        calls."""
        debit, credit = entry["debit__kind"], entry["credit__kind"]
        return {
            "id": ids.public(LedgerEntry.prefix, entry["id"]),
            "kind": entry["kind"],
            "amount": money(entry["amount"], entry["currency"]),
            "debit": debit,
            "credit": credit,
            "change": entry["amount"] * ((credit in _SHOP_KINDS) - (debit in _SHOP_KINDS)),
            "payment": _named(Payment.prefix, entry["payment_id"]),
            "refund": _named(Refund.prefix, entry["refund_id"]),
            "dispute": _named(Dispute.prefix, entry["dispute_id"]),
            "occurred_at": written(entry["occurred_at"]),
            "recorded_at": written(entry["recorded_at"]),
        }


def _named(prefix: str, value: UUID | None) -> str | None:
    return None if value is None else ids.public(prefix, value)


class BalanceShape(serializers.Serializer[Balance]):
    """What stands in the shop's name. `direct` is the part of `available` that has already reached it by itself."""

    available = serializers.SerializerMethodField()
    pending = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField()
    direct = serializers.SerializerMethodField()

    @extend_schema_field(Amount)
    def get_available(self, balance: Balance) -> dict[str, Any]:
        return money(balance.available, balance.currency)

    @extend_schema_field(Amount)
    def get_pending(self, balance: Balance) -> dict[str, Any]:
        return money(balance.pending, balance.currency)

    @extend_schema_field(Amount)
    def get_total(self, balance: Balance) -> dict[str, Any]:
        return money(balance.total, balance.currency)

    @extend_schema_field(Amount)
    def get_direct(self, balance: Balance) -> dict[str, Any]:
        return money(balance.direct, balance.currency)


class PeriodShape(serializers.Serializer[Any]):
    """From `start` to just before `end`: midnights of the shop's time zone."""

    name = serializers.CharField()
    start = serializers.DateTimeField(default_timezone=UTC)
    end = serializers.DateTimeField(default_timezone=UTC)
    time_zone = serializers.CharField(source="zone.key")


class TotalShape(serializers.Serializer[Any]):
    """The movements of one kind."""

    kind = serializers.ChoiceField(choices=LedgerEntry.Kind.choices)
    count = serializers.IntegerField()
    change = Amount()


class StatementShape(serializers.Serializer[Summary]):
    """A statement without its lines: `opening` + `money_in` - `money_out` = `closing`, to the minor unit.

    `final` says that the same question will have the same answer for ever. Give `context["asked"]` and `["now"]`.
    """

    period = serializers.SerializerMethodField()
    basis = serializers.SerializerMethodField()
    known_at = serializers.SerializerMethodField(help_text="what was recorded until then is in it")
    final = serializers.SerializerMethodField()
    opening = BalanceShape()
    closing = BalanceShape()
    money_in = serializers.SerializerMethodField()
    money_out = serializers.SerializerMethodField()
    totals = serializers.SerializerMethodField(help_text="by kind; `change` is what they did to the total together")

    @extend_schema_field(PeriodShape)
    def get_period(self, summary: Summary) -> Any:
        return PeriodShape(self._asked.period).data

    @extend_schema_field(serializers.ChoiceField(choices=_BASES))
    def get_basis(self, summary: Summary) -> str:
        return self._asked.basis.value

    def get_known_at(self, summary: Summary) -> datetime:
        return self._asked.known_at

    def get_final(self, summary: Summary) -> bool:
        return self._asked.final(self.context["now"])

    @extend_schema_field(Amount)
    def get_money_in(self, summary: Summary) -> dict[str, Any]:
        return money(summary.money_in, summary.opening.currency)

    @extend_schema_field(Amount)
    def get_money_out(self, summary: Summary) -> dict[str, Any]:
        return money(summary.money_out, summary.opening.currency)

    @extend_schema_field(TotalShape(many=True))
    def get_totals(self, summary: Summary) -> list[dict[str, Any]]:
        currency = summary.opening.currency
        return [
            {"kind": total.kind, "count": total.count, "change": money(total.change, currency)}
            for total in summary.totals
        ]

    @property
    def _asked(self) -> Asked:
        asked: Asked = self.context["asked"]
        return asked
