"""The back office's pages of people: operators, their trail, and what shops were told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from merchants import audit, ids
from merchants.desk import desk
from merchants.lists import Recorded, Shown, among, by_id, by_phone, phone_prefix, public_id
from merchants.models import Code, CodeBatch, Notice, OperatorAct, Shop, User


@admin.register(User, site=desk)
class UserAdmin(Shown):
    """Who may come in, for superusers only. Operators are made by `manage.py add_operator` and never deleted."""

    list_display = ["phone", "name", "is_staff", "is_superuser", "is_active", "created_at"]
    list_filter = [("is_staff", admin.BooleanFieldListFilter)]
    fields = ["public", "phone", "name", "is_active", "is_staff", "is_superuser", "groups", "last_login", "created_at"]
    readonly_fields = ["public", "phone", "last_login", "created_at"]
    filter_horizontal = ["groups"]
    search_help_text = gettext_lazy("A phone number with its country (+86138…), or usr_…")

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: User) -> str:
        return public_id(row)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, usr="id")
        if found := phone_prefix(term):
            yield Q(phone__startswith=found)

    def save_related(self, request: HttpRequest, form: ModelForm[User], formsets: Any, change: bool) -> None:
        """Saves the groups, and records what was changed; the admin's view is one transaction."""
        super().save_related(request, form, formsets, change)
        operator = request.user
        assert isinstance(operator, User)
        if form.changed_data:
            audit.record(
                operator=operator,
                act="change_user",
                subject=form.instance,
                reason="",
                before={name: _plain(form.initial.get(name)) for name in form.changed_data},
                after={name: _plain(form.cleaned_data[name]) for name in form.changed_data},
                now=timezone.now(),
            )


@admin.register(OperatorAct, site=desk)
class OperatorActAdmin(Shown):
    """The trail of the operators. Nobody changes it, whoever it is about."""

    list_display = ["at", "operator", "act", "subject", "reason"]
    list_filter = [Recorded]
    list_select_related = ["operator"]
    fields = ["at", "operator", "act", "subject", "reason", "was", "became"]
    search_help_text = gettext_lazy("The id of what was acted upon (shp_…, evt_…, dis_…), or an operator's phone")

    def readings(self, term: str) -> Iterator[Q]:
        prefix = term.partition("_")[0]
        if prefix in _TYPES:
            yield Q(subject_type=_TYPES[prefix], subject_id=term)
        if found := phone_prefix(term):
            yield among("operator", User.objects.filter(phone__startswith=found))

    @admin.display(description=gettext_lazy("on"))
    def subject(self, row: OperatorAct) -> SafeString | str:
        prefix = row.subject_id.partition("_")[0]
        app = "merchants" if prefix in {Shop.prefix, User.prefix, Code.prefix, CodeBatch.prefix} else "payments"
        try:
            url = reverse(f"admin:{app}_{row.subject_type}_change", args=[ids.parse(prefix, row.subject_id)])
        except (NoReverseMatch, ValueError):
            return f"{row.subject_type} {row.subject_id}"
        return format_html('{} <a href="{}">{}</a>', row.subject_type, url, row.subject_id)

    @admin.display(description=gettext_lazy("before"))
    def was(self, row: OperatorAct) -> str:
        return json.dumps(row.before, ensure_ascii=False)

    @admin.display(description=gettext_lazy("after"))
    def became(self, row: OperatorAct) -> str:
        return json.dumps(row.after, ensure_ascii=False)


@admin.register(Notice, site=desk)
class NoticeAdmin(Shown):
    """What shops were told, and when."""

    list_display = ["created_at", "shop", "number", "kind"]
    list_filter = [Recorded]
    list_select_related = ["shop"]
    fields = ["created_at", "shop", "number", "kind", "told"]
    search_help_text = gettext_lazy("shp_…, the phone of somebody in the shop, or the slug of one of its codes")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, shp="shop")
        yield from by_phone(term, "shop")
        yield among("shop", Shop.objects.filter(codes__slug=term))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("shop")

    @admin.display(description=gettext_lazy("data"))
    def told(self, row: Notice) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(row.data, indent=2, ensure_ascii=False))


# What the trail calls the tables, by the prefix of their public ids.
_TYPES = {
    "shp": "shop",
    "usr": "user",
    "evt": "webhookevent",
    "dis": "discrepancy",
    "pac": "provideraccount",
    "chg": "credentialchange",
    "cod": "code",
    "bat": "codebatch",
}


def _plain(value: Any) -> Any:
    """A form's value as JSON: groups by their names."""
    if isinstance(value, bool | str | None):
        return value
    return sorted(str(one) for one in value)
