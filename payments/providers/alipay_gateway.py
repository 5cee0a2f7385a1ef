"""Alipay's signatures and its gateway: forms and answers that can be proved, and calls that are signed.

A request's parameters are sorted by name and joined as `name=value`; an answer is signed over the exact bytes of its
`<method>_response` object. RSA2 is RSASSA-PKCS1-v1_5 with SHA-256 (Alipay's open platform, "signature").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.conf import settings
from django.utils import timezone

from payments import credentials
from payments.models import ProviderAccount
from payments.providers import client
from payments.providers.base import ProviderError, Unauthorised

ZONE = ZoneInfo("Asia/Shanghai")  # Alipay writes every time so, without saying it.

_BUSINESS_REFUSAL = "40004"  # The call was understood and the answer is no; why, its sub_code says.
_SPENT = "40005"  # More calls than we may make in this time.
_NOT_ALLOWED = {"20001", "40006"}
_CREDENTIALS = re.compile(r"isv\.(invalid|missing)-(app-id|signature|cert|app-cert)|isv\.app-unauthor", re.IGNORECASE)
_PASSING = re.compile(r"SYSTEM_ERROR$|unknow-error$|UNKNOW_ERROR$|service-unavailable$", re.IGNORECASE)
_PARAMETERS_MAX = 200
# A name with "&" or "=" in it would be a piece of the signed text that was cut at other places.
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_BITS_MIN = 2048  # RSA2 asks for it; what a shorter key signs proves too little.
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.+?-----END [A-Z0-9 ]+-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Alipay said, proved by its signature: the text of its response object, and the same read.

    `refusal` is the sub_code of a business refusal ("ACQ.TRADE_NOT_EXIST"), or "" when it did what was asked.
    """

    text: str
    said: Mapping[str, Any]
    refusal: str


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of Alipay's; `serial` is its certificate's, in Alipay's own form, or "" for a bare key."""

    id: str
    public: rsa.RSAPublicKey
    serial: str = ""

    def proves(self, content: bytes, signature: bytes) -> bool:
        try:
            self.public.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def call(account: ProviderAccount, method: str, content: Mapping[str, Any]) -> Answer:
    """Makes one call that is the same twice as once. Raises ProviderError, or Unauthorised for refused credentials."""
    parameters = _signed(account, method, content, timezone.now())
    body = urlencode({"biz_content": parameters.pop("biz_content")}).encode()
    url = f"{settings.ALIPAY_URL}/gateway.do?{urlencode(parameters)}"
    headers = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
    answer = client.send(account, "POST", url, body=body, headers=headers, safe=True)
    if not answer.ok:
        raise answer.refusal()
    return _proved(account, method, answer.body)


def page(account: ProviderAccount, method: str, content: Mapping[str, Any], *, return_url: str) -> str:
    """The signed address of a page of Alipay's, to which the payer's browser is sent."""
    parameters = _signed(account, method, content, timezone.now(), return_url=return_url)
    return f"{settings.ALIPAY_URL}/gateway.do?{urlencode(parameters)}"


def notify_url(account: ProviderAccount) -> str:
    return f"{settings.PUBLIC_URL}/webhooks/{account.provider}/{account.name}"


def keys(given: Mapping[str, str], serial: str = "") -> Iterator[Key]:
    """Alipay's keys among an account's credentials. A message that names a certificate is proved by no other key."""
    for key in _public_keys(given.get("alipay_public_key", ""), given.get("alipay_certificate", "")):
        if not serial or key.serial == serial:
            yield key


def signature_of(text: str) -> bytes:
    """The bytes of a signature. Raises ValueError for what is no base 64."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as failure:
        raise ValueError("a signature that is no base 64") from failure


@lru_cache(maxsize=256)
def certificate_serial(pem: str) -> str:
    """A certificate's serial in Alipay's form: MD5 of its issuer's name (RFC 2253) and its decimal number.

    For a chain (Alipay's roots), those of its RSA certificates, joined. It is a name, not a proof.
    """
    serials = []
    for block in _PEM.findall(pem):
        certificate = x509.load_pem_x509_certificate(block.encode())
        # Alipay's roots come with one for SM2 signatures, which have no part in RSA2.
        if certificate.signature_algorithm_oid.dotted_string.startswith("1.2.840.113549.1.1."):
            named = f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}"
            serials.append(hashlib.md5(named.encode(), usedforsecurity=False).hexdigest())
    return "_".join(serials)


def form(raw: bytes) -> dict[str, bytes]:
    """The form's parameters, decoded from the address's way of writing but not from their charset: bytes are signed.

    Raises ValueError for a parameter that stands twice, since nobody knows which of them was meant, and for a name of
    another form than Alipay's.
    """
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=_PARAMETERS_MAX)
    found = {name: value.encode("latin-1") for name, value in pairs}
    if len(found) != len(pairs):
        raise ValueError("a parameter stands twice")
    if not all(map(_NAME.fullmatch, found)):
        raise ValueError("a parameter whose name is none")
    return found


def signed_contents(given: Mapping[str, bytes]) -> list[bytes]:
    """The texts of which one must be signed: without sign_type, or (notifications of other kinds) with it.

    The name of Alipay's certificate is in them where Alipay's own SDKs check, and is left out by other software. The
    charset of a form is that of its signed text; some of Alipay's software signs UTF-8 whatever the form is in.
    """
    kept = {name: value for name, value in given.items() if name != "sign"}
    left_out = [("sign_type", "alipay_cert_sn"), ("alipay_cert_sn",)]
    if "alipay_cert_sn" in given:
        left_out += [("sign_type",), ()]
    choices = [{name: value for name, value in kept.items() if name not in out} for out in left_out]
    contents = [_joined(parameters) for parameters in choices]
    charset = _charset(given)
    if charset != "utf-8":
        for parameters in choices:
            try:
                contents.append(_joined({name: value.decode(charset).encode() for name, value in parameters.items()}))
            except UnicodeError:
                continue
    return contents


def decoded(given: Mapping[str, bytes]) -> dict[str, str]:
    """The form's values as text."""
    # What decisions are made on is ASCII; a customer's name in bad shape must not keep money from being booked.
    charset = _charset(given)
    return {name: value.decode(charset, "replace") for name, value in given.items()}


# --- A form -----------------------------------------------------------------------------------------------------------


def _joined(parameters: Mapping[str, bytes]) -> bytes:
    return b"&".join(name.encode("latin-1") + b"=" + parameters[name] for name in sorted(parameters))


def _charset(given: Mapping[str, bytes]) -> str:
    told = given.get("charset", b"").decode("latin-1").strip().lower()
    return "gb18030" if told in ("gbk", "gb2312", "gb18030") else "utf-8"


# --- Asking ----------------------------------------------------------------------------------------------------------


def _signed(
    account: ProviderAccount, method: str, content: Mapping[str, Any], now: datetime, *, return_url: str = ""
) -> dict[str, str]:
    given = credentials.of(account)
    parameters = {
        "app_id": given.get("app_id", ""),
        "method": method,
        "format": "JSON",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": now.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S"),
        "version": "1.0",
        "notify_url": notify_url(account) if method.endswith((".precreate", ".wap.pay")) else "",
        "return_url": return_url,
        "biz_content": json.dumps(content, ensure_ascii=False, separators=(",", ":")),
    }
    try:
        if given.get("app_certificate"):
            parameters["app_cert_sn"] = certificate_serial(given["app_certificate"])
            parameters["alipay_root_cert_sn"] = certificate_serial(given.get("alipay_root_certificates", ""))
        told = {name: value for name, value in parameters.items() if value}
        joined = "&".join(f"{name}={told[name]}" for name in sorted(told))
        signature = _private_key(given.get("private_key", "")).sign(
            joined.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        # The failure's own text may repeat what it could not read.
        raise Unauthorised(f"our own key for Alipay cannot be read: {type(failure).__name__}") from None
    return {**told, "sign": base64.b64encode(signature).decode()}


@lru_cache(maxsize=64)
def _private_key(text: str) -> rsa.RSAPrivateKey:
    """PEM, or the bare base 64 that Alipay's own tool gives, of PKCS #1 or #8."""
    if "-----BEGIN" in text:
        key = serialization.load_pem_private_key(text.strip().encode(), None)
    else:
        key = serialization.load_der_private_key(signature_of("".join(text.split())), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


@lru_cache(maxsize=256)
def _public_keys(bare: str, certificate: str) -> tuple[Key, ...]:
    """What of both forms can be read: keys (PEM, several of them; or one in bare base 64) and a certificate."""
    found: list[Key] = []
    for block in _PEM.findall(bare) or ([bare] if bare.strip() else []):
        try:
            if block.startswith("-----BEGIN"):
                public = serialization.load_pem_public_key(block.encode())
            else:
                public = serialization.load_der_public_key(signature_of("".join(block.split())))
        except (ValueError, UnsupportedAlgorithm):
            continue
        found += _named(public, "")
    for block in _PEM.findall(certificate)[:1]:
        try:
            found += _named(x509.load_pem_x509_certificate(block.encode()).public_key(), certificate_serial(block))
        except (ValueError, UnsupportedAlgorithm):
            continue
    return tuple(found)


def _named(public: object, serial: str) -> list[Key]:
    if not isinstance(public, rsa.RSAPublicKey) or public.key_size < _BITS_MIN:
        return []
    form = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return [Key(f"sha256:{hashlib.sha256(form).hexdigest()[:12]}", public, serial)]


# --- The answer ------------------------------------------------------------------------------------------------------


def _proved(account: ProviderAccount, method: str, body: bytes) -> Answer:
    """The response object, once its signature has been seen to be Alipay's.

    Without one, an answer is believed when it only says that our call was not even taken, and in nothing else.
    """
    name = f"{method.replace('.', '_')}_response"
    try:
        text = body.decode()
        members = dict(_members(text))
        found = name if name in members else "error_response"
        start, end = members[found]
        said = _object(text[start:end])
        told = {part: json.loads(text[slice(*members[part])]) for part in ("sign", "alipay_cert_sn") if part in members}
        signature = signature_of(str(told.get("sign") or ""))
    except (ValueError, KeyError, RecursionError) as failure:
        raise ProviderError("the gateway's answer has not the form we know", permanent=False) from failure
    serial = str(told.get("alipay_cert_sn") or "")
    proved = any(key.proves(text[start:end].encode(), signature) for key in keys(credentials.of(account), serial))
    if signature and not proved:
        raise ProviderError("the gateway's answer is not signed by Alipay", permanent=False)
    code, sub_code = str(said.get("code", "")), str(said.get("sub_code", ""))
    if proved and code == "10000":
        return Answer(text[start:end], said, "")
    _judge(code, sub_code)
    if proved and code == _BUSINESS_REFUSAL and sub_code:
        return Answer(text[start:end], said, sub_code)
    if not proved:
        raise ProviderError("the gateway's answer is not signed", permanent=False)
    raise ProviderError(f"refused by the gateway: {code} {sub_code}"[:150], permanent=code.startswith("4"))


def _judge(code: str, sub_code: str) -> None:
    """Raises what is about our credentials, or may be gone a moment later: such an answer is about no payment."""
    told = f"refused by the gateway: {code} {sub_code}"[:150]
    if code in _NOT_ALLOWED or _CREDENTIALS.match(sub_code):
        raise Unauthorised(told)
    if code in ("20000", _SPENT) or _PASSING.search(sub_code):
        raise ProviderError(told, permanent=False)


def _members(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where each member of a JSON object begins and ends: what is signed is their text, not what it means."""
    decoder, space = json.JSONDecoder(), re.compile(r"[ \t\r\n]*")
    seen: set[str] = set()

    def after(at: int, expected: str) -> int:
        at = _skip(space, text, at)
        if text[at : at + 1] not in expected or at >= len(text):
            raise ValueError(f"no {expected!r} where it must be")
        return at + 1

    at = after(0, "{")
    while True:
        name, at = decoder.raw_decode(text, _skip(space, text, at))
        start = _skip(space, text, after(at, ":"))
        _, at = decoder.raw_decode(text, start)
        if not isinstance(name, str) or name in seen:
            raise ValueError("a member without a name of its own")
        seen.add(name)
        yield name, (start, at)
        at = after(at, ",}")
        if text[at - 1] == "}":
            return


def _skip(space: re.Pattern[str], text: str, at: int) -> int:
    found = space.match(text, at)
    return found.end() if found else at


def _object(text: str) -> dict[str, Any]:
    read = json.loads(text, parse_float=Decimal)
    if not isinstance(read, dict):
        raise ValueError("not an object")
    return read
