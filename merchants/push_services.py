"""The way out to push services: browsers' own services only, over TLS, never to a private address, never led elsewhere.

A phone names the address we are to call, so nothing of it is believed: its host must be a known one, and what that name
stands for is looked at when we connect, so a name that changes its mind is refused as well.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.util.connection import create_connection

from merchants import vapid

ADDRESS_MAX = 1024
# Chrome and most Android browsers, Firefox, Safari, Edge; a name that begins with a dot stands for all below it.
_KNOWN = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    ".push.services.mozilla.com",
    ".push.apple.com",
    ".notify.windows.com",
)
_HOST = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){1,8}")
_WAIT_MAX_S = 86_400


class Outcome(StrEnum):
    """What a push service did with a push."""

    TAKEN = "taken"
    GONE = "gone"  # The subscription is no more.
    LATER = "later"  # It may take it later.
    REFUSED = "refused"  # This push will never be taken.


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one push: `wait_s` is how long the service asks us to wait, `reason` has no address in it."""

    outcome: Outcome
    reason: str = ""
    wait_s: int = 0


class _Private(OSError):
    """The name of a push service stands for an address inside somebody's network."""


def is_known(address: str) -> bool:
    """Whether the address is one of a push service that we call."""
    if len(address) > ADDRESS_MAX or not address.isascii() or not address.isprintable() or " " in address:
        return False
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    if f"{parts.scheme}://{parts.netloc}" in settings.PUSH_EXTRA_ORIGINS:
        return True
    # What is not plainly a host could mean another to whoever reads it next.
    if parts.scheme != "https" or "@" in parts.netloc or "\\" in address or port not in (None, 443):
        return False
    host = parts.hostname or ""
    return _HOST.fullmatch(host) is not None and any(
        host == known or (known[0] == "." and host.endswith(known)) for known in _KNOWN
    )


def push(address: str, body: bytes, *, lives_s: int, now: datetime) -> Answer:
    """Hands one encrypted push to the service of that address. Ends within settings.OUTWARD_TIMEOUT_S; never raises."""
    if not is_known(address):  # It was when it was kept; what is known may have changed since.
        return Answer(Outcome.GONE, "not a known service")
    headers = {
        "Authorization": vapid.authorization(address, now=now),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(lives_s),
        "Urgency": "high",
    }
    try:
        with _session().post(
            address,
            data=body,
            headers=headers,
            timeout=settings.OUTWARD_TIMEOUT_S,
            allow_redirects=False,
            stream=True,  # What it says beside its status is not read: nobody needs it, however long it is.
        ) as answer:
            return _read(answer, now)
    except (requests.RequestException, ValueError) as failure:  # ValueError: a name that cannot be looked up.
        return Answer(Outcome.LATER, type(failure).__name__)


def _read(answer: requests.Response, now: datetime) -> Answer:
    status = answer.status_code
    if 200 <= status < 300:
        return Answer(Outcome.TAKEN)
    if status in (404, 410):
        return Answer(Outcome.GONE, str(status))
    if status in (408, 425, 429) or status >= 500:
        return Answer(Outcome.LATER, str(status), _wait_s(answer.headers.get("Retry-After", ""), now))
    return Answer(Outcome.REFUSED, str(status))


def _wait_s(text: str, now: datetime) -> int:
    """Retry-After (RFC 9110 §10.2.3) in seconds, whichever way it is written; 0 when it says nothing."""
    if text.isascii() and text.isdigit():
        return min(int(text[:6]), _WAIT_MAX_S)
    try:
        until = parsedate_to_datetime(text)
        return min(max(int((until - now).total_seconds()), 0), _WAIT_MAX_S)
    except (ValueError, TypeError):
        return 0


class _PublicConnection(HTTPSConnection):
    """Connects to public addresses only: looked up once, and what was looked at is what is connected to."""

    def _new_conn(self) -> socket.socket:
        found = [place[4][0] for place in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)]
        if not all(ip_address(address).is_global for address in found):
            raise _Private("a push service with a private address")
        return create_connection((str(found[0]), self.port), self.timeout, socket_options=self.socket_options)


class _PublicPool(HTTPSConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicAdapter(requests.adapters.HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"https": _PublicPool}


@cache
def _session() -> requests.Session:
    """One pool of connections for all threads. Without TLS only what the settings add is called, wherever it is."""
    session = requests.Session()
    session.auth = _as_it_stands
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("https://", _PublicAdapter(16, 16))
    return session


def _as_it_stands(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps a `.netrc` of this machine from adding credentials of its own."""
    return request
