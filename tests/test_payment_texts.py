"""A person is texted once of each payment that no phone of hers has heard of, if she asked for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import bell, payment_texts, push_proofs, texts
from merchants.channels.console import outbox
from merchants.models import Notice, PaymentTexts, Shop, TextMessage, Token
from merchants.push_proofs import Heard
from payments import tasks
from tests.cast import Person, field_problems, problem, unsealed
from tests.push_service import Browser, subscribe
from tests.test_pushing import pay, waits_for_ring

TEXTS = "/api/v1/payment-texts"
NOON = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)  # 12:00 in Guangzhou.
S, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def no_codes(mei: Person) -> None:
    """What signing in has sent is no part of the tests."""
    TextMessage.objects.all().delete()


def asks(person: Person, **wishes: Any) -> dict[str, Any]:
    answer = person.api().put(TEXTS, wishes)
    assert answer.status_code == 200, answer.content
    said: dict[str, Any] = answer.json()
    return said


def hears(person: Person, number: int) -> None:
    assert person.api().post("/api/v1/notices/heard", {"number": number}).status_code == 204


def shows(person: Person, number: int) -> int:
    """What her service worker says, with the proof of the push and without a token."""
    proof = push_proofs.of_heard(Heard(person.shop.id, person.user.id, number))
    return int(APIClient().post("/api/v1/push/heard", {"proof": proof}).status_code)


def told() -> list[str]:
    return [unsealed(message)["text"] for message in TextMessage.objects.order_by("id")]


ONE = "Pushcart: Received CN¥{}.00. None of your phones has heard of it yet."


def test_what_no_phone_has_heard_within_a_minute_is_texted_once(mei: Person) -> None:
    asks(mei)
    pay(mei.shop, 200, now=NOON)
    assert payment_texts.tell_due(now=NOON + MINUTE - S) == 0
    assert not payment_texts.has_due(now=NOON + MINUTE - S)
    assert payment_texts.has_due(now=NOON + MINUTE)
    assert payment_texts.tell_due(now=NOON + MINUTE) == 1
    assert payment_texts.tell_due(now=NOON + 2 * MINUTE) == 0
    assert not payment_texts.has_due(now=NOON + 2 * MINUTE)
    [message] = TextMessage.objects.all()
    assert (message.phone, message.expires_at) == (mei.phone, NOON + 16 * MINUTE)
    body: dict[str, Any] = {**unsealed(message)}
    assert body == {"text": ONE.format(2), "code": "", "figures": {"amount": "CN¥2.00", "count": "1"}}
    assert texts.send_due(now=NOON + MINUTE) == 1
    assert [entry["text"] for entry in outbox()] == [ONE.format(2)]


def test_who_did_not_ask_is_never_texted_and_nothing_of_before_is(mei: Person, arjun: Person) -> None:
    TextMessage.objects.all().delete()
    pay(mei.shop, 200, now=NOON)
    asks(mei)
    pay(arjun.shop, 200, now=NOON, currency="INR")
    assert payment_texts.tell_due(now=NOON + MINUTE) == 0
    pay(mei.shop, 300, now=NOON + MINUTE)
    assert mei.api().delete(TEXTS).status_code == mei.api().delete(TEXTS).status_code == 204
    assert payment_texts.tell_due(now=NOON + 2 * MINUTE) == 0
    assert told() == []


def test_any_one_of_her_phones_is_enough_and_a_colleagues_is_not(mei: Person, lan: Person, arjun: Person) -> None:
    TextMessage.objects.all().delete()
    asks(mei)
    asks(lan)
    pay(mei.shop, 100, 200, 300, now=NOON)
    hears(mei, 1)  # The stream of a page, up to there.
    assert shows(mei, 3) == 204  # A push that overtook another.
    hears(lan, 3)
    hears(arjun, 2)
    assert payment_texts.tell_due(now=NOON + MINUTE) == 1
    assert [(message.phone, unsealed(message)["text"]) for message in TextMessage.objects.all()] == [
        (mei.phone, ONE.format(2))
    ]
    assert PaymentTexts.objects.get(staff=mei.staff).heard_apart == []


def test_what_is_heard_later_than_a_minute_was_texted_and_changes_nothing(mei: Person) -> None:
    asks(mei)
    pay(mei.shop, 100, now=NOON)
    assert payment_texts.tell_due(now=NOON + MINUTE) == 1
    before = list(PaymentTexts.objects.values())
    assert shows(mei, 1) == 204
    assert list(PaymentTexts.objects.values()) == before


def test_what_has_not_happened_yet_cannot_be_heard(mei: Person) -> None:
    asks(mei)
    hears(mei, 10**15)
    pay(mei.shop, 100, now=NOON)
    assert payment_texts.tell_due(now=NOON + MINUTE) == 1


def test_a_proof_is_ours_and_for_that_alone(mei: Person, stranger: APIClient) -> None:
    asks(mei)
    pay(mei.shop, 100, now=NOON)
    renewal = subscribe(mei.api(), Browser("https://fcm.googleapis.com/x"))["renewal"]
    for proof in ("x", renewal):
        assert problem(stranger.post("/api/v1/push/heard", {"proof": proof})) == (400, "proof_wrong")
    assert PaymentTexts.objects.get().heard_apart == []
    assert problem(stranger.post("/api/v1/notices/heard", {"number": 1})) == (401, "not_authenticated")
    assert PaymentTexts.objects.get().heard == 0


def test_several_are_one_text_and_it_says_in_her_language_how_many(mei: Person) -> None:
    asks(mei, language="zh", a_day=1)
    pay(mei.shop, 200, 300, 10_000, now=NOON)
    pay(mei.shop, 400, now=NOON + 30 * S)
    assert payment_texts.tell_due(now=NOON + MINUTE) == 1
    assert told() == ["Pushcart: 收款 3 笔，共 ¥105.00。您的手机都还没有收到通知。这是今天的最后一条短信。"]


@pytest.mark.parametrize("language", ["en", "zh", "hi", "pt", "vi", "ar"])
def test_a_text_holds_no_link_whatever_the_shop_is_called(mei: Person, language: str) -> None:
    Shop.objects.filter(id=mei.shop.id).update(name="http://evil.example")
    asks(mei, language=language, a_day=2)
    pay(mei.shop, 100, now=NOON)
    pay(mei.shop, 100, 200, now=NOON + MINUTE)
    Notice.objects.update(data={"amount": {"amount": 100, "currency": "CNY"}, "description": "www.evil.example"})
    payment_texts.tell_due(now=NOON + MINUTE)
    payment_texts.tell_due(now=NOON + 2 * MINUTE)
    assert len(told()) == 2
    for text in told():
        assert not [part for part in ("evil", "://", "www", "/", "{") if part in text]
        assert len(text) < 160


def test_only_payments_from_her_amount_on_outside_her_quiet_hours_and_within_her_day(mei: Person) -> None:
    asks(mei, from_amount={"amount": 500, "currency": "CNY"}, quiet_from="22:00", quiet_until="06:00", a_day=2)
    pay(mei.shop, 499, now=NOON)
    pay(mei.shop, 900, now=NOON, kind="payment_in_question")
    assert payment_texts.tell_due(now=NOON + MINUTE) == 0
    for minute in (10, 20, 30):
        pay(mei.shop, 500 + 100 * minute, now=NOON + minute * MINUTE)
        payment_texts.tell_due(now=NOON + (minute + 1) * MINUTE)
    assert told() == [ONE.format(15), ONE.format(25) + " This is today's last text."]
    night = NOON + timedelta(hours=10)
    pay(mei.shop, 90_000, now=night - 30 * S)  # At 21:59:30; its minute ends in the quiet hours.
    assert payment_texts.tell_due(now=night + 30 * S) == 0
    morning = NOON + timedelta(hours=18)
    assert payment_texts.tell_due(now=morning) == 0  # What was kept silent is not made up for.
    pay(mei.shop, 600, now=morning)
    assert payment_texts.tell_due(now=morning + MINUTE) == 1  # Another day of the shop.
    assert told()[2:] == [ONE.format(6)]


def test_the_operator_bounds_it_and_can_switch_it_off(mei: Person, settings: LazySettings) -> None:
    assert asks(mei, a_day=100)["a_day"] == 20
    settings.PAYMENT_TEXTS_A_DAY_MAX = 1
    for minute in (0, 2):
        pay(mei.shop, 100, now=NOON + minute * MINUTE)
        payment_texts.tell_due(now=NOON + (minute + 1) * MINUTE)
    assert len(told()) == 1
    settings.PAYMENT_TEXTS_A_DAY_MAX = 0
    pay(mei.shop, 100, now=NOON + timedelta(days=1))
    assert not payment_texts.has_due(now=NOON + timedelta(days=1, minutes=1))
    assert payment_texts.tell_due(now=NOON + timedelta(days=1, minutes=1)) == 0
    before = list(PaymentTexts.objects.values())
    assert problem(mei.api().put(TEXTS, {"a_day": 3})) == (409, "texts_unavailable")
    assert mei.api().get(TEXTS).json()["offered"] is False
    assert list(PaymentTexts.objects.values()) == before


def test_a_block_of_numbers_that_had_enough_is_sent_no_more(mei: Person, settings: LazySettings) -> None:
    settings.CODE_BUDGET_PREFIX = "1/hour"
    asks(mei)
    for minute in (0, 2):
        pay(mei.shop, 100, now=NOON + minute * MINUTE)
        payment_texts.tell_due(now=NOON + (minute + 1) * MINUTE)
    assert len(told()) == 1


def test_an_hour_later_it_is_no_news(mei: Person) -> None:
    asks(mei)
    pay(mei.shop, 100, now=NOON)
    assert payment_texts.tell_due(now=NOON + timedelta(hours=1)) == 0
    assert not payment_texts.has_due(now=NOON + timedelta(hours=1))
    assert told() == []


def test_who_has_signed_out_everywhere_or_left_is_texted_no_more(mei: Person, lan: Person) -> None:
    asks(mei)
    asks(lan)
    Token.objects.filter(user=mei.user).delete()
    lan.staff.delete()
    pay(mei.shop, 100, now=NOON)
    assert payment_texts.tell_due(now=NOON + MINUTE) == 0
    assert told() == []
    assert PaymentTexts.objects.get().judged == 1


def test_she_reads_and_changes_what_she_asked_for(mei: Person) -> None:
    nothing = {"on": False, "language": None, "from_amount": None, "a_day": None, "sent_today": 0}
    hours = {"quiet_from": None, "quiet_until": None}
    assert mei.api().get(TEXTS).json() == {"offered": True, "a_day_max": 20, **nothing, **hours}
    said = asks(mei, language="hi", from_amount={"amount": 500, "currency": "CNY"})
    assert said == {
        "offered": True,
        "a_day_max": 20,
        "on": True,
        "language": "hi",
        "from_amount": {"amount": 500, "currency": "CNY"},
        "a_day": 5,
        "sent_today": 0,
        **hours,
    }
    changed = asks(mei, quiet_from="22:00", quiet_until="06:30", a_day=7, from_amount=None)
    assert changed == {**said, "quiet_from": "22:00", "quiet_until": "06:30", "a_day": 7, "from_amount": None}
    pay(mei.shop, 200, now=timezone.now() - 2 * MINUTE)
    PaymentTexts.objects.update(quiet_from=None, quiet_until=None)
    payment_texts.tell_due(now=timezone.now())
    assert mei.api().get(TEXTS).json()["sent_today"] == 1
    for wrong, refused in (
        ({"quiet_from": "22:00", "quiet_until": None}, {"quiet_until": "quiet_hours_unclear"}),
        ({"a_day": 0}, {"a_day": "min_value"}),
        ({"from_amount": {"amount": 1, "currency": "USD"}}, {"from_amount": "currency_mismatch"}),
        ({"language": "xx"}, {"language": "invalid_choice"}),
    ):
        before = list(PaymentTexts.objects.values())
        assert field_problems(mei.api().put(TEXTS, wrong)) == refused
        assert list(PaymentTexts.objects.values()) == before


def test_the_sweep_finds_what_is_due(mei: Person) -> None:
    asks(mei)
    pay(mei.shop, 100, now=timezone.now() - 2 * MINUTE)
    tasks.sweep()
    assert waits_for_ring(payment_texts.TELL_TASK)
    bell.store().flushdb()
