"""
X.509 certificates in PEM (RFC 7468): what kubeadm compares, and the names that they are good for.
"""

from __future__ import annotations

from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def key_hash(pem: str) -> str:
    """
    kubeadm's ``discovery-token-ca-cert-hash``: sha256 over the DER SubjectPublicKeyInfo (RFC 7469).

    Raises ``ValueError`` when the text is not a certificate.
    """

    key = _load(pem).public_key()
    return (
        "sha256:"
        + sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    )


def names(pem: str) -> set[str]:
    """The DNS names and addresses (as text) that a server certificate is good for."""
    try:
        extension = _load(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    dns = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return {*dns, *(str(address) for address in addresses)}


def _load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())
