"""flannel: what is applied, and when nothing is."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from formats import flannel as manifest
from formats.manifests import word
from messages import kubernetes, sdcard
from operations import flannel
from operations.base import HostFailure

MANIFEST = """\
kind: Namespace
apiVersion: v1
metadata: {name: kube-flannel}
---
kind: ConfigMap
apiVersion: v1
metadata: {name: kube-flannel-cfg, namespace: kube-flannel}
data: {net-conf.json: '{"Network": "10.244.0.0/16"}'}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec: {template: {spec: {containers: [{name: kube-flannel, args: [--kube-subnet-mgr]}]}}}
"""
PODS = {
    "observedGeneration": 1,
    "desiredNumberScheduled": 1,
    "numberAvailable": 1,
    "updatedNumberScheduled": 1,
    "availableReplicas": 2,
    "updatedReplicas": 2,
}
SYSTEM: list[dict[str, Any]] = [
    {"kind": "DaemonSet", "metadata": {"name": "kube-proxy", "namespace": "kube-system"}},
    {
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "spec": {"replicas": 2},
    },
    {
        "kind": "Node",
        "metadata": {"name": "node1"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    },
]
WAIT = [
    "kube-flannel/daemonset/kube-flannel-ds",
    "kube-system/daemonset/kube-proxy",
    "kube-system/deployment/coredns",
]


@pytest.fixture
def pinned(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "kube-flannel.yml"
    path.write_text(MANIFEST)
    return {
        "url": str(path),
        "checksum": sha256(MANIFEST.encode()).hexdigest(),
        "folder": str(tmp_path / "kept"),
    }


def commands(pinned: dict[str, str], live: list[dict[str, Any]]) -> list[Any]:
    state = FakeState()
    wanted = manifest.adapted(MANIFEST, "10.245.0.0/16", "eth0")
    names = ["nodes", *map(word, wanted), *WAIT[1:]]
    fact = {"answers": True, "objects": live, "why": ""}
    host = create_host(state, facts={"kubectl.Objects": {f"names={names}": fact}})
    operation: Any = flannel.flannel
    with ctx_state.use(state), ctx_host.use(host):
        return list(made(operation, pinned))


def made(operation: Any, pinned: dict[str, str]) -> Iterator[Any]:
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    yield from inner(**pinned, pod_network="10.245.0.0/16", interface="eth0")


def live() -> list[dict[str, Any]]:
    wanted = manifest.adapted(MANIFEST, "10.245.0.0/16", "eth0")
    things: list[dict[str, Any]] = [*wanted, *SYSTEM]
    return [{"status": PODS, **thing} for thing in things]


def test_blank_cluster_gets_the_whole_manifest_server_side(pinned: dict[str, str]) -> None:
    apply, wait = commands(pinned, SYSTEM)
    assert isinstance(apply, StringCommand)
    assert str(apply).startswith("kubectl --kubeconfig=/etc/kubernetes/admin.conf apply")
    assert "--server-side" in str(apply)
    text: Any = apply.connector_arguments["_stdin"]
    sent = list(yaml.safe_load_all(text))
    assert sent == manifest.adapted(MANIFEST, "10.245.0.0/16", "eth0")
    assert isinstance(wait, FunctionCommand)
    assert wait.args == ([], WAIT, 300)


def test_an_unchanged_manifest_is_not_applied(pinned: dict[str, str]) -> None:
    assert commands(pinned, live()) == []


def test_pods_that_are_not_ready_are_waited_for_without_applying(pinned: dict[str, str]) -> None:
    there = live()
    there[2]["status"] = {**PODS, "numberAvailable": 0}
    (wait,) = commands(pinned, there)
    assert isinstance(wait, FunctionCommand)


def test_a_manual_change_is_reverted(pinned: dict[str, str]) -> None:
    there = live()
    there[1]["data"]["net-conf.json"] = '{"Network": "10.244.0.0/16"}'
    apply, _ = commands(pinned, there)
    assert "apply" in str(apply)


def test_another_file_than_the_pinned_one_is_refused(pinned: dict[str, str]) -> None:
    pinned["checksum"] = "0" * 64
    with pytest.raises(HostFailure) as reason:
        commands(pinned, SYSTEM)
    assert reason.value.args[0].message is sdcard.WRONG_CHECKSUM


def test_a_manifest_that_is_not_flannels_is_refused(pinned: dict[str, str]) -> None:
    Path(pinned["url"]).write_text("<html>")
    pinned["checksum"] = sha256(b"<html>").hexdigest()
    with pytest.raises(HostFailure) as reason:
        commands(pinned, SYSTEM)
    assert reason.value.args[0].message is kubernetes.BAD_MANIFEST
