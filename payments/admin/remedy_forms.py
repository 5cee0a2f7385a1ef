"""The forms by which operators end a discrepancy with money, or say which settlements a credit of our bank pays."""

from __future__ import annotations

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import ids, money
from merchants.lists import phone_prefix, shown_money
from merchants.models import Shop
from payments.endings import Remedy
from payments.models import Discrepancy, Settlement, StatementLine
from payments.settlement import differences

_CHOICES_MAX = 50  # Settlements to choose from; whoever waits for more searches for the one by its id.


class RemedyForm(forms.Form):
    """Which shop (where one is asked for), how much of it (where a part is possible), and why."""

    shop = forms.CharField(
        max_length=40, help_text=gettext_lazy("shp_…, or the whole phone number of its owner: +86138…")
    )
    part = forms.CharField(max_length=24, required=False, label=gettext_lazy("Only a part of it"))
    note = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        label=gettext_lazy("What was found, and why is this right?"),
    )

    def __init__(self, remedy: Remedy, most: int, currency: str, data: QueryDict | None) -> None:
        super().__init__(data)
        self.currency = currency
        if not remedy.asks_shop:
            del self.fields["shop"]
        if remedy.whole:
            del self.fields["part"]
        else:
            self.fields["part"].help_text = _("In %(currency)s; left empty: all of %(most)s.") % {
                "currency": currency,
                "most": shown_money(most, currency),
            }

    def clean_shop(self) -> Shop:
        text = self.cleaned_data["shop"].strip()
        try:
            found = list(Shop.objects.filter(id=ids.parse(Shop.prefix, text)))
        except ValueError:
            phone = phone_prefix(text)
            found = list(Shop.objects.filter(staff__user__phone=phone, staff__role="owner").distinct()) if phone else []
        if len(found) != 1:
            raise forms.ValidationError(
                _("No shop has this id or phone.") if not found else _("Several shops: use the id.")
            )
        return found[0]

    def clean_part(self) -> int | None:
        text = self.cleaned_data["part"]
        if not text:
            return None
        try:
            return money.minor_units(text, self.currency)
        except ValueError:
            raise forms.ValidationError(_("This is no amount in this currency."))


class MatchingForm(forms.Form):
    """Which settlements the line pays, of those that are still waited for (or of which something is left), and why."""

    settlements = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple)
    note = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 3}), label=gettext_lazy("How do you know?")
    )

    def __init__(self, line: StatementLine, data: QueryDict | None) -> None:
        super().__init__(data)
        rows = Settlement.objects.filter(currency=line.currency, provider_account__funds="held").exclude(
            state="arrived"
        )
        open_rows = rows.select_related("provider_account").order_by("-created_at")[:_CHOICES_MAX]
        # The field is the one above; only the stubs do not know that it has choices.
        self.fields["settlements"].choices = [(str(row.id), _shown(row)) for row in open_rows]  # type: ignore[attr-defined]


def _shown(row: Settlement) -> str:
    wanted = shown_money(differences.expected(row), row.currency)
    arrived = shown_money(row.arrived_amount, row.currency)
    return _("%(account)s %(reference)s: %(wanted)s, of which %(arrived)s have arrived") % {
        "account": row.provider_account,
        "reference": row.reference,
        "wanted": wanted,
        "arrived": arrived,
    }


def waits_for_settlements(row: Discrepancy) -> bool:
    """Whether it is about a line of our bank that may turn out to pay settlements."""
    return row.state == Discrepancy.State.OPEN and row.reason in (
        Discrepancy.Reason.UNKNOWN_CREDIT,
        Discrepancy.Reason.UNKNOWN_DEBIT,
    )
