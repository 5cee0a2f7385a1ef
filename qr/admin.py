"""Codes as operators see them: whose each is, what it did, *suspend* and *retire*; and batches of blanks for agents."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import batches, code_desk, codes, links
from merchants.acts import Act, ActingAdmin
from merchants.desk import desk
from merchants.lists import Recorded, by_id, by_phone, public_id, shown_money
from merchants.models import BlankCode, Code, CodeBatch, User
from merchants.refusals import Refused
from payments import activity
from payments.admin.links import link
from payments.statement_csv import defused
from qr import (
    phrases,
    sheet,
    wallet_code_admin,  # noqa: F401  A page registers itself by being imported.
)
from qr.labels import LAYOUTS
from qr.stickers import Sticker

CHANGE, MAKE = "merchants.change_code", "merchants.change_codebatch"
_DAYS = 30


def _suspend(rows: Sequence[Code], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        code_desk.suspend(code_id=row.id, operator=operator, reason=reason, now=now)
    return _("Suspended until an operator activates it: %(rows)s.") % {"rows": ", ".join(map(str, rows))}


def _activate(rows: Sequence[Code], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        code_desk.activate(code_id=row.id, operator=operator, reason=reason, now=now)
    return _("In use again: %(rows)s.") % {"rows": ", ".join(map(str, rows))}


def _retire(rows: Sequence[Code], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        code_desk.retire(code_id=row.id, operator=operator, reason=reason, now=now)
    return _("Retired for good: %(rows)s.") % {"rows": ", ".join(map(str, rows))}


def _void(rows: Sequence[CodeBatch], *, operator: User, reason: str, now: datetime) -> str:
    ended = sum(
        batches.void(batch_id=row.id, operator=operator, reason=reason, now=now)
        for row in sorted(rows, key=lambda row: row.id)
    )
    return _("Void: %(rows)s. Blanks that nobody can bind any more: %(ended)s.") % {
        "rows": ", ".join(map(str, rows)),
        "ended": ended,
    }


@admin.register(Code, site=desk)
class CodeAdmin(ActingAdmin):
    """Everything that was printed or shown, and where it leads."""

    list_display = ["slug", "shop", "kind", "what", "state", "held", "created_at"]
    list_filter = ["state", "kind", Recorded]
    list_select_related = ["shop", "item"]
    fields = ["public", "slug", "shop_link", "kind", "what", "price", "state", "held", "staff", "batch", "expires_at",
              "created_at", "retired_at", "replaced", "forwards", "scans", "paid"]  # fmt: skip
    search_help_text = gettext_lazy("a slug, our link as it was scanned, cod_…, shp_…, itm_…, or a phone")
    acts = [
        Act("suspend", gettext_lazy("Suspend"), CHANGE, _suspend,
            lambda row: row.state != Code.State.RETIRED and not row.held,
            gettext_lazy("Why is it suspended? Its shop cannot activate or replace it.")),
        Act("activate", gettext_lazy("Activate"), CHANGE, _activate, lambda row: row.state == Code.State.SUSPENDED,
            gettext_lazy("Why may it be used again?")),
        Act("retire", gettext_lazy("Retire"), CHANGE, _retire, lambda row: row.state != Code.State.RETIRED,
            gettext_lazy("Why is it retired? That is for good.")),
    ]  # fmt: skip

    def readings(self, term: str) -> Iterator[Q]:
        if slug := links.slug_of(term):
            yield Q(slug=slug)
        yield from by_id(term, cod="id", shp="shop", itm="item")
        yield from by_phone(term, "shop")
        yield Q(slug=term)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("shop", "item", "staff__user", "replaced_by")

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Code) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("shop"))
    def shop_link(self, row: Code) -> SafeString | str:
        return link(row.shop)

    @admin.display(description=gettext_lazy("for"))
    def what(self, row: Code) -> str:
        return str(row.item) if row.item else row.label or "–"

    @admin.display(description=gettext_lazy("price"))
    def price(self, row: Code) -> str:
        asked = codes.price(row)
        return shown_money(*asked) if asked else _("what the payer enters")

    @admin.display(description=gettext_lazy("printed in"))
    def batch(self, row: Code) -> SafeString | str:
        blank = BlankCode.objects.select_related("batch").filter(code=row).first()
        return format_html("{} {}, {}", link(blank.batch), blank.batch, blank.number) if blank else "–"

    @admin.display(description=gettext_lazy("replaced by"))
    def replaced(self, row: Code) -> SafeString | str:
        return link(row.replaced_by)

    @admin.display(description=format_lazy(gettext_lazy("scans in {days} days"), days=_DAYS))
    def scans(self, row: Code) -> str:
        return str(self._told(row).scans)

    @admin.display(description=format_lazy(gettext_lazy("paid in {days} days"), days=_DAYS))
    def paid(self, row: Code) -> str:
        told = self._told(row)
        sums = ", ".join(shown_money(amount, currency) for currency, amount in sorted(told.sums.items()))
        return f"{told.payments}: {sums}" if told.payments else _("nothing")

    def _told(self, row: Any) -> activity.Activity:
        """Asked once for both fields of a page."""
        if not hasattr(row, "told"):
            row.told = activity.of_code(code=row, days=_DAYS, now=timezone.now())
        found: activity.Activity = row.told
        return found


class BatchForm(forms.Form):
    """A batch to be made."""

    label = forms.CharField(
        max_length=80, help_text=gettext_lazy("who gets it, or where it goes; printed beside the number")
    )
    size = forms.IntegerField(min_value=1, max_value=batches.SIZE_MAX, help_text=gettext_lazy("how many codes"))
    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 2}), label=gettext_lazy("What is it for?")
    )


class StickersForm(forms.Form):
    """How a batch is printed."""

    layout = forms.ChoiceField(choices=[(name, layout.title) for name, layout in LAYOUTS.items()])
    language = forms.ChoiceField(choices=[(name, f"{name}: {said.caption}") for name, said in phrases.PHRASES.items()])


@admin.register(CodeBatch, site=desk)
class CodeBatchAdmin(ActingAdmin):
    """Blanks that field agents hand out. Each becomes one code, of whichever vendor scans it first."""

    list_display = ["label", "size", "bound", "left", "made_by", "created_at", "voided_at"]
    list_filter = [("voided_at", admin.EmptyFieldListFilter), Recorded]
    list_select_related = ["made_by"]
    fields = ["public", "label", "size", "bound", "left", "made_by", "created_at", "voided_at", "files"]
    search_help_text = gettext_lazy("bat_…, the slug or link of one of its codes, or the beginning of its label")
    change_list_template = "admin/qr/batches.html"
    acts = [
        Act("void", gettext_lazy("Void"), MAKE, _void, lambda row: row.voided_at is None,
            gettext_lazy("Why is it void? What nobody has bound can never be bound; what is bound stays.")),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return batches.with_bound(super().get_queryset(request)).select_related("made_by")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, bat="id")
        yield Q(blanks__slug=links.slug_of(term) or term)
        yield Q(label__istartswith=term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: CodeBatch) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("bound"))
    def bound(self, row: Any) -> int:
        return int(row.bound)

    @admin.display(description=gettext_lazy("blank"))
    def left(self, row: Any) -> int:
        return int(row.size - row.bound)

    @admin.display(description=gettext_lazy("files"))
    def files(self, row: CodeBatch) -> SafeString:
        addresses = [reverse(f"admin:{self._url_name}_{form}", args=[row.pk]) for form in ("csv", "pdf")]
        titles = (_("CSV for a printing house"), _("PDF of stickers"))
        return format_html_join(", ", '<a href="{}">{}</a>', zip(addresses, titles, strict=True))

    # --- Making one, and its files ---

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, self._url_name
        return [
            path("make/", wrap(self.make), name=f"{name}_make"),
            path("<uuid:batch_id>/codes.csv", wrap(self.as_csv), name=f"{name}_csv"),
            path("<uuid:batch_id>/stickers/", wrap(self.as_pdf), name=f"{name}_pdf"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may = {"may_make": request.user.has_perm(MAKE)}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def make(self, request: HttpRequest) -> HttpResponse:
        """A new batch."""
        operator = _operator(request)
        form = BatchForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            batch = batches.make(**form.cleaned_data, operator=operator, now=timezone.now())
            self.message_user(
                request, _("Made: %(batch)s, %(size)s blank codes.") % {"batch": batch, "size": batch.size}
            )
            return redirect(f"admin:{self._url_name}_change", batch.pk)
        return self._page(request, form, title=_("Make a batch of blank codes"), submit=_("Make it"))

    def as_csv(self, request: HttpRequest, batch_id: Any) -> HttpResponse:
        """Number, slug and link of every blank, for whoever prints them."""
        operator, batch = _operator(request), self._batch(batch_id)
        blanks = batches.handed_out(batch=batch, form="csv", operator=operator, now=timezone.now())
        made = io.StringIO()
        write = csv.writer(made, lineterminator="\r\n").writerow
        write(["number", "slug", "url"])
        for blank in blanks:
            write([blank.number, defused(blank.slug), blank.url])
        return _file(made.getvalue().encode(), "text/csv; charset=utf-8", f"{public_id(batch)}.csv")

    def as_pdf(self, request: HttpRequest, batch_id: Any) -> HttpResponse:
        """A sticker for every blank, on the labels that are chosen."""
        operator, batch = _operator(request), self._batch(batch_id)
        form = StickersForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                with transaction.atomic():
                    blanks = batches.handed_out(batch=batch, form="pdf", operator=operator, now=timezone.now())
                    said = phrases.of(form.cleaned_data["language"]).caption
                    stickers = [Sticker(one.url, said, caption=f"{batch} · {one.number}") for one in blanks]
                    made = sheet.pdf(stickers, form.cleaned_data["layout"])
            except Refused as refusal:
                form.add_error(None, str(refusal.detail))
            else:
                return _file(made, sheet.CONTENT_TYPE, f"{public_id(batch)}.pdf")
        return self._page(request, form, row=batch, title=_("Print its stickers"), submit=_("Make the PDF"))

    def _batch(self, batch_id: Any) -> CodeBatch:
        batch = CodeBatch.objects.filter(id=batch_id).first()
        if batch is None:
            raise Http404
        return batch

    def _page(self, request: HttpRequest, form: forms.Form, **said: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        said |= {"opts": self.opts, "form": form}
        return TemplateResponse(request, "admin/desk_form.html", {**self.admin_site.each_context(request), **said})


def _operator(request: HttpRequest) -> User:
    """Who asks, if she may make batches: whoever has their links can bind them."""
    if not request.user.has_perm(MAKE):
        raise PermissionDenied
    assert isinstance(request.user, User)
    return request.user


def _file(content: bytes, content_type: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return HttpResponse(content, content_type=content_type, headers=headers)
