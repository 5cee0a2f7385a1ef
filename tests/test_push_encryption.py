"""The example that RFC 8291 gives of itself, and what another implementation reads of ours."""

from __future__ import annotations

import os

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from merchants import push_encryption
from merchants.vapid import from_base64url, to_base64url


def test_the_example_of_the_standard_comes_out_byte_for_byte() -> None:
    """RFC 8291, Appendix A."""
    ours = ec.derive_private_key(
        int.from_bytes(from_base64url("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
    )
    body = push_encryption.encrypted(
        b"When I grow up, I want to be a watermelon",
        p256dh=from_base64url(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        ),
        auth=from_base64url("BTBZMqHH6r4Tts7J_aSIgg"),
        ours=ours,
        salt=from_base64url("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert to_base64url(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@pytest.mark.parametrize("length", [0, 1, 300, push_encryption.TEXT_MAX])
def test_another_implementation_reads_it(length: int) -> None:
    theirs, auth, text = ec.generate_private_key(ec.SECP256R1()), os.urandom(16), os.urandom(length)
    point = theirs.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    body = push_encryption.encrypted(text, p256dh=point, auth=auth)
    assert len(body) <= 4096
    assert http_ece.decrypt(body, private_key=theirs, auth_secret=auth, version="aes128gcm") == text


def test_no_two_pushes_share_a_key() -> None:
    point = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )  # fmt: skip
    one, other = (push_encryption.encrypted(b"the same", p256dh=point, auth=bytes(16)) for _ in range(2))
    assert one[:16] != other[:16]  # The salt.
    assert one[21:86] != other[21:86]  # Our half of the key.


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [(b"\4" + bytes(64), bytes(16)), (bytes(65), bytes(16)), (b"\4", bytes(16)), (b"", b"")],
    ids=["not on the curve", "no point", "short", "nothing"],
)
def test_what_are_no_keys_is_refused(p256dh: bytes, auth: bytes) -> None:
    with pytest.raises(push_encryption.BadKeys):
        push_encryption.check(p256dh, auth)
