"""
Something is wrong with one node, or with the settings: one clear line, the others go on, nothing
is waited for in vain. And the power goes in the middle of the first run: the next one completes it.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from lab.api import Lab
from lab.kubernetes import PORT
from messages import codes
from tests.lab.clusters import TWO_NODES
from tests.lab.runs import (
    CLUSTER,
    MUST_END_S,
    NETWORK,
    Run,
    build,
    changes,
    differences,
    fresh,
    ok,
    pyinfra,
    snapshot,
    start,
)

pytestmark = pytest.mark.slow

NODES = ("node1", "node2")
PREPARE, RUNTIME = ["deploys/prepare.py"], ["deploys/runtime.py"]
PACKAGES, WORKERS = ["deploys/packages.py"], ["deploys/workers.py"]

# CUTS=10 for ten power cuts, minutes each: chance decides what they hit; CUTS_SEED as printed for
# the same moments again.
CUTS = int(os.environ.get("CUTS", "3"))
SEED = int(os.environ.get("CUTS_SEED", random.randrange(1000)))
LONGEST_RUN_S = 70  # of a run on fresh nodes; a cut after its end hits a finished cluster

# /etc and /var on a disk of their own, that has so much room.
SMALL_DISK = """sudo mount -t tmpfs -o size={room} tmpfs /mnt
for d in etc var; do sudo mkdir /mnt/$d /mnt/.$d && sudo mount -t overlay overlay \
-o lowerdir=/$d,upperdir=/mnt/$d,workdir=/mnt/.$d /$d || exit; done"""
WHOLE_DISK = "sudo umount -l /etc /var /mnt"

SWAP = "Filename Type Size Used Priority\\n/var/swap file 1048572 0 -2\\n"
MORE_SWAP = f"printf '{SWAP}' | sudo tee /run/swaps && sudo mount --bind /run/swaps /proc/swaps"

# A node may not set the clock (it is this machine's), so another program tells the time.
LATE = r"""sudo cp /usr/bin/date /run/lab-date
printf '#!/bin/sh\nexec /run/lab-date -d "-2 hours" "$@"\n' | sudo tee /run/late >/dev/null
sudo chmod 755 /run/late && sudo mount --bind /run/late /usr/bin/date"""
IN_TIME = "sudo umount /usr/bin/date && sudo rm /run/late /run/lab-date"

# What no deploy looks at: packages that are there in part, files that hold nothing.
HALF_DONE = r"""dpkg --audit
dpkg --verify | grep -vE ' c /| /usr/share/(doc|man|locale|info|lint)|keep$'
find /etc/kubernetes /etc/containerd /etc/cni /etc/apt /etc/sysctl.d /etc/modules-load.d \
  /etc/network /etc/systemd/system /var/lib/kubelet /home/pi/.kube -type f -size 0 ! -name '.*'"""


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A control plane and a worker, ready for Kubernetes' packages."""
    made = new_lab("faults", TWO_NODES, in_use=True)
    build(made, [*NETWORK, *PREPARE, *RUNTIME])
    yield made
    made.down()


@contextmanager
def fault(lab: Lab, begin: str, end: str, node: str = "node2") -> Iterator[None]:
    """Something is wrong with a node for a while."""
    ok(lab.ssh(node, begin))
    try:
        yield
    finally:
        ok(lab.ssh(node, end))


def says(run: Run, node: str, *words: str) -> None:
    """It failed, and this node has one line of the reason, with all these words."""
    assert run.status != 0
    lines = [line for line in run.lines(node) if words[0] in line]
    assert len(lines) == 1, run.output
    assert [word for word in words if word not in lines[0]] == [], lines
    assert run.lines(node)[-1] == lines[0], run.output
    assert run.counts(node)[2] == 1, run.output


def goes_on(run: Run, node: str) -> None:
    assert run.counts(node)[2] == 0, run.output


def everyone_says(lab: Lab, deploys: list[str], data: str, *words: str) -> None:
    """With this setting every node refuses, and nothing on them has changed."""
    before = snapshot(lab)
    run = pyinfra(lab, "-y", "--data", data, deploys=deploys)
    for node in NODES:
        says(run, node, *words)
    assert differences(before, snapshot(lab)) == []


# --- settings that can't be ----------------------------------------------------------------------


def test_a_containerd_too_old_for_the_wanted_kubernetes_is_refused_before_any_change(
    lab: Lab,
) -> None:
    reason = ("(CRI001)", "Kubernetes 1.37", "containerd 1.7", 'kubernetes_version to "1.36"')
    everyone_says(lab, RUNTIME, "kubernetes_version=1.37", *reason)


def test_a_key_with_another_fingerprint_is_refused(lab: Lab) -> None:
    wrong = "0123456789" * 4
    reason = ("(KUB049)", wrong, "/Release.key", "kubernetes_key_fingerprint")
    everyone_says(lab, PACKAGES, f'kubernetes_key_fingerprint="{wrong}"', *reason)


def test_a_repository_that_this_computer_can_not_reach_is_named(lab: Lab) -> None:
    url = f"http://{lab.plan.router}:1/deb/"
    reason = ("(KUB047)", f"{url}Release.key", "refused", "kubernetes_repository")
    everyone_says(lab, PACKAGES, f"kubernetes_repository={url}", *reason)


def test_a_version_that_there_is_not_is_answered_with_those_that_there_are(lab: Lab) -> None:
    assert pyinfra(lab, "-y", "--data", "kubernetes_version=newest").status != 0
    run = pyinfra(lab, "-y", "--data", "kubernetes_version=1.36.999", deploys=PACKAGES)
    for node in NODES:
        says(run, node, "(KUB053)", "Kubernetes 1.36.999, but 1.36.")
        assert lab.ssh(node, "command -v kubelet").returncode != 0


# --- one node's trouble --------------------------------------------------------------------------


def test_a_node_that_can_not_reach_the_repository(lab: Lab) -> None:
    rule = f"OUTPUT -p tcp -m multiport --dports {PORT},443 -j REJECT"
    with fault(lab, f"sudo iptables -I {rule}", f"sudo iptables -D {rule}"):
        run = pyinfra(lab, "-y", deploys=PACKAGES)
    says(run, "node2", "(NOD041)", "kubernetes.sources", "default route")
    goes_on(run, "node1")
    ok(lab.ssh("node1", "kubeadm version"))


def test_a_disk_without_room_for_the_packages(lab: Lab) -> None:
    with fault(lab, SMALL_DISK.format(room="40m"), WHOLE_DISK):
        run = pyinfra(lab, "-y", deploys=PACKAGES)
    says(run, "node2", "(KUB052)", "free for /var", "700 MB", "apt-get clean")
    goes_on(run, "node1")


def test_a_disk_without_room_for_a_file(lab: Lab) -> None:
    file = "/etc/sysctl.d/60-bramble-kubernetes.conf"
    fill = (
        f"{SMALL_DISK.format(room='64k')}; sudo rm {file}; sudo dd if=/dev/zero of=/mnt/fill || :"
    )
    with fault(lab, fill, WHOLE_DISK):
        run = pyinfra(lab, "-y", deploys=PREPARE)
    says(run, "node2", "(NOD046)", file)
    goes_on(run, "node1")


def test_swap_that_can_not_be_turned_off(lab: Lab) -> None:
    with fault(lab, MORE_SWAP, "sudo umount /proc/swaps && sudo rm /run/swaps"):
        run = pyinfra(lab, "-y", deploys=PREPARE)
    says(run, "node2", "(NOD011)", "/var/swap")
    goes_on(run, "node1")


def test_a_clock_far_off(lab: Lab) -> None:
    with fault(lab, LATE, IN_TIME):
        run = pyinfra(lab, "-y", deploys=PREPARE)
    # The kernel is this machine's: when NTP keeps it right, the node can only be believed.
    code = "(NOD030)" if "(NOD030)" in run.output else "(NOD031)"
    says(run, "node2", code, "behind")  # 2 hours, or 119 minutes
    goes_on(run, "node1")


@pytest.mark.long
def test_a_control_plane_that_a_worker_can_not_reach_is_told_and_the_next_run_joins(
    lab: Lab,
) -> None:
    run = pyinfra(lab, "-y", deploys=[*PACKAGES, "deploys/control_plane.py"])
    assert run.status == 0, run.output
    rule = "OUTPUT -p tcp --dport 6443 -j DROP"
    with fault(lab, f"sudo iptables -I {rule}", f"sudo iptables -D {rule}"):
        run = pyinfra(lab, "-y", deploys=WORKERS)
    says(run, "node2", "(KUB027)", "kubernetes-api:6443", "firewall", "again")
    goes_on(run, "node1")
    assert pyinfra(lab, "-y", deploys=[*WORKERS, "deploys/access.py"]).status == 0
    is_whole(lab)


# --- the power -----------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("number", range(CUTS))
def test_what_a_power_cut_interrupted_the_next_run_completes(lab: Lab, number: int) -> None:
    """Or it says what a person must do, and after just that the run after it completes."""
    chance = random.Random(SEED + number)
    victim, moment = NODES[(SEED + number) % 2], chance.uniform(1, LONGEST_RUN_S)
    print(f"CUTS_SEED={SEED + number}: {victim} loses its power after {moment:.1f} s")
    fresh(lab)
    has_reasons(cut_at(lab, victim, moment))
    lab.power_on(victim)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    print(run.output)
    if run.status != 0:
        asked = remedies(run)
        assert asked, "it failed, and says nobody what to do"
        for node, command in asked:
            print(f"As it says, on {node}: {command}")
            ok(lab.ssh(node, command))
        run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    is_whole(lab)


def cut_at(lab: Lab, victim: str, moment: float) -> Run:
    """Pull a node's plug so many seconds into a run, and let the run come to its end."""
    running = start(lab, "-y", deploys=CLUSTER)
    with suppress(subprocess.TimeoutExpired):  # chance is meant: no event says when
        running.wait(moment)
    lab.power_off(victim)
    try:
        said = running.communicate(timeout=MUST_END_S)[0]
    except subprocess.TimeoutExpired:
        running.kill()
        said = running.communicate()[0]
        raise AssertionError(f"the run did not end:\n{said}") from None
    print(said)
    return Run(running.returncode, said)


def has_reasons(run: Run) -> None:
    """Wherever it says that a node failed, it has said why."""
    assert "RUN004" not in codes(run.output), run.output
    for node in NODES:
        if re.search(rf"(?m)^{node}: failed\.", run.output):
            assert [line for line in run.lines(node) if line != "Connected"], run.output


def remedies(run: Run) -> list[tuple[str, str]]:
    """What a person is told to do: the node and the command."""
    return [
        (node, command[1])
        for node in NODES
        for line in run.lines(node)
        if "then run the same command again" in line and (command := re.search(r"`([^`]+)`", line))
    ]


def is_whole(lab: Lab) -> None:
    """All nodes are Ready, a run changes nothing, and nothing half-done is beneath it."""
    items = json.loads(ok(lab.run(["kubectl", "get", "nodes", "-o", "json"])))["items"]
    ready = {
        item["metadata"]["name"]: condition["status"]
        for item in items
        for condition in item["status"]["conditions"]
        if condition["type"] == "Ready"
    }
    assert ready == dict.fromkeys(NODES, "True")
    for node in NODES:
        assert ok(lab.ssh(node, f"sudo sh -c {shlex.quote(HALF_DONE)} || :")) == "", node
    assert changes(lab, deploys=CLUSTER) == []
