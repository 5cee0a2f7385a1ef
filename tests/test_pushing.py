"""Payments reach phones whose app is closed: each once, in order, from verified money only, and when it is wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connections, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import bell, expired, push_proofs, pushing
from merchants.models import Item, Notice, PushSubscription, Shop, Staff, Token
from merchants.notify import Telling, announce, tell
from merchants.push_services import Answer, Outcome
from payments import tasks
from tests.cast import Person, problem
from tests.push_service import Browser, Service, push_service, subscribe
from tests.till import drain, expect, paid, platform

RUNG = f"rung:{pushing.SEND_TASK}"


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with push_service() as service:
        yield service


@pytest.fixture
def service(running: Service, settings: LazySettings) -> Service:
    running.clear()
    settings.PUSH_EXTRA_ORIGINS = [running.outside.url]
    return running


def pay(shop: Shop, *amounts: int, now: datetime, kind: str = "payment_received", currency: str = "CNY") -> None:
    """Notices as the posting writes them, and no bell."""
    with transaction.atomic():
        data = [{"amount": {"amount": amount, "currency": currency}} for amount in amounts]
        tell([Telling(shop.id, kind, one) for one in data], now=now)


def again(person: Person) -> Person:
    """The same person on another phone of hers."""
    _row, token = Token.objects.create(person.user, shop=person.shop)
    return Person(person.phone, person.user, person.shop, person.staff, token)


def titles(*amounts: int) -> list[str]:
    return [f"Received CN¥{amount}.00" for amount in amounts]


def test_a_paid_pile_of_apples_is_read_by_her_phone_and_by_nobody_on_the_way(
    mei: Person, apples: Item, service: Service
) -> None:
    platform()
    phone = service.browser("mei")
    subscribe(mei.api(), phone, language="zh")
    intent = expect(apples.codes.get())
    paid(intent).deliver()
    drain()
    notice = Notice.objects.get()

    assert pushing.send_due(now=timezone.now()) == 1

    [came] = service.came(phone)
    assert came.headers["content-encoding"] == "aes128gcm"
    assert 3500 < int(came.headers["ttl"]) <= 3600
    assert b"Apples" not in came.body
    said = phone.read(came.body)
    assert push_proofs.read_heard(said.pop("proof")) == (mei.shop.id, mei.user.id, 1)
    assert said == {
        "title": "收款 ¥2.00",
        "body": "Apples",
        "lang": "zh",
        "tag": f"notice-{notice.number}",
        "number": 1,
        "kind": "payment_received",
        "amount": {"amount": 200, "currency": "CNY"},
        "big": False,
        "at": notice.created_at.isoformat(),
        "several": "收款 {number} 笔 · {amount}",
        "places": 2,
    }
    row = PushSubscription.objects.get()
    assert phone.address.encode() not in bytes(row.sealed_address)
    assert (row.told, row.failures, row.last_success is not None) == (1, 0, True)


def test_money_in_suspense_is_never_pushed(mei: Person, apples: Item, service: Service) -> None:
    platform()
    phone = service.browser("mei")
    subscribe(mei.api(), phone)
    paid(expect(apples.codes.get()), amount=200, currency="USD").deliver()
    drain()
    assert Notice.objects.get().kind == "payment_in_question"
    assert pushing.send_due(now=timezone.now()) == 0
    assert service.outside.received == []
    assert not pushing.has_due(now=timezone.now())


def test_two_phones_hear_each_payment_once_and_in_order_and_nothing_of_before(
    mei: Person, arjun: Person, now: datetime, service: Service
) -> None:
    pay(mei.shop, 900, now=now)
    one, other, stranger = (service.browser(name) for name in ("one", "other", "stranger"))
    subscribe(mei.api(), one)
    subscribe(again(mei).api(), other)
    subscribe(arjun.api(), stranger)
    pay(mei.shop, 100, 200, 300, now=now)
    pay(mei.shop, 400, kind="refund_succeeded", now=now)
    pay(mei.shop, 500, now=now)
    assert pushing.send_due(now=timezone.now()) == 8
    assert pushing.send_due(now=timezone.now()) == 0
    assert service.told(one) == service.told(other) == titles(1, 2, 3, 5)
    assert service.came(stranger) == []


def test_a_service_that_is_busy_is_asked_again_when_it_says_and_the_order_stays(
    mei: Person, now: datetime, service: Service
) -> None:
    phone = service.browser("mei")
    subscribe(mei.api(), phone)
    later = timezone.now()
    pay(mei.shop, 100, 200, now=later)
    service.statuses, service.outside.headers["Retry-After"] = [429], "40"
    assert pushing.send_due(now=later) == 0
    assert len(service.outside.received) == 1
    assert pushing.send_due(now=later + timedelta(seconds=39)) == 0
    assert len(service.outside.received) == 1
    assert pushing.send_due(now=later + timedelta(seconds=42)) == 2
    assert service.told(phone) == titles(1, 1, 2)
    assert PushSubscription.objects.get().failures == 0


def test_news_of_an_hour_ago_is_no_news(mei: Person, now: datetime, service: Service) -> None:
    phone = service.browser("mei")
    subscribe(mei.api(), phone)
    later = timezone.now()
    pay(mei.shop, 100, now=later)
    pay(mei.shop, 200, now=later + timedelta(minutes=30))
    assert pushing.send_due(now=later + timedelta(minutes=60)) == 1
    assert service.told(phone) == titles(2)
    assert 1700 < int(service.came(phone)[0].headers["ttl"]) <= 1800


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_gone_ends_and_is_forgotten(
    mei: Person, now: datetime, service: Service, status: int
) -> None:
    subscribe(mei.api(), service.browser("mei"))
    later = timezone.now()
    pay(mei.shop, 100, 200, now=later)
    service.statuses = [status]
    assert pushing.send_due(now=later) == 0
    assert pushing.send_due(now=later + timedelta(minutes=5)) == 0
    assert len(service.outside.received) == 1
    row = PushSubscription.objects.get()
    assert (row.ended_why, bytes(row.sealed_address)) == ("gone", b"")
    assert mei.api().get("/api/v1/push").json()["subscriptions"][0]["ended_why"] == "gone"
    assert expired.forget(now=later + timedelta(days=8))["pushes"] == 1


def test_what_is_refused_is_passed_over_and_the_twentieth_refusal_in_a_row_ends_it(
    mei: Person, now: datetime, service: Service
) -> None:
    phone = service.browser("mei")
    subscribe(mei.api(), phone)
    moment = timezone.now()
    service.statuses = [403]
    pay(mei.shop, 100, 200, now=moment)
    pushing.send_due(now=moment)
    pushing.send_due(now=moment + timedelta(seconds=4))
    assert service.told(phone) == titles(1, 2)
    PushSubscription.objects.update(failures=18)
    service.statuses = [503, 503]
    pay(mei.shop, 300, now=moment + timedelta(seconds=8))
    pushing.send_due(now=moment + timedelta(seconds=8))
    row = PushSubscription.objects.get()
    assert (row.failures, row.ended_why) == (19, "")
    pushing.send_due(now=moment + timedelta(minutes=11))
    assert PushSubscription.objects.get().ended_why == "unreachable"
    assert service.told(phone) == titles(1, 2, 3, 3)


def test_whoever_signs_out_or_leaves_the_shop_is_told_no_more(
    mei: Person, lan: Person, now: datetime, service: Service
) -> None:
    hers, second = service.browser("hers"), again(mei)
    subscribe(mei.api(), hers)
    subscribe(second.api(), service.browser("second"))
    subscribe(lan.api(), service.browser("lan"))
    assert second.api().delete("/api/v1/auth/token").status_code == 204
    Staff.objects.get(user=lan.user).delete()
    later = timezone.now()
    pay(mei.shop, 100, now=later)
    assert pushing.send_due(now=later) == 1
    assert service.told(hers) == titles(1)
    Token.objects.filter(user=mei.user).update(expiry=later)
    pay(mei.shop, 200, now=later)
    assert pushing.send_due(now=later + timedelta(seconds=5)) == 0
    assert len(service.outside.received) == 1
    assert set(PushSubscription.objects.values_list("user__phone", "ended_why", "sealed_address")) == {
        (mei.phone, "left", b""),
        (lan.phone, "left", b""),
    }


QUIET = {"quiet_from": "22:00", "quiet_until": "06:30", "big_amount": {"amount": 10_000, "currency": "CNY"}}


@pytest.mark.parametrize(
    ("hour", "minute", "heard"),
    # 13:59 in UTC is 21:59 in Guangzhou.
    [(13, 59, [1, 100]), (14, 0, [100]), (20, 0, [100]), (22, 29, [100]), (22, 30, [1, 100])],
)
def test_quiet_hours_are_the_shops_and_a_big_amount_is_told_in_them(
    mei: Person, service: Service, hour: int, minute: int, heard: list[int]
) -> None:
    phone = service.browser("mei")
    subscribe(mei.api(), phone, **QUIET)
    moment = datetime(2027, 3, 1, hour, minute, tzinfo=UTC)
    pay(mei.shop, 9_999, now=moment, currency="USD", kind="payment_in_question")
    pay(mei.shop, 100, 10_000, now=moment)
    pushing.send_due(now=moment)
    assert service.told(phone) == titles(*heard)
    assert phone.read(service.came(phone)[-1].body)["big"] is True
    # What was kept silent is not told in the morning.
    pushing.send_due(now=moment + timedelta(minutes=59))
    assert service.told(phone) == titles(*heard)


def waits_for_ring(task: str = pushing.SEND_TASK) -> bool:
    end = time.monotonic() + 2
    while not bell.store().exists(f"rung:{task}") and time.monotonic() < end:
        time.sleep(0.01)
    return bool(bell.store().exists(f"rung:{task}"))


def test_a_payment_rings_for_its_push_and_the_sweep_finds_what_lost_its_bell(
    mei: Person, now: datetime, service: Service
) -> None:
    announce([mei.shop.id])  # Nobody is pushed to: nobody is rung.
    subscribe(mei.api(), service.browser("mei"))
    tasks.sweep()
    time.sleep(0.1)
    assert not bell.store().exists(RUNG)
    pay(mei.shop, 100, now=now)
    tasks.sweep()
    assert waits_for_ring()
    bell.store().flushdb()
    announce([mei.shop.id])
    assert waits_for_ring()


def test_a_killed_workers_push_leaves_when_its_lease_is_over(mei: Person, now: datetime, service: Service) -> None:
    phone = service.browser("mei")
    subscribe(mei.api(), phone)
    later = timezone.now()
    pay(mei.shop, 100, now=later)
    [slow] = pushing._lease(later)
    assert pushing.send_due(now=later + timedelta(seconds=59)) == 0
    assert pushing.send_due(now=later + timedelta(seconds=61)) == 1
    assert service.told(phone) == titles(1)
    # The one that was thought dead comes back: it must not undo what another did.
    pushing._ours(slow).update(told=0)
    assert PushSubscription.objects.get().told == 1


@pytest.mark.usefixtures("real_db")
def test_four_workers_push_each_payment_once_and_in_order(mei: Person, service: Service) -> None:
    phones = [service.browser(name) for name in ("one", "two", "three")]
    for phone in phones:
        subscribe(again(mei).api(), phone)
    now = timezone.now()
    pay(mei.shop, *(100 * place for place in range(1, 11)), now=now)

    start = Barrier(4)

    def lease(moment: datetime) -> int:
        start.wait(10)
        try:
            return len(pushing._lease(moment))
        finally:
            connections.close_all()

    def work(moment: datetime) -> int:
        try:
            return pushing.send_due(now=moment)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        moments = [now + place * timedelta(minutes=2) for place in range(10)]
        assert [sum(threads.map(lease, [moment] * 4)) for moment in moments] == [3] * 10
        assert sum(threads.map(work, [now + timedelta(minutes=21)] * 4)) == 30
    for phone in phones:
        assert service.told(phone) == titles(*range(1, 11))


def test_a_phone_with_another_address_is_told_there_what_it_was_not_told_yet(
    mei: Person, now: datetime, service: Service
) -> None:
    old, new = service.browser("old"), service.browser("new")
    renewal = subscribe(mei.api(), old)["renewal"]
    later = timezone.now()
    pay(mei.shop, 100, now=later)
    service.statuses = [410]
    assert pushing.send_due(now=later) == 0
    renew(new, renewal)
    assert pushing.send_due(now=timezone.now()) == 1
    assert service.told(new) == titles(1)
    # Nobody's word but our own moves a phone, and what its person has ended stays ended.
    before = list(PushSubscription.objects.values())
    elsewhere = {**service.browser("thief").subscription(), "renewal": f"{renewal}x"}
    assert problem(APIClient().post("/api/v1/push/renew", elsewhere)) == (400, "proof_wrong")
    assert list(PushSubscription.objects.values()) == before
    [row] = PushSubscription.objects.all()
    pushing.end(subscription=row, why="asked", now=later)
    answer = APIClient().post("/api/v1/push/renew", {**old.subscription(), "renewal": renewal})
    assert problem(answer) == (404, "subscription_unknown")
    assert bytes(PushSubscription.objects.get().sealed_address) == b""


def test_a_refusal_of_the_old_address_does_not_end_the_new_one(mei: Person, now: datetime, service: Service) -> None:
    new = service.browser("new")
    renewal = subscribe(mei.api(), service.browser("old"))["renewal"]
    later = timezone.now()
    pay(mei.shop, 100, now=later)
    [leased] = pushing._lease(later)
    parcel = pushing._next(leased, later)
    assert parcel is not None
    renew(new, renewal)  # While the service of the old one thinks.
    pushing._record(parcel, Answer(Outcome.GONE, "410"), later)
    assert pushing.send_due(now=timezone.now()) == 1
    assert service.told(new) == titles(1)


def test_a_test_is_shown_once_also_in_quiet_hours_and_tells_of_no_payment(
    mei: Person, now: datetime, service: Service
) -> None:
    phone = service.browser("mei")
    said = subscribe(mei.api(), phone, language="pt", quiet_from="00:00", quiet_until="23:59")
    assert mei.api().post(f"/api/v1/push/{said['id']}/test").status_code == 202
    later = timezone.now()
    pay(mei.shop, 100, now=later)
    assert pushing.send_due(now=later) == 1
    assert pushing.send_due(now=later) == 0
    [came] = service.came(phone)
    assert phone.read(came.body) == {
        "title": "É assim que você é avisado de um pagamento",
        "body": "",
        "lang": "pt",
        "tag": "test",
        "kind": "test",
    }
    pushing.end(subscription=PushSubscription.objects.get(), why="asked", now=later)
    assert problem(mei.api().post(f"/api/v1/push/{said['id']}/test")) == (409, "push_ended")
    assert not PushSubscription.objects.get().test_asked


def renew(browser: Browser, renewal: str) -> None:
    answer = APIClient().post("/api/v1/push/renew", {**browser.subscription(), "renewal": renewal})
    assert answer.status_code == 204, answer.content


def test_without_a_key_nothing_is_due(mei: Person, now: datetime, service: Service, settings: LazySettings) -> None:
    subscribe(mei.api(), service.browser("mei"))
    pay(mei.shop, 100, now=now)
    settings.VAPID_PRIVATE_KEY = ""
    assert not pushing.has_due(now=timezone.now())
    assert pushing.send_due(now=timezone.now()) == 0
    answer: Any = mei.api().get("/api/v1/push").json()
    assert answer["public_key"] is None
