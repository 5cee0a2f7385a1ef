"""Fee contracts as operators see them: every version of every scope, what it charges, and a form that adds the next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet, UUIDField, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import money
from merchants.acts import ActingAdmin
from merchants.audit import UnableToAct
from merchants.desk import desk
from merchants.lists import by_id, by_phone, public_id, shown_money
from merchants.models import User
from payments import fee_desk, fees
from payments.admin.fee_forms import VersionForm, begins, begun_from
from payments.fees import Rates
from payments.models import FeeContract

# Who says what is charged decides about every shop's money: more than the group of the operators may do.
ADD = "payments.add_feecontract"

_NOBODY = UUID(int=0)
_PREVIEWED_UNITS = (1, 2, 10, 50, 100, 1000, 10_000)


@admin.register(FeeContract, site=desk)
class FeeContractAdmin(ActingAdmin):
    """What shops and providers have agreed to. A version is never changed; another one follows it."""

    list_display = ["public", "scope", "version", "standing", "terms", "valid_from"]
    list_filter = ["side", "provider"]
    list_select_related = ["shop", "provider_account"]
    fields = ["public", "side", "provider", "currency", "whose", "version", "valid_from", "standing", "terms",
              "tolerance", "note", "made_by", "made_at"]  # fmt: skip
    search_help_text = gettext_lazy("fee_…, shp_…, pac_…, or a phone")
    change_list_template = "admin/payments/fees.html"
    change_form_template = "admin/payments/fee.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Each version with whether a later one of its scope has begun."""
        scope = {name: OuterRef(name) for name in ("side", "provider", "currency", "owner")}
        later = _with_owner(FeeContract.objects.all()).filter(
            **scope, version__gt=OuterRef("version"), valid_from__lte=timezone.now()
        )
        found = _with_owner(super().get_queryset(request)).annotate(replaced=Exists(later))
        return found.select_related("shop", "provider_account", "made_by")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, fee="id", shp="shop", pac="provider_account")
        yield from by_phone(term, "shop")

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: FeeContract) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("scope"))
    def scope(self, row: FeeContract) -> str:
        return f"{row.side} {row.provider} {row.currency}: {self.whose(row)}"

    @admin.display(description=gettext_lazy("of"))
    def whose(self, row: FeeContract) -> str:
        return str(row.shop or row.provider_account or _("all"))

    @admin.display(description=gettext_lazy("terms"))
    def terms(self, row: FeeContract) -> str:
        return fees.shown(fees.rates_of(row), row.currency)

    @admin.display(description=gettext_lazy("tolerance"))
    def tolerance(self, row: FeeContract) -> str:
        return shown_money(row.tolerance_amount, row.currency)

    @admin.display(description=gettext_lazy("standing"))
    def standing(self, row: Any) -> str:
        if row.replaced:
            return _("replaced")
        return _("in force") if row.valid_from <= timezone.now() else _("announced")

    def about(self, row: FeeContract) -> dict[str, Any]:
        return {"preview": _preview(row.side, row.currency, fees.rates_of(row), None)}

    # --- Adding a version ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.add_next)
        return [path("next/", view, name=f"{self._url_name}_next"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may = {"may_add": request.user.has_perm(ADD)}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may = {"may_add": request.user.has_perm(ADD)}
        return super().change_view(request, object_id, form_url, {**may, **(extra_context or {})})

    def add_next(self, request: HttpRequest) -> HttpResponse:
        """A version for a scope, which begins as the one it follows (`after`); first it is looked at, then kept."""
        if not request.user.has_perm(ADD):
            raise PermissionDenied
        if request.method != "POST":
            after = self.get_object(request, request.GET.get("after", ""))
            return self._page(request, VersionForm(initial=begun_from(after) if after else None), None)
        form, now = VersionForm(request.POST), timezone.now()
        if not form.is_valid():
            return self._page(request, form, None)
        if "keep" in request.POST and (made := self._added(request, form, now)) is not None:
            self.message_user(
                request,
                _("Added: version %(version)s of %(whose)s, %(terms)s.")
                % {"version": made.version, "whose": self.whose(made), "terms": self.terms(made)},
            )
            return redirect(f"admin:{self._url_name}_change", made.pk)
        return self._page(request, form, _of_form(form, now))

    def _added(self, request: HttpRequest, form: VersionForm, now: datetime) -> FeeContract | None:
        operator, given = request.user, form.cleaned_data
        assert isinstance(operator, User)
        try:
            return fee_desk.add_version(
                side=given["side"],
                provider=given["provider"],
                currency=given["currency"],
                shop=given["shop"],
                provider_account=given["account"],
                valid_from=begins(form, now),
                rates=form.rates,
                tolerance_amount=form.tolerance,
                operator=operator,
                note=given["reason"],
                now=now,
            )
        except UnableToAct as refusal:
            form.add_error(None, refusal.detail)
            return None

    def _page(self, request: HttpRequest, form: VersionForm, preview: dict[str, Any] | None) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {**self.admin_site.each_context(request), "title": _("Add a version"), "opts": self.opts}
        return TemplateResponse(
            request, "admin/payments/fee_version.html", {**context, "form": form, "preview": preview}
        )


def _with_owner(rows: QuerySet[FeeContract]) -> QuerySet[FeeContract]:
    return rows.annotate(owner=Coalesce("shop_id", "provider_account_id", Value(_NOBODY, UUIDField())))


def _of_form(form: VersionForm, now: datetime) -> dict[str, Any]:
    """What the typed version charges, beside what is charged there today, by its own scope or by that of all."""
    given = form.cleaned_data
    begun = FeeContract.objects.filter(
        side=given["side"], provider=given["provider"], currency=given["currency"], valid_from__lte=now
    )
    own = fee_desk.newest(begun.filter(shop=given["shop"], provider_account=given["account"]))
    today = own or fee_desk.newest(begun.filter(shop=None, provider_account=None))
    return _preview(given["side"], given["currency"], form.rates, fees.rates_of(today) if today else Rates())


def _preview(side: str, currency: str, rates: Rates, today: Rates | None) -> dict[str, Any]:
    """What some payments would be charged: round amounts, and both sides of each tier."""
    made = fees.charged if side == FeeContract.Side.CHARGE else fees.fee
    unit = 10 ** money.exponent(currency)
    amounts = {units * unit for units in _PREVIEWED_UNITS}
    amounts |= {amount for tier in rates.tiers for amount in (tier.from_amount - 1, tier.from_amount)}
    rows = [
        (
            shown_money(amount, currency),
            shown_money(made(rates, amount), currency),
            "" if today is None else shown_money(made(today, amount), currency),
        )
        for amount in sorted(amounts)
        if amount > 0
    ]
    return {"terms": fees.shown(rates, currency), "compared": today is not None, "rows": rows}
