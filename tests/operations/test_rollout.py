"""A roll-out: what an interrupted one has left, when none begins, and when a node is back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state

import runs
from facts.etcd import EtcdState
from facts.kubectl import ClusterObjects
from facts.livez import Livez
from formats.etcd import Member
from formats.pods import CORDON, PENDING
from messages import kubernetes as kubernetes_messages
from messages import rollout as messages
from operations import rollout
from operations.base import HostFailure
from operations.kubelet_watch import KubeletWatch
from operations.nodes import control_planes
from operations.nodes.control_planes import ControlPlanes
from operations.rollout import checks, turn, waiting
from operations.rollout.work import Rollout
from remote.failures import Unreachable
from runs import lock
from tests.fake_node import Host
from tests.formats.test_pods import budget, of, pod

DEPLOY = "deploys/reboot.py"
MINE = f"{DEPLOY} since 2026-11-29T18:00:00Z"
OTHER = "deploys/upgrade.py since 2026-11-29T18:00:00Z"
NAMES = ("node1", "node2", "node3")
ONE, TWO, THREE = ADDRESSES = ("192.168.2.11", "192.168.2.12", "192.168.2.13")
FIRST = ControlPlanes({"node1": ONE}, ONE)
PLANES = ControlPlanes(dict(zip(NAMES, ADDRESSES, strict=True)), "192.168.2.10")


def node(name: str, ready: str = "True", boot: str = "b1", notes: Any = None, **spec: Any) -> Any:
    condition = {"type": "Ready", "status": ready, "message": "silent"}
    return {
        "kind": "Node",
        "metadata": {"name": name, "annotations": notes or {}},
        "spec": spec,
        "status": {"conditions": [condition], "nodeInfo": {"bootID": boot}},
    }


def cordoned(name: str, note: str | None = MINE, **more: Any) -> Any:
    return node(name, notes={CORDON: note} if note else {}, unschedulable=True, **more)


def begun(*nodes: Any, **more: Any) -> Rollout:
    """A roll-out of a run with all of these nodes, and what another has left."""
    here = Rollout(deploy=DEPLOY, nodes=NAMES, **{"planes": FIRST} | more)
    here.continue_from({each["metadata"]["name"]: each for each in nodes}, NAMES)
    here.objects = list(nodes)
    return here


def test_a_cordon_that_an_interrupted_run_left_is_work() -> None:
    here = begun(node("node1"), cordoned("node2"), cordoned("node3", OTHER))
    assert here.order == ["node2"]
    assert here.work == {}
    # Another's cordon, and a note whose cordon somebody has undone, are none.
    assert begun(cordoned("node1", None), node("node2", notes={CORDON: MINE})).order == []


def test_what_was_asked_for_is_continued_with_those_that_are_left() -> None:
    """Another boot than at the begin shows that a node is done."""
    asked = dict.fromkeys(NAMES, "all")
    tokens = {"node1": "b1", "node2": "b2", "node3": "b1"}
    pending = {PENDING: f"{DEPLOY} b1"}
    here = begun(
        node("node1"),
        node("node2", notes=pending),
        node("node3", notes=pending),
        asked=dict(asked),
        tokens=tokens,
    )
    assert list(here.work) == ["node3"]
    assert here.order == ["node2", "node3"]
    assert here.asked == {}
    here = begun(*map(node, NAMES), asked=asked, work={"node2": ["a reboot is required"]})
    assert here.work == {"node1": ["all"], "node2": ["a reboot is required"], "node3": ["all"]}
    assert here.order == list(NAMES)


@contextmanager
def run(*failed: str) -> Iterator[Any]:
    hosts: dict[str, Any] = {name: Host(name) for name in NAMES}
    state = SimpleNamespace(
        failed_hosts={hosts[name] for name in failed},
        inventory=SimpleNamespace(get_host=hosts.get),
        is_executing=True,
    )
    for each in hosts.values():
        each.state = state
    with ctx_state.use(state), ctx_host.use(hosts["node1"]):
        yield state


def reasons(here: Rollout, *failed: str, unwell: str = "", etcd: Any = None) -> list[Any]:
    with run(*failed):
        return [said.message for said in checks.obstacles(here, unwell, etcd)]


def members(*addresses: str, sick: str = "", learner: str = "") -> EtcdState:
    """etcd has members at these addresses."""
    of_all = [
        Member(each, each, (each,), each == learner, each not in (sick, learner))
        for each in addresses
    ]
    return EtcdState("listed", of_all)


def test_nothing_begins_while_something_is_away_or_unwell() -> None:
    work = {"node2": ["why"]}
    well = begun(*map(node, NAMES), work=work)
    assert reasons(well) == []
    assert reasons(well, "node3") == [messages.OTHER_FAILED]
    assert reasons(well, unwell="etcd") == [messages.CONTROL_PLANE_UNWELL]
    away = begun(node("node1"), node("node2"), node("node3", "Unknown"), work=work)
    assert reasons(away) == [messages.NODE_AWAY]
    # The node that is away already may be worked on, unless another comes first.
    alone = begun(node("node1"), node("node2", "Unknown"), node("node3"), work=work)
    assert reasons(alone) == []
    alone.work["node1"] = ["why"]
    assert reasons(alone) == [messages.NODE_AWAY]


def test_pods_that_are_an_obstacle_on_any_node_are_named_beforehand() -> None:
    here = begun(*map(node, NAMES), work={"node2": ["why"], "node3": ["why"]})
    here.objects += [pod("solo", None, "node2"), pod("web-1"), budget(0, 1, 1)]
    assert reasons(here) == [kubernetes_messages.BARE_PODS, kubernetes_messages.BUDGET_NEVER_MET]
    del here.work["node2"]
    assert reasons(here) == [kubernetes_messages.BUDGET_NEVER_MET]


@pytest.mark.parametrize(
    ("name", "of_etcd", "message"),
    [
        ("node2", members(*ADDRESSES), None),
        ("node2", members(*ADDRESSES, sick=TWO), None),
        ("node2", members(*ADDRESSES, sick=THREE), messages.MEMBERS_UNWELL),
        # Two tolerate no failure, whether or not a third one is joining.
        ("node2", members(ONE, TWO), messages.MAJORITY_LOST),
        ("node2", members(*ADDRESSES, learner=THREE), messages.MAJORITY_LOST),
        ("node2", members(*ADDRESSES, "a", "b", sick="a"), messages.MEMBERS_UNWELL),
        # etcd goes without it already.
        ("node3", members(*ADDRESSES, sick=THREE, learner=TWO), None),
        # It is the only one, or none.
        ("node1", members(ONE), None),
        ("node3", members(ONE, TWO), None),
        ("node2", EtcdState("silent", [], "no leader"), kubernetes_messages.ETCD_NOT_ASKED),
    ],
)
def test_a_control_plane_is_worked_on_while_etcd_does_without_it(
    name: str, of_etcd: EtcdState, message: Any
) -> None:
    here = begun(*map(node, NAMES), planes=PLANES, work={name: ["why"]})
    assert reasons(here, etcd=of_etcd) == ([message] if message else [])


def test_a_control_plane_that_answers_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node that is worked on is asked last; one that is away, or has no quorum, is passed."""
    monkeypatch.setattr(control_planes, "_PAUSE_S", 0)
    with run() as state:
        hosts = [state.inventory.get_host(name) for name in NAMES]

        def asked(of: str, *answers: Any) -> str:
            for host, answer in zip(hosts, answers, strict=True):
                host.node.fact = partial(answered, answer)
            return PLANES.asked(state, of, seconds=0).name

        def answered(answer: Any, fact: Any) -> Any:
            if answer is None:
                raise Unreachable("no route")
            return answer

        well, silent = members(*ADDRESSES), EtcdState("silent", [], "no leader")
        assert asked("node3", well, well, well) == "node1"
        assert asked("node1", well, well, well) == "node2"
        assert asked("node1", well, silent, well) == "node3"
        assert asked("node2", None, well, well) == "node3"
        assert asked("node1", well, EtcdState("absent", []), None) == "node1"
        with pytest.raises(HostFailure) as failure:
            asked("node1", silent, silent, None)
        assert failure.value.args[0].message is kubernetes_messages.ETCD_NOT_ASKED


def test_a_member_of_etcd_takes_part_again_once_it_is_healthy() -> None:
    with run() as state:
        host = state.inventory.get_host("node1")
        for observed, well in (
            (members(*ADDRESSES), True),
            (members(*ADDRESSES, sick=TWO), False),
            (members(*ADDRESSES, sick=THREE), True),
            (members(*ADDRESSES, learner=TWO), False),
            (EtcdState("silent", [], "no leader"), False),
        ):
            host.node.fact = lambda *_, observed=observed: observed
            assert (control_planes.unwell_member(host, TWO) == "") is well


class Cluster:
    """node1 has a cluster; node2 is worked on."""

    current: Cluster

    def __init__(self, state: Any, *nodes: Any, **more: Any) -> None:
        self.state, self.boot, self.unwell = state, "b1", ""
        self.nodes = {each["metadata"]["name"]: each for each in nodes}
        self.here = begun(*nodes, ready_seconds=60, drain_seconds=60, **more)
        self.pods: list[Any] = []
        self.renewals = iter(range(100))
        self.patches: list[tuple[str, Any]] = []
        self.away = 0
        self.first, self.node = (state.inventory.get_host(name) for name in ("node1", "node2"))
        self.first.node.fact, self.node.node.fact = self.of_cluster, lambda *_: self.boot
        self.first.node.answer = self.patched

    def of_cluster(self, fact: Any, *words: Any) -> Any:
        if self.away:
            self.away -= 1
            raise Unreachable("no route")
        if isinstance(fact, Livez):
            return self.unwell
        lease = {"kind": "Lease", "metadata": {"name": "node2", "namespace": "kube-node-lease"}}
        lease |= {"spec": {"renewTime": str(next(self.renewals))}}
        on_node = any(name.endswith("spec.nodeName=node2") for name in words[0])
        pods = [each for each in self.pods if not on_node or each["spec"]["nodeName"] == "node2"]
        return ClusterObjects(True, [*self.nodes.values(), *pods, lease])

    def patched(self, script: str, *words: str, stdin: str | None = None) -> list[str]:
        assert "patch node" in script, script
        self.patches.append((words[0], json.loads(words[1])))
        return []


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits, no kubelet exits, and the API server is asked directly."""
    monkeypatch.setattr(waiting, "_PAUSE_S", 0)
    monkeypatch.setattr(KubeletWatch, "failure", lambda self: None)
    monkeypatch.setattr(turn, "cluster_nodes", lambda host: Cluster.current.nodes)
    monkeypatch.setattr(lock, "of", lambda state: SimpleNamespace(hold=lambda host: None))


def ended(*nodes: Any, change: Any = None, **more: Any) -> Cluster:
    """What is done on the cluster when node2 was worked on."""
    with run() as state:
        Cluster.current = found = Cluster(state, *nodes, **more)
        if change:
            change(found)
        turn.end(state, found.node, found.here)
        return found


UNDONE = {"metadata": {"annotations": {CORDON: None}}, "spec": {"unschedulable": None}}


def test_only_a_cordon_of_the_same_deploy_is_undone() -> None:
    assert ended(node("node1"), cordoned("node2")).patches == [("node2", UNDONE)]
    assert ended(node("node1"), cordoned("node2"), work={"node2": ["x"]}).here.finished == {"node2"}
    for note in (None, OTHER):
        assert ended(node("node1"), cordoned("node2", note)).patches == []
    # Somebody has uncordoned it: the note goes, so that no later cordon is taken for this one.
    alone = ended(node("node1"), node("node2", notes={CORDON: MINE})).patches
    assert alone == [("node2", UNDONE | {"spec": {}})]


def seconds_up(found: Cluster) -> None:
    found.here.ready_seconds = -1


def test_a_node_is_back_when_it_reports_and_all_is_well() -> None:
    def not_reported(found: Cluster) -> None:
        seconds_up(found)
        found.boot = "b2"

    def silent(found: Cluster) -> None:
        seconds_up(found)
        found.renewals = iter([7] * 100)

    def waiting_pod(found: Cluster) -> None:
        seconds_up(found)
        found.boot = found.nodes["node2"]["status"]["nodeInfo"]["bootID"] = "b2"
        found.here.objects = json.loads(json.dumps(found.here.objects))
        found.here.objects[1]["status"]["nodeInfo"]["bootID"] = "b1"
        found.pods = [pod("flannel-1", "DaemonSet", "node2", conditions=[])]

    def old_pod(found: Cluster) -> None:
        waiting_pod(found)
        statuses = [{"containerID": "containerd://1", "state": {"running": {}}}]
        found.pods = [pod("flannel-1", "DaemonSet", "node2", containerStatuses=statuses)]
        found.here.objects += found.pods

    def unwell(found: Cluster) -> None:
        waiting_pod(found)
        found.pods, found.unwell = [], "etcd"

    for change, reason in (
        (not_reported, "its kubelet has not reported yet"),
        (silent, "its kubelet has not reported yet"),
        (old_pod, "its pods have not reported yet"),
        (waiting_pod, "pods are not Ready: default/flannel-1"),
        (unwell, "the API server is not well: etcd"),
    ):
        with pytest.raises(HostFailure) as failure:
            ended(node("node1"), cordoned("node2"), change=change)
        said = failure.value.args[0]
        assert said.message is messages.NOT_READY_AGAIN
        assert said.values["reason"] == reason


def test_a_pod_that_was_not_ready_before_is_not_waited_for() -> None:
    def broken(found: Cluster) -> None:
        found.pods = [pod("broken-1", "DaemonSet", "node2", conditions=[])]
        found.here.objects = [*found.here.objects, *found.pods]

    assert ended(node("node1"), cordoned("node2"), change=broken).patches == [("node2", UNDONE)]


def test_pods_that_were_evicted_are_waited_for_before_the_next_node() -> None:
    """But not those that no node takes, or of a controller that was in trouble before."""

    def moved(found: Cluster) -> None:
        seconds_up(found)
        found.here.objects = [*found.here.objects, of("sick", "sick-1", "node3", [])]
        found.pods = [of("sick", "sick-2", "node1", []), of("big", "big-1", "", [])]
        found.pods[1]["spec"]["nodeSelector"] = {"size": "big"}
        found.boot = "b2"
        found.here.objects = json.loads(json.dumps(found.here.objects))
        found.here.objects[1]["status"]["nodeInfo"]["bootID"] = "b1"

    def starting(found: Cluster) -> None:
        moved(found)
        found.pods.append(of("web", "web-2", "node3", []))

    nodes = node("node1"), cordoned("node2", boot="b2")
    assert ended(*nodes, change=moved).here.finished == {"node2"}
    with pytest.raises(HostFailure) as failure:
        ended(*nodes, change=starting)
    assert failure.value.args[0].message is messages.PODS_NOT_BACK
    assert failure.value.args[0].values["pods"] == "default/web-2"


def test_a_connection_that_is_lost_meanwhile_is_waited_for() -> None:
    def lost(found: Cluster) -> None:
        found.away = 3

    assert ended(node("node1"), cordoned("node2"), change=lost).patches == [("node2", UNDONE)]


def test_no_node_is_begun_while_another_is_away() -> None:
    with run() as state:
        Cluster.current = found = Cluster(
            state, node("node1"), node("node2"), node("node3", "Unknown"), work={"node2": ["x"]}
        )
        with pytest.raises(HostFailure) as failure:
            turn.begin(state, found.node, found.here)
    assert failure.value.args[0].message is messages.NODE_AWAY
    assert found.patches == []


def test_one_whose_kubelet_is_silent_is_cordoned_alone() -> None:
    with run() as state:
        Cluster.current = found = Cluster(
            state, node("node1"), node("node2", "Unknown"), node("node3"), work={"node2": ["x"]}
        )
        turn.begin(state, found.node, found.here)
    ((name, patch),) = found.patches
    assert name == "node2"
    assert patch["spec"] == {"unschedulable": True}
    assert patch["metadata"]["annotations"][CORDON].startswith(f"{DEPLOY} since 20")


def test_what_was_asked_for_is_noted_on_all_before_the_first() -> None:
    with run() as state:
        Cluster.current = found = Cluster(
            state,
            *(node(name, "Unknown" if name == "node2" else "True") for name in NAMES),
            asked={"node2": "all", "node3": "all"},
            tokens={"node2": "b1", "node3": "b1"},
        )
        turn.begin(state, found.node, found.here)
    noted = [name for name, patch in found.patches if PENDING in patch["metadata"]["annotations"]]
    assert noted == ["node2", "node3"]
    assert found.here.asked == {}


def test_once_a_node_has_failed_nothing_more_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "noop", lambda *_: None, raising=False)
    monkeypatch.setattr(Host, "current_op_hash", "", raising=False)
    inner = getattr(rollout.done._inner, "__wrapped__", rollout.done._inner)
    with run("node2") as state:
        here = runs.of(state).part(Rollout)
        here.nodes, here.work, here.finished = NAMES, {key: ["x"] for key in NAMES}, {"node1"}
        list(inner("node2"))
        list(inner("node2"))
        (said,) = state.inventory.get_host("node1").said
        assert said.message is messages.STOPPED
        assert said.values == {"node": "node2", "left": "node3"}
        assert runs.of(state).stopped
