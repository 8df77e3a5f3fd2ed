"""Nodes of a finished cluster spoiled, and made whole again: what `make verify` has to see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.api import Lab
from tests.lab.runs import ok


@dataclass(frozen=True)
class Sabotage:
    """
    + at: the node where it is done, as root; or "here", in the desk
    + fails: the checks that fail, as pytest calls them
    + says: part of what a person is told
    + do, undo: shell
    + settings: with which the checks are made
    """

    at: str
    fails: frozenset[str]
    says: str
    do: str
    undo: str
    settings: Mapping[str, object] = field(default_factory=dict)


def on(at: str, fails: str, says: str, do: str, undo: str, **settings: object) -> Sabotage:
    """
    A sabotage.

    + fails: the tests without `test_`; `name/node3` for one of elsewhere than `at`
    """
    names = set()
    for word in fails.split():
        name, _, node = word.partition("/")
        where = node or at
        names.add(f"test_{name}" + ("" if where == "here" else f"[{where}]"))
    return Sabotage(at, frozenset(names), says, do, undo, settings)


def edited(
    at: str,
    fails: str,
    says: str,
    file: str,
    change: str,
    then: str = "true",
    done: str = "true",
    undone: str = "true",
) -> Sabotage:
    """
    A sabotage that changes a file.

    + change: shell; "$f" is the file
    + then: what makes it count, also when the file is as before again
    + done, undone: what waits for that
    """
    kept = f"/root/kept{file.replace('/', '-')}"
    do = f"f={file}; cp -a $f {kept}; {change}; {then}; {done}"
    return on(at, fails, says, do, f"mv -fT {kept} {file} && {then} && {undone}")


def until(command: str) -> str:
    """Shell: wait until this succeeds."""
    return f"until {command}; do sleep 0.3; done"


def known(what: str) -> str:
    """Shell: wait for the node's own word in the cluster."""
    return until(f"kubectl --kubeconfig=/etc/kubernetes/kubelet.conf get node {what}")


@contextmanager
def sabotaged(lab: Lab, batch: Sequence[Sabotage]) -> Iterator[None]:
    """All of a batch at once, each node by itself; undone afterwards in the reverse order."""
    try:
        _everywhere(lab, [(each.at, each.do) for each in batch])
        yield
    finally:
        # What was not done can't be undone: the rest of it is all the same.
        undone = [(each.at, f"( {each.undo or ':'}\n) || failed=yes") for each in reversed(batch)]
        ends = [(at, '[ -z "$failed" ]') for at in {each.at for each in batch}]
        _everywhere(lab, [*undone, *ends])


def _everywhere(lab: Lab, commands: Sequence[tuple[str, str]]) -> None:
    def run(at: str) -> None:
        script = "".join(f"{command}\n" for where, command in commands if where == at)
        if at == "here":
            ok(lab.run(["sh", "-exc", script]))
        else:
            ok(lab.console(at, ["sh", "-exc", script]))

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, dict.fromkeys(at for at, _ in commands)))
