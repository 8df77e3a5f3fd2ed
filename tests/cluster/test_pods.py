"""Pods: one on each node, in a namespace of their own, which is removed afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from messages import verify as messages
from settings import Cluster, Node
from tests.cluster.findings import last_line, listed, wrong
from tests.cluster.kubernetes import KUBECTL, Kubernetes

NAMESPACE = "bramble-verify"
SERVE = 'mkdir /tmp/www && echo "$NODE" > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www'
READY = 120  # seconds, with the image to fetch
SYSTEM_PODS = "See `kubectl -n kube-system get pods; kubectl -n kube-flannel get pods`"


@pytest.fixture(scope="session")
def pods(
    cluster: Cluster, kubernetes: Kubernetes, pytestconfig: pytest.Config
) -> Iterator[Kubernetes]:
    """A pod `on-NODE` on each node that answers, which serves its name under that Service."""
    if pytestconfig.getoption("no_pods"):
        pytest.skip("--no-pods")
    image = pytestconfig.getoption("pod_image")
    remove = f"delete namespace {NAMESPACE} --ignore-not-found --timeout=60s"
    kubernetes.kubectl(remove)  # what an interrupted run left
    try:
        kubernetes.kubectl(f"create namespace {NAMESPACE}")
        here = [node for node in cluster.nodes if node.name in kubernetes.connections.hosts]
        objects = [each for node in here for each in (pod(node, image), service(node))]
        kubernetes.create(objects)
        done = kubernetes.control_plane.run(
            f"{KUBECTL} -n {NAMESPACE} wait --for=condition=Ready pod --all --timeout={READY}s"
        )
        if done.rc:
            wrong(messages.PODS_NOT_READY(seconds=READY, reason=last_line(done)))
        yield kubernetes
    finally:
        kubernetes.kubectl(remove)


def pod(node: Node, image: str) -> dict[str, Any]:
    name = f"on-{node.name}"
    container = {
        "name": "verify",
        "image": image,
        "command": ["sh", "-c", SERVE],
        "env": [{"name": "NODE", "value": node.name}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node.name},
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    meta = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def service(node: Node) -> dict[str, Any]:
    name = f"on-{node.name}"
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def inside(pods: Kubernetes, node: Node, command: str) -> Any:
    """Run a command in the node's pod; its errors are in stdout, since kubectl adds a line."""
    return pods.control_plane.run(
        f"{KUBECTL} -n {NAMESPACE} exec on-{node.name} -- sh -c %s", f"{command} 2>&1 || true"
    )


@pytest.mark.usefixtures("host")
def test_dns_in_pods(node: Node, cluster: Cluster, pods: Kubernetes) -> None:
    """DNS in pods"""
    done = inside(pods, node, "nslookup kubernetes.default.svc.cluster.local")
    # The server's own address, which is shown first, may begin with the one that is looked for.
    address = re.escape(str(cluster.service_network[1]))
    if not re.search(rf"(?<![\d.]){address}(?![\d.])", done.stdout):
        reason = last_line(done)
        wrong(messages.POD_DNS(node=node.name, reason=reason, remedy=SYSTEM_PODS))


@pytest.mark.usefixtures("host")
def test_services_across_nodes(node: Node, cluster: Cluster, pods: Kubernetes) -> None:
    """Services on other nodes"""
    here = pods.connections.hosts
    others = [other.name for other in cluster.nodes if other != node and other.name in here]
    if not others:
        pytest.skip("no other node is there")
    unreachable = []
    for name in others:
        done = inside(pods, node, f"wget -qO- -T 5 http://on-{name}")
        if done.stdout.strip() != name:
            unreachable.append(f"{name} ({last_line(done)})")
    if unreachable:
        nodes = listed(unreachable)
        wrong(messages.SERVICES(node=node.name, nodes=nodes, remedy=SYSTEM_PODS))
