"""What a restored cluster knows, against what its nodes run."""

from __future__ import annotations

from typing import Any

from formats.restored import compare, reporting


def pod(name: str, node: str, uid: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": uid, "annotations": annotations}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}}


def lease(name: str, renewed: str, namespace: str = "kube-node-lease") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"kind": "Lease", "metadata": metadata, "spec": {"renewTime": renewed}}


def test_pods_of_one_side_only() -> None:
    objects = [
        pod("stays", "node2", "1"),
        pod("again", "node2", "2"),
        pod("static-node2", "node2", "3", **{"kubernetes.io/config.mirror": "0"}),
        pod("elsewhere", "node9", "4"),
        {"kind": "Node", "metadata": {"name": "node2"}},
    ]
    found = compare(objects, {"node2": {"1": "default/stays", "9": "a/later"}, "node3": {}})
    assert found.unknown == ("a/later on node2",)
    assert found.again == ("default/again on node2",)


def test_a_pod_that_waits_for_a_node_is_not_compared() -> None:
    waiting = pod("waits", "", "1")
    del waiting["spec"]["nodeName"]
    assert compare([waiting], {"node2": {}}).again == ()


def test_nodes_report_when_their_leases_are_newer_than_the_restore() -> None:
    since = 1764469800  # 2025-11-30 02:30 UTC
    objects = [
        lease("node1", "2025-11-30T02:30:01.000000Z"),
        lease("node2", "2025-11-30T02:29:59.999999Z"),
        lease("kube-scheduler", "2025-11-30T02:31:00.000000Z", "kube-system"),
    ]
    assert reporting(objects, since) == {"node1"}
