"""
kubeadm's configuration file: several YAML documents, decoded strictly, checked, defaults filled in.

Source: the kubeadm Configuration (v1beta4) reference at kubernetes.io; the messages are the
recorded ones of a real kubeadm 1.36.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import copy
import ipaddress
import os
import re
import socket
from dataclasses import dataclass, field

from . import validate
from .common import CRI_SOCKET, MINOR, NUMBER, Fatal, Obj, klog, quote, root
from .documents import OLD, decode, read

TIMEOUTS = {
    "controlPlaneComponentHealthCheck": "4m0s",
    "discovery": "5m0s",
    "etcdAPICall": "2m0s",
    "kubeletHealthCheck": "4m0s",
    "kubernetesAPICall": "1m0s",
    "tlsBootstrap": "5m0s",
    "upgradeManifests": "5m0s",
}
CONTROL_PLANE_TAINT = {"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"}
if MINOR >= 37:
    OLD["v1beta3"] = "v1.36"


@dataclass
class Config:
    """
    What init and join work with; each part is the document with its defaults.

    + init, cluster, join: the kubeadm documents
    + kubelet, proxy: the component documents, as given
    """

    init: Obj = field(default_factory=dict)
    cluster: Obj = field(default_factory=dict)
    join: Obj = field(default_factory=dict)
    kubelet: Obj = field(default_factory=dict)
    proxy: Obj = field(default_factory=dict)


def host_name() -> str:
    """This node's name, as kubeadm derives it."""
    return socket.gethostname().strip().lower()


def default_address() -> str:
    """
    The address of the default route's interface, what kubeadm advertises unless told otherwise.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # no packet is sent: this only asks for a route
            return str(probe.getsockname()[0])
        except OSError:
            raise Fatal("unable to select an IP from default routes.") from None


def _registration(given: Obj | None, taints: list[Obj]) -> Obj:
    wanted = copy.deepcopy(given or {})
    wanted.setdefault("name", host_name())
    wanted.setdefault("criSocket", CRI_SOCKET)
    wanted.setdefault("imagePullPolicy", "IfNotPresent")
    wanted.setdefault("imagePullSerial", True)
    if wanted.get("taints") is None:
        wanted["taints"] = taints
    if "://" not in wanted["criSocket"]:
        klog(
            "W",
            "initconfiguration.go:127",
            "Usage of CRI endpoints without URL scheme is deprecated and can cause kubelet errors in the "
            f'future. Automatically prepending scheme "unix" to the "criSocket" with value '
            f"{quote(wanted['criSocket'])}. Please update your configuration!",
        )
        wanted["criSocket"] = f"unix://{wanted['criSocket']}"
    return wanted


def kubernetes_version(wanted: str) -> str:
    """`v1.36.4` for what the file says; labels need the internet, which the stand-in never asks."""
    if not wanted or re.fullmatch(r"(ci/)?(stable|latest|release)(-\d+(\.\d+)?)?", wanted):
        label = wanted or "stable-1"
        url = f"https://dl.k8s.io/release/{label}.txt"
        klog(
            "W",
            "version.go:108",
            f'could not fetch a Kubernetes version from the internet: unable to get URL "{url}": stand-in',
        )
        klog("W", "version.go:109", f"falling back to the local client version: v{NUMBER}")
        return f"v{NUMBER}"
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)([-+].*)?", wanted)
    if not match:
        raise Fatal(
            f"version {quote(wanted)} doesn't match patterns for neither semantic version nor labels "
            "(stable, latest, ...)"
        )
    if int(match[2]) < MINOR - 1:
        raise Fatal(
            "this version of kubeadm only supports deploying clusters with the control plane version "
            f">= 1.{MINOR - 1}.0. Current version: {wanted}"
        )
    return wanted if wanted.startswith("v") else f"v{wanted}"


def with_defaults(documents: dict[str, Obj], token: str = "") -> Config:
    """Init's view of the documents: every default filled in, every value checked."""
    init = copy.deepcopy(documents.get("InitConfiguration", {}))
    cluster = copy.deepcopy(documents.get("ClusterConfiguration", {}))
    validate.tokens(init)
    endpoint = init.setdefault("localAPIEndpoint", {})
    init["nodeRegistration"] = _registration(init.get("nodeRegistration"), [CONTROL_PLANE_TAINT])
    endpoint.setdefault("advertiseAddress", "") or endpoint.update(
        advertiseAddress=default_address()
    )
    endpoint.setdefault("bindPort", 6443)
    try:
        ipaddress.ip_address(endpoint["advertiseAddress"])
    except ValueError:
        raise Fatal(
            f'couldn\'t use {quote(endpoint["advertiseAddress"])} as "apiserver-advertise-address", must '
            "be ipv4 or ipv6 address"
        ) from None
    init["timeouts"] = TIMEOUTS | (init.get("timeouts") or {})
    for entry in init.get("bootstrapTokens") or [{}]:
        entry.setdefault("token", token)
        entry.setdefault("groups", ["system:bootstrappers:kubeadm:default-node-token"])
        entry.setdefault("ttl", "24h0m0s")
        entry.setdefault("usages", ["signing", "authentication"])
        init.setdefault("bootstrapTokens", [entry])

    cluster["kubernetesVersion"] = kubernetes_version(str(cluster.get("kubernetesVersion") or ""))
    networking = cluster.setdefault("networking", {})
    networking.setdefault("serviceSubnet", "10.96.0.0/12")
    networking.setdefault("podSubnet", "")
    networking.setdefault("dnsDomain", "cluster.local")
    for name, value in {
        "apiServer": {},
        "controllerManager": {},
        "scheduler": {},
        "dns": {},
        "proxy": {},
        "certificatesDir": "/etc/kubernetes/pki",
        "clusterName": "kubernetes",
        "imageRepository": "registry.k8s.io",
        "controlPlaneEndpoint": "",
        "encryptionAlgorithm": "RSA-2048",
        "certificateValidityPeriod": "8760h0m0s",
        "caCertificateValidityPeriod": "87600h0m0s",
        "featureGates": {},
    }.items():
        cluster[name] = cluster.get(name) or value
    etcd = cluster.setdefault("etcd", {})
    if etcd.get("external"):
        raise Fatal(
            "the stand-in has no external etcd: remove etcd.external from ClusterConfiguration"
        )
    local = etcd.setdefault("local", {}) or {}
    etcd["local"] = local
    local.setdefault("dataDir", "/var/lib/etcd")
    validate.init(init, cluster)
    return Config(
        init=init,
        cluster=cluster,
        kubelet=documents.get("KubeletConfiguration", {}),
        proxy=documents.get("KubeProxyConfiguration", {}),
    )


def load_init(path: str, token: str = "") -> Config:
    """kubeadm init --config: Fatal unless the file has one of init's own kinds."""
    documents = decode(read(path))
    if not documents.keys() & {"InitConfiguration", "ClusterConfiguration"}:
        raise Fatal("no InitConfiguration or ClusterConfiguration kind was found in the YAML file")
    for kind in ("JoinConfiguration", "ResetConfiguration"):
        if kind in documents:
            klog(
                "W",
                "initconfiguration.go:378",
                f"[config] WARNING: Ignored configuration document with GroupVersionKind kubeadm.k8s.io/v1beta4, Kind={kind}",
            )
    return with_defaults(documents, token)


def join_defaults(document: Obj) -> Obj:
    """A JoinConfiguration with its defaults, checked."""
    join = copy.deepcopy(document)
    join.setdefault("caCertPath", "/etc/kubernetes/pki/ca.crt")
    join["nodeRegistration"] = _registration(join.get("nodeRegistration"), [])
    discovery = join.setdefault("discovery", {})
    token = (discovery.get("bootstrapToken") or {}).get("token", "")
    discovery.setdefault("tlsBootstrapToken", token)
    join["timeouts"] = TIMEOUTS | (join.get("timeouts") or {})
    validate.join(join)
    return join


def load_join(path: str) -> Obj:
    """kubeadm join --config."""
    documents = decode(read(path))
    if "JoinConfiguration" not in documents:
        raise Fatal("no JoinConfiguration found in the supplied config")
    return join_defaults(documents["JoinConfiguration"])


def node_name(registration: Obj) -> str:
    """The Node's name: hostname-override, then nodeRegistration.name."""
    for argument in registration.get("kubeletExtraArgs") or []:
        if argument["name"] == "hostname-override":
            return str(argument["value"])
    return str(registration["name"])


def endpoint(config: Config) -> str:
    """host:port of the control plane, as the kubeconfigs of all nodes have it."""
    wanted = config.cluster["controlPlaneEndpoint"]
    local = config.init["localAPIEndpoint"]
    if not wanted:
        return f"{local['advertiseAddress']}:{local['bindPort']}"
    return str(wanted) if ":" in wanted else f"{wanted}:{local['bindPort']}"


def kubelet_document(config: Config) -> Obj:
    """The KubeletConfiguration that kubeadm writes: the given one, kubeadm's defaults added."""
    networking = config.cluster["networking"]
    network = ipaddress.ip_network(networking["serviceSubnet"].split(",")[0])
    defaults: Obj = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"cacheTTL": "0s", "enabled": True},
            "x509": {"clientCAFile": f"{config.cluster['certificatesDir']}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd",
        "clusterDNS": [str(network[10])],
        "clusterDomain": networking["dnsDomain"],
        "containerRuntimeEndpoint": "",
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "rotateCertificates": True,
        "staticPodPath": "/etc/kubernetes/manifests",
    }
    if os.path.exists(root("/run/systemd/resolve/resolv.conf")):
        defaults["resolvConf"] = "/run/systemd/resolve/resolv.conf"
    return defaults | config.kubelet


def proxy_document(config: Config) -> Obj:
    """The KubeProxyConfiguration that kubeadm stores in the cluster."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": "0.0.0.0",
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"},
        "clusterCIDR": config.cluster["networking"]["podSubnet"],
    } | config.proxy
