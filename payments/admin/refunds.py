"""Refunds as operators see them: those that are held are approved or refused, beside what their shop gave back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants.acts import Act, ActingAdmin
from merchants.desk import desk
from merchants.lists import Recorded, among, by_id, by_phone, public_id, shown_money
from merchants.models import User
from payments import refund_reviews, refunds, story
from payments.admin.links import link
from payments.admin.parts import ROWS, Part, at
from payments.admin.paying import account_ids
from payments.admin.story import given_back, sums, sums_columns
from payments.models import Payment, Refund

MAY = "payments.change_refund"


def _approve(rows: Sequence[Refund], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=_in_order):
        refund_reviews.approve(refund_id=row.id, operator=operator, reason=reason, now=now)
    return _("Approved: %(refunds)s. The provider is asked now.") % {"refunds": ", ".join(map(str, rows))}


def _refuse(rows: Sequence[Refund], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=_in_order):
        refund_reviews.refuse(refund_id=row.id, operator=operator, reason=reason, now=now)
    told = _("Refused: %(refunds)s. The money is the shop's again, and it is told why.")
    return told % {"refunds": ", ".join(map(str, rows))}


def _in_order(row: Refund) -> tuple[str, str, str]:
    """That of the locks: whoever decides on many does not wait for somebody who waits for her."""
    return str(row.shop_id), str(row.payment_id), str(row.id)


class Held(admin.SimpleListFilter):
    """Those that wait for an operator: there is an index of them and of no others."""

    title = gettext_lazy("review")
    parameter_name = "held"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("waits for an operator"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "yes":
            return queryset
        return queryset.filter(review=Refund.Review.WAITING, state=Refund.State.REQUESTED)


@admin.register(Refund, site=desk)
class RefundAdmin(ActingAdmin):
    """Money back. What is above the limit waits here before the provider is asked."""

    list_display = ["public", "created_at", "shop", "money", "stands", "origin", "object_id"]
    list_filter = [Held, Recorded]
    list_select_related = ["shop"]
    fields = ["public", "shop_link", "money", "payment_link", "paid", "stands", "reviewed", "refusal", "limit",
              "origin", "requested_by_whom", "by_code", "reason", "failure", "object_id", "created_at", "settled_at",
              "attempts", "next_call_at"]  # fmt: skip
    search_help_text = gettext_lazy(
        "rfd_…, pay_…, shp_…, a phone, or the provider's own id of the payment or the refund"
    )
    change_form_template = "admin/payments/with_parts.html"
    acts = [
        Act("approve", gettext_lazy("Approve"), MAY, _approve, lambda row: row.held,
            gettext_lazy("What did you check? The provider is asked at once: this cannot be taken back.")),
        Act("refuse", gettext_lazy("Refuse"), MAY, _refuse, lambda row: row.held,
            gettext_lazy("Why not? The shop reads this; it has the money again.")),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("shop", "payment", "requested_by__user", "reviewed_by")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, rfd="id", pay="payment", shp="shop")
        yield from by_phone(term, "shop")
        yield among("payment", Payment.objects.filter(object_id=term, provider_account__in=account_ids()))
        yield Q(object_id=term)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """The fields, and below them what to judge a refund by."""
        parts = list(_beside(obj, timezone.now())) if obj and request.user.has_perm("payments.view_payment") else []
        return super().render_change_form(request, {**context, "parts": parts}, add, change, form_url, obj)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Refund) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("amount"))
    def money(self, row: Refund) -> str:
        return shown_money(row.amount, row.currency)

    @admin.display(description=gettext_lazy("state"))
    def stands(self, row: Refund) -> str:
        state = str(row.get_state_display())
        return f"{state}: {row.get_review_display()}" if row.review else state

    @admin.display(description=gettext_lazy("payment"))
    def payment_link(self, row: Refund) -> SafeString | str:
        return link(row.payment)

    @admin.display(description=gettext_lazy("paid"))
    def paid(self, row: Refund) -> str:
        return shown_money(row.payment.amount, row.payment.currency)

    @admin.display(description=gettext_lazy("shop"))
    def shop_link(self, row: Refund) -> SafeString | str:
        return link(row.shop)

    @admin.display(description=gettext_lazy("decided by"))
    def reviewed(self, row: Refund) -> str:
        return f"{row.reviewed_by}, {date_format(row.reviewed_at, 'DATETIME_FORMAT')}" if row.reviewed_at else "–"

    @admin.display(description=gettext_lazy("an operator looks above"))
    def limit(self, row: Refund) -> str:
        return shown_money(refunds.review_limit(row.currency), row.currency)

    @admin.display(description=gettext_lazy("requested by"))
    def requested_by_whom(self, row: Refund) -> str:
        return str(row.requested_by or "–")

    @admin.display(description=gettext_lazy("with a fresh code"), boolean=True)
    def by_code(self, row: Refund) -> bool:
        return row.confirmed


def _beside(refund: Refund, now: datetime) -> Iterator[Part]:
    """The other refunds of its payment, and what its shop was paid and gave back in thirty days."""
    others = Refund.objects.filter(payment=refund.payment_id).exclude(id=refund.id).order_by("-id")[: ROWS + 1]
    rows = [
        [link(row), shown_money(row.amount, row.currency), row.get_state_display(), row.created_at] for row in others
    ]
    columns = [_("Refund"), "#" + _("Amount"), _("State"), _("Asked at")]
    yield Part("others", _("Other refunds of this payment"), columns, rows[:ROWS], more=len(rows) > ROWS)
    if refund.shop is None:
        return
    for of in story.money(shop=refund.shop, now=now):
        if of.currency == refund.currency:
            yield Part(
                "given-back",
                _("What the shop gave back in %(currency)s") % {"currency": of.currency},
                sums_columns(),
                sums(of),
                every=at("payments.refund", q=public_id(refund.shop), since=720),
                before=given_back(of),
            )
