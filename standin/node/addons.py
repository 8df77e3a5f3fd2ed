"""
What kubeadm init puts into the new cluster: configuration, roles, tokens, CoreDNS, kube-proxy.

The objects are templates: they have the real names, and the fields that kubectl and people look at.
"""

from __future__ import annotations

import base64
import ipaddress

import yaml

from . import config as settings
from . import images, kubeconfig
from .client import Client
from .common import SYSTEM, Obj, duration, now, root, stamp, tell, template
from .resources import path_of

DEPLOYMENTS = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments"
PODS = f"/api/v1/namespaces/{SYSTEM}/pods"
SECRETS = f"/api/v1/namespaces/{SYSTEM}/secrets"


def apply(client: Client, name: str, **values: str) -> None:
    """Make or replace the objects of a template."""
    for content in template(name, **values):
        client.put(path_of(content), content)


def config_map(client: Client, namespace: str, name: str, data: dict[str, str]) -> None:
    """Make or replace a ConfigMap."""
    meta = {"name": name, "namespace": namespace}
    content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
    client.put(path_of(content), content)


def upload_kubeadm(client: Client, config: settings.Config) -> None:
    """Store the ConfigMap kubeadm-config."""
    tell("upload-config")
    about = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration"}
    given = {name: one for name, one in (about | config.cluster).items() if one != ""}
    config_map(client, SYSTEM, "kubeadm-config", {"ClusterConfiguration": yaml.safe_dump(given)})
    role = "kubeadm:nodes-kubeadm-config"
    apply(client, "config-role", role=role, config_map="kubeadm-config")


def upload_kubelet(client: Client, config: settings.Config) -> None:
    """Store the ConfigMap kubelet-config."""
    tell("upload-kubelet")
    text = yaml.safe_dump(settings.kubelet_document(config))
    config_map(client, SYSTEM, "kubelet-config", {"kubelet": text})
    apply(client, "config-role", role="kubeadm:kubelet-config", config_map="kubelet-config")


def cluster_info(client: Client, config: settings.Config) -> None:
    """Store the ConfigMap cluster-info in kube-public, which everybody may read."""
    authority = root(f"{config.cluster['certificatesDir']}/ca.crt").read_bytes()
    content = kubeconfig.document(f"https://{settings.endpoint(config)}", "", "", authority, {})
    content |= {"contexts": None, "current-context": "", "users": None, "preferences": {}}
    config_map(client, "kube-public", "cluster-info", {"kubeconfig": yaml.safe_dump(content)})
    apply(client, "cluster-info-role")


def secret_text(secret: Obj, name: str) -> str:
    """Return a value of a Secret's data."""
    return base64.b64decode(secret.get("data", {}).get(name, "")).decode()


def token_secret(entry: Obj) -> Obj:
    """Return the Secret of a bootstrap token; its ttl counts from now."""
    name, _, secret = entry["token"].partition(".")
    data = {"token-id": name, "token-secret": secret, "description": entry.get("description")}
    if length := duration(entry["ttl"]):
        data["expiration"] = stamp(now() + length)
    data |= {f"usage-bootstrap-{usage}": "true" for usage in entry["usages"]}
    data["auth-extra-groups"] = ",".join(entry["groups"])
    encoded = {key: base64.b64encode(one.encode()).decode() for key, one in data.items() if one}
    meta = {"name": f"bootstrap-token-{name}", "namespace": SYSTEM}
    about = {"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token"}
    return about | {"metadata": meta, "data": encoded}


def apply_addons(client: Client, config: settings.Config) -> None:
    """Make CoreDNS and kube-proxy, or replace them when init runs again."""
    networking = config.cluster["networking"]
    network = ipaddress.ip_network(networking["serviceSubnet"])
    token = {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}
    server = f"https://{settings.endpoint(config)}"
    own = kubeconfig.document(server, "default", "default", b"", token)
    files = {"config.conf": settings.proxy_document(config), "kubeconfig.conf": own}
    data = {name: yaml.safe_dump(one) for name, one in files.items()}
    config_map(client, SYSTEM, "kube-proxy", data)
    values = {"domain": networking["dnsDomain"], "address": str(network[10])}
    for name in ("CoreDNS", "kube-proxy"):
        image = images.of_cluster(config.cluster)[name.lower()]
        apply(client, name.lower(), image=image, **values)
        tell("addon", name=name)
