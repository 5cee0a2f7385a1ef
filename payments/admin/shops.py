"""A shop as operators see it: its people, codes, money and history, and *freeze*."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest

from merchants import audit, shops
from merchants.acts import Act, ActingAdmin
from merchants.desk import desk
from merchants.lists import Recorded, by_id, by_phone, public_id, shown_money
from merchants.models import Shop, Staff, User
from payments import freezing
from payments.admin.links import address
from payments.models import Account, Discrepancy, Payment, PaymentIntent

_ROWS = 20  # Of each kind on a shop's page; the rest is a search away.


def _freeze(rows: Sequence[Shop], *, operator: User, reason: str, now: datetime) -> str:
    closing = 0
    for shop in sorted(rows, key=lambda shop: shop.id):
        closing += freezing.freeze(shop_id=shop.id, operator=operator, reason=reason, now=now)
    return f"Frozen: {', '.join(map(str, rows))}. Payments being closed: {closing}."


def _unfreeze(rows: Sequence[Shop], *, operator: User, reason: str, now: datetime) -> str:
    for shop in sorted(rows, key=lambda shop: shop.id):
        freezing.unfreeze(shop_id=shop.id, operator=operator, reason=reason, now=now)
    return f"Not frozen any more: {', '.join(map(str, rows))}."


def _give_check_word(rows: Sequence[Shop], *, operator: User, reason: str, now: datetime) -> str:
    given = [
        (shop, shops.give_check_word(shop_id=shop.id, operator=operator, reason=reason, now=now))
        for shop in sorted(rows, key=lambda shop: shop.id)
    ]
    return "Their signs must be printed again: " + ", ".join(f"{shop} has “{word}”" for shop, word in given) + "."


@admin.register(Shop, site=desk)
class ShopAdmin(ActingAdmin):
    """Everybody who is paid through us."""

    list_display = ["name", "public", "owner", "state", "country", "currency", "created_at"]
    list_filter = ["state", Recorded]
    fields = ["public", "name", "state", "state_reason", "country", "currency", "currency_locked_at", "time_zone",
              "check_word", "created_at"]  # fmt: skip
    search_help_text = "shp_…, the phone of somebody in it, the slug of one of its codes, or its name"
    change_form_template = "admin/payments/shop.html"
    acts = [
        Act("freeze", "Freeze", "merchants.change_shop", _freeze, lambda shop: shop.state in ("active", "restricted"),
            "Why is it frozen? It starts no payment, no refund and no payout; open payments are closed."),
        Act("unfreeze", "Unfreeze", "merchants.change_shop", _unfreeze, lambda shop: shop.state == "frozen",
            "Why may it go on?"),
        Act("give-check-word", "Give a new check word", "merchants.change_shop", _give_check_word,
            lambda shop: shop.state != "closed",
            "Why does she need another? Every sign and sticker that shows the old one is wrong from now on."),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        owners = Staff.objects.filter(role=Staff.Role.OWNER).select_related("user").order_by("id")
        return super().get_queryset(request).prefetch_related(Prefetch("staff", owners, to_attr="owners"))

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, shp="id", cod="codes")
        yield from by_phone(term, "id")
        yield Q(codes__slug=term)
        yield Q(name__icontains=term)

    @admin.display(description="id")
    def public(self, row: Shop) -> str:
        return public_id(row)

    @admin.display(description="owner")
    def owner(self, row: Any) -> str:
        return ", ".join(staff.user.phone for staff in row.owners)

    def about(self, row: Shop) -> dict[str, Any]:
        """People, codes, balances, what is open, what was paid, and what operators did."""
        still_open = PaymentIntent.objects.filter(shop=row, state="open", next_close_at__isnull=False)
        accounts = Account.objects.filter(shop=row, balance__isnull=False).select_related("balance").order_by("id")
        return {
            "people": row.staff.select_related("user").order_by("id")[:_ROWS],
            "codes": row.codes.select_related("item").order_by("-id")[:_ROWS],
            "balances": [
                (account, shown_money(account.balance.credits - account.balance.debits, account.currency))
                for account in accounts
            ],
            "intents": [_line(intent) for intent in still_open.order_by("-id")[:_ROWS]],
            "payments": [_line(payment) for payment in Payment.objects.filter(shop=row).order_by("-id")[:_ROWS]],
            "questions": [
                _line(question)
                for question in Discrepancy.objects.filter(shop=row, state="open").order_by("opened_at")[:_ROWS]
            ],
            "trail": audit.trail(row)[:_ROWS],
        }


def _line(row: PaymentIntent | Payment | Discrepancy) -> dict[str, Any]:
    return {"row": row, "id": public_id(row), "address": address(row), "money": shown_money(row.amount, row.currency)}
