"""The queue of text messages: sent once, wiped at once, tried again, and never sent too late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.db import connections

from merchants import expired, ids, texts
from merchants.channels.console import outbox
from merchants.models import IdempotentReply, OneTimeCode, TextMessage, Token
from tests.cast import Person, unsealed
from tests.http_stand_in import stand_in

PHONE = "+8613800138000"


def waiting(now: datetime, text: str = "hello") -> TextMessage:
    return texts.queue(phone=PHONE, text=text, code="123456", now=now, expires_at=now + timedelta(minutes=5))


@pytest.fixture
def twilio(settings: LazySettings) -> LazySettings:
    settings.SMS_BACKEND = "twilio"
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, settings.TWILIO_FROM = "AC123", "secret", "+15005550006"
    return settings


@pytest.mark.django_db
def test_what_is_due_is_sent_once_and_wiped(now: datetime) -> None:
    message = waiting(now)
    assert b"123456" not in bytes(message.sealed_body)
    assert unsealed(message) == {"text": "hello", "code": "123456"}
    assert texts.send_due(now=now) == 1
    assert texts.send_due(now=now) == 0
    message.refresh_from_db()
    assert (message.state, bytes(message.sealed_body), message.attempts) == ("sent", b"", 1)
    assert [entry["text"] for entry in outbox()] == ["hello"]


@pytest.mark.django_db
def test_what_came_too_late_is_marked_and_never_sent(now: datetime) -> None:
    message = waiting(now)
    assert texts.send_due(now=now + timedelta(minutes=5)) == 0
    message.refresh_from_db()
    assert (message.state, bytes(message.sealed_body)) == ("expired", b"")
    assert outbox() == []


@pytest.mark.django_db
def test_a_failure_that_may_pass_is_tried_again_later_and_the_last_one_ends_it(
    now: datetime, twilio: LazySettings
) -> None:
    message = waiting(now)
    with stand_in(lambda _: (503, b"{}")) as outside:
        twilio.TWILIO_URL = outside.url
        moment = now
        for attempt, wait_s in enumerate((2, 5, 15, 45), start=1):
            assert texts.send_due(now=moment) == 0
            assert len(outside.received) == attempt
            message.refresh_from_db()
            assert message.state == "queued"
            assert timedelta(0) <= message.due_at - moment - timedelta(seconds=wait_s) < timedelta(seconds=1)
            assert texts.send_due(now=message.due_at - timedelta(seconds=0.5)) == 0
            assert len(outside.received) == attempt
            moment = message.due_at
        texts.send_due(now=moment)
        assert len(outside.received) == 5
    message.refresh_from_db()
    assert (message.state, bytes(message.sealed_body)) == ("failed", b"")
    assert message.failure == "twilio: 503 without an error code"


@pytest.mark.django_db
def test_a_warning_that_is_of_use_for_a_day_is_tried_for_hours(now: datetime, twilio: LazySettings) -> None:
    message = texts.queue(phone=PHONE, text="stop it", code="", now=now, expires_at=now + timedelta(days=1))
    with stand_in(lambda _: (503, b"{}")) as outside:
        twilio.TWILIO_URL = outside.url
        for _ in range(8):
            texts.send_due(now=message.due_at)
            message.refresh_from_db()
            assert message.state == "queued"
        assert message.due_at - now > timedelta(hours=8)
        texts.send_due(now=message.due_at)
        assert len(outside.received) == 9
    message.refresh_from_db()
    assert (message.state, bytes(message.sealed_body)) == ("failed", b"")


@pytest.mark.django_db
def test_a_failure_that_waiting_cannot_change_ends_at_once(now: datetime, twilio: LazySettings) -> None:
    message = waiting(now)
    with stand_in(lambda _: (400, b'{"code": 21211}')) as outside:
        twilio.TWILIO_URL = outside.url
        texts.send_due(now=now)
        texts.send_due(now=now + timedelta(minutes=1))
    assert len(outside.received) == 1
    message.refresh_from_db()
    assert (message.state, bytes(message.sealed_body)) == ("failed", b"")
    assert message.failure == "twilio: 400 error 21211"


@pytest.mark.django_db
def test_a_text_whose_key_is_gone_is_given_up_and_the_next_is_sent(now: datetime) -> None:
    broken = waiting(now)
    TextMessage.objects.filter(id=broken.id).update(sealed_body=b"not a seal")
    waiting(now + timedelta(milliseconds=1), "the next")
    assert texts.send_due(now=now + timedelta(seconds=1)) == 1
    broken.refresh_from_db()
    assert broken.state == "failed"
    assert [entry["text"] for entry in outbox()] == ["the next"]


@pytest.mark.django_db
def test_a_message_of_a_killed_worker_is_sent_when_its_lease_is_over(now: datetime) -> None:
    message = waiting(now)
    assert texts._lease(now) is not None
    assert texts.send_due(now=now + timedelta(seconds=29)) == 0
    assert texts.send_due(now=now + timedelta(seconds=31)) == 1
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("sent", 2)


def test_workers_beside_each_other_send_every_text_once(real_db: None, now: datetime) -> None:
    for number in range(20):
        waiting(now, f"text {number}")

    def work(_: int) -> int:
        try:
            return texts.send_due(now=now + timedelta(seconds=1))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 20
    assert sorted(entry["text"] for entry in outbox()) == sorted(f"text {number}" for number in range(20))


def test_what_has_expired_is_forgotten_and_nothing_else(mei: Person, now: datetime) -> None:
    OneTimeCode.objects.all().delete()
    TextMessage.objects.all().delete()
    for age in (timedelta(minutes=1), timedelta(minutes=-1)):
        OneTimeCode.objects.create(
            id=ids.new(now), phone=PHONE, purpose="sign_in", digest=b"x", expires_at=now - age, created_at=now
        )
    for days in (8, 6):
        IdempotentReply.objects.create(
            caller="c", key=f"{days}", fingerprint=b"", status=201, created_at=now - timedelta(days=days)
        )
    for state in ("sent", "failed", "expired", "queued"):
        for age in (timedelta(days=2), timedelta(hours=1)):
            TextMessage.objects.create(
                phone=PHONE, sealed_body=b"", state=state, due_at=now, expires_at=now, created_at=now - age
            )
    _row, _token = Token.objects.create(mei.user, shop=mei.shop, expiry=-timedelta(days=1))
    assert expired.forget(now=now) == {"codes": 1, "tokens": 1, "replies": 1, "texts": 3, "pushes": 0}
    assert Token.objects.count() == OneTimeCode.objects.count() == IdempotentReply.objects.count() == 1
    assert TextMessage.objects.count() == 5
