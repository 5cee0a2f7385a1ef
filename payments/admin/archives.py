"""Archives as operators see them: which months are in files alone, whether those are there, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import ids
from merchants.desk import desk
from merchants.lists import Shown, shown_money
from payments.models import Archive, LedgerEntry, WebhookEvent


def holding(term: str) -> Q | None:
    """The part of a table that an entry or an event of that id is of; None for anything else."""
    for model in (LedgerEntry, WebhookEvent):
        try:
            named = ids.parse(model.prefix, term)
        except ValueError:
            continue
        begun = Q(since=None) | Q(since__lte=named)
        return begun & Q(until__gt=named, table=model._meta.db_table)
    return None


@admin.register(Archive, site=desk)
class ArchiveAdmin(Shown):
    """Parts of the two large tables that were written to files. Commands write them and bring them back, never this."""

    ordering = ["-until", "partition"]
    list_display = ["partition", "where", "rows", "moved", "looked_at", "failure"]
    fields = ["partition", "where", "rows", "moved", "file", "sha256", "seal", "seal_hash", "written_at", "verified_at",
              "closed_at", "retired_at", "restored_at", "looked_at", "failure"]  # fmt: skip
    search_help_text = gettext_lazy("ent_…, evt_…, or a partition's name")

    def readings(self, term: str) -> Iterator[Q]:
        if held := holding(term):
            yield held
        yield Q(partition=term)

    @admin.display(description=gettext_lazy("where its rows are"))
    def where(self, row: Archive) -> str:
        if row.retired_at is not None:
            return _("in the file alone")
        if row.closed_at is not None:
            return _("closed: leaves the database with the next run")
        return _("in the database, and in the file")

    @admin.display(description=gettext_lazy("what its entries move"))
    def moved(self, row: Archive) -> str:
        return ", ".join(shown_money(amount, currency) for currency, amount in row.sums.items()) or "–"
