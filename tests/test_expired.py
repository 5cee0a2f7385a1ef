"""What we forget, and what we keep."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from merchants import expired, ids
from merchants.models import IdempotentReply, OneTimeCode, TextMessage, Token
from tests.cast import Person

NOTHING = {"codes": 0, "tokens": 0, "replies": 0, "texts": 0, "pushes": 0}


@pytest.fixture
def shop(mei: Person) -> Person:
    """Signing in has left a code and a text behind; here the tests bring their own."""
    OneTimeCode.objects.all().delete()
    TextMessage.objects.all().delete()
    return mei


def reply(created_at: datetime) -> IdempotentReply:
    return IdempotentReply.objects.create(
        caller="a:b", key=str(created_at), fingerprint=b"1", status=201, body={}, created_at=created_at
    )


def text(created_at: datetime, state: str) -> TextMessage:
    return TextMessage.objects.create(
        phone="+8613800138000",
        sealed_body=b"",
        state=state,
        due_at=created_at,
        expires_at=created_at,
        created_at=created_at,
    )


def code(expires_at: datetime) -> OneTimeCode:
    return OneTimeCode.objects.create(
        id=ids.new(expires_at),
        phone="+8613800138000",
        purpose=OneTimeCode.Purpose.SIGN_IN,
        digest=b"1",
        expires_at=expires_at,
        created_at=expires_at,
    )


def test_a_code_is_forgotten_when_it_has_expired_and_not_before(shop: Person, now: datetime) -> None:
    code(now - timedelta(seconds=1))
    good = code(now + timedelta(seconds=1))
    assert expired.forget(now=now) == {**NOTHING, "codes": 1}
    assert OneTimeCode.objects.get() == good


def test_a_reply_is_remembered_for_seven_days(shop: Person, now: datetime) -> None:
    reply(now - timedelta(days=7, seconds=1))
    kept = reply(now - timedelta(days=6, hours=23))
    assert expired.forget(now=now) == {**NOTHING, "replies": 1}
    assert IdempotentReply.objects.get() == kept


def test_the_trace_of_a_text_is_kept_for_a_day_and_a_waiting_text_is_never_taken(shop: Person, now: datetime) -> None:
    old = now - timedelta(days=1, seconds=1)
    text(old, TextMessage.State.SENT)
    text(old, TextMessage.State.FAILED)
    kept = {text(old, TextMessage.State.QUEUED).id, text(now - timedelta(hours=23), TextMessage.State.SENT).id}
    assert expired.forget(now=now) == {**NOTHING, "texts": 2}
    assert set(TextMessage.objects.values_list("id", flat=True)) == kept


def test_a_token_goes_with_its_end(shop: Person) -> None:
    token = Token.objects.get()
    assert token.expiry is not None
    assert expired.forget(now=token.expiry - timedelta(seconds=1)) == NOTHING
    assert expired.forget(now=token.expiry + timedelta(seconds=1)) == {**NOTHING, "tokens": 1}


def test_forgetting_twice_forgets_once(shop: Person) -> None:
    later = timezone.now() + timedelta(days=400)
    expired.forget(now=later)
    assert expired.forget(now=later) == NOTHING
