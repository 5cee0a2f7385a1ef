"""Whom we call for a push and whom never, what we say of ourselves, and what their answers mean."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from requests import Response

from merchants import push_services, vapid
from merchants.push_services import Outcome
from tests.http_stand_in import stand_in
from tests.push_service import Service, push_service


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with push_service() as service:
        yield service


@pytest.fixture
def service(running: Service, settings: LazySettings) -> Service:
    running.clear()
    settings.PUSH_EXTRA_ORIGINS = [running.outside.url]
    return running


FCM = "https://fcm.googleapis.com/fcm/send/abc:APA91b"


@pytest.mark.parametrize(
    "address",
    [
        FCM,
        "https://fcm.googleapis.com:443/wp/abc",
        "https://FCM.googleapis.com/wp/abc",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAA",
        "https://web.push.apple.com/QGuQ",
        "https://wns2-pn1p.notify.windows.com/w/?token=BQYAAAD%2f",
    ],
)
def test_the_services_of_the_browsers_are_known(address: str) -> None:
    assert push_services.is_known(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com/x",
        "https://push.apple.com/x",
        "https://notpush.apple.com/x",
        "https://fcm.googleapis.com@127.0.0.1/x",
        "https://127.0.0.1/fcm.googleapis.com",
        "https://[::1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1\\.push.apple.com/x",
        "https://127.0.0.1#.push.apple.com/x",
        "https://127.0.0.1?.push.apple.com/x",
        "https://fcm.googleapis.com\r\n.evil.example/x",
        "https://fcm.googleapis.com:port/x",
        f"https://{'a' * 64}.push.apple.com/x",
        "https://ⓕcm.googleapis.com/x",
        "https://..push.apple.com/x",
        "file:///etc/passwd",
        "//fcm.googleapis.com/x",
        "",
        FCM + "x" * push_services.ADDRESS_MAX,
    ],
)
def test_nothing_else_is(address: str, now: datetime) -> None:
    assert not push_services.is_known(address)
    assert push_services.push(address, b"", lives_s=1, now=now).outcome == Outcome.GONE


def test_a_name_that_stands_for_a_private_address_is_not_called(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in(lambda _: (201, b"")) as inside:
        port = int(inside.url.rpartition(":")[2])
        found = [(2, 1, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_options: found)
        answer = push_services.push(FCM, b"body", lives_s=60, now=now)
        assert (answer.outcome, answer.reason) == (Outcome.LATER, "ConnectionError")
        with pytest.raises(push_services._Private):
            push_services._PublicConnection("fcm.googleapis.com", port)._new_conn()
        assert inside.received == []


def test_a_service_reads_who_we_are_and_that_the_word_is_for_it_alone(
    now: datetime, settings: LazySettings, service: Service
) -> None:
    settings.VAPID_SUBJECT = "mailto:push@example.org"
    answer = push_services.push(f"{service.outside.url}/a", b"body", lives_s=1800, now=now)
    assert answer.outcome == Outcome.TAKEN
    [push] = service.outside.received
    assert (push.method, push.body) == ("POST", b"body")
    assert {name: push.headers[name] for name in ("ttl", "urgency", "content-encoding")} == {
        "ttl": "1800",
        "urgency": "high",
        "content-encoding": "aes128gcm",
    }
    scheme, _, parameters = push.headers["authorization"].partition(" ")
    said = dict(part.split("=", 1) for part in parameters.split(", "))
    assert (scheme, said["k"]) == ("vapid", vapid.public_key())
    head, claims, signature = said["t"].split(".")
    assert json.loads(decoded(head)) == {"typ": "JWT", "alg": "ES256"}
    assert json.loads(decoded(claims)) == {
        "aud": service.outside.url,
        "exp": int((now + timedelta(hours=12)).timestamp()),
        "sub": "mailto:push@example.org",
    }
    r, s = decoded(signature)[:32], decoded(signature)[32:]
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(said["k"])).verify(
        encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big")),
        f"{head}.{claims}".encode(),
        ec.ECDSA(hashes.SHA256()),
    )


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("key", ["abc", "not base64url!", "é"])
def test_a_key_that_is_none_is_named(key: str, settings: LazySettings) -> None:
    settings.VAPID_PRIVATE_KEY = key
    with pytest.raises(ImproperlyConfigured, match="VAPID_PRIVATE_KEY is not 32 bytes"):
        vapid.public_key()


AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "retry_after", "outcome", "wait_s"),
    [
        (200, "", Outcome.TAKEN, 0),
        (201, "", Outcome.TAKEN, 0),
        (202, "", Outcome.TAKEN, 0),
        (301, "", Outcome.REFUSED, 0),
        (400, "", Outcome.REFUSED, 0),
        (403, "", Outcome.REFUSED, 0),
        (404, "", Outcome.GONE, 0),
        (410, "", Outcome.GONE, 0),
        (413, "", Outcome.REFUSED, 0),
        (429, "120", Outcome.LATER, 120),
        (429, "99999999999", Outcome.LATER, 86_400),
        (429, "-5", Outcome.LATER, 0),
        (503, format_datetime(AT + timedelta(minutes=3), usegmt=True), Outcome.LATER, 180),
        (503, "soon", Outcome.LATER, 0),
    ],
)
def test_what_an_answer_means(status: int, retry_after: str, outcome: Outcome, wait_s: int) -> None:
    answer = Response()
    answer.status_code = status
    if retry_after:
        answer.headers["Retry-After"] = retry_after
    read = push_services._read(answer, AT)
    assert (read.outcome, read.wait_s) == (outcome, wait_s)


def test_a_service_that_leads_elsewhere_is_not_followed(now: datetime, service: Service) -> None:
    service.statuses = [307]
    service.outside.headers["Location"] = f"{service.outside.url}/elsewhere"
    assert push_services.push(f"{service.outside.url}/a", b"", lives_s=1, now=now).outcome == Outcome.REFUSED
    assert len(service.outside.received) == 1


def test_a_service_that_is_not_there_is_asked_later(now: datetime, settings: LazySettings) -> None:
    settings.PUSH_EXTRA_ORIGINS = ["http://127.0.0.1:9"]
    assert push_services.push("http://127.0.0.1:9/a", b"", lives_s=1, now=now).outcome == Outcome.LATER
