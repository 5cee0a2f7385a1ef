"""The three ways a text leaves, each against a server that checks what it received."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import pytest
from django.conf import LazySettings
from django.core.checks import run_checks
from django.test import Client

from merchants.bell import store
from merchants.channels import can_tell_payments
from merchants.channels.aliyun import AliyunChannel, canonical_query, signed_headers
from merchants.channels.base import ChannelError
from merchants.channels.console import ConsoleChannel, outbox
from merchants.channels.twilio import TwilioChannel
from tests.http_stand_in import Received, stand_in

PHONE = "+8613800138000"
TEXT = "123456 is your Pushcart code & more: 水果"


# --- console ---


def test_the_console_prints_the_text_and_keeps_it_for_ten_minutes(capfd: pytest.CaptureFixture[str]) -> None:
    ConsoleChannel().send(phone=PHONE, text=TEXT, code="123456")
    assert capfd.readouterr().out == f"SMS {PHONE} {TEXT}\n"
    kept = outbox()
    assert [(entry["phone"], entry["text"], entry["code"]) for entry in kept] == [(PHONE, TEXT, "123456")]
    assert 590 <= store().ttl("outbox") <= 600


def test_the_outbox_keeps_the_last_fifty_newest_first() -> None:
    for number in range(55):
        ConsoleChannel().send(phone=PHONE, text=f"text {number}", code="123456")
    assert [entry["text"] for entry in outbox()] == [f"text {number}" for number in range(54, 4, -1)]


def test_the_outbox_page_is_json_or_a_table_for_a_browser(client: Client) -> None:
    ConsoleChannel().send(phone=PHONE, text="<b>123456</b>", code="123456")
    assert client.get("/dev/outbox").json()["results"][0]["code"] == "123456"
    page = client.get("/dev/outbox", headers={"Accept": "text/html,*/*"})
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "&lt;b&gt;123456&lt;/b&gt;" in page.content.decode()


def test_the_outbox_page_is_for_this_machine_only_and_has_a_switch(client: Client, settings: LazySettings) -> None:
    ConsoleChannel().send(phone=PHONE, text=TEXT, code="123456")
    assert client.get("/dev/outbox", REMOTE_ADDR="203.0.113.9").status_code == 404
    assert client.get("/dev/outbox", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404
    settings.DEV_OUTBOX = False
    assert client.get("/dev/outbox").status_code == 404


def test_without_debug_the_console_is_an_error_of_the_checks(settings: LazySettings) -> None:
    settings.DEBUG = True
    assert [error.id for error in run_checks(tags=["security"]) if error.id == "merchants.E001"] == []
    settings.DEBUG = False
    assert [error.id for error in run_checks(tags=["security"]) if error.id == "merchants.E001"] == ["merchants.E001"]


@pytest.mark.parametrize(
    ("environment", "starts"),
    [
        ({"DEBUG": "0", "SMS_BACKEND": "console"}, False),
        ({"DEBUG": "1", "SMS_BACKEND": "console"}, True),
        ({"DEBUG": "0", "SMS_BACKEND": "twilio"}, False),
        (
            {
                "DEBUG": "0",
                "SMS_BACKEND": "twilio",
                "TWILIO_ACCOUNT_SID": "AC1",
                "TWILIO_AUTH_TOKEN": "x",
                "TWILIO_FROM": "+1",
            },
            True,
        ),
        ({"DEBUG": "1", "SMS_BACKEND": "pigeon"}, False),
    ],
)
def test_a_process_with_an_unsafe_or_unfinished_channel_does_not_start(
    environment: dict[str, str], starts: bool
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (run.returncode == 0) is starts, run.stderr
    assert starts or "ImproperlyConfigured: SMS_BACKEND is" in run.stderr


# --- Twilio ---


@pytest.fixture
def twilio(settings: LazySettings) -> LazySettings:
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, settings.TWILIO_FROM = "AC123", "secret", "+15005550006"
    return settings


def test_twilio_is_asked_as_its_api_wants_it(twilio: LazySettings) -> None:
    with stand_in(lambda _: (201, b'{"sid": "SM1"}')) as outside:
        twilio.TWILIO_URL = outside.url
        TwilioChannel().send(phone=PHONE, text=TEXT, code="123456")
    (request,) = outside.received
    assert request.target == "/2010-04-01/Accounts/AC123/Messages.json"
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"AC123:secret").decode()
    assert parse_qs(request.body.decode()) == {"To": [PHONE], "From": ["+15005550006"], "Body": [TEXT]}


def test_twilio_may_send_through_a_messaging_service(twilio: LazySettings) -> None:
    twilio.TWILIO_FROM = "MG42"
    with stand_in(lambda _: (201, b"{}")) as outside:
        twilio.TWILIO_URL = outside.url
        TwilioChannel().send(phone=PHONE, text=TEXT, code="123456")
    assert parse_qs(outside.received[0].body.decode())["MessagingServiceSid"] == ["MG42"]


@pytest.mark.parametrize(
    ("status", "body", "reason", "permanent"),
    [
        (400, b'{"code": 21211, "message": "The number +8613800138000 is wrong"}', "twilio: 400 error 21211", True),
        (401, b'{"code": 20003}', "twilio: 401 error 20003", True),
        (429, b'{"code": 20429}', "twilio: 429 error 20429", False),
        (503, b"<html>", "twilio: 503 without an error code", False),
        (302, b"[]", "twilio: 302 without an error code", False),
    ],
)
def test_twilios_refusals_are_told_apart(
    twilio: LazySettings, status: int, body: bytes, reason: str, permanent: bool
) -> None:
    with stand_in(lambda _: (status, body)) as outside:
        twilio.TWILIO_URL = outside.url
        with pytest.raises(ChannelError) as failure:
            TwilioChannel().send(phone=PHONE, text=TEXT, code="123456")
    assert (failure.value.reason, failure.value.permanent) == (reason, permanent)


def test_a_twilio_that_cannot_be_reached_is_tried_again(twilio: LazySettings) -> None:
    twilio.TWILIO_URL = "http://127.0.0.1:1"
    with pytest.raises(ChannelError) as failure:
        TwilioChannel().send(phone=PHONE, text=TEXT, code="123456")
    assert (failure.value.reason, failure.value.permanent) == ("twilio: ConnectionError", False)


# --- Aliyun ---


@pytest.fixture
def aliyun(settings: LazySettings) -> LazySettings:
    settings.ALIYUN_ACCESS_KEY_ID, settings.ALIYUN_ACCESS_KEY_SECRET = "LTAI-test", "test-secret"
    settings.ALIYUN_SMS_SIGN_NAME, settings.ALIYUN_SMS_TEMPLATE = "水果摊 *~", "SMS_154950909"
    return settings


def signature_is_right(request: Received, *, key_id: str, secret: str) -> bool:
    """Aliyun's side, written from its document and from the request alone; nothing of ours is used."""
    form = r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})"
    match = re.fullmatch(form, request.headers["authorization"])
    assert match
    credential, names, signature = match.groups()
    must_be_signed = {"host"} | {name for name in request.headers if name.startswith("x-acs-")}
    assert set(names.split(";")) == must_be_signed
    path, _, query = request.target.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    payload = hashlib.sha256(request.body).hexdigest()
    assert request.headers["x-acs-content-sha256"] == payload
    lines = [
        request.method,
        path,
        "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs),
        *(f"{name}:{request.headers[name].strip()}" for name in sorted(names.split(";"))),
        "",
        ";".join(sorted(names.split(";"))),
        payload,
    ]
    string_to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
    expected = hmac.new(secret.encode(), string_to_sign.encode(), "sha256").hexdigest()
    return credential == key_id and hmac.compare_digest(expected, signature)


def test_aliyun_accepts_our_signature_and_finds_the_code(aliyun: LazySettings) -> None:
    with stand_in(lambda _: (200, b'{"Code": "OK", "BizId": "1", "Message": "OK"}')) as outside:
        aliyun.ALIYUN_SMS_URL = outside.url
        AliyunChannel().send(phone=PHONE, text=TEXT, code="012345")
        AliyunChannel().send(phone=PHONE, text=TEXT, code="012345")
    request, second = outside.received
    assert signature_is_right(request, key_id="LTAI-test", secret="test-secret")
    assert not signature_is_right(request, key_id="LTAI-test", secret="another")
    assert parse_qs(urlsplit(request.target).query) == {
        "PhoneNumbers": ["8613800138000"],
        "SignName": ["水果摊 *~"],
        "TemplateCode": ["SMS_154950909"],
        "TemplateParam": ['{"code":"012345"}'],
    }
    assert (request.headers["x-acs-action"], request.headers["x-acs-version"]) == ("SendSms", "2017-05-25")
    sent_at = datetime.strptime(request.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - sent_at).total_seconds()) < 5
    assert request.headers["x-acs-signature-nonce"] != second.headers["x-acs-signature-nonce"]


def test_a_text_without_a_code_goes_by_aliyuns_template_for_notices_or_not_at_all(aliyun: LazySettings) -> None:
    with stand_in(lambda _: (200, b'{"Code": "OK"}')) as outside:
        aliyun.ALIYUN_SMS_URL = outside.url
        with pytest.raises(ChannelError) as failure:
            AliyunChannel().send(phone=PHONE, text="new credentials", code="")
        assert (failure.value.permanent, outside.received) == (True, [])
        aliyun.ALIYUN_SMS_NOTICE_TEMPLATE = "SMS_777"
        AliyunChannel().send(phone=PHONE, text="new credentials", code="")
        with pytest.raises(ChannelError):
            AliyunChannel().send(phone=PHONE, text="money", code="", figures={"amount": "¥2.00", "count": "1"})
        aliyun.SMS_BACKEND = "aliyun"
        assert not can_tell_payments()
        aliyun.ALIYUN_SMS_PAYMENT_TEMPLATE = "SMS_888"
        assert can_tell_payments()
        AliyunChannel().send(phone=PHONE, text="money", code="", figures={"amount": "¥2.00", "count": "1"})
    asked = [parse_qs(urlsplit(request.target).query) for request in outside.received]
    assert [(one["TemplateCode"], one["TemplateParam"]) for one in asked] == [
        (["SMS_777"], ["{}"]),
        (["SMS_888"], ['{"amount":"¥2.00","count":"1"}']),
    ]


def test_the_signature_is_that_of_aliyuns_own_example() -> None:
    """The worked example of "V3 request structure and signature", with its published signature."""
    headers = signed_headers(
        host="ecs.cn-shanghai.aliyuncs.com",
        action="RunInstances",
        version="2014-05-26",
        query=canonical_query(
            {
                "RegionId": "cn-shanghai",
                "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
            }
        ),
        key_id="YourAccessKeyId",
        secret="YourAccessKeySecret",
        nonce="3156853299f313e23d1673dc12e1703d",
        now=datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
    )
    assert headers["Authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (200, "isv.MOBILE_NUMBER_ILLEGAL", True),
        (200, "isv.BUSINESS_LIMIT_CONTROL", False),
        (200, "isp.SYSTEM_ERROR", False),
        (400, "Throttling.User", False),
        (403, "SignatureDoesNotMatch", True),
        (503, "ServiceUnavailable", False),
    ],
)
def test_aliyuns_refusals_are_told_apart(aliyun: LazySettings, status: int, code: str, permanent: bool) -> None:
    with stand_in(lambda _: (status, json.dumps({"Code": code, "Message": PHONE}).encode())) as outside:
        aliyun.ALIYUN_SMS_URL = outside.url
        with pytest.raises(ChannelError) as failure:
            AliyunChannel().send(phone=PHONE, text=TEXT, code="012345")
    assert (failure.value.reason, failure.value.permanent) == (f"aliyun: {status} {code}", permanent)
