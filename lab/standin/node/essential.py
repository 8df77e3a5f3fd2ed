"""The two addons that kubeadm init applies: CoreDNS and kube-proxy."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import ipaddress

import yaml

from . import config as settings
from . import images, kubeconfig
from .addons import DEFAULT_NODE_TOKEN, RBAC_PATH, bind, config_map, read_role
from .client import Client
from .common import SYSTEM, Obj
from .resources import RBAC


def _account(client: Client, name: str) -> None:
    client.put(
        f"/api/v1/namespaces/{SYSTEM}/serviceaccounts",
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": SYSTEM},
        },
    )


def _apply(client: Client, plural: str, content: Obj) -> None:
    """
    Make a workload, or replace its spec when it is there (init again with everything ignored).
    """
    path = f"/apis/apps/v1/namespaces/{SYSTEM}/{plural}"
    if client.get(f"{path}/{content['metadata']['name']}") is None:
        client.request("POST", path, content)
    else:
        client.merge(f"{path}/{content['metadata']['name']}", {"spec": content["spec"]})


def coredns(client: Client, config: settings.Config) -> None:
    """CoreDNS: Deployment, Service kube-dns, ConfigMap, account."""
    domain = config.cluster["networking"]["dnsDomain"]
    corefile = f".:53 {{\n    errors\n    health\n    ready\n    kubernetes {domain} in-addr.arpa ip6.arpa {{\n       pods insecure\n       fallthrough in-addr.arpa ip6.arpa\n    }}\n    forward . /etc/resolv.conf\n    cache 30\n    loop\n    reload\n}}\n"
    config_map(client, SYSTEM, "coredns", {"Corefile": corefile})
    _account(client, "coredns")
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        }
    ]
    client.put(
        f"{RBAC_PATH}/clusterroles",
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": rules,
        },
    )
    bind(client, "system:coredns", "system:coredns", [("ServiceAccount", "coredns")])
    labels = {"k8s-app": "kube-dns"}
    network = ipaddress.ip_network(config.cluster["networking"]["serviceSubnet"].split(",")[0])
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": SYSTEM,
            "labels": labels | {"kubernetes.io/name": "CoreDNS"},
        },
        "spec": {
            "clusterIP": str(network[10]),
            "ports": ports,
            "selector": labels,
            "type": "ClusterIP",
        },
    }
    client.put(f"/api/v1/namespaces/{SYSTEM}/services", service)
    spec = {
        "containers": [
            {
                "name": "coredns",
                "image": images.coredns(config.cluster),
                "args": ["-conf", "/etc/coredns/Corefile"],
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"},
        ],
    }
    meta = {"name": "coredns", "namespace": SYSTEM, "labels": labels}
    _apply(
        client,
        "deployments",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        },
    )


def kube_proxy(client: Client, config: settings.Config) -> None:
    """kube-proxy: DaemonSet, ConfigMap, account."""
    proxy = {
        "config.conf": yaml.safe_dump(settings.proxy_document(config)),
        "kubeconfig.conf": yaml.safe_dump(_proxy_kubeconfig(config)),
    }
    config_map(client, SYSTEM, "kube-proxy", proxy)
    read_role(client, SYSTEM, "kube-proxy", "kube-proxy", [("Group", DEFAULT_NODE_TOKEN)])
    _account(client, "kube-proxy")
    labels = {"k8s-app": "kube-proxy"}
    command = [
        "/usr/local/bin/kube-proxy",
        "--config=/var/lib/kube-proxy/config.conf",
        "--hostname-override=$(NODE_NAME)",
    ]
    spec = {
        "containers": [
            {
                "name": "kube-proxy",
                "image": images.component(config.cluster, "kube-proxy"),
                "command": command,
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "hostNetwork": True,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-node-critical",
        "serviceAccountName": "kube-proxy",
        "tolerations": [{"operator": "Exists"}],
    }
    meta = {"name": "kube-proxy", "namespace": SYSTEM, "labels": labels}
    _apply(
        client,
        "daemonsets",
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": meta,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        },
    )


def _proxy_kubeconfig(config: settings.Config) -> Obj:
    user = {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}
    return kubeconfig.document(
        f"https://{settings.endpoint(config)}", "default", "default", b"", user
    )
