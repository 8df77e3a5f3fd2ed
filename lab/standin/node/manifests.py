"""
Static Pod manifests of the control plane, with the flags that kubeadm gives its components.

Source: kubernetes.io, "kubeadm implementation details", and the components' command-line
references.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from . import config as settings
from . import images
from .common import SYSTEM, Obj, root, write

DIRECTORY = "/etc/kubernetes/manifests"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
CPU = {
    "kube-apiserver": "250m",
    "kube-controller-manager": "200m",
    "kube-scheduler": "100m",
    "etcd": "100m",
}


def path(component: str) -> str:
    """Where a component's manifest is."""
    return f"{DIRECTORY}/{component}.yaml"


def exists(component: str) -> bool:
    """Whether it is there."""
    return root(path(component)).is_file()


def flags(component: str) -> dict[str, str]:
    """The flags in a component's manifest."""
    content = yaml.safe_load(root(path(component)).read_text())
    command = content["spec"]["containers"][0]["command"]
    return dict(re.fullmatch(r"--([^=]+)=?(.*)", one).groups() for one in command[1:])  # type: ignore[union-attr,misc]


def _apiserver(config: settings.Config) -> dict[str, str]:
    pki = config.cluster["certificatesDir"]
    point = config.init["localAPIEndpoint"]
    return {
        "advertise-address": point["advertiseAddress"],
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{pki}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "etcd-cafile": f"{pki}/etcd/ca.crt",
        "etcd-certfile": f"{pki}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{pki}/apiserver-etcd-client.key",
        "etcd-servers": "https://127.0.0.1:2379",
        "kubelet-client-certificate": f"{pki}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{pki}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "proxy-client-cert-file": f"{pki}/front-proxy-client.crt",
        "proxy-client-key-file": f"{pki}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(point["bindPort"]),
        "service-account-issuer": f"https://kubernetes.default.svc.{config.cluster['networking']['dnsDomain']}",
        "service-account-key-file": f"{pki}/sa.pub",
        "service-account-signing-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": config.cluster["networking"]["serviceSubnet"],
        "tls-cert-file": f"{pki}/apiserver.crt",
        "tls-private-key-file": f"{pki}/apiserver.key",
    }


def _manager(config: settings.Config) -> dict[str, str]:
    pki, own = config.cluster["certificatesDir"], "/etc/kubernetes/controller-manager.conf"
    pods = config.cluster["networking"]["podSubnet"]
    cidr = {"allocate-node-cidrs": "true", "cluster-cidr": pods} if pods else {}
    return cidr | {
        "authentication-kubeconfig": own,
        "authorization-kubeconfig": own,
        "bind-address": "127.0.0.1",
        "client-ca-file": f"{pki}/ca.crt",
        "cluster-name": config.cluster["clusterName"],
        "cluster-signing-cert-file": f"{pki}/ca.crt",
        "cluster-signing-key-file": f"{pki}/ca.key",
        "controllers": "*,bootstrapsigner,tokencleaner",
        "kubeconfig": own,
        "leader-elect": "true",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "root-ca-file": f"{pki}/ca.crt",
        "service-account-private-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": config.cluster["networking"]["serviceSubnet"],
        "use-service-account-credentials": "true",
    }


def _scheduler(config: settings.Config) -> dict[str, str]:
    own = "/etc/kubernetes/scheduler.conf"
    return {
        "authentication-kubeconfig": own,
        "authorization-kubeconfig": own,
        "bind-address": "127.0.0.1",
        "kubeconfig": own,
        "leader-elect": "true",
    }


def _etcd(config: settings.Config) -> dict[str, str]:
    pki = config.cluster["certificatesDir"]
    address = config.init["localAPIEndpoint"]["advertiseAddress"]
    name = settings.node_name(config.init["nodeRegistration"])
    return {
        "advertise-client-urls": f"https://{address}:2379",
        "cert-file": f"{pki}/etcd/server.crt",
        "client-cert-auth": "true",
        "data-dir": config.cluster["etcd"]["local"]["dataDir"],
        "initial-advertise-peer-urls": f"https://{address}:2380",
        "initial-cluster": f"{name}=https://{address}:2380",
        "key-file": f"{pki}/etcd/server.key",
        "listen-client-urls": f"https://127.0.0.1:2379,https://{address}:2379",
        "listen-metrics-urls": "http://127.0.0.1:2381",
        "listen-peer-urls": f"https://{address}:2380",
        "name": name,
        "peer-cert-file": f"{pki}/etcd/peer.crt",
        "peer-client-cert-auth": "true",
        "peer-key-file": f"{pki}/etcd/peer.key",
        "peer-trusted-ca-file": f"{pki}/etcd/ca.crt",
        "trusted-ca-file": f"{pki}/etcd/ca.crt",
    }


MAKERS = {
    "kube-apiserver": (_apiserver, "apiServer"),
    "kube-controller-manager": (_manager, "controllerManager"),
    "kube-scheduler": (_scheduler, "scheduler"),
    "etcd": (_etcd, ""),
}


def pod(component: str, config: settings.Config) -> Obj:
    """A component's static Pod."""
    maker, part = MAKERS[component]
    extra = (config.cluster[part] if part else config.cluster["etcd"]["local"]).get(
        "extraArgs"
    ) or []
    chosen = maker(config) | {one["name"]: one["value"] for one in extra}
    address = config.init["localAPIEndpoint"]["advertiseAddress"]
    image = (
        images.etcd(config.cluster)
        if component == "etcd"
        else images.component(config.cluster, component)
    )
    annotations = {}
    if component == "kube-apiserver":
        annotations["kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"] = (
            f"{address}:{chosen['secure-port']}"
        )
    if component == "etcd":
        annotations["kubeadm.kubernetes.io/etcd.advertise-client-urls"] = chosen[
            "advertise-client-urls"
        ]
    volumes = {"k8s-certs": config.cluster["certificatesDir"]}
    if component == "etcd":
        volumes = {
            "etcd-certs": f"{config.cluster['certificatesDir']}/etcd",
            "etcd-data": chosen["data-dir"],
        }
    elif component != "kube-apiserver":
        volumes["kubeconfig"] = chosen["kubeconfig"]
    container = {
        "name": component,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [component, *(f"--{name}={value}" for name, value in sorted(chosen.items()))],
        "resources": {"requests": {"cpu": CPU[component]}},
        "volumeMounts": [{"name": name, "mountPath": where} for name, where in volumes.items()],
    }
    meta: Obj = {
        "name": component,
        "namespace": SYSTEM,
        "labels": {"component": component, "tier": "control-plane"},
    }
    if annotations:
        meta["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "volumes": [
                {"name": name, "hostPath": {"path": where}} for name, where in volumes.items()
            ],
        },
        "status": {},
    }


def make(component: str, config: settings.Config) -> None:
    """Write a component's manifest, 0600."""
    root(DIRECTORY).mkdir(parents=True, exist_ok=True)
    write(path(component), yaml.safe_dump(pod(component, config)), 0o600)


def all_files() -> list[Path]:
    """The manifests that are there."""
    return sorted(root(DIRECTORY).glob("*.yaml"))
