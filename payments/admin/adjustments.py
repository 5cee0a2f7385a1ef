"""Adjustments as operators see them: those that wait for a second pair of eyes first, *agree* and *refuse*."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.contrib import admin
from django.db.models import Case, Q, Value, When
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants.acts import Act, ActingAdmin
from merchants.desk import desk
from merchants.lists import Recorded, by_id, by_phone, public_id, shown_money
from merchants.models import User
from payments import endings, remedies
from payments.admin.links import gone, link
from payments.models import Adjustment, LedgerEntry

MAY = "payments.change_adjustment"


def _agree(rows: Sequence[Adjustment], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        remedies.agree(adjustment_id=row.id, operator=operator, note=reason, now=now)
    return _("Booked: %(rows)s.") % {"rows": ", ".join(map(str, rows))}


def _refuse(rows: Sequence[Adjustment], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        remedies.refuse(adjustment_id=row.id, operator=operator, note=reason, now=now)
    return _("Refused: %(rows)s.") % {"rows": ", ".join(map(str, rows))}


def _waits(row: Adjustment) -> bool:
    return row.state == Adjustment.State.PROPOSED


@admin.register(Adjustment, site=desk)
class AdjustmentAdmin(ActingAdmin):
    """What operators booked to end discrepancies. What waits comes first; who proposed it cannot agree to it."""

    ordering = [Case(When(state="proposed", then=Value(0)), default=Value(1)), "-id"]
    list_display = ["public", "state", "label", "money", "discrepancy_link", "proposed_by", "proposed_at", "decided_by"]
    list_filter = ["state", "remedy", "currency", Recorded]
    list_select_related = ["discrepancy", "proposed_by", "decided_by"]
    fields = ["public", "state", "label", "explained", "money", "discrepancy_link", "reason", "shop", "note",
              "four_eyes", "proposed_by", "proposed_at", "decided_by", "decided_at", "entry"]  # fmt: skip
    search_help_text = gettext_lazy("adj_…, dis_…, shp_…, or a phone")
    acts = [
        Act("agree", gettext_lazy("Agree and book"), MAY, _agree, _waits,
            gettext_lazy("What did you look at yourself? It is booked at once.")),
        Act("refuse", gettext_lazy("Refuse"), MAY, _refuse, _waits, gettext_lazy("Why not?")),
    ]  # fmt: skip

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, adj="id", dis="discrepancy", shp="shop")
        yield from by_phone(term, "shop")

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Adjustment) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("remedy"))
    def label(self, row: Adjustment) -> str:
        return str(endings.REMEDIES[row.remedy].label)

    @admin.display(description=gettext_lazy("what it does"))
    def explained(self, row: Adjustment) -> str:
        return str(endings.REMEDIES[row.remedy].says)

    @admin.display(description=gettext_lazy("amount"))
    def money(self, row: Adjustment) -> str:
        return shown_money(row.amount, row.currency)

    @admin.display(description=gettext_lazy("discrepancy"))
    def discrepancy_link(self, row: Adjustment) -> SafeString | str:
        return link(row.discrepancy)

    @admin.display(description=gettext_lazy("which is about"))
    def reason(self, row: Adjustment) -> str:
        return row.discrepancy.get_reason_display()

    @admin.display(description=gettext_lazy("entry"))
    def entry(self, row: Adjustment) -> SafeString | str:
        entry = LedgerEntry.objects.filter(cause_id=row.id).first()
        return gone(row.decided_at) if entry is None else link(entry)
