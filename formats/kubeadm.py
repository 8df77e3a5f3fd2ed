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
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import yaml

from formats.unreadable import MALFORMED, Unreadable, reading

API_PORT = 6443
CRI_SOCKET = "unix:///run/containerd/containerd.sock"
IMAGE_REPOSITORY = "registry.k8s.io"
DNS_DOMAIN = "cluster.local"

# What an SD card needs: kubeadm's own waits (4 minutes, and one minute for the first answer of the
# API server) run out while etcd and the API server are read from a slow card for the first time.
INIT_TIMEOUTS = {"controlPlaneComponentHealthCheck": "10m0s", "kubernetesAPICall": "4m0s"}
# An unreachable head or a token that is gone is known after 15 s; kubeadm's own 5 minutes of
# trying again help nobody.
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
_PROXY_MODES = {"", "iptables", "ipvs", "nftables"}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|h|m|s))+")
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+([-+][-+.0-9A-Za-z]*)?")


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
        if "all" in (name.lower() for name in self.ignore_preflight_errors):
            found.append("ignoring all preflight errors would set up a cluster over a running one")
        return found


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
        if not _VERSION.fullmatch(self.version):
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
        found += self._network_mistakes()
        found += timeout_mistakes(self.timeouts)
        mode = self.kube_proxy.get("mode", "")
        if mode not in _PROXY_MODES:
            found.append(f"kube-proxy mode {mode!r} is none of iptables, ipvs, nftables")
        return found

    def _network_mistakes(self) -> list[str]:
        found = []
        networks = {}
        for what, text in (("pod", self.pod_network), ("service", self.service_network)):
            try:
                network = ip_network(text)
            except ValueError as error:
                found.append(f"{what} network {text}: {error}")
                continue
            if not isinstance(network, IPv4Network):
                found.append(f"{what} network {text} is not an IPv4 network")
                continue
            networks[what] = network
        pods, services = networks.get("pod"), networks.get("service")
        # Each node gets a /24 of the pod network; kubeadm allows 16 bits for the nodes.
        if pods and not 8 <= pods.prefixlen <= 24:
            found.append(f"pod network {pods} has no room for a /24 for each node, or too much")
        if services and not 12 <= services.prefixlen <= 28:
            found.append(f"service network {services}: choose one from /12 to /28")
        if pods and services and pods.overlaps(services):
            found.append(f"pod network {pods} and service network {services} overlap")
        if _is_address(self.registration.address):
            for what, network in networks.items():
                if ip_address(self.registration.address) in network:
                    address = self.registration.address
                    found.append(f"{what} network {network} holds the node's address {address}")
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
        return documents_text([init, cluster, kubelet, *([proxy] if self.kube_proxy else [])])


@dataclass(frozen=True)
class Join:
    """What ``kubeadm join`` is given on a worker. Its text holds the token: a secret."""

    registration: Registration
    endpoint: str
    token: str = field(repr=False)
    ca_hash: str
    timeouts: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return documents_text(
            [
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
            ]
        )


def settled(config_text: str) -> dict[str, str]:
    """
    What can't be changed once a cluster stands, from kubeadm's file or its ConfigMap
    ``kubeadm-config``; ``{field's name: value}``.
    """

    problem = "there is no ClusterConfiguration in it"
    with reading(problem):
        for document in yaml_documents(config_text):
            if isinstance(document, dict) and document.get("kind") == "ClusterConfiguration":
                networking = document.get("networking") or {}
                return {
                    "pod network": str(networking.get("podSubnet", "")),
                    "service network": str(networking.get("serviceSubnet", "")),
                    "DNS domain": str(networking.get("dnsDomain", DNS_DOMAIN)),
                    "control-plane endpoint": str(document.get("controlPlaneEndpoint", "")),
                }
    raise Unreadable(problem)


def timeout_mistakes(timeouts: Mapping[str, str]) -> list[str]:
    """Unknown names and values that are no durations, each in one line."""
    found = []
    for name, value in timeouts.items():
        if name not in _TIMEOUTS:
            found.append(f"timeout {name!r} is none of {', '.join(sorted(_TIMEOUTS))}")
        elif not _DURATION.fullmatch(value):
            found.append(f"timeout {name}: {value!r} is not a duration such as 4m0s")
    return found


def documents_text(documents: Iterable[Mapping[str, Any]]) -> str:
    """Several YAML documents as one text, keys in the order given."""
    return "---\n".join(
        yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, default_flow_style=False)
        for document in documents
    )


def yaml_documents(text: str) -> list[Any]:
    """The documents of a YAML text; ``Unreadable`` when it is none."""
    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise Unreadable(f"it is not YAML: {str(error).splitlines()[0]}") from error
    except MALFORMED as error:  # of a scalar such as 2026-02-30, which YAML takes for a date
        raise Unreadable(f"it is not YAML: {error}") from error


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as such: people read them in diffs."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def _address_mistake(what: str, text: str) -> list[str]:
    return [] if _is_address(text) else [f"{what} {text!r} is not an IP address"]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
