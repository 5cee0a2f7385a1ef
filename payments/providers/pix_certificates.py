"""Whether a client certificate is the bank's: Pix notifications carry no signature, so this is all that proves them.

The connection ends at our own proxy, which has seen that the peer holds the certificate's key and passes the
certificate on (`merchants.addresses.passed_certificate`). Whose certificate it is, is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from payments.providers.base import UnableToVerify

# What a certificate that is none, or one of a kind that we do not know, makes the library say.
_STRANGE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def proved(certificate: str, accepted: Iterable[tuple[str, str]], *, now: datetime) -> str:
    """The fingerprint (sha256) of a certificate (PEM) that is good now for one of `accepted`: (authorities, names).

    Good is: issued directly by one of the authorities (PEM, several), in its time, for clients if it says what for,
    and for one of the names (several by spaces), as its common name or as a DNS name. Raises UnableToVerify.
    """
    if not certificate:
        raise UnableToVerify("certificate_missing")
    try:
        shown = x509.load_pem_x509_certificate(certificate.encode())
        expired = False
        for authorities, names in accepted:
            issuer = _issuer(shown, authorities)
            if issuer is None or not _names(shown) & set(names.lower().split()) or not _is_for_clients(shown):
                continue
            if _is_in_time(shown, now) and _is_in_time(issuer, now):
                return f"sha256:{shown.fingerprint(hashes.SHA256()).hex()}"
            expired = True
    except _STRANGE as failure:
        raise UnableToVerify("certificate_wrong") from failure
    raise UnableToVerify("certificate_expired" if expired else "certificate_wrong")


def _issuer(shown: x509.Certificate, authorities: str) -> x509.Certificate | None:
    for authority in _loaded(authorities):
        try:
            shown.verify_directly_issued_by(authority)
        except (*_STRANGE, InvalidSignature):
            continue
        return authority
    return None


@lru_cache(maxsize=64)
def _loaded(authorities: str) -> tuple[x509.Certificate, ...]:
    """Those that may issue certificates at all: a bank's own certificate among them must not vouch for others."""
    if not authorities.strip():
        return ()
    return tuple(found for found in x509.load_pem_x509_certificates(authorities.encode()) if _may_issue(found))


def _may_issue(authority: x509.Certificate) -> bool:
    try:
        return bool(authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _names(shown: x509.Certificate) -> set[str]:
    common = shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = {str(name.value).lower() for name in common}
    try:
        others = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return names
    return names | {name.lower() for name in others.get_values_for_type(x509.DNSName)}


def _is_for_clients(shown: x509.Certificate) -> bool:
    try:
        usages = set(shown.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return True
    return bool(usages & {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


def _is_in_time(shown: x509.Certificate, now: datetime) -> bool:
    return shown.not_valid_before_utc <= now <= shown.not_valid_after_utc
