"""A network as the tests meet it: a stateful server on 127.0.0.1 that stands in for a provider.

It checks what we send with the network's own software (its SDK) where there is one, signs what it sends with it, and
keeps books of its own. `problems` collects whatever was wrong with our requests: a test that used a network asserts
that it is empty. Nothing of the product's own adapter is used in it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from django.test import override_settings

from merchants.models import Shop
from payments import credentials
from payments.models import ProviderAccount
from payments.providers.base import Delivery

Key = Literal["current", "previous", "other"]


@dataclass(frozen=True)
class Request:
    """A request as it stood on the wire: header names in lower case, the path without its query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    target: str  # Path and query, as they were sent.


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """One notification, ready to be delivered; `ending` is what this network adds to the address we gave it."""

    delivery: Delivery
    ending: str = ""


class Network(ABC):
    """One provider's stand-in. Subclasses keep orders by *our* reference and payments by *their* id."""

    provider: ClassVar[str]
    currency: ClassVar[str]
    timestamped: ClassVar[bool] = True  # Its signatures cover a time that we must check, both ways.
    signed: ClassVar[bool] = True  # False where its notifications prove nothing (hints).

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.url = ""
        self.lock = threading.RLock()

    # --- What each network does ---

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """Answers our call, after checking it; called under `self.lock`."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the product must be set to in order to call this server."""

    @abstractmethod
    def credentials(self) -> dict[str, str]:
        """The values of the module's FIELDS for our account here."""

    @abstractmethod
    def pay(self, reference: str, *, amount: int | None = None) -> str:
        """The payer pays the order of that reference (another amount when told so); the payment's id here."""

    @abstractmethod
    def refund_at_desk(self, object_id: str, amount: int) -> str:
        """Refunds at the network's own desk, without our asking; the refund's id here."""

    @abstractmethod
    def sent(self, object_id: str) -> list[Sent]:
        """Every notification that this network sends about the payment so far, refunds included, in its own order."""

    @abstractmethod
    def sign(self, raw: bytes, *, at: datetime, key: Key = "current") -> Delivery:
        """`raw` as this network would send it at that moment, signed by the account's newest key, by the one before
        it (which must still be taken), or by the key of another account of this network (which must not)."""

    @abstractmethod
    def sample(self) -> bytes:
        """The body of a genuine notification, to be signed: a payment that names no order of ours."""

    def dispute(self, object_id: str, step: Literal["opened", "won", "lost"]) -> list[Sent]:
        """What it sends at that step of a dispute of the whole payment; empty where it knows none."""
        return []

    # --- What all share ---

    def account(self, *, shop: Shop | None = None, name: str = "") -> ProviderAccount:
        """Our account here: of the platform (held), or of one shop (direct)."""
        given = self.credentials()
        found = ProviderAccount.objects.filter(provider=self.provider, name=name or f"test-{self.provider}").first()
        return found or ProviderAccount.objects.create(
            provider=self.provider,
            name=name or f"test-{self.provider}",
            shop=shop,
            funds="direct" if shop else "held",
            identity=credentials.identity(self.provider, given),
            sealed_credentials=credentials.sealed(given),
        )

    def __enter__(self) -> Self:
        network = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # An answer in two pieces waits for 40 ms otherwise.
            wbufsize = -1

            def _take(self) -> None:
                parts = urlsplit(self.path)
                request = Request(
                    method=self.command,
                    path=parts.path,
                    query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                    target=self.path,
                )
                with network.lock:
                    try:
                        response = network.answer(request)
                    except Exception as failure:  # noqa: BLE001  The test's own assertion shows it.
                        network.problems.append(f"{request.method} {request.target}: {failure!r}")
                        response = Response(500, b"the stand-in failed")
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)
                self.wfile.flush()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def set(self) -> Iterator[Self]:
        """The product is set to this network for the time of a test."""
        with self, override_settings(**self.settings()):
            yield self
            assert self.problems == []
