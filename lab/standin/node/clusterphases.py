"""The phases of kubeadm init that talk to the new API."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import time

from . import addons, essential, kubeconfig, manifests, service
from . import config as settings
from .client import ApiError, Client, Unreachable
from .common import Fatal, duration, go_duration, root, say
from .nodephases import (
    Run,
)

CURRENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"


def wait_control_plane(run: Run) -> None:
    """[wait-control-plane]: the admin user first, as the real one does."""
    timeouts = run.config.init["timeouts"]
    until = time.monotonic() + duration(timeouts["kubernetesAPICall"]).total_seconds()
    start = time.monotonic()
    while True:
        try:
            addons.admins(Client.from_document(kubeconfig.load("/etc/kubernetes/super-admin.conf")))
            break
        except (Unreachable, ApiError) as error:
            if time.monotonic() > until:
                text = str(error).replace(
                    'clusterrolebindings"', 'clusterrolebindings?timeout=10s"'
                )
                raise Fatal(
                    f"error execution phase wait-control-plane: cannot obtain client without bootstrap: could not bootstrap the admin user in file admin.conf: unable to create ClusterRoleBinding: {text}"
                ) from None
        time.sleep(0.5)
    say(
        f'[wait-control-plane] Waiting for the kubelet to boot up the control plane as static Pods from directory "{manifests.DIRECTORY}"'
    )
    service.wait_healthy(
        duration(timeouts["kubeletHealthCheck"]).total_seconds(), "wait-control-plane"
    )
    limit = duration(timeouts["controlPlaneComponentHealthCheck"]).total_seconds()
    say(
        f"[control-plane-check] Waiting for healthy control plane components. This can take up to {go_duration(limit)}"
    )
    point = run.config.init["localAPIEndpoint"]
    urls = {
        "kube-apiserver": f"https://{point['advertiseAddress']}:{point['bindPort']}/livez",
        "kube-controller-manager": "https://127.0.0.1:10257/healthz",
        "kube-scheduler": "https://127.0.0.1:10259/livez",
    }
    for component, url in urls.items():
        say(f"[control-plane-check] Checking {component} at {url}")
    for component in urls:
        say(
            f"[control-plane-check] {component} is healthy after {go_duration(time.monotonic() - start)}"
        )


def upload_kubeadm(run: Run) -> None:
    """[upload-config]"""
    say(
        '[upload-config] Storing the configuration used in ConfigMap "kubeadm-config" in the "kube-system" Namespace'
    )
    addons.upload_kubeadm(run.client(), run.config)


def upload_kubelet(run: Run) -> None:
    """[kubelet]"""
    say(
        '[kubelet] Creating a ConfigMap "kubelet-config" in namespace kube-system with the configuration for the kubelets in the cluster'
    )
    addons.upload_kubelet(run.client(), run.config)


def upload_certs(_: Run) -> None:
    """[upload-certs]"""
    say("[upload-certs] Skipping phase. Please see --upload-certs")


def mark_control_plane(run: Run) -> None:
    """[mark-control-plane], once the kubelet has registered its node."""
    registration = run.config.init["nodeRegistration"]
    name, taints = settings.node_name(registration), registration["taints"]
    labels = [
        "node-role.kubernetes.io/control-plane",
        "node.kubernetes.io/exclude-from-external-load-balancers",
    ]
    say(
        f"[mark-control-plane] Marking the node {name} as control-plane by adding the labels: [{' '.join(labels)}]"
    )
    if taints:
        say(
            f"[mark-control-plane] Marking the node {name} as control-plane by adding the taints [{' '.join(one['key'] + ':' + one['effect'] for one in taints)}]"
        )
    client = run.client()
    until = (
        time.monotonic()
        + duration(run.config.init["timeouts"]["kubernetesAPICall"]).total_seconds()
    )
    while (node := client.get(f"/api/v1/nodes/{name}")) is None:
        if time.monotonic() > until:
            raise Fatal(
                f'error execution phase mark-control-plane: error applying control-plane label and taints: nodes "{name}" not found'
            )
        time.sleep(0.2)
    kept = [
        one
        for one in node["spec"].get("taints") or []
        if one["key"] not in {own["key"] for own in taints}
    ]
    client.merge(
        f"/api/v1/nodes/{name}",
        {"metadata": {"labels": dict.fromkeys(labels, "")}, "spec": {"taints": kept + taints}},
    )


def bootstrap_token(run: Run) -> None:
    """[bootstrap-token]"""
    client, tokens = run.client(), run.config.init["bootstrapTokens"]
    say(f"[bootstrap-token] Using token: {tokens[0]['token']}")
    say("[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles")
    addons.create_tokens(client, tokens)
    addons.token_roles(client)
    for what in (
        "to allow Node Bootstrap tokens to get nodes",
        "to allow Node Bootstrap tokens to post CSRs in order for nodes to get long term certificate credentials",
        "to allow the csrapprover controller automatically approve CSRs from a Node Bootstrap Token",
        "to allow certificate rotation for all node client certificates in the cluster",
        "to allow the API server kubelet client certificate to access the kubelet API",
    ):
        say(f"[bootstrap-token] Configured RBAC rules {what}")
    say('[bootstrap-token] Creating the "cluster-info" ConfigMap in the "kube-public" namespace')
    addons.cluster_info(client, run.config)


def kubelet_finalize(_: Run) -> None:
    """[kubelet-finalize]"""
    path = "/etc/kubernetes/kubelet.conf"
    say(
        f'[kubelet-finalize] Updating "{path}" to point to a rotatable kubelet client certificate and key'
    )
    content = kubeconfig.load(path)
    if root(CURRENT).exists():
        content["users"][0]["user"] = {"client-certificate": CURRENT, "client-key": CURRENT}
        kubeconfig.save(path, content)


def coredns(run: Run) -> None:
    """[addons]"""
    essential.coredns(run.client(), run.config)
    say("[addons] Applied essential addon: CoreDNS")


def kube_proxy(run: Run) -> None:
    """[addons]"""
    essential.kube_proxy(run.client(), run.config)
    say("[addons] Applied essential addon: kube-proxy")
