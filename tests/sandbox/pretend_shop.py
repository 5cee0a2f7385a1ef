"""The pretend wallet as a running program, a shop that has an account there, and the server on which it is told."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from standardwebhooks import Webhook, WebhookVerificationError

CONTROL_KEY = "control-key-of-these-tests"
PACE = 0.03  # A retry after one second comes after 30 ms, the ten seconds of `delay` are 300 ms.


@dataclass(frozen=True)
class Notice:
    """A notification as it arrived: raw, with its headers (lower case) and the moment of its arrival."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read

    def verifies(self, secret: str) -> bool:
        try:
            Webhook(secret).verify(self.body, self.headers)
        except WebhookVerificationError:
            return False
        return True


class Listener(ThreadingHTTPServer):
    """A merchant's server: keeps what arrives at each path and answers as it is told to, with 204 otherwise."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ListenerHandler)
        self.notices: defaultdict[str, list[Notice]] = defaultdict(list)
        self.answers: defaultdict[str, list[int]] = defaultdict(list)
        self.lock = threading.Lock()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class ListenerHandler(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self.server.notices[self.path].append(Notice(headers, body, time.monotonic()))
            answers = self.server.answers[self.path]
            status = answers.pop(0) if answers else 204
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status == 307:
            self.send_header("Location", self.server.url("/elsewhere"))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has in http.server
        """Say nothing: the tests do."""


@dataclass
class Wallet:
    """The wallet's process and its control API."""

    database: Path
    process: subprocess.Popen[str] = field(init=False)
    url: str = field(init=False)
    session: requests.Session = field(default_factory=requests.Session)

    def start(self, pace: float = PACE) -> None:
        command = [sys.executable, "-m", "payments.sandbox", "--port", "0", "--database", str(self.database)]
        environment = {**os.environ, "SANDBOX_CONTROL_KEY": CONTROL_KEY}
        self.process = subprocess.Popen(
            [*command, "--pace", str(pace)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("Pretend wallet ready on http://127.0.0.1:"), line
        self.url = line.split()[4]

    def stop(self, sign: int = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        status = self.process.wait(timeout=15)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def control(self, method: str, path: str, body: object = None, key: str = CONTROL_KEY) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return self.session.request(method, f"{self.url}/control{path}", json=body, headers=headers, timeout=10)

    def books(self) -> dict[str, Any]:
        read: dict[str, Any] = self.control("GET", "/books").json()
        return read


@dataclass
class Shop:
    """A merchant with an account at the wallet."""

    wallet: Wallet
    listener: Listener
    account: str
    api_key: str
    secret: str

    @property
    def notices(self) -> list[Notice]:
        with self.listener.lock:
            return list(self.listener.notices[f"/{self.account}"])

    def register(self, **changes: str) -> requests.Response:
        terms = {"api_key": self.api_key, "webhook_secret": self.secret, "notify_url": ""}
        terms["notify_url"] = self.listener.url(f"/{self.account}")
        return self.wallet.control("PUT", f"/accounts/{self.account}", terms | changes)

    def answer_with(self, *statuses: int) -> None:
        self.listener.answers[f"/{self.account}"].extend(statuses)

    def call(self, method: str, path: str, body: object = None, *, key: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {self.api_key}", "Idempotency-Key": key or secrets.token_hex(8)}
        return self.wallet.session.request(
            method, f"{self.wallet.url}/v1{path}", json=body, headers=headers, timeout=10
        )

    def terms(self, reference: str, /, **changes: Any) -> dict[str, Any]:
        return {
            "reference": reference,
            "amount": 200,
            "currency": "CNY",
            "description": "A pile of apples",
            "return_url": "https://shop.example/r/abc",
            "expires_at": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
        } | changes

    def order(self, reference: str, **changes: Any) -> dict[str, Any]:
        reply = self.call("POST", "/orders", self.terms(reference, **changes))
        assert reply.status_code == 201, reply.text
        made: dict[str, Any] = reply.json()
        return made

    def expired(self, reference: str) -> dict[str, Any]:
        """An order that has expired by now. The wallet makes none that has expired already: where the way there lasts
        longer than the order would, it is given more time."""
        life = timedelta(milliseconds=150)
        while True:
            expires_at = datetime.now(UTC) + life
            reply = self.call("POST", "/orders", self.terms(reference, expires_at=expires_at.isoformat()))
            if reply.status_code == 201:
                break
            assert (reply.status_code, life < timedelta(seconds=10)) == (422, True), reply.text
            life *= 2
        while datetime.now(UTC) <= expires_at:
            time.sleep(0.01)
        made: dict[str, Any] = reply.json()
        return made

    def approve(self, *references: str, behaviour: str = "") -> dict[str, Any]:
        asked = {"references": references, "account": self.account, "behaviour": behaviour}
        reply = self.wallet.control("POST", "/approve", asked)
        assert reply.status_code == 200, reply.text
        read: dict[str, Any] = reply.json()
        return read

    def paid(self, reference: str, behaviour: str = "", **changes: Any) -> dict[str, Any]:
        """Make an order and approve it; returns it as it then is."""
        self.order(reference, **changes)
        approved: dict[str, Any] = self.approve(reference, behaviour=behaviour)["orders"][0]
        return approved

    def found(self, reference: str) -> dict[str, Any]:
        read: dict[str, Any] = self.call("GET", f"/orders/{reference}").json()
        return read

    def wait_for(self, count: int) -> list[Notice]:
        eventually(lambda: len(self.notices) >= count, f"{count} notices, have {len(self.notices)}")
        return self.notices

    def events(self) -> list[dict[str, Any]]:
        read: list[dict[str, Any]] = self.wallet.control("GET", f"/deliveries?account={self.account}").json()["events"]
        return read


def eventually(holds: Callable[[], object], what: str, within_s: float = 5.0) -> None:
    """Wait until `holds()`; fails saying `what` was waited for."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)
