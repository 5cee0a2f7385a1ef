"""The line of a receipt, heard from the process of the streams: rung at once, bounded, and of nobody else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connections
from django.test import Client
from django.utils import timezone

from merchants import stream
from merchants.announcements import Listener
from merchants.notify import announce
from payments.models import PaymentIntent
from qr import receipt_stream
from tests.cast import MEI_PHONE, Person, open_shop
from tests.test_stream import PUBLIC, Server, running
from tests.till import closed, drain, expect, paid, platform, shop_code

pytestmark = pytest.mark.xdist_group("stream")


@pytest.fixture(scope="module")
def shared(django_db_setup: None) -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture
def server(shared: Server, real_db: None) -> Server:
    return shared


@pytest.fixture
def mei(server: Server) -> Person:
    return open_shop(MEI_PHONE, "Mei's fruit")


def begun(mei: Person) -> PaymentIntent:
    """A payment that waits for its money."""
    platform()
    made = expect(shop_code(mei.shop), 400)
    PaymentIntent.objects.filter(id=made.id).update(redirect_url="http://wallet/pay/1", start_failure="")
    made.refresh_from_db()
    return made


def version(intent: PaymentIntent) -> str:
    """What the page would ask for."""
    return str(Client().get(f"/r/{intent.receipt}/state").json()["version"])


class Line:
    """A page that listens: what it heard, and whether the line was ended by the other side."""

    def __init__(self, server: Server, secret: str) -> None:
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(server.url))
        self.heard: list[str] = []
        self.ended = threading.Event()
        self.answer = requests.get(f"{origin}/r/{secret}/events", headers={"Origin": PUBLIC}, stream=True, timeout=30)
        if self.answer.status_code == 200:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(requests.RequestException):  # The process was killed at the end of these tests.
            for text in self.answer.iter_lines(chunk_size=1, decode_unicode=True):
                if text.startswith("data: "):
                    self.heard.append(text.removeprefix("data: "))
        self.ended.set()

    def hears(self, *versions: str, limit_s: float = 5.0) -> None:
        end = time.monotonic() + limit_s
        while self.heard != list(versions):
            assert time.monotonic() < end, (self.heard, versions)
            time.sleep(0.005)


def test_it_rings_when_the_money_is_booked_and_ends_then(server: Server, mei: Person) -> None:
    intent, other = begun(mei), begun(mei)
    before = version(intent)
    line, neighbour = Line(server, intent.receipt), Line(server, other.receipt)
    line.hears(before)
    assert line.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert line.answer.headers["Cache-Control"] == "no-store"
    assert line.answer.headers["Access-Control-Allow-Origin"] == PUBLIC
    paid(intent).deliver()
    drain()
    line.hears(before, version(intent), limit_s=1)
    assert line.ended.wait(2)
    neighbour.hears(version(other))
    assert not neighbour.ended.is_set()


def test_a_refusal_in_the_wallet_rings_too_though_no_shop_is_told_of_it(server: Server, mei: Person) -> None:
    intent = begun(mei)
    before = version(intent)
    line = Line(server, intent.receipt)
    line.hears(before)
    closed(intent, refused=True).deliver()
    drain()
    line.hears(before, version(intent), limit_s=1)
    assert line.ended.wait(2)


def test_whatever_changed_before_it_was_opened_is_in_its_first_word_and_what_says_the_same_rings_nothing(
    server: Server, mei: Person
) -> None:
    intent = begun(mei)
    PaymentIntent.objects.filter(id=intent.id).update(expires_at=timezone.now())
    line = Line(server, intent.receipt)
    line.hears(version(intent))
    announce([mei.shop.id])
    time.sleep(0.3)
    assert line.heard == [version(intent)]


def test_what_waits_for_nothing_and_what_is_nobodys_have_no_line(server: Server, mei: Person) -> None:
    intent = begun(mei)
    PaymentIntent.objects.filter(id=intent.id).update(state="canceled", closing="refused", closed_at=timezone.now())
    assert Line(server, intent.receipt).answer.status_code == 204
    unknown = Line(server, "23456789ABCDEFGHJKLMNP").answer
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert Line(server, "x' OR 1=1").answer.status_code == 404
    assert requests.post(unknown.url, timeout=10).json()["code"] == "method_not_allowed"


def test_the_fourth_line_of_a_receipt_is_refused_until_one_ends(server: Server, mei: Person) -> None:
    intent = begun(mei)
    lines = [Line(server, intent.receipt) for _ in range(3)]
    for line in lines:
        line.hears(version(intent))
    refused = Line(server, intent.receipt).answer
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
    Line(server, begun(mei).receipt).hears(version(PaymentIntent.objects.latest("id")))
    # What rings them all ends them all, and there is room again.
    paid(intent).deliver()
    drain()
    for line in lines:
        assert line.ended.wait(2)
    assert Line(server, intent.receipt).answer.status_code == 204


def test_without_announcements_it_looks_by_itself_says_that_it_lives_and_ends_when_its_time_is_up(
    real_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three clocks of a line, run some hundred times as fast."""
    for name, seconds in (("LINE_LIFE_S", 1.0), ("HEARTBEAT_S", 0.2)):
        monkeypatch.setattr(receipt_stream, name, seconds)
    monkeypatch.setattr(stream, "POLL_S", 0.05)
    intent = begun(open_shop(MEI_PHONE, "Mei's fruit"))
    before = version(intent)
    sent: list[bytes] = []

    def its_time_is_up() -> None:
        try:
            PaymentIntent.objects.filter(id=intent.id).update(expires_at=timezone.now())
        finally:
            connections.close_all()

    async def send(message: dict[str, object]) -> None:
        sent.append(bytes(message["body"]))  # type: ignore[call-overload]
        if len(sent) == 3:
            await asyncio.to_thread(its_time_is_up)

    asyncio.run(receipt_stream._ring(stream.Office(), Listener(intent.shop_id), intent.receipt, send))
    alive = b": still here\n\n"
    assert sent[:4] == [f"data: {before}\n\n".encode(), alive, alive, f"data: {version(intent)}\n\n".encode()]
    assert set(sent[4:]) <= {alive}
