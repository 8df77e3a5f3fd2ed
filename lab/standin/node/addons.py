"""
What kubeadm init puts into the new cluster: its configuration, roles, bootstrap tokens, CoreDNS,
kube-proxy.

Source: kubernetes.io, "kubeadm implementation details". The objects have the real names and the
fields that kubectl, the stand-ins and people look at.
"""

from __future__ import annotations

import base64
import secrets as random
from datetime import datetime

import yaml

from . import config as settings
from . import pki
from .client import Client
from .common import SYSTEM, TOKEN, Fatal, Obj, duration, now, stamp
from .resources import RBAC

DEFAULT_NODE_TOKEN = "system:bootstrappers:kubeadm:default-node-token"
RBAC_PATH = f"/apis/{RBAC}/v1"
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
BOUND_TO_NODES = [("Group", DEFAULT_NODE_TOKEN), ("Group", "system:nodes")]


def new_token() -> str:
    """A random bootstrap token."""
    text = "".join(random.choice(ALPHABET) for _ in range(22))
    return f"{text[:6]}.{text[6:]}"


def config_map(client: Client, namespace: str, name: str, data: dict[str, str]) -> None:
    """Make or replace a ConfigMap."""
    meta = {"name": name, "namespace": namespace}
    client.put(
        f"/api/v1/namespaces/{namespace}/configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data},
    )


def bind(
    client: Client,
    name: str,
    role: str,
    subjects: list[tuple[str, str]],
    namespace: str = "",
    role_kind: str = "ClusterRole",
) -> None:
    """A ClusterRoleBinding, or a RoleBinding in a namespace."""
    kind, plural = (
        ("RoleBinding", "rolebindings")
        if namespace
        else ("ClusterRoleBinding", "clusterrolebindings")
    )
    meta: Obj = {"name": name} | ({"namespace": namespace} if namespace else {})
    where = f"{RBAC_PATH}/namespaces/{namespace}/{plural}" if namespace else f"{RBAC_PATH}/{plural}"
    listed = []
    for subject, own in subjects:
        entry = {"kind": subject, "name": own}
        listed.append(
            entry | ({"namespace": SYSTEM} if subject == "ServiceAccount" else {"apiGroup": RBAC})
        )
    reference = {"apiGroup": RBAC, "kind": role_kind, "name": role}
    client.put(
        where,
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": kind,
            "metadata": meta,
            "roleRef": reference,
            "subjects": listed,
        },
    )


def read_role(
    client: Client, namespace: str, name: str, config_map_name: str, subjects: list[tuple[str, str]]
) -> None:
    """Who may read one ConfigMap."""
    rules = [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [config_map_name],
            "verbs": ["get"],
        }
    ]
    client.put(
        f"{RBAC_PATH}/namespaces/{namespace}/roles",
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "Role",
            "metadata": {"name": name, "namespace": namespace},
            "rules": rules,
        },
    )
    bind(client, name, name, subjects, namespace, "Role")


def admins(client: Client) -> None:
    """The group of admin.conf."""
    bind(client, "kubeadm:cluster-admins", "cluster-admin", [("Group", pki.ADMINS)])


def stored_cluster(config: settings.Config) -> str:
    """The ClusterConfiguration as the cluster keeps it."""
    content = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
    } | config.cluster
    return yaml.safe_dump({name: one for name, one in content.items() if one not in ("", None)})


def upload_kubeadm(client: Client, config: settings.Config) -> None:
    """ConfigMap kubeadm-config."""
    config_map(client, SYSTEM, "kubeadm-config", {"ClusterConfiguration": stored_cluster(config)})
    read_role(client, SYSTEM, "kubeadm:nodes-kubeadm-config", "kubeadm-config", BOUND_TO_NODES)


def upload_kubelet(client: Client, config: settings.Config) -> None:
    """ConfigMap kubelet-config."""
    config_map(
        client,
        SYSTEM,
        "kubelet-config",
        {"kubelet": yaml.safe_dump(settings.kubelet_document(config))},
    )
    read_role(client, SYSTEM, "kubeadm:kubelet-config", "kubelet-config", BOUND_TO_NODES)


def token_secret(entry: Obj) -> Obj:
    """The Secret of a bootstrap token; its ttl counts from now."""
    match = TOKEN.match(entry["token"])
    assert match is not None
    data = {"token-id": match[1], "token-secret": match[2]}
    if entry.get("description"):
        data["description"] = entry["description"]
    until = _expiry(entry)
    if until:
        data["expiration"] = stamp(until)
    data |= {f"usage-bootstrap-{usage}": "true" for usage in entry["usages"]}
    if entry.get("groups"):
        data["auth-extra-groups"] = ",".join(entry["groups"])
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{match[1]}", "namespace": SYSTEM},
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in data.items()},
    }


def _expiry(entry: Obj) -> datetime | None:
    if entry.get("expires"):
        return datetime.fromisoformat(str(entry["expires"]).replace("Z", "+00:00"))
    length = duration(entry.get("ttl") or "0")
    if length.total_seconds() < 0:
        raise Fatal("the token's ttl is negative")
    return now() + length if length else None


def create_tokens(client: Client, entries: list[Obj]) -> None:
    """Make or replace the Secrets of bootstrap tokens."""
    for entry in entries:
        client.put(f"/api/v1/namespaces/{SYSTEM}/secrets", token_secret(entry))


def token_roles(client: Client) -> None:
    """What a holder of a bootstrap token, and then a node, may do."""
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    client.put(
        f"{RBAC_PATH}/clusterroles",
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "kubeadm:get-nodes"},
            "rules": rules,
        },
    )
    holders = [("Group", DEFAULT_NODE_TOKEN)]
    bind(client, "kubeadm:get-nodes", "kubeadm:get-nodes", holders)
    bind(client, "kubeadm:kubelet-bootstrap", "system:node-bootstrapper", holders)
    requests = "system:certificates.k8s.io:certificatesigningrequests"
    bind(client, "kubeadm:node-autoapprove-bootstrap", f"{requests}:nodeclient", holders)
    bind(
        client,
        "kubeadm:node-autoapprove-certificate-rotation",
        f"{requests}:selfnodeclient",
        [("Group", "system:nodes")],
    )
    bind(
        client,
        "kubeadm:apiserver-kubelet-client",
        "system:kubelet-api-admin",
        [("User", "kube-apiserver-kubelet-client")],
    )


def cluster_info(client: Client, config: settings.Config) -> None:
    """ConfigMap cluster-info in kube-public, which everybody may read."""
    authority = pki.load_pair(config.cluster["certificatesDir"], "ca")
    cluster = {
        "certificate-authority-data": base64.b64encode(
            pki.certificate_pem(authority.certificate)
        ).decode(),
        "server": f"https://{settings.endpoint(config)}",
    }
    content: Obj = {
        "apiVersion": "v1",
        "clusters": [{"cluster": cluster, "name": ""}],
        "contexts": None,
        "current-context": "",
        "kind": "Config",
        "preferences": {},
        "users": None,
    }
    config_map(client, "kube-public", "cluster-info", {"kubeconfig": yaml.safe_dump(content)})
    read_role(
        client,
        "kube-public",
        "kubeadm:bootstrap-signer-clusterinfo",
        "cluster-info",
        [("User", "system:anonymous")],
    )
