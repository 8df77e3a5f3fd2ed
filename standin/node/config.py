"""
Read kubeadm's configuration file, and fill in its defaults.

Fields are not checked one by one as kubeadm's strict decoder does: who writes the file checks it.
Source: the kubeadm Configuration (v1beta4) reference at kubernetes.io.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from dataclasses import dataclass, field

import yaml

from .common import MINOR, NUMBER, TOKEN, Fatal, Obj, filled, root, template, text

CONTROL_PLANE_TAINT = {"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"}
FLOAT = "tag:yaml.org,2002:float"


class Loader(yaml.SafeLoader):
    """Takes for a number what Go's YAML does, and PyYAML does not: `12e34`, `0912`."""


Loader.add_implicit_resolver(FLOAT, re.compile(r"\d+([eE]\d+)?$"), list("0123456789"))


@dataclass
class Config:
    """
    What init works with; each part is the document with its defaults.

    + init, cluster: kubeadm's own documents
    + kubelet, proxy: the components' documents, as given
    + ignored: preflight checks that only warn, lower case
    + uploads: whether certificates go into the cluster
    """

    init: Obj
    cluster: Obj
    kubelet: Obj
    proxy: Obj
    ignored: set[str] = field(default_factory=set)
    uploads: bool = False

    @property
    def directory(self) -> str:
        """Where the certificates are."""
        return str(self.cluster["certificatesDir"])


def host_name() -> str:
    """Return this node's name, as kubeadm derives it."""
    return socket.gethostname().strip().lower()


def has_swap() -> bool:
    """Whether swap is on."""
    file = root("/proc/swaps")
    return file.exists() and len(file.read_text().splitlines()) > 1


def new_token() -> str:
    """Return a random bootstrap token."""
    letters = secrets.token_hex(11)
    return f"{letters[:6]}.{letters[6:]}"


def defaults() -> Obj:
    """Return the defaults of each kind."""
    return template("config", node=host_name(), version=NUMBER)[0]


def read(path: str) -> dict[str, Obj]:
    """Return the documents of a file by kind; Fatal when it can't be read."""
    try:
        with open(path, encoding="utf-8") as file:
            documents = [one for one in yaml.load_all(file, Loader) if one]
    except OSError as error:
        raise Fatal(f"open {path}: {(error.strerror or '').lower()}") from None
    return {str(one.get("kind")): one for one in documents}


def check_version(wanted: str) -> str:
    """Return a version with its v; Fatal when it is none, or too old."""
    match = re.fullmatch(r"v?1\.(\d+)\.\d+([-+].*)?", wanted)
    if not match:
        raise Fatal(text("no-version", version=wanted))
    if int(match[1]) < MINOR - 1:
        raise Fatal(text("old-version", minor=MINOR - 1, version=wanted))
    return f"v{wanted.removeprefix('v')}"


def with_defaults(documents: dict[str, Obj]) -> Config:
    """Return init's view of the documents."""
    default = defaults()
    init = filled(documents.get("InitConfiguration"), default["InitConfiguration"])
    cluster = filled(documents.get("ClusterConfiguration"), default["ClusterConfiguration"])
    if init["nodeRegistration"].get("taints") is None:
        init["nodeRegistration"]["taints"] = [CONTROL_PLANE_TAINT]
    cluster["kubernetesVersion"] = check_version(cluster["kubernetesVersion"])
    tokens = [filled(one, default["token"]) for one in init.get("bootstrapTokens") or [{}]]
    init["bootstrapTokens"] = [{"token": new_token()} | one for one in tokens]
    for one in init["bootstrapTokens"]:
        check_token(one["token"])
    kubelet, proxy = ("KubeletConfiguration", "KubeProxyConfiguration")
    return Config(init, cluster, documents.get(kubelet, {}), documents.get(proxy, {}))


def check_token(token: str) -> None:
    """Fatal in kubeadm's words when it is no bootstrap token."""
    if not TOKEN.match(token):
        raise Fatal(text("bad-token", token=token))


def load_init(path: str) -> Config:
    """Read the file of `kubeadm init --config`; the defaults without one."""
    if not path:
        return with_defaults({})
    documents = read(path)
    if not documents.keys() & {"InitConfiguration", "ClusterConfiguration"}:
        raise Fatal(text("no-init-kind"))
    return with_defaults(documents)


def load_join(path: str) -> Obj:
    """Read the file of `kubeadm join --config`: the JoinConfiguration with its defaults."""
    documents = read(path)
    if "JoinConfiguration" not in documents:
        raise Fatal("no JoinConfiguration found in the supplied config")
    default = defaults()
    if documents["JoinConfiguration"].get("controlPlane") is None:  # a worker
        del default["JoinConfiguration"]["controlPlane"]
    join: Obj = filled(documents["JoinConfiguration"], default["JoinConfiguration"])
    discovery = join["discovery"]
    token = discovery["bootstrapToken"]["token"]
    discovery["tlsBootstrapToken"] = discovery["tlsBootstrapToken"] or token
    check_token(token)
    return join


def own_server(point: Obj) -> str:
    """Return the URL of this node's API server; point: its localAPIEndpoint."""
    return f"https://{point['advertiseAddress']}:{point['bindPort']}"


def endpoint(config: Config) -> str:
    """Return host:port of the control plane, as the kubeconfigs of all nodes have it."""
    wanted = str(config.cluster["controlPlaneEndpoint"])
    local = config.init["localAPIEndpoint"]
    if not wanted:
        return f"{local['advertiseAddress']}:{local['bindPort']}"
    return wanted if ":" in wanted else f"{wanted}:{local['bindPort']}"


def kubelet_document(config: Config) -> Obj:
    """Return the KubeletConfiguration that kubeadm writes."""
    networking = config.cluster["networking"]
    network = ipaddress.ip_network(networking["serviceSubnet"])
    made: Obj = defaults()["kubelet"]
    made |= {"clusterDNS": [str(network[10])], "clusterDomain": networking["dnsDomain"]}
    if root("/run/systemd/resolve/resolv.conf").exists():
        made["resolvConf"] = "/run/systemd/resolve/resolv.conf"
    return made | config.kubelet


def proxy_document(config: Config) -> Obj:
    """Return the KubeProxyConfiguration that kubeadm stores in the cluster."""
    network = {"clusterCIDR": config.cluster["networking"]["podSubnet"]}
    made: Obj = defaults()["proxy"]
    return made | network | config.proxy
