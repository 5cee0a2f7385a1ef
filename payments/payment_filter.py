"""What the list of payments may be asked for, as its address says it: each word, and what is wrong with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import django_filters
from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from merchants import ids
from merchants.models import Item, Shop
from merchants.refusals import Refused
from merchants.tokens import shop_of
from payments import providers, search, statement
from payments.models import Payment
from payments.statement import Period, PeriodWrong

Rows = QuerySet[Payment]
_BY_RECORDING = {"recorded_after", "recorded_before"}


class _MinorUnits(django_filters.Filter):  # type: ignore[misc]  # The library has no types.
    field_class = forms.IntegerField

    def __init__(self, lookup_expr: str, help_text: str) -> None:
        super().__init__(
            field_name="amount",
            lookup_expr=lookup_expr,
            min_value=0,
            max_value=settings.AMOUNT_MAX,
            help_text=help_text,
        )


class PaymentFilter(django_filters.FilterSet):  # type: ignore[misc]
    recorded_after = django_filters.IsoDateTimeFilter(method="recorded_from")
    recorded_before = django_filters.IsoDateTimeFilter(method="recorded_until")
    occurred_after = django_filters.IsoDateTimeFilter(field_name="occurred_at", lookup_expr="gte")
    occurred_before = django_filters.IsoDateTimeFilter(field_name="occurred_at", lookup_expr="lt")
    day = django_filters.CharFilter(
        method="on_day", help_text="a day of the shop's time zone on which it happened, for example 2026-11-22"
    )
    since_day = django_filters.CharFilter(
        method="since_day_on", help_text="from the beginning of a day of the shop's time zone on"
    )
    item = django_filters.CharFilter(method="of_item", help_text="what was sold: itm_…")
    provider = django_filters.ChoiceFilter(
        method="by_provider", choices=[(name, name) for name in providers.MODULES], help_text="by which it was paid"
    )
    # A DISTINCT, the library's own way, would sort all payments of the shop for a page of them.
    match = django_filters.MultipleChoiceFilter(choices=Payment.Match.choices, distinct=False)
    wants_look = django_filters.BooleanFilter(
        method="wanting_a_look", help_text="not as it was asked for, in suspense, or contested; false: all the rest"
    )
    refunded = django_filters.ChoiceFilter(
        method="by_refunds",
        choices=[(word, word) for word in ("yes", "no", "partly", "whole")],
        help_text="`yes` is `partly` or `whole`",
    )
    min_amount = _MinorUnits("gte", "in minor units")
    max_amount = _MinorUnits("lte", "in minor units")
    search = django_filters.CharFilter(
        method="typed",
        max_length=search.SEARCH_MAX,
        help_text=(
            "a receipt's number or its last four letters, the provider's reference of a payment or a refund, or an "
            "exact amount as people write it"
        ),
    )
    order = django_filters.ChoiceFilter(
        method="ordered",
        choices=[("occurred", "occurred")],
        help_text="occurred: by the time at which it happened. Any filter but recorded_* asks for it",
    )

    class Meta:
        model = Payment
        fields: list[str] = []

    # A payment's id is of the moment at which it was recorded: by it the list is in order, and read from there.
    def recorded_from(self, rows: Rows, _name: str, value: datetime) -> Rows:
        return rows.filter(recorded_at__gte=value, id__gte=ids.first_of(value))

    def recorded_until(self, rows: Rows, _name: str, value: datetime) -> Rows:
        return rows.filter(recorded_at__lt=value, id__lt=ids.first_of(value + timedelta(milliseconds=1)))

    def on_day(self, rows: Rows, _name: str, value: str) -> Rows:
        named = self._day(value)
        return rows.filter(occurred_at__gte=named.start, occurred_at__lt=named.end)

    def since_day_on(self, rows: Rows, _name: str, value: str) -> Rows:
        return rows.filter(occurred_at__gte=self._day(value).start)

    def of_item(self, rows: Rows, name: str, value: str) -> Rows:
        try:
            return rows.filter(intent__item=ids.parse(Item.prefix, value))
        except ValueError:
            raise ValidationError({name: [ErrorDetail(_("There is no such id."), "unknown_id")]}) from None

    def by_provider(self, rows: Rows, _name: str, value: str) -> Rows:
        return search.by_provider(rows, shop=self._shop, provider=value)

    def wanting_a_look(self, rows: Rows, _name: str, value: bool) -> Rows:
        return search.wanting_a_look(rows, shop=self._shop, wanting=value)

    def by_refunds(self, rows: Rows, _name: str, value: str) -> Rows:
        return search.by_refunds(rows, shop=self._shop, refunded=value)

    def typed(self, rows: Rows, _name: str, value: str) -> Rows:
        return search.typed(rows, shop=self._shop, text=value)

    def ordered(self, rows: Rows, _name: str, _value: str) -> Rows:
        return rows

    def _day(self, name: str) -> Period:
        try:
            return statement.period(day=name, month="", zone=self._shop.time_zone, known_at=timezone.now())
        except PeriodWrong as wrong:
            raise Refused(400, "period_wrong", str(wrong))

    @property
    def _shop(self) -> Shop:
        return shop_of(self.request)


def in_order_of_happening(request: Request) -> bool:
    """Whether this list is in the order of happening: then each filter of it is an index's beginning."""
    asked: dict[str, Any] = request.query_params.dict()
    return any(asked.get(name) for name in PaymentFilter.base_filters if name not in _BY_RECORDING)
