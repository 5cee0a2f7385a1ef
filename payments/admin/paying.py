"""What we expect and what happened, as operators see it and nobody changes it: intents and payments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from merchants.desk import desk
from merchants.lists import Recorded, Shown, among, by_id, by_phone, public_id, shown_money
from merchants.models import Code
from payments.admin.links import link
from payments.models import Discrepancy, IntentTimer, Payment, PaymentIntent, ProviderAccount


@admin.register(PaymentIntent, site=desk)
class PaymentIntentAdmin(Shown):
    """What customers were about to pay."""

    list_display = ["public", "created_at", "shop", "money", "description", "state", "closing"]
    list_filter = [Recorded]
    list_select_related = ["shop"]
    fields = ["public", "shop", "code_slug", "description", "quantity", "money", "state", "closing", "paid_by",
              "provider_account", "receipt", "redirect_url", "start_failure", "created_at", "expires_at", "closed_at",
              "queries", "next_query_at", "next_close_at"]  # fmt: skip
    search_help_text = gettext_lazy("int_…, shp_…, a phone, a receipt, or the slug of a code")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, int="id", shp="shop", pay="payments")
        yield from by_phone(term, "shop")
        yield Q(receipt=term)
        yield among("code", Code.objects.filter(slug=term))

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: PaymentIntent) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("amount"))
    def money(self, row: PaymentIntent) -> str:
        return shown_money(row.amount, row.currency)

    @admin.display(description=gettext_lazy("code"))
    def code_slug(self, row: PaymentIntent) -> str:
        return row.code.slug

    @admin.display(description=gettext_lazy("payments"))
    def paid_by(self, row: PaymentIntent) -> SafeString | str:
        return SafeString(", ".join(link(payment) for payment in row.payments.order_by("id"))) or "–"

    @admin.display(description=gettext_lazy("queries"))
    def queries(self, row: PaymentIntent) -> int | None:
        timer = _timer(row)
        return timer.queries if timer else None

    @admin.display(description=gettext_lazy("next query at"))
    def next_query_at(self, row: PaymentIntent) -> datetime | None:
        timer = _timer(row)
        return timer.next_query_at if timer else None

    @admin.display(description=gettext_lazy("next close at"))
    def next_close_at(self, row: PaymentIntent) -> datetime | None:
        timer = _timer(row)
        return timer.next_close_at if timer else None


@admin.register(Payment, site=desk)
class PaymentAdmin(Shown):
    """What providers say happened."""

    list_display = ["public", "recorded_at", "shop", "money", "match", "placed", "object_id"]
    list_filter = [Recorded]
    list_select_related = ["shop"]
    fields = ["public", "shop", "money", "match", "placed", "intent_link", "provider_account", "object_id",
              "refunded", "contested", "fee", "questions", "occurred_at", "recorded_at", "due_at"]  # fmt: skip
    search_help_text = gettext_lazy("pay_…, int_…, shp_…, a phone, a receipt, a code's slug, or the provider's own id")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, pay="id", int="intent", shp="shop", rfd="refunds")
        yield from by_phone(term, "shop")
        yield Q(object_id=term, provider_account__in=account_ids())
        yield among("intent", PaymentIntent.objects.filter(receipt=term))
        yield from of_code(term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Payment) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("amount"))
    def money(self, row: Payment) -> str:
        return shown_money(row.amount, row.currency)

    @admin.display(description=gettext_lazy("our fee"))
    def fee(self, row: Payment) -> str:
        return shown_money(row.fee_amount, row.currency)

    @admin.display(description=gettext_lazy("intent"))
    def intent_link(self, row: Payment) -> SafeString | str:
        return link(row.intent)

    @admin.display(description=gettext_lazy("refunds"))
    def refunded(self, row: Payment) -> SafeString | str:
        return SafeString(", ".join(link(refund) for refund in row.refunds.order_by("id"))) or "–"

    @admin.display(description=gettext_lazy("disputes"))
    def contested(self, row: Payment) -> SafeString | str:
        return SafeString(", ".join(link(dispute) for dispute in row.disputes.order_by("id"))) or "–"

    @admin.display(description=gettext_lazy("discrepancies"))
    def questions(self, row: Payment) -> SafeString | str:
        found = Discrepancy.objects.filter(payment=row).order_by("id")
        return SafeString(", ".join(link(question) for question in found)) or "–"


def _timer(row: PaymentIntent) -> IntentTimer | None:
    """Nothing waits for one that was paid, or that nobody asks about any more."""
    return getattr(row, "timer", None)


def of_code(slug: str) -> Iterator[Q]:
    """What was paid by a code, through its shop: there is an index for that."""
    for code in Code.objects.filter(slug=slug):
        yield Q(shop=code.shop_id, intent__code=code)


def account_ids() -> list[UUID]:
    """The index of a provider's ids begins with the account."""
    return list(ProviderAccount.objects.values_list("id", flat=True))
