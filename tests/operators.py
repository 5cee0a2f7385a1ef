"""Operators for tests: made by the product's own command, and signed in with a real authenticator's code."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from merchants.models import OperatorAct, User


@pytest.fixture(autouse=True)
def quick_passwords(settings: LazySettings) -> None:
    """Hashing a password takes half a second on purpose; tests that import this do without the wait."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


OPERATOR_PHONE = "+8613700137000"
CHIEF_PHONE = "+8613600136000"


@dataclass
class Operator:
    """Somebody of the back office, with what the command printed for her."""

    user: User
    password: str
    recovery: list[str]
    printed: str
    client: Client = field(default_factory=Client)

    def code(self) -> str:
        """What her authenticator shows now, as if its last code had never been used."""
        TOTPDevice.objects.filter(user=self.user).update(last_t=-1)
        return f"{TOTP(TOTPDevice.objects.get(user=self.user).bin_key).token():06d}"

    def sign_in(self, **changed: str) -> Any:
        """Sends the login form; the answer is a redirect when she is in."""
        form = {"username": self.user.phone, "password": self.password, "otp_token": self.code(), "next": "/admin/"}
        return self.client.post("/admin/login/", {**form, **changed})

    def act(self, table: str, row: Any, name: str, reason: str = "") -> Any:
        """Presses the button on the row's page, and answers the question when a reason is given."""
        form = {"confirmed": "1", "reason": reason} if reason else {}
        return self.client.post(f"/admin/{table}/{row.pk}/act/{name}/", form)

    def act_on_list(self, table: str, rows: list[Any], name: str, reason: str = "") -> Any:
        """Chooses rows of the list and an action, and answers the question when a reason is given."""
        form: dict[str, Any] = {"action": name, "_selected_action": [str(row.pk) for row in rows]}
        answer = {"confirmed": "1", "reason": reason} if reason else {"index": "0"}
        return self.client.post(f"/admin/{table}/", {**form, **answer})


def add_operator(phone: str = OPERATOR_PHONE, *, superuser: bool = False) -> Operator:
    """Somebody who may come in, but has not yet."""
    output = io.StringIO()
    call_command("add_operator", phone, superuser=superuser, generate=True, stdout=output)
    printed = output.getvalue()
    password = re.search(r"Password: (\S+)", printed)
    assert password is not None
    recovery = re.findall(r"^  ([a-z2-7]{8})$", printed, re.MULTILINE)
    return Operator(User.objects.get(phone=phone), password[1], recovery, printed)


def signed_in(phone: str = OPERATOR_PHONE, *, superuser: bool = False) -> Operator:
    """An operator who has come in."""
    operator = add_operator(phone, superuser=superuser)
    assert operator.sign_in().status_code == 302
    return operator


def acts(*ignored: str) -> list[tuple[str, str]]:
    """The trail, oldest first: act and reason; without coming in and being let in."""
    passing = {"signed_in", "add_operator", *ignored}
    rows = OperatorAct.objects.order_by("id").values_list("act", "reason")
    return [(act, reason) for act, reason in rows if act not in passing]
