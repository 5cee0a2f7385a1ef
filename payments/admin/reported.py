"""Reported sales as operators see them: what vendors noted by wallet codes of their own, which nobody has confirmed."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy

from merchants.desk import desk
from merchants.lists import Recorded, Shown, by_id, by_phone, public_id, shown_money
from payments.models import ReportedSale


@admin.register(ReportedSale, site=desk)
class ReportedSaleAdmin(Shown):
    """Notes of vendors. They are no payments: unconfirmed, and in no balance."""

    heading = gettext_lazy("Reported sales: unconfirmed, in no balance")
    list_display = ["public", "reported_at", "shop", "noted", "note", "withdrawn_at"]
    list_filter = [Recorded]
    list_select_related = ["shop"]
    fields = ["public", "shop", "wallet_code", "staff", "noted", "note", "reported_at", "withdrawn_at"]
    search_help_text = gettext_lazy("rep_…, wco_…, shp_…, or a phone")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, rep="id", wco="wallet_code", shp="shop")
        yield from by_phone(term, "shop")

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: ReportedSale) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("unconfirmed"))
    def noted(self, row: ReportedSale) -> str:
        return shown_money(row.amount, row.currency)
