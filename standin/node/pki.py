"""
Make the certificates of a control plane: kubeadm's set, its names, subjects and lifetimes.

They are real: clients verify them. Source: kubernetes.io, "PKI certificates and requirements".
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import config as settings
from . import kubeconfig
from .common import Fatal, Obj, duration, now, root, template, text, write

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
USES = {"client": [CLIENT], "server": [SERVER], "both": [SERVER, CLIENT]}
DIRECTORY = "/etc/kubernetes"


def new_key(algorithm: str = "RSA-2048") -> Key:
    """Make a private key; kubeadm's encryptionAlgorithm names its kind."""
    if algorithm.startswith("ECDSA"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, int(algorithm.removeprefix("RSA-")))


def key_pem(key: Key) -> bytes:
    """Return a private key in the form that kubeadm writes."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def subject(user: str, group: str = "") -> x509.Name:
    """Return a certificate's subject: CN is the user, O the group."""
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _builder(name: x509.Name, key: PublicKey, is_authority: bool) -> x509.CertificateBuilder:
    basic = x509.BasicConstraints(ca=is_authority, path_length=None)
    # Digital signatures and key encipherment; an authority also signs certificates.
    usage = x509.KeyUsage(True, False, True, False, False, is_authority, False, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(basic, critical=True)
        .add_extension(usage, critical=True)
    )


@dataclass
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    def sign(
        self,
        name: x509.Name,
        uses: list[x509.ObjectIdentifier],
        key: PublicKey,
        lifetime: timedelta,
        alternatives: list[str] | None = None,
    ) -> x509.Certificate:
        """Return a certificate signed by this authority; alternatives: DNS names and addresses."""
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _builder(name, key, False)
            .issuer_name(self.certificate.subject)
            .not_valid_before(self.certificate.not_valid_before_utc)
            .not_valid_after(now() + lifetime)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(own, critical=False)
        )
        if alternatives:
            names = [
                x509.IPAddress(ipaddress.ip_address(one)) if is_address(one) else x509.DNSName(one)
                for one in alternatives
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def new_authority(common_name: str, algorithm: str, lifetime: timedelta) -> Pair:
    """Make a self-signed authority, valid from five minutes ago as kubeadm's are."""
    key, name = new_key(algorithm), subject(common_name)
    alternative = x509.SubjectAlternativeName([x509.DNSName(common_name)])
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, key.public_key(), True)
        .issuer_name(name)
        .not_valid_before(now() - timedelta(minutes=5))
        .not_valid_after(now() + lifetime)
        .add_extension(own, critical=False)
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def load_pair(directory: str, file: str) -> Pair:
    """Read an authority or a leaf; Fatal with kubeadm's words when a part is missing."""
    found = []
    for kind, end in (("certificate", "crt"), ("private key", "key")):
        where = f"{directory}/{file}.{end}"
        try:
            found.append(root(where).read_bytes())
        except FileNotFoundError:
            raise Fatal(text("no-file", kind=kind, path=where)) from None
    key = serialization.load_pem_private_key(found[1], None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return Pair(x509.load_pem_x509_certificate(found[0]), key)


def write_pair(directory: str, file: str, pair: Pair) -> None:
    """Write the certificate (0644), then its key (0600)."""
    write(f"{directory}/{file}.crt", certificate_pem(pair.certificate), 0o644)
    write(f"{directory}/{file}.key", key_pem(pair.key), 0o600)


def public_key_hash(certificate: x509.Certificate) -> str:
    """Return `sha256:<hex>` over the DER SubjectPublicKeyInfo, kubeadm's discovery hash."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    data = certificate.public_key().public_bytes(serialization.Encoding.DER, form)
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def is_address(word: str) -> bool:
    """Whether it is an IP address, and no name."""
    return ":" in word or word.replace(".", "").isdecimal()


def table(config: settings.Config) -> Obj:
    """Return kubeadm's certificates and kubeconfig files for this cluster."""
    node = config.init["nodeRegistration"]["name"]
    point = config.init["localAPIEndpoint"]
    local = f"https://{point['advertiseAddress']}:{point['bindPort']}"
    endpoint = f"https://{settings.endpoint(config)}"
    return template("certificates", node=node, endpoint=endpoint, local=local)[0]


def alternative_names(leaf: Obj, config: settings.Config) -> tuple[list[str], list[str]]:
    """Return a serving certificate's DNS names and addresses, in kubeadm's printed order."""
    node = config.init["nodeRegistration"]["name"]
    address = config.init["localAPIEndpoint"]["advertiseAddress"]
    if leaf["name"] in ("etcd/server", "etcd/peer"):
        return sorted([node, "localhost"]), [address, "127.0.0.1", "::1"]
    if leaf["name"] != "apiserver":
        return [], []
    networking = config.cluster["networking"]
    network = ipaddress.ip_network(networking["serviceSubnet"])
    service = "kubernetes.default.svc"
    found = ["kubernetes", "kubernetes.default", service, f"{service}.{networking['dnsDomain']}"]
    found += [node, str(network[1]), address]
    if config.cluster["controlPlaneEndpoint"]:
        found.append(config.cluster["controlPlaneEndpoint"].rpartition(":")[0])
    found = list(dict.fromkeys(found + (config.cluster["apiServer"].get("certSANs") or [])))
    addresses = [one for one in found if is_address(one)]
    return sorted(set(found) - set(addresses)), addresses


def make_leaf(leaf: Obj, config: settings.Config) -> tuple[list[str], list[str]]:
    """Sign a certificate of the set, write it, return its alternative names."""
    directory = config.cluster["certificatesDir"]
    key = new_key(config.cluster["encryptionAlgorithm"])
    names, addresses = alternative_names(leaf, config)
    lifetime = duration(config.cluster["certificateValidityPeriod"])
    name = subject(leaf["user"], leaf.get("group", ""))
    authority = load_pair(directory, leaf["ca"])
    uses = USES[leaf["use"]]
    made = authority.sign(name, uses, key.public_key(), lifetime, names + addresses)
    write_pair(directory, leaf["name"], Pair(made, key))
    return names, addresses


def client_credentials(config: settings.Config, user: str, group: str = "") -> Obj:
    """Return a client certificate signed by the cluster's authority, as a kubeconfig embeds it."""
    authority = load_pair(config.cluster["certificatesDir"], "ca")
    key = new_key(config.cluster["encryptionAlgorithm"])
    lifetime = duration(config.cluster["certificateValidityPeriod"])
    made = authority.sign(subject(user, group), [CLIENT], key.public_key(), lifetime)
    return {
        "client-certificate-data": base64.b64encode(certificate_pem(made)).decode(),
        "client-key-data": base64.b64encode(key_pem(key)).decode(),
    }


def make_kubeconfig(file: Obj, config: settings.Config) -> None:
    """Write one of kubeadm's kubeconfig files."""
    authority = certificate_pem(load_pair(config.cluster["certificatesDir"], "ca").certificate)
    credentials = client_credentials(config, file["user"], file.get("group", ""))
    name = config.cluster["clusterName"]
    content = kubeconfig.document(file["server"], name, file["user"], authority, credentials)
    kubeconfig.save(f"{DIRECTORY}/{file['name']}", content)
