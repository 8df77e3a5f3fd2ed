"""
kubeadm's configuration file: kubeadm.k8s.io/v1beta4 (InitConfiguration, ClusterConfiguration and
JoinConfiguration), kubelet.config.k8s.io/v1beta1 and kubeproxy.config.k8s.io/v1alpha1.

The settings refuse, with the functions here, what ``kubeadm config validate`` accepts although it
can't work (a pod network that is too small, an unknown kube-proxy mode …).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import IPv4Network
from typing import Any

from formats import yaml_documents
from formats.kubeadm.components import seconds
from formats.unreadable import Unreadable, reading
from messages import Said
from messages.settings import (
    INVALID,
    NETWORK_TOO_LARGE,
    NETWORK_TOO_SMALL,
    NOT_ALLOWED,
    OUT_OF_RANGE,
)

API_PORT = 6443
CRI_SOCKET = "unix:///run/containerd/containerd.sock"
IMAGE_REPOSITORY = "registry.k8s.io"
DNS_DOMAIN = "cluster.local"

# kubeadm's defaults (4 minutes, and one for the first answer of the API server) are too short for
# reading etcd and the API server from a slow SD card for the first time.
INIT_TIMEOUTS = {"controlPlaneComponentHealthCheck": "10m0s", "kubernetesAPICall": "4m0s"}
# An unreachable control plane or an expired token is known after 15 s; kubeadm's default is 5
# minutes.
JOIN_TIMEOUTS = {"discovery": "15s", "tlsBootstrap": "5m0s"}
# A control plane that joins reads etcd and the API server from its card for the first time too.
CONTROL_PLANE_JOIN_TIMEOUTS = {**INIT_TIMEOUTS, **JOIN_TIMEOUTS, "etcdAPICall": "5m0s"}
UPGRADE_TIMEOUTS = {**INIT_TIMEOUTS, "upgradeManifests": "10m0s"}

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
# The names of kubeadm's checks; those for a port, file or service continue with its name.
_CHECKS = (
    "NumCPU", "Mem", "Swap", "CRI", "Hostname", "Firewalld", "HTTPProxy", "HTTPProxyCIDR",
    "IsPrivilegedUser", "ImagePull", "KubeletVersion", "KubernetesVersion", "SystemVerification",
    "ContainerRuntimeVersion", "ExternalEtcdVersion", "ExternalEtcdClientCertificates",
    "CreateJob", "StaticPodManifest", "ControlPlaneNodesReady", "CoreDNSUnsupportedPlugins",
    "CoreDNSMigration",
)  # fmt: skip
_KINDS = ("Port", "FileAvailable", "FileContent", "FileExisting", "DirAvailable", "Service")
_NO_CONFIGURATION = "no ClusterConfiguration"
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|h|m|s))+")
# The name of a check may end with a path: FileContent--proc-sys-net-ipv4-ip_forward.
_CHECK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


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

    def endpoint(self) -> dict[str, Any]:
        """Return ``localAPIEndpoint``: where this node's own API server is."""
        return {"advertiseAddress": self.address, "bindPort": API_PORT}


@dataclass(frozen=True)
class Init:
    """
    The configuration of ``kubeadm init``.

    + version: a complete one ("v1.36.3"): with less kubeadm asks the internet
    + endpoint: a name, by which the nodes know the cluster: another control plane or a load
      balancer can be behind it later
    """

    registration: Registration
    version: str
    endpoint: str
    pod_network: str
    service_network: str
    cert_names: tuple[str, ...] = ()
    image_repository: str = IMAGE_REPOSITORY
    timeouts: Mapping[str, str] = field(default_factory=dict)
    kubelet: Mapping[str, Any] = field(default_factory=dict)
    kube_proxy: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Write the file, one YAML document for each kind."""
        init: dict[str, Any] = {
            "apiVersion": KUBEADM_API,
            "kind": "InitConfiguration",
            # kubeadm always makes a token. This one expires after a second; workers get their own
            # when they join.
            "bootstrapTokens": [{"ttl": "1s", "description": "kubeadm init's own, never used"}],
            "nodeRegistration": self.registration.document(),
            "localAPIEndpoint": self.registration.endpoint(),
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
                "dnsDomain": DNS_DOMAIN,
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
    """
    The configuration of ``kubeadm join``. Its text holds secrets: the token, and the key.

    + certificate_key: of a control plane that joins, see ``upload``; "": it is a worker
    """

    registration: Registration
    endpoint: str
    token: str = field(repr=False)
    ca_hash: str
    timeouts: Mapping[str, str] = field(default_factory=dict)
    certificate_key: str = field(default="", repr=False)

    def text(self) -> str:
        join: dict[str, Any] = {
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
        if self.certificate_key:
            join["controlPlane"] = {
                "certificateKey": self.certificate_key,
                "localAPIEndpoint": self.registration.endpoint(),
            }
        return yaml_documents.dump(join)


def for_node(config_text: str, registration: Registration) -> str:
    """
    Write the file of ``kubeadm init`` for another control plane of the same cluster.

    + config_text: the file of one
    + registration: of the other one
    + raises ``Unreadable``
    """
    with reading(_NO_CONFIGURATION):
        documents = [dict(each) for each in yaml_documents.load_all(config_text)]
        for each in documents:
            if each["kind"] == "InitConfiguration":
                former = each.get("nodeRegistration") or {}
                each["nodeRegistration"] = {**former, **registration.document()}
                each["localAPIEndpoint"] = registration.endpoint()
        return yaml_documents.dump(*documents)


def upload(registration: Registration, version: str, certificate_key: str) -> str:
    """
    The file for ``kubeadm init phase upload-certs``; it holds a secret.

    + registration: of the control plane that has the certificates
    + version: such as "v1.36.3": without it kubeadm asks the internet
    + certificate_key: 64 hexadecimal digits, with which they are encrypted
    """
    init = {
        "apiVersion": KUBEADM_API,
        "kind": "InitConfiguration",
        "certificateKey": certificate_key,
        "nodeRegistration": registration.document(),
        "localAPIEndpoint": registration.endpoint(),
    }
    kind = {"apiVersion": KUBEADM_API, "kind": "ClusterConfiguration"}
    return yaml_documents.dump(init, {**kind, "kubernetesVersion": version})


def with_names(config_text: str, names: Iterable[str]) -> str:
    """
    Add names to those for which the API servers' certificates are valid.

    + config_text: kubeadm's file, or that of its ConfigMap ``kubeadm-config``
    + raises ``Unreadable``
    """
    with reading(_NO_CONFIGURATION):
        documents = [each for each in yaml_documents.load_all(config_text) if each]
        cluster = _cluster_configuration(documents)
        server = cluster.get("apiServer") or {}
        listed = dict.fromkeys([*(server.get("certSANs") or []), *names])
        cluster["apiServer"] = {**server, "certSANs": list(listed)}
        return yaml_documents.dump(*documents)


def of_node(registration: Registration, cluster_text: str, certificates: str = "") -> str:
    """
    The file for phases of ``kubeadm init`` on a control plane that is there.

    + cluster_text: the ClusterConfiguration of the ConfigMap ``kubeadm-config``
    + certificates: the folder of the certificates; "": the one that it names
    + raises ``Unreadable``
    """
    init = {
        "apiVersion": KUBEADM_API,
        "kind": "InitConfiguration",
        "nodeRegistration": registration.document(),
        "localAPIEndpoint": registration.endpoint(),
    }
    with reading(_NO_CONFIGURATION):
        cluster = _cluster_configuration(yaml_documents.load_all(cluster_text))
    return yaml_documents.dump(
        init, {**cluster, **({"certificatesDir": certificates} if certificates else {})}
    )


def upgrade(timeouts: Mapping[str, str]) -> str:
    """The file for ``kubeadm upgrade apply``: ``{name: "10m0s"}``, over ``UPGRADE_TIMEOUTS``."""
    kind = {"apiVersion": KUBEADM_API, "kind": "UpgradeConfiguration"}
    return yaml_documents.dump({**kind, "timeouts": {**UPGRADE_TIMEOUTS, **timeouts}})


def settled(config_text: str) -> dict[str, str]:
    """
    Read what can't be changed in an existing cluster, as ``{setting: value}``.

    + config_text: kubeadm's file, or that of its ConfigMap ``kubeadm-config``
    + raises ``Unreadable``
    """
    with reading(_NO_CONFIGURATION):
        document = _cluster_configuration(yaml_documents.load_all(config_text))
        networking = document.get("networking") or {}
        return {
            "pod_network": str(networking.get("podSubnet", "")),
            "service_network": str(networking.get("serviceSubnet", "")),
            "DNS domain": str(networking.get("dnsDomain", DNS_DOMAIN)),
            "control_plane_endpoint": str(document.get("controlPlaneEndpoint", "")),
        }


def version(config_text: str) -> str:
    """
    Read the version of the cluster, such as "v1.36.4".

    + config_text: kubeadm's file, or that of its ConfigMap ``kubeadm-config``
    + raises ``Unreadable``
    """
    with reading(_NO_CONFIGURATION):
        documents = yaml_documents.load_all(config_text)
        return str(_cluster_configuration(documents)["kubernetesVersion"])


def _cluster_configuration(documents: Iterable[Any]) -> dict[str, Any]:
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "ClusterConfiguration":
            return document
    raise Unreadable(_NO_CONFIGURATION)


def pod_network_mistake(network: IPv4Network, nodes: int = 1) -> Said | None:
    """
    Tell why it can't be the pod network; None when it can.

    + nodes: their number: each takes a /24, and kubeadm allows 16 bits for them
    """
    if network.prefixlen < 8:
        near = f"{network.network_address}/8"
        return NETWORK_TOO_LARGE(network=network, need="pods", instead=near)
    if network.prefixlen > 24 or 2 ** (24 - network.prefixlen) < nodes:
        near = str(network.supernet(new_prefix=24 - (nodes - 1).bit_length()))
        if network.prefixlen > 16 and not network.subnet_of(IPv4Network("10.244.0.0/16")):
            # A larger one around it may hold other networks.
            return NETWORK_TOO_SMALL(
                network=network, need=_nodes(nodes), instead="another one, such as 10.244.0.0/16"
            )
        return NETWORK_TOO_SMALL(network=network, need=_nodes(nodes), instead=near)
    return None


def _nodes(count: int) -> str:
    return "the pods of one node" if count == 1 else f"the pods of {count} nodes"


def service_network_mistake(network: IPv4Network) -> Said | None:
    """Tell why it can't be the service network; None when it can (kubeadm's, the API's limits)."""
    if network.prefixlen < 12:
        near = f"{network.network_address}/12"
        return NETWORK_TOO_LARGE(network=network, need="services", instead=near)
    if network.prefixlen > 28:
        near = str(network.supernet(new_prefix=28))
        return NETWORK_TOO_SMALL(network=network, need="services", instead=near)
    return None


def ignored_mistakes(names: Iterable[str]) -> list[Said]:
    """Find names that are not those of kubeadm's preflight checks."""
    found = []
    known = {name.lower(): name for name in _CHECKS}
    for name in names:
        near = [known[each] for each in get_close_matches(name.lower(), known, 1)]
        kind = next((each for each in _KINDS if name.lower().startswith(each.lower())), "")
        rest = name[len(kind) :].lstrip("-_ ")
        if name.lower() == "all":
            reason, instead = "it would set up a cluster over a running one", "names such as Mem"
            found.append(NOT_ALLOWED(value=repr(name), reason=reason, instead=instead))
            continue
        if _CHECK.fullmatch(name) and (
            (kind and rest and name[len(kind)] == "-") or name.lower() in known
        ):
            continue
        if not _CHECK.fullmatch(name):
            near, kind = [], ""
        instead = f"{kind}-{rest}" if kind and rest else near[0] if near else "one such as Mem"
        found.append(_invalid(name, "a preflight check of kubeadm", instead))
    return found


def timeout_mistakes(timeouts: Mapping[str, str]) -> list[Said]:
    """Find unknown names, and values that are not durations."""
    found = []
    for name, value in timeouts.items():
        if name not in _TIMEOUTS:
            near = get_close_matches(name, _TIMEOUTS, 1)
            instead = near[0] if near else f"one of {', '.join(sorted(_TIMEOUTS))}"
            found.append(_invalid(name, "a timeout of kubeadm", instead))
        elif not isinstance(value, str) or not _DURATION.fullmatch(value):
            kind, instead = f"a duration for {name}", 'one such as "4m0s"'
            found.append(_invalid(value, kind, instead))
        elif not 1 <= seconds(value) <= 86400:
            found.append(OUT_OF_RANGE(value=f"{name}: {value!r}", range="1s to 24h"))
    return found


def _invalid(value: object, kind: str, instead: str) -> Said:
    return INVALID(value=repr(value), kind=kind, instead=instead)
