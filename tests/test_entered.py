"""Credentials as people paste them: keys are read, addresses are those we allow, and nothing is repeated."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.conf import LazySettings

from payments import entered

RSA = rsa.generate_private_key(65537, 2048)
SMALL = rsa.generate_private_key(65537, 1024)
EC = ec.generate_private_key(ec.SECP256R1())
WECHAT = {"mchid": "1900000001", "appid": "wxd678efh567hg6787", "merchant_serial": "5157F09E", "apiv3_key": "k" * 32}


def private(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def public(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def certificate(key: rsa.RSAPrivateKey, name: str = "bank.example") -> str:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def refused(provider: str, given: dict[str, str]) -> dict[str, str]:
    """The codes by field; no value that was typed stands in what is said of it."""
    with pytest.raises(entered.Wrong) as wrong:
        entered.read(provider, given)
    said = str(wrong.value)
    assert not [value for value in given.values() if len(value) > 3 and value in said]
    return {name: code for name, (code, _detail) in wrong.value.errors.items()}


def test_texts_are_trimmed_and_what_is_left_empty_is_left_out() -> None:
    given = {
        "key_id": " rzp_live_1 ",
        "key_secret": "s3cret\n",
        "webhook_secrets": " newer\n older ",
        "account_id": " ",
    }
    assert entered.read("razorpay", given) == {
        "key_id": "rzp_live_1",
        "key_secret": "s3cret",
        "webhook_secrets": "newer older",
    }


def test_unknown_and_missing_fields_are_all_named() -> None:
    assert refused("razorpay", {"key_id": "rzp_live_1", "secret": "s3cret", "x" * 99: ""}) == {
        "key_secret": "required",
        "webhook_secrets": "required",
        "secret": "unknown_field",
        "x" * 40: "unknown_field",
    }


@pytest.mark.parametrize("value", ["two\nlines", "a\0b", "schlüssel", "漢", "tab\tin it", "\x7f"])
def test_a_secret_that_no_header_could_carry_is_refused(value: str) -> None:
    good = {"key_id": "rzp_live_1", "key_secret": "s3cret", "webhook_secrets": "whsec"}
    assert refused("razorpay", {**good, "key_secret": value}) == {"key_secret": "not_plain"}


def test_a_key_of_one_length_only_is_refused_with_any_other() -> None:
    given = {**WECHAT, "private_key": private(RSA)}
    assert refused("wechatpay", {**given, "apiv3_key": "k" * 31}) == {"apiv3_key": "length_wrong"}
    assert refused("wechatpay", {**given, "apiv3_key": "k" * 33}) == {"apiv3_key": "length_wrong"}
    assert entered.read("wechatpay", given)["apiv3_key"] == "k" * 32


def test_a_private_key_is_not_taken_where_it_would_be_shown() -> None:
    given = {"app_id": "2021", "private_key": private(RSA), "alipay_root_certificates": private(RSA)}
    assert refused("alipay", given) == {"alipay_root_certificates": "private_key_shown"}


def test_what_is_too_long_is_refused() -> None:
    good = {"key_id": "rzp_live_1", "key_secret": "s3cret", "webhook_secrets": "whsec"}
    assert entered.read("razorpay", {**good, "key_secret": "x" * 1000})["key_secret"] == "x" * 1000
    assert refused("razorpay", {**good, "key_secret": "x" * 1001}) == {"key_secret": "too_long"}
    assert refused("wechatpay", {**WECHAT, "private_key": "A" * 16_385}) == {"private_key": "too_long"}
    for large in ("A" * 4100, f"-----BEGIN PRIVATE KEY-----\n{'A' * 4100}\n-----END PRIVATE KEY-----"):
        assert refused("wechatpay", {**WECHAT, "private_key": large}) == {"private_key": "too_long"}


@pytest.mark.parametrize(
    "typed",
    [
        private(RSA),
        private(RSA, PrivateFormat.TraditionalOpenSSL),
        private(RSA).replace("\n", "\r\n"),
        private(RSA).replace("\n", " "),  # What an input of one line makes of it.
        private(RSA).replace("\n", ""),
        "".join(private(RSA).splitlines()[1:-1]),  # What Alipay's own tool gives.
    ],
    ids=["pkcs8", "pkcs1", "windows", "spaces", "one line", "bare"],
)
def test_a_private_key_is_kept_in_one_form_however_it_was_pasted(typed: str) -> None:
    assert entered.read("wechatpay", {**WECHAT, "private_key": typed})["private_key"] == private(RSA)


def test_a_key_of_an_elliptic_curve_is_a_key_as_well() -> None:
    typed = private(EC, PrivateFormat.TraditionalOpenSSL)
    kept = entered.read("wechatpay", {**WECHAT, "private_key": typed})["private_key"]
    assert load_pem_private_key(kept.encode(), None).private_numbers() == EC.private_numbers()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("not a key", "private_key_wrong"),
        ("QUJD", "private_key_wrong"),
        (private(RSA)[:-200], "private_key_wrong"),
        (private(RSA).replace("M", "N", 3), "private_key_wrong"),
        (public(RSA), "private_key_wrong"),
        (RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode(),
         "private_key_wrong"),
        (private(SMALL), "key_too_small"),
    ],
)  # fmt: skip
def test_what_is_no_private_key_is_refused(typed: str, code: str) -> None:
    assert refused("wechatpay", {**WECHAT, "private_key": typed}) == {"private_key": code}


@pytest.mark.parametrize("typed", [public(RSA), public(RSA).replace("\n", ""), "".join(public(RSA).splitlines()[1:-1])])
def test_a_public_key_is_kept_in_one_form(typed: str) -> None:
    kept = entered.read("wechatpay", {**WECHAT, "private_key": private(RSA), "public_key": typed})
    assert kept["public_key"] == public(RSA)


def test_what_is_no_public_key_is_refused() -> None:
    given = {**WECHAT, "private_key": private(RSA)}
    for typed in ("no key", private(RSA), base64.b64encode(b"no key").decode()):
        assert refused("wechatpay", {**given, "public_key": typed}) == {"public_key": "public_key_wrong"}
    assert refused("wechatpay", {**given, "public_key": public(SMALL)}) == {"public_key": "key_too_small"}


PIX = {
    "address": "https://pix.bank.example/v2",
    "key": "fruit@mei.example",
    "client_id": "client",
    "client_secret": "s3cret",
    "psp_name": "pix.bank.example",
}


def test_an_address_is_one_that_the_settings_allow(settings: LazySettings) -> None:
    settings.PIX_URL = ["https://pix.bank.example/v2", "https://pix.other.example"]
    given = {**PIX, "psp_authorities": certificate(RSA)}
    assert entered.read("pix", {**given, "address": PIX["address"] + "/"})["address"] == PIX["address"]
    for address in ("https://pix.bank.example", "https://pix.bank.example.evil.example/v2", "http://127.0.0.1"):
        assert refused("pix", {**given, "address": address}) == {"address": "address_not_allowed"}


def test_certificates_are_read_alone_and_in_a_chain(settings: LazySettings) -> None:
    settings.PIX_URL = [PIX["address"]]
    chain = certificate(RSA) + certificate(RSA, "root.example")
    for typed in (chain, chain.replace("\n", "\r\n"), chain.replace("\n", " ")):
        assert entered.read("pix", {**PIX, "psp_authorities": typed})["psp_authorities"] == chain
    for typed in ("none", private(RSA), chain[:-300] + chain[-30:]):
        assert refused("pix", {**PIX, "psp_authorities": typed}) == {"psp_authorities": "certificate_wrong"}
