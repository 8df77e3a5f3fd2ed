"""Kubernetes: its packages, each node's part in the cluster, certificates, the pod network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509

from formats import kubernetes_version
from settings import Cluster, Node
from tests.cluster.connections import Connections
from tests.cluster.kubernetes import Kubernetes, condition
from tests.cluster.words import deploy, listed, said, wrong

PACKAGES = ("kubeadm", "kubectl", "kubelet")
KUBELET_LOG = "sudo journalctl -u kubelet -n 50"
DAYS = 30  # that a certificate should still have; the kubelet renews its own long before
KUBELET_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
VERSIONS = "dpkg-query -W -f '${Package} ${Version}\\n' " + " ".join(PACKAGES)


def test_packages_are_held(host: Any) -> None:
    """packages held"""
    held = host.check_output("apt-mark showhold").split()
    if loose := [name for name in PACKAGES if name not in held]:
        wrong(f"`apt upgrade` would upgrade {listed(loose)}", deploy("packages"))


def test_versions(
    node: Node,
    cluster: Cluster,
    host: Any,
    connections: Connections,
    show: Callable[[str], None],
) -> None:
    """one version everywhere"""
    found = versions(host)
    if lacks := [name for name in PACKAGES if name not in found]:
        wrong(f"{listed(lacks)} not installed", deploy("packages"))
    asked = kubernetes_version.parse_wanted(cluster.kubernetes_version)
    first = cluster.first_control_plane.name
    control_plane = connections.hosts.get(first)
    wanted = versions(control_plane) if control_plane else found
    for name, version in found.items():
        if version != wanted.get(name):
            wrong(
                f"{name} is {version}; it is {wanted.get(name)} on {first}",
                f"complete the upgrade, on {first}: kubeadm upgrade plan",
            )
        release = kubernetes_version.parse_package(version)
        if release is None or not asked.fits(release):
            wrong(f"{name} is {version}; the settings say {asked}", deploy("packages"))
    show(found["kubelet"].partition("-")[0])


def versions(host: Any) -> dict[str, str]:
    return dict(re.findall(r"(?m)^(\S+) (\S+)$", host.run(VERSIONS).stdout))


def test_kubelet(host: Any) -> None:
    """kubelet"""
    service = host.service("kubelet")
    if not service.is_running:
        wrong("the kubelet does not run", KUBELET_LOG)
    if not service.is_enabled:
        wrong("the kubelet will not be started at boot", deploy("packages"))


def test_node_is_ready(node: Node, kubernetes: Kubernetes) -> None:
    """Ready"""
    thing = kubernetes.node(node.name)
    ready = condition(thing, "Ready")
    if ready["status"] != "True":
        wrong(f"it is not Ready: {ready['message']}", f"on {node.name}: {KUBELET_LOG}")
    if thing["spec"].get("unschedulable"):
        wrong("it takes no new pods", f"kubectl uncordon {node.name}")


def test_node_address(node: Node, kubernetes: Kubernetes) -> None:
    """its address in the cluster"""
    addresses = kubernetes.node(node.name)["status"].get("addresses", [])
    found = [each["address"] for each in addresses if each["type"] == "InternalIP"]
    if found != [str(node.address)]:
        wrong(
            f"the cluster knows it at {listed(found)}; it should be {node.address}",
            f"on {node.name}: --node-ip={node.address} in /var/lib/kubelet/kubeadm-flags.env, "
            "then: sudo systemctl restart kubelet",
        )


@pytest.mark.control_plane
def test_certificates(node: Node, host: Any, show: Callable[[str], None]) -> None:
    """certificates"""
    done = host.run("kubeadm certs check-expiration -o json")
    if done.rc:
        wrong(f"kubeadm cannot tell how long they last: {said(done)}", deploy("control_plane"))
    # kubeadm speaks of its doings before the JSON.
    found = json.loads(done.stdout[done.stdout.index("{") :])["certificates"]
    left = {each["name"]: each["residualTime"] // 86400 for each in found if not each["missing"]}
    show(f"{min(left.values())} days")
    if soon := {name: days for name, days in left.items() if days < DAYS}:
        text = listed(f"{name} ({days} days)" for name, days in soon.items())
        wrong(
            f"they end soon: {text}",
            f"on {node.name}: sudo kubeadm certs renew all; sudo systemctl reboot. "
            f"Then here: {deploy('access')}",
        )


def test_certificate_of_the_kubelet(host: Any, show: Callable[[str], None]) -> None:
    """the kubelet's certificate"""
    # The key in the same file stays where it is.
    text = host.run("sed -n '/BEGIN CERT/,/END CERT/p' %s", KUBELET_CERTIFICATE)
    if text.rc or not text.stdout:
        wrong(f"there is no {KUBELET_CERTIFICATE}", deploy("workers"))
    certificate = x509.load_pem_x509_certificate(text.stdout.encode())
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    show(f"{days} days")
    if days < DAYS:
        wrong(
            f"it ends in {days} days: the kubelet should have renewed it",
            "sudo systemctl restart kubelet; sudo journalctl -u kubelet | grep -i certif",
        )


def test_flannel(node: Node, host: Any) -> None:
    """flannel.1"""
    done = host.run("ip -json -details link show flannel.1")
    if done.rc:
        wrong("there is no interface flannel.1", look_at_flannel(node))
    link = json.loads(done.stdout)[0]
    if "UP" not in link["flags"]:
        wrong("flannel.1 is down", "sudo ip link set flannel.1 up")
    tunnel = link["linkinfo"]["info_data"]
    if (tunnel.get("local"), tunnel.get("link")) != (str(node.address), node.cluster_interface):
        wrong(
            f"flannel.1 goes from {tunnel.get('local')} on {tunnel.get('link')}; it should go "
            f"from {node.address} on {node.cluster_interface}",
            deploy("control_plane"),
        )


def test_routes_to_pods(node: Node, host: Any, kubernetes: Kubernetes) -> None:
    """routes to the others' pods"""
    routes = json.loads(host.run("ip -json route show dev flannel.1").stdout or "[]")
    there = {route["dst"] for route in routes}
    for name, thing in kubernetes.nodes().items():
        network = thing["spec"].get("podCIDR")
        if name != node.name and network and network not in there:
            wrong(f"no route leads to {name}'s pods, {network}", look_at_flannel(node))


def look_at_flannel(node: Node) -> str:
    return (
        "kubectl -n kube-flannel logs -l app=flannel; "
        f"then end {node.name}'s pod there, and another one is made"
    )


@pytest.mark.control_plane
def test_no_join_token_is_left(node: Node, kubernetes: Kubernetes) -> None:
    """no join token left"""
    names = kubernetes.kubectl(
        "get secrets -n kube-system -o name --field-selector=type=bootstrap.kubernetes.io/token"
    ).split()
    tokens = [name.removeprefix("secret/bootstrap-token-") for name in names]
    if tokens:
        wrong(
            f"a join token is left, {listed(tokens)}: whoever has it can join the cluster",
            f"on {node.name}: sudo kubeadm token delete {' '.join(tokens)}",
        )
