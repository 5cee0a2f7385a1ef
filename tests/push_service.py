"""A push service and its browsers: a local HTTP server, and keys by which `http_ece`, not our code, reads what came."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.http_stand_in import Received, StandIn, stand_in

if TYPE_CHECKING:  # A script without Django's settings may start a push service as well.
    from rest_framework.test import APIClient


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass(frozen=True)
class Browser:
    """One phone's browser: its address at the service, and the keys that it never gives away."""

    address: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    def subscription(self) -> dict[str, Any]:
        """As `PushSubscription.toJSON()` writes it."""
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"endpoint": self.address, "keys": {"p256dh": base64url(point), "auth": base64url(self.auth)}}

    def read(self, body: bytes) -> Any:
        return json.loads(
            http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        )  # fmt: skip


@dataclass
class Service:
    """Where browsers have their addresses, and what came for them. `statuses` are answered in turn, then 201."""

    outside: StandIn
    statuses: list[int] = field(default_factory=list)

    def browser(self, name: str) -> Browser:
        return Browser(f"{self.outside.url}/{name}")

    def came(self, browser: Browser) -> list[Received]:
        return [one for one in self.outside.received if browser.address.endswith(one.target)]

    def told(self, browser: Browser) -> list[str]:
        """What that browser would show, decrypted."""
        return [browser.read(one.body)["title"] for one in self.came(browser)]

    def clear(self) -> None:
        self.outside.received.clear()
        self.outside.headers.clear()
        self.statuses.clear()


@contextmanager
def push_service() -> Iterator[Service]:
    """A service on a free port; name its `outside.url` in settings.PUSH_EXTRA_ORIGINS."""
    with stand_in(lambda _: (service.statuses.pop(0) if service.statuses else 201, b"")) as outside:
        service = Service(outside)
        yield service


def subscribe(api: APIClient, browser: Browser, **wishes: Any) -> Any:
    answer = api.post("/api/v1/push", {**browser.subscription(), **wishes})
    assert answer.status_code == 201, answer.content
    return answer.json()
