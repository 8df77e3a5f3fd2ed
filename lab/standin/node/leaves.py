"""
kubeadm's set of certificates: names, subjects, lifetimes, in the order that it makes them.

Source: kubernetes.io, "PKI certificates and requirements".
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from cryptography import x509

from . import config as settings
from .common import duration
from .pki import ADMINS, CLIENT, SERVER, Pair, load_pair, new_key, write_pair


@dataclass(frozen=True)
class Leaf:
    """
    One certificate of the set.

    + name: kubeadm's name for it, as in `[certs] Generating "NAME" …`
    + file: below the certificates directory, without .crt
    + ca: the authority's file
    + common_name, organization: the subject
    + usages: extended key usages
    + title: what `kubeadm certs renew` calls it
    """

    name: str
    file: str
    ca: str
    common_name: str
    organization: str
    usages: tuple[x509.ObjectIdentifier, ...]
    title: str


# kubeadm's own order of making them: an authority (name, file), then what it signs.
AUTHORITIES = {"ca": "ca", "front-proxy-ca": "front-proxy-ca", "etcd/ca": "etcd/ca"}


COMMON_NAMES = {"ca": "kubernetes", "front-proxy-ca": "front-proxy-ca", "etcd/ca": "etcd-ca"}


LEAVES = (
    Leaf(
        "apiserver",
        "apiserver",
        "ca",
        "kube-apiserver",
        "",
        (SERVER,),
        "certificate for serving the Kubernetes API",
    ),
    Leaf(
        "apiserver-kubelet-client",
        "apiserver-kubelet-client",
        "ca",
        "kube-apiserver-kubelet-client",
        ADMINS,
        (CLIENT,),
        "certificate for the API server to connect to kubelet",
    ),
    Leaf(
        "front-proxy-client",
        "front-proxy-client",
        "front-proxy-ca",
        "front-proxy-client",
        "",
        (CLIENT,),
        "certificate for the front proxy client",
    ),
    Leaf(
        "etcd/server",
        "etcd/server",
        "etcd/ca",
        "",
        "",
        (SERVER, CLIENT),
        "certificate for serving etcd",
    ),
    Leaf(
        "etcd/peer",
        "etcd/peer",
        "etcd/ca",
        "",
        "",
        (SERVER, CLIENT),
        "certificate for etcd nodes to communicate with each other",
    ),
    Leaf(
        "etcd/healthcheck-client",
        "etcd/healthcheck-client",
        "etcd/ca",
        "kube-etcd-healthcheck-client",
        "",
        (CLIENT,),
        "certificate for liveness probes to healthcheck etcd",
    ),
    Leaf(
        "apiserver-etcd-client",
        "apiserver-etcd-client",
        "etcd/ca",
        "kube-apiserver-etcd-client",
        "",
        (CLIENT,),
        "certificate the apiserver uses to access etcd",
    ),
)


def _add(text: str, names: list[str], addresses: list[str]) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if text not in names:
            names.append(text)
        return
    if text not in addresses:
        addresses.append(text)


def alternative_names(leaf: Leaf, config: settings.Config) -> tuple[list[str], list[str]]:
    """(DNS names, addresses) of a serving certificate, in kubeadm's printed order."""
    node = settings.node_name(config.init["nodeRegistration"])
    advertised = config.init["localAPIEndpoint"]["advertiseAddress"]
    cluster = config.cluster
    if leaf.name == "apiserver":
        domain = cluster["networking"]["dnsDomain"]
        network = ipaddress.ip_network(cluster["networking"]["serviceSubnet"].split(",")[0])
        names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{domain}",
            node,
        ]
        addresses = [str(network[1]), advertised]
        if cluster["controlPlaneEndpoint"]:
            _add(
                cluster["controlPlaneEndpoint"].rpartition(":")[0]
                or cluster["controlPlaneEndpoint"],
                names,
                addresses,
            )
        for name in cluster["apiServer"].get("certSANs") or []:
            _add(name, names, addresses)
        return sorted(names), addresses
    if leaf.name in ("etcd/server", "etcd/peer"):
        names, addresses = [node, "localhost"], [advertised, "127.0.0.1", "::1"]
        key = "serverCertSANs" if leaf.name == "etcd/server" else "peerCertSANs"
        for name in cluster["etcd"]["local"].get(key) or []:
            _add(name, names, addresses)
        return sorted(names), addresses
    return [], []


def make_leaf(leaf: Leaf, config: settings.Config) -> tuple[list[str], list[str]]:
    """Sign one certificate of the set, write it, and give its alternative names."""
    directory = config.cluster["certificatesDir"]
    authority = load_pair(directory, leaf.ca)
    key = new_key(config.cluster["encryptionAlgorithm"])
    names = alternative_names(leaf, config)
    certificate = authority.sign(
        leaf.common_name or settings.node_name(config.init["nodeRegistration"]),
        [leaf.organization],
        leaf.usages,
        key.public_key(),
        duration(config.cluster["certificateValidityPeriod"]),
        names,
    )
    write_pair(directory, leaf.file, Pair(certificate, key))
    return names
