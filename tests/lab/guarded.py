"""Guarded changes of the network, good and bad, and their traces on the nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.runs import Run, differences, ok, snapshot

# Seconds until nodes roll back: where they cannot be reached meanwhile, where they can be asked for
# the reason, and where a change is good, or is seen not to be.
UNREACHED_S, HEARD_S, SECONDS = 8, 24, 300
CUT_OFF = "NET060"
INVENTORY = """
control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = [(f"node{n}", {"address": f"192.168.2.1{n}"}) for n in range(2, 6)]
"""

# What the operations themselves refuse is done by ``by_hand``, without their checks.
_DEPLOY = """
from pyinfra import host
from pyinfra.api import QuoteString
from operations import guard, interfaces, iptables, resolv_conf
from operations.guard import Step

ETH0 = "/etc/network/interfaces.d/eth0"
PORT_22 = ["-A INPUT -p tcp --dport 22 -j DROP"]
RULES = {"path": "/etc/other_rules.fw", "prefix": "OTHER"}
UP = "ifdown eth0; ifup eth0"

@guard.operation
def by_hand(script, paths, **known):
    yield Step("sh", "-c", QuoteString(script), what="what was done by hand", paths=paths, **known)

with guard.change("The change", SECONDS):
"""

# Lists what the guard could leave behind, except the saved state for deploys/undo.py.
_LEFT = """ls -A /var/lib/bramble/guard 2>/dev/null | grep -vx previous;
ls /run/bramble 2>/dev/null | grep -vx -e 'run.lock.*' -e guard.lock \
-e guard.confirmed -e guard;
ls /run/bramble/guard 2>/dev/null | grep -vx -e id -e reason;
systemctl list-units --all --no-legend --plain 'bramble-guard-*' | grep -w -e timer -e active;
ls -d /etc/systemd/system/bramble-* /etc/systemd/system/*.wants/bramble-* 2>/dev/null;
find /etc /home -xdev -name '.*.??????' 2>/dev/null | grep -v /etc/skel; true"""


def deploy(lab: Lab, changes: Mapping[str, str], seconds: int = SECONDS) -> list[str]:
    """
    The command of a run that makes one change on each of some nodes.

    + changes: by node, the operation's call; ``NAME(…)`` of what ``_DEPLOY`` imports
    """
    lines = [f'    if host.name == "{node}":\n        {call}\n' for node, call in changes.items()]
    text = _DEPLOY.replace("SECONDS", str(seconds)) + "".join(lines)
    file = f"change-{'-'.join(changes)}.py"
    (lab.project / file).write_text(text)
    limit = [word for node in changes for word in ("--limit", node)]
    return ["pyinfra", "inventory.py", file, "-y", *limit]


def run(lab: Lab, changes: Mapping[str, str], seconds: int = SECONDS) -> Run:
    """Make that run."""
    done = lab.run(deploy(lab, changes, seconds))
    return Run(done.returncode, done.stdout + done.stderr)


def is_applied(lab: Lab, node: str) -> None:
    """Wait until the node has applied its change, which is not confirmed yet."""
    applied = ["test", "-e", "/run/bramble/guard/result"]
    assert until(lambda: lab.console(node, applied).returncode == 0), (
        f"{node} has not applied its change"
    )


def opens(lab: Lab, *nodes: str) -> None:
    """Wait until SSH opens at the address in the inventory."""

    def opened(node: str) -> bool:
        return until(lambda: lab.ssh(node, "sudo -n true").returncode == 0)

    for node in nodes:
        assert opened(node), f"{node} cannot be reached"


def nothing_is_left(lab: Lab, *nodes: str) -> None:
    """Check that no timer, unit or copy is left."""

    def one(node: str) -> None:
        def left() -> str:
            return ok(lab.console(node, ["sh", "-c", _LEFT]))

        assert until(lambda: not left(), pause=0.2), f"{node}: {left()}"

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, nodes))


def all_rolled_back(
    lab: Lab, done: Run, before: dict[str, set[str]], reasons: Mapping[str, tuple[str, str]]
) -> None:
    """
    Check that each node gives one reason, can be reached, and has its state from before.

    + reasons: by node, its code, and a pattern of its values
    """
    assert done.status != 0
    for node, (code, reason) in reasons.items():
        said = [line for line in done.lines(node) if codes(line) == [code]]
        assert len(said) == 1, done.output
        assert re.search(reason, said[0]), said
    opens(lab, *reasons)
    assert differences(before, snapshot(lab, *reasons)) == []
    nothing_is_left(lab, *reasons)


def confirmations(done: Run, node: str) -> int:
    """Count the confirmed changes of a node."""
    return sum("confirmed after" in line for line in done.lines(node))
