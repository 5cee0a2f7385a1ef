"""The desk of what does not fit: whose it is, what was compared, what happened since, and every way to an end.

*Take* and *resolve* need no money; a remedy does, and its page says what it books.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import audit
from merchants.acts import Act, ActingAdmin
from merchants.audit import UnableToAct
from merchants.desk import desk
from merchants.lists import among, by_id, by_phone, public_id, shown_money
from merchants.models import User
from payments import operating, remedies
from payments.admin.compared import compared
from payments.admin.inbox import visible
from payments.admin.links import link
from payments.admin.paying import of_code
from payments.admin.remedy_forms import MatchingForm, RemedyForm, waits_for_settlements
from payments.models import Discrepancy, Payment, PaymentIntent, ProviderAccount, WebhookEvent
from payments.settlement import banking

MAY = "payments.change_discrepancy"
_OPERATORS_MAX = 50


def _take(rows: Sequence[Discrepancy], *, operator: User, reason: str, now: datetime) -> str:
    count = operating.take(discrepancy_ids=[row.id for row in rows], operator=operator, now=now)
    return _("Yours now: %(count)s.") % {"count": count}


def _resolve(rows: Sequence[Discrepancy], *, operator: User, reason: str, now: datetime) -> str:
    ids = [row.id for row in rows]
    return _("Resolved: %(count)d.") % {
        "count": operating.resolve(discrepancy_ids=ids, operator=operator, note=reason, now=now)
    }


def _is_open(row: Discrepancy) -> bool:
    return row.state == Discrepancy.State.OPEN


class Age(admin.SimpleListFilter):
    """How long a question has been waiting for its answer."""

    title = gettext_lazy("age")
    parameter_name = "older"
    _DAYS = {
        "1": gettext_lazy("more than a day"),
        "7": gettext_lazy("more than 7 days"),
        "30": gettext_lazy("more than 30 days"),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(self._DAYS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        days = self.value()
        if days not in self._DAYS:
            return queryset
        return queryset.filter(state=Discrepancy.State.OPEN, opened_at__lt=timezone.now() - timedelta(days=int(days)))


class Whose(admin.SimpleListFilter):
    """Mine, nobody's, or another operator's."""

    title = gettext_lazy("owner")
    parameter_name = "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        others = User.objects.filter(is_staff=True).exclude(pk=_operator(request).pk).order_by("phone")[:_OPERATORS_MAX]
        return [("mine", _("mine")), ("nobody", _("nobody's")), *((str(other.pk), str(other)) for other in others)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case None:
                return queryset
            case "mine":
                return queryset.filter(owner=request.user.pk)
            case "nobody":
                return queryset.filter(owner=None)
            case other:
                known = dict(self.lookup_choices)
                return queryset.filter(owner=other) if other in known else queryset.none()


@admin.register(Discrepancy, site=desk)
class DiscrepancyAdmin(ActingAdmin):
    """Questions about money: the open ones first, the oldest of them first."""

    ordering = ["state", "opened_at", "id"]
    list_display = ["public", "state", "reason", "money", "shop", "owner", "age", "suggestion"]
    list_filter = ["state", "reason", Whose, Age, "currency"]
    list_select_related = ["shop", "owner"]
    fields = ["public", "state", "reason", "suggestion", "money", "shop", "provider_account", "payment", "intent_link",
              "refund_link", "settlement_link", "line_link", "payout_link", "event", "more", "owner", "opened_at",
              "resolved_at", "resolution"]  # fmt: skip
    search_help_text = gettext_lazy(
        "dis_…, pay_…, int_…, set_…, shp_…, a phone, a receipt, a code's slug, or the provider's own id"
    )
    change_form_template = "admin/payments/discrepancy.html"
    acts = [
        Act("take", gettext_lazy("Take"), MAY, _take, _is_open),
        Act("resolve", gettext_lazy("Resolve"), MAY, _resolve, _is_open,
            gettext_lazy("What was found, and what was done about it? This is final.")),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        about = ["shop", "owner", "payment__provider_account", "intent", "provider_account", "refund", "settlement",
                 "line", "payout"]  # fmt: skip
        return super().get_queryset(request).select_related(*about)

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, dis="id", pay="payment", int="intent", set="settlement", shp="shop", evt="event_id")
        yield from by_phone(term, "shop")
        accounts = list(ProviderAccount.objects.values_list("id", flat=True))
        yield among("payment", Payment.objects.filter(object_id=term, provider_account__in=accounts))
        yield among("intent", PaymentIntent.objects.filter(receipt=term))
        yield from of_code(term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Discrepancy) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("what does not fit"))
    def money(self, row: Discrepancy) -> str:
        return shown_money(row.amount, row.currency)

    @admin.display(description=gettext_lazy("age"))
    def age(self, row: Discrepancy) -> str:
        return timesince(row.opened_at, row.resolved_at, depth=1)

    @admin.display(description=gettext_lazy("suggested"))
    def suggestion(self, row: Discrepancy) -> str:
        return row.suggestion

    @admin.display(description=gettext_lazy("intent"))
    def intent_link(self, row: Discrepancy) -> SafeString | str:
        return link(row.intent)

    @admin.display(description=gettext_lazy("refund"))
    def refund_link(self, row: Discrepancy) -> SafeString | str:
        return link(row.refund)

    @admin.display(description=gettext_lazy("settlement"))
    def settlement_link(self, row: Discrepancy) -> SafeString | str:
        return link(row.settlement)

    @admin.display(description=gettext_lazy("line of a statement"))
    def line_link(self, row: Discrepancy) -> SafeString | str:
        return link(row.line)

    @admin.display(description=gettext_lazy("payout"))
    def payout_link(self, row: Discrepancy) -> SafeString | str:
        return link(row.payout)

    @admin.display(description=gettext_lazy("event"))
    def event(self, row: Discrepancy) -> SafeString | str:
        return link(WebhookEvent.objects.defer("raw").filter(id=row.event_id).first() if row.event_id else None)

    @admin.display(description=gettext_lazy("details"))
    def more(self, row: Discrepancy) -> SafeString:
        return format_html("<pre>{}</pre>", visible(json.dumps(row.details, indent=2, ensure_ascii=False)))

    def about(self, row: Discrepancy) -> dict[str, Any]:
        adjustments = row.adjustments.select_related("proposed_by", "decided_by").order_by("id")
        offered = [
            (
                remedy,
                shown_money(most, row.currency),
                reverse(f"admin:{self._url_name}_remedy", args=[row.pk, remedy.name]),
            )
            for remedy, most in remedies.possible(row)
        ]
        return {
            "compared": compared(row),
            "remedies": offered,
            "matching": reverse(f"admin:{self._url_name}_match", args=[row.pk]) if waits_for_settlements(row) else "",
            "limit": shown_money(remedies.limit(row.currency), row.currency) if offered else "",
            "adjustments": [(one, link(one), shown_money(one.amount, one.currency)) for one in adjustments],
            "trail": list(audit.trail(row).order_by("id")),
        }

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may = {"may_end": request.user.has_perm(MAY)}
        return super().change_view(request, object_id, form_url, {**may, **(extra_context or {})})

    # --- Ending one with money ---

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:row_id>/remedy/<slug:name>/", wrap(self.end), name=f"{self._url_name}_remedy"),
            path("<uuid:row_id>/match/", wrap(self.match), name=f"{self._url_name}_match"),
            *super().get_urls(),
        ]

    def end(self, request: HttpRequest, row_id: UUID, name: str) -> HttpResponse:
        """The page of one remedy: what it books, and what it has to know."""
        row = self._row(request, row_id)
        offered = {remedy.name: (remedy, most) for remedy, most in remedies.possible(row)}
        if name not in offered:
            self.message_user(request, _("This remedy is not possible here (any more)."), "ERROR")
            return redirect(f"admin:{self._url_name}_change", row.pk)
        remedy, most = offered[name]
        form = RemedyForm(remedy, most, row.currency, request.POST if request.method == "POST" else None)
        if form.is_valid() and self._ended(request, row, name, form):
            return redirect(f"admin:{self._url_name}_change", row.pk)
        more = {"says": remedy.says, "money": shown_money(most, row.currency), "submit": remedy.label}
        return self._page(request, row, f"{remedy.label}: {row}", form, more)

    def match(self, request: HttpRequest, row_id: UUID) -> HttpResponse:
        """The page on which a person says what a line of our bank pays."""
        row = self._row(request, row_id)
        if not waits_for_settlements(row):
            raise Http404
        assert row.line is not None
        form = MatchingForm(row.line, request.POST if request.method == "POST" else None)
        if form.is_valid() and self._matched(request, row, form):
            return redirect(f"admin:{self._url_name}_change", row.pk)
        more = {
            "says": _("Each settlement gets its rest of the line; what is left over falls to the last."),
            "money": shown_money(row.amount, row.currency),
            "submit": _("Match"),
        }
        return self._page(request, row, _("What this line pays: %(row)s") % {"row": row}, form, more)

    def _row(self, request: HttpRequest, row_id: UUID) -> Discrepancy:
        if not (self.has_view_permission(request) and request.user.has_perm(MAY)):
            raise PermissionDenied
        row = self.get_object(request, str(row_id))
        if row is None:
            raise Http404
        assert isinstance(row, Discrepancy)
        return row

    def _ended(self, request: HttpRequest, row: Discrepancy, name: str, form: RemedyForm) -> bool:
        shop = form.cleaned_data.get("shop")
        try:
            made = remedies.propose(
                discrepancy_id=row.id,
                remedy=name,
                shop_id=shop.id if shop else None,
                amount=form.cleaned_data.get("part"),
                note=form.cleaned_data["note"],
                operator=_operator(request),
                now=timezone.now(),
            )
        except UnableToAct as refusal:
            form.add_error(None, refusal.detail)
            return False
        waits = made.state == made.State.PROPOSED
        self.message_user(
            request,
            _("%(made)s waits for a second operator.") % {"made": made}
            if waits
            else _("Booked: %(made)s.") % {"made": made},
        )
        return True

    def _matched(self, request: HttpRequest, row: Discrepancy, form: MatchingForm) -> bool:
        assert row.line_id is not None
        try:
            made = banking.match_credit(
                line_id=row.line_id,
                settlement_ids=[UUID(chosen) for chosen in form.cleaned_data["settlements"]],
                operator=_operator(request),
                reason=form.cleaned_data["note"],
                now=timezone.now(),
            )
        except UnableToAct as refusal:
            form.add_error(None, refusal.detail)
            return False
        self.message_user(request, _("Matched: %(made)s.") % {"made": made})
        return True

    def _page(
        self, request: HttpRequest, row: Discrepancy, title: str, form: Any, more: dict[str, Any]
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "form": form, "row": row}
        return TemplateResponse(request, "admin/payments/remedy.html", {**context, **more})


def _operator(request: HttpRequest) -> User:
    operator = request.user
    assert isinstance(operator, User)
    return operator
