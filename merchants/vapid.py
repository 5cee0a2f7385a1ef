"""Who we are to a push service: one P-256 key, and a word signed by it with every push (VAPID, RFC 8292)."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_LIFE = timedelta(hours=12)  # RFC 8292 §2 allows a day; clocks differ.


def has_key() -> bool:
    return bool(settings.VAPID_PRIVATE_KEY)


def public_key() -> str:
    """What a browser subscribes with (`applicationServerKey`): the point, uncompressed, in base64url."""
    return to_base64url(_key(settings.VAPID_PRIVATE_KEY).public_key().public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    ))  # fmt: skip


def authorization(address: str, *, now: datetime) -> str:
    """The header Authorization of a push to that address: good for its service alone, and for half a day."""
    service = urlsplit(address)
    claims = {
        "aud": f"{service.scheme}://{service.netloc}",
        "exp": int((now + _LIFE).timestamp()),
        "sub": settings.VAPID_SUBJECT,
    }
    parts = [{"typ": "JWT", "alg": "ES256"}, claims]
    signed = ".".join(to_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    r, s = decode_dss_signature(_key(settings.VAPID_PRIVATE_KEY).sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = to_base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return f"vapid t={signed}.{signature}, k={public_key()}"


def to_base64url(data: bytes) -> str:
    """Base64url without padding, as all of web push writes bytes."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """The bytes, padded or not. Raises ValueError."""
    if not text.isascii():
        raise ValueError("not base64url")
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)


@lru_cache(maxsize=4)
def _key(text: str) -> ec.EllipticCurvePrivateKey:
    try:
        scalar = from_base64url(text)
        if len(scalar) != 32:
            raise ValueError("not 32 bytes")
        return ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    except ValueError as wrong:
        raise ImproperlyConfigured("VAPID_PRIVATE_KEY is not 32 bytes in base64url (see README)") from wrong
