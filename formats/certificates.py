"""X.509 certificates in PEM (RFC 7468): its hash for kubeadm, names, and end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from formats.unreadable import Unreadable, reading


def key_hash(pem: str) -> str:
    """
    Compute kubeadm's ``discovery-token-ca-cert-hash``.

    It is sha256 over the DER SubjectPublicKeyInfo (RFC 7469).

    + raises ``Unreadable``: the text is not a certificate, or its key is of an unknown type
    """
    with _reading():
        key = _load(pem).public_key()
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{sha256(der).hexdigest()}"


def fingerprint(pem: str) -> str:
    """
    Compute SHA-256 over the certificate itself (DER), in hexadecimal digits.

    + raises ``Unreadable``: the text is not a certificate
    """
    with _reading():
        return sha256(_load(pem).public_bytes(Encoding.DER)).hexdigest()


def names(pem: str) -> set[str]:
    """
    Read the DNS names and addresses (as text) that a server certificate is valid for.

    + raises ``Unreadable``: the text is not a certificate
    """
    with _reading():
        try:
            extension = _load(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return set()
        dns = extension.value.get_values_for_type(x509.DNSName)
        addresses = extension.value.get_values_for_type(x509.IPAddress)
        return {*dns, *(str(address) for address in addresses)}


def expires(pem: str) -> datetime:
    """
    Read until when a certificate is valid (UTC).

    + raises ``Unreadable``: the text is not a certificate
    """
    with _reading():
        return _load(pem).not_valid_after_utc


@contextmanager
def _reading() -> Iterator[None]:
    """Raise ``Unreadable`` for whatever cryptography refuses."""
    try:
        with reading("not a certificate in PEM"):
            yield
    except UnsupportedAlgorithm as error:
        raise Unreadable(f"a certificate with an unknown type of key: {error}") from error
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Unreadable(f"not a valid certificate: {error}") from error


def _load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())
