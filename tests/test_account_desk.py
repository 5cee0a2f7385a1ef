"""The back office's pages of provider accounts: secrets go in and never come out, and every act is in the trail."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission
from django.utils import timezone

from merchants.lists import public_id
from merchants.models import Notice, OperatorAct, TextMessage
from payments import credentials
from payments.models import CredentialChange, OldCredentials, ProviderAccount
from tests.cast import Person, unsealed
from tests.operators import CHIEF_PHONE, Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.running_wallet import known_at, running_wallet
from tests.till import platform

pytestmark = pytest.mark.django_db

BASE = "/admin/payments/provideraccount"
GIVEN = {
    "credential_key_id": "rzp_live_1",
    "credential_key_secret": "the-old-secret",
    "credential_webhook_secrets": "whsec-old",
    "credential_account_id": "acc_1",
}
NEWER = {**GIVEN, "credential_key_id": "rzp_live_2", "credential_key_secret": "the-new-secret"}
SECRETS = ("the-old-secret", "whsec-old", "the-new-secret")


@pytest.fixture
def chief() -> Operator:
    """A superuser, who may enter credentials."""
    return signed_in(CHIEF_PHONE, superuser=True)


@pytest.fixture
def wei() -> Operator:
    """An operator, who may not."""
    return signed_in()


def open_account(operator: Operator, **changed: str) -> Any:
    form = {**GIVEN, "name": "platform", "shop": "", "funds": "held", "reason": "a new contract", **changed}
    return operator.client.post(f"{BASE}/open/razorpay/", form)


def replace(operator: Operator, account: ProviderAccount, old: str = "keep", **changed: str) -> Any:
    form = {**NEWER, "old": old, "reason": "rotated", **changed}
    return operator.client.post(f"{BASE}/{account.pk}/credentials/", form)


def trail() -> str:
    rows = OperatorAct.objects.values("act", "reason", "before", "after")
    return json.dumps(list(rows))


def test_an_account_of_the_platform_is_opened_by_a_form_of_its_providers_fields(chief: Operator) -> None:
    assert "Open an account" in chief.client.get(f"{BASE}/").text
    assert f'href="{BASE}/open/razorpay/"' in chief.client.get(f"{BASE}/open/").text
    form = chief.client.get(f"{BASE}/open/razorpay/").text
    assert '<input type="password" name="credential_key_secret" autocomplete="new-password"' in form
    assert '<input type="text" name="credential_key_id"' in form

    answer = open_account(chief)
    account = ProviderAccount.objects.get()
    assert answer.headers["Location"] == f"{BASE}/{account.pk}/change/"
    assert (account.provider, account.name, account.shop, account.funds, account.active) == (
        "razorpay", "platform", None, "held", True,
    )  # fmt: skip
    assert credentials.of(account) == {
        "key_id": "rzp_live_1", "key_secret": "the-old-secret", "webhook_secrets": "whsec-old", "account_id": "acc_1",
    }  # fmt: skip
    assert account.identity == {"key_id": "rzp_live_1", "account_id": "acc_1"}
    assert acts() == [("open_account", "a new contract")]
    page = chief.client.get(f"{BASE}/{account.pk}/change/").text
    assert "http://127.0.0.1:8000/webhooks/razorpay/platform" in page
    assert "rzp_live_1" in page
    assert not [secret for secret in SECRETS if secret in page + trail()]
    assert not Notice.objects.exists()


def test_what_is_wrong_is_said_beside_its_field_and_no_secret_is_written_back(chief: Operator) -> None:
    for changed, said in (
        ({"credential_key_id": ""}, "This field is required."),
        ({"credential_key_secret": "the-old-secret\u00e9"}, "There are letters in it that cannot be part of it."),
        ({"shop": "shp_nobody"}, "There is no such shop."),
        ({"funds": "direct"}, "Direct money belongs to one shop."),
        ({"name": "not a slug"}, "Enter a valid"),
        ({"reason": ""}, "This field is required."),
    ):
        answer = open_account(chief, **changed)
        assert answer.status_code == 200
        assert said in answer.text
        assert not [secret for secret in SECRETS if secret in answer.text]
    assert not ProviderAccount.objects.exists()
    assert acts() == []
    open_account(chief)
    assert "There is an account razorpay/platform already." in open_account(chief).text
    assert ProviderAccount.objects.count() == 1
    assert chief.client.get(f"{BASE}/open/nobody/").status_code == 404


def test_a_shop_is_told_when_an_operator_enters_credentials_of_its_own_account(chief: Operator, arjun: Person) -> None:
    assert open_account(chief, shop=public_id(arjun.shop), funds="direct", name="arjun").status_code == 302
    account = ProviderAccount.objects.get()
    assert (account.shop, account.funds) == (arjun.shop, "direct")
    assert Notice.objects.get().data == {
        "step": "entered_by_operator", "provider": "razorpay", "title": "Razorpay", "account": public_id(account),
    }  # fmt: skip
    replace(chief, account)
    assert Notice.objects.count() == 2
    said = [
        body["text"] for row in TextMessage.objects.filter(phone=arjun.phone) if not (body := unsealed(row))["code"]
    ]
    assert (
        said
        == ['Pushcart: an operator entered Razorpay credentials of "Arjun\'s tea". Not what you wanted? Tell us.'] * 2
    )


@pytest.mark.parametrize(("old", "accepted"), [("keep", 2), ("revoke", 1)])
def test_old_credentials_are_kept_for_a_week_or_revoked_and_stay_readable(
    chief: Operator, old: str, accepted: int
) -> None:
    open_account(chief)
    account = ProviderAccount.objects.get()
    assert replace(chief, account, old).status_code == 302
    account.refresh_from_db()
    now = timezone.now()
    assert credentials.of(account)["key_secret"] == "the-new-secret"
    assert account.identity["key_id"] == "rzp_live_2"
    assert len(credentials.accepted(account, now=now)) == accepted
    assert len(credentials.accepted(account, now=now + timedelta(days=7, seconds=1))) == 1
    assert [each["key_secret"] for each in credentials.every_of(account)] == ["the-new-secret", "the-old-secret"]
    assert acts()[-1] == ("replace_credentials", "rotated")
    page = chief.client.get(f"{BASE}/{account.pk}/change/").text
    assert ("Still accepted until" in page) is (old == "keep")
    assert not [secret for secret in SECRETS if secret in page + trail()]


def test_old_credentials_are_revoked_by_an_act_of_their_own(chief: Operator, wei: Operator) -> None:
    open_account(chief)
    account = ProviderAccount.objects.get()
    assert "Revoke old" not in wei.client.get(f"{BASE}/{account.pk}/change/").text
    replace(chief, account)
    wei.act("payments/provideraccount", account, "revoke-old", "a leak")
    assert OldCredentials.objects.get().accepted_until is None
    wei.act("payments/provideraccount", account, "revoke-old", "again")
    assert acts("open_account", "replace_credentials") == [("revoke_old", "a leak")]


def test_credentials_of_another_account_there_are_no_replacement(chief: Operator) -> None:
    open_account(chief)
    account = ProviderAccount.objects.get()
    answer = replace(chief, account, credential_account_id="acc_2")
    assert "These are of another account there: open one for them." in answer.text
    assert "the-new-secret" not in answer.text
    account.refresh_from_db()
    assert credentials.of(account)["key_secret"] == "the-old-secret"
    assert (OldCredentials.objects.count(), len(acts())) == (0, 1)


def test_an_operator_without_the_permission_enters_nothing(chief: Operator, wei: Operator) -> None:
    open_account(chief)
    account = ProviderAccount.objects.get()
    for address in (f"{BASE}/open/", f"{BASE}/open/razorpay/", f"{BASE}/{account.pk}/credentials/"):
        assert wei.client.get(address).status_code == 403
        assert wei.client.post(address, GIVEN).status_code == 403
    assert "Open an account" not in wei.client.get(f"{BASE}/").text
    assert "Enter new ones" not in wei.client.get(f"{BASE}/{account.pk}/change/").text
    wei.user.user_permissions.add(Permission.objects.get(codename="add_provideraccount"))
    assert wei.client.get(f"{BASE}/{account.pk}/credentials/").status_code == 200
    assert ProviderAccount.objects.count() == 1


def checked(operator: Operator, account: ProviderAccount) -> str:
    operator.act("payments/provideraccount", account, "check")
    row = OperatorAct.objects.latest("id")
    assert row.act == "check"
    said = str(row.after["result"])
    page = operator.client.get(f"{BASE}/{account.pk}/change/").text
    assert said.split(":")[0] in page
    return said


def test_credentials_are_checked_by_asking_the_provider(wei: Operator, tmp_path: Path, settings: LazySettings) -> None:
    with running_wallet(tmp_path) as wallet, known_at(wallet) as account:
        assert checked(wei, account) == "accepted"
        wrong = {**credentials.of(account), "api_key": "not-the-key"}
        ProviderAccount.objects.update(sealed_credentials=credentials.sealed(wrong))
        assert checked(wei, account).startswith("refused: refused with 401")
    assert checked(wei, account) == "could not be reached: cannot be reached: ConnectionError"
    settings.SANDBOX_URL = ""
    assert checked(wei, account) == "not asked: this provider is switched off by the settings"


def test_what_cannot_be_opened_or_read_is_found_without_asking(wei: Operator) -> None:
    account = platform()
    ProviderAccount.objects.update(sealed_credentials=credentials.sealed({"api_key": "a\nb"}))
    said = checked(wei, account)
    assert said.startswith("not right: api_key: There are letters in it that cannot be part of it.")
    assert said.endswith("webhook_secrets: This field is required.")
    ProviderAccount.objects.update(sealed_credentials=b"sealed with a key that is lost")
    assert checked(wei, account).startswith("cannot be opened")


def test_a_shops_waiting_change_is_seen_and_canceled(wei: Operator, arjun: Person) -> None:
    now = timezone.now()
    change = CredentialChange.objects.create(
        shop=arjun.shop, provider="razorpay", sealed_credentials=credentials.sealed({"key_secret": "the-new-secret"}),
        identity={"key_id": "rzp_live_2"}, requested_by=arjun.staff, requested_at=now,
        effective_at=now + timedelta(days=1),
    )  # fmt: skip
    page = wei.client.get(f"/admin/payments/credentialchange/{change.pk}/change/").text
    assert "rzp_live_2" in page
    assert "the-new-secret" not in page
    assert len(wei.client.get("/admin/payments/credentialchange/", {"q": str(change)}).context["cl"].result_list) == 1
    wei.act("payments/credentialchange", change, "cancel", "the owner called")
    change.refresh_from_db()
    assert (change.state, bytes(change.sealed_credentials)) == ("canceled", b"")
    assert Notice.objects.get(shop=arjun.shop).data["step"] == "canceled"
    wei.act("payments/credentialchange", change, "cancel", "again")
    assert acts() == [("cancel", "the owner called")]
    assert len(wei.client.get("/admin/merchants/operatoract/", {"q": str(change)}).context["cl"].result_list) == 1
