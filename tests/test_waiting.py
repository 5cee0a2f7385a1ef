"""What the sweep asks first: for each kind of row that waits, exactly its task once something of it is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from django.conf import LazySettings

from merchants import payment_texts, pushing, texts
from merchants.models import PushSubscription, TextMessage
from payments import asking, inbox, inquiries, refunds, waiting
from payments.models import IntentTimer, Refund, Statement
from payments.payouts import sending
from payments.settlement import fetching, matching
from tests import evening, payday
from tests.cast import Person
from tests.push_service import Browser, subscribe
from tests.test_pushing import pay
from tests.test_refund_reviews import ask, sold
from tests.till import expect, paid, platform, shop_code

MS = timedelta(milliseconds=1)
TUESDAY = payday.monday(1, days=1)
PUSH_SERVICE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def nothing_waits(mei: Person, settings: LazySettings) -> None:
    platform()
    TextMessage.objects.all().delete()
    settings.REFUND_CODE_ABOVE = settings.REFUND_REVIEW_ABOVE = {"CNY": 100_000}
    settings.PUSH_EXTRA_ORIGINS, settings.SANDBOX_URL = [PUSH_SERVICE], "http://127.0.0.1:9"


def event(mei: Person, at: datetime) -> None:
    intent = expect(shop_code(mei.shop), 100, now=at)
    IntentTimer.objects.all().delete()
    paid(intent).deliver(at)


def silent_intent(mei: Person, at: datetime) -> None:
    expect(shop_code(mei.shop), 100, now=at)
    IntentTimer.objects.update(next_query_at=at)


def overdue_intent(mei: Person, at: datetime) -> None:
    expect(shop_code(mei.shop), 100, now=at)
    IntentTimer.objects.update(next_query_at=None, next_close_at=at)


def inquiry(mei: Person, at: datetime) -> None:
    inquiries.open_all([(platform().id, "payment/1")], now=at)


def refund(mei: Person, at: datetime) -> None:
    ask(mei, sold(mei), 100)
    Refund.objects.update(next_call_at=at)


def payout(mei: Person, at: datetime) -> None:
    payday.terms(channel="sandbox")
    payday.proved(mei, now=payday.monday(9))
    payday.earn(mei, 200, at=payday.monday(12))
    payday.released(TUESDAY)
    TextMessage.objects.all().delete()  # She was told of her account.


def text(mei: Person, at: datetime) -> None:
    texts.queue(phone=mei.phone, text="hello", code="123456", now=at, expires_at=at + timedelta(minutes=5))


def push(mei: Person, at: datetime) -> None:
    subscribe(mei.api(), Browser(f"{PUSH_SERVICE}/mei"))
    pay(mei.shop, 100, now=at)
    PushSubscription.objects.update(due_at=at)


def payment_text(mei: Person, at: datetime) -> None:
    assert mei.api().put("/api/v1/payment-texts", {}).status_code == 200
    pay(mei.shop, 100, now=at - payment_texts.HEARD_WITHIN)


def stated_line(mei: Person, at: datetime) -> None:
    evening.stated(evening.told(object_id="p1"), now=at)


def wanted_statement(mei: Person, at: datetime) -> None:
    Statement.objects.create(
        provider_account=platform(), format="settlement", day=date(2026, 11, 22), fetched=True, created_at=at, due_at=at
    )


@pytest.mark.parametrize(
    ("make", "task", "has_due"),
    [
        (event, inbox.DRAIN, inbox.has_due),
        (silent_intent, asking.ASK, asking.has_due),
        (overdue_intent, asking.ASK, asking.has_due),
        (inquiry, asking.ASK, asking.has_due),
        (refund, refunds.SEND, refunds.has_due),
        (payout, sending.SEND, sending.has_due),
        (text, texts.SEND_TASK, texts.has_due),
        (push, pushing.SEND_TASK, pushing.has_due),
        (payment_text, payment_texts.TELL_TASK, payment_texts.has_due),
        (stated_line, matching.MATCH, matching.has_due),
        (wanted_statement, fetching.FETCH, fetching.has_due),
    ],
)
def test_what_is_due_is_named_as_soon_as_its_own_question_finds_it(
    make: Callable[[Person, datetime], None], task: str, has_due: Callable[..., bool], mei: Person
) -> None:
    assert waiting.possible(now=TUESDAY) == set()
    make(mei, TUESDAY)
    assert (has_due(now=TUESDAY - MS), has_due(now=TUESDAY)) == (False, True)
    assert waiting.possible(now=TUESDAY) == {task}
    # Whom nobody has heard of for a minute is asked about in its own question alone.
    assert waiting.possible(now=TUESDAY - MS) == ({task} if make is payment_text else set())
