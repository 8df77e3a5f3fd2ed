"""What is removed after a reset: chains of Kubernetes and the jumps to them, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from facts.traces import LISTS, TracesState
from formats.node_record import Entry, NodeRecord
from messages import kubernetes as messages
from operations import node_record, teardown
from operations.base import HostFailure
from tests.shell import shell


class Named(NamedTuple):
    """Of a host, what is asked here."""

    name: str


# Everybody's rules, the comments of some of which look like a jump.
OTHERS = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:BRAMBLE-FORWARD - [0:0]
:MY-KUBE-RULES - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "not -j KUBE-FIREWALL \\"at\\" all" -j ACCEPT
-A INPUT -m comment --comment KUBE-FIREWALL -j MY-KUBE-RULES
-A FORWARD -j BRAMBLE-FORWARD
-A BRAMBLE-FORWARD -s 192.168.2.0/24 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE
COMMIT
"""
# What kube-proxy, flannel and the kubelet add: jumps from chains of all kinds, also with a goto.
KUBERNETES = """*filter
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:FLANNEL-FWD - [0:0]
-I INPUT -j KUBE-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A MY-KUBE-RULES -s 192.0.2.1/32 -g KUBE-FORWARD
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A FLANNEL-FWD -s 10.244.0.0/16 -j ACCEPT
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
COMMIT
*mangle
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
"""
SAVE = "iptables-save | sed -e '/^#/d' -e 's/\\[[0-9:]*\\]/[0:0]/'"


def isolated(script: str, *arguments: str) -> str:
    """Run a script in a network namespace of its own."""
    command = ["unshare", "--net", "sh", "-ec", script, "sh", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("backend", ["iptables", "iptables-nft"])
def test_only_kubernetes_chains_and_jumps_are_removed(backend: str) -> None:
    load = f'printf %s "$1" | {backend}-restore; printf %s "$2" | {backend}-restore --noflush;'
    save = SAVE.replace("iptables", backend)
    load = f"{LISTS} {teardown._CHAINS} {load}"
    saved = isolated(f"{load} {save}; remove_chains; echo ---; {save}", OTHERS, KUBERNETES)
    before, after = saved.split("---\n")
    assert "KUBE-SERVICES" in before
    # The table that Kubernetes alone had is gone.
    assert sorted(after.split("*")) == sorted(OTHERS.split("*"))
    # And once more: nothing is left to do.
    twice = isolated(f"{load} remove_chains; remove_chains; {save}", OTHERS, KUBERNETES)
    assert sorted(twice.split("*")) == sorted(OTHERS.split("*"))


@pytest.mark.parametrize(("hosts", "refused"), [((), True), (("node1",), False)])
def test_a_node_is_not_reset_without_the_control_plane_that_drains_it(
    monkeypatch: pytest.MonkeyPatch, hosts: tuple[str, ...], refused: bool
) -> None:
    state = FakeState()
    state.activated_hosts = frozenset(map(Named, hosts))
    monkeypatch.setattr(teardown, "read", lambda *_, **__: TracesState(()))
    operation: Any = teardown.reset
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    with ctx_state.use(state), ctx_host.use(create_host(state, facts={})):
        if not refused:
            assert list(inner(drained_by="node1")) == []
            return
        with pytest.raises(HostFailure) as reason:
            list(inner(drained_by="node1"))
    assert reason.value.args[0].message is messages.NOT_DRAINED_BY


def test_labels_are_forgotten_before_the_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is cut off in the reset finds nothing of Kubernetes the next time."""
    record = NodeRecord({"label node4 role": Entry(), "unit x": Entry()}, complete=True)
    done: list[Any] = []
    monkeypatch.setattr(node_record, "write", lambda host, change: done.append(change(record)))
    monkeypatch.setattr(teardown, "start_reset", lambda host, copy: done.append("reset"))
    monkeypatch.setattr(teardown, "follow_reset", lambda host: True)
    host: Any = Named("node1")
    assert teardown._reset(FakeState(), host, "", None, "", running=False)
    assert (list(done[0].entries), done[1]) == (["unit x"], "reset")


def test_the_kubelet_is_not_started_by_a_boot_while_kubeadm_removes_the_data_of_etcd(
    tmp_path: Path,
) -> None:
    """A power cut would leave etcd's manifest without its data: an empty cluster."""
    log = f'echo "${{0##*/}} $*" >> {tmp_path}/log'
    kubeadm = f"{log}; exit 3"
    done = shell(
        teardown._RESET, "", tools=tmp_path, systemctl=log, sync=log, find="exit 9", kubeadm=kubeadm
    )
    assert done.returncode == 3, done.stderr
    called = (tmp_path / "log").read_text().splitlines()
    assert called[-4:] == [
        "systemctl disable --quiet kubelet",
        "sync -f /etc/systemd/system",
        "kubeadm reset -f",
        "systemctl enable --quiet kubelet",
    ]
