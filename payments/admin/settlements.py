"""Settlements as operators see them: what their lines make, what the provider tells, and what our bank got."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from merchants.desk import desk
from merchants.lists import Recorded, Shown, by_id, public_id, shown_money
from payments.admin.links import link
from payments.models import Discrepancy, Settlement, SettlementMatch, StatementLine
from payments.settlement import differences

_LINES = 100  # Of a settlement's lines on its page; the rest stands in the statement.


@admin.register(Settlement, site=desk)
class SettlementAdmin(Shown):
    """What providers paid into our bank at once. In transit is a matter of time; what else differs is asked about."""

    list_display = ["public", "provider_account", "reference", "state", "lines_make", "told", "arrived", "missing",
                    "created_at"]  # fmt: skip
    list_filter = ["state", "currency", Recorded]
    list_select_related = ["provider_account"]
    fields = ["public", "provider_account", "reference", "state", "lines_make", "told", "told_at", "arrived", "missing",
              "created_at", "look_at", "questions"]  # fmt: skip
    search_help_text = gettext_lazy("set_…, pac_…, or its id at the provider")
    change_form_template = "admin/payments/settlement.html"

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, set="id", pac="provider_account")
        yield Q(reference=term)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        more = _about(row) if isinstance(row, Settlement) and self.has_view_permission(request, row) else {}
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Settlement) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("its lines make"))
    def lines_make(self, row: Settlement) -> str:
        return shown_money(row.lines_amount, row.currency)

    @admin.display(description=gettext_lazy("the provider tells"))
    def told(self, row: Settlement) -> str:
        return shown_money(row.told_amount, row.currency) if row.told_amount is not None else "–"

    @admin.display(description=gettext_lazy("our bank got"))
    def arrived(self, row: Settlement) -> str:
        return shown_money(row.arrived_amount, row.currency)

    @admin.display(description=gettext_lazy("has not arrived"))
    def missing(self, row: Settlement) -> str:
        return shown_money(differences.expected(row) - row.arrived_amount, row.currency)

    @admin.display(description=gettext_lazy("discrepancies"))
    def questions(self, row: Settlement) -> SafeString | str:
        found = Discrepancy.objects.filter(settlement=row).order_by("id")
        return SafeString(", ".join(format_html("{} ({})", link(one), one.state) for one in found)) or "–"


def _about(row: Settlement) -> dict[str, Any]:
    """The lines of the provider that name it, and those of our bank that pay it."""
    lines = StatementLine.objects.filter(
        provider_account=row.provider_account_id, settlement_id=row.reference, currency=row.currency
    ).exclude(settlement_id="")
    paid = SettlementMatch.objects.filter(settlement=row).select_related("match").order_by("id")
    return {
        "lines": [
            (line, link(line), shown_money(line.amount, line.currency), shown_money(line.fee, line.currency))
            for line in lines.order_by("id")[: _LINES + 1]
        ],
        "lines_max": _LINES,
        "paid": [
            (part.match, link(part.match), shown_money(part.amount, row.currency), list(part.match.lines.all()))
            for part in paid
        ],
    }
