"""Calls to WeChat Pay: signed as the merchant, believed only when the answer is signed by a key that we know.

Its keys are one public key that is configured (`PUB_KEY_ID_…`), or platform certificates that it gives us itself,
encrypted under the APIv3 key. Keys are the account's own: those of another account prove nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings
from django.utils import timezone

from payments import credentials
from payments.models import ProviderAccount
from payments.providers import client
from payments.providers import wechatpay_signing as signing
from payments.providers.base import ProviderError, Unauthorised

PUBLIC_KEY = "PUB_KEY_ID_"  # So begins the name of a public key; every other name is a certificate's serial number.

_APIV3_KEY_BYTES = 32
_REFUSES_US = {"SIGN_ERROR", "NO_AUTH", "MCH_NOT_EXISTS"}
# What may be different a while later, though the status alone would say that it will not.
_PASSING = {
    "NOT_ENOUGH", "FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "RATELIMIT_EXCEEDED", "RULE_LIMIT", "SYSTEM_ERROR",
    "BIZ_ERR_NEED_RETRY", "USER_PAYING", "ORDER_NOT_READY", "STATEMENT_CREATING",
}  # fmt: skip


class Refused(Exception):
    """WeChat Pay understood the request and did not do it: `code` in its words, `error` as everybody understands it."""

    def __init__(self, code: str, error: ProviderError) -> None:
        super().__init__(code)
        self.code, self.error = code, error


def call(
    account: ProviderAccount, method: str, target: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """One signed call that may be made twice; the proved answer's object, or None where it has no content.

    Raises Refused for a refusal, ProviderError for everything else.
    """
    raw = json.dumps(body, ensure_ascii=False).encode() if body is not None else b""
    answer = _send(account, method, target, raw)
    # Only what was done is signed; a refusal may come from a gateway that holds no key.
    if not answer.ok or answer.status == 202:
        raise _refused(answer)
    _prove(account, answer, now=timezone.now())
    return None if answer.status == 204 else answer.object()


def authorization(account: ProviderAccount, method: str, url: str, body: bytes = b"") -> dict[str, str]:
    """The headers of a signed request; signed is what of `url` stands behind the host."""
    opened, parts = credentials.of(account), urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        return {"Authorization": signing.authorization(opened, method, target, body, now=timezone.now())}
    except ValueError:  # Its own words may hold some of the key.
        raise Unauthorised("the merchant's private key cannot be used") from None


def key_of(account: ProviderAccount, serial: str, *, now: datetime) -> RSAPublicKey | None:
    """WeChat Pay's key of that name for this account, as it was configured or given to us; None when we have none."""
    pem = _configured(credentials.of(account), serial) or credentials.given_key(account, serial, now=now)
    if not pem:
        # A public key that was replaced is still good for the retries of what was signed with it.
        older = (_configured(opened, serial) for opened in credentials.accepted(account, now=now)[1:])
        pem = next((found for found in older if found), "")
    try:
        return signing.public_key(pem) if pem else None
    except ValueError:
        return None


def fetch_keys(account: ProviderAccount) -> list[str]:
    """Asks for the platform certificates and keeps those that are valid; their serial numbers.

    What proves them: they are encrypted under our APIv3 key, and one of them has signed the whole answer.
    """
    now, apiv3_key = timezone.now(), credentials.of(account)["apiv3_key"]
    if len(apiv3_key.encode()) != _APIV3_KEY_BYTES:
        raise Unauthorised(f"the APIv3 key is not of {_APIV3_KEY_BYTES} characters")
    answer = _send(account, "GET", "/v3/certificates", b"")
    if not answer.ok:
        raise _refused(answer).error
    given = _read_certificates(answer.object(), apiv3_key, now)
    try:
        signature = signing.read_signature(answer.headers, now=now)
    except signing.Unproved as failure:
        raise _not_proved(failure.code) from failure
    if signature.serial.startswith(PUBLIC_KEY):
        key = key_of(account, signature.serial, now=now)
    else:
        key = signing.public_key(given[signature.serial][0]) if signature.serial in given else None
    if key is None or not signing.proves(signature, answer.body, key):
        raise _not_proved("signature_wrong")
    for serial, (pem, expires_at) in given.items():
        credentials.keep_key(account, serial, pem, expires_at=expires_at, now=now)
    return sorted(given)


# --- Asking ----------------------------------------------------------------------------------------------------------


def _send(account: ProviderAccount, method: str, target: str, raw: bytes) -> client.Answer:
    url = settings.WECHATPAY_URL + target
    headers = {
        **authorization(account, method, url, raw),
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "Pushcart",  # Without one it refuses every request.
    }
    if key_id := credentials.of(account).get("public_key_id"):
        headers["Wechatpay-Serial"] = key_id  # So it signs the answer with its public key.
    # Orders and refunds are under references of ours, so everything may be asked twice.
    return client.send(account, method, url, body=raw, headers=headers, safe=True)


def _refused(answer: client.Answer) -> Refused:
    try:
        code = str(answer.object().get("code") or "")[:64]
    except ProviderError:
        code = ""
    told = str(answer.refusal())
    if answer.status == 401 or code in _REFUSES_US:
        return Refused(code, Unauthorised(told))
    passing = code in _PASSING or answer.status in (202, 408, 425, 429)
    return Refused(code, ProviderError(told, permanent=not passing))


def _prove(account: ProviderAccount, answer: client.Answer, *, now: datetime) -> None:
    """Raises ProviderError unless the answer is signed by a key of WeChat Pay's; asks for its keys when they lack."""
    try:
        signature = signing.read_signature(answer.headers, now=now)
    except signing.Unproved as failure:
        raise _not_proved(failure.code) from failure
    key = key_of(account, signature.serial, now=now)
    if key is None and not signature.serial.startswith(PUBLIC_KEY):
        fetch_keys(account)
        key = key_of(account, signature.serial, now=now)
    if key is None or not signing.proves(signature, answer.body, key):
        raise _not_proved("key_unknown" if key is None else "signature_wrong")


def _not_proved(code: str) -> ProviderError:
    return ProviderError(f"the answer is not proved to be WeChat Pay's: {code}", permanent=False)


def _configured(opened: Mapping[str, str], serial: str) -> str:
    return opened.get("public_key", "") if serial == opened.get("public_key_id") else ""


def _read_certificates(told: Mapping[str, Any], apiv3_key: str, now: datetime) -> dict[str, tuple[str, datetime]]:
    """The certificates of an answer that are valid now, by serial number: PEM, and until when.

    One that is not valid (yet) is left out; one that cannot be read means that the answer is not what it seems to be.
    """
    found: dict[str, tuple[str, datetime]] = {}
    try:
        for row in told["data"]:
            pem = signing.decrypted(row["encrypt_certificate"], [apiv3_key])
            read = signing.certificate(pem, row["serial_no"])
            text = read.public_bytes(Encoding.PEM).decode()
            signing.public_key(text)
            if read.not_valid_before_utc <= now < read.not_valid_after_utc:
                found[row["serial_no"]] = text, read.not_valid_after_utc
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        raise ProviderError(f"the certificates cannot be read: {type(failure).__name__}", permanent=False) from failure
    return found
