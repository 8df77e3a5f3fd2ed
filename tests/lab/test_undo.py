"""deploys/undo.py on a whole cluster: back, forth, and back again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from lab.api import Lab
from tests.lab.runs import changes, differences, pyinfra, reaches_internet, snapshot

UNDO = ["deploys/undo.py"]


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    made = new_lab("undo")
    made.up(workers=2)
    yield made
    made.down()


def undo(lab: Lab) -> dict[str, set[str]]:
    """Undo on all nodes, and look at them."""
    run = pyinfra(lab, "-y", deploys=UNDO)
    assert run.status == 0, run.output
    for node in ("node1", "node2", "node3"):
        assert run.counts(node)[0] > 0, run.output
    return snapshot(lab)


def test_undo_of_all_nodes_goes_back_and_forth_and_back(lab: Lab) -> None:
    """The workers' changes are confirmed by names, which come in through the gateway's NAT."""
    run = pyinfra(lab, "-y", deploys=["deploys/ssh_access.py"])
    assert run.status == 0, run.output
    before = snapshot(lab)
    network = pyinfra(lab, "-y", deploys=["deploys/network.py"])
    assert network.status == 0, network.output
    changed = snapshot(lab)
    assert all(before[node] != changed[node] for node in before)

    once = undo(lab)
    assert guarded(differences(before, once)) == []
    dry = pyinfra(lab, "--dry", "--diff", deploys=UNDO)
    assert dry.status == 0, dry.output
    assert "Will create /etc/network/interfaces.d/eth0" in dry.lines("node2"), dry.output
    assert differences(once, snapshot(lab)) == []

    assert differences(changed, undo(lab)) == []
    reaches_internet(lab, "node2", "node3")
    assert changes(lab) == []
    assert differences(once, undo(lab)) == []


def guarded(lines: list[str]) -> list[str]:
    """Only differences in what the guard restores, which excludes names and sysctls."""
    others = r"/etc/hosts|/etc/cloud/.*hostname|/etc/hostname|hostname |/etc/sysctl|net\.ipv4"
    return [line for line in lines if not re.match(others, line.split(" ", 2)[2])]
