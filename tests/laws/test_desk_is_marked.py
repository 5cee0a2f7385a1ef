"""No word of the desk stays English: its tables, columns, fields, filters and acts are named by lazy translations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin import autodiscover
from django.contrib.admin.utils import flatten, label_for_field
from django.utils.functional import Promise

from merchants.acts import ActingAdmin
from merchants.desk import desk


def words() -> Iterator[tuple[str, Any]]:
    """Everything that the desk says of itself, with where it is said."""
    autodiscover()
    for model, page in desk._registry.items():
        if model._meta.app_label not in ("merchants", "payments"):
            continue
        name = model.__name__
        yield f"{name}, one", model._meta.verbose_name
        yield f"{name}, many", model._meta.verbose_name_plural
        yield f"{name}, search", page.search_help_text
        if heading := getattr(page, "heading", ""):
            yield f"{name}, heading", heading
        for shown in {*page.list_display, *flatten(page.fields or ())}:
            yield f"{name}.{shown}", label_for_field(shown, model, page)
        for chosen in page.list_filter:
            if isinstance(chosen, type) and issubclass(chosen, admin.SimpleListFilter):
                yield f"{name}, filter {chosen.__name__}", chosen.title
        if isinstance(page, ActingAdmin):
            for act in page.acts:
                yield f"{name}, act {act.name}", act.label
                if act.asks:
                    yield f"{name}, question of {act.name}", act.asks
    for one in desk.pages:
        yield f"page {one.name}", one.label
        yield f"what page {one.name} is for", one.says


def test_every_word_of_the_desk_is_translated_when_it_is_shown() -> None:
    found = dict(words())
    assert len(found) > 300
    assert [f"{where}: {said}" for where, said in found.items() if said and not isinstance(said, Promise)] == []
