"""What somebody typed as an account's credentials, held against the fields that its provider asks for.

Keys are read here, once, and kept in one form, so that no payment is the first to find out that one was cut in two.
Whatever is wrong is named by its field; no value is ever repeated.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)
from django.conf import settings
from django.utils.translation import gettext as _

from payments import providers
from payments.providers.base import Field

TEXT_MAX, PEM_MAX = 1000, 16_384  # Letters; a chain of certificates is the longest of them.
# A private key of 4096 bits has 3,300 letters. One of 16,000 letters would be tested for its primes for minutes.
PRIVATE_KEY_MAX = 4096
RSA_BITS_MIN = 2048

# An input of one line loses the line ends of what is pasted into it, so they are not relied upon.
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----")


class Wrong(Exception):
    """What was typed is refused: `errors` holds by field a code for programs and a sentence for people."""

    def __init__(self, errors: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(", ".join(f"{field}: {detail}" for field, (_code, detail) in errors.items()))
        self.errors = dict(errors)


def read(provider: str, given: Mapping[str, str]) -> dict[str, str]:
    """The credentials as they are kept, by field; what was left empty is left out. Raises Wrong."""
    fields = {field.name: field for field in providers.named(provider).FIELDS}
    errors = {
        name[:40]: ("unknown_field", _("%(network)s has no such field.") % {"network": providers.named(provider).TITLE})
        for name in given
        if name not in fields
    }
    kept: dict[str, str] = {}
    for name, field in fields.items():
        value = given.get(name, "").strip()
        try:
            if value:
                kept[name] = _READERS[field.form](field, value, provider)
                if field.length and len(kept[name]) != field.length:
                    raise _Refusal(
                        "length_wrong", _("This has exactly %(length)s characters.") % {"length": field.length}
                    )
            elif field.required:
                raise _Refusal("required", _("This field is required."))
        except _Refusal as refusal:
            errors[name] = (refusal.code, refusal.detail)
    if errors:
        raise Wrong(errors)
    return kept


def allowed_addresses(provider: str) -> list[str]:
    """The addresses of this provider that the settings allow."""
    allowed = getattr(settings, f"{provider.upper()}_URL")
    return [allowed] if isinstance(allowed, str) else list(allowed)


class _Refusal(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def _text(field: Field, value: str, provider: str) -> str:
    if "-----BEGIN " in value:
        _bound(value, PEM_MAX)
        if "PRIVATE KEY-----" in value and not field.secret:
            raise _Refusal("private_key_shown", _("This is a private key, and what is entered here is shown."))
        return _plain("\n".join(_pem(label, body) for label, body in _BLOCK.findall(value)), lines=True)
    _bound(value, TEXT_MAX)
    return _plain(value, ascii_only=field.secret)


def _secrets(field: Field, value: str, provider: str) -> str:
    _bound(value, TEXT_MAX)
    return " ".join(_plain(secret, ascii_only=True) for secret in value.split())


def _address(field: Field, value: str, provider: str) -> str:
    address = value.rstrip("/")
    if address not in allowed_addresses(provider):
        raise _Refusal("address_not_allowed", _("This address is not among those that the operators allow."))
    return address


def _private_key(field: Field, value: str, provider: str) -> str:
    _bound(value, PEM_MAX)
    pem = next((_pem(label, body) for label, body in _BLOCK.findall(value) if label.endswith("PRIVATE KEY")), "")
    _bound(pem or value, PRIVATE_KEY_MAX)
    try:
        key = load_pem_private_key(pem.encode(), None) if pem else load_der_private_key(_bare(value), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Refusal("private_key_wrong", _("This is not a private key (PEM, without a password).")) from None
    _check_size(key)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public_key(field: Field, value: str, provider: str) -> str:
    _bound(value, PEM_MAX)
    pem = next((_pem(label, body) for label, body in _BLOCK.findall(value) if label.endswith("PUBLIC KEY")), "")
    try:
        key = load_pem_public_key(pem.encode()) if pem else load_der_public_key(_bare(value))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Refusal("public_key_wrong", _("This is not a public key (PEM).")) from None
    _check_size(key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _certificate(field: Field, value: str, provider: str) -> str:
    """One certificate or a chain of them, the first of them the one that counts."""
    _bound(value, PEM_MAX)
    pem = "".join(_pem(label, body) for label, body in _BLOCK.findall(value) if label == "CERTIFICATE")
    try:
        for certificate in x509.load_pem_x509_certificates(pem.encode()):
            _check_size(certificate.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Refusal("certificate_wrong", _("This is not a certificate (PEM).")) from None
    return pem


_READERS: dict[str, Callable[[Field, str, str], str]] = {
    "text": _text,
    "secrets": _secrets,
    "address": _address,
    "private_key": _private_key,
    "public_key": _public_key,
    "certificate": _certificate,
}


def _pem(label: str, body: str) -> str:
    letters = "".join(body.split())
    lines = [letters[start : start + 64] for start in range(0, len(letters), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _bare(value: str) -> bytes:
    """A key as some networks' tools give it: the inside of a PEM file and nothing around it."""
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except binascii.Error as wrong:
        raise ValueError("neither PEM nor base 64") from wrong


def _check_size(key: object) -> None:
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) and key.key_size < RSA_BITS_MIN:
        raise _Refusal(
            "key_too_small",
            _("RSA keys of less than %(rsa_bits_min)s bits are not safe.") % {"rsa_bits_min": RSA_BITS_MIN},
        )


def _bound(value: str, limit: int) -> None:
    if len(value) > limit:
        raise _Refusal("too_long", _("At most %(limit)s letters.") % {"limit": limit})


def _plain(value: str, *, ascii_only: bool = False, lines: bool = False) -> str:
    """Nothing that could end a header's line, or that the database does not take."""
    shown = value.replace("\n", "") if lines else value
    if not shown or not shown.isprintable() or (ascii_only and not shown.isascii()):
        raise _Refusal("not_plain", _("There are letters in it that cannot be part of it."))
    return value
