"""The book as operators see it: accounts, their balances, snapshots and entries. It is read here and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import ids
from merchants.desk import desk
from merchants.lists import Recorded, Shown, by_id, by_phone, public_id, shown_money
from payments import boundary
from payments.admin.links import link
from payments.models import Account, AccountBalance, BalanceSnapshot, LedgerEntry, Payment, Refund, WebhookEvent


@admin.register(Account, site=desk)
class AccountAdmin(Shown):
    """Where money stands."""

    ordering = ["-id"]
    list_display = ["id", "kind", "funds", "shop", "provider_account", "stands"]
    list_select_related = ["shop", "provider_account", "balance"]
    list_filter = ["kind"]
    fields = ["id", "kind", "currency", "funds", "shop", "provider_account", "stands"]
    search_help_text = gettext_lazy("shp_…, pac_…, or a phone")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, shp="shop", pac="provider_account")
        yield from by_phone(term, "shop")

    @admin.display(description=gettext_lazy("credits less debits"))
    def stands(self, row: Account) -> str:
        held = AccountBalance(debits=0, credits=0) if not hasattr(row, "balance") else row.balance
        return shown_money(held.credits - held.debits, row.currency)


class _Totals(Shown):
    """Debits and credits of one account, in its currency."""

    list_select_related = ["account__shop", "account__provider_account"]
    search_help_text = gettext_lazy("shp_…, or a phone")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, shp="account__shop")
        yield from by_phone(term, "account__shop")

    @admin.display(description=gettext_lazy("debits"))
    def debited(self, row: Any) -> str:
        return shown_money(row.debits, row.account.currency)

    @admin.display(description=gettext_lazy("credits"))
    def credited(self, row: Any) -> str:
        return shown_money(row.credits, row.account.currency)


@admin.register(AccountBalance, site=desk)
class AccountBalanceAdmin(_Totals):
    """The running totals."""

    ordering = ["-account_id"]
    list_display = ["account", "debited", "credited"]
    fields = ["account", "debited", "credited"]


@admin.register(BalanceSnapshot, site=desk)
class BalanceSnapshotAdmin(_Totals):
    """The totals at the end of each day."""

    list_display = ["moment", "account", "debited", "credited"]
    fields = ["moment", "account", "debited", "credited"]


@admin.register(LedgerEntry, site=desk)
class LedgerEntryAdmin(Shown):
    """Every movement of money. A mistake is corrected by another entry, never here."""

    list_display = ["public", "recorded_at", "kind", "money", "debit", "credit"]
    list_filter = [Recorded]
    list_select_related = ["shop", "debit__shop", "debit__provider_account", "credit__shop", "credit__provider_account"]
    fields = ["public", "key", "kind", "money", "debit", "credit", "shop", "payment", "refund", "event",
              "occurred_at", "recorded_at"]  # fmt: skip
    search_help_text = gettext_lazy("ent_…, pay_…, rfd_…, shp_…, a phone, or an entry's key")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, ent="id", shp="shop")
        yield from _of_payment(term)
        yield from by_phone(term, "shop")
        yield Q(key=term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: LedgerEntry) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("amount"))
    def money(self, row: LedgerEntry) -> str:
        return shown_money(row.amount, row.currency)

    @admin.display(description=gettext_lazy("payment"))
    def payment(self, row: LedgerEntry) -> SafeString | str:
        return link(Payment.objects.filter(id=row.payment_id).first() if row.payment_id else None)

    @admin.display(description=gettext_lazy("refund"))
    def refund(self, row: LedgerEntry) -> SafeString | str:
        return link(Refund.objects.filter(id=row.refund_id).first() if row.refund_id else None)

    @admin.display(description=gettext_lazy("event"))
    def event(self, row: LedgerEntry) -> SafeString | str:
        return link(WebhookEvent.objects.defer("raw").filter(id=row.event_id).first() if row.event_id else None)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related(*self.list_select_related)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        here = boundary.since()
        if here is not None:
            told = _("Entries from before %(day)s (UTC) are in archives, and not in this list.")
            messages.info(request, told % {"day": date_format(here, "DATE_FORMAT")})
        return super().changelist_view(request, extra_context)


def _of_payment(term: str) -> Iterator[Q]:
    """The entries of a payment or a refund: through its shop and its time, for which there is an index."""
    payment, refund = None, None
    for reading in by_id(term, pay="id"):
        payment = Payment.objects.filter(reading).first()
    for reading in by_id(term, rfd="id"):
        refund = Refund.objects.filter(reading).select_related("payment").first()
    about = refund.payment if refund else payment
    if about is not None:
        which = Q(refund_id=refund.id) if refund else Q(payment_id=about.id)
        shop = Q(shop=about.shop_id) if about.shop_id else Q(shop__isnull=True)
        yield which & shop & Q(id__gte=ids.first_of(about.recorded_at))
