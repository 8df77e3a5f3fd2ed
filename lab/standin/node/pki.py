"""
The certificates of a control plane: kubeadm's set, its names, its subjects, its lifetimes.

Source: kubernetes.io, "PKI certificates and requirements". They are real: clients verify them.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .common import Fatal, now, root, write

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
MASTERS, ADMINS = "system:masters", "kubeadm:cluster-admins"


def new_key(algorithm: str = "RSA-2048") -> Key:
    """A private key; kubeadm's encryptionAlgorithm names it."""
    if algorithm.startswith("ECDSA"):
        return ec.generate_private_key(
            ec.SECP384R1() if algorithm.endswith("384") else ec.SECP256R1()
        )
    return rsa.generate_private_key(65537, int(algorithm.removeprefix("RSA-") or 2048))


def key_pem(key: Key) -> bytes:
    """A private key in the form that kubeadm writes."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def public_pem(key: Key) -> bytes:
    """A public key, as in sa.pub."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _subject(common_name: str, organizations: list[str]) -> x509.Name:
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations if one]
    return x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    def sign(
        self,
        common_name: str,
        organizations: list[str],
        usages: tuple[x509.ObjectIdentifier, ...],
        public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
        lifetime: timedelta,
        names: tuple[list[str], list[str]] = ([], []),
    ) -> x509.Certificate:
        """A certificate signed by this authority; names: (DNS names, addresses)."""
        start = now()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_subject(common_name, organizations))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.certificate.not_valid_before_utc)
            .not_valid_after(start + lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if any(names):
            alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names[0]]
            alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in names[1]]
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        return builder.sign(self.key, hashes.SHA256())


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def new_authority(common_name: str, algorithm: str, lifetime: timedelta) -> Pair:
    """A self-signed authority, valid from five minutes ago as kubeadm's are."""
    key = new_key(algorithm)
    name = _subject(common_name, [])
    start = now() - timedelta(minutes=5)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(now() + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def load_certificate(data: bytes) -> x509.Certificate:
    """The first certificate of a PEM file."""
    return x509.load_pem_x509_certificate(data)


def load_pair(directory: str, file: str) -> Pair:
    """An authority or leaf from disk; Fatal with kubeadm's words when a part is missing."""
    where = Path(directory) / file
    try:
        certificate = load_certificate(root(f"{where}.crt").read_bytes())
    except FileNotFoundError:
        raise Fatal(
            f"couldn't load the certificate file {where}.crt: open {where}.crt: no such file or directory"
        ) from None
    try:
        key = serialization.load_pem_private_key(root(f"{where}.key").read_bytes(), None)
    except FileNotFoundError:
        raise Fatal(
            f"couldn't load the private key file {where}.key: open {where}.key: no such file or directory"
        ) from None
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return Pair(certificate, key)


def write_pair(directory: str, file: str, pair: Pair) -> None:
    """Certificate 0644, key 0600, the key last as kubeadm does."""
    write(f"{directory}/{file}.crt", certificate_pem(pair.certificate), 0o644)
    write(f"{directory}/{file}.key", key_pem(pair.key), 0o600)


def public_key_hash(certificate: x509.Certificate) -> str:
    """`sha256:<hex>` over the DER SubjectPublicKeyInfo (kubeadm's discovery hash, RFC 7469)."""
    data = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
