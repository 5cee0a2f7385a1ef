"""What does not fit, as operators see it: whose it is, what we suggest, and *take* and *resolve*."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from merchants.acts import Act, ActingAdmin
from merchants.desk import desk
from merchants.lists import among, by_id, by_phone, public_id, shown_money
from merchants.models import User
from payments import operating
from payments.admin.inbox import visible
from payments.admin.links import link
from payments.admin.paying import of_code
from payments.models import Discrepancy, Payment, PaymentIntent, ProviderAccount, WebhookEvent


def _take(rows: Sequence[Discrepancy], *, operator: User, reason: str, now: datetime) -> str:
    count = operating.take(discrepancy_ids=[row.id for row in rows], operator=operator, now=now)
    return f"Yours now: {count}."


def _resolve(rows: Sequence[Discrepancy], *, operator: User, reason: str, now: datetime) -> str:
    ids = [row.id for row in rows]
    return f"Resolved: {operating.resolve(discrepancy_ids=ids, operator=operator, note=reason, now=now)}."


def _is_open(row: Discrepancy) -> bool:
    return row.state == Discrepancy.State.OPEN


@admin.register(Discrepancy, site=desk)
class DiscrepancyAdmin(ActingAdmin):
    """Questions about money: the open ones first, the oldest of them first."""

    ordering = ["state", "opened_at", "id"]
    list_display = ["public", "state", "reason", "money", "shop", "owner", "age"]
    list_filter = ["state", "reason", ("owner", admin.EmptyFieldListFilter)]
    list_select_related = ["shop", "owner"]
    fields = ["public", "state", "reason", "suggestion", "money", "shop", "provider_account", "payment", "intent_link",
              "event", "more", "owner", "opened_at", "resolved_at", "resolution"]  # fmt: skip
    search_help_text = "dis_…, pay_…, int_…, shp_…, a phone, a receipt, a code's slug, or the provider's own id"
    acts = [
        Act("take", "Take", "payments.change_discrepancy", _take, _is_open),
        Act("resolve", "Resolve", "payments.change_discrepancy", _resolve, _is_open,
            "What was found, and what was done about it? This is final."),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("shop", "owner", "payment", "intent", "provider_account")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, dis="id", pay="payment", int="intent", shp="shop", evt="event_id")
        yield from by_phone(term, "shop")
        accounts = list(ProviderAccount.objects.values_list("id", flat=True))
        yield among("payment", Payment.objects.filter(object_id=term, provider_account__in=accounts))
        yield among("intent", PaymentIntent.objects.filter(receipt=term))
        yield from of_code(term)

    @admin.display(description="id")
    def public(self, row: Discrepancy) -> str:
        return public_id(row)

    @admin.display(description="what does not fit")
    def money(self, row: Discrepancy) -> str:
        return shown_money(row.amount, row.currency)

    @admin.display(description="age")
    def age(self, row: Discrepancy) -> str:
        return timesince(row.opened_at, row.resolved_at, depth=1)

    @admin.display(description="intent")
    def intent_link(self, row: Discrepancy) -> SafeString | str:
        return link(row.intent)

    @admin.display(description="event")
    def event(self, row: Discrepancy) -> SafeString | str:
        return link(WebhookEvent.objects.defer("raw").filter(id=row.event_id).first() if row.event_id else None)

    @admin.display(description="details")
    def more(self, row: Discrepancy) -> SafeString:
        return format_html("<pre>{}</pre>", visible(json.dumps(row.details, indent=2, ensure_ascii=False)))
