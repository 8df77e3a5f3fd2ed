"""Roll-outs of the lab: reboots that nodes ask for, and what interrupts them."""

from __future__ import annotations

import re
from collections.abc import Callable

from formats.pods import CORDON, PENDING
from lab.api import Lab
from tests.lab.clusters import nodes
from tests.lab.runs import Run, ok, pyinfra, start

DEPLOY = ["deploys/reboot.py"]


def ask_for_reboot(lab: Lab, *names: str) -> None:
    """As Debian's packages do; a reboot takes the file away."""
    for name in names:
        ok(lab.console(name, ["touch", "/run/reboot-required"]))


def boots(lab: Lab, *names: str) -> dict[str, str]:
    """The id of the present boot of these nodes, or of all."""
    command = ["cat", "/proc/sys/kernel/random/boot_id"]
    names = names or tuple(node.name for node in lab.plan.nodes)
    return {name: ok(lab.console(name, command)) for name in names}


def rebooted(lab: Lab, before: dict[str, str]) -> list[str]:
    """The nodes that were rebooted since then."""
    now = boots(lab, *before)
    return [name for name in before if now[name] != before[name]]


def cordons(lab: Lab) -> dict[str, str]:
    """The nodes that are cordoned, with the deploy that is noted."""
    return {
        name: node["metadata"].get("annotations", {}).get(CORDON, "").partition(" ")[0]
        for name, node in nodes(lab).items()
        if node["spec"].get("unschedulable")
    }


def notes(lab: Lab) -> dict[str, list[str]]:
    """The notes that are left on nodes."""
    found = {name: node["metadata"].get("annotations", {}) for name, node in nodes(lab).items()}
    kept = {name: [key for key in (CORDON, PENDING) if key in has] for name, has in found.items()}
    return {name: keys for name, keys in kept.items() if keys}


def reboot(lab: Lab, *arguments: str) -> Run:
    return pyinfra(lab, "-y", *arguments, deploys=DEPLOY)


def interrupted(lab: Lab, step: str, cut: Callable[[], object] | None, *arguments: str) -> Run:
    """
    Run it, and interrupt it when a step begins.

    + step: its name
    + cut: what is done then; None: the run is killed, as when this computer loses its power
    """
    run = start(lab, "-y", "-v", *arguments, deploys=DEPLOY)
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if re.search(rf"Starting (.* )?operation: .*{step}\s*$", line):
            if cut is None:
                run.kill()
            else:
                cut()
            break
    else:
        raise AssertionError(f"{step} was not begun: {''.join(lines)}")
    rest, _ = run.communicate()
    return Run(run.returncode, "".join(lines) + rest)


def blackout(lab: Lab, node: str) -> Callable[[], None]:
    """A node loses its power, which comes back at once."""

    def cut() -> None:
        lab.power_off(node)
        lab.power_on(node)

    return cut
