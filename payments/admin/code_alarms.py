"""Alarms about codes as operators see them: which code fell silent, on what figures, and what the shop found."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy

from merchants.desk import desk
from merchants.lists import Recorded, Shown, by_id, by_phone, public_id
from merchants.models import CodeAlarm
from payments import code_watch


@admin.register(CodeAlarm, site=desk)
class CodeAlarmAdmin(Shown):
    """Codes that behave as if another sticker was over them. The shop looks and answers; nothing is done here."""

    list_display = ["public", "raised_at", "shop", "called", "kind", "ending", "ended_at"]
    list_filter = ["kind", "ending", Recorded]
    list_select_related = ["shop", "code__item"]
    fields = ["public", "shop", "called", "kind", "sentence", "evidence", "raised_at", "ended_at", "ending", "ended_by"]
    search_help_text = gettext_lazy("alm_…, cod_…, shp_…, a slug, or a phone")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, alm="id", cod="code", shp="shop")
        yield from by_phone(term, "shop")
        yield Q(code__slug=term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: CodeAlarm) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("code"))
    def called(self, row: CodeAlarm) -> str:
        return code_watch.called(row.code)

    @admin.display(description=gettext_lazy("told"))
    def sentence(self, row: CodeAlarm) -> str:
        return code_watch.sentence(row)
