"""How the back office shows large tables: pages without counting, filters by time and searches that use an index.

A COUNT or an unindexed sort of a million rows would hold the page (and the database) for longer than anybody waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import audit, desk_words, ids, money
from merchants.models import Shop

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PAGE_MAX = 200  # Whoever is here needs a search or a filter: OFFSET reads everything before it.
_PHONE_DIGITS_MIN = 5
_AMONG_MAX = 100  # Whoever finds more shops by a phone's beginning types more of it.


class Pages(Paginator):  # type: ignore[type-arg]  # Generic only in the stubs.
    """Knows what lies up to one row behind the page that is looked at; `more` says that there is such a row."""

    def __init__(self, object_list: QuerySet[Any], per_page: int, page: int) -> None:
        super().__init__(object_list, per_page)
        self._page = min(max(page, 1), PAGE_MAX)

    @cached_property
    def count(self) -> int:
        """Rows up to the end of this page and one more, if there is one; never a COUNT over the table."""
        before = (self._page - 1) * self.per_page
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return before + len(rows.values_list("pk")[before : before + self.per_page + 1])

    @property
    def more(self) -> bool:
        return self.count > self._page * self.per_page


class Shown(admin.ModelAdmin):  # type: ignore[type-arg]  # Generic only in the stubs.
    """A table that operators read and nobody writes, superusers included."""

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    actions: Any = None
    ordering = ["-id"]
    heading: StrOrPromise = ""  # What a list is called where the table's own name would not say it.
    search_fields = ["pk"]  # Makes the admin show its search box; `readings` says what is searched.

    def __init__(self, model: type[models.Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        desk_words.name(model)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = self.heading or str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_paginator(self, request: HttpRequest, queryset: QuerySet[Any], per_page: int, *_: Any, **__: Any) -> Pages:
        page = request.GET.get("p", "1")
        return Pages(queryset, per_page, int(page) if page.isascii() and page.isdigit() else 1)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The rows of the first reading of what was typed that finds any."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isprintable():
            for reading in self.readings(term):
                found = queryset.filter(reading)
                if found.exists():
                    return found, False
        return queryset.none(), False

    def readings(self, term: str) -> Iterator[Q]:
        """What the text in the search box may mean, each an indexed question."""
        yield from ()

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The history of an object is what operators did to it, in their trail."""
        found = self.get_object(request, object_id)
        name = self.acted_on(found) if found is not None else object_id
        return redirect(f"{reverse('admin:merchants_operatoract_changelist')}?{urlencode({'q': name})}")

    def acted_on(self, row: Any) -> str:
        """What the operators' trail calls this row."""
        return audit.named(row)[1]


class Recorded(admin.SimpleListFilter):
    """By the time a row was written, through its primary key: a UUIDv7 begins with its moment."""

    title = gettext_lazy("time")
    parameter_name = "since"
    _SPANS = {
        "1": (gettext_lazy("last hour"), 1),
        "24": (gettext_lazy("last day"), 24),
        "168": (gettext_lazy("last 7 days"), 168),
        "720": (gettext_lazy("last 30 days"), 720),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, StrOrPromise]]:
        return [(key, label) for key, (label, _hours) in self._SPANS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        span = self._SPANS.get(self.value() or "")
        if span is None:
            return queryset
        return queryset.filter(pk__gte=ids.first_of(timezone.now() - timedelta(hours=span[1])))


def by_id(term: str, **lookups: str) -> Iterator[Q]:
    """Our public ids (`by_id(term, pay="id", shp="shop")`), or the bare UUID that our logs print."""
    for prefix, lookup in lookups.items():
        try:
            yield Q(**{lookup: ids.parse(prefix, term)})
        except ValueError:
            continue
    try:
        bare = UUID(term)
    except ValueError:
        return
    for lookup in lookups.values():
        yield Q(**{lookup: bare})


def by_phone(term: str, lookup: str) -> Iterator[Q]:
    """The beginning of a phone number with its country ("+86138…"): the shops in which that person has a role."""
    if found := phone_prefix(term):
        yield among(lookup, Shop.objects.filter(staff__user__phone__startswith=found).distinct())


def among(lookup: str, rows: QuerySet[Any]) -> Q:
    """The lookup is one of the first of these rows. They are read now: the database finds by a value what it would
    search for by a subquery."""
    return Q(**{f"{lookup}__in": list(rows.values_list("pk", flat=True)[:_AMONG_MAX])})


def phone_prefix(term: str) -> str:
    """`+` and digits, when the text can be (the beginning of) a phone number; otherwise empty."""
    digits = "".join(term.split()).replace("-", "").removeprefix("+")
    return f"+{digits}" if digits.isascii() and digits.isdigit() and len(digits) >= _PHONE_DIGITS_MIN else ""


def public_id(row: models.Model) -> str:
    """The row's id as everybody outside knows it."""
    return audit.named(row)[1]


def shown_money(amount: int, currency: str) -> str:
    """An amount with its currency's decimals; what carries a code that is no money keeps its minor units."""
    try:
        return money.shown(amount, currency)
    except ValueError:
        return _("%(amount)d minor units of %(currency)r") % {"amount": amount, "currency": currency}
