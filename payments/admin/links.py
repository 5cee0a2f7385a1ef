"""A row of money as a link to its own page in the back office, named by its public id."""

from __future__ import annotations

from datetime import datetime

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from merchants.desk import desk
from merchants.lists import public_id
from payments import boundary


def address(row: Model) -> str:
    """The row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])


def gone(moment: datetime | None) -> str:
    """What stands where entries of that moment would, when there are none: a dash, or that they are in an archive."""
    here = boundary.since()
    return _("in an archive") if here is not None and moment is not None and moment < here else "–"


def link(row: Model | None) -> SafeString | str:
    """A link to the row's page, or its id where its table has none; a dash for no row."""
    if row is None:
        return "–"
    if not desk.is_registered(type(row)):
        return str(row)
    return format_html('<a href="{}">{}</a>', address(row), public_id(row))
