"""A fresh code for a large refund: asked for over the API, good once, for its purpose and its person only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import bell, ids, step_up
from merchants.models import IdempotentReply, OneTimeCode, Shop, Staff, TextMessage
from merchants.refusals import Refused
from payments.models import LedgerEntry, Payment, Refund
from tests.cast import Person, code_sent_to, field_problems, hire, problem, unsealed
from tests.till import assert_books_hold, drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.django_db


@pytest.fixture
def payment(mei: Person) -> Payment:
    """A whole orchard, paid: 3000 yuan."""
    platform()
    paid(expect(shop_code(mei.shop), 300_000)).deliver()
    drain()
    return Payment.objects.get()


def ask_for_code(person: Person, purpose: str = "refund") -> str:
    """The code of a text that was asked for over the API."""
    bell.store().flushdb()  # These tests are not about the budgets.
    answer = person.api().post("/api/v1/auth/step-up", {"purpose": purpose})
    assert (answer.status_code, answer.json()) == (202, {"expires_in_s": 300})
    return code_sent_to(person.phone)


def refund(person: Person, payment: Payment, amount: int, code: str | None = None, key: str = "key-1") -> Any:
    body: dict[str, Any] = {"amount": {"amount": amount, "currency": "CNY"}}
    if code is not None:
        body["code"] = code
    address = f"/api/v1/payments/{ids.public('pay', payment.id)}/refunds"
    return person.api().post(address, body, headers={"Idempotency-Key": key})


def unchanged(act: Callable[[], Any]) -> tuple[int, str]:
    """Status and code of a refusal, after which no money has moved, no reply is kept and no code is used up."""

    def everything() -> list[object]:
        rows = [list(model.objects.order_by("pk").values()) for model in (Refund, LedgerEntry, IdempotentReply)]
        return [*rows, list(OneTimeCode.objects.order_by("id").values("id", "redeemed_at"))]

    before = everything()
    answer = problem(act())
    assert everything() == before
    return answer


def another(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


# --- Sending ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "words"),
    [("refund", "confirms a refund in Pushcart"), ("account", "where your Pushcart sales are paid to")],
)
def test_the_text_says_what_the_code_is_for(mei: Person, purpose: str, words: str) -> None:
    code = ask_for_code(mei, purpose)
    text = unsealed(TextMessage.objects.latest("id"))["text"]
    assert text.startswith(code)
    assert words in text
    assert text.endswith("It works for 5 minutes. We never ask you for it: tell nobody.")
    row = OneTimeCode.objects.latest("id")
    assert (row.phone, row.purpose, row.redeemed_at) == (mei.phone, purpose, None)


def test_a_code_goes_only_to_who_may_do_what_it_confirms(mei: Person, lan: Person, stranger: APIClient) -> None:
    manager = hire(mei.shop, "+8613700137000", Staff.Role.MANAGER)
    before = OneTimeCode.objects.count()
    for person, purpose in ((lan, "refund"), (lan, "account"), (manager, "account")):
        answer = person.api().post("/api/v1/auth/step-up", {"purpose": purpose})
        assert problem(answer) == (403, "role_too_low")
    assert problem(stranger.post("/api/v1/auth/step-up", {"purpose": "refund"})) == (401, "not_authenticated")
    for purpose in ("sign_in", "", "x"):
        assert field_problems(mei.api().post("/api/v1/auth/step-up", {"purpose": purpose})) == {
            "purpose": "invalid_choice"
        }
    assert OneTimeCode.objects.count() == before
    assert ask_for_code(manager, "refund")


def test_these_codes_have_the_budgets_of_signing_in(mei: Person) -> None:
    for _ in range(3):
        assert mei.api().post("/api/v1/auth/step-up", {"purpose": "refund"}).status_code == 202
    sent = TextMessage.objects.count()
    assert problem(mei.api().post("/api/v1/auth/step-up", {"purpose": "account"})) == (429, "too_many_codes")
    assert problem(APIClient().post("/api/v1/auth/code", {"phone": mei.phone})) == (429, "too_many_codes")
    assert TextMessage.objects.count() == sent


# --- What wants a code -----------------------------------------------------------------------------------------------


def test_a_refund_up_to_the_limit_needs_no_code_and_one_above_it_does(mei: Person, payment: Payment) -> None:
    assert refund(mei, payment, 50_000).status_code == 201
    refused = refund(mei, payment, 50_001, key="key-2")
    assert problem(refused) == (403, "step_up_required")
    assert "POST /api/v1/auth/step-up" in refused.json()["detail"]
    assert unchanged(lambda: refund(mei, payment, 50_001, "", key="key-2")) == (403, "step_up_required")
    assert refund(mei, payment, 50_001, ask_for_code(mei), key="key-2").status_code == 201
    assert list(Refund.objects.order_by("id").values_list("amount", "confirmed")) == [(50_000, False), (50_001, True)]
    assert_books_hold()


def test_many_small_refunds_want_a_code_when_they_are_five_limits_in_a_day(mei: Person, payment: Payment) -> None:
    for number in range(5):
        assert refund(mei, payment, 50_000, key=f"small-{number}").status_code == 201
    assert unchanged(lambda: refund(mei, payment, 1, key="one-more")) == (403, "step_up_required")
    assert refund(mei, payment, 1, ask_for_code(mei), key="one-more").status_code == 201
    Refund.objects.filter(amount=50_000).update(state="failed")
    assert refund(mei, payment, 49_999, key="again").status_code == 201


def test_the_day_is_the_last_24_hours_and_what_a_code_confirmed_does_not_count(
    mei: Person, payment: Payment, settings: LazySettings
) -> None:
    settings.REFUND_CODE_ABOVE = {"CNY": 1000}
    assert refund(mei, payment, 100_000, ask_for_code(mei)).status_code == 201
    for number in range(5):
        assert refund(mei, payment, 1000, key=f"small-{number}").status_code == 201
    assert unchanged(lambda: refund(mei, payment, 1, key="today")) == (403, "step_up_required")
    for row in Refund.objects.order_by("id"):  # As if they had been asked for a day ago.
        Refund.objects.filter(id=row.id).update(id=ids.new(timezone.now() - timedelta(hours=24, seconds=1)))
    assert refund(mei, payment, 1000, key="tomorrow").status_code == 201


def test_a_currency_without_a_limit_of_its_own_has_one_of_a_hundred_units(
    mei: Person, payment: Payment, settings: LazySettings
) -> None:
    settings.REFUND_CODE_ABOVE = {}
    assert unchanged(lambda: refund(mei, payment, 10_001)) == (403, "step_up_required")
    assert refund(mei, payment, 10_000).status_code == 201


# --- What a code is good for -----------------------------------------------------------------------------------------


def test_a_wrong_code_is_counted_and_nothing_else_happens(mei: Person, payment: Payment) -> None:
    code = ask_for_code(mei)
    for attempt in range(1, 6):
        assert unchanged(lambda: refund(mei, payment, 100_000, another(code))) == (403, "step_up_invalid")
        assert OneTimeCode.objects.latest("id").attempts == attempt
    assert unchanged(lambda: refund(mei, payment, 100_000, code)) == (403, "step_up_invalid")
    assert refund(mei, payment, 100_000, ask_for_code(mei)).status_code == 201


def test_a_replay_gives_the_stored_reply_and_spends_no_code(mei: Person, payment: Payment) -> None:
    code = ask_for_code(mei)
    first = refund(mei, payment, 100_000, code)
    ask_for_code(mei)
    codes = list(OneTimeCode.objects.order_by("id").values())
    for again in (code, None, "", another(code)):
        replayed = refund(mei, payment, 100_000, again)
        assert (replayed.status_code, replayed.json()) == (201, first.json())
        assert replayed.headers["Idempotent-Replayed"] == "true"
    assert list(OneTimeCode.objects.order_by("id").values()) == codes
    assert Refund.objects.count() == 1
    assert problem(refund(mei, payment, 100_001, code)) == (422, "idempotency_key_reused")


def test_a_code_is_good_for_one_refund(mei: Person, payment: Payment) -> None:
    code = ask_for_code(mei)
    assert refund(mei, payment, 100_000, code).status_code == 201
    assert unchanged(lambda: refund(mei, payment, 100_000, code, key="key-2")) == (403, "step_up_invalid")


def test_a_code_of_another_purpose_is_good_for_nothing_here(mei: Person, payment: Payment) -> None:
    for_an_account = ask_for_code(mei, "account")
    assert unchanged(lambda: refund(mei, payment, 100_000, for_an_account)) == (403, "step_up_invalid")
    APIClient().post("/api/v1/auth/code", {"phone": mei.phone})
    to_sign_in = code_sent_to(mei.phone)
    assert unchanged(lambda: refund(mei, payment, 100_000, to_sign_in)) == (403, "step_up_invalid")
    entered = APIClient().post("/api/v1/auth/token", {"phone": mei.phone, "code": ask_for_code(mei)})
    assert problem(entered) == (400, "code_invalid")


def test_another_persons_code_is_good_for_nothing_here(mei: Person, arjun: Person, payment: Payment) -> None:
    manager = hire(mei.shop, "+8613700137000", Staff.Role.MANAGER)
    for code in (ask_for_code(arjun), ask_for_code(manager)):
        assert unchanged(lambda code=code: refund(mei, payment, 100_000, code)) == (403, "step_up_invalid")  # type: ignore[misc]
    assert refund(manager, payment, 100_000, code_sent_to(manager.phone)).status_code == 201


def test_a_code_is_good_for_five_minutes(mei: Person, payment: Payment) -> None:
    code = ask_for_code(mei)
    OneTimeCode.objects.update(expires_at=timezone.now())
    assert unchanged(lambda: refund(mei, payment, 100_000, code)) == (403, "step_up_invalid")


def test_only_the_newest_code_is_good(mei: Person, payment: Payment) -> None:
    older = ask_for_code(mei)
    while ask_for_code(mei) == older:
        continue
    assert unchanged(lambda: refund(mei, payment, 100_000, older)) == (403, "step_up_invalid")


def test_what_is_refused_for_another_reason_spends_no_code(mei: Person, payment: Payment) -> None:
    code = ask_for_code(mei)
    assert unchanged(lambda: refund(mei, payment, 300_001, code)) == (409, "refund_too_large")
    Shop.objects.update(state="frozen")
    assert unchanged(lambda: refund(mei, payment, 100_000, code)) == (409, "shop_frozen")
    Shop.objects.update(state="active")
    assert refund(mei, payment, 100_000, code).status_code == 201
    assert OneTimeCode.objects.latest("id").attempts == 3


def test_a_confirmation_is_good_for_its_own_purpose_only(mei: Person, now: datetime) -> None:
    code = ask_for_code(mei, "account")
    confirmed = step_up.confirm(user=mei.user, purpose="account", code=code, now=timezone.now())
    with transaction.atomic():
        with pytest.raises(Refused):
            step_up.redeem(confirmed, purpose="refund", now=now)
        step_up.redeem(confirmed, purpose="account", now=now)
