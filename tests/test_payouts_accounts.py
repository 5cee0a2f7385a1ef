"""A shop's payout account over the API: a code, a warning to every owner, a day's wait, a proof, a sealed number."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import seals
from merchants.audit import UnableToAct
from merchants.models import IdempotentReply, Notice, OperatorAct, Shop, Staff, TextMessage
from payments import freezing
from payments.models import PayoutAccount
from payments.payouts import accounts
from tests.cast import Person, code_sent_to, field_problems, hire, open_shop, problem, unsealed
from tests.payday import CNAPS, IBAN, NUMBER, operator

PATH = "/api/v1/payout-account"
GIVEN = {"scheme": "local", "country": "CN", "bank_code": CNAPS, "number": NUMBER, "holder": "Mei  Chen"}


@pytest.fixture(autouse=True)
def generous(settings: LazySettings) -> None:
    settings.CODE_BUDGET_PHONE = "100/minute"


def enter(person: Person, *, key: str = "k", code: str | None = None, **changed: Any) -> Any:
    if code is None:
        assert person.api().post("/api/v1/auth/step-up", {"purpose": "payout"}).status_code == 202
        code = code_sent_to(person.phone)
    return person.api().post(PATH, {**GIVEN, **changed, "code": code}, headers={"Idempotency-Key": key})


def texts_to(phone: str) -> list[str]:
    bodies = [unsealed(row) for row in TextMessage.objects.filter(phone=phone).order_by("id")]
    return [body["text"] for body in bodies if not body["code"]]


def steps(shop: Shop) -> list[str]:
    rows = Notice.objects.filter(shop=shop, kind="payout_account_change").order_by("number")
    return [row.data["step"] for row in rows]


def activate(account: PayoutAccount) -> None:
    """Proved, and its time has come."""
    if account.verified_at is None:
        accounts.verify(account_id=account.id, operator=operator(), reason="card", now=timezone.now())
    PayoutAccount.objects.filter(id=account.id).update(effective_at=timezone.now())
    assert accounts.apply_due(now=timezone.now()) == 1


def test_the_first_account_waits_for_its_proof_alone_and_every_owner_is_told(mei: Person) -> None:
    partner = hire(mei.shop, "+8613700137000", Staff.Role.OWNER)
    hire(mei.shop, "+8613600136000", Staff.Role.MANAGER)
    answer = enter(mei)
    account = PayoutAccount.objects.get()
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "id": str(account), "state": "waiting", "scheme": "local", "country": "CN", "currency": "CNY",
            "bank_code": CNAPS, "holder": "Mei Chen", "tail": "0128", "verified": False, "verification": "",
            "requested_at": answer.json()["requested_at"], "effective_at": answer.json()["requested_at"],
        },
    )  # fmt: skip
    for phone in (mei.phone, partner.phone):
        [text] = texts_to(phone)
        assert text == (
            'Pushcart: the money of "Mei\'s fruit" shall be paid to the account of "Mei Chen" ending 0128, once its '
            f"holder is proved. Not you? Stop {account} at http://127.0.0.1:8000/app/, or tell us its number."
        )
    assert texts_to("+8613600136000") == []
    assert accounts.apply_due(now=timezone.now() + timedelta(days=30)) == 0
    activate(account)
    assert steps(mei.shop) == ["entered", "applied"]
    shown = mei.api().get(PATH).json()
    assert (shown["active"]["id"], shown["active"]["verified"], shown["waiting"]) == (str(account), True, None)


def test_a_change_waits_a_day_though_it_is_proved_and_replaces_the_old(mei: Person) -> None:
    enter(mei)
    activate(PayoutAccount.objects.get())
    answer = enter(mei, key="second", scheme="iban", number=f" {IBAN[:4]} {IBAN[4:]}", bank_code="")
    assert (answer.status_code, answer.json()["tail"]) == (201, "3000")
    new = PayoutAccount.objects.get(state="waiting")
    assert new.effective_at - new.requested_at == timedelta(hours=24)
    assert "shall be paid to the account" in texts_to(mei.phone)[-1]
    accounts.verify(account_id=new.id, operator=operator(), reason="passbook", now=timezone.now())
    assert accounts.apply_due(now=new.effective_at - timedelta(seconds=1)) == 0
    assert accounts.apply_due(now=new.effective_at) == 1
    assert accounts.apply_due(now=new.effective_at) == 0
    states = PayoutAccount.objects.order_by("id").values_list("state", "tail")
    assert list(states) == [("replaced", "0128"), ("active", "3000")]


def test_the_warning_goes_to_the_phones_of_before(mei: Person) -> None:
    enter(mei)
    texts = TextMessage.objects.filter(phone=mei.phone).count()
    type(mei.user).objects.filter(id=mei.user.id).update(phone="+8613900139999")
    assert TextMessage.objects.filter(phone=mei.phone).count() == texts
    assert len(texts_to(mei.phone)) == 1


def test_any_owner_stops_it_without_a_code_and_its_number_is_wiped(mei: Person) -> None:
    enter(mei)
    account = PayoutAccount.objects.get()
    partner = hire(mei.shop, "+8613700137000", Staff.Role.OWNER)
    assert partner.api().delete(f"{PATH}/{account}").status_code == 204
    account.refresh_from_db()
    assert (account.state, bytes(account.sealed_number)) == ("canceled", b"")
    assert problem(mei.api().delete(f"{PATH}/{account}")) == (409, "change_not_waiting")
    assert steps(mei.shop) == ["entered", "canceled"]
    assert "was canceled. Nothing has changed." in texts_to(mei.phone)[-1]


def test_the_number_is_nowhere_but_under_its_seal(
    mei: Person, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    enter(mei)
    enter(mei, key="twice")  # Refused: one waits.
    account = PayoutAccount.objects.get()
    assert seals.unseal(account.sealed_number) == accounts.number(account) == NUMBER
    said = "".join((caplog.text, *capfd.readouterr()))
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT coalesce(string_agg(whole::text, ''), '') FROM \"{table}\" whole")
            said += cursor.fetchone()[0]
    said += json.dumps(mei.api().get(PATH).json()) + "".join(texts_to(mei.phone))
    assert NUMBER not in said
    assert NUMBER[:10] not in said


def test_only_an_owner_enters_a_manager_sees_and_an_assistant_does_not(
    mei: Person, lan: Person, stranger: APIClient
) -> None:
    manager = hire(mei.shop, "+8613700137000", Staff.Role.MANAGER)
    enter(mei)
    account = PayoutAccount.objects.get()
    assert manager.api().get(PATH).json()["waiting"]["tail"] == "0128"
    assert problem(lan.api().get(PATH)) == (403, "role_too_low")
    for person in (manager, lan):
        assert problem(enter(person, code="123456")) == (403, "role_too_low")
        assert problem(person.api().delete(f"{PATH}/{account}")) == (403, "role_too_low")
        asked = person.api().post("/api/v1/auth/step-up", {"purpose": "payout"})
        assert problem(asked) == (403, "role_too_low")
    assert problem(stranger.get(PATH)) == (401, "not_authenticated")
    assert PayoutAccount.objects.get().state == "waiting"


def test_another_shops_account_is_as_good_as_unknown(mei: Person, arjun: Person) -> None:
    enter(mei)
    account = PayoutAccount.objects.get()
    assert problem(arjun.api().delete(f"{PATH}/{account}")) == (404, "not_found")
    assert problem(arjun.api().delete(f"{PATH}/nonsense")) == (404, "not_found")
    assert arjun.api().get(PATH).json() == {"active": None, "waiting": None}
    assert PayoutAccount.objects.get().state == "waiting"


@pytest.mark.parametrize(
    ("changed", "problems"),
    [
        ({"scheme": "iban", "number": "DE88370400440532013000", "bank_code": ""}, {"number": "iban_check_failed"}),
        ({"bank_code": "1"}, {"bank_code": "bank_code_malformed"}),
        ({"number": "\ud800"}, {"number": "surrogate_characters_not_allowed"}),
        ({"number": "62"}, {"number": "number_malformed"}),
        ({"holder": "Mei\u202eChen"}, {"holder": "holder_unreadable"}),
        ({"holder": " "}, {"holder": "blank"}),
        ({"country": "XX"}, {"country": "country_unknown"}),
        ({"scheme": "cash"}, {"scheme": "invalid_choice"}),
    ],
)
def test_what_can_be_no_account_is_refused_and_spends_no_code(
    mei: Person, changed: dict[str, str], problems: dict[str, str]
) -> None:
    raw = json.dumps({**GIVEN, **changed, "code": "123456"})
    headers = {"Idempotency-Key": "k"}
    answer = mei.api().generic("POST", PATH, raw, content_type="application/json", headers=headers)
    assert field_problems(answer) == problems
    assert (PayoutAccount.objects.count(), IdempotentReply.objects.count()) == (0, 0)


def test_without_a_right_code_nothing_changes(mei: Person) -> None:
    assert problem(enter(mei, code="")) == (403, "step_up_required")
    assert problem(enter(mei, code="000000")) == (403, "step_up_invalid")
    assert mei.api().post("/api/v1/auth/step-up", {"purpose": "account"}).status_code == 202
    assert problem(enter(mei, code=code_sent_to(mei.phone))) == (403, "step_up_invalid")
    assert PayoutAccount.objects.count() == 0


def test_the_same_request_twice_is_one_account(mei: Person) -> None:
    first, again = enter(mei), enter(mei, code="999999")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    assert PayoutAccount.objects.count() == 1
    assert problem(enter(mei, number="6222029876543210987")) == (422, "idempotency_key_reused")
    assert problem(enter(mei, key="other")) == (409, "change_waiting")


def test_a_frozen_shop_enters_nothing_and_what_waits_goes_on_waiting(mei: Person) -> None:
    enter(mei)
    account = PayoutAccount.objects.get()
    accounts.verify(account_id=account.id, operator=operator(), reason="card", now=timezone.now())
    freezing.freeze(shop_id=mei.shop.id, operator=operator(), reason="asked", now=timezone.now())
    assert accounts.apply_due(now=timezone.now()) == 0
    assert mei.api().delete(f"{PATH}/{account}").status_code == 204  # Stopping it harms nobody.
    assert problem(enter(mei, key="frozen")) == (409, "shop_frozen")


def test_an_operator_proves_it_once_and_with_a_reason_in_the_trail(mei: Person) -> None:
    enter(mei)
    account = PayoutAccount.objects.get()
    accounts.verify(account_id=account.id, operator=operator(), reason="bank card seen", now=timezone.now())
    account.refresh_from_db()
    assert (account.verified_by, account.verification) == (operator(), "bank card seen")
    with pytest.raises(UnableToAct) as refusal:
        accounts.verify(account_id=account.id, operator=operator(), reason="again", now=timezone.now())
    assert refusal.value.code == "verified_already"
    assert [row.reason for row in OperatorAct.objects.filter(act="verify")] == ["bank card seen"]


def test_an_operator_ends_one_that_waits(mei: Person) -> None:
    enter(mei)
    account = PayoutAccount.objects.get()
    accounts.refuse(account_id=account.id, operator=operator(), reason="another holder", now=timezone.now())
    assert steps(mei.shop) == ["entered", "canceled"]
    with pytest.raises(UnableToAct) as refusal:
        accounts.refuse(account_id=account.id, operator=operator(), reason="again", now=timezone.now())
    assert refusal.value.code == "account_canceled"
    assert OperatorAct.objects.filter(act="refuse").count() == 1


def test_the_database_lets_no_account_be_active_without_a_proof(mei: Person) -> None:
    enter(mei)
    with pytest.raises(IntegrityError, match="payout_account_verified"), transaction.atomic():
        PayoutAccount.objects.update(state="active")


def test_each_shop_has_its_own(mei: Person) -> None:
    other = open_shop("+8613100131000", "Bo's noodles")
    enter(mei)
    assert enter(other).status_code == 201
    assert PayoutAccount.objects.filter(state="waiting").count() == 2
