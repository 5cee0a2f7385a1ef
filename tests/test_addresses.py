"""Whose word about an address is taken."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.test import RequestFactory

from merchants.addresses import client_address, is_loopback_peer, neighbourhood, passed_certificate


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "client"),
    [
        ("203.0.113.9", None, [], "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", [], "203.0.113.9"),
        ("10.0.0.2", "198.51.100.1", ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.2", "1.2.3.4, 198.51.100.1", ["10.0.0.2"], "198.51.100.1"),
        ("10.0.0.2", "1.2.3.4, 198.51.100.1, 10.0.0.3", ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.2", "nonsense", ["10.0.0.0/8"], "10.0.0.2"),
        ("10.0.0.2", "1.2.3.4, nonsense, 10.0.0.3", ["10.0.0.0/8"], "10.0.0.3"),
        ("10.0.0.2", None, ["10.0.0.0/8"], "10.0.0.2"),
        ("::ffff:203.0.113.9", None, [], "203.0.113.9"),
        ("fd00::1", "2001:db8::7", ["fd00::/8"], "2001:db8::7"),
        ("", "198.51.100.1", ["10.0.0.0/8"], ""),
    ],
)
def test_only_our_own_proxies_are_believed(
    settings: LazySettings, peer: str, forwarded: str | None, trusted: list[str], client: str
) -> None:
    settings.TRUSTED_PROXIES = trusted
    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    assert client_address(request) == client


@pytest.mark.parametrize(
    ("peer", "passed", "certificate"),
    [
        ("10.0.0.2", "-----BEGIN%20CERTIFICATE-----%0Aa%2Bb%3D%0A", "-----BEGIN CERTIFICATE-----\na+b=\n"),
        ("10.0.0.2", "", ""),
        ("10.0.0.2", "the-peers-own,what-the-proxy-added", ""),
        ("203.0.113.9", "anything", ""),
        ("", "anything", ""),
    ],
)
def test_a_certificate_is_passed_on_by_our_own_proxies_alone(
    settings: LazySettings, peer: str, passed: str, certificate: str
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.2"]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers={settings.CLIENT_CERTIFICATE_HEADER: passed})
    assert passed_certificate(request) == certificate
    settings.TRUSTED_PROXIES = []
    assert passed_certificate(request) == ""


def test_an_ipv6_customer_is_one_neighbour_however_many_addresses_she_has() -> None:
    assert neighbourhood("2001:db8:1:2::1") == neighbourhood("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert neighbourhood("2001:db8:1:3::1") != neighbourhood("2001:db8:1:2::1")
    assert neighbourhood("203.0.113.9") == "203.0.113.9"
    assert neighbourhood("") == "unknown"


@pytest.mark.parametrize(
    ("peer", "headers", "local"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("203.0.113.9", {}, False),
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
        ("127.0.0.1", {"HTTP_FORWARDED": "for=127.0.0.1"}, False),
        ("127.0.0.1", {"HTTP_VIA": "1.1 proxy"}, False),
        ("127.0.0.1", {"HTTP_X_FORWARDED_PROTO": "https"}, False),
        ("", {}, False),
    ],
)
def test_a_proxy_on_this_machine_is_not_this_machine(peer: str, headers: dict[str, str], local: bool) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    request.META.update(headers)
    assert is_loopback_peer(request) is local
