"""Who is taken for the bank: real certificates in every state, and a connection on which we show our own."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.utils import timezone

from payments import credentials, inbox
from payments.models import OldCredentials, ProviderAccount, WebhookEvent
from payments.providers import client, pix
from payments.providers.base import ProviderError, UnableToVerify
from tests.networks.pix import BANK, PixBank, authority, banks, certify, passed_on


@pytest.fixture
def account(db: None) -> Iterator[ProviderAccount]:
    with PixBank().set() as bank:
        yield bank.account()


OWN = certify(BANK, authority())


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        ("", "certificate_missing"),
        ("no certificate", "certificate_wrong"),
        (OWN.certificate[:200], "certificate_wrong"),
        (OWN.certificate.replace("A", "B", 40), "certificate_wrong"),
        (OWN.private_key, "certificate_wrong"),
        (authority().certificate, "certificate_wrong"),
        (banks("other").certificate, "certificate_wrong"),
        (certify(BANK, certify("Authority of the tests")).certificate, "certificate_wrong"),
        (certify(BANK, OWN).certificate, "certificate_wrong"),
        (certify("shop.example", authority()).certificate, "certificate_wrong"),
        (certify(f"evil.{BANK}", authority(), other_names=("*.bank.example",)).certificate, "certificate_wrong"),
        (certify(BANK, authority(), usages=(ExtendedKeyUsageOID.SERVER_AUTH,)).certificate, "certificate_wrong"),
        (certify(BANK, authority(), end=datetime(2021, 1, 1, tzinfo=UTC)).certificate, "certificate_expired"),
        (certify(BANK, authority(), begin=datetime(2119, 1, 1, tzinfo=UTC)).certificate, "certificate_expired"),
    ],
)
def test_whoever_is_not_the_bank_is_refused(account: ProviderAccount, certificate: str, code: str) -> None:
    with pytest.raises(inbox.UnableToReceive) as refused:
        delivery = passed_on(PixBank().sample(), certificate)
        inbox.receive(provider="pix", account=account.name, delivery=delivery, now=timezone.now())
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert WebhookEvent.objects.count() == 0


@pytest.mark.parametrize(
    "certificate",
    [
        banks("current").certificate,
        banks("previous").certificate,
        certify(BANK.upper(), authority()).certificate,
        certify("A bank", authority(), other_names=(BANK,)).certificate,
        certify(BANK, authority(), usages=()).certificate,
        certify(
            BANK, authority(), usages=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
        ).certificate,
    ],
)
def test_the_bank_is_known_by_its_certificate(account: ProviderAccount, now: datetime, certificate: str) -> None:
    verified = pix.verify(account, passed_on(b'{"pix":[]}', certificate), now=now)
    assert (verified.authority, len(verified.key_id), verified.raw) == ("mtls", 71, b'{"pix":[]}')
    assert verified.delivery_id == pix.verify(account, passed_on(b'{"pix":[]}', OWN.certificate), now=now).delivery_id
    assert verified.delivery_id != pix.verify(account, passed_on(b"{}", OWN.certificate), now=now).delivery_id


def test_the_moments_of_a_certificate_are_exact(account: ProviderAccount) -> None:
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    delivery = passed_on(b"{}", certify(BANK, authority(), begin=begin, end=end).certificate)
    for good in (begin, end):
        assert pix.verify(account, delivery, now=good)
    for bad in (begin - timedelta(seconds=1), end + timedelta(seconds=1)):
        with pytest.raises(UnableToVerify, match="certificate_expired"):
            pix.verify(account, delivery, now=bad)


def test_an_authority_that_is_over_vouches_for_nobody(account: ProviderAccount, now: datetime) -> None:
    over = certify("Authority that is over", end=datetime(2021, 1, 1, tzinfo=UTC))
    given = {**credentials.of(account), "psp_authorities": over.certificate}
    account.sealed_credentials = credentials.sealed(given)
    with pytest.raises(UnableToVerify, match="certificate_expired"):
        pix.verify(account, passed_on(b"{}", certify(BANK, over).certificate), now=now)


def test_the_bank_of_replaced_credentials_is_taken_for_their_time(account: ProviderAccount, now: datetime) -> None:
    OldCredentials.objects.create(
        provider_account=account,
        sealed_credentials=bytes(account.sealed_credentials),
        replaced_at=now,
        accepted_until=now + timedelta(hours=1),
    )
    account.sealed_credentials = credentials.sealed({**credentials.of(account), "psp_name": "new.bank.example"})
    delivery = passed_on(b"{}", OWN.certificate)
    assert pix.verify(account, delivery, now=now)
    with pytest.raises(UnableToVerify, match="certificate_wrong"):
        pix.verify(account, delivery, now=now + timedelta(hours=1))


# --- Our own certificate ---------------------------------------------------------------------------------------------


@pytest.fixture
def strict_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A server that talks to nobody without a certificate of the authority of the tests; and whom it has seen."""
    here = x509.IPAddress(ip_address("127.0.0.1"))
    own = certify("127.0.0.1", authority(), usages=(ExtendedKeyUsageOID.SERVER_AUTH,), addresses=(here,))
    (tmp_path / "own.pem").write_text(own.certificate + own.private_key)
    (tmp_path / "authority.pem").write_text(authority().certificate)
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown = self.connection.getpeercert(binary_form=True)
            seen.append(x509.load_der_x509_certificate(shown).subject.rfc4514_string())
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A handshake that failed is what the tests look at from the other side."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    context.load_verify_locations(tmp_path / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(tmp_path / "authority.pem"))
    yield f"https://127.0.0.1:{server.server_port}/", seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_our_certificate_is_shown_to_the_bank(account: ProviderAccount, strict_bank: tuple[str, list[str]]) -> None:
    url, seen = strict_bank
    ours = certify("pushcart.example", authority())
    shown = (ours.certificate, ours.private_key)
    assert client.send(account, "GET", url, safe=False, certificate=shown).status == 200
    assert seen == ["CN=pushcart.example"]
    theirs = certify("pushcart.example", authority("Authority of somebody else"))
    for wrong in ((theirs.certificate, theirs.private_key), ("", "")):
        with pytest.raises(ProviderError, match="cannot be reached"):
            client.send(account, "GET", url, safe=False, certificate=wrong)
    assert seen == ["CN=pushcart.example"]
