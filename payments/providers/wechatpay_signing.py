"""WeChat Pay's cryptography: requests signed with the merchant's key, answers proved, resources opened. Pure.

Scheme `WECHATPAY2-SHA256-RSA2048` and `AEAD_AES_256_GCM` of the APIv3 interface rules.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import Certificate, load_pem_x509_certificate

SCHEME = "WECHATPAY2-SHA256-RSA2048"
# The headers of a signature, with the form that a genuine one has.
_FORMS = {
    "wechatpay-timestamp": re.compile(r"[0-9]{1,12}"),
    "wechatpay-nonce": re.compile(r"[\x21-\x7e]{1,128}"),
    "wechatpay-serial": re.compile(r"[0-9A-Za-z_]{1,80}"),
    "wechatpay-signature": re.compile(r"[\x21-\x7e]{1,2048}"),
}
_PROBE = "WECHATPAY/SIGNTEST/"  # WeChat Pay sends wrong signatures on purpose, to see whether we notice.
_CLOCK_S = 300  # A signature's time may differ this much from ours, either way.


class Unproved(Exception):
    """A signature that proves nothing; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Signature:
    """What stands in the four headers, each of the form it must have."""

    timestamp: str
    nonce: str
    serial: str
    value: str

    @property
    def headers(self) -> dict[str, str]:
        return dict(zip(_FORMS, (self.timestamp, self.nonce, self.serial, self.value), strict=True))


def read_signature(headers: Mapping[str, str], *, now: datetime) -> Signature:
    """The signature in these headers (names in lower case). Raises Unproved for none, a probe, or one out of time."""
    given = [headers.get(name, "") for name in _FORMS]
    if not all(given):
        raise Unproved("signature_missing")
    if given[3].startswith(_PROBE):
        raise Unproved("signature_wrong")
    if not all(form.fullmatch(value) for form, value in zip(_FORMS.values(), given, strict=True)):
        raise Unproved("signature_wrong")
    signature = Signature(*given)
    if abs(now.timestamp() - int(signature.timestamp)) > _CLOCK_S:
        raise Unproved("timestamp_stale")
    return signature


def proves(signature: Signature, body: bytes, key: RSAPublicKey) -> bool:
    """Whether `key` signed exactly these bytes with that time and nonce."""
    message = f"{signature.timestamp}\n{signature.nonce}\n".encode() + body + b"\n"
    try:
        key.verify(b64decode(signature.value, validate=True), message, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def authorization(opened: Mapping[str, str], method: str, target: str, body: bytes, *, now: datetime) -> str:
    """The Authorization header of a request for `target` (path and query), under the account's opened credentials."""
    timestamp, nonce = str(int(now.timestamp())), secrets.token_hex(16)
    message = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
    parts = {
        "mchid": opened["mchid"],
        "nonce_str": nonce,
        "signature": signed(opened["private_key"], message),
        "timestamp": timestamp,
        "serial_no": opened["merchant_serial"],
    }
    return f"{SCHEME} " + ",".join(f'{name}="{value}"' for name, value in parts.items())


def bridge_arguments(opened: Mapping[str, str], prepay_id: str, *, now: datetime) -> dict[str, str]:
    """What WeChat's own browser takes to open the payment: `getBrandWCPayRequest`, signed with the merchant's key."""
    timestamp, nonce, package = str(int(now.timestamp())), secrets.token_hex(16), f"prepay_id={prepay_id}"
    message = f"{opened['appid']}\n{timestamp}\n{nonce}\n{package}\n".encode()
    return {
        "appId": opened["appid"],
        "timeStamp": timestamp,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": signed(opened["private_key"], message),
    }


def signed(private_key: str, message: bytes) -> str:
    return b64encode(_private_key(private_key).sign(message, PKCS1v15(), SHA256())).decode()


def decrypted(resource: Mapping[str, Any], apiv3_keys: Iterable[str]) -> bytes:
    """What an encrypted resource holds, by the first of the keys that opens it. Raises ValueError when none does.

    Its last sixteen bytes are the tag; `associated_data` may be empty or missing.
    """
    if resource["algorithm"] != "AEAD_AES_256_GCM":
        raise ValueError(f"encrypted by {str(resource['algorithm'])[:40]!r}")
    nonce, bound = resource["nonce"].encode(), (resource.get("associated_data") or "").encode()
    sealed = b64decode(resource["ciphertext"], validate=True)
    for key in apiv3_keys:
        try:
            return AESGCM(key.encode()).decrypt(nonce, sealed, bound)
        except (InvalidTag, ValueError):  # Another key's, or one of a length that is none.
            continue
    raise ValueError("no APIv3 key of ours opens it")


@lru_cache(maxsize=256)
def public_key(pem: str) -> RSAPublicKey:
    """The RSA key of a certificate or a public key in PEM. Raises ValueError for anything else."""
    raw = pem.encode()
    key = load_pem_x509_certificate(raw).public_key() if "BEGIN CERTIFICATE" in pem else load_pem_public_key(raw)
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise ValueError("no RSA key of 2048 bits or more")
    return key


def certificate(pem: bytes, serial: str) -> Certificate:
    """The platform certificate of that serial number. Raises ValueError when it is another, or none."""
    read = load_pem_x509_certificate(pem)
    if f"{read.serial_number:X}" != serial.upper().lstrip("0"):
        raise ValueError("a certificate of another serial number")
    return read


@lru_cache(maxsize=64)
def _private_key(pem: str) -> RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("no RSA key")
    return key
