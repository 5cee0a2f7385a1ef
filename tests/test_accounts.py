"""A shop's own account: its owner enters credentials, a day passes in which she can stop it, then they take effect."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import bell, ids
from merchants.models import IdempotentReply, Notice, OneTimeCode, OperatorAct, Shop, Staff, TextMessage
from payments import accounts, checkout, credentials
from payments.models import CredentialChange, OldCredentials, ProviderAccount
from payments.tasks import apply_credential_changes
from tests.cast import ARJUN_PHONE, Person, code_sent_to, field_problems, hire, problem, unsealed

pytestmark = pytest.mark.django_db

ACCOUNTS = "/api/v1/provider-accounts"
DAY = timedelta(hours=24)
GIVEN = {"key_id": "rzp_live_1", "key_secret": "the-old-secret", "webhook_secrets": "whsec-old"}
NEWER = {"key_id": "rzp_live_2", "key_secret": "the-new-secret", "webhook_secrets": "whsec-new"}
SECRETS = ["the-old-secret", "whsec-old", "the-new-secret", "whsec-new"]


def fresh_code(person: Person) -> str:
    bell.store().flushdb()  # These tests are not about the budgets.
    assert person.api().post("/api/v1/auth/step-up", {"purpose": "account"}).status_code == 202
    return code_sent_to(person.phone)


def enter(
    person: Person, given: dict[str, Any] | None = None, *, code: str | None = None, key: str = "k", **fields: Any
) -> Any:
    code = fresh_code(person) if code is None else code
    body = {"provider": "razorpay", "credentials": GIVEN if given is None else given, "code": code, **fields}
    return person.api().post(ACCOUNTS, body, headers={"Idempotency-Key": key})


def unchanged(act: Callable[[], Any]) -> Any:
    """The answer to a request that changes nothing and tells nobody."""

    def everything() -> list[object]:
        tables: list[Any] = [ProviderAccount, OldCredentials, CredentialChange, IdempotentReply, Notice, TextMessage]
        rows = [list(table.objects.order_by("pk").values()) for table in tables]
        return [*rows, list(OneTimeCode.objects.order_by("id").values("id", "redeemed_at"))]

    before = everything()
    answer = act()
    assert everything() == before
    return answer


def told(shop: Shop) -> list[str]:
    return [row.data["step"] for row in Notice.objects.filter(shop=shop, kind="account_change").order_by("number")]


def texts_to(phone: str) -> list[str]:
    bodies = [unsealed(row) for row in TextMessage.objects.filter(phone=phone).order_by("id")]
    return [body["text"] for body in bodies if not body["code"]]


def listed(person: Person) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = person.api().get(ACCOUNTS).json()["results"]
    return rows


def take_effect(person: Person, given: dict[str, str], key: str) -> ProviderAccount:
    assert enter(person, given, key=key).status_code == 201
    CredentialChange.objects.filter(state="waiting").update(effective_at=timezone.now())  # A day later.
    assert accounts.apply_due(now=timezone.now()) == 1
    return ProviderAccount.objects.filter(shop=person.shop).latest("id")


# --- Forms -----------------------------------------------------------------------------------------------------------


def test_the_owner_sees_the_providers_of_her_currency_and_what_they_ask_for(mei: Person, arjun: Person) -> None:
    rows = {row["provider"]: row for row in arjun.api().get("/api/v1/providers").json()["results"]}
    assert rows["razorpay"]["title"] == "Razorpay"
    assert rows["razorpay"]["fields"][:2] == [
        {"name": "key_id", "label": "Key id (rzp_…)", "secret": False, "required": True, "form": "text"},
        {"name": "key_secret", "label": "Key secret", "secret": True, "required": True, "form": "text"},
    ]
    assert rows["razorpay"]["addresses"] == []
    assert "razorpay" not in {row["provider"] for row in mei.api().get("/api/v1/providers").json()["results"]}


def test_only_the_owner_sees_or_changes_accounts(arjun: Person, stranger: APIClient) -> None:
    manager = hire(arjun.shop, "+8613700137000", Staff.Role.MANAGER)
    helper = hire(arjun.shop, "+8613600136000")
    enter(arjun)
    change = listed(arjun)[0]["change"]["id"]
    for person in (manager, helper):
        for path in ("/api/v1/providers", ACCOUNTS):
            assert problem(person.api().get(path)) == (403, "role_too_low")
        assert problem(unchanged(lambda: enter(person, code="123456"))) == (403, "role_too_low")  # noqa: B023
        cancel = unchanged(lambda: person.api().delete(f"{ACCOUNTS}/changes/{change}"))  # noqa: B023
        assert problem(cancel) == (403, "role_too_low")
    assert problem(stranger.get(ACCOUNTS)) == (401, "not_authenticated")


@pytest.mark.parametrize("value", ["x", [1]])
def test_a_field_whose_name_cannot_be_written_is_refused_like_any_other(arjun: Person, value: Any) -> None:
    raw = json.dumps({"provider": "razorpay", "credentials": {"\ud800": value}, "code": "1"})
    headers = {"Idempotency-Key": "k"}
    answer = arjun.api().generic("POST", ACCOUNTS, raw, content_type="application/json", headers=headers)
    assert (answer.status_code, "credentials.?" in field_problems(answer)) == (400, True)


# --- Entering --------------------------------------------------------------------------------------------------------


def test_new_credentials_wait_a_day_and_every_owner_is_told(arjun: Person, settings: LazySettings) -> None:
    partner = hire(arjun.shop, "+8613700137000", Staff.Role.OWNER)
    hire(arjun.shop, "+8613600136000", Staff.Role.MANAGER)
    Shop.objects.filter(id=arjun.shop.id).update(name="Arjun's tea\nCall +1 900, it is the finest in town")
    answer = enter(arjun, {**GIVEN, "account_id": "acc_1"})
    assert answer.status_code == 201
    change = CredentialChange.objects.get()
    assert answer.json() == {
        "id": None,
        "provider": "razorpay",
        "title": "Razorpay",
        "funds": "direct",
        "active": False,
        "identity": {"key_id": "rzp_live_1", "account_id": "acc_1"},
        "webhook_url": f"http://127.0.0.1:8000/webhooks/razorpay/razorpay-{ids.public('shp', arjun.shop.id)[-13:]}",
        "created_at": None,
        "change": {
            "id": str(change),
            "identity": {"key_id": "rzp_live_1", "account_id": "acc_1"},
            "requested_at": answer.json()["change"]["requested_at"],
            "effective_at": answer.json()["change"]["effective_at"],
        },
    }
    assert change.effective_at - change.requested_at == DAY
    assert (change.state, change.requested_by) == ("waiting", arjun.staff)
    assert listed(arjun) == [answer.json()]
    assert not ProviderAccount.objects.exists()
    assert told(arjun.shop) == ["requested"]
    for phone in (arjun.phone, partner.phone):
        (text,) = texts_to(phone)
        assert text.startswith('Pushcart: new Razorpay credentials of "Arjun\'s tea Call +1 900, it is" take effect ')
        assert " IST: they decide where its sales are paid to." in text
        assert str(change) in text
    assert texts_to("+8613600136000") == []
    assert accounts.apply_due(now=change.effective_at - timedelta(seconds=1)) == 0


def test_no_secret_is_shown_logged_or_kept_in_clear(arjun: Person, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = [enter(arjun).content.decode(), enter(arjun, NEWER, key="again").content.decode()]
    said += [
        enter(arjun, {**GIVEN, "key_secret": "the-new-secret\nX", "nonsense": "whsec-old"}, key="3").content.decode()
    ]
    accounts.apply_due(now=timezone.now() + DAY)
    said += [arjun.api().get(ACCOUNTS).content.decode(), caplog.text]
    tables: list[Any] = [ProviderAccount, CredentialChange, IdempotentReply, Notice, TextMessage, OperatorAct]
    kept = "".join(str([bytes(v) if isinstance(v, memoryview) else v for v in row.values()])
                   for table in tables for row in table.objects.values())  # fmt: skip
    assert not [secret for secret in SECRETS if secret in kept or any(secret in text for text in said)]


def test_a_replay_gives_the_stored_reply_without_another_code(arjun: Person) -> None:
    first = enter(arjun)
    for code in ("", "000000"):
        again = unchanged(lambda: enter(arjun, code=code))  # noqa: B023
        assert (again.status_code, again.json()) == (201, first.json())
    assert problem(enter(arjun, NEWER, code="")) == (422, "idempotency_key_reused")


def test_without_a_right_code_nothing_changes(arjun: Person, mei: Person) -> None:
    assert problem(unchanged(lambda: enter(arjun, code=""))) == (403, "step_up_required")
    code = fresh_code(arjun)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert problem(unchanged(lambda: enter(arjun, code=wrong))) == (403, "step_up_invalid")
    bell.store().flushdb()
    arjun.api().post("/api/v1/auth/step-up", {"purpose": "refund"})
    for_a_refund = code_sent_to(ARJUN_PHONE)
    assert problem(unchanged(lambda: enter(arjun, code=for_a_refund))) == (403, "step_up_invalid")
    assert enter(arjun, code=code).status_code == 201
    assert problem(unchanged(lambda: enter(arjun, code=code, key="2", provider="razorpay"))) == (
        403,
        "step_up_invalid",
    )


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({}, {"credentials.key_id": "required", "credentials.key_secret": "required",
              "credentials.webhook_secrets": "required"}),
        ({**GIVEN, "more": "x"}, {"credentials.more": "unknown_field"}),
        ({**GIVEN, "key_secret": "a\nb"}, {"credentials.key_secret": "not_plain"}),
        ({**GIVEN, "key_secret": ["a"]}, {"credentials.key_secret": "invalid"}),
        ({f"field{n}": "x" for n in range(41)}, {"credentials": "too_many_fields"}),
        ("text", {"credentials": "not_a_dict"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_field_before_a_code_is_looked_at(
    arjun: Person, given: Any, errors: dict[str, str]
) -> None:
    assert field_problems(unchanged(lambda: enter(arjun, given, code="123456"))) == errors


def test_a_provider_that_the_shop_cannot_have_is_refused(mei: Person, arjun: Person) -> None:
    for person, provider in ((mei, "razorpay"), (arjun, "nobody"), (arjun, "")):
        answer = unchanged(lambda: enter(person, code="1", provider=provider))  # noqa: B023
        assert set(field_problems(answer)) == {"provider"}


def test_a_key_for_the_request_is_required(arjun: Person) -> None:
    body = {"provider": "razorpay", "credentials": GIVEN, "code": "1"}
    assert problem(unchanged(lambda: arjun.api().post(ACCOUNTS, body))) == (400, "idempotency_key_missing")


def test_only_one_change_waits_per_provider(arjun: Person) -> None:
    enter(arjun)
    code = fresh_code(arjun)
    assert problem(unchanged(lambda: enter(arjun, NEWER, code=code, key="2"))) == (409, "change_waiting")


@pytest.mark.parametrize("state", ["restricted", "frozen", "closed"])
def test_a_shop_that_is_not_active_enters_nothing(arjun: Person, state: str) -> None:
    Shop.objects.update(state=state)
    code = fresh_code(arjun)
    assert problem(unchanged(lambda: enter(arjun, code=code))) == (409, f"shop_{state}")


# --- Canceling -------------------------------------------------------------------------------------------------------


def test_the_owner_cancels_without_a_code_and_nothing_takes_effect(arjun: Person) -> None:
    change = enter(arjun).json()["change"]["id"]
    assert arjun.api().delete(f"{ACCOUNTS}/changes/{change}").status_code == 204
    row = CredentialChange.objects.get()
    assert (row.state, bytes(row.sealed_credentials), row.ended_at is not None) == ("canceled", b"", True)
    assert (listed(arjun), told(arjun.shop)) == ([], ["requested", "canceled"])
    assert texts_to(arjun.phone)[-1] == (
        f'Pushcart: the new Razorpay credentials of "Arjun\'s tea" ({change}) were canceled. Nothing has changed.'
    )
    assert accounts.apply_due(now=timezone.now() + 2 * DAY) == 0
    again = unchanged(lambda: arjun.api().delete(f"{ACCOUNTS}/changes/{change}"))
    assert problem(again) == (409, "change_not_waiting")
    assert enter(arjun, key="2").status_code == 201


def test_another_shops_change_is_not_found(arjun: Person, mei: Person) -> None:
    change = enter(arjun).json()["change"]["id"]
    for name in (change, "chg_nonsense", ids.public("chg", ids.new()), ids.public("pac", ids.new())):
        answer = unchanged(lambda: mei.api().delete(f"{ACCOUNTS}/changes/{name}"))  # noqa: B023
        assert problem(answer) == (404, "not_found")


# --- Taking effect ---------------------------------------------------------------------------------------------------


def test_after_a_day_the_shop_has_an_account_of_its_own(arjun: Person) -> None:
    announced = enter(arjun).json()
    effective = CredentialChange.objects.get().effective_at
    assert accounts.apply_due(now=effective) == 1
    account = ProviderAccount.objects.get()
    assert (account.provider, account.shop, account.funds, account.active) == ("razorpay", arjun.shop, "direct", True)
    assert credentials.of(account) == GIVEN
    assert accounts.webhook_url("razorpay", account.name) == announced["webhook_url"]
    change = CredentialChange.objects.get()
    assert (change.state, change.ended_at, bytes(change.sealed_credentials)) == ("applied", effective, b"")
    assert told(arjun.shop) == ["requested", "applied"]
    assert "took effect. Not you? Tell us at once." in texts_to(arjun.phone)[-1]
    assert [row["change"] for row in listed(arjun)] == [None]
    assert checkout.accepted(arjun.shop)[-1] == account
    assert accounts.apply_due(now=effective) == 0


def test_new_credentials_of_the_same_account_replace_the_old_which_still_prove_for_a_week(arjun: Person) -> None:
    before = take_effect(arjun, {**GIVEN, "account_id": "acc_1"}, "1")
    waiting = enter(arjun, {**NEWER, "account_id": "acc_1"}, key="2").json()
    assert (waiting["id"], waiting["identity"]["key_id"]) == (ids.public("pac", before.id), "rzp_live_1")
    assert waiting["change"]["identity"]["key_id"] == "rzp_live_2"
    moment = timezone.now() + DAY
    assert accounts.apply_due(now=moment) == 1
    account = ProviderAccount.objects.get()
    assert (account.id, account.name) == (before.id, before.name)
    assert credentials.of(account)["key_secret"] == "the-new-secret"
    assert account.identity["key_id"] == "rzp_live_2"
    assert list(credentials.secrets(account, "webhook_secrets", now=moment)) == ["whsec-new", "whsec-old"]
    week = moment + timedelta(days=7)
    assert list(credentials.secrets(account, "webhook_secrets", now=week)) == ["whsec-new"]
    assert [each["key_secret"] for each in credentials.every_of(account)] == ["the-new-secret", "the-old-secret"]


def test_credentials_of_another_account_there_open_another_here(arjun: Person) -> None:
    """Refunds and late notifications of the first go on under its own credentials."""
    first = take_effect(arjun, {**GIVEN, "account_id": "acc_1"}, "1")
    second = take_effect(arjun, {**NEWER, "account_id": "acc_2"}, "2")
    first.refresh_from_db()
    assert (first.active, credentials.of(first)["key_secret"]) == (False, "the-old-secret")
    assert (second.active, credentials.of(second)["key_secret"]) == (True, "the-new-secret")
    assert second.name == f"{first.name}-2"
    assert not OldCredentials.objects.exists()
    assert [(row["identity"]["account_id"], row["active"]) for row in listed(arjun)] == [
        ("acc_1", False),
        ("acc_2", True),
    ]


def test_a_shop_that_goes_back_to_its_first_account_takes_payments_with_it_again(arjun: Person) -> None:
    first = take_effect(arjun, {**GIVEN, "account_id": "acc_1"}, "1")
    second = take_effect(arjun, {**GIVEN, "account_id": "acc_2"}, "2")
    take_effect(arjun, {**NEWER, "account_id": "acc_1"}, "3")
    for account in (first, second):
        account.refresh_from_db()
    assert (first.active, second.active) == (True, False)
    assert credentials.of(first)["key_secret"] == "the-new-secret"
    assert [row for row in checkout.accepted(arjun.shop) if row.shop_id] == [first]


def test_an_account_by_which_we_hold_the_shops_money_is_never_replaced_by_it(arjun: Person) -> None:
    held = ProviderAccount.objects.create(
        provider="razorpay",
        name="sub-merchant",
        funds="held",
        shop=arjun.shop,
        sealed_credentials=credentials.sealed(NEWER),
    )
    own = take_effect(arjun, GIVEN, "1")
    assert own.id != held.id
    held.refresh_from_db()
    assert (held.active, credentials.of(held)) == (True, NEWER)


@pytest.mark.parametrize("state", ["restricted", "frozen", "closed"])
def test_a_change_of_a_frozen_shop_waits_until_it_is_active_again(arjun: Person, state: str) -> None:
    enter(arjun)
    late = timezone.now() + 3 * DAY
    Shop.objects.update(state=state)
    assert unchanged(lambda: accounts.apply_due(now=late)) == 0
    Shop.objects.update(state="active")
    assert accounts.apply_due(now=late) == 1


def test_an_account_that_operators_switched_off_stays_off(arjun: Person) -> None:
    account = take_effect(arjun, GIVEN, "1")
    ProviderAccount.objects.update(active=False)
    take_effect(arjun, NEWER, "2")
    account.refresh_from_db()
    assert (account.active, credentials.of(account)["key_secret"]) == (False, "the-new-secret")


def test_a_shop_whose_accounts_operators_switched_off_gets_no_other_one_by_itself(arjun: Person) -> None:
    first = take_effect(arjun, {**GIVEN, "account_id": "acc_1"}, "1")
    ProviderAccount.objects.update(active=False)
    second = take_effect(arjun, {**NEWER, "account_id": "acc_2"}, "2")
    first.refresh_from_db()
    second.refresh_from_db()
    assert second.id != first.id
    assert (first.active, second.active) == (False, False)


def test_the_task_lets_everything_take_effect_that_is_due(arjun: Person, now: datetime) -> None:
    enter(arjun)
    apply_credential_changes()
    assert not ProviderAccount.objects.exists()
    CredentialChange.objects.update(effective_at=now)
    apply_credential_changes()
    assert ProviderAccount.objects.count() == 1
    assert json.loads(json.dumps(Notice.objects.latest("number").data))["step"] == "applied"
