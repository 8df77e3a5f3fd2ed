"""deploys/patch.py: updates, one node after the other; what interrupts or asks does not stop it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab import executions
from tests.lab.clusters import TWO_NODES, all_are_ready, nodes
from tests.lab.packages import AGE, Package, install, offer, versions
from tests.lab.runs import Run, build, differences, ok, pyinfra, snapshot, start

NODES = ("node1", "node2")
DEPLOY = ["deploys/patch.py"]
# One that has a newer patch in the repository.
OLDER = "1.36.3"
KUBERNETES = ("kubeadm", "kubectl", "kubelet")
CONF = "/etc/lab-asks.conf"

# Asks by debconf, and at the terminal, which it has not; restarts what the node needs for pods.
QUESTION = """Template: lab-asks/question
Type: string
Description: What shall it be?
 A question without a default.
"""
CONFIG = """#!/bin/sh
. /usr/share/debconf/confmodule
db_input critical lab-asks/question || true
db_go
"""
ASKS = """#!/bin/sh
. /usr/share/debconf/confmodule
db_get lab-asks/question
read -r answer </dev/tty || true
[ -z "$2" ] || systemctl restart containerd kubelet
exit 0
"""
# Waits for the test in the middle of the installation.
WAITS = """#!/bin/sh
[ "$2" ] || exit 0
touch /run/lab-configuring
while [ -e /run/lab-wait ]; do sleep 0.2; done
exit 0
"""
FAILS = """#!/bin/sh
[ ! -e /etc/lab-fails ] || { echo "no such thing as a lab" >&2; exit 3; }
exit 0
"""
ASKS_FOR_REBOOT = """#!/bin/sh
[ "$2" ] || exit 0
touch /run/reboot-required; echo lab-kernel >> /run/reboot-required.pkgs
"""

pytestmark = pytest.mark.slow


def asks(version: str) -> Package:
    files = {CONF: f"written for {version}\n"}
    scripts = {"templates": QUESTION, "config": CONFIG, "postinst": ASKS}
    return Package("lab-asks", version, scripts, files, depends="debconf")


def plain(version: str) -> Package:
    return Package("lab-plain", version, {}, {"/usr/share/lab-plain": version})


def waits(version: str) -> Package:
    return Package("lab-waits", version, {"postinst": WAITS})


def fails(version: str) -> Package:
    return Package("lab-fails", version, {"postinst": FAILS})


def kernel(version: str) -> Package:
    return Package("lab-kernel", version, {"postinst": ASKS_FOR_REBOOT})


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A cluster, all of whose nodes have the first version of each package and no other updates."""
    made = new_lab("patch", TWO_NODES, in_use=True, kubernetes_version=OLDER)
    build(made)
    for node in NODES:
        install(made, node, *(each("1.0") for each in (asks, plain, waits, fails, kernel)))
    all_are_ready(made, *NODES)
    yield made
    made.down()


def patch(lab: Lab, *arguments: str) -> Run:
    return pyinfra(lab, "-y", *arguments, deploys=DEPLOY)


def go_on_when(lab: Lab, run: subprocess.Popen[str], words: str) -> str:
    """Let node2's package be configured once a run says so; the run succeeds; its output."""
    assert run.stdout is not None
    said = ""
    for line in run.stdout:
        said += line
        if words in line:
            ok(lab.console("node2", ["rm", "-f", "/run/lab-wait"]))
    assert run.wait() == 0, said
    return said


def everywhere(lab: Lab, *packages: Package) -> None:
    for node in NODES:
        offer(lab, node, *packages)


def cordons(lab: Lab) -> dict[str, str]:
    """The nodes that are cordoned, with bramble's notes."""
    return {
        name: node["metadata"].get("annotations", {}).get("bramble/cordon", "")
        for name, node in nodes(lab).items()
        if node["spec"].get("unschedulable")
    }


def boots(lab: Lab) -> dict[str, str]:
    command = ["cat", "/proc/sys/kernel/random/boot_id"]
    return {name: ok(lab.console(name, command)) for name in NODES}


def wait_for_configuring(lab: Lab, node: str) -> None:
    assert until(lambda: lab.console(node, ["test", "-e", "/run/lab-configuring"]).returncode == 0)


def nothing_is_left(lab: Lab, **wanted: str) -> None:
    """All have these versions, and no cordon; another run changes nothing."""
    names = {f"lab-{name}": version for name, version in wanted.items()}
    for node in NODES:
        found = versions(lab, node)
        assert {name: found.get(name) for name in names} == names
    assert cordons(lab) == {}
    all_are_ready(lab, *NODES)
    again = patch(lab)
    assert again.status == 0, again.output
    assert all(again.left_alone(node) for node in NODES), again.output


def test_nothing_to_do_costs_nothing(lab: Lab) -> None:
    assert patch(lab).status == 0  # fetches the lists
    before, booted = snapshot(lab), boots(lab)
    executions.spare(lab, NODES, lambda: patch(lab))
    assert differences(before, snapshot(lab)) == []
    assert boots(lab) == booted


def test_a_dry_run_tells_what_the_present_lists_have_and_changes_nothing(lab: Lab) -> None:
    offer(lab, "node2", plain("2.0"))
    ok(lab.ssh("node2", f"sudo apt-get -q update && sudo {AGE}"))
    ok(lab.ssh("node1", f"sudo {AGE}"))
    before = snapshot(lab)
    run = pyinfra(lab, "--dry", "--diff", deploys=DEPLOY)
    assert run.status == 0, run.output
    assert "other updates: lab-plain" in run.lines("node2")
    assert any("2 hours old" in line for line in run.lines("node2")), run.output
    assert any(line.startswith("no updates; ") for line in run.lines("node1")), run.output
    assert any(
        line.startswith("held at their version: ") and f"kubelet ({OLDER[:-1]}" in line
        for line in run.lines("node2")
    ), run.output
    assert differences(before, snapshot(lab)) == []
    assert versions(lab, "node2", "lab-plain") == {"lab-plain": "1.0"}
    assert cordons(lab) == {}


def test_updates_are_installed_without_a_question_and_kubernetes_stays(lab: Lab) -> None:
    everywhere(lab, asks("2.0"), plain("2.0"))
    offer(lab, "node2", asks("2.0"), plain("2.0"), kernel("2.0"))
    ok(lab.ssh("node2", f"echo mine | sudo tee {CONF}"))
    booted, kept = boots(lab), {node: versions(lab, node, *KUBERNETES) for node in NODES}
    run = patch(lab)
    assert run.status == 0, run.output
    assert f"{CONF} stays as it is; the new version is {CONF}.dpkg-dist" in run.lines("node2")
    assert ok(lab.ssh("node2", f"cat {CONF} {CONF}.dpkg-dist")) == "mine\nwritten for 2.0"
    assert ok(lab.ssh("node1", f"cat {CONF}")) == "written for 2.0"
    assert {node: versions(lab, node, *KUBERNETES) for node in NODES} == kept
    assert [node for node in NODES if boots(lab)[node] != booted[node]] == ["node2"]
    assert "ls: cannot" in lab.ssh("node1", "ls /var/cache/apt/archives/*.deb").stderr
    nothing_is_left(lab, asks="2.0", plain="2.0")


def test_the_power_goes_in_the_middle_of_dpkg(lab: Lab) -> None:
    offer(lab, "node2", waits("2.0"), plain("2.1"))
    ok(lab.ssh("node2", "sudo touch /run/lab-wait"))
    run = start(lab, "-y", deploys=DEPLOY)
    wait_for_configuring(lab, "node2")
    lab.power_off("node2")
    run.communicate()
    assert run.returncode != 0
    lab.power_on("node2")
    assert versions(lab, "node2", "lab-waits") == {}
    assert "deploys/patch.py since 20" in cordons(lab)["node2"]
    again = patch(lab)
    assert again.status == 0, again.output
    assert versions(lab, "node2", "lab-plain", "lab-waits") == {
        "lab-plain": "2.1",
        "lab-waits": "2.0",
    }
    nothing_is_left(lab)


def test_dpkgs_journal_of_an_interruption_is_completed(lab: Lab) -> None:
    """All packages are installed, and apt still refuses to do anything."""
    journal = "/var/lib/dpkg/updates/0001"
    ok(lab.ssh("node2", f"dpkg-query --status lab-plain | sudo tee {journal}"))
    assert "dpkg was interrupted" in lab.ssh("node2", "sudo apt-get -f install").stderr
    run = patch(lab, "--limit", "node2")
    assert run.status == 0, run.output
    assert lab.ssh("node2", f"ls {journal}").returncode != 0
    nothing_is_left(lab)


def test_a_run_that_is_killed_is_continued_by_another_computer(lab: Lab, tmp_path: Path) -> None:
    """The installation goes on; the second run follows it to its end."""
    offer(lab, "node2", waits("3.0"))
    ok(lab.ssh("node2", "sudo rm -f /run/lab-configuring; sudo touch /run/lab-wait"))
    run = start(lab, "-y", deploys=DEPLOY)
    wait_for_configuring(lab, "node2")
    run.kill()
    run.communicate()
    assert set(cordons(lab)) == {"node2"}
    other = Path(shutil.copytree(lab.project, tmp_path / "project", symlinks=True))
    second = subprocess.Popen(
        lab.operator_command(["pyinfra", "inventory.py", *DEPLOY, "-y"]),
        env=lab.operator_environment(),
        cwd=other,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = go_on_when(lab, second, "follow the installation of updates")
    assert versions(lab, "node2", "lab-waits") == {"lab-waits": "3.0"}, said
    nothing_is_left(lab)


def test_a_package_that_fails_stops_the_roll_out_in_apts_words(lab: Lab) -> None:
    everywhere(lab, plain("3.0"), fails("2.0"))
    ok(lab.ssh("node1", "sudo touch /etc/lab-fails"))
    run = patch(lab)
    assert run.status != 0
    assert codes("\n".join(run.lines("node1")))[-1] == "UPD007", run.output
    assert "error processing package lab-fails (--configure)" in run.output
    assert "error exit status 3" in run.output
    assert set(cordons(lab)) == {"node1"}
    assert versions(lab, "node2", "lab-plain") == {"lab-plain": "2.1"}
    ok(lab.ssh("node1", "sudo rm /etc/lab-fails"))
    again = patch(lab)
    assert again.status == 0, again.output
    nothing_is_left(lab, plain="3.0", fails="2.0")


def test_another_apt_is_waited_for_and_not_ended(lab: Lab) -> None:
    offer(lab, "node2", waits("4.0"))
    ok(lab.ssh("node2", "sudo rm -f /run/lab-configuring; sudo touch /run/lab-wait"))
    ok(lab.ssh("node2", "sudo apt-get -q update"))
    upgrade = "apt-get -q -y install lab-waits"
    ok(lab.ssh("node2", f"sudo systemd-run --collect --unit=unattended -- {upgrade}"))
    wait_for_configuring(lab, "node2")
    offer(lab, "node2", waits("4.0"), plain("4.0"))
    run = start(lab, "-y", deploys=DEPLOY)
    said = go_on_when(lab, run, "waiting for another apt process")
    assert "waiting for another apt process" in said
    wanted = {"lab-plain": "4.0", "lab-waits": "4.0"}
    assert versions(lab, "node2", *wanted) == wanted
    nothing_is_left(lab)


def test_what_would_break_the_node_is_refused_before_any_change(lab: Lab) -> None:
    ok(
        lab.ssh(
            "node2",
            "sudo apt-mark unhold kubelet && sudo touch -d '1 minute ago' /var/lib/apt/lists",
        )
    )
    before = snapshot(lab)
    run = patch(lab)
    assert "UPD003" in codes("\n".join(run.lines("node2"))), run.output
    assert run.status != 0
    assert differences(before, snapshot(lab)) == []
    # Its remedy.
    assert pyinfra(lab, "-y", deploys=["deploys/packages.py"]).status == 0
    assert patch(lab).status == 0
    offer(lab, "node2", Package("base-files", "99.1", {}, {"/usr/share/lab-base": ""}))
    run = patch(lab)
    assert "UPD004" in codes("\n".join(run.lines("node2"))), run.output
    assert cordons(lab) == {}
    offer(lab, "node2", plain("4.0"))
    assert patch(lab).status == 0
