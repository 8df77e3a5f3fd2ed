"""What a run knows of its roll-out: which nodes have work, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra import host, state

import runs
from formats.pods import CORDON, PENDING, cordon
from operations.nodes.control_planes import ControlPlanes
from operations.nodes.drain import is_own
from runs import gathering


@dataclass
class Rollout:
    """
    The roll-out of this run.

    + work: for each node that has some, why
    + asked: why a node has work that it does not show itself, because a person has asked for it
    + tokens: another one than the run began with shows that such work is done
    + left: nodes that an interrupted run of the same deploy has left cordoned, or with a note
    + finished: nodes that are back
    + deploy: its path
    + planes: the control planes, one of which is asked about the cluster
    + nodes: all of the cluster, in the order of the roll-out
    + gateway: the node through which the others are reached
    + drain_seconds, ready_seconds: how long pods and nodes are waited for
    + objects: of the cluster, before the first node
    """

    work: dict[str, list[str]] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    deploy: str = ""
    planes: ControlPlanes = field(default_factory=lambda: ControlPlanes({}, ""))
    nodes: Sequence[str] = ()
    gateway: str | None = None
    drain_seconds: int = 0
    ready_seconds: int = 0
    objects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def order(self) -> list[str]:
        """The nodes that are worked on, or only uncordoned, in their order."""
        return [name for name in self.nodes if name in self.work or name in self.left]

    def continue_from(
        self, resources: Mapping[str, Mapping[str, Any]], running: Collection[str]
    ) -> None:
        """
        Find what an interrupted run has left; without it, begin what was asked for.

        + resources: the cluster's nodes
        + running: the nodes in this run
        """
        notes = {
            name: resource["metadata"].get("annotations") or {}
            for name, resource in resources.items()
            if name in running
        }
        mine = [name for name in notes if is_own(cordon(resources[name])[1], self.deploy)]
        pending = {
            name: found[PENDING].partition(" ")[2]
            for name, found in notes.items()
            if is_own(found.get(PENDING, ""), self.deploy)
        }
        self.left = {*mine, *pending}
        begun = {name for name, token in pending.items() if token == self.tokens.get(name)}
        for name in begun:
            self.work.setdefault(name, ["an interrupted run was to do it"])
        if pending:
            self.asked.clear()  # it is under way
        for name, why in self.asked.items():
            self.work.setdefault(name, [why])


def of_run() -> Rollout:
    """Return the roll-out of this run."""
    return runs.of(state).part(Rollout)


def note(reasons: Sequence[str], asked: str = "", token: str = "") -> None:
    """
    Note whether this node has work.

    + reasons: why, by what the node itself shows; none: it has no work
    + asked: why all nodes have work, because a person has asked for it
    + token: what will be another one once that is done
    """
    if gathering.of(state).is_asking:
        return
    here = of_run()
    for of_all in (here.work, here.asked):
        of_all.pop(host.name, None)
    here.tokens[host.name] = token
    if reasons:
        here.work[host.name] = list(reasons)
    if asked:
        here.asked[host.name] = asked


def has_work() -> bool:
    """Whether this node has work."""
    return host.name in of_run().work


def notes_of(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the notes that bramble has made on a node."""
    found = resource["metadata"].get("annotations") or {}
    return {key: found[key] for key in (CORDON, PENDING) if key in found}
