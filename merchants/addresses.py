"""Where a request came from: the peer's address, or what our own proxies say, and nobody else's word."""

from __future__ import annotations

import ipaddress
from functools import cache
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_WRITTEN_BY_PROXIES = ("HTTP_X_FORWARDED_", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")
_IPV6_HOME_BITS = 64  # One customer of one provider: whoever holds one of these addresses holds all of them.


def client_address(request: HttpRequest | Request) -> str:
    """The address of the client, "" when the peer has none (a socket file).

    X-Forwarded-For is read from its right end, and only while the hop that wrote it is one of settings.TRUSTED_PROXIES:
    anything further left was written by whoever it names.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    client = _address(peer)
    trusted = _networks(tuple(settings.TRUSTED_PROXIES))
    hops = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    while client is not None and hops and _is_in(client, trusted):
        before = _address(hops.pop().strip())
        if before is None:
            break
        client = before
    return str(client) if client is not None else ""


def passed_certificate(request: HttpRequest) -> str:
    """The peer's certificate (PEM) that our own proxy has verified and passes on; "" from anybody else.

    The proxy must take the header settings.CLIENT_CERTIFICATE_HEADER out of what it receives before it writes it.
    """
    passed = request.META.get(f"HTTP_{settings.CLIENT_CERTIFICATE_HEADER.upper().replace('-', '_')}", "")
    peer = _address(str(request.META.get("REMOTE_ADDR", ""))) if passed else None
    if peer is None or not _is_in(peer, _networks(tuple(settings.TRUSTED_PROXIES))):
        return ""
    # Two such headers were joined by a comma: one of them came from the peer, and nobody knows which.
    return "" if "," in passed else unquote(passed)


def neighbourhood(address: str) -> str:
    """What one budget is kept for: an IPv4 address, or the /64 network of an IPv6 address."""
    parsed = _address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, _IPV6_HOME_BITS), strict=False))
    return str(parsed) if parsed is not None else "unknown"


def is_loopback_peer(request: HttpRequest) -> bool:
    """Whether the request was made on this very machine and by nobody's order: a proxy's header spoils it."""
    peer = _address(str(request.META.get("REMOTE_ADDR", "")))
    forwarded = any(name.startswith(_WRITTEN_BY_PROXIES) for name in request.META)
    return peer is not None and peer.is_loopback and not forwarded


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


@cache
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
