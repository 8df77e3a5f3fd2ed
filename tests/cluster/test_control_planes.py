"""Several control planes: the members of etcd, and the address that one of them holds at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from formats import etcd
from formats.unreadable import Unreadable
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
from tests.cluster.kubernetes import Kubernetes

pytestmark = pytest.mark.several_control_planes

# etcdctl of the image of etcd, which has no shell. Members that do not answer are listed as well,
# with exit status 1.
_PKI = "/etc/kubernetes/pki/etcd"
ETCDCTL = f"""running=$(ctr -n k8s.io tasks ls | awk '$3 == "RUNNING" {{{{ print $1 }}}}');
id=$(ctr -n k8s.io containers ls -q 'labels."io.kubernetes.container.name"==etcd,\
labels."io.cri-containerd.kind"==container' | grep -xF -e "$running" | head -n1);
[ -n "$id" ] || {{{{ echo "no container of etcd runs" >&2; exit 1; }}}};
ctr -n k8s.io tasks exec --exec-id "verify-$$" "$id" etcdctl --endpoints https://127.0.0.1:2379 \
--cacert {_PKI}/ca.crt --cert {_PKI}/healthcheck-client.crt --key {_PKI}/healthcheck-client.key \
--command-timeout=5s {{}} -w json </dev/null"""
MEMBERS, HEALTH = (
    ETCDCTL.format(command) for command in ("member list", "endpoint health --cluster")
)


@pytest.mark.control_plane
def test_etcd(node: Node, cluster: Cluster, connections: Connections, host: Any) -> None:
    """etcd members"""
    done = host.run("sh -c %s", MEMBERS)
    if done.rc:
        remedy = control_plane_logs(node.name)
        silent = messages.ETCD_SILENT(reason=last_line(done), remedy=remedy)
        wrong(connections.no_majority() or silent)
    health = host.run("sh -c %s", HEALTH).stdout
    try:
        members = etcd.parse(done.stdout, health)
    except Unreadable as error:
        wrong(messages.ETCD_SILENT(reason=error, remedy=control_plane_logs(node.name)))
    expected = {each.name: str(each.address) for each in cluster.control_plane}
    unknown = [each for each in members if expected.get(each.name) not in each.peers]
    if unknown:
        texts = [f"{each.name or 'one that never started'} ({each.id})" for each in unknown]
        about = {"node": node.name, "context": cluster.kube_context, "pki": _PKI}
        wrong(messages.ETCD_MEMBER_UNKNOWN(members=listed(texts), **about))
    if learners := [each.name for each in members if not each.is_started_voter]:
        wrong(messages.ETCD_LEARNER(members=listed(learners), deploy=deploy("cluster")))
    if lacks := sorted(expected.keys() - {each.name for each in members}):
        wrong(messages.ETCD_MEMBER_MISSING(nodes=listed(lacks), deploy=deploy("cluster")))
    if ill := [each.name for each in members if not each.is_healthy]:
        away = [name for name in ill if name not in connections.hosts]
        values = {"count": len(members), "members": listed(ill)}
        wrong(messages.ETCD_UNHEALTHY(**values, remedy=_return(away) or control_plane_logs(ill[0])))


def _return(away: Sequence[str]) -> str:
    """The remedy for members of etcd whose nodes do not answer; "" for none."""
    if not away:
        return ""
    return (
        f"Switch on {listed(away)}, or correct its network; if its SD card is dead, write a new "
        f"one with deploys/sdcard.py, boot the board, and run `{deploy('cluster')}`"
    )


@pytest.mark.control_plane
def test_keepalived(node: Node, host: Any) -> None:
    """keepalived"""
    check_service(host, "keepalived", "sudo journalctl -u keepalived -n 50", "control_plane")


@pytest.mark.first_control_plane
def test_no_keys_are_uploaded(node: Node, kubernetes: Kubernetes) -> None:
    """no uploaded keys"""
    secret = "kubeadm-certs"
    if kubernetes.kubectl(f"get secret -n kube-system {secret} --ignore-not-found -o name").strip():
        wrong(messages.KEYS_UPLOADED(secret=secret, node=kubernetes.asked))


def test_address_is_held_once(cluster: Cluster, connections: Connections) -> None:
    """control plane address"""
    address = str(cluster.control_plane_address)
    holders = []
    for each in cluster.control_plane:
        if each.name in connections.hosts:
            shown = connections.hosts[each.name].check_output("ip -4 -json address show")
            found = [info["local"] for link in json.loads(shown) for info in link["addr_info"]]
            holders += [each.name] if address in found else []
    if len(holders) > 1:
        wrong(messages.ADDRESS_HELD_TWICE(address=address, nodes=listed(holders)))
    absent = [each.name for each in cluster.control_plane if each.name not in connections.hosts]
    if not holders:
        away = f"; no connection to {listed(absent)}" if absent else ""
        silent = messages.ADDRESS_NOT_HELD(address=address, away=away)
        wrong(connections.no_majority() or silent)
