"""The forms by which operators enter credentials: a field for each value that the provider asks for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import ids
from merchants.models import Shop
from payments import entered, providers
from payments.models import ProviderAccount
from payments.providers.base import Field

_PREFIX = "credential_"  # A provider may call a field of its own "name" or "reason".


class CredentialForm(forms.Form):
    """What the provider asks for; `given` holds it as it is kept, once the form is valid."""

    provider: str
    given: dict[str, str]
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 2}), label=gettext_lazy("Why?"))

    def __init__(self, provider: str, data: QueryDict | None) -> None:
        super().__init__(data)
        self.provider, self.given = provider, {}
        for field in providers.named(provider).FIELDS:
            self.fields[_PREFIX + field.name] = _form_field(field, provider)
        self.order_fields([*(_PREFIX + field.name for field in providers.named(provider).FIELDS)])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        typed = {
            name.removeprefix(_PREFIX): value for name, value in cleaned.items() if name.startswith(_PREFIX) and value
        }
        try:
            self.given = entered.read(self.provider, typed)
        except entered.Wrong as wrong:
            for name, (code, detail) in wrong.errors.items():
                self.add_error(_PREFIX + name, forms.ValidationError(detail, code))
        return cleaned


class OpeningForm(CredentialForm):
    """And whose account it is."""

    name = forms.SlugField(max_length=40, help_text=gettext_lazy("The last part of its webhook address."))
    shop = forms.CharField(
        max_length=40, required=False, help_text=gettext_lazy("shp_…, when it is one shop's; else the platform's.")
    )
    funds = forms.ChoiceField(
        choices=[
            ("held", gettext_lazy("held: the money reaches us")),
            ("direct", gettext_lazy("direct: the network pays the shop itself")),
        ]
    )

    def clean_shop(self) -> Shop | None:
        text = self.cleaned_data["shop"]
        if not text:
            return None
        try:
            return Shop.objects.get(id=ids.parse(Shop.prefix, text))
        except (ValueError, Shop.DoesNotExist):
            raise forms.ValidationError(_("There is no such shop."), "shop_unknown") from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("funds") == ProviderAccount.Funds.DIRECT and not cleaned.get("shop"):
            self.add_error("shop", forms.ValidationError(_("Direct money belongs to one shop."), "direct_without_shop"))
        return cleaned


class ReplacingForm(CredentialForm):
    """And what becomes of the old ones."""

    old = forms.ChoiceField(
        label=gettext_lazy("The old ones"),
        choices=[
            ("keep", gettext_lazy("are accepted for another week: retries are signed with them")),
            ("revoke", gettext_lazy("are no longer accepted: somebody else may know them")),
        ],
    )


def _form_field(field: Field, provider: str) -> forms.Field:
    label = field.label if field.required else _("%(label)s (may be left empty)") % {"label": field.label}
    if field.form == "address":
        choices = [("", "–"), *((address, address) for address in entered.allowed_addresses(provider))]
        return forms.ChoiceField(label=label, choices=choices, required=False)
    return forms.CharField(label=label, required=False, strip=True, widget=_widget(field))


def _widget(field: Field) -> forms.Widget:
    if field.secret:
        # Browsers leave it out of what they remember; and it is never written back into the page.
        return forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
    if field.form in ("public_key", "certificate"):
        return forms.Textarea(attrs={"rows": 6})
    return forms.TextInput(attrs={"autocomplete": "off"})
