"""
Several runs at once, from two computers, on three control planes: one works, the others change
nothing, and one further run makes the cluster whole.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from facts.traces import RESET_UNIT
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.clusters import all_are_ready, kubectl, no_token_is_left, nodes
from tests.lab.runs import CLUSTER, Run, ok
from tests.lab.test_control_planes import ADDRESS, INVENTORY, NODES, members

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]

REMOVE = "deploys/remove.py"
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


def test_a_removal_at_work_stops_a_run_that_would_join_the_node(computers: Computers) -> None:
    lab = computers.lab
    with computers.at_work(RESET_UNIT, REMOVE, *NODE3):
        is_refused(computers.elsewhere(*CLUSTER), "deploys/remove.py")
    assert members(lab, "node1") == dict.fromkeys(NODES[:2], "voter")
    completed(computers)
