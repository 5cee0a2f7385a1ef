"""A shop as operators see it: found by anything of it, its whole story on its page, and *freeze*."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import shops
from merchants.acts import Act, ActingAdmin
from merchants.desk import desk
from merchants.lists import Recorded, among, by_id, by_phone, public_id
from merchants.models import Shop, Staff, User
from payments import freezing
from payments.admin.paying import account_ids
from payments.admin.story import Story
from payments.models import Payment
from payments.payouts import bank_lines

_SHOPS_MAX = 20  # An id that more accounts than these have given is no id.
# By the id of anything that is a shop's, its page is found.
_IDS = {"shp": "id", "cod": "codes", "pay": "payments", "int": "intents", "rfd": "refunds", "dsp": "disputes",
        "pyo": "payouts", "dis": "discrepancies", "alm": "code_alarms", "pac": "provider_accounts"}  # fmt: skip


def _freeze(rows: Sequence[Shop], *, operator: User, reason: str, now: datetime) -> str:
    closing = 0
    for shop in sorted(rows, key=lambda shop: shop.id):
        closing += freezing.freeze(shop_id=shop.id, operator=operator, reason=reason, now=now)
    return _("Frozen: %(rows)s. Payments being closed: %(closing)s.") % {
        "rows": ", ".join(map(str, rows)),
        "closing": closing,
    }


def _unfreeze(rows: Sequence[Shop], *, operator: User, reason: str, now: datetime) -> str:
    for shop in sorted(rows, key=lambda shop: shop.id):
        freezing.unfreeze(shop_id=shop.id, operator=operator, reason=reason, now=now)
    return _("Not frozen any more: %(rows)s.") % {"rows": ", ".join(map(str, rows))}


def _give_check_word(rows: Sequence[Shop], *, operator: User, reason: str, now: datetime) -> str:
    given = [
        (shop, shops.give_check_word(shop_id=shop.id, operator=operator, reason=reason, now=now))
        for shop in sorted(rows, key=lambda shop: shop.id)
    ]
    told = ", ".join(_("%(shop)s has “%(word)s”") % {"shop": shop, "word": word} for shop, word in given)
    return _("Their signs must be printed again: %(shops)s.") % {"shops": told}


@admin.register(Shop, site=desk)
class ShopAdmin(ActingAdmin):
    """Everybody who is paid through us."""

    list_display = ["name", "public", "owner", "state", "country", "currency", "created_at"]
    list_filter = ["state", Recorded]
    fields = [
        ("public", "name", "check_word"),
        ("state", "state_reason", "created_at"),
        ("country", "currency", "currency_locked_at", "time_zone"),
    ]
    search_help_text = gettext_lazy(
        "the phone of somebody in it, the slug of one of its codes, a receipt, a provider's own id of a payment, "
        "refund or dispute, an id of ours (shp_…, cod_…, int_…, pay_…, rfd_…, dsp_…, pyo_…, dis_…), or its name"
    )
    change_form_template = "admin/payments/with_parts.html"
    acts = [
        Act("freeze", gettext_lazy("Freeze"), "merchants.change_shop", _freeze, lambda shop: shop.state in ("active",
            "restricted"),
            gettext_lazy("Why is it frozen? It starts no payment, no refund and no payout; open payments are closed.")),
        Act("unfreeze", gettext_lazy("Unfreeze"), "merchants.change_shop", _unfreeze,
            lambda shop: shop.state == "frozen",
            gettext_lazy("Why may it go on?")),
        Act("give-check-word", gettext_lazy("Give a new check word"), "merchants.change_shop", _give_check_word,
            lambda shop: shop.state != "closed",
            gettext_lazy("Why does she need another? Every sign and sticker that shows the old one is wrong "
                         "from now on.")),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The owners are read for the list only; a shop's page tells of its people in a part of its own."""
        rows = super().get_queryset(request)
        if request.resolver_match is None or not str(request.resolver_match.url_name).endswith("_changelist"):
            return rows
        owners = Staff.objects.filter(role=Staff.Role.OWNER).select_related("user").order_by("id")
        return rows.prefetch_related(Prefetch("staff", owners, to_attr="owners"))

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, **_IDS)
        yield from by_phone(term, "id")
        yield Q(codes__slug=term)
        yield Q(intents__receipt=term)
        yield from _of_providers_id(term)
        yield Q(name__icontains=term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Shop) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("owner"))
    def owner(self, row: Any) -> str:
        return ", ".join(staff.user.phone for staff in row.owners)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """The fields, and below them all that this operator may see of the shop."""
        story = Story(obj, request.user.has_perm, timezone.now())
        return super().render_change_form(request, {**context, "parts": story.parts()}, add, change, form_url, obj)


def _of_providers_id(term: str) -> Iterator[Q]:
    """The shop of what a provider calls so: a payment, a refund, a dispute, or a payout of ours."""
    paid = Payment.objects.filter(object_id=term, provider_account__in=account_ids())
    yield Q(id__in=list(paid.exclude(shop=None).values_list("shop", flat=True)[:_SHOPS_MAX]))
    yield among("id", Shop.objects.filter(refunds__object_id=term).distinct())
    yield among("id", Shop.objects.filter(disputes__object_id=term).distinct())
    if found := bank_lines.payout_id(term):
        yield Q(payouts=found)
