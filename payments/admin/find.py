"""One search for the whole desk: a phone, a slug, a receipt, a provider's own id or one of ours leads to its page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from merchants import ids
from merchants.desk import Page, desk
from merchants.lists import phone_prefix, public_id, shown_money
from merchants.models import Code, Shop
from payments.admin.archives import holding
from payments.admin.links import address, link
from payments.admin.parts import ROWS, Part, at, named
from payments.admin.paying import account_ids
from payments.models import Archive, Dispute, Payment, PaymentIntent, Payout, Refund
from payments.payouts import bank_lines

NAME = "find"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of one table that the text may mean: at most one more than is shown."""

    heading: str
    model: type[Model]
    rows: Sequence[Any]


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """What was found; one thing alone is gone to at once."""
    term = request.GET.get("q", "").strip()[:_LONGEST]
    request.current_app = desk.name
    found = list(_found(request, term)) if term.isprintable() and term else []
    rows = [row for of in found for row in of.rows]
    if len(rows) == 1:
        if isinstance(rows[0], Archive):
            told = _("“%(term)s” is from a month that is in this archive, and in no table any more.")
            messages.info(request, told % {"term": term})
        return redirect(address(rows[0]))
    context = {
        **desk.each_context(request),
        "title": _("Find"),
        "term": term,
        "parts": [_part(of) for of in found],
        "finds": True,
    }
    return TemplateResponse(request, "admin/payments/find.html", context)


def _found(request: HttpRequest, term: str) -> Iterator[_Found]:
    """Each table that this operator may see and in which something is called so; a name is only looked for at last."""

    def some(heading: str, rows: QuerySet[Any]) -> Iterator[_Found]:
        if request.user.has_perm(f"{rows.model._meta.app_label}.view_{rows.model._meta.model_name}"):
            listed = list(rows.order_by("-pk")[: ROWS + 1])
            if listed:
                yield _Found(heading, rows.model, listed)

    if known := _named(term):
        yield from some(_("By its id"), known)
        return
    if held := holding(term):
        yield from some(_("By its id"), Archive.objects.filter(held, retired_at__isnull=False))
        return
    any_found = False
    for heading, rows in _called(term):
        for of in some(heading, rows):
            any_found = True
            yield of
    if not any_found:
        yield from some(_("Shops of that name"), Shop.objects.filter(name__icontains=term))


def _named(term: str) -> QuerySet[Any] | None:
    """The row of one of our public ids, whichever table of the desk it is of."""
    prefix = term.partition("_")[0]
    for model in desk._registry:
        if getattr(model, "prefix", "") == prefix:
            try:
                rows: QuerySet[Any] = model._default_manager.filter(pk=ids.parse(prefix, term))
                return rows
            except ValueError:
                return None
    return None


def _called(term: str) -> Iterator[tuple[str, QuerySet[Any]]]:
    """What the text may mean, each an indexed question."""
    if found := phone_prefix(term):
        yield _("Shops with this phone"), Shop.objects.filter(staff__user__phone__startswith=found).distinct()
    yield _("Codes"), Code.objects.filter(slug=term).select_related("shop")
    begun = PaymentIntent.objects.filter(receipt=term).select_related("shop")
    arrived = Payment.objects.filter(intent__in=list(begun.values_list("pk", flat=True))).select_related("shop")
    yield (_("Payments of this receipt"), arrived) if arrived.exists() else (_("Begun, with this receipt"), begun)
    by_provider = Payment.objects.filter(object_id=term, provider_account__in=account_ids()).select_related("shop")
    yield _("Payments that a provider calls so"), by_provider
    yield _("Refunds that a provider calls so"), Refund.objects.filter(object_id=term).select_related("shop")
    yield _("Disputes that a provider calls so"), Dispute.objects.filter(object_id=term).select_related("shop")
    if payout := bank_lines.payout_id(term):
        yield _("Payouts with this reference"), Payout.objects.filter(id=payout).select_related("shop")
    yield from _bare(term)


def _bare(term: str) -> Iterator[tuple[str, QuerySet[Any]]]:
    """An id as our logs print it."""
    try:
        bare = UUID(term)
    except ValueError:
        return
    for model, heading in (
        (Shop, _("Shops")),
        (PaymentIntent, _("Begun")),
        (Payment, _("Payments")),
        (Refund, _("Refunds")),
        (Payout, _("Payouts")),
    ):
        yield heading, model.objects.filter(pk=bare)


def _part(found: _Found) -> Part:
    rows = [_line(row) for row in found.rows[:ROWS]]
    columns = [_("What"), _("Shop"), "#" + _("Amount"), _("State")]
    more = len(found.rows) > ROWS
    table = f"{found.model._meta.app_label}.{found.model._meta.model_name}"
    return Part(f"found-{found.model._meta.model_name}", found.heading, columns, rows, every=at(table), more=more)


def _line(row: Any) -> list[Any]:
    if isinstance(row, Shop):
        return [named(row, row.name), public_id(row), "", row.get_state_display()]
    if isinstance(row, Code):
        return [named(row, row.slug), link(row.shop), "", row.get_state_display()]
    state = row.get_match_display() if isinstance(row, Payment) else row.get_state_display()
    return [link(row), link(row.shop), shown_money(row.amount, row.currency), state]


desk.add_page(
    Page(
        NAME,
        gettext_lazy("Find"),
        gettext_lazy("a shop, a code, a payment, a refund, a dispute or a payout, by whatever it is called"),
        page,
    )
)
