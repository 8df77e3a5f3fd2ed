"""Two runs at once: the second says who is at work, and changes nothing; nothing is left over."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.runs import CLUSTER, Run, changes, differences, ok, pyinfra, snapshot, start

# Much has to come and go.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

NETWORK = ["deploys/network.py"]

# While this is missing, slow.py works on node1.
GO_ON = "/run/go-on"

SLOW = f"""
from pyinfra import host
from pyinfra.api import FunctionCommand
from operations.base import operation, plan_change
import remote

def wait(state, host):
    remote.of(host).run("while [ ! -e {GO_ON} ]; do sleep 0.1; done", seconds=900)
    return True

@operation()
def slow():
    plan_change("wait")
    yield FunctionCommand(wait, (), {{}})

if host.name == "node1":
    slow(name="Something long")
"""


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    made = new_lab("two")
    made.up(workers=2)
    (made.project / "slow.py").write_text(SLOW)
    run = pyinfra(made, "-y", deploys=["deploys/ssh_access.py", *NETWORK])
    assert run.status == 0, run.output
    yield made
    made.down()


def begin(lab: Lab, deploy: str) -> subprocess.Popen[str]:
    """Start a deploy that works on node1 until ``end``."""
    ok(lab.console("node1", ["rm", "-f", GO_ON]))
    return start(lab, "-y", deploys=[deploy])


def end(lab: Lab) -> None:
    """Let it go on; what a killed run has left behind on node1 ends as well."""
    ok(lab.console("node1", ["touch", GO_ON]))


@contextmanager
def at_work(lab: Lab) -> Iterator[subprocess.Popen[str]]:
    """A run that has begun to change node1, of all three nodes."""
    running = begin(lab, "slow.py")
    try:
        assert until(lambda: all_are_locked(lab) or running.poll() is not None)
        assert running.poll() is None, running.communicate()[0]
        yield running
    finally:
        end(lab)
        output = running.communicate(timeout=600)[0]
        print(output)


def is_free(lab: Lab, node: str) -> bool:
    return not is_locked(lab, node)


def all_are_locked(lab: Lab) -> bool:
    return all(is_locked(lab, node) for node in ("node1", "node2", "node3"))


def is_locked(lab: Lab, node: str) -> bool:
    f = "/run/bramble/run.lock"
    return lab.console(node, ["sh", "-c", f"test ! -s {f} || flock -sn {f} true"]).returncode != 0


def spoil(lab: Lab) -> None:
    """Something for the network deploy to do, on a worker."""
    ok(
        lab.ssh(
            "node3",
            "echo 192.0.2.1 elsewhere | sudo tee -a /etc/hosts; sudo sed -i /node2/d /etc/hosts",
        )
    )


def is_refused(lab: Lab, run: Run, running: subprocess.Popen[str]) -> None:
    """Whoever is at work is named, by user, computer, process, command and time."""
    assert run.status != 0
    nodes = ("node1", "node2", "node3")
    said = [line for node in nodes for line in run.lines(node) if codes(line) == ["RUN011"]]
    assert said, run.output
    assert "`pyinfra inventory.py slow.py`" in said[0]
    assert f"{getpass.getuser()} on {socket.gethostname()}, " in said[0]
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+ \(\d+ (s|minutes) ago\)", said[0])
    process = re.search(r"process (\d+)", said[0])
    assert process
    assert is_child(int(process[1]), running.pid)
    for node in nodes:
        assert run.counts(node)[0] == 0, run.output


def is_child(pid: int, parent: int) -> bool:
    while pid > 1 and pid != parent:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid == parent


def test_a_second_run_from_the_same_folder_changes_nothing(lab: Lab) -> None:
    spoil(lab)
    before = snapshot(lab)
    with at_work(lab) as running:
        is_refused(lab, pyinfra(lab, "-y", deploys=NETWORK), running)
        assert differences(before, snapshot(lab)) == []
        end(lab)
        assert running.wait(timeout=600) == 0
    assert changes(lab, deploys=NETWORK) != []
    assert changes(lab, deploys=NETWORK) == []


def test_a_second_run_from_another_computer_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    spoil(lab)
    before = snapshot(lab)
    other = Path(shutil.copytree(lab.project, tmp_path / "project", symlinks=True))
    command = ["pyinfra", "inventory.py", *NETWORK, "-y"]
    with at_work(lab) as running:
        done = subprocess.run(
            lab.operator_command(command),
            env=lab.operator_environment(),
            cwd=other,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        is_refused(lab, Run(done.returncode, done.stdout + done.stderr), running)
        assert differences(before, snapshot(lab)) == []
    assert changes(lab, deploys=NETWORK) != []


def test_what_changes_nothing_is_not_stopped_and_preflight_warns(lab: Lab) -> None:
    spoil(lab)
    with at_work(lab):
        dry = pyinfra(lab, "--dry", "--diff", deploys=NETWORK)
        assert dry.status == 0, dry.output
        assert "Will modify /etc/hosts" in dry.lines("node3")
        preflight = pyinfra(lab, "-y", deploys=["deploys/preflight.py"])
        assert "PRE004" in codes(preflight.output)
        assert "RUN011" not in codes(preflight.output)
        dry = pyinfra(lab, "--dry", deploys=CLUSTER)
        assert dry.status == 0, dry.output
        assert any("other runs" in line and "(PRE004)" in line for line in dry.lines("node2"))
    assert until(lambda: not is_locked(lab, "node2"))
    assert changes(lab, deploys=NETWORK) != []
    shown = pyinfra(lab, "-y", "-vv", deploys=NETWORK)
    assert "run lock" not in shown.output
    assert shown.left_alone("node3"), shown.output


@pytest.mark.parametrize("deploy", ["deploys/cluster.py", "deploys/undo.py", "deploys/prepare.py"])
def test_every_deploy_is_stopped(lab: Lab, deploy: str) -> None:
    before = snapshot(lab)
    with at_work(lab) as running:
        is_refused(lab, pyinfra(lab, "-y", deploys=[deploy]), running)
    assert differences(before, snapshot(lab)) == []


def test_after_a_run_was_killed_the_next_goes_on_without_hand_work(lab: Lab) -> None:
    spoil(lab)
    with at_work(lab) as running:
        for pid in children(running.pid):
            os.kill(pid, signal.SIGKILL)
    assert changes(lab, deploys=NETWORK) != []


def test_a_run_whose_computer_lost_its_power_frees_the_nodes_by_itself(lab: Lab) -> None:
    """Its connections stay open, for nobody says that they ended; it only is silent."""
    spoil(lab)
    with at_work(lab) as running:
        pids = children(running.pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            for node in ("node1", "node2", "node3"):
                assert until(partial(is_free, lab, node)), node
            assert changes(lab, deploys=NETWORK) != []
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


def test_a_run_keeps_its_locks_over_changes_of_the_network(lab: Lab) -> None:
    """Its old connections are closed then, and the lock goes with them."""
    (lab.project / "long.py").write_text(
        'from pyinfra import local\nlocal.include("deploys/undo.py")\nlocal.include("slow.py")\n'
    )
    running = begin(lab, "long.py")
    assert running.stdout is not None
    for line in running.stdout:
        if "Something long" in line:
            break
    try:
        assert until(lambda: all_are_locked(lab))
    finally:
        end(lab)
        running.communicate(timeout=600)
    assert running.returncode == 0
    assert pyinfra(lab, "-y", deploys=NETWORK).status == 0


def children(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += children(int(each))
    return found
