"""Disputes as operators see them: what is contested, by when it may be answered, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy

from merchants.desk import desk
from merchants.lists import Recorded, Shown, among, by_id, by_phone, public_id, shown_money
from payments.models import Dispute, Payment, ProviderAccount


@admin.register(Dispute, site=desk)
class DisputeAdmin(Shown):
    """Money contested by its payer. It is answered at the provider's own desk; its word ends it here."""

    list_display = ["public", "opened_at", "shop", "money", "state", "evidence_due_at", "object_id"]
    list_filter = ["state", Recorded]
    list_select_related = ["shop"]
    fields = ["public", "payment", "shop", "money", "state", "evidence_due_at", "object_id", "told_at", "opened_at",
              "closed_at", "reminded_at"]  # fmt: skip
    search_help_text = gettext_lazy(
        "dsp_…, pay_…, shp_…, a phone, or the provider's own id of the payment or the dispute"
    )

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, dsp="id", pay="payment", shp="shop")
        yield from by_phone(term, "shop")
        accounts = list(ProviderAccount.objects.values_list("id", flat=True))
        yield among("payment", Payment.objects.filter(object_id=term, provider_account__in=accounts))
        yield Q(object_id=term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Dispute) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("amount"))
    def money(self, row: Dispute) -> str:
        return shown_money(row.amount, row.currency)
