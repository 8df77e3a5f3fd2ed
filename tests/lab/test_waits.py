"""
What is waited for in vain while a cluster comes up: a kubelet that keeps exiting, a node that is
gone. It is noticed, the node at fault is named, the others go on, and the remedy leads to the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from lab.api import Lab
from tests.cluster.findings import control_plane_logs
from tests.lab.runs import CLUSTER, MUST_END_S, NETWORK, Run, changes, ok, pyinfra, start
from tests.lab.test_kubernetes_faults import remedies

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

CONTROL_PLANE = ["deploys/control_plane.py"]
WORKERS = ["deploys/workers.py"]
NODES = ("node1", "node2", "node3")
KUBECTL = "sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf"
# Nothing that is noticed here is noticed because this time is up.
PATIENT = ["--data", f"nodes_ready_seconds={MUST_END_S}"]

DROP_IN = "/etc/systemd/system/kubelet.service.d/99-fault.conf"
# The last that a kubelet writes when it joins; kubelet.conf, which names it, is there before.
JOINED = "/var/lib/kubelet/pki/kubelet-client-current.pem"
# Once the node has joined, nothing of it reaches the API server. A unit that ended would be started
# again and again, for the file is still there.
RULE = "OUTPUT -p tcp --dport 6443 -j DROP"
MUTE = f"""sudo systemd-run --quiet --unit=mute --path-property=PathExists={JOINED} \
--property=RemainAfterExit=yes iptables -I {RULE}"""
HEARD = f"sudo systemctl stop mute.path mute.service; sudo iptables -D {RULE}"


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A control plane and two workers, ready for kubeadm."""
    made = new_lab("waits", in_use=True)
    made.up(workers=2)
    before = [*NETWORK, "deploys/prepare.py", "deploys/runtime.py", "deploys/packages.py"]
    run = pyinfra(made, "-y", deploys=before)
    assert run.status == 0, run.output
    yield made
    made.down()


@pytest.fixture
def cluster(lab: Lab) -> Lab:
    """The lab, and all nodes are in the cluster: what a test before this one left, or made here."""
    set_up(lab)
    return lab


def set_up(lab: Lab) -> None:
    """A run that ends well, and all nodes are Ready after it."""
    run = pyinfra(lab, "-y", deploys=[*CONTROL_PLANE, *WORKERS])
    assert run.status == 0, run.output
    assert ready(lab) == list(NODES)


def leave(lab: Lab, *nodes: str) -> None:
    """The cluster is without these workers, and they are as before their join."""
    for node in nodes:
        ok(lab.ssh(node, "sudo kubeadm reset -f"))
        ok(lab.ssh("node1", f"{KUBECTL} delete node {node}"))


def break_kubelet(lab: Lab, node: str, *lines: str) -> None:
    text = "\n".join(["[Service]", *lines, ""])
    ok(
        lab.ssh(
            node, f"sudo mkdir -p {DROP_IN.rpartition('/')[0]} && sudo tee {DROP_IN}", stdin=text
        )
    )
    ok(lab.ssh(node, "sudo systemctl daemon-reload"))


def mend_kubelet(lab: Lab, node: str) -> None:
    ok(lab.ssh(node, f"sudo rm {DROP_IN} && sudo systemctl daemon-reload"))


def is_told(run: Run, node: str, *words: str) -> None:
    """It failed on this node alone, which has one line of the reason, with all these words."""
    assert run.status != 0
    lines = [line for line in run.lines(node) if words[0] in line]
    assert len(lines) == 1, run.output
    assert [word for word in words if word not in lines[0]] == [], lines
    failures = re.findall(r"(?m)^(node\d) +\d+ +\d+ +(\d+) +[\d.]+ *$", run.output)
    assert [name for name, count in failures if count != "0"] == [node], run.output


def do_as_it_says(lab: Lab, run: Run, *expected: str) -> None:
    """The commands that a person is told to give, on the nodes that are named with them."""
    asked = remedies(run)
    assert [node for node, _ in asked] == list(expected), run.output
    for node, command in asked:
        ok(lab.ssh(node, command))


def test_a_kubelet_that_keeps_exiting_under_init_is_noticed_and_quoted(lab: Lab) -> None:
    break_kubelet(lab, "node1", "ExecStartPre=/bin/sh -c 'echo out of cheese; exit 3'")
    run = pyinfra(lab, "-y", deploys=CONTROL_PLANE)
    is_told(run, "node1", "(KUB013)", "out of cheese")
    again = pyinfra(lab, "-y", deploys=CONTROL_PLANE)
    is_told(again, "node1", "(KUB006)", "out of cheese")
    mend_kubelet(lab, "node1")
    do_as_it_says(lab, run, "node1")
    run = pyinfra(lab, "-y", deploys=CONTROL_PLANE)
    assert run.status == 0, run.output
    shows_phases(lab, run, "node1", "kubeadm init", "preflight", "certs", "addons")
    run = pyinfra(lab, "-y", deploys=WORKERS)
    assert run.status == 0, run.output
    shows_phases(lab, run, "node2", "kubeadm join", "preflight", "kubelet-start")
    assert ready(lab) == list(NODES)
    assert changes(lab, deploys=[*CONTROL_PLANE, *WORKERS]) == []


def test_verifys_remedy_for_a_silent_api_server_can_be_followed(cluster: Lab) -> None:
    match = re.fullmatch(r"See, on (\w+): `(.+)`", control_plane_logs("node1"))
    assert match
    for command in match[2].split("; "):
        assert ok(cluster.ssh(match[1], command))


def shows_phases(lab: Lab, run: Run, node: str, command: str, *phases: str) -> None:
    """kubeadm's phases, each once, and none of its lines; those are in the log."""
    shown = [line.partition(": ") for line in run.lines(node)]
    names = [name for who, _, name in shown if who == command]
    assert [name for name in names if name in phases] == list(phases), run.output
    assert len(names) == len(set(names)), run.output
    assert "[preflight] " not in run.output
    log = re.search(r"\S+\.log$", run.output, re.MULTILINE)
    assert log
    assert f"[{node}] [preflight] Running pre-flight checks" in (lab.project / log[0]).read_text()


def test_a_kubelet_that_keeps_exiting_under_join_is_noticed_and_the_others_join(
    cluster: Lab,
) -> None:
    leave(cluster, "node2", "node3")
    silent = "ExecStart=/bin/sh -c 'kill -9 $$$$'"
    break_kubelet(cluster, "node2", "ExecStart=", silent)
    run = pyinfra(cluster, "-y", deploys=WORKERS)
    is_told(run, "node2", "(KUB013)", "status=9/KILL")
    assert "node3" in ready(cluster)
    mend_kubelet(cluster, "node2")
    do_as_it_says(cluster, run, "node2")
    set_up(cluster)
    assert changes(cluster, deploys=[*CONTROL_PLANE, *WORKERS]) == []


def ready(lab: Lab) -> list[str]:
    lines = ok(lab.ssh("node1", f"{KUBECTL} get nodes --no-headers")).splitlines()
    return [line.split()[0] for line in lines if line.split()[1] == "Ready"]


def test_a_worker_that_dies_after_its_join_is_named_and_a_slow_one_is_waited_for(
    cluster: Lab,
) -> None:
    leave(cluster, "node2", "node3")
    for node in ("node2", "node3"):
        ok(cluster.ssh(node, MUTE))
    running = start(cluster, "-y", *PATIENT, deploys=WORKERS)
    assert running.stdout is not None
    said = []
    is_on = True
    for line in running.stdout:
        said.append(line)
        if is_on and "waiting: " in line and "node3: " in line:
            cluster.power_off("node3")
            is_on = False
        if "node3" in line and "(KUB055)" in line:
            ok(cluster.ssh("node2", HEARD))
    run = Run(running.wait(MUST_END_S), "".join(said))
    is_told(run, "node3", "(KUB055)")
    assert run.output.splitlines()[-1].startswith("node3: failed. "), run.output
    assert "node2" in ready(cluster)
    cluster.power_on("node3")
    set_up(cluster)


def test_a_kubelet_that_keeps_exiting_after_its_join_is_told_of_its_own_node(cluster: Lab) -> None:
    leave(cluster, "node3")
    line = f"ExecStartPre=/bin/sh -c 'test ! -e {JOINED} || {{ echo lost my way >&2; exit 1; }}'"
    break_kubelet(cluster, "node3", line)
    once = f"--path-property=PathExists={JOINED} --property=RemainAfterExit=yes"
    ok(cluster.ssh("node3", f"sudo systemd-run --quiet --unit=kill {once} systemctl kill kubelet"))
    run = pyinfra(cluster, "-y", *PATIENT, deploys=WORKERS)
    ok(cluster.ssh("node3", "sudo systemctl stop kill.path kill.service"))
    is_told(run, "node3", "(KUB012)", "lost my way")
    mend_kubelet(cluster, "node3")
    run = pyinfra(cluster, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    assert changes(cluster, deploys=CLUSTER) == []
