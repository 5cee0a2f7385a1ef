"""The back office as a place: Django's admin behind a password and a one-time code, and the way in.

A session without a verified code is treated as nobody's. What operators see stands in the `admin` modules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from django.views.i18n import set_language
from django_otp.admin import OTPAdminAuthenticationForm, OTPAdminSite
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from merchants import audit, limits, phones
from merchants.addresses import client_address
from merchants.models import User
from merchants.refusals import Refused

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# One sentence for everything that is wrong: an answer must not tell whether the password was the right one.
_WRONG = gettext_lazy(
    "The phone, the password or the code is not right. After several wrong codes, wait a minute before the next; "
    "each code works once."
)


class LoginForm(OTPAdminAuthenticationForm):  # type: ignore[misc]  # The library has no types.
    """Phone, password and code in one step: six digits are the authenticator's, anything else is a recovery code.

    Only the device that the code belongs to counts a wrong one, so guessing digits cannot block the recovery codes.
    """

    otp_device = None
    otp_challenge = None
    error_messages = {**AdminAuthenticationForm.error_messages, "invalid_login": _WRONG, "inactive": _WRONG}
    otp_error_messages = dict.fromkeys(OTPAdminAuthenticationForm.otp_error_messages, _WRONG)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        phone, code = self.fields["username"], self.fields["otp_token"]
        phone.label, code.label, code.required = _("Phone"), _("Code"), True
        phone.widget.attrs.update(type="tel", maxlength=40, placeholder="+86 138 0013 8000", autocomplete="username")
        code.widget.attrs.update(maxlength=20, autocomplete="one-time-code")
        code.help_text = _("From your authenticator, or one of your recovery codes.")

    def clean_username(self) -> str:
        typed = str(self.cleaned_data["username"])
        try:
            return phones.mobile(typed).e164
        except Refused:
            return typed

    def clean_otp_token(self) -> str:
        return "".join(str(self.cleaned_data["otp_token"]).split()).lower()

    def clean(self) -> dict[str, Any]:
        try:
            limits.spend_on_guess(client_address(self.request))
        except Refused as refusal:
            raise ValidationError(str(refusal.detail), code=refusal.code)
        cleaned: dict[str, Any] = super().clean()
        return cleaned

    def _chosen_device(self, user: User) -> TOTPDevice | StaticDevice | None:
        """The device the code was typed for, its row locked: the same code cannot be used twice at once."""
        kind = TOTPDevice if self.cleaned_data.get("otp_token", "").isdecimal() else StaticDevice
        return kind.objects.select_for_update().filter(user=user, confirmed=True).order_by("-id").first()

    def _update_form(self, user: User) -> None:
        """The library would write the password back into the page."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the back office that is no table's: where it is, what its link says, and what an operator finds there.

    The view answers to every operator, and shows each only what her permissions allow.
    """

    name: str
    label: StrOrPromise
    says: StrOrPromise
    view: Callable[[HttpRequest], HttpResponse]


class Desk(OTPAdminSite):  # type: ignore[misc]  # The library has no types.
    """The admin site of the operators. Nothing is deleted here, and every act that changes something is recorded."""

    site_header = site_title = gettext_lazy("Pushcart back office")
    index_title = gettext_lazy("Back office")
    site_url = None
    enable_nav_sidebar = False  # The lists of money are wide, and the way home is one click.
    login_form = LoginForm
    login_template = "admin/desk_login.html"
    index_template = "admin/desk_index.html"

    def __init__(self) -> None:
        super().__init__("admin")
        self.disable_action("delete_selected")
        self.pages: list[Page] = []

    def add_page(self, page: Page) -> None:
        """Shows the page's link on the front page. To be called by an `admin` module, before the addresses are read."""
        self.pages.append(page)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        own = [path(f"{page.name}/", self.admin_view(page.view), name=page.name) for page in self.pages]
        # Also for whoever has not come in yet: the way in is to be read too.
        return [path("language/", require_POST(set_language), name="language"), *own, *super().get_urls()]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        with transaction.atomic():
            response: HttpResponse = super().login(request, extra_context)
            if request.method == "POST" and response.status_code == 302:
                _record_own(request, "signed_in")
        return response

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        with transaction.atomic():
            response: HttpResponse = super().password_change(request, extra_context)
            if request.method == "POST" and response.status_code == 302:
                _record_own(request, "password_changed")
        return response

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        own = request.user.acts.order_by("-id")[:10]  # type: ignore[union-attr]  # has_permission saw to it.
        more = {
            "own_acts": own,
            "pages": self.pages,
        }
        response: HttpResponse = super().index(request, {**(extra_context or {}), **more})
        return response


def _record_own(request: HttpRequest, act: str) -> None:
    """An act of an operator upon herself."""
    operator = request.user
    assert isinstance(operator, User)
    audit.record(
        operator=operator,
        act=act,
        subject=operator,
        reason="",
        before={},
        after={"address": client_address(request)},
        now=timezone.now(),
    )


desk = Desk()
