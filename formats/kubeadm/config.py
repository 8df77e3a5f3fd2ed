"""
kubeadm's configuration file: kubeadm.k8s.io/v1beta4 (InitConfiguration, ClusterConfiguration and
JoinConfiguration), kubelet.config.k8s.io/v1beta1 and kubeproxy.config.k8s.io/v1alpha1.

Whatever ``kubeadm config validate`` lets through although it can't work (a pod network inside the
service network, an unknown kube-proxy mode …) is refused here, before a node is touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

from formats import yaml_documents
from formats.kubeadm import components
from formats.unreadable import Unreadable, reading

API_PORT = 6443
CRI_SOCKET = "unix:///run/containerd/containerd.sock"
IMAGE_REPOSITORY = "registry.k8s.io"
DNS_DOMAIN = "cluster.local"

# What an SD card needs: kubeadm's own waits (4 minutes, and one minute for the first answer of the
# API server) run out while etcd and the API server are read from a slow card for the first time.
INIT_TIMEOUTS = {"controlPlaneComponentHealthCheck": "10m0s", "kubernetesAPICall": "4m0s"}
# An unreachable control plane or a token that is gone is known after 15 s; kubeadm's own 5 minutes
# of trying again help nobody.
JOIN_TIMEOUTS = {"discovery": "15s", "tlsBootstrap": "5m0s"}

KUBEADM_API = "kubeadm.k8s.io/v1beta4"
_TIMEOUTS = {
    "controlPlaneComponentHealthCheck",
    "kubeletHealthCheck",
    "kubernetesAPICall",
    "etcdAPICall",
    "tlsBootstrap",
    "discovery",
    "upgradeManifests",
}
# The names of kubeadm's checks; those of a port, file or service go on with its name.
_CHECKS = (
    "NumCPU", "Mem", "Swap", "CRI", "Hostname", "Firewalld", "HTTPProxy", "HTTPProxyCIDR",
    "IsPrivilegedUser", "ImagePull", "KubeletVersion", "KubernetesVersion", "SystemVerification",
    "ContainerRuntimeVersion", "ExternalEtcdVersion", "ExternalEtcdClientCertificates",
    "CreateJob", "StaticPodManifest", "ControlPlaneNodesReady", "CoreDNSUnsupportedPlugins",
    "CoreDNSMigration",
)  # fmt: skip
_KINDS = ("Port", "FileAvailable", "FileContent", "FileExisting", "DirAvailable", "Service")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|h|m|s))+")
_VERSION = re.compile(r"v?[0-9]+\.([0-9]+)\.[0-9]+([-+][-+.0-9A-Za-z]*)?")


@dataclass(frozen=True)
class Registration:
    """
    ``nodeRegistration``: the node that kubeadm runs on.

    ``address`` becomes the kubelet's ``--node-ip``: the advertise address does not set the node's
    InternalIP, and on a node with two interfaces the kubelet takes the wrong one.
    """

    name: str
    address: str
    ignore_preflight_errors: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "name": self.name,
            "criSocket": CRI_SOCKET,
            "kubeletExtraArgs": [{"name": "node-ip", "value": self.address}],
        }
        if self.ignore_preflight_errors:
            made["ignorePreflightErrors"] = list(self.ignore_preflight_errors)
        return made

    def mistakes(self) -> list[str]:
        found = []
        if not _NAME.fullmatch(self.name) or len(self.name) > 253:
            found.append(f"node name {self.name!r} is not a lower-case DNS name")
        found += _address_mistake("node address", self.address)
        return found + ignored_mistakes(self.ignore_preflight_errors)


@dataclass(frozen=True)
class Init:
    """
    What ``kubeadm init`` is given.

    ``version`` is a whole one ("v1.36.3"): anything less makes kubeadm ask the internet.
    ``endpoint`` is a name: the nodes know the cluster by it, so that another control plane or a
    load balancer can stand behind it later.
    """

    registration: Registration
    version: str
    endpoint: str
    pod_network: str
    service_network: str
    cert_names: tuple[str, ...] = ()
    dns_domain: str = DNS_DOMAIN
    image_repository: str = IMAGE_REPOSITORY
    timeouts: Mapping[str, str] = field(default_factory=dict)
    kubelet: Mapping[str, Any] = field(default_factory=dict)
    kube_proxy: Mapping[str, Any] = field(default_factory=dict)

    def mistakes(self) -> list[str]:
        """What is wrong with it, each in one line; nothing when kubeadm can work with it."""
        found = self.registration.mistakes()
        version = _VERSION.fullmatch(self.version)
        minor = int(version[1]) if version else 0
        if not version:
            found.append(f"Kubernetes version {self.version!r} is not a whole one such as v1.36.3")
        if not _NAME.fullmatch(self.endpoint):
            found.append(f"control-plane endpoint {self.endpoint!r} is not a lower-case DNS name")
        elif _is_address(self.endpoint):
            found.append(f"control-plane endpoint {self.endpoint} is an address, not a name")
        if not _NAME.fullmatch(self.dns_domain):
            found.append(f"DNS domain {self.dns_domain!r} is not a lower-case DNS name")
        for name in self.cert_names:
            if not _is_address(name) and not _NAME.fullmatch(name.removeprefix("*.")):
                found.append(f"certificate name {name!r} is neither an address nor a DNS name")
        found += network_mistakes(self.pod_network, self.service_network)
        for what in ("pod", "service"):
            if _holds(getattr(self, f"{what}_network"), self.registration.address):
                network, address = getattr(self, f"{what}_network"), self.registration.address
                found.append(f"{what} network {network} holds the node's address {address}")
        found += timeout_mistakes(self.timeouts)
        proxy = components.kube_proxy_mistakes(self.kube_proxy, minor)
        kubelet = components.kubelet_mistakes(self.kubelet, minor)
        found += [f"kube-proxy {text}" for text in proxy] + [f"kubelet {text}" for text in kubelet]
        return found

    def text(self) -> str:
        """The file, one YAML document a kind."""
        init: dict[str, Any] = {
            "apiVersion": KUBEADM_API,
            "kind": "InitConfiguration",
            # kubeadm makes a token whatever one writes. This one is gone after a second; workers
            # get their own, when some worker must join.
            "bootstrapTokens": [{"ttl": "1s", "description": "kubeadm init's own, never used"}],
            "nodeRegistration": self.registration.document(),
            "localAPIEndpoint": {
                "advertiseAddress": self.registration.address,
                "bindPort": API_PORT,
            },
            "timeouts": dict(self.timeouts),
        }
        cluster: dict[str, Any] = {
            "apiVersion": KUBEADM_API,
            "kind": "ClusterConfiguration",
            "kubernetesVersion": self.version,
            "controlPlaneEndpoint": f"{self.endpoint}:{API_PORT}",
            "networking": {
                "podSubnet": self.pod_network,
                "serviceSubnet": self.service_network,
                "dnsDomain": self.dns_domain,
            },
            "apiServer": {"certSANs": list(dict.fromkeys(self.cert_names))},
            "imageRepository": self.image_repository,
        }
        kubelet = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "systemd",
            **self.kubelet,
        }
        proxy = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            **self.kube_proxy,
        }
        return yaml_documents.dump(init, cluster, kubelet, *([proxy] if self.kube_proxy else []))


@dataclass(frozen=True)
class Join:
    """What ``kubeadm join`` is given on a worker. Its text holds the token: a secret."""

    registration: Registration
    endpoint: str
    token: str = field(repr=False)
    ca_hash: str
    timeouts: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return yaml_documents.dump(
            {
                "apiVersion": KUBEADM_API,
                "kind": "JoinConfiguration",
                "discovery": {
                    "bootstrapToken": {
                        "apiServerEndpoint": f"{self.endpoint}:{API_PORT}",
                        "token": self.token,
                        "caCertHashes": [self.ca_hash],
                    }
                },
                "nodeRegistration": self.registration.document(),
                "timeouts": dict(self.timeouts),
            }
        )


def settled(config_text: str) -> dict[str, str]:
    """
    What can't be changed once a cluster stands, from kubeadm's file or its ConfigMap
    ``kubeadm-config``; ``{field's name: value}``.
    """

    problem = "there is no ClusterConfiguration in it"
    with reading(problem):
        for document in yaml_documents.load_all(config_text):
            if isinstance(document, dict) and document.get("kind") == "ClusterConfiguration":
                networking = document.get("networking") or {}
                return {
                    "pod network": str(networking.get("podSubnet", "")),
                    "service network": str(networking.get("serviceSubnet", "")),
                    "DNS domain": str(networking.get("dnsDomain", DNS_DOMAIN)),
                    "control-plane endpoint": str(document.get("controlPlaneEndpoint", "")),
                }
    raise Unreadable(problem)


def network_mistakes(pods: str, services: str) -> list[str]:
    """What is wrong with Kubernetes' own networks, each in one line."""
    found = []
    for mistake, text in ((pod_network_mistake, pods), (service_network_mistake, services)):
        try:
            found.append(mistake(IPv4Network(text)))
        except ValueError as error:
            found.append(f"{text}: {error}")
    if not any(found) and IPv4Network(pods).overlaps(IPv4Network(services)):
        found.append(f"pod network {pods} and service network {services} overlap")
    return [text for text in found if text]


def pod_network_mistake(network: IPv4Network, nodes: int = 1) -> str | None:
    """
    Why the pods of a cluster can't be in it; None when they can.

    + nodes: how many there are: each takes a /24 of it, and kubeadm allows 16 bits for them
    """
    if network.prefixlen < 8:
        return f"{network} is too large for pods: write {network.network_address}/8"
    if network.prefixlen > 24 or 2 ** (24 - network.prefixlen) < nodes:
        longest = 24 - (nodes - 1).bit_length()
        larger = network.supernet(new_prefix=longest)
        many = "one node" if nodes == 1 else f"{nodes} nodes"
        return f"{network} is too small for {many}, each of which takes a /24: write {larger}"
    return None


def service_network_mistake(network: IPv4Network) -> str | None:
    """Why services can't be in it; None when they can: kubeadm's and the API server's limits."""
    if 12 <= network.prefixlen <= 28:
        return None
    if network.prefixlen < 12:
        return f"{network} is too large for services: write {network.network_address}/12"
    return f"{network} is too small for services: write {network.supernet(new_prefix=28)}"


def ignored_mistakes(names: Iterable[str]) -> list[str]:
    """Names of kubeadm's checks that can't be meant, each in one line."""
    found = []
    known = {name.lower(): name for name in _CHECKS}
    for name in names:
        near = get_close_matches(name.lower(), known, 1)
        kind = next((each for each in _KINDS if name.lower().startswith(each.lower())), "")
        rest = name[len(kind) :].lstrip("-_ ")
        if name.lower() == "all":
            found.append(
                "'all' would set up a cluster over a running one: name the checks, such as Mem"
            )
        elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
            found.append(f"{name!r} is not the name of a preflight check such as Mem")
        elif kind and rest and name[len(kind)] == "-":
            continue
        elif kind and rest:
            found.append(f"{name!r} is not a preflight check: did you mean {kind}-{rest}?")
        elif name.lower() not in known:
            hint = f"did you mean {known[near[0]]}?" if near else "write a name such as Mem"
            found.append(f"{name!r} is not a preflight check: {hint}")
    return found


def timeout_mistakes(timeouts: Mapping[str, str]) -> list[str]:
    """Unknown names and values that are no durations, each in one line."""
    found = []
    for name, value in timeouts.items():
        if name not in _TIMEOUTS:
            near = get_close_matches(name, _TIMEOUTS, 1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(sorted(_TIMEOUTS))}"
            found.append(f"{name!r} is not a timeout of kubeadm's: {hint}")
        elif not isinstance(value, str) or not _DURATION.fullmatch(value):
            found.append(f'{name}: {value!r} is not a duration such as "4m0s"')
        elif not 1 <= _seconds(value) <= 86400:
            found.append(f"{name}: {value!r} is out of range (1s to 24h)")
    return found


def _seconds(duration: str) -> float:
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"([0-9.]+)(ms|h|m|s)", duration)
    return sum(float(number) * units[unit] for number, unit in parts)


def _address_mistake(what: str, text: str) -> list[str]:
    return [] if _is_address(text) else [f"{what} {text!r} is not an IP address"]


def _holds(network: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(network)
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
