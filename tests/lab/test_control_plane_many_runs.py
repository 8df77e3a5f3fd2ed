"""
Several runs at once, from two computers, on three control planes: one works, the others change
nothing, and one further run makes the cluster whole.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from facts.kubeadm import JOIN_UNIT
from facts.run_lock import PATH
from facts.traces import RESET_UNIT
from facts.upgrade import UPGRADE_UNIT
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.clusters import all_are_ready, kubectl, no_token_is_left, nodes
from tests.lab.runs import CLUSTER, Run, ok
from tests.lab.test_control_planes import ADDRESS, INVENTORY, NODES, members

pytestmark = [pytest.mark.every_step, pytest.mark.timeout(7200)]

REMOVE, UPGRADE, RESET = "deploys/remove.py", "deploys/upgrade.py", "deploys/reset.py"
NODE3 = ("--data", "node=node3")
AUTHORITY = "sha256sum < /etc/kubernetes/pki/ca.crt"
CERTIFICATES = ("-n", "kube-system", "get", "secret", "kubeadm-certs", "--ignore-not-found")


@dataclass(frozen=True)
class Computers:
    """Two computers with the same inventory and settings, on the network of one lab."""

    lab: Lab
    other: Path

    def start(self, folder: Path, deploy: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a deploy on the computer with this folder."""
        command = ["pyinfra", "inventory.py", deploy, "-y", *arguments]
        return subprocess.Popen(
            self.lab.operator_command(command),
            env=self.lab.operator_environment(),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def elsewhere(self, deploy: str, *arguments: str) -> Run:
        """Run a deploy on the other computer."""
        return ended(self.start(self.other, deploy, *arguments))

    @contextmanager
    def at_work(
        self, unit: str, deploy: str, *arguments: str, node: str = "node3"
    ) -> Iterator[subprocess.Popen[str]]:
        """Have a run on the first computer wait for a job on a node, which stands still."""
        run = self.start(self.lab.project, deploy, *arguments)
        with ThreadPoolExecutor() as pool:
            output = pool.submit(lambda: run.communicate()[0])
            try:
                assert until(lambda: stopped(self.lab, node, unit) or output.done()), "no job"
                assert not output.done(), output.result()
                yield run
            finally:
                self.lab.console(node, ["systemctl", "kill", unit, "--signal", "CONT"])
            print(output.result())


def stopped(lab: Lab, node: str, unit: str) -> bool:
    """Whether a job runs on a node; it is stopped."""
    return lab.console(node, ["systemctl", "kill", unit, "--signal", "STOP"]).returncode == 0


def ended(run: subprocess.Popen[str]) -> Run:
    output = run.communicate()[0]
    return Run(run.returncode, output)


@pytest.fixture(scope="module")
def computers(
    new_lab: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Computers]:
    """Three blank boards."""
    lab = new_lab(
        "many",
        INVENTORY,
        topology="router",
        control_plane_address=ADDRESS,
        kubernetes_version="1.36.3",
    )
    lab.up()
    other = tmp_path_factory.mktemp("computer") / "project"
    yield Computers(lab, Path(shutil.copytree(lab.project, other, symlinks=True)))
    lab.down()


def is_refused(run: Run, *said: str) -> None:
    """It names the run that is at work, and changes nothing."""
    assert {*codes(run.output)} & {"RUN011", "RUN022"}, run.output
    for each in said:
        assert each in run.output
    changes_nothing(run)


def changes_nothing(run: Run) -> None:
    assert run.status != 0, run.output
    assert [run.counts(name)[0] for name in NODES] == [0, 0, 0], run.output


def is_whole(lab: Lab) -> None:
    """The members of etcd are the control planes, of one cluster, and no join has left a secret."""
    all_are_ready(lab, *NODES)
    for name in NODES:
        assert members(lab, name) == dict.fromkeys(NODES, "voter")
    assert len({ok(lab.console(name, ["sh", "-c", AUTHORITY])) for name in NODES}) == 1
    no_token_is_left(lab)
    assert kubectl(lab, *CERTIFICATES) == ""
    assert not [name for name, node in nodes(lab).items() if node["spec"].get("unschedulable")]


def completed(computers: Computers) -> None:
    """One further run, on the other computer, makes the cluster whole, and leaves nothing to do."""
    run = computers.elsewhere(*CLUSTER)
    assert run.status == 0, run.output
    is_whole(computers.lab)
    again = computers.elsewhere(*CLUSTER)
    assert again.status == 0, again.output
    assert all(again.left_alone(name) for name in NODES), again.output


def test_of_three_runs_on_blank_boards_one_makes_the_cluster(computers: Computers) -> None:
    lab = computers.lab
    folders = [lab.project, computers.other, lab.project]
    runs = [computers.start(folder, *CLUSTER) for folder in folders]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(ended, runs))
    works = [run for run in done if run.status == 0]
    assert len(works) == 1, "\n".join(run.output for run in done)
    for run in done:
        if run.status:  # on a busy machine some give up in their own checks
            changes_nothing(run)
    completed(computers)


def test_a_join_at_work_stops_every_run_that_changes_the_cluster(computers: Computers) -> None:
    lab = computers.lab
    lab.fresh("node3")
    with computers.at_work(JOIN_UNIT, *CLUSTER):
        before = members(lab, "node1")
        for deploy, *arguments in (
            CLUSTER,
            [REMOVE, *NODE3],
            [RESET, "--data", "backup=no", "--data", "yes=bramble"],
        ):
            is_refused(computers.elsewhere(deploy, *arguments), "deploys/cluster.py")
        with version(computers.other, "1.36.4"):  # for a reason of its own: node3 is not there yet
            changes_nothing(computers.elsewhere(UPGRADE))
        assert members(lab, "node1") == before
    is_whole(lab)


def test_the_run_that_joins_is_killed_and_the_other_computers_goes_on(computers: Computers) -> None:
    """A run that has waited for the killed one does not act on what it has read before."""
    lab = computers.lab
    lab.fresh("node3")
    with computers.at_work(JOIN_UNIT, *CLUSTER) as run:
        waiting = computers.start(computers.other, *CLUSTER)
        command = ["pgrep", "-f", "-x", "flock -w 10 9"]
        assert until(lambda: lab.console("node1", command).returncode == 0), waiting.poll()
        run.kill()
        is_refused(ended(waiting))
        is_free = ["sh", "-c", f"test ! -s {PATH} || flock -n {PATH} true"]
        assert until(lambda: lab.console("node1", is_free).returncode == 0)
    completed(computers)


def test_a_removal_at_work_stops_a_run_that_would_join_the_node(computers: Computers) -> None:
    lab = computers.lab
    with computers.at_work(RESET_UNIT, REMOVE, *NODE3):
        is_refused(computers.elsewhere(*CLUSTER), "deploys/remove.py")
    assert members(lab, "node1") == dict.fromkeys(NODES[:2], "voter")
    completed(computers)


def test_an_upgrade_at_work_stops_a_run_of_the_whole_cluster(computers: Computers) -> None:
    folders = (computers.lab.project, computers.other)
    for folder in folders:
        set_version(folder, "1.36.4")
    with computers.at_work(UPGRADE_UNIT, UPGRADE, node="node1"):
        is_refused(computers.elsewhere(*CLUSTER), "deploys/upgrade.py")
        is_refused(computers.elsewhere(REMOVE, *NODE3), "deploys/upgrade.py")
    versions = {
        each["status"]["nodeInfo"]["kubeletVersion"] for each in nodes(computers.lab).values()
    }
    assert [each.partition("+")[0] for each in versions] == ["v1.36.4"]
    completed(computers)


@contextmanager
def version(folder: Path, desired: str) -> Iterator[None]:
    """Have one computer ask for another version for a while."""
    set_version(folder, desired)
    try:
        yield
    finally:
        set_version(folder, "1.36.3")


def set_version(folder: Path, desired: str) -> None:
    file = folder / "group_data" / "all.py"
    line = f'kubernetes_version = "{desired}"'
    file.write_text(re.sub(r"(?m)^kubernetes_version = .*$", line, file.read_text()))
