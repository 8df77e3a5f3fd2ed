"""What a first run's time is spent on: seconds by step, and who spent them."""

from __future__ import annotations

from collections.abc import Sequence

from report.result import Step

OURS = "ours"
# Steps that wait for something else nearly all of their time.
_SPENT_BY = {
    "Time synchronization": "apt",
    "containerd": "apt",
    "Docker Engine": "apt",
    "Kubernetes packages": "apt",
    "kubeadm init": "kubeadm",
    "kubeadm join": "kubeadm",
    "Preloaded images": "Kubernetes",
    "Pod network (flannel)": "Kubernetes",
    "Nodes Ready": "Kubernetes",
    "Memory cgroup": "boot",
    "Confirm SSH access": "guard",
    "Apply network changes": "guard",
}


def by_step(steps: Sequence[Step]) -> dict[str, float]:
    """The seconds of each step; nodes work at the same time, so it is those of the slowest one."""
    found: dict[str, float] = {}
    for each in steps:
        found[each.name] = max(found.get(each.name, 0.0), each.seconds)
    return found


def by_spender(steps: Sequence[Step]) -> dict[str, float]:
    """The seconds that apt, kubeadm, … and what is left, bramble itself, have spent."""
    found = dict.fromkeys([*_SPENT_BY.values(), OURS], 0.0)
    for name, seconds in by_step(steps).items():
        found[_SPENT_BY.get(name, OURS)] += seconds
    return found


def share(steps: Sequence[Step]) -> float:
    """The part of the time that bramble itself has spent, 0 to 1."""
    spent = by_spender(steps)
    return spent[OURS] / sum(spent.values())
