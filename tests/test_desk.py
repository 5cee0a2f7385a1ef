"""The way into the back office: password and one-time code, and nothing for anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from merchants.desk import desk
from merchants.models import OperatorAct, User
from tests.cast import MEI_PHONE, Person
from tests.operators import CHIEF_PHONE, OPERATOR_PHONE, add_operator, quick_passwords, signed_in  # noqa: F401

pytestmark = pytest.mark.django_db


def _addresses() -> Iterator[str]:
    """Every page of the back office, with an id where one belongs."""
    get_resolver().url_patterns  # noqa: B018  # Loads every admin module.
    some_id = "0190163d-8694-739b-aea5-966c26f8ad90"
    for model in desk._registry:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        yield from (base, f"{base}{some_id}/change/", f"{base}{some_id}/history/", f"{base}add/")
        yield f"{base}{some_id}/act/freeze/"
    yield from (
        "/admin/",
        "/admin/today/",
        "/admin/find/",
        "/admin/password_change/",
        "/admin/merchants/",
        "/admin/payments/",
    )


def test_the_back_office_is_declared_without_a_complaint() -> None:
    assert len(list(_addresses())) > 60
    assert desk.check(None) == []


def test_a_stranger_is_sent_to_the_login_from_every_page() -> None:
    for address in _addresses():
        _assert_sent_to_login(Client(), address)


def test_a_session_without_a_verified_code_is_sent_to_the_login_from_every_page() -> None:
    chief = add_operator(CHIEF_PHONE, superuser=True)
    chief.client.force_login(chief.user)
    for address in _addresses():
        _assert_sent_to_login(chief.client, address)


def _assert_sent_to_login(client: Client, address: str) -> None:
    for answer in (client.get(address), client.post(address, {"confirmed": "1", "reason": "x"})):
        assert (answer.status_code, urlsplit(answer.headers["Location"]).path) == (302, "/admin/login/")


def test_a_vendor_with_a_session_sees_nothing(mei: Person) -> None:
    client = Client()
    client.force_login(mei.user)
    assert client.get("/admin/").status_code == 302


def test_phone_password_and_code_let_an_operator_in_and_the_trail_says_so() -> None:
    operator = add_operator()
    answer = operator.sign_in(username="+86 137 0013 7000")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    assert operator.client.get("/admin/").status_code == 200
    assert list(OperatorAct.objects.values_list("act", flat=True)) == ["signed_in", "add_operator"]
    newest = OperatorAct.objects.latest("id")
    assert (newest.operator, newest.after) == (operator.user, {"address": "127.0.0.1"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"otp_token": ""},
        {"otp_token": "000000"},
        {"otp_token": "aaaaaaaa"},
        {"password": "another password"},
        {"username": MEI_PHONE},
        {"username": "nobody"},
        {"password": ""},
    ],
    ids=str,
)
def test_whatever_is_wrong_lets_nobody_in_and_is_never_written_back(wrong: dict[str, str], mei: Person) -> None:
    operator = add_operator()
    answer = operator.sign_in(**wrong)
    assert answer.status_code == 200
    assert operator.password not in answer.text
    assert operator.client.get("/admin/").status_code == 302
    assert not OperatorAct.objects.filter(act="signed_in").exists()


def test_a_wrong_password_and_a_wrong_code_are_answered_alike() -> None:
    operator = add_operator()
    told = {
        str(operator.sign_in(**wrong).context["form"].non_field_errors())
        for wrong in ({"otp_token": "000000"}, {"password": "another"}, {"username": MEI_PHONE})
    }
    assert len(told) == 1


def test_a_vendor_with_password_and_device_is_no_operator(mei: Person) -> None:
    operator = add_operator()
    User.objects.filter(id=operator.user.id).update(is_staff=False)
    assert operator.sign_in().status_code == 200
    assert operator.client.get("/admin/").status_code == 302


def test_a_code_works_once() -> None:
    operator = add_operator()
    code = operator.code()
    assert operator.sign_in(otp_token=code).status_code == 302
    other = Client()
    form = {"username": OPERATOR_PHONE, "password": operator.password, "otp_token": code}
    assert other.post("/admin/login/", form).status_code == 200


def test_after_a_wrong_code_the_right_one_has_to_wait_and_a_recovery_code_has_not() -> None:
    operator = add_operator()
    operator.sign_in(otp_token="000000")
    assert operator.sign_in().status_code == 200  # django-otp's throttle: a second after the first failure.
    assert operator.sign_in(otp_token=operator.recovery[0].upper()).status_code == 302

    TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=2))
    assert operator.sign_in().status_code == 302


def test_a_recovery_code_works_once() -> None:
    operator = add_operator()
    assert operator.sign_in(otp_token=operator.recovery[3]).status_code == 302
    assert StaticToken.objects.count() == 7
    operator.client.logout()
    assert operator.sign_in(otp_token=operator.recovery[3]).status_code == 200


def test_guesses_from_one_address_are_counted(settings: LazySettings) -> None:
    settings.TOKEN_BUDGET_ADDRESS = "2/minute"
    operator = add_operator()
    for _ in range(2):
        operator.sign_in(password="another password")
    assert operator.sign_in().status_code == 200
    assert operator.client.get("/admin/").status_code == 302


def test_a_new_password_is_in_the_trail() -> None:
    operator = signed_in()
    fresh = "a fresh and long one"
    form = {"old_password": operator.password, "new_password1": fresh, "new_password2": fresh}
    assert operator.client.post("/admin/password_change/", form).status_code == 302
    assert OperatorAct.objects.latest("id").act == "password_changed"

    operator.client.post("/admin/password_change/", {**form, "new_password1": "short", "new_password2": "short"})
    assert OperatorAct.objects.filter(act="password_changed").count() == 1
    assert User.objects.get(id=operator.user.id).check_password(fresh)


# --- manage.py add_operator ------------------------------------------------------------------------------------------


def test_the_command_prints_a_key_that_authenticators_read() -> None:
    operator = add_operator()
    line = next(line for line in operator.printed.splitlines() if line.startswith("otpauth://"))
    parts = urlsplit(line)
    assert (parts.netloc, parts.path) == ("totp", "/Pushcart%3A%2B8613700137000")
    key = parse_qs(parts.query)
    assert (key["issuer"], key["digits"], key["period"]) == (["Pushcart"], ["6"], ["30"])
    assert len(operator.recovery) == len(set(operator.recovery)) == 8
    assert "█" in operator.printed
    assert list(operator.user.groups.values_list("name", flat=True)) == ["operators"]
    assert (operator.user.is_staff, operator.user.is_superuser) == (True, False)


def test_adding_an_operator_again_ends_the_sessions_and_devices_she_had() -> None:
    old = signed_in()
    new = add_operator()
    assert old.client.get("/admin/").status_code == 302
    assert (TOTPDevice.objects.count(), StaticToken.objects.count()) == (1, 8)
    assert new.sign_in(password=old.password).status_code == 200
    assert new.sign_in(otp_token=old.recovery[0]).status_code == 200


def test_only_a_mobile_number_can_be_an_operator() -> None:
    with pytest.raises(CommandError):
        call_command("add_operator", "12345", generate=True, stdout=StringIO())
    assert User.objects.count() == Group.objects.count() == 0


@pytest.mark.parametrize("typed", [["short", "short"], ["a long enough one", "another long one"]])
def test_a_weak_or_mistyped_password_is_refused(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(typed)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    with pytest.raises(CommandError):
        call_command("add_operator", OPERATOR_PHONE, stdout=StringIO())
    assert User.objects.count() == 0


def test_a_typed_password_is_taken_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda _prompt: "a long enough one")
    output = StringIO()
    call_command("add_operator", OPERATOR_PHONE, stdout=output)
    assert "a long enough one" not in output.getvalue()
    device = TOTPDevice.objects.get()
    assert f"{TOTP(device.bin_key).token():06d}".isdigit()
    assert User.objects.get().check_password("a long enough one")


# --- Who may do what -------------------------------------------------------------------------------------------------


def test_users_are_for_superusers_only(mei: Person) -> None:
    operator, chief = signed_in(), signed_in(CHIEF_PHONE, superuser=True)
    page = f"/admin/merchants/user/{operator.user.id}/change/"
    form = {"name": "Wei", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    assert operator.client.get("/admin/merchants/user/").status_code == 403
    assert operator.client.post(page, form).status_code == 403
    assert not User.objects.get(id=operator.user.id).is_superuser

    assert chief.client.get("/admin/merchants/user/", {"q": MEI_PHONE}).status_code == 200
    assert chief.client.post(page, {**form, "is_superuser": ""}).status_code == 302
    changed = OperatorAct.objects.latest("id")
    assert (changed.operator, changed.act, changed.subject_type) == (chief.user, "change_user", "user")
    assert changed.before == {"name": "", "groups": ["operators"]}
    assert changed.after == {"name": "Wei", "groups": []}


def test_an_operator_chooses_her_language_also_before_she_has_come_in(mei: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.get("/admin/login/")
    assert 'action="/admin/language/" class="desk-language"' in page.text
    chosen = {"language": "ar", "next": "/admin/login/?next=/admin/"}
    assert client.post("/admin/language/", chosen).status_code == 403
    assert client.get("/admin/language/", chosen).status_code == 405
    assert 'dir="ltr"' in client.get("/admin/login/").text
    token = client.cookies["csrftoken"].value
    answer = client.post("/admin/language/", {**chosen, "csrfmiddlewaretoken": token})
    assert (answer.status_code, answer.headers["Location"]) == (302, chosen["next"])
    cookie = client.cookies["django_language"]
    assert (cookie.value, cookie["path"], cookie["httponly"], cookie["samesite"]) == ("ar", "/admin/", True, "Lax")
    assert '<html lang="ar" dir="rtl">' in client.get("/admin/login/").text
    away = client.post("/admin/language/", {**chosen, "next": "//elsewhere.example/", "csrfmiddlewaretoken": token})
    assert away.headers["Location"] == "/"
