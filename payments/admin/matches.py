"""Matches and lines of statements as operators see them: both sides beside each other, *undo*, and what lines want.

What a provider wrote into its file is text of a stranger: it is shown as text, with everything invisible written out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import ids
from merchants.acts import Act, ActingAdmin
from merchants.audit import UnableToAct
from merchants.desk import desk
from merchants.lists import Recorded, among, by_id, public_id, shown_money
from merchants.models import User
from payments.admin.inbox import visible
from payments.admin.links import gone, link
from payments.admin.statements import amount_of
from payments.models import LedgerEntry, Match, Payment, ProviderAccount, Refund, Statement, StatementLine
from payments.settlement import undoing

_CHANGE_LINE = "payments.change_statementline"
_ACCOUNTS_MAX = 50


def _undo(rows: Sequence[Match], *, operator: User, reason: str, now: datetime) -> str:
    count = undoing.undo_all(match_ids=[row.id for row in rows], operator=operator, reason=reason, now=now)
    return _("Undone: %(count)s. The lines wait until they are looked at again.") % {"count": count}


@admin.register(Match, site=desk)
class MatchAdmin(ActingAdmin):
    """Which lines were found to be about what, by which rule, and what of it was undone."""

    list_display = ["public", "made_at", "rule", "provider_account", "subject", "made_by", "undone_at"]
    list_filter = ["rule", ("undone_at", admin.EmptyFieldListFilter), Recorded]
    list_select_related = ["provider_account", "payment", "refund", "dispute", "made_by"]
    fields = ["public", "rule", "provider_account", "subject", "made_at", "made_by", "undone_at", "undone_by",
              "undone_reason"]  # fmt: skip
    search_help_text = gettext_lazy("mat_…, pay_…, rfd_…, dsp_…, pyo_…, or the provider's own id of the payment")
    change_form_template = "admin/payments/match.html"
    acts = [
        Act("undo", gettext_lazy("Undo"), "payments.change_match", _undo,
            lambda row: row.undone_at is None and row.payout_id is None,
            gettext_lazy("Why is it undone? What was booked for it is reversed, and its lines wait for a person.")),
    ]  # fmt: skip

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, mat="id", pay="payment", rfd="refund", dsp="dispute", pyo="payout_id")
        accounts = list(ProviderAccount.objects.values_list("id", flat=True))
        yield among("payment", Payment.objects.filter(object_id=term, provider_account__in=accounts))

    def about(self, row: Match) -> dict[str, Any]:
        return _sides(row)

    @admin.display(description=gettext_lazy("about"))
    def subject(self, row: Match) -> SafeString | str:
        return link(row.refund or row.dispute or row.payment)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Match) -> str:
        return public_id(row)


class _Account(admin.SimpleListFilter):
    """The platform's own accounts; a shop's is found by its name in the search box."""

    title = gettext_lazy("account")
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = ProviderAccount.objects.filter(shop=None).order_by("provider", "name")[:_ACCOUNTS_MAX]
        return [(ids.public(row.prefix, row.id), str(row)) for row in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = next(by_id(self.value() or "", pac="provider_account"), None)
        return queryset.filter(found) if found is not None else queryset


def _look_again(rows: Sequence[StatementLine], *, operator: User, reason: str, now: datetime) -> str:
    count = undoing.look_again(line_ids=[row.id for row in rows], operator=operator, reason=reason, now=now)
    return _("They are looked at again: %(count)s.") % {"count": count}


def _unmatched(row: StatementLine) -> bool:
    return row.match_id is None and row.provider_account_id is not None


@admin.register(StatementLine, site=desk)
class StatementLineAdmin(ActingAdmin):
    """The rows of statements: as they were read, what they mean, and what became of them."""

    heading = gettext_lazy("Lines of statements")
    list_display = ["number_shown", "statement", "kind", "object_id", "reference", "money", "fee_shown", "occurred_at",
                    "outcome"]  # fmt: skip
    list_filter = ["outcome", "kind", _Account]
    list_select_related = ["statement", "provider_account"]
    fields = ["number_shown", "statement", "provider_account", "kind", "object_id", "parent_object_id", "reference",
              "settlement_id", "money", "fee_shown", "occurred_at", "outcome", "match_link", "look_at", "looks",
              "as_read"]  # fmt: skip
    search_help_text = gettext_lazy(
        "stm_…, mat_…, the provider's own id, our reference, an account's name, or a day (2026-11-28)"
    )
    change_form_template = "admin/payments/line.html"
    acts = [
        Act("look-again", gettext_lazy("Look again"), _CHANGE_LINE, _look_again, _unmatched,
            gettext_lazy("Why is it looked at again? It begins anew, from its first look.")),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("statement", "provider_account", "match")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, stm="statement", mat="match")
        accounts = list(ProviderAccount.objects.values_list("id", flat=True))
        for kind in ("payment", "refund", "chargeback"):
            yield Q(provider_account__in=accounts, kind=kind, object_id=term)
        yield Q(provider_account__in=accounts, settlement_id=term)
        for prefix, model in (("int", Payment), ("rfd", Refund)):
            yield from _by_reference(prefix, model, term)
        yield among("provider_account", ProviderAccount.objects.filter(name=term))
        if day := _day(term):
            yield among("statement", Statement.objects.filter(day=day))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.match_by_hand)
        return [path("<int:line_id>/match/", view, name=f"{self._url_name}_match"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        may = {"may_match": row is not None and _unmatched(row) and request.user.has_perm(_CHANGE_LINE)}
        return super().change_view(request, object_id, form_url, {**may, **(extra_context or {})})

    def match_by_hand(self, request: HttpRequest, line_id: int) -> HttpResponse:
        """A small form: with which payment or refund, and why."""
        if not request.user.has_perm(_CHANGE_LINE):
            raise PermissionDenied
        row = self.get_object(request, str(line_id))
        if row is None:
            raise Http404
        form = ByHandForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                match = undoing.match_by_hand(
                    line_ids=[row.id, *form.cleaned_data["more"]],
                    operator=_operator(request),
                    reason=form.cleaned_data["reason"],
                    now=timezone.now(),
                    **form.cleaned_data["about"],
                )
            except UnableToAct as refusal:
                form.add_error(None, refusal.detail)
            else:
                self.message_user(request, _("Matched: %(match)s.") % {"match": match})
                return redirect("admin:payments_match_change", match.pk)
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("Match by hand"),
            "opts": self.opts,
            "submit": _("Match"),
        }
        return TemplateResponse(request, "admin/desk_form.html", {**context, "form": form, "row": row})

    @admin.display(description=gettext_lazy("line"))
    def number_shown(self, row: StatementLine) -> str:
        return str(row.number)

    @admin.display(description=gettext_lazy("amount"))
    def money(self, row: StatementLine) -> str:
        return amount_of(row)

    @admin.display(description=gettext_lazy("fee"))
    def fee_shown(self, row: StatementLine) -> str:
        return shown_money(row.fee, row.currency)

    @admin.display(description=gettext_lazy("match"))
    def match_link(self, row: StatementLine) -> SafeString | str:
        return link(row.match)

    @admin.display(description=gettext_lazy("as it was read"))
    def as_read(self, row: StatementLine) -> SafeString:
        return format_html("<pre>{}</pre>", visible(json.dumps(row.raw, indent=2, ensure_ascii=False)))


class ByHandForm(forms.Form):
    """What a line is about, as a person has found."""

    about = forms.CharField(label=gettext_lazy("Payment or refund (pay_… or rfd_…)"), max_length=40)
    more = forms.CharField(
        label=gettext_lazy("Other lines that belong to it"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("their numbers in the address"),
    )
    reason = forms.CharField(
        label=gettext_lazy("How do you know?"), max_length=500, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean_about(self) -> dict[str, Any]:
        term = self.cleaned_data["about"].strip()
        for prefix, name in (("pay", "payment_id"), ("rfd", "refund_id")):
            try:
                return {name: ids.parse(prefix, term)}
            except ValueError:
                continue
        raise forms.ValidationError(_("Neither a payment of ours (pay_…) nor a refund (rfd_…)."))

    def clean_more(self) -> list[int]:
        words = self.cleaned_data["more"].replace(",", " ").split()
        if not all(word.isascii() and word.isdigit() and len(word) < 19 for word in words):
            raise forms.ValidationError(_("Numbers of lines, with spaces between them."))
        return [int(word) for word in words]


def _sides(row: Match) -> dict[str, Any]:
    """What was compared on both sides, its fee, its lines and its entries."""
    stated, booked = row.why.get("stated", {}), row.why.get("booked", {})
    fee = row.why.get("fee", {})
    entries = LedgerEntry.objects.filter(cause_id=row.id).select_related("debit", "credit").order_by("id")
    return {
        "rule": visible(str(row.why.get("rule", ""))),
        "sides": [(name, _shown(stated.get(name)), _shown(booked.get(name))) for name in {**stated, **booked}],
        "fee": [(name, _shown(fee.get(name))) for name in fee],
        "lines": list(row.lines.select_related("statement").order_by("id")[:100]),
        "entries": [
            (link(entry), entry.kind, entry.debit, entry.credit, shown_money(entry.amount, entry.currency))
            for entry in entries[:100]
        ],
        "archived": gone(row.made_at) != "–",
    }


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "–"
    return visible(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _by_reference(prefix: str, model: type[Payment] | type[Refund], term: str) -> Iterator[Q]:
    """Lines of what was paid for an intent of ours, or of a refund of ours: by its match."""
    try:
        named = ids.parse(prefix, term)
    except ValueError:
        return
    of_refund = Q(payment__refunds=named, refund=named)  # By the payment, which has the index.
    about = Match.objects.filter(Q(payment__intent=named) if model is Payment else of_refund)
    yield among("match", about)


def _day(term: str) -> date | None:
    try:
        return date.fromisoformat(term)
    except ValueError:
        return None


def _operator(request: HttpRequest) -> User:
    operator = request.user
    assert isinstance(operator, User)
    return operator
