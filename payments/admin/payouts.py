"""Money out, as operators handle it: payout accounts to prove, terms, holidays, batches to release, and each payout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import money
from merchants.acts import Act, ActingAdmin
from merchants.audit import UnableToAct
from merchants.desk import desk
from merchants.lists import Recorded, Shown, by_id, by_phone, public_id, shown_money
from merchants.models import User
from payments.admin.links import gone, link
from payments.models import Holiday, LedgerEntry, Match, Payout, PayoutAccount, PayoutBatch, PayoutTerms
from payments.payouts import accounts, bank_lines, batches, channels, terms
from payments.payouts.working_days import TARGET

RELEASE = "payments.change_payoutbatch"
_PAYOUTS_SHOWN = 200  # Of a batch, on its page; the list of payouts has them all.


def _verify(rows: Sequence[PayoutAccount], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        accounts.verify(account_id=row.id, operator=operator, reason=reason, now=now)
    return _("Proved: %(rows)s.") % {"rows": ", ".join(map(str, rows))}


def _refuse(rows: Sequence[PayoutAccount], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        accounts.refuse(account_id=row.id, operator=operator, reason=reason, now=now)
    return _("Canceled: %(rows)s. Their shops are told.") % {"rows": ", ".join(map(str, rows))}


def _approve(rows: Sequence[PayoutBatch], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        batches.approve(batch_id=row.id, operator=operator, reason=reason, now=now)
    return _("Approved: %(rows)s. Another operator releases.") % {"rows": ", ".join(map(str, rows))}


def _release(rows: Sequence[PayoutBatch], *, operator: User, reason: str, now: datetime) -> str:
    done = [batches.release(batch_id=row.id, operator=operator, reason=reason, now=now) for row in rows]
    left, held = sum(one[0] for one in done), sum(one[1] for one in done)
    return _("Released: %(left)d payouts; held back: %(held)d.") % {"left": left, "held": held}


def _cancel(rows: Sequence[PayoutBatch], *, operator: User, reason: str, now: datetime) -> str:
    count = sum(batches.cancel(batch_id=row.id, operator=operator, reason=reason, now=now) for row in rows)
    return _("Canceled: %(count)s payouts; their shops have the money again.") % {"count": count}


def _waits(row: PayoutAccount) -> bool:
    return row.state == PayoutAccount.State.WAITING


def _prepared(row: PayoutBatch) -> bool:
    return row.state == PayoutBatch.State.PREPARED


@admin.register(PayoutAccount, site=desk)
class PayoutAccountAdmin(ActingAdmin):
    """Where shops are paid to. A number is sealed; of it only the tail is shown, here too."""

    list_display = ["public", "shop", "state", "currency", "country", "holder", "tail", "requested_at", "verified_at"]
    list_filter = ["state", ("verified_at", admin.EmptyFieldListFilter), Recorded]
    list_select_related = ["shop"]
    fields = ["public", "shop", "state", "currency", "scheme", "country", "bank_code", "holder", "tail", "requested_by",
              "requested_at", "effective_at", "verified_at", "verified_by", "verification", "ended_at"]  # fmt: skip
    search_help_text = gettext_lazy("pya_…, shp_…, a phone, or the beginning of the holder's name")
    acts = [
        Act("verify", gettext_lazy("Verify"), "payments.change_payoutaccount", _verify,
            lambda row: _waits(row) and row.verified_at is None,
            gettext_lazy("By which document is it proved that the account is the shop's?")),
        Act("refuse", gettext_lazy("Cancel"), "payments.change_payoutaccount", _refuse, _waits,
            gettext_lazy("Why is it canceled? The shop is told; nothing changes for it.")),
    ]  # fmt: skip

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, pya="id", shp="shop")
        yield from by_phone(term, "shop")
        yield Q(holder__istartswith=term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: PayoutAccount) -> str:
        return public_id(row)


class Kept(Shown):
    """A table that operators add to, by a form whose effect records itself."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.add_{self.opts.model_name}")

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The operators' trail is the one record."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The same."""


class TermsForm(forms.ModelForm):  # type: ignore[type-arg]  # Generic only in the stubs.
    """Terms of a shop, or of all others of a currency."""

    channel = forms.ChoiceField()
    reason = forms.CharField(max_length=500, help_text=gettext_lazy("Why are these the terms? Kept in the trail."))

    class Meta:
        model = PayoutTerms
        fields = ["shop", "currency", "minimum_amount", "delay_days", "cut_off", "channel", "calendar"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["channel"].choices = [(name, name) for name in channels.names()]  # type: ignore[attr-defined]
        self.fields["shop"].required = False
        self.fields["calendar"].help_text = _("A country (CN), whose holidays are rows, or %(target)s") % {
            "target": TARGET
        }

    def clean_currency(self) -> str:
        currency = str(self.cleaned_data["currency"]).upper()
        if not money.is_currency(currency):
            raise forms.ValidationError(_("This is not a currency code of ISO 4217."))
        return currency

    def clean_delay_days(self) -> int:
        days = int(self.cleaned_data["delay_days"])
        if days > terms.DELAY_MAX:
            raise forms.ValidationError(_("At most %(delay_max)s working days.") % {"delay_max": terms.DELAY_MAX})
        return days


@admin.register(PayoutTerms, site=desk)
class PayoutTermsAdmin(Kept):
    """When and how much shops are paid. Whoever changes terms decides when money leaves: a permission of its own."""

    form = TermsForm
    list_display = ["id", "shop", "currency", "minimum", "delay_days", "cut_off", "channel", "calendar"]
    list_select_related = ["shop"]
    list_filter = ["channel", "calendar"]
    raw_id_fields = ["shop"]
    search_help_text = gettext_lazy("shp_…, a phone, or a currency")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("payments.change_payoutterms")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, shp="shop")
        yield from by_phone(term, "shop")
        yield Q(currency=term.upper())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        operator = request.user
        assert isinstance(operator, User)
        terms.put(obj, operator=operator, reason=form.cleaned_data["reason"], now=timezone.now())

    @admin.display(description=gettext_lazy("minimum"))
    def minimum(self, row: PayoutTerms) -> str:
        return shown_money(row.minimum_amount, row.currency)


@admin.register(Holiday, site=desk)
class HolidayAdmin(Kept):
    """Days without payments, and weekend days that are worked; `load_holidays` brings a whole year."""

    ordering = ["calendar", "-day"]
    list_display = ["calendar", "day", "name", "working"]
    list_filter = ["calendar", "working"]
    fields = ["calendar", "day", "name", "working"]
    search_help_text = gettext_lazy("a calendar (CN), or the beginning of a day's name")

    def readings(self, term: str) -> Iterator[Q]:
        yield Q(calendar=term.upper())
        yield Q(name__istartswith=term)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        operator = request.user
        assert isinstance(operator, User)
        terms.add_holiday(obj, operator=operator, now=timezone.now())


@admin.register(PayoutBatch, site=desk)
class PayoutBatchAdmin(ActingAdmin):
    """Payouts that leave together. Above the limit one operator approves and another releases."""

    ordering = ["-id"]
    list_display = ["public", "state", "channel", "currency", "execution_day", "money", "prepared_at", "released_by"]
    list_filter = ["state", "channel", "currency"]
    list_select_related = ["released_by"]
    fields = ["public", "state", "channel", "bank_account", "provider_account", "execution_day", "money", "limit",
              "payouts_shown", "file", "sha256", "prepared_at", "approved_by", "approved_at", "released_by",
              "released_at"]  # fmt: skip
    search_help_text = gettext_lazy("pob_… or pyo_…")
    acts = [
        Act("approve", gettext_lazy("Approve"), RELEASE, _approve,
            lambda row: _prepared(row) and row.approved_by_id is None and batches.needs_two(row),
            gettext_lazy("What was checked? Another operator has to release it.")),
        Act("release", gettext_lazy("Release"), RELEASE, _release,
            lambda row: _prepared(row) and (row.approved_by_id is not None or not batches.needs_two(row)),
            gettext_lazy("What was checked? The money leaves: this cannot be taken back.")),
        Act("cancel", gettext_lazy("Cancel"), RELEASE, _cancel, _prepared,
            gettext_lazy("Why does it not leave? Its shops have the money again.")),
    ]  # fmt: skip

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, pob="id", pyo="payouts")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.download)
        return [path("<uuid:batch_id>/file/", view, name=f"{self._url_name}_file"), *super().get_urls()]

    def download(self, request: HttpRequest, batch_id: Any) -> HttpResponse:
        """The batch's file, for our bank. Numbers stand in it: it wants the right to release."""
        if not request.user.has_perm(RELEASE):
            raise PermissionDenied
        operator = request.user
        assert isinstance(operator, User)
        try:
            name, made = batches.download(batch_id=batch_id, operator=operator, now=timezone.now())
        except PayoutBatch.DoesNotExist:
            raise Http404 from None
        except UnableToAct as refusal:
            self.message_user(request, refusal.detail, messages.ERROR)
            return redirect(f"admin:{self._url_name}_change", batch_id)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return HttpResponse(made, content_type="application/xml", headers=headers)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: PayoutBatch) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("total"))
    def money(self, row: PayoutBatch) -> str:
        return shown_money(batches.total(row), row.currency)

    @admin.display(description=gettext_lazy("two operators above"))
    def limit(self, row: PayoutBatch) -> str:
        return shown_money(batches.limit(row.currency), row.currency)

    @admin.display(description=gettext_lazy("file"))
    def file(self, row: PayoutBatch) -> SafeString | str:
        if row.channel != channels.FILE or row.state != PayoutBatch.State.RELEASED:
            return "–"
        return format_html('<a href="{}">{}.xml</a>', reverse(f"admin:{self._url_name}_file", args=[row.pk]), row)

    @admin.display(description=gettext_lazy("payouts"))
    def payouts_shown(self, row: PayoutBatch) -> SafeString | str:
        payouts = row.payouts.select_related("shop").order_by("id")[:_PAYOUTS_SHOWN]
        lines = ((link(one), one.shop, shown_money(one.amount, one.currency), one.state) for one in payouts)
        return format_html_join("", "<div>{} {} {} {}</div>", lines) or "–"


@admin.register(Payout, site=desk)
class PayoutAdmin(Shown):
    """Each payout with its story: its entries, and what our bank said of it."""

    list_display = ["public", "created_at", "shop", "money", "state", "tail", "failure"]
    list_filter = ["state", Recorded]
    list_select_related = ["shop", "account"]
    fields = ["public", "shop", "account_link", "batch_link", "money", "state", "earned_day", "object_id", "failure",
              "created_at", "sent_at", "settled_at", "attempts", "next_call_at", "entries", "lines"]  # fmt: skip
    search_help_text = gettext_lazy(
        "pyo_… (also as a bank writes it), pob_…, pya_…, shp_…, a phone, or the channel's own id"
    )

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, pyo="id", pob="batch", pya="account", shp="shop")
        if found := bank_lines.payout_id(term):
            yield Q(id=found)
        yield from by_phone(term, "shop")
        yield Q(object_id=term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Payout) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("amount"))
    def money(self, row: Payout) -> str:
        return shown_money(row.amount, row.currency)

    @admin.display(description=gettext_lazy("account ending"))
    def tail(self, row: Payout) -> str:
        return row.account.tail

    @admin.display(description=gettext_lazy("account"))
    def account_link(self, row: Payout) -> SafeString | str:
        return link(row.account)

    @admin.display(description=gettext_lazy("batch"))
    def batch_link(self, row: Payout) -> SafeString | str:
        return link(row.batch)

    @admin.display(description=gettext_lazy("entries"))
    def entries(self, row: Payout) -> SafeString | str:
        found = LedgerEntry.objects.filter(cause_id=row.id).order_by("id")
        lines = ((link(entry), entry.kind, shown_money(entry.amount, entry.currency)) for entry in found)
        return format_html_join("", "<div>{} {} {}</div>", lines) or gone(row.created_at)

    @admin.display(description=gettext_lazy("our bank's lines"))
    def lines(self, row: Payout) -> SafeString | str:
        found = Match.objects.filter(payout_id=row.id, undone_at=None).prefetch_related("lines__statement").first()
        lines = ((line, shown_money(line.amount, line.currency)) for line in (found.lines.all() if found else ()))
        return format_html_join("", "<div>{}: {}</div>", lines) or "–"
