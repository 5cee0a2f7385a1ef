"""Before Django: what is plainly proved is kept here, and everything else reaches Django as it came."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from django.conf import LazySettings
from django.core.handlers.wsgi import WSGIHandler
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.utils import timezone
from prometheus_client import REGISTRY
from requests.structures import CaseInsensitiveDict

from merchants import in_threads
from merchants.in_threads import Message, Receive, Scope, Send
from merchants.models import Shop
from payments import accounts, credentials, front_door, group_commit, inbox, providers, senders
from payments.models import Delivery, ProviderAccount, QueuedEvent, WebhookEvent
from tests.cast import Person
from tests.till import OTHER_SECRET, SECRET, Notification, direct, paid, platform

ADDRESS = "/webhooks/sandbox/platform"


class House:
    """The application as the server calls it in its loop, and what came through the front door to Django."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.handed_on: list[bytes] = []
        self.pages: list[str] = []
        self._django = in_threads.in_threads(WSGIHandler())
        self._application = front_door.before(pages=self._page, webhooks=self._behind)

    def post(self, told: Notification, address: str = ADDRESS, *, raw: bytes | None = None, **changed: Any) -> Any:
        """Status, headers and body of the answer."""
        body = told.raw if raw is None else raw
        headers = {"host": "testserver", "content-type": "application/json", **told.headers}
        if changed.get("announced", True):
            headers["content-length"] = str(len(body))
        pairs = [(name.encode(), value.encode()) for name, value in [*headers.items(), *changed.get("more", ())]]
        parts = urlsplit(address)
        scope: Scope = {
            "type": "http", "http_version": "1.1", "method": changed.get("method", "POST"), "scheme": "http",
            "path": unquote(parts.path), "raw_path": parts.path.encode(), "query_string": parts.query.encode(),
            "headers": pairs, "client": ("192.0.2.1", 50_000), "server": ("testserver", 80),
        }  # fmt: skip
        said: list[Message] = []

        async def send(message: Message) -> None:
            said.append(message)

        self.loop.run_until_complete(self._application(scope, receiving(body), send))
        content = b"".join(message["body"] for message in said[1:])
        answered = CaseInsensitiveDict((name.decode(), value.decode()) for name, value in said[0]["headers"])
        return said[0]["status"], answered, content

    def end(self) -> None:
        self.forget_connection()
        self.loop.close()

    def forget_connection(self) -> None:
        self.loop.run_until_complete(group_commit._group(self.loop)._database.drop())

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.pages.append(scope["path"])
        await self._behind(scope, receive, send)

    async def _behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.handed_on.append(body)
        await self._django(scope, receiving(body), send)


def receiving(body: bytes) -> Receive:
    """A body as the server gives it: in pieces."""
    pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)] or [b""]

    async def receive() -> Message:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return receive


@pytest.fixture
def account(real_db: None) -> Iterator[ProviderAccount]:
    senders._remembered.clear()
    yield platform()
    senders._remembered.clear()


@pytest.fixture
def house(account: ProviderAccount) -> Iterator[House]:
    house = House()
    yield house
    house.end()


def replaced(account: ProviderAccount, secret: str, *, keep_old: bool) -> None:
    sealed = credentials.sealed({"api_key": "a-key-of-the-tests-only", "webhook_secrets": secret})
    with transaction.atomic():
        accounts.replace(account, identity={}, sealed=sealed, keep_old=keep_old, now=timezone.now())


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"pushcart_{name}_total", labels) or 0.0


def test_what_is_proved_is_kept_and_answered_without_django(house: House, account: ProviderAccount) -> None:
    told, before = paid(account=account), counted("webhooks_received", provider="sandbox")
    assert house.post(told) == (204, {"Content-Type": "text/plain"}, b"")
    event = WebhookEvent.objects.get()
    assert (bytes(event.raw), event.headers, event.authority) == (told.raw, told.headers, "signed")
    assert QueuedEvent.objects.get().event_id == event.id == Delivery.objects.get().event_id
    assert counted("webhooks_received", provider="sandbox") == before + 1
    assert house.handed_on == []


def test_a_repeated_delivery_gets_the_same_answer_and_no_row(house: House, account: ProviderAccount) -> None:
    told, before = paid(account=account), counted("webhooks_repeated", provider="sandbox")
    assert [house.post(told)[0] for _ in range(3)] == [204, 204, 204]
    assert WebhookEvent.objects.count() == 1
    assert counted("webhooks_repeated", provider="sandbox") == before + 2


def test_whatever_is_out_of_the_ordinary_is_djangos_with_its_body(
    house: House, account: ProviderAccount, mei: Person
) -> None:
    told = paid(account=account)
    forged = Notification(account, told.message, secret=OTHER_SECRET)
    stale = Notification(account, told.message, at=timezone.now() - timedelta(minutes=6))
    hers = direct(mei.shop)
    large = b"x" * 262_145
    unusual: list[tuple[int, dict[str, Any]]] = [
        (400, {"told": forged}),
        (400, {"told": stale}),
        (400, {"told": told, "raw": told.raw + b" "}),
        (404, {"told": told, "address": "/webhooks/sandbox/nobody"}),
        (404, {"told": told, "address": "/webhooks/paypal/platform"}),
        (405, {"told": told, "method": "PUT"}),
        (413, {"told": told, "raw": large}),
    ]
    for status, arguments in unusual:
        house.handed_on.clear()
        assert house.post(**arguments)[0] == status
        assert house.handed_on == [arguments.get("raw", told.raw)]
    assert WebhookEvent.objects.count() == 0
    house.handed_on.clear()
    assert house.post(paid(account=hers), f"/webhooks/sandbox/{hers.name}")[0] == 204  # With the budget of a shop.
    assert house.post(told, f"{ADDRESS}?x=1")[0] == 204
    assert len(house.handed_on) == 2


def test_notifications_that_django_must_judge_take_no_thread_of_the_pages(
    house: House, account: ProviderAccount
) -> None:
    assert house.post(paid(account=account), raw=b"{}")[0] == 400
    assert house.post(paid(account=account), f"{ADDRESS}?x=1")[0] == 204
    assert (len(house.handed_on), house.pages) == (2, [])
    assert house.post(paid(account=account), "/healthz/live", method="GET")[0] == 200
    assert house.post(paid(account=account), method="GET")[0] == 405
    assert (len(house.handed_on), house.pages) == (4, ["/healthz/live", ADDRESS])


def test_what_django_has_judged_shares_the_commits_of_the_front_door_and_is_counted_once(
    house: House, account: ProviderAccount
) -> None:
    def figures() -> list[float]:
        counters = ("webhooks_received", "webhooks_repeated")
        return [counted("webhook_groups"), *(counted(name, provider="sandbox") for name in counters)]

    assert house.post(paid(account=account), f"{ADDRESS}?x=1")[0] == 204  # Now the account has been read.
    told, before = paid(account=account), figures()
    assert [house.post(told, f"{ADDRESS}?x=1")[0] for _ in range(2)] == [204, 204]
    assert [after - figure for after, figure in zip(figures(), before, strict=True)] == [2, 1, 1]
    assert (len(house.handed_on), Delivery.objects.count()) == (3, 2)


def test_what_django_has_judged_by_credentials_that_were_revoked_since_is_not_kept(
    house: House, account: ProviderAccount
) -> None:
    assert house.post(paid(account=account), f"{ADDRESS}?x=1")[0] == 204
    stolen = Notification(account, paid(account=account).message, secret=SECRET)
    replaced(account, OTHER_SECRET, keep_old=False)
    assert house.post(stolen, f"{ADDRESS}?x=1")[0] == 400
    assert (len(house.handed_on), Delivery.objects.count()) == (2, 1)


def test_a_body_of_unknown_length_is_not_read_in_front(house: House, account: ProviderAccount) -> None:
    told = paid(account=account)
    assert house.post(told, announced=False)[0] == 400  # To Django it has none.
    assert house.handed_on == [told.raw]


def test_a_header_that_came_twice_is_djangos_to_understand(house: House, account: ProviderAccount) -> None:
    told = paid(account=account)
    assert house.post(told, more=[("webhook-id", told.headers["webhook-id"])])[0] == 400
    assert house.handed_on == [told.raw]
    # One whose name only looks like another's is nobody's, here and there.
    assert house.post(told, more=[("webhook_id", "evt_another")])[0] == 204
    assert house.post(told, f"{ADDRESS}?x=1", more=[("webhook_id", "evt_another")])[0] == 204
    assert Delivery.objects.get().delivery_id == told.headers["webhook-id"]


def test_headers_are_the_ones_that_django_reads(
    house: House, account: ProviderAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, seen = paid(account=account), []
    verify = providers.named("sandbox").verify

    def seeing(account: ProviderAccount, delivery: Any, **rest: Any) -> Any:
        seen.append(dict(delivery.headers))
        return verify(account, delivery, **rest)

    monkeypatch.setattr(providers.named("sandbox"), "verify", seeing)
    for address in (ADDRESS, f"{ADDRESS}?x=1"):
        assert house.post(told, address, more=[("x-two-words", "\u00c3\u00a9"), ("via", "1")])[0] == 204
    assert len(house.handed_on) == 1
    assert seen[0] == seen[1]
    assert seen[0].keys() >= {"x-two-words", "via", "content-type", "content-length", "webhook-id"}


def test_a_proof_that_wants_the_database_is_made_in_a_thread_and_kept_in_front(
    house: House, account: ProviderAccount
) -> None:
    """Django lets nobody ask the database in a loop: what was signed with replaced credentials needs them read."""
    old = [Notification(account, paid(account=account).message, secret=SECRET) for _ in range(2)]
    replaced(account, OTHER_SECRET, keep_old=True)
    assert [house.post(one)[0] for one in old] == [204, 204]
    assert (house.handed_on, Delivery.objects.count()) == ([], 2)


def test_credentials_that_were_revoked_let_nothing_in_though_the_account_was_read_before(
    house: House, account: ProviderAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert house.post(paid(account=account))[0] == 204
    stolen = [Notification(account, paid(account=account).message, secret=SECRET) for _ in range(3)]
    with monkeypatch.context() as unguarded:
        open_to_all = inbox._KEEP_ALL_SQL.replace("AND account.sealed_credentials = seen.sealed", "")
        assert open_to_all != inbox._KEEP_ALL_SQL
        replaced(account, OTHER_SECRET, keep_old=False)
        unguarded.setattr(inbox, "_KEEP_ALL_SQL", open_to_all)
        assert house.post(stolen[0])[0] == 204  # So it would be without the comparison.
    assert house.post(stolen[1])[0] == 400
    assert house.post(stolen[2])[0] == 400
    assert Delivery.objects.count() == 2


def test_an_account_that_became_a_shops_own_is_not_kept_in_front(
    house: House, account: ProviderAccount, mei: Person
) -> None:
    assert house.post(paid(account=account))[0] == 204
    ProviderAccount.objects.update(funds="direct", shop=Shop.objects.get(id=mei.shop.id))
    assert house.post(paid(account=account))[0] == 204
    assert len(house.handed_on) == 1


def test_new_credentials_prove_at_once_and_the_old_ones_as_long_as_they_are_accepted(
    house: House, account: ProviderAccount
) -> None:
    old = [Notification(account, paid(account=account).message, secret=SECRET) for _ in range(3)]
    assert house.post(old[0])[0] == 204
    replaced(account, OTHER_SECRET, keep_old=True)
    assert house.post(Notification(account, paid(account=account).message, secret=OTHER_SECRET))[0] == 204
    assert house.post(old[1])[0] == 204
    accounts.revoke_old(account)
    assert house.post(old[2])[0] == 400
    assert Delivery.objects.count() == 3


def test_a_provider_that_is_switched_off_is_no_more_let_in(
    house: House, account: ProviderAccount, settings: LazySettings
) -> None:
    assert house.post(paid(account=account))[0] == 204
    settings.SANDBOX_URL = ""
    assert house.post(paid(account=account))[0] == 404


def test_with_the_database_gone_the_provider_is_told_when_to_come_again(
    house: House, account: ProviderAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = paid(account=account)
    assert house.post(told)[0] == 204
    again, before = paid(account=account), counted("webhooks_refused", reason="unavailable")
    house.forget_connection()
    with monkeypatch.context() as gone:
        gone.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        gone.setitem(connection.settings_dict, "PORT", "9")
        status, headers, body = house.post(again)
    assert (status, headers["Retry-After"], headers["Content-Type"]) == (503, "5", "application/problem+json")
    assert b'"code": "unavailable"' in body
    assert counted("webhooks_refused", reason="unavailable") == before + 1
    assert house.post(again)[0] == 204


def test_django_too_answers_503_when_no_connection_is_free(
    house: House, account: ProviderAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = paid(account=account)
    connection.close()
    pool = connections[DEFAULT_DB_ALIAS].pool  # type: ignore[attr-defined]
    taken = [pool.getconn() for _ in range(pool.max_size)]
    try:
        monkeypatch.setattr(pool, "timeout", 0.05)
        status, headers, body = house.post(told, f"{ADDRESS}?x=1")
    finally:
        for one in taken:
            pool.putconn(one)
    assert (status, headers["Retry-After"]) == (503, "5")
    assert b'"code": "unavailable"' in body
    assert WebhookEvent.objects.count() == 0
