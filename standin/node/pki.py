"""
Make the certificates of a control plane: kubeadm's set, its names, subjects and lifetimes.

They are real: clients verify them. Source: kubernetes.io, "PKI certificates and requirements".
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import config as settings
from . import kubeconfig
from .common import Fatal, Obj, duration, now, root, template, write

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
USES = {"client": [CLIENT], "server": [SERVER], "both": [SERVER, CLIENT]}
DIRECTORY = "/etc/kubernetes"
Extensions = list[x509.ExtensionType]
Issuer = tuple[x509.Name, Key, datetime]  # its name and key, and since when what it signs is valid


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


@dataclass
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    def sign(
        self, name: x509.Name, use: str, key: PublicKey, lifetime: timedelta, also: Sequence[str]
    ) -> x509.Certificate:
        """Return a certificate signed by this authority; also: DNS names and addresses."""
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        more: Extensions = [x509.ExtendedKeyUsage(USES[use]), own]
        if also:
            addresses = [
                x509.IPAddress(ipaddress.ip_address(one)) for one in also if is_address(one)
            ]
            names = [x509.DNSName(one) for one in also if not is_address(one)]
            more.append(x509.SubjectAlternativeName([*names, *addresses]))
        issuer = self.certificate.subject, self.key, self.certificate.not_valid_before_utc
        return _signed(name, key, issuer, lifetime, more)


def _signed(
    name: x509.Name, key: PublicKey, issuer: Issuer, lifetime: timedelta, extensions: Extensions
) -> x509.Certificate:
    issuer_name, issuer_key, since = issuer
    is_authority = name == issuer_name
    # Digital signatures and key encipherment; an authority also signs certificates.
    usage = x509.KeyUsage(True, False, True, False, False, is_authority, False, False, False)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer_name).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(since)
    builder = builder.not_valid_after(now() + lifetime).add_extension(usage, critical=True)
    basic = x509.BasicConstraints(ca=is_authority, path_length=None)
    builder = builder.add_extension(basic, critical=True)
    for one in extensions:
        builder = builder.add_extension(one, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def new_authority(common_name: str, algorithm: str, lifetime: timedelta) -> Pair:
    """Make a self-signed authority, valid from five minutes ago as kubeadm's are."""
    key, name, since = new_key(algorithm), subject(common_name), now() - timedelta(minutes=5)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    more = [own, x509.SubjectAlternativeName([x509.DNSName(common_name)])]
    return Pair(_signed(name, key.public_key(), (name, key, since), lifetime, more), key)


def load_pair(directory: str, file: str) -> Pair:
    """Read an authority or a leaf; Fatal when a part is missing."""
    try:
        found = [root(f"{directory}/{file}.{end}").read_bytes() for end in ("crt", "key")]
    except FileNotFoundError as error:
        raise Fatal(f"couldn't load the file {error.filename}: {error.strerror}") from None
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
    local = settings.own_server(point)
    endpoint = f"https://{settings.endpoint(config)}"
    networking = config.cluster["networking"]
    values = {"address": point["advertiseAddress"], "domain": networking["dnsDomain"]}
    values["service"] = str(ipaddress.ip_network(networking["serviceSubnet"])[1])
    return template("certificates", node=node, endpoint=endpoint, local=local, **values)[0]


def alternative_names(leaf: Obj, config: settings.Config) -> tuple[list[str], list[str]]:
    """Return a serving certificate's DNS names and addresses, in kubeadm's printed order."""
    found = list(leaf.get("names", []))
    if leaf["name"] == "apiserver":
        endpoint = config.cluster["controlPlaneEndpoint"].rpartition(":")[0]
        found += [endpoint] if endpoint else []
        found = list(dict.fromkeys(found + (config.cluster["apiServer"].get("certSANs") or [])))
    addresses = [one for one in found if is_address(one)]
    return sorted(set(found) - set(addresses)), addresses


def _issue(config: settings.Config, leaf: Obj, uses: str, alternatives: Sequence[str]) -> Pair:
    """Make a key, and have an authority of the cluster sign it."""
    key = new_key(config.cluster["encryptionAlgorithm"])
    lifetime = duration(config.cluster["certificateValidityPeriod"])
    name, authority = subject(leaf["user"], leaf.get("group", "")), leaf.get("ca", "ca")
    signer = load_pair(config.directory, authority)
    return Pair(signer.sign(name, uses, key.public_key(), lifetime, alternatives), key)


def make_leaf(leaf: Obj, config: settings.Config) -> tuple[list[str], list[str]]:
    """Sign a certificate of the set, write it, return its alternative names."""
    names, addresses = alternative_names(leaf, config)
    made = _issue(config, leaf, leaf["use"], names + addresses)
    write_pair(config.directory, leaf["name"], made)
    return names, addresses


def client_credentials(config: settings.Config, user: str, group: str = "") -> Obj:
    """Return a client certificate signed by the cluster's authority, as a kubeconfig embeds it."""
    made = _issue(config, {"user": user, "group": group}, "client", ())
    return {
        "client-certificate-data": base64.b64encode(certificate_pem(made.certificate)).decode(),
        "client-key-data": base64.b64encode(key_pem(made.key)).decode(),
    }


def make_kubeconfig(file: Obj, config: settings.Config) -> None:
    """Write one of kubeadm's kubeconfig files."""
    authority = certificate_pem(load_pair(config.directory, "ca").certificate)
    credentials = client_credentials(config, file["user"], file.get("group", ""))
    name = config.cluster["clusterName"]
    content = kubeconfig.document(file["server"], name, file["user"], authority, credentials)
    kubeconfig.save(f"{DIRECTORY}/{file['name']}", content)


def renew(name: str, config: settings.Config) -> str:
    """Make a certificate of the set, or a kubeconfig file, anew; return what is said of it."""
    known = table(config)
    one = next(each for each in known["leaves"] + known["kubeconfigs"] if each["name"] == name)
    folder, end = (config.directory, ".crt") if "ca" in one else (DIRECTORY, "")
    if not root(f"{folder}/{name}{end}").exists():  # super-admin.conf is on the first node alone
        return f"MISSING! {one['title']}"
    (make_leaf if "ca" in one else make_kubeconfig)(one, config)
    return f"{one['title']} renewed"
