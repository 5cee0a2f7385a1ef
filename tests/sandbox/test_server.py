"""The limits of the pretend wallet's HTTP server, tried with raw sockets where a client library would be too polite."""

import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests

from tests.sandbox.pretend_shop import Shop, Wallet, eventually


def talk(wallet: Wallet, sent: bytes) -> bytes:
    """Send bytes and read until the server closes the connection."""
    parts = urlsplit(wallet.url)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(sent)
        while piece := connection.recv(65_536):
            received += piece
    return received


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v1/orders HTTP/1.1\r\nContent-Length: 200000\r\n", b"413"),
        (b"POST /v1/orders HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n", b"413"),
        (b"POST /v1/orders HTTP/1.1\r\nContent-Length: -1\r\n", b"400"),
        (b"POST /v1/orders HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n", b"400"),
        (b"POST /v1/orders HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", b"411"),
        (b"BREW /v1/orders HTTP/1.1\r\n", b"501"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n", b"414"),
        (b"GET / HTTP/one\r\n", b"400"),
    ],
)
def test_a_request_out_of_bounds_is_refused_and_its_connection_closed(
    wallet: Wallet, head: bytes, status: bytes
) -> None:
    reply = talk(wallet, head + b"Host: wallet\r\n\r\n")
    assert reply.split(b"\r\n")[0].split(b" ")[1] == status
    assert b'{"error":{"code":' in reply
    assert reply.count(b"HTTP/1.1 ") == 1


def test_a_body_that_stops_in_the_middle_does_nothing(shop: Shop, wallet: Wallet) -> None:
    parts = urlsplit(wallet.url)
    head = f"POST /v1/orders HTTP/1.1\r\nAuthorization: Bearer {shop.api_key}\r\nContent-Length: 50\r\n\r\n{{"
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""


def test_what_is_not_json_or_not_there_is_refused(shop: Shop, wallet: Wallet) -> None:
    headers = {"Authorization": f"Bearer {shop.api_key}", "Idempotency-Key": "k"}
    for body in (b"{", b"[]", b"\xff", b"[" * 100_000):
        reply = requests.post(f"{wallet.url}/v1/orders", data=body, headers=headers, timeout=5)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_json")
    assert requests.get(f"{wallet.url}/v2/orders", timeout=5).status_code == 404
    assert requests.get(f"{wallet.url}/pay/../control/books", timeout=5).status_code == 401
    assert requests.delete(f"{wallet.url}/v1/orders", timeout=5).status_code == 405
    assert requests.head(f"{wallet.url}/", timeout=5).content == b""


def test_hundreds_of_orders_a_second_are_made_approved_and_told(shop: Shop, wallet: Wallet) -> None:
    begun = time.monotonic()

    def make(first: int) -> None:
        with requests.Session() as session:
            for number in range(first, first + 50):
                reply = session.post(
                    f"{wallet.url}/v1/orders",
                    json=shop.terms(f"load-{number}"),
                    headers={"Authorization": f"Bearer {shop.api_key}", "Idempotency-Key": f"load-{number}"},
                    timeout=10,
                )
                assert reply.status_code == 201

    threads = [threading.Thread(target=make, args=(first,)) for first in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made_s = time.monotonic() - begun
    answer = shop.approve(*(f"load-{number}" for number in range(400)))
    assert (len(answer["orders"]), answer["refused"]) == (400, [])
    eventually(lambda: len(shop.notices) == 400, "400 notices", within_s=15)
    assert len({notice.headers["webhook-id"] for notice in shop.notices}) == 400
    assert wallet.books()["accounts"][shop.account]["CNY"]["received"] == 80_000
    # On an idle machine it takes under a second; the bound only says that nothing waits for a timeout.
    assert made_s < 10
