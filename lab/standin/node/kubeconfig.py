"""kubeconfig files: made, read, and turned into what a client needs."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from . import config as settings
from . import pki
from .common import Fatal, Obj, duration, root, write

DIRECTORY = "/etc/kubernetes"


def document(server: str, cluster: str, user: str, authority: bytes, credentials: Obj) -> Obj:
    """A kubeconfig with one cluster, one user, one context `user@cluster`."""
    return {
        "apiVersion": "v1",
        "clusters": [
            {
                "cluster": {
                    "certificate-authority-data": base64.b64encode(authority).decode(),
                    "server": server,
                },
                "name": cluster,
            }
        ],
        "contexts": [{"context": {"cluster": cluster, "user": user}, "name": f"{user}@{cluster}"}],
        "current-context": f"{user}@{cluster}",
        "kind": "Config",
        "users": [{"name": user, "user": credentials}],
    }


def save(path: str, content: Obj) -> None:
    """Write a kubeconfig, 0600."""
    write(path, yaml.safe_dump(content, sort_keys=True), 0o600)


def client_credentials(
    config: settings.Config, common_name: str, organizations: list[str], lifetime: str = ""
) -> Obj:
    """A client certificate signed by the cluster's authority, embedded."""
    authority = pki.load_pair(config.cluster["certificatesDir"], "ca")
    key = pki.new_key(config.cluster["encryptionAlgorithm"])
    certificate = authority.sign(
        common_name,
        organizations,
        (pki.CLIENT,),
        key.public_key(),
        duration(lifetime or config.cluster["certificateValidityPeriod"]),
    )
    return {
        "client-certificate-data": base64.b64encode(pki.certificate_pem(certificate)).decode(),
        "client-key-data": base64.b64encode(pki.key_pem(key)).decode(),
    }


# kubeadm's files in its order: (file, user in it, common name, organization, through the local
# endpoint).
FILES = (
    ("admin.conf", "kubernetes-admin", "kubernetes-admin", pki.ADMINS, False),
    ("super-admin.conf", "kubernetes-super-admin", "kubernetes-super-admin", pki.MASTERS, False),
    ("kubelet.conf", "system:node:{node}", "system:node:{node}", "system:nodes", False),
    (
        "controller-manager.conf",
        "system:kube-controller-manager",
        "system:kube-controller-manager",
        "",
        True,
    ),
    ("scheduler.conf", "system:kube-scheduler", "system:kube-scheduler", "", True),
)
TITLES = {
    "admin.conf": "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself",
    "controller-manager.conf": "certificate embedded in the kubeconfig file for the controller manager to use",
    "scheduler.conf": "certificate embedded in the kubeconfig file for the scheduler manager to use",
    "super-admin.conf": "certificate embedded in the kubeconfig file for the super-admin",
}


def make(config: settings.Config, file: str) -> None:
    """Write one of kubeadm's kubeconfig files."""
    _, user, common_name, organization, local = next(one for one in FILES if one[0] == file)
    node = settings.node_name(config.init["nodeRegistration"])
    point = config.init["localAPIEndpoint"]
    server = (
        f"{point['advertiseAddress']}:{point['bindPort']}" if local else settings.endpoint(config)
    )
    authority = pki.load_pair(config.cluster["certificatesDir"], "ca")
    save(
        f"{DIRECTORY}/{file}",
        document(
            f"https://{server}",
            config.cluster["clusterName"],
            user.format(node=node),
            pki.certificate_pem(authority.certificate),
            client_credentials(config, common_name.format(node=node), [organization]),
        ),
    )


def load(path: str | Path) -> Obj:
    """A kubeconfig file; Fatal with Go's words when it can't be read."""
    try:
        content = yaml.safe_load(root(str(path)).read_text())
    except OSError:
        raise Fatal(f"open {path}: no such file or directory") from None
    if not isinstance(content, dict):
        raise Fatal(f"invalid configuration: no configuration has been provided in {path}")
    return content


def current(content: Obj) -> tuple[Obj, Obj, str, str]:
    """(cluster, user, cluster's name, user's name) of the current context."""
    context = next(
        one["context"] for one in content["contexts"] if one["name"] == content["current-context"]
    )
    cluster = next(
        one["cluster"] for one in content["clusters"] if one["name"] == context["cluster"]
    )
    user: Obj = next(
        (one["user"] for one in content["users"] or [] if one["name"] == context["user"]), {}
    )
    return cluster, user, context["cluster"], context["user"]


def data(holder: Obj, name: str) -> bytes:
    """`name`-data decoded, or the file that `name` points to; b"" when neither is there."""
    if holder.get(f"{name}-data"):
        return base64.b64decode(holder[f"{name}-data"])
    return root(holder[name]).read_bytes() if holder.get(name) else b""
