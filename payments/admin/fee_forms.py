"""The form by which operators add a version to a fee contract: shares in percent, amounts in the currency's units."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django import forms
from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import ids, money
from merchants.models import Shop
from payments import providers
from payments.fees import Rates, Tier, percent
from payments.models import FeeContract, ProviderAccount

_PERCENT = re.compile(r"(\d{1,3})(?:[.,](\d{1,4}))?", re.ASCII)

Row = TypeVar("Row", bound=Model)


class VersionForm(forms.Form):
    """A scope, its rates, and from when they hold; `rates` and `tolerance` are there once the form is valid."""

    rates: Rates
    tolerance: int
    side = forms.ChoiceField(choices=FeeContract.Side.choices, label=gettext_lazy("Which side?"))
    provider = forms.ChoiceField(choices=[(name, name) for name in providers.MODULES])
    currency = forms.CharField(max_length=3, help_text=gettext_lazy("CNY"))
    shop = forms.CharField(
        max_length=40, required=False, help_text=gettext_lazy("shp_…, when it is one shop's; else of all shops.")
    )
    account = forms.CharField(
        max_length=40,
        required=False,
        help_text=gettext_lazy("pac_…, when the provider charges one account so; else of all."),
    )
    percent = forms.CharField(max_length=8, initial="0", help_text=gettext_lazy("0.6 is 0.6 %; at most four decimals"))
    fixed = forms.CharField(
        max_length=20, initial="0", help_text=gettext_lazy("for each payment, in the currency's units: 0.10")
    )
    floor = forms.CharField(max_length=20, initial="0", label=gettext_lazy("At least"))
    cap = forms.CharField(
        max_length=20, required=False, label=gettext_lazy("At most"), help_text=gettext_lazy("empty: no cap")
    )
    tiers = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("one a line: from which amount on, percent, fixed part; 1000 0.5 0.10"),
    )
    tolerance_text = forms.CharField(
        max_length=20,
        initial="0",
        label=gettext_lazy("Tolerance"),
        help_text=gettext_lazy("only where a provider charges: up to it, none asks"),
    )
    valid_from = forms.DateTimeField(
        required=False, help_text=gettext_lazy("UTC: 2026-12-01 00:00; empty: from now on")
    )
    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 2}), label=gettext_lazy("Why, and by which paper?")
    )

    def clean_currency(self) -> str:
        code = str(self.cleaned_data["currency"]).upper()
        if not money.is_currency(code):
            raise forms.ValidationError(_("There is no such currency."), "currency_unknown")
        return code

    def clean_shop(self) -> Shop | None:
        return _named(Shop, Shop.prefix, self.cleaned_data["shop"])

    def clean_account(self) -> ProviderAccount | None:
        return _named(ProviderAccount, ProviderAccount.prefix, self.cleaned_data["account"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        currency = cleaned.get("currency")
        if not currency:
            return cleaned

        def amount(text: str) -> int:
            return money.minor_units(text, currency)

        per_million = self._read("percent", parts_per_million)
        fixed, floor = self._read("fixed", amount), self._read("floor", amount)
        cap = self._read("cap", amount) if cleaned.get("cap") else None
        tiers = self._read("tiers", lambda text: _tiers(text, amount))
        tolerance = self._read("tolerance_text", amount)
        if not self.errors:
            self.rates, self.tolerance = Rates(per_million, fixed, floor, cap, tiers), tolerance
        return cleaned

    def _read(self, name: str, reading: Callable[[str], Any]) -> Any:
        """The field as it is kept; what cannot be read is said beside it."""
        try:
            return reading(self.cleaned_data.get(name, ""))
        except ValueError as wrong:
            self.add_error(name, forms.ValidationError(str(wrong), "unreadable"))
            return 0


def parts_per_million(text: str) -> int:
    """What a person typed as percent ("0.6", "2,9"). Raises ValueError."""
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise ValueError(_("A share is written as 0.6, with at most four decimals."))
    return int(found[1]) * 10_000 + int((found[2] or "").ljust(4, "0"))


def begun_from(row: FeeContract) -> dict[str, Any]:
    """The form as it begins when a version follows this one: its scope and its rates."""

    def typed(amount: int) -> str:
        return f"{money.decimal(amount, row.currency):f}"

    return {
        "side": row.side,
        "provider": row.provider,
        "currency": row.currency,
        "shop": ids.public(Shop.prefix, row.shop_id) if row.shop_id else "",
        "account": ids.public(ProviderAccount.prefix, row.provider_account_id) if row.provider_account_id else "",
        "percent": percent(row.parts_per_million),
        "fixed": typed(row.fixed_amount),
        "floor": typed(row.floor_amount),
        "cap": "" if row.cap_amount is None else typed(row.cap_amount),
        "tiers": "\n".join(
            f"{typed(tier['from_amount'])} {percent(tier['parts_per_million'])} {typed(tier['fixed_amount'])}"
            for tier in row.tiers
        ),
        "tolerance_text": typed(row.tolerance_amount),
    }


def begins(form: VersionForm, now: datetime) -> datetime:
    """From when the version holds; what was left empty is now."""
    chosen: datetime | None = form.cleaned_data["valid_from"]
    return chosen or now


def _named(model: type[Row], prefix: str, text: str) -> Row | None:
    if not text:
        return None
    try:
        found: Row = model._default_manager.get(pk=ids.parse(prefix, text))
    except (ValueError, model.DoesNotExist):  # type: ignore[attr-defined]  # Every model has it.
        raise forms.ValidationError(_("There is no such one."), "unknown") from None
    return found


def _tiers(text: str, amount: Callable[[str], int]) -> tuple[Tier, ...]:
    found = []
    for line in text.splitlines():
        parts = line.split()
        if not parts:
            continue
        if len(parts) not in (2, 3):
            raise ValueError(_("A tier is written as: 1000 0.5 0.10"))
        fixed = amount(parts[2]) if len(parts) == 3 else 0
        found.append(Tier(amount(parts[0]), parts_per_million(parts[1]), fixed))
    return tuple(found)
