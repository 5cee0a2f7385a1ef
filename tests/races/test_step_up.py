"""Guesses, codes and small refunds at once, over HTTP, real threads and a real database."""

from __future__ import annotations

import hmac
from collections import Counter
from typing import Any
from unittest import mock

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants import idempotency, ids, one_time_codes, step_up
from merchants.models import OneTimeCode
from payments.models import Payment, Refund
from tests.cast import MEI_PHONE, Person, code_sent_to, open_shop
from tests.races.together import slow_after, together, without_row_locks
from tests.till import assert_books_hold, drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.usefixtures("real_db")
CLERKS = 8


@pytest.fixture
def mei(real_db: None) -> Person:
    """Mei, who was paid 3000 yuan."""
    mei = open_shop(MEI_PHONE, "Mei's fruit")
    platform()
    paid(expect(shop_code(mei.shop), 300_000)).deliver()
    drain()
    return mei


def refund(mei: Person, amount: int, code: str, key: str) -> tuple[int, str]:
    client = mei.api()
    client.raise_request_exception = False
    body = {"amount": {"amount": amount, "currency": "CNY"}, "code": code}
    address = f"/api/v1/payments/{ids.public('pay', Payment.objects.get().id)}/refunds"
    answer: Any = client.post(address, body, headers={"Idempotency-Key": key})
    return answer.status_code, answer.json().get("code", "")


def send_code(mei: Person) -> str:
    step_up.send_code(staff=mei.staff, purpose="refund", address="127.0.0.1", now=timezone.now())
    return code_sent_to(mei.phone)


def test_of_sixty_guesses_at_once_five_are_evaluated(mei: Person) -> None:
    code = int(send_code(mei))
    compared: list[bytes] = []

    class Watched:
        new = staticmethod(hmac.new)

        @staticmethod
        def compare_digest(one: bytes, other: bytes) -> bool:
            compared.append(other)
            return hmac.compare_digest(one, other)

    guesses = [f"{(code + 1 + number) % 1_000_000:06d}" for number in range(60)]
    calls = [lambda guess=guess: refund(mei, 100_000, guess, f"key-{guess}") for guess in guesses]
    with mock.patch.object(one_time_codes, "hmac", Watched):
        answers = Counter(together(calls))
    assert answers == {(403, "step_up_invalid"): 60}
    assert len(compared) == 5
    assert OneTimeCode.objects.latest("id").attempts == 5
    assert not Refund.objects.exists()


def test_a_right_code_in_many_requests_at_once_is_good_for_one_refund(mei: Person) -> None:
    code = send_code(mei)
    calls = [lambda number=number: refund(mei, 60_000, code, f"key-{number}") for number in range(5)]
    assert Counter(together(calls)) == {(201, ""): 1, (403, "step_up_invalid"): 4}
    assert Refund.objects.get().confirmed
    assert_books_hold()


def test_the_same_request_with_its_code_at_once_is_one_refund_and_no_guess_is_told_wrong(mei: Person) -> None:
    code = send_code(mei)
    answers = Counter(together([lambda: refund(mei, 60_000, code, "one-key")] * 4))
    assert answers[(201, "")] >= 1
    assert set(answers) <= {(201, ""), (409, "request_in_flight")}
    assert Refund.objects.count() == 1


def test_a_repeat_that_missed_the_end_of_the_first_by_a_moment_is_given_its_reply(
    mei: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked before the first had ended, and the first has used up the code since."""
    code = send_code(mei)
    assert refund(mei, 60_000, code, "one-key") == (201, "")
    looked, known = iter([True]), idempotency._known
    monkeypatch.setattr(idempotency, "_known", lambda caller, key: None if next(looked, False) else known(caller, key))
    assert refund(mei, 60_000, code, "one-key") == (201, "")
    assert Refund.objects.count() == 1


def small_refunds(mei: Person) -> Counter[tuple[int, str]]:
    """Eight clerks each want to give back 100 yuan without a code; the day allows five."""
    return Counter(together([lambda n=n: refund(mei, 10_000, "", f"key-{n}") for n in range(CLERKS)]))  # type: ignore[misc]


def test_without_the_shops_lock_small_refunds_pass_the_limit_of_the_day_together(
    mei: Person, settings: LazySettings
) -> None:
    settings.REFUND_CODE_ABOVE = {"CNY": 10_000}
    with without_row_locks(), slow_after("payments.refunds._wants_code", callers=CLERKS):
        small_refunds(mei)
    assert sum(Refund.objects.values_list("amount", flat=True)) > 50_000


def test_with_it_they_cannot(mei: Person, settings: LazySettings) -> None:
    settings.REFUND_CODE_ABOVE = {"CNY": 10_000}
    assert small_refunds(mei) == {(201, ""): 5, (403, "step_up_required"): 3}
    assert sum(Refund.objects.values_list("amount", flat=True)) == 50_000
    assert_books_hold()
