"""What the receipt's script is told: one version while the page says the same, and another as soon as it does not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from payments import refunds
from payments.models import Payment, PaymentIntent, Refund
from qr.page import LIVE
from tests.cast import Person
from tests.till import closed, drain, expect, paid, platform, refund_told, shop_code


@pytest.fixture
def intent(mei: Person) -> PaymentIntent:
    """Begun, and waiting for its money."""
    platform()
    made = expect(shop_code(mei.shop), 400)
    PaymentIntent.objects.filter(id=made.id).update(redirect_url="http://wallet/pay/1", start_failure="")
    made.refresh_from_db()
    return made


def state(client: Client, intent: PaymentIntent, tag: str = "") -> Any:
    return client.get(f"/r/{intent.receipt}/state", headers={"If-None-Match": tag} if tag else {})


def shown(client: Client, intent: PaymentIntent) -> tuple[str, str, int]:
    """What the page itself carries."""
    page = client.get(f"/r/{intent.receipt}").content.decode()
    found = re.search(r'<main data-kind="(\w+)" data-version="(\w+)" data-again="(\d+)"', page)
    assert found, page
    return found[1], found[2], int(found[3])


def test_it_says_what_the_page_says_to_anybody_in_any_language(client: Client, intent: PaymentIntent) -> None:
    kind, version, again_s = shown(client, intent)
    for language in ("en", "zh-CN"):
        answer = Client(headers={"Accept-Language": language}).get(f"/r/{intent.receipt}/state")
        assert answer.json() == {"kind": "waiting", "version": version, "again_s": 2}
    assert (kind, again_s) == ("waiting", 2)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "Set-Cookie" not in answer.headers


def test_asked_again_with_its_tag_it_sends_nothing_until_something_is_new(
    client: Client, intent: PaymentIntent
) -> None:
    first = state(client, intent)
    same = state(client, intent, first.headers["ETag"])
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert same.headers["Cache-Control"] == "no-store"
    paid(intent).deliver()
    drain()
    answer = state(client, intent, first.headers["ETag"])
    assert answer.status_code == 200
    assert (answer.json()["kind"], answer.json()["again_s"]) == ("paid", None)
    assert answer.json()["version"] != first.json()["version"]
    assert shown(client, intent) == ("paid", answer.json()["version"], 0)


def test_every_step_of_the_money_is_a_version_of_its_own(client: Client, intent: PaymentIntent, mei: Person) -> None:
    seen = [shown(client, intent)]
    paid(intent).deliver()
    drain()
    seen.append(shown(client, intent))
    payment = intent.payments.get()
    refunds.request(staff=mei.staff, payment=payment, amount=400, reason="", now=timezone.now())
    seen.append(shown(client, intent))
    refund_told(payment, "succeeded", amount=400, refund=Refund.objects.get()).deliver()
    drain()
    seen.append(shown(client, intent))
    paid(intent).deliver()
    drain()
    seen.append(shown(client, intent))
    assert [kind for kind, _version, _again_s in seen] == ["waiting", "paid", "paid", "refunded", "refunded"]
    assert len({version for _kind, version, _again_s in seen}) == 5


def test_a_payment_that_is_no_longer_waited_for_or_proves_nothing_more_is_told_apart(
    client: Client, intent: PaymentIntent
) -> None:
    versions = [state(client, intent).json()["version"]]
    PaymentIntent.objects.update(expires_at=timezone.now())  # Its code and its button are gone now.
    versions.append(state(client, intent).json()["version"])
    closed(intent, refused=True).deliver()
    drain()
    refused = state(client, intent).json()
    assert (refused["kind"], refused["again_s"]) == ("refused", None)
    assert len({*versions, refused["version"]}) == 3


def test_it_costs_no_more_than_two_queries(
    client: Client, intent: PaymentIntent, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        state(client, intent)
    paid(intent).deliver()
    paid(intent).deliver()
    drain()
    assert Payment.objects.count() == 2
    with django_assert_num_queries(2):
        assert state(client, intent).json()["kind"] == "checking"


def test_an_unknown_receipt_has_no_state(client: Client, db: None) -> None:
    answer = client.get("/r/23456789ABCDEFGHJKLMNP/state")
    assert (answer.status_code, answer.json()) == (404, {"kind": "unknown"})
    assert client.post("/r/23456789ABCDEFGHJKLMNP/state").status_code == 405


def test_the_page_asks_only_us_by_the_one_script_and_without_script_it_is_refreshed(
    client: Client, intent: PaymentIntent, settings: LazySettings
) -> None:
    answer = client.get(f"/r/{intent.receipt}")
    page, policy = answer.content.decode(), answer.headers["Content-Security-Policy"]
    assert page.count("<script>") == 1
    assert f"<script>{LIVE}</script>" in page
    # Where the stream has an origin of its own, that one is asked too.
    assert "; connect-src 'self' http://127.0.0.1:8001; " in policy
    assert 'data-stream="http://127.0.0.1:8001"' in page
    assert "unsafe" not in policy
    settings.STREAM_URL = settings.PUBLIC_URL
    assert "; connect-src 'self'; " in client.get(f"/r/{intent.receipt}").headers["Content-Security-Policy"]
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page


def test_a_receipt_with_all_that_it_may_say_stays_below_ten_kilobytes(
    client: Client, intent: PaymentIntent, mei: Person
) -> None:
    paid(intent).deliver()
    drain()
    payment = intent.payments.get()
    for _ in range(3):
        refunds.request(staff=mei.staff, payment=payment, amount=100, reason="", now=timezone.now())
    PaymentIntent.objects.update(description="水" * 60)
    mei.shop.name = "水" * 60
    mei.shop.save()
    answer = client.get(f"/r/{intent.receipt}")
    assert b'id="show"' in answer.content
    assert b'id="keep"' in answer.content
    assert len(answer.content) <= 10_000
