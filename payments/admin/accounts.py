"""Our accounts at the providers, as operators see them: opened, given new credentials, checked and switched.

What is entered as a secret is never shown again, not even on the form that it was typed into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from merchants.acts import Act, ActingAdmin
from merchants.audit import UnableToAct
from merchants.desk import desk
from merchants.lists import Recorded, by_id, by_phone, public_id
from merchants.models import User
from payments import account_desk, accounts, operating, providers
from payments.admin.credential_forms import OpeningForm, ReplacingForm
from payments.models import CredentialChange, ProviderAccount

# Whoever enters credentials decides where money goes: more than the group of the operators may do.
ENTER = "payments.add_provideraccount"


def _switch(active: bool) -> Any:
    def effect(rows: Sequence[ProviderAccount], *, operator: User, reason: str, now: datetime) -> str:
        for row in sorted(rows, key=lambda row: row.id):
            operating.switch(account_id=row.id, active=active, operator=operator, reason=reason, now=now)
        told = _("Switched on: %(rows)s.") if active else _("Switched off: %(rows)s.")
        return told % {"rows": ", ".join(map(str, rows))}

    return effect


def _revoke(rows: Sequence[ProviderAccount], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        account_desk.revoke_old(account_id=row.id, operator=operator, reason=reason, now=now)
    return _("Only the newest credentials are accepted from now on: %(rows)s.") % {"rows": ", ".join(map(str, rows))}


def _check(rows: Sequence[ProviderAccount], *, operator: User, reason: str, now: datetime) -> str:
    checked = [(row, account_desk.check(account_id=row.id, operator=operator, now=now)) for row in rows]
    return " ".join(f"{row}: {result}." for row, result in checked)


def _has_old(row: ProviderAccount) -> bool:
    return bool(account_desk.proving(row, now=timezone.now()))


@admin.register(ProviderAccount, site=desk)
class ProviderAccountAdmin(ActingAdmin):
    """Our accounts at the providers. One that is off starts no payment; what was started there is still booked."""

    list_display = ["name", "provider", "shop", "funds", "active", "created_at"]
    list_display_links = ["name"]
    list_select_related = ["shop"]
    list_filter = [Recorded]
    fields = ["public", "provider", "name", "shop", "funds", "active", "identity_shown", "webhook", "created_at"]
    search_help_text = gettext_lazy("pac_…, shp_…, a phone, or the account's name")
    change_list_template = "admin/payments/accounts.html"
    change_form_template = "admin/payments/account.html"
    acts = [
        Act("check", gettext_lazy("Check these credentials"), "payments.change_provideraccount", _check,
            lambda row: True),
        Act("switch-off", gettext_lazy("Switch off"), "payments.change_provideraccount", _switch(False),
            lambda row: row.active,
            gettext_lazy("Why is it switched off? Customers can start no payment with it from now on.")),
        Act("switch-on", gettext_lazy("Switch on"), "payments.change_provideraccount", _switch(True),
            lambda row: not row.active,
            gettext_lazy("Why is it switched on?")),
        Act("revoke-old", gettext_lazy("Revoke old credentials"), "payments.change_provideraccount", _revoke, _has_old,
            gettext_lazy("Why are old ones no longer accepted? Retries that were signed with them are refused "
                         "from now on.")),
    ]  # fmt: skip

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: ProviderAccount) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("identity"))
    def identity_shown(self, row: ProviderAccount) -> SafeString:
        lines = "\n".join(f"{name}: {value}" for name, value in row.identity.items() if value)
        return format_html("<pre>{}</pre>", lines or "–")

    @admin.display(description=gettext_lazy("webhook address"))
    def webhook(self, row: ProviderAccount) -> str:
        return accounts.webhook_url(row.provider, row.name)

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, pac="id", shp="shop")
        yield from by_phone(term, "shop")
        yield Q(name=term)

    def about(self, row: ProviderAccount) -> dict[str, Any]:
        waiting = CredentialChange.objects.filter(shop=row.shop_id, provider=row.provider, state="waiting")
        return {
            "old": account_desk.proving(row, now=timezone.now()),
            "changes": list(waiting.order_by("id")) if row.shop_id else [],
            "enter": ENTER,
        }

    def carry_out(self, request: HttpRequest, act: Act, rows: list[Any]) -> HttpResponse | None:
        """A check calls outward: no transaction waits for what a provider answers."""
        if act.name != "check":
            return super().carry_out(request, act, rows)
        said = act.effect(rows, operator=_operator(request), reason="", now=timezone.now())
        good = all(part.endswith(": accepted") for part in said.rstrip(".").split(". "))
        self.message_user(request, said, messages.SUCCESS if good else messages.WARNING)
        return None

    # --- Entering credentials ---

    def get_urls(self) -> list[URLPattern]:
        wrap, hidden = self.admin_site.admin_view, sensitive_post_parameters()
        return [
            path("open/", wrap(self.choose), name=f"{self._url_name}_choose"),
            path("open/<slug:provider>/", hidden(wrap(self.open)), name=f"{self._url_name}_open"),
            path("<uuid:account_id>/credentials/", hidden(wrap(self.replace)), name=f"{self._url_name}_credentials"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may = {"may_enter": request.user.has_perm(ENTER)}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may = {"may_enter": request.user.has_perm(ENTER)}
        return super().change_view(request, object_id, form_url, {**may, **(extra_context or {})})

    def choose(self, request: HttpRequest) -> HttpResponse:
        """Where is it? Each provider asks for other things."""
        _require_enter(request)
        rows = [(name, providers.named(name).TITLE) for name in providers.all_enabled()]
        return self._page(request, _("Open an account"), {"providers": rows})

    def open(self, request: HttpRequest, provider: str) -> HttpResponse:
        """A new account of the platform, or of one shop."""
        _require_enter(request)
        if not providers.enabled(provider):
            raise Http404
        form = OpeningForm(provider, request.POST if request.method == "POST" else None)
        if form.is_valid() and (account := self._opened(request, provider, form)) is not None:
            self.message_user(
                request,
                _("Opened: %(account)s. Enter its webhook address there, then check it.") % {"account": account},
            )
            return redirect(f"admin:{self._url_name}_change", account.pk)
        return self._page(
            request,
            _("Open an account at %(provider)s") % {"provider": providers.named(provider).TITLE},
            {"form": form},
        )

    def replace(self, request: HttpRequest, account_id: Any) -> HttpResponse:
        """New credentials of the same account there."""
        _require_enter(request)
        account = self.get_object(request, str(account_id))
        if account is None:
            raise Http404
        form = ReplacingForm(account.provider, request.POST if request.method == "POST" else None)
        if form.is_valid() and self._replaced(request, account, form):
            self.message_user(request, _("%(account)s has new credentials. Check them.") % {"account": account})
            return redirect(f"admin:{self._url_name}_change", account.pk)
        return self._page(request, _("New credentials of %(account)s") % {"account": account}, {"form": form})

    def _opened(self, request: HttpRequest, provider: str, form: OpeningForm) -> ProviderAccount | None:
        try:
            return account_desk.open_account(
                provider=provider,
                name=form.cleaned_data["name"],
                shop=form.cleaned_data["shop"],
                funds=form.cleaned_data["funds"],
                given=form.given,
                operator=_operator(request),
                reason=form.cleaned_data["reason"],
                now=timezone.now(),
            )
        except UnableToAct as refusal:
            form.add_error(None, refusal.detail)
            return None

    def _replaced(self, request: HttpRequest, account: ProviderAccount, form: ReplacingForm) -> bool:
        try:
            account_desk.replace_credentials(
                account_id=account.id,
                given=form.given,
                keep_old=form.cleaned_data["old"] == "keep",
                operator=_operator(request),
                reason=form.cleaned_data["reason"],
                now=timezone.now(),
            )
        except UnableToAct as refusal:
            form.add_error(None, refusal.detail)
            return False
        return True

    def _page(self, request: HttpRequest, title: str, more: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name
        own = {"title": title, "opts": self.opts, "submit": _("Seal and keep")}
        context = {**self.admin_site.each_context(request), **own, **more}
        return TemplateResponse(request, "admin/payments/credentials.html", context)


def _cancel(rows: Sequence[CredentialChange], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        account_desk.cancel_change(change_id=row.id, operator=operator, reason=reason, now=now)
    return _("Canceled: %(rows)s. The shop was told.") % {"rows": ", ".join(map(str, rows))}


@admin.register(CredentialChange, site=desk)
class CredentialChangeAdmin(ActingAdmin):
    """Credentials that shops entered for accounts of their own; they wait a day before they take effect."""

    list_display = ["public", "requested_at", "shop", "provider", "state", "effective_at"]
    list_filter = ["state", Recorded]
    list_select_related = ["shop"]
    fields = [
        "public",
        "shop",
        "provider",
        "state",
        "identity",
        "requested_by",
        "requested_at",
        "effective_at",
        "ended_at",
    ]
    search_help_text = gettext_lazy("chg_…, shp_…, or a phone")
    acts = [
        Act("cancel", gettext_lazy("Cancel"), "payments.change_credentialchange", _cancel,
            lambda row: row.state == "waiting",
            gettext_lazy("Why is it canceled? The shop is told that it was.")),
    ]  # fmt: skip

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: CredentialChange) -> str:
        return public_id(row)

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, chg="id", shp="shop")
        yield from by_phone(term, "shop")


def _operator(request: HttpRequest) -> User:
    operator = request.user
    assert isinstance(operator, User)
    return operator


def _require_enter(request: HttpRequest) -> None:
    if not request.user.has_perm(ENTER):
        raise PermissionDenied
