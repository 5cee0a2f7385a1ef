"""The address that providers call: what each answer says, and that "kept" is said only after it is."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.test import Client, RequestFactory
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import DjangoAssertNumQueries

from merchants.models import Item, Notice
from payments.models import PaymentIntent, ProviderAccount, QueuedEvent, WebhookEvent
from tests.cast import problem
from tests.till import OTHER_SECRET, Notification, drain, expect, paid, platform

ADDRESS = "/webhooks/sandbox/platform"


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return platform()


@pytest.fixture
def intent(account: ProviderAccount, apples: Item) -> PaymentIntent:
    return expect(apples.codes.get())


@pytest.fixture
def wallet() -> Client:
    """The wallet's side of the wire: no cookie, and cross-site protection is on as in production."""
    return Client(enforce_csrf_checks=True)


def send(
    wallet: Client, told: Notification, *, address: str = ADDRESS, raw: bytes | None = None, signature: str = ""
) -> Any:
    headers = {**told.headers, **({"webhook-signature": signature} if signature else {})}
    return wallet.post(address, told.raw if raw is None else raw, "application/json", headers=headers)


def assert_nothing_stored() -> None:
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == Notice.objects.count() == 0


def test_a_notification_is_answered_with_an_empty_204_and_kept(wallet: Client, intent: PaymentIntent) -> None:
    told = paid(intent)
    response = send(wallet, told)
    assert (response.status_code, response.content) == (204, b"")
    assert bytes(WebhookEvent.objects.get().raw) == told.raw
    assert drain() == 1
    intent.refresh_from_db()
    assert intent.state == "paid"


def test_a_repeated_delivery_gets_the_same_answer(wallet: Client, intent: PaymentIntent) -> None:
    told = paid(intent)
    assert [send(wallet, told).status_code for _ in range(3)] == [204, 204, 204]
    assert WebhookEvent.objects.count() == 1


def test_nothing_but_the_event_and_its_queue_row_is_written_in_the_request(
    wallet: Client, intent: PaymentIntent, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    told = paid(intent)
    with django_assert_num_queries(2):  # The account, and one INSERT for both rows.
        send(wallet, told)
    assert Notice.objects.count() == 0


def test_the_signed_headers_may_come_in_any_case(account: ProviderAccount) -> None:
    told = paid()
    headers = {name.title(): value for name, value in told.headers.items()}
    assert Client().post(ADDRESS, told.raw, "application/json", headers=headers).status_code == 204
    shouted = {name.upper(): value for name, value in paid().headers.items()}
    assert problem(Client().post(ADDRESS, told.raw, "application/json", headers=shouted)) == (400, "signature_wrong")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_the_raw_body_counts_whatever_it_is_called(account: ProviderAccount, content_type: str) -> None:
    told = paid()
    assert Client().post(ADDRESS, told.raw, content_type, headers=told.headers).status_code == 204


def test_a_refusal_is_a_problem_document_and_gives_nothing_away(wallet: Client, account: ProviderAccount) -> None:
    told = paid()
    response = send(wallet, told, raw=told.raw + b" ")
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:pushcart:problem:signature_wrong",
        "title": "The notification was not accepted.",
        "status": 400,
        "detail": "Nothing was stored.",
        "code": "signature_wrong",
    }
    assert_nothing_stored()


def test_every_way_of_not_being_proved_is_a_400_with_its_own_code(wallet: Client, account: ProviderAccount) -> None:
    told = paid()
    forged = Notification(account, told.message, secret=OTHER_SECRET)
    stale = Notification(account, told.message, at=timezone.now() - timedelta(minutes=6))
    future = Notification(account, told.message, at=timezone.now() + timedelta(minutes=6))
    assert problem(send(wallet, forged)) == (400, "signature_wrong")
    assert problem(send(wallet, stale)) == (400, "timestamp_stale")
    assert problem(send(wallet, future)) == (400, "timestamp_stale")
    assert problem(wallet.post(ADDRESS, told.raw, "application/json")) == (400, "signature_missing")
    assert problem(send(wallet, told, signature="v1,é")) == (400, "signature_wrong")
    assert_nothing_stored()


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/webhooks/paypal/platform", "unknown_provider"),
        ("/webhooks/sandbox/nobody", "unknown_account"),
        ("/webhooks/sandbox/PLATFORM", "unknown_account"),
        ("/webhooks/sandbox/plat%00form", "not_found"),
        ("/webhooks/sandbox/%E2%82%AC", "unknown_account"),
        ("/webhooks/%00/platform", "not_found"),
    ],
)
def test_an_address_of_nobody_is_a_404(wallet: Client, account: ProviderAccount, address: str, code: str) -> None:
    assert problem(send(wallet, paid(), address=address)) == (404, code)
    assert_nothing_stored()


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head", "options"])
def test_only_post_is_taken(wallet: Client, account: ProviderAccount, method: str) -> None:
    response = getattr(wallet, method)(ADDRESS, headers=paid().headers)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert_nothing_stored()


def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    account: ProviderAccount, settings: LazySettings
) -> None:
    class Unread(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("the body was read")

    length = str(settings.WEBHOOK_BYTES_MAX + 1)
    before = REGISTRY.get_sample_value("pushcart_webhooks_refused_total", {"reason": "body_too_large"}) or 0
    body: dict[str, Any] = {"CONTENT_LENGTH": length, "wsgi.input": Unread()}
    response = Client().generic("POST", ADDRESS, headers=paid().headers, **body)
    assert problem(response) == (413, "body_too_large")
    assert REGISTRY.get_sample_value("pushcart_webhooks_refused_total", {"reason": "body_too_large"}) == before + 1
    assert_nothing_stored()


@pytest.mark.parametrize("size", [262_145, 2_000_000])
def test_a_body_that_is_too_large_is_a_413(wallet: Client, account: ProviderAccount, size: int) -> None:
    assert problem(send(wallet, paid(), raw=b"x" * size)) == (413, "body_too_large")
    assert_nothing_stored()


def test_the_event_is_committed_before_the_answer_is_given(real_db: None, apples: Item) -> None:
    """Asked from another connection, at the moment when the first byte of the status is handed to the server."""
    platform()
    told = paid(expect(apples.codes.get()))
    seen: list[tuple[str, int]] = []

    def committed() -> int:
        try:
            return QueuedEvent.objects.filter(event__delivery_id=told.message["id"]).count()
        finally:
            connections.close_all()

    def start_response(status: str, _headers: object, _failure: object = None) -> Any:
        with ThreadPoolExecutor(1) as other:
            seen.append((status, other.submit(committed).result()))

    request: Any = RequestFactory().generic("POST", ADDRESS, told.raw, "application/json", headers=told.headers)
    for _ in WSGIHandler()(request.environ, start_response):
        pass

    assert seen == [("204 No Content", 1)]
