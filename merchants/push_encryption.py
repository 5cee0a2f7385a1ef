"""What a push says is read by one browser alone: `aes128gcm` (RFC 8188) by keys of RFC 8291, in one record.

Two dozen lines over the `cryptography` package instead of `pywebpush`: that one brings an HTTP client of its own with
ten packages, and a part that no registry has as a wheel. Held against RFC 8291's own example and another's decryption.
"""

from __future__ import annotations

import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TEXT_MAX = 3993  # RFC 8291 §4: what a record of 4096 bytes has room for, its header, tag and delimiter taken away.
_RECORD = 4096
_LAST = b"\x02"  # The delimiter of the last record (RFC 8188 §2).


class BadKeys(ValueError):
    """These are no keys of a subscription."""


def check(p256dh: bytes, auth: bytes) -> None:
    """Raises BadKeys unless they are a point of P-256, uncompressed, and sixteen bytes."""
    _their_key(p256dh)
    if len(auth) != 16:
        raise BadKeys("`auth` is 16 bytes")


def encrypted(
    text: bytes,
    *,
    p256dh: bytes,
    auth: bytes,
    ours: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of a push. Our key and the salt are new for each; only the standard's example gives its own."""
    assert len(text) <= TEXT_MAX, "a push is one record"
    ours = ours or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(16)
    public = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = ours.exchange(ec.ECDH(), _their_key(p256dh))
    secret = _derived(shared, salt=auth, info=b"WebPush: info\0" + p256dh + public, length=32)
    key = _derived(secret, salt=salt, info=b"Content-Encoding: aes128gcm\0", length=16)
    nonce = _derived(secret, salt=salt, info=b"Content-Encoding: nonce\0", length=12)
    header = salt + _RECORD.to_bytes(4, "big") + bytes([len(public)]) + public
    return header + AESGCM(key).encrypt(nonce, text + _LAST, None)


def _their_key(p256dh: bytes) -> ec.EllipticCurvePublicKey:
    try:
        if len(p256dh) != 65:
            raise ValueError
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError:
        raise BadKeys("`p256dh` is no uncompressed point of P-256") from None


def _derived(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
