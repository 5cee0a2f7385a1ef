"""Guesses and redemptions at once, over real threads, real connections and a real database."""

from __future__ import annotations

import hmac
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from merchants import one_time_codes, phones, sign_in
from merchants.models import Code, OneTimeCode, Shop, Staff, Token, User
from merchants.refusals import Refused
from tests.cast import MEI_PHONE, code_sent_to

GUESSES = 60


def together(count: int, act: Callable[[int], str]) -> Counter[str]:
    line = threading.Barrier(count)

    def run(number: int) -> str:
        try:
            line.wait(20)
            return act(number)
        except Refused as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(run, range(count)))


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every comparison of a guess with a code, as it happens."""
    seen: list[bytes] = []
    real = hmac.compare_digest

    class Watched:
        new = staticmethod(hmac.new)

        @staticmethod
        def compare_digest(one: bytes, other: bytes) -> bool:
            seen.append(other)
            return real(one, other)

    monkeypatch.setattr(one_time_codes, "hmac", Watched)
    return seen


def guess(number: int) -> str:
    sign_in.redeem(phone=MEI_PHONE, code=f"wrong {number}", shop_name="", now=timezone.now())
    return "signed in"


def test_of_sixty_guesses_at_once_five_are_evaluated(real_db: None, now: datetime, compared: list[bytes]) -> None:
    sign_in.send_code(phone=MEI_PHONE, address="127.0.0.1", now=now)
    answers = together(GUESSES, guess)
    assert answers == {"code_invalid": GUESSES}
    assert len(compared) == settings.ONE_TIME_CODE_ATTEMPTS_MAX == 5
    assert OneTimeCode.objects.get().attempts == 5
    assert not User.objects.exists()


def test_with_a_read_and_a_write_instead_of_one_statement_more_would_be(
    real_db: None, now: datetime, compared: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same race with the atomic statement patched out: it is what holds the limit."""

    def read_modify_write(phone: str, purpose: str, now: datetime) -> Any:
        row = OneTimeCode.objects.filter(phone=phone, purpose=purpose).latest("id")
        if row.attempts >= settings.ONE_TIME_CODE_ATTEMPTS_MAX or row.redeemed_at or row.expires_at <= now:
            return None
        row.attempts += 1
        row.save(update_fields=["attempts"])
        return one_time_codes._Attempt(row.id, bytes(row.digest))

    monkeypatch.setattr(one_time_codes, "_count_attempt", read_modify_write)
    sign_in.send_code(phone=MEI_PHONE, address="127.0.0.1", now=now)
    assert together(GUESSES, guess) == {"code_invalid": GUESSES}
    assert len(compared) > 5


def test_the_right_code_twenty_times_at_once_signs_in_once(real_db: None, now: datetime) -> None:
    sign_in.send_code(phone=MEI_PHONE, address="127.0.0.1", now=now)
    code = code_sent_to(MEI_PHONE)

    def enter(_: int) -> str:
        signed_in = sign_in.redeem(phone=MEI_PHONE, code=code, shop_name="Fruit", now=timezone.now())
        return "created" if signed_in.created else "welcome back"

    assert together(20, enter) == {"created": 1, "code_invalid": 19}
    for model in (User, Shop, Staff, Code, Token):
        assert model.objects.count() == 1, model
    assert OneTimeCode.objects.get().attempts <= 5


def test_without_the_condition_on_its_redemption_a_code_would_sign_in_several_times(
    real_db: None, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same race when redeeming is a read and a write: several of the five attempts get a token."""
    monkeypatch.setattr(one_time_codes, "redeem", lambda code_id, now: True)
    sign_in.send_code(phone=MEI_PHONE, address="127.0.0.1", now=now)
    code = code_sent_to(MEI_PHONE)

    def enter(_: int) -> str:
        sign_in.redeem(phone=MEI_PHONE, code=code, shop_name="Fruit", now=timezone.now())
        return "signed in"

    assert together(20, enter)["signed in"] > 1
    assert Shop.objects.count() == 1


def test_two_codes_of_one_phone_redeemed_at_once_make_one_shop(real_db: None, now: datetime) -> None:
    """A guess at the first code was counted before the second was sent, so that both are right."""
    attempts = []
    for _ in range(2):
        sign_in.send_code(phone=MEI_PHONE, address="127.0.0.1", now=timezone.now())
        attempts.append(one_time_codes._count_attempt(MEI_PHONE, "sign_in", timezone.now()))
    assert None not in attempts
    phone = phones.mobile(MEI_PHONE)

    def enter(number: int) -> str:
        attempt = attempts[number]
        with transaction.atomic():
            assert attempt is not None
            assert one_time_codes.redeem(attempt.id, now=now)
            return "created" if sign_in._sign_in(phone, "", now).created else "welcome back"

    assert together(2, enter) == {"created": 1, "welcome back": 1}
    assert (User.objects.count(), Shop.objects.count(), Token.objects.count()) == (1, 1, 2)
