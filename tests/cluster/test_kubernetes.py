"""Kubernetes: its packages, each node's part in the cluster, certificates, the pod network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509

from formats import backup, kubernetes_version
from messages import verify as messages
from settings import Cluster, Node
from tests.cluster.connections import Connections
from tests.cluster.findings import (
    check_service,
    control_plane_logs,
    deploy,
    last_line,
    listed,
    wrong,
)
from tests.cluster.kubernetes import Kubernetes, condition

PACKAGES = ("kubeadm", "kubectl", "kubelet")
KUBELET_LOG = "sudo journalctl -u kubelet -n 50"
DAYS = 30  # that a certificate should still have; the kubelet renews its own long before
KUBELET_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
VERSIONS = "dpkg-query -W -f '${Package} ${Version}\\n' " + " ".join(PACKAGES)


def test_packages_are_held(host: Any) -> None:
    """packages held"""
    held = host.check_output("apt-mark showhold").split()
    if loose := [name for name in PACKAGES if name not in held]:
        wrong(messages.NOT_HELD(packages=listed(loose), deploy=deploy("packages")))


def test_versions(
    node: Node,
    cluster: Cluster,
    host: Any,
    connections: Connections,
    show: Callable[[str], None],
) -> None:
    """version"""
    found, step = versions(host), deploy("upgrade")
    if lacks := [name for name in PACKAGES if name not in found]:
        wrong(messages.NOT_INSTALLED(packages=listed(lacks), deploy=deploy("packages")))
    asked = kubernetes_version.parse_desired(cluster.kubernetes_version)
    # Without a control plane that answers, another node: at least this one does.
    nodes = [each.name for each in (*cluster.control_plane, *cluster.nodes)]
    other_node = next(name for name in nodes if name in connections.hosts)
    expected = versions(connections.hosts[other_node])
    for name, version in found.items():
        if version != (other := expected.get(name)):
            wrong(
                messages.VERSION_DIFFERS(
                    package=name, version=version, expected=other, node=other_node, deploy=step
                )
            )
        release = kubernetes_version.parse_package(version)
        if release is None or not asked.fits(release):
            wrong(
                messages.VERSION_UNEXPECTED(
                    package=name, version=version, expected=asked, deploy=step
                )
            )
    show(found["kubelet"].partition("-")[0])


def versions(host: Any) -> dict[str, str]:
    return dict(re.findall(r"(?m)^(\S+) (\S+)$", host.run(VERSIONS).stdout))


def test_kubelet(host: Any) -> None:
    """kubelet"""
    check_service(host, "kubelet", KUBELET_LOG, "packages", name="the kubelet")


def test_node_is_ready(node: Node, kubernetes: Kubernetes) -> None:
    """Ready"""
    item = kubernetes.node(node.name)
    ready = condition(item, "Ready")
    if ready["status"] != "True":
        reason = ready["message"].rstrip(".")
        wrong(messages.NOT_READY(reason=reason, node=node.name, command=KUBELET_LOG))
    if item["spec"].get("unschedulable"):
        wrong(messages.CORDONED(node=node.name))


def test_node_address(node: Node, kubernetes: Kubernetes) -> None:
    """node address"""
    addresses = kubernetes.node(node.name)["status"].get("addresses", [])
    found = [each["address"] for each in addresses if each["type"] == "InternalIP"]
    if found != [str(node.address)]:
        expected = node.address
        wrong(messages.NODE_ADDRESS(found=listed(found), expected=expected, node=node.name))


@pytest.mark.control_plane
def test_certificates(node: Node, host: Any, show: Callable[[str], None]) -> None:
    """certificates"""
    done = host.run("kubeadm certs check-expiration -o json")
    if done.rc:
        step = deploy("control_plane")
        wrong(messages.CERTIFICATES_UNREADABLE(reason=last_line(done), deploy=step))
    # kubeadm prints log lines before the JSON.
    found = json.loads(done.stdout[done.stdout.index("{") :])["certificates"]
    left = {each["name"]: each["residualTime"] // 86400 for each in found if not each["missing"]}
    show(f"{min(left.values())} days")
    if soon := {name: days for name, days in left.items() if days < DAYS}:
        text = listed(f"{name} ({days} days)" for name, days in soon.items())
        wrong(messages.CERTIFICATES_EXPIRE(certificates=text, deploy=deploy("certificates")))


def test_certificate_of_the_kubelet(host: Any, show: Callable[[str], None]) -> None:
    """kubelet certificate"""
    # Without the key, which is in the same file.
    text = host.run("sed -n '/BEGIN CERT/,/END CERT/p' %s", KUBELET_CERTIFICATE)
    if text.rc or not text.stdout:
        step = deploy("cluster")
        wrong(messages.KUBELET_CERTIFICATE_MISSING(path=KUBELET_CERTIFICATE, deploy=step))
    certificate = x509.load_pem_x509_certificate(text.stdout.encode())
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    show(f"{days} days")
    if days < DAYS:
        wrong(messages.KUBELET_CERTIFICATE_EXPIRES(days=days, deploy=deploy("certificates")))


def test_flannel(node: Node, host: Any) -> None:
    """flannel interface"""
    done = host.run("ip -json -details link show flannel.1")
    if done.rc:
        wrong(messages.FLANNEL_MISSING(remedy=restart_flannel(node)))
    link = json.loads(done.stdout)[0]
    if "UP" not in link["flags"]:
        wrong(messages.FLANNEL_DOWN())
    tunnel = link["linkinfo"]["info_data"]
    if (tunnel.get("local"), tunnel.get("link")) != (str(node.address), node.cluster_interface):
        wrong(
            messages.FLANNEL_ADDRESS(
                found=f"{tunnel.get('local')} on {tunnel.get('link')}",
                expected=f"{node.address} on {node.cluster_interface}",
                deploy=deploy("control_plane"),
            )
        )


def test_routes_to_pods(node: Node, host: Any, kubernetes: Kubernetes) -> None:
    """routes to other nodes' pods"""
    routes = json.loads(host.run("ip -json route show dev flannel.1").stdout or "[]")
    there = {route["dst"] for route in routes}
    for name, item in kubernetes.nodes().items():
        network = item["spec"].get("podCIDR")
        if not network:
            wrong(messages.NO_POD_NETWORK(node=name, remedy=control_plane_logs(kubernetes.asked)))
        if name != node.name and network not in there:
            remedy = restart_flannel(node)
            wrong(messages.POD_ROUTE(network=network, other=name, remedy=remedy))


def restart_flannel(node: Node) -> str:
    return (
        "See `kubectl -n kube-flannel logs -l app=flannel`, then restart flannel there: `kubectl "
        f"-n kube-flannel delete pod -l app=flannel --field-selector=spec.nodeName={node.name}`"
    )


@pytest.mark.control_plane
def test_log_of_etcd(node: Node, host: Any, cluster: Cluster) -> None:
    """etcd's log whole"""
    command = "find /var/lib/etcd/member/wal -name '*.broken' 2>/dev/null || true"
    if not (files := host.check_output(command).split()):
        return
    known = {each.name: backup.parse_name(each.name) for each in cluster.backups.glob("*")}
    taken = {name.taken: path for path, name in known.items() if name}
    newest = f"the newest backup is {taken[max(taken)]}" if taken else "there is no backup here"
    values = {"files": listed(files), "backup": newest, "node": node.name}
    wrong(messages.ETCD_CUT(deploy=deploy("restore"), **values))


@pytest.mark.first_control_plane
def test_no_join_token_is_left(node: Node, kubernetes: Kubernetes) -> None:
    """no join token"""
    names = kubernetes.kubectl(
        "get secrets -n kube-system -o name --field-selector=type=bootstrap.kubernetes.io/token"
    ).split()
    tokens = [name.removeprefix("secret/bootstrap-token-") for name in names]
    if tokens:
        arguments = " ".join(tokens)
        asked = kubernetes.asked
        wrong(messages.JOIN_TOKEN(tokens=listed(tokens), node=asked, arguments=arguments))
