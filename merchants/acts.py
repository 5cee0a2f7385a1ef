"""How operators act: a button on an object's page or an action of its list, a page that asks why, then one transaction.

An `Act` names what it needs; what it does stands where its subject does. Its effect records itself (`merchants.audit`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from merchants.audit import UnableToAct
from merchants.lists import Shown
from merchants.models import User

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

AT_ONCE_MAX = 1000  # Each act locks its rows and writes a line of the trail for each.


class Effect(Protocol):
    """Does it to all of the rows or to none, and answers a sentence for the operator. Raises UnableToAct."""

    def __call__(self, rows: Sequence[Any], *, operator: User, reason: str, now: datetime) -> str: ...


@dataclass(frozen=True, slots=True)
class Act:
    """Something an operator can do: `asks` is the question whose answer is kept as the reason ("" when none is needed).

    `possible`: whether the row is in a state for it; decided again, under the row's lock, by the effect.
    """

    name: str
    label: StrOrPromise
    permission: str
    effect: Effect
    possible: Callable[[Any], bool]
    asks: StrOrPromise = ""


class ReasonForm(forms.Form):
    """Why an operator does what she is about to do."""

    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}))


class ActingAdmin(Shown):
    """A table whose rows are not edited, but acted upon."""

    acts: Sequence[Act] = ()
    actions: Any = ()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Every act this operator may do, as an action of the list."""
        return {
            act.name: (partial(_act_on_list, act), act.name, act.label)
            for act in self.acts
            if request.user.has_perm(act.permission)
        }

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        for act in self.acts:
            if request.POST.get("action") == act.name and not request.user.has_perm(act.permission):
                raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        offered = [
            (act, reverse(f"admin:{self._url_name}_act", args=[object_id, act.name]))
            for act in self.acts
            if row is not None and request.user.has_perm(act.permission) and act.possible(row)
        ]
        context = {**(extra_context or {}), "acts": offered}
        if row is not None and self.has_view_permission(request, row):
            context |= self.about(row)
        return super().change_view(request, object_id, form_url, context)

    def about(self, row: Any) -> dict[str, Any]:
        """What the template of this table's page shows beside the fields."""
        return {}

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self._act_on_page)
        return [path("<path:object_id>/act/<slug:name>/", view, name=f"{self._url_name}_act"), *super().get_urls()]

    @property
    def _url_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def _act_on_page(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        act = next((act for act in self.acts if act.name == name), None)
        if act is None:
            raise Http404
        if not (self.has_view_permission(request) and request.user.has_perm(act.permission)):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        asked = self.carry_out(request, act, [row])
        if asked is not None:
            return asked
        if self.get_object(request, object_id) is None:
            return redirect(f"admin:{self._url_name}_changelist")
        return redirect(f"admin:{self._url_name}_change", object_id)

    def carry_out(self, request: HttpRequest, act: Act, rows: list[Any]) -> HttpResponse | None:
        """Does it and tells how it went; or answers the page that asks why."""
        form = ReasonForm(request.POST if "confirmed" in request.POST else None)
        if act.asks and not form.is_valid():
            return self._ask(request, act, rows, form)
        operator = request.user
        assert isinstance(operator, User)
        try:
            with transaction.atomic():
                reason = form.cleaned_data["reason"] if act.asks else ""
                done = act.effect(rows, operator=operator, reason=reason, now=timezone.now())
        except UnableToAct as refusal:
            self.message_user(request, refusal.detail, messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return None

    def _ask(self, request: HttpRequest, act: Act, rows: list[Any], form: ReasonForm) -> HttpResponse:
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            "admin/desk_reason.html",
            {
                **self.admin_site.each_context(request),
                "title": act.label,
                "opts": self.opts,
                "act": act,
                "rows": rows,
                "form": form,
                "action_checkbox_name": ACTION_CHECKBOX_NAME,
                "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
                "select_across": request.POST.get("select_across", ""),
            },
        )


def _act_on_list(act: Act, model_admin: ActingAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
    rows = list(queryset[: AT_ONCE_MAX + 1])
    if len(rows) > AT_ONCE_MAX:
        model_admin.message_user(
            request, _("At most %(at_once_max)s at once: choose fewer.") % {"at_once_max": AT_ONCE_MAX}, messages.ERROR
        )
        return None
    return model_admin.carry_out(request, act, rows)
