"""The way out to a provider: against servers that fail in every way a server can."""

from __future__ import annotations

import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.conf import LazySettings

from payments import circuit, credentials
from payments.models import ProviderAccount
from payments.providers import client
from payments.providers.base import ProviderError, Unauthorised

SECRET = "the-secret-that-must-never-be-seen"


@pytest.fixture
def account(db: None) -> ProviderAccount:
    sealed = credentials.sealed({"api_key": SECRET})
    return ProviderAccount.objects.create(provider="sandbox", name="out", funds="held", sealed_credentials=sealed)


@contextmanager
def answering(*answers: tuple[int, bytes, dict[str, str]], delay_s: float = 0.0) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers one after the other, the last one for ever; and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path}")
            time.sleep(delay_s)
            status, body, headers = answers[min(len(asked), len(answers)) - 1]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # A client that hangs up is expected here.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def plain(status: int, body: bytes = b"{}") -> tuple[int, bytes, dict[str, str]]:
    return status, body, {}


def failure_of(call: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as failure:
        call()
    return failure.value


def test_an_answer_is_given_with_its_status_body_and_headers(account: ProviderAccount) -> None:
    with answering((201, b'{"id": 7}', {"X-Trace": "abc"})) as (url, _):
        answer = client.send(account, "POST", url, body=b"{}", safe=False)
    assert (answer.status, answer.ok, answer.object(), answer.headers["x-trace"]) == (201, True, {"id": 7}, "abc")


def test_an_address_is_not_logged_however_much_else_is(
    account: ProviderAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """WeChat wants the app's secret in it."""
    caplog.set_level(logging.DEBUG)
    with answering(plain(200)) as (url, _):
        client.send(account, "GET", f"{url}/token?secret=never-to-be-seen", safe=True)
    assert "never-to-be-seen" not in caplog.text


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_safe_call_is_made_again_when_the_trouble_may_be_gone(account: ProviderAccount, status: int) -> None:
    with answering(plain(status), plain(status), plain(200)) as (url, asked):
        assert client.send(account, "GET", url, safe=True).status == 200
    assert len(asked) == 3


def test_a_safe_call_is_made_three_times_at_most(account: ProviderAccount) -> None:
    with answering(plain(503, b"busy")) as (url, asked):
        failure = failure_of(lambda: client.send(account, "GET", url, safe=True))
    assert (len(asked), str(failure), failure.permanent) == (3, "failed with 503: busy", False)


def test_where_nobody_listens_a_payer_is_not_kept_waiting(account: ProviderAccount, settings: LazySettings) -> None:
    settings.OUTWARD_AGAIN_S = (30, 30)
    failure = failure_of(lambda: client.send(account, "GET", "http://127.0.0.1:9/", safe=True))
    assert (str(failure), failure.permanent) == ("cannot be reached: ConnectionError", False)


def test_a_connection_that_breaks_is_made_again(account: ProviderAccount) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken: list[int] = []

        def hang_up_twice() -> None:
            for number in range(3):
                connection, _ = listening.accept()
                connection.recv(4096)
                if number == 2:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                connection.close()
                taken.append(number)

        thread = threading.Thread(target=hang_up_twice)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        assert client.send(account, "GET", url, safe=True).status == 200
        thread.join()
    assert taken == [0, 1, 2]


@pytest.mark.parametrize("status", [500, 503])
def test_a_call_that_is_not_safe_is_made_once(account: ProviderAccount, status: int) -> None:
    with answering(plain(status)) as (url, asked):
        failure_of(lambda: client.send(account, "POST", url, safe=False))
    assert len(asked) == 1


def test_one_that_did_not_answer_in_time_is_not_waited_for_again(
    account: ProviderAccount, settings: LazySettings
) -> None:
    settings.OUTWARD_TIMEOUT_S = (0.2, 0.3)
    with answering(plain(200), delay_s=1.0) as (url, asked):
        failure = failure_of(lambda: client.send(account, "GET", url, safe=True))
    assert (len(asked), str(failure)) == (1, "cannot be reached: ReadTimeout")


@pytest.mark.parametrize(
    ("status", "kind", "permanent"),
    [
        (400, ProviderError, True),
        (401, Unauthorised, True),
        (403, Unauthorised, True),
        (404, ProviderError, True),
        (408, ProviderError, False),
        (422, ProviderError, True),
        (425, ProviderError, False),
        (429, ProviderError, False),
    ],
)
def test_a_refusal_is_given_to_the_module_which_may_raise_it(
    account: ProviderAccount, status: int, kind: type[ProviderError], permanent: bool
) -> None:
    with answering(plain(status, b'{"why": "so"}')) as (url, asked):
        answer = client.send(account, "GET", url, safe=True)
    refusal = answer.refusal()
    assert (answer.status, len(asked), type(refusal), refusal.permanent) == (status, 1, kind, permanent)
    assert str(refusal) == f'refused with {status}: {{"why": "so"}}'


def test_no_secret_is_in_what_a_failure_says_even_if_the_provider_repeats_it(
    account: ProviderAccount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = f"unknown key {SECRET}".encode()
    with answering(plain(500, told)) as (url, _):
        failure = failure_of(lambda: client.send(account, "GET", f"{url}/?key={SECRET}", safe=False))
    with answering(plain(403, told)) as (url, _):
        refusal = client.send(account, "GET", url, headers={"Authorization": SECRET}, safe=False).refusal()
    nobody = failure_of(lambda: client.send(account, "GET", f"http://127.0.0.1:9/?key={SECRET}", safe=False))
    assert str(failure) == "failed with 500: unknown key …"
    assert str(refusal) == "refused with 403: unknown key …"
    assert str(nobody) == "cannot be reached: ConnectionError"
    assert SECRET not in "".join(map(repr, (failure.__cause__, refusal.__cause__, nobody.__cause__)))
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("urllib3")]
    assert SECRET not in "\n".join(ours)


def test_a_redirect_is_not_followed_with_our_credentials(account: ProviderAccount) -> None:
    with answering(plain(200)) as (elsewhere, asked), answering((302, b"", {"Location": elsewhere})) as (url, _):
        assert client.send(account, "GET", url, safe=True).status == 302
    assert asked == []


def test_an_answer_without_end_is_cut_off(account: ProviderAccount, settings: LazySettings) -> None:
    settings.OUTWARD_BYTES_MAX = 1000
    with answering(plain(200, b"x" * 1001)) as (url, _):
        assert "larger than any" in str(failure_of(lambda: client.send(account, "GET", url, safe=False)))
    with answering(plain(200, b"x" * 1000)) as (url, _):
        assert len(client.send(account, "GET", url, safe=False).body) == 1000


def test_an_answer_that_only_trickles_is_given_up(account: ProviderAccount, settings: LazySettings) -> None:
    settings.OUTWARD_FOR = timedelta(seconds=0.5)

    class Trickle(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(40):
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return
                time.sleep(0.1)

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Trickle)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    began = time.monotonic()
    try:
        failure = failure_of(lambda: client.send(account, "GET", f"http://127.0.0.1:{server.server_port}", safe=False))
    finally:
        server.shutdown()
        server.server_close()
    assert (str(failure), time.monotonic() - began < 3) == ("cannot be reached: ReadTimeout", True)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b'{"cut": ', b"[]", b"7", b"[" * 100_000])
def test_what_is_no_json_object_is_a_failure_of_the_provider(account: ProviderAccount, body: bytes) -> None:
    with answering(plain(200, body)) as (url, _):
        answer = client.send(account, "GET", url, safe=False)
    assert failure_of(answer.object).permanent is False


def test_failures_open_the_circuit_and_then_nothing_is_sent(account: ProviderAccount) -> None:
    with answering(plain(500)) as (url, asked):
        for _ in range(5):
            failure_of(lambda: client.send(account, "GET", url, safe=False))
        failure = failure_of(lambda: client.send(account, "GET", url, safe=False))
    assert (len(asked), failure.permanent) == (5, False)
    assert str(failure) == "left alone for a while after many failures"
    assert circuit.resting() == [account.id]


def test_refusals_open_no_circuit(account: ProviderAccount) -> None:
    with answering(plain(400)) as (url, asked):
        for _ in range(8):
            client.send(account, "GET", url, safe=False)
    assert (len(asked), circuit.resting()) == (8, [])


def test_a_netrc_of_the_machine_does_not_speak_for_us(
    account: ProviderAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", netrc)
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        client.send(
            account, "GET", f"http://127.0.0.1:{server.server_port}", headers={"Authorization": "ours"}, safe=True
        )
    finally:
        server.shutdown()
        server.server_close()
    assert seen == ["ours"]


def test_a_file_that_takes_too_long_or_breaks_off_is_given_up(account: ProviderAccount, settings: LazySettings) -> None:
    settings.STATEMENT_FOR = timedelta(0)
    with answering(plain(200, b"x" * 200_000)) as (url, _):
        failure = failure_of(lambda: client.download(account, url, io.BytesIO()))
    assert (str(failure), failure.permanent) == ("the file takes longer than any we know", False)
    settings.STATEMENT_FOR = timedelta(minutes=1)
    for status in (200, 404):
        with answering((status, b"cut", {"Transfer-Encoding": "chunked", "Connection": "close"})) as (url, _):
            assert failure_of(partial(client.download, account, url, io.BytesIO())).permanent is False


def test_a_file_is_written_as_it_comes_and_not_beyond_the_limit(
    account: ProviderAccount, settings: LazySettings
) -> None:
    file = io.BytesIO()
    with answering(plain(200, b"x" * 200_000)) as (url, _):
        client.download(account, url, file)
    assert len(file.getvalue()) == 200_000
    settings.STATEMENT_BYTES_MAX = 100_000
    with answering(plain(200, b"x" * 200_000)) as (url, _):
        assert failure_of(lambda: client.download(account, url, io.BytesIO())).permanent is True
    with answering(plain(404, b"none")) as (url, _):
        assert str(failure_of(lambda: client.download(account, url, io.BytesIO()))) == "refused with 404: none"
