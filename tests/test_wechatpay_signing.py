"""Our proofs of WeChat Pay and our own signatures, against what the `wechatpayv3` package says of the same bytes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as some
from wechatpayv3 import WeChatPay as Peer
from wechatpayv3 import WeChatPayType
from wechatpayv3.utils import build_authorization

from payments import credentials
from payments.models import OldCredentials, ProviderAccount
from payments.providers import wechatpay
from payments.providers import wechatpay_signing as signing
from payments.providers.base import Delivery, UnableToVerify
from tests.networks.wechatpay import (
    MERCHANT_SERIAL,
    PUBLIC_KEY_ID,
    WeChatPay,
    pem,
    private_key,
    public_pem,
    sealed,
    signature,
)

with_database = examples(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def network(db: None) -> Iterator[WeChatPay]:
    with WeChatPay().set() as running:
        yield running


@pytest.fixture
def account(network: WeChatPay) -> ProviderAccount:
    return network.account()


@pytest.fixture
def peer(network: WeChatPay, tmp_path: Path) -> Peer:
    """The package, with the same certificates; what it asks for, it asks of the stand-in."""
    for one in network.served:
        (tmp_path / f"{one.serial}.pem").write_text(one.pem)
    made = Peer(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=network.mchid,
        private_key=pem(network.merchant),
        cert_serial_no=MERCHANT_SERIAL,
        apiv3_key=network.apiv3_key,
        appid=network.appid,
        cert_dir=str(tmp_path),
    )
    made._core._gate_way = network.url
    return made


def our_verdict(account: ProviderAccount, delivery: Delivery, now: datetime) -> str:
    try:
        return wechatpay.verify(account, delivery, now=now).authority
    except UnableToVerify as refusal:
        return refusal.code


def changed(delivery: Delivery, **headers: str) -> Delivery:
    named = {f"wechatpay-{name}": value for name, value in headers.items()}
    return replace(delivery, headers={**delivery.headers, **named})


# --- What it signs, we verify ----------------------------------------------------------------------------------------

CHANGES = (
    "none",
    "body",
    "re-serialised",
    "truncated",
    "signature",
    "timestamp",
    "nonce",
    "serial",
    "other",
    "previous",
)


@with_database
@given(
    change=some.sampled_from(CHANGES),
    age=some.sampled_from([0, 1, 299, 300, 301, 3600, -1, -299, -300, -301, -3600]),
    at=some.integers(0, 10**6),
    text=some.text(max_size=20),
)
def test_we_and_the_package_agree_on_every_notification_but_those_out_of_time(
    network: WeChatPay, account: ProviderAccount, peer: Peer, change: str, age: int, at: int, text: str
) -> None:
    now = timezone.now().replace(microsecond=0)
    held = {"id": text, "transaction_id": "1"}
    raw = network.notice(f"EV-{secrets.token_hex(8)}", "TRANSACTION.SUCCESS", "transaction", held, now.isoformat())
    key = change if change in ("other", "previous") else "current"
    delivery = network.sign(raw, at=now - timedelta(seconds=age), key=key)  # type: ignore[arg-type]
    match change:
        case "body":
            place = at % len(raw)
            # Another ASCII letter at one place: the package takes text, so it stays UTF-8.
            letter = b"x" if raw[place : place + 1] != b"x" else b"y"
            if raw[place] < 128:
                delivery = replace(delivery, raw=raw[:place] + letter + raw[place + 1 :])
        case "re-serialised":
            delivery = replace(delivery, raw=json.dumps(json.loads(raw)).encode())
        case "truncated":
            delivery = replace(delivery, raw=raw[:-1])
        case "signature":
            value = delivery.headers["wechatpay-signature"]
            place = at % (len(value) - 3)  # Before the padding, whose neighbour has bits that mean nothing.
            delivery = changed(
                delivery, signature=f"{value[:place]}{'A' if value[place] != 'A' else 'B'}{value[place + 1 :]}"
            )
        case "timestamp":
            delivery = changed(delivery, timestamp=str(int(delivery.headers["wechatpay-timestamp"]) + 1))
        case "nonce":
            delivery = changed(delivery, nonce=secrets.token_hex(16))
        case "serial":
            delivery = changed(delivery, serial=network.previous.serial)
    said = int(delivery.headers["wechatpay-timestamp"])
    in_time = abs(now.timestamp() - said) <= 300
    theirs = peer._core._verify_signature(delivery.headers, delivery.raw.decode())
    ours = our_verdict(account, delivery, now)
    assert (ours == "signed") == (theirs and in_time)
    assert ours in {"signed", "signature_wrong", "timestamp_stale"}
    assert (ours == "timestamp_stale") == (not in_time)


def test_a_notification_that_was_proved_is_kept_by_its_id_and_its_signed_headers(
    network: WeChatPay, account: ProviderAccount
) -> None:
    raw, now = network.sample(), timezone.now()
    delivery = network.sign(raw, at=now)
    verified = wechatpay.verify(account, delivery, now=now)
    assert (verified.delivery_id, verified.raw, verified.authority) == (json.loads(raw)["id"], raw, "signed")
    assert verified.key_id == network.current.serial
    assert verified.headers == {
        name: delivery.headers[f"wechatpay-{name.removeprefix('wechatpay-')}"]
        for name in ("wechatpay-timestamp", "wechatpay-nonce", "wechatpay-serial", "wechatpay-signature")
    }


@pytest.mark.parametrize("missing", ["timestamp", "nonce", "serial", "signature"])
def test_a_header_that_is_missing_or_empty_proves_nothing(
    network: WeChatPay, account: ProviderAccount, missing: str
) -> None:
    delivery = network.sign(network.sample(), at=timezone.now())
    rest = {name: value for name, value in delivery.headers.items() if name != f"wechatpay-{missing}"}
    assert our_verdict(account, replace(delivery, headers=rest), timezone.now()) == "signature_missing"
    assert our_verdict(account, changed(delivery, **{missing: ""}), timezone.now()) == "signature_missing"


@pytest.mark.parametrize(
    "strange",
    [
        {"timestamp": "１６２４５２３８４６"},
        {"timestamp": "1e9"},
        {"timestamp": " 1624523846"},
        {"nonce": "a\nb"},
        {"nonce": "\ud800"},
        {"serial": "\x00"},
        {"serial": "A" * 81},
        {"signature": "é" * 344},
        {"signature": "A" * 3000},
    ],
)
def test_headers_of_a_form_that_no_genuine_one_has_are_a_wrong_signature(
    network: WeChatPay, account: ProviderAccount, strange: dict[str, str]
) -> None:
    delivery = changed(network.sign(network.sample(), at=timezone.now()), **strange)
    assert our_verdict(account, delivery, timezone.now()) == "signature_wrong"


def test_a_probe_with_a_wrong_signature_is_refused_even_for_a_key_that_we_do_not_have(
    network: WeChatPay, account: ProviderAccount
) -> None:
    delivery = network.sign(network.sample(), at=timezone.now())
    probe = changed(delivery, signature="WECHATPAY/SIGNTEST/" + delivery.headers["wechatpay-signature"], serial="ABC")
    with pytest.raises(UnableToVerify) as refusal:
        wechatpay.verify(account, probe, now=timezone.now())
    assert (refusal.value.code, refusal.value.ask) == ("signature_wrong", "")


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"7", b"{}", b'{"id": 7}', b'{"id": ""}', b'{"id": "\\u0000"}', b"\xff", b"[" * 99_999]
)
def test_a_body_that_was_signed_and_has_no_id_is_refused(
    network: WeChatPay, account: ProviderAccount, raw: bytes
) -> None:
    now = timezone.now()
    message = f"{int(now.timestamp())}\nn\n".encode() + raw + b"\n"
    headers = {
        "wechatpay-timestamp": str(int(now.timestamp())),
        "wechatpay-nonce": "n",
        "wechatpay-serial": network.current.serial,
        "wechatpay-signature": signing.signed(pem(network.current.key), message),
    }
    assert our_verdict(account, Delivery(raw, headers), now) == "body_unreadable"


def test_an_id_longer_than_any_that_we_keep_is_refused(network: WeChatPay, account: ProviderAccount) -> None:
    for length, verdict in ((120, "signed"), (121, "body_unreadable")):
        raw = network.notice("E" * length, "TRANSACTION.SUCCESS", "transaction", {}, timezone.now().isoformat())
        assert our_verdict(account, network.sign(raw, at=timezone.now()), timezone.now()) == verdict


def test_the_key_of_another_account_proves_nothing_here(network: WeChatPay, account: ProviderAccount) -> None:
    raw, now = network.sample(), timezone.now()
    assert our_verdict(account, network.sign(raw, at=now, key="other"), now) == "signature_wrong"
    stranger = network.account(name="another")
    stranger.keys.all().delete()
    assert our_verdict(stranger, network.sign(raw, at=now), now) == "key_unknown"
    assert our_verdict(account, network.sign(raw, at=now), now) == "signed"


def test_a_certificate_that_has_run_out_proves_nothing_any_more(network: WeChatPay, account: ProviderAccount) -> None:
    later = network.previous.expires_at + timedelta(seconds=1)
    raw = network.sample()
    assert our_verdict(account, network.sign(raw, at=later, key="previous"), later) == "key_unknown"
    assert our_verdict(account, network.sign(raw, at=later), later) == "signed"


def test_the_public_key_proves_where_it_is_configured_and_another_one_by_hand_is_never_asked_for(db: None) -> None:
    with WeChatPay(public_key_mode=True).set() as network:
        account, now, raw = network.account(), timezone.now(), network.sample()
        assert wechatpay.verify(account, network.sign(raw, at=now), now=now).key_id == PUBLIC_KEY_ID
        # While an account changes over, some notifications are still signed by certificates.
        assert our_verdict(account, network.sign(raw, at=now, key="previous"), now) == "signed"
        unknown = Delivery(raw, signature("PUB_KEY_ID_0999", private_key("public"), raw, now))
        with pytest.raises(UnableToVerify) as refusal:
            wechatpay.verify(account, unknown, now=now)
        assert (refusal.value.code, refusal.value.ask) == ("key_unknown", "")


def test_a_public_key_that_was_replaced_proves_until_its_time_is_over(db: None) -> None:
    with WeChatPay(public_key_mode=True).set() as network:
        account, now, raw = network.account(), timezone.now(), network.sample()
        OldCredentials.objects.create(
            provider_account=account,
            sealed_credentials=bytes(account.sealed_credentials),
            replaced_at=now,
            accepted_until=now + timedelta(days=7),
        )
        new = {"public_key_id": "PUB_KEY_ID_02", "public_key": public_pem(private_key("the next public key"))}
        account.sealed_credentials = credentials.sealed({**network.credentials(), **new})
        account.save()
        by_new = Delivery(raw, signature("PUB_KEY_ID_02", private_key("the next public key"), raw, now))
        assert [our_verdict(account, one, now) for one in (by_new, network.sign(raw, at=now))] == ["signed", "signed"]
        later = now + timedelta(days=7)
        assert our_verdict(account, network.sign(raw, at=later), later) == "key_unknown"


# --- What we sign, it verifies ---------------------------------------------------------------------------------------


@examples(max_examples=60, deadline=None)
@given(
    method=some.sampled_from(["GET", "POST"]),
    target=some.sampled_from(["/v3/certificates", "/v3/bill/tradebill?bill_date=2026-01-01&bill_type=ALL"]),
    body=some.text(max_size=60),
    at=some.integers(1_500_000_000, 2_000_000_000),
)
def test_our_authorization_is_the_packages_own_to_the_letter(method: str, target: str, body: str, at: int) -> None:
    opened = {"mchid": "1900000109", "merchant_serial": MERCHANT_SERIAL, "private_key": pem(private_key("merchant"))}
    moment = datetime.fromtimestamp(at, UTC)
    raw = body.encode()
    ours = signing.authorization(opened, method, target, raw, now=moment)
    nonce = ours.split('nonce_str="')[1].split('"')[0]
    with time_machine.travel(moment, tick=False):
        theirs = build_authorization(
            target, method, "1900000109", MERCHANT_SERIAL, private_key("merchant"), data=body, nonce_str=nonce
        )
    assert ours == theirs


def test_the_call_of_wechats_browser_is_signed_as_the_package_signs_it(network: WeChatPay, peer: Peer) -> None:
    opened, now = network.credentials(), timezone.now()
    told = signing.bridge_arguments(opened, "wx2016", now=now)
    assert set(told) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
    assert (told["appId"], told["timeStamp"], told["package"]) == (
        network.appid, str(int(now.timestamp())), "prepay_id=wx2016",
    )  # fmt: skip
    assert told["signType"] == "RSA"
    assert told["paySign"] == peer.sign([told["appId"], told["timeStamp"], told["nonceStr"], told["package"]])


# --- What is sealed --------------------------------------------------------------------------------------------------


@with_database
@given(text=some.text(max_size=50), bound=some.sampled_from(["", "transaction", "certificate"]))
def test_what_is_sealed_is_opened_as_the_package_opens_it(
    network: WeChatPay, account: ProviderAccount, peer: Peer, text: str, bound: str
) -> None:
    now = timezone.now()
    raw = network.notice("EV-1", "TRANSACTION.SUCCESS", "transaction", {"told": text}, now.isoformat(), bound=bound)
    theirs = peer.decrypt_callback(network.sign(raw, at=now).headers, raw)
    ours = signing.decrypted(json.loads(raw)["resource"], [network.apiv3_key])
    assert ours.decode() == theirs == json.dumps({"told": text}, ensure_ascii=False)


def test_what_is_sealed_is_opened_by_the_right_key_among_others_and_by_no_other() -> None:
    key = secrets.token_hex(16)
    resource = sealed("kept", key, "")
    assert signing.decrypted(resource, ["", "short", secrets.token_hex(16), key]) == b"kept"
    del resource["associated_data"]
    assert signing.decrypted(resource, [key]) == b"kept"
    for keys in ([], [secrets.token_hex(16)], [""]):
        with pytest.raises(ValueError, match="no APIv3 key of ours opens it"):
            signing.decrypted(resource, keys)
    with pytest.raises(ValueError, match="no APIv3 key of ours opens it"):
        signing.decrypted({**resource, "associated_data": "bound"}, [key])
    with pytest.raises(ValueError, match="encrypted by 'AEAD_SM4_GCM'"):
        signing.decrypted({**resource, "algorithm": "AEAD_SM4_GCM"}, [key])


def test_only_rsa_keys_of_a_safe_size_are_taken() -> None:
    assert signing.public_key(public_pem(private_key("public"))).key_size == 2048
    with pytest.raises(ValueError, match="PEM"):
        signing.public_key("nothing")
