"""A row of money as a link to its own page in the back office, named by its public id."""

from __future__ import annotations

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from merchants.desk import desk
from merchants.lists import public_id


def address(row: Model) -> str:
    """The row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def link(row: Model | None) -> SafeString | str:
    """A link to the row's page, or its id where its table has none; a dash for no row."""
    if row is None:
        return "–"
    if not desk.is_registered(type(row)):
        return str(row)
    return format_html('<a href="{}">{}</a>', address(row), public_id(row))
