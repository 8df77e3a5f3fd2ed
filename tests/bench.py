"""
`make bench`: how long things take on virtual nodes. Numbers for a person; nothing is asserted.

They depend on the machine and on what else it does: compare them with those of the same machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import settings
from lab import capacity, kubernetes, rootfs
from lab.api import Lab
from tests import needs
from tests.lab import runs
from tests.lab.conftest import NAME, make_project
from tests.lab.runs import fresh, ok
from tests.lab.verifying import VERIFY

PYINFRA = ["pyinfra", "inventory.py"]
CLUSTER = [*PYINFRA, *runs.CLUSTER]
NETWORK = [*PYINFRA, *runs.NETWORK]


def show(what: str, shown: str) -> None:
    print(f"  {what:58} {shown}", flush=True)


def measured(what: str, action: Callable[[], object], unit: float | None = None) -> float:
    """How long it takes, in seconds, and in what `unit` takes."""
    started = time.monotonic()
    action()
    seconds = time.monotonic() - started
    ratio = f", {seconds / unit:.1f} times an empty run" if unit else ""
    show(what, f"{seconds:6.1f} s{ratio}")
    return seconds


def run(lab: Lab, *argv: str, fails: bool = False) -> Callable[[], object]:
    """A command where the operator is; it is said when it does not end as expected."""

    def go() -> None:
        done = lab.run(argv, timeout=None)
        if bool(done.returncode) != fails:
            print(f"  status {done.returncode}: {' '.join(argv)}")
            print((done.stdout + done.stderr)[-1000:])

    return go


def demo(lab: Lab) -> Callable[[], object]:
    """`make demo`, with this lab's name."""
    command = [sys.executable, "-m", "lab", "demo"]
    environment = os.environ | {"LAB_NAME": lab.name}

    def go() -> None:
        done = subprocess.run(
            command, cwd=lab.project, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"the demo failed:\n{(done.stdout + done.stderr)[-3000:]}")

    return go


def confirmations(lab: Lab) -> str:
    """How long the nodes' changes of the network waited for their confirmation."""
    found: list[str] = []
    for log in sorted((lab.project / ".cluster" / "logs").iterdir()):
        found += re.findall(r"confirmed after ([\d.]+) s", log.read_text())
    return ", ".join(found) + " s"


def measure(lab: Lab) -> None:
    measured("make demo", demo(lab))
    show("of it: each change of the network until it was confirmed", confirmations(lab))
    (lab.project / "empty.py").write_text("")
    empty = measured("a run without a step, on three nodes", run(lab, *PYINFRA, "empty.py", "-y"))
    measured("a second run, which changes nothing", run(lab, *CLUSTER, "-y"), empty)
    measured("make lab-drift", run(lab, "python", "-m", "report", "drift"), empty)
    measured("make lab-verify", run(lab, *VERIFY), empty)
    rule = "OUTPUT -p tcp --dport 6443 -j DROP"
    ok(lab.ssh("node3", "sudo kubeadm reset -f"))
    measured("a worker that was reset: refused", run(lab, *CLUSTER, "-y", fails=True), empty)
    ok(lab.run(["kubectl", "--context=bramble", "delete", "node", "node3"]))
    ok(lab.ssh("node3", f"sudo iptables -I {rule}"))
    measured("a worker that can't reach the API", run(lab, *CLUSTER, "-y", fails=True), empty)
    ok(lab.ssh("node3", f"sudo iptables -D {rule}"))
    measured("one worker joins", run(lab, *CLUSTER, "-y"), empty)
    measured("a node is fresh from the card", lambda: lab.fresh("node3"))
    lab.cut("node2")
    measured("a worker out of reach, network only", run(lab, *NETWORK, "-y", fails=True), empty)
    lab.mend("node2")
    fresh(lab)
    measured("a dry run on blank nodes", run(lab, *CLUSTER, "--dry"), empty)


def main() -> None:
    """Measure it all in a lab of its own."""
    needs.become_root("tests.bench", sys.argv[1:])
    needs.install()
    idle, load = capacity.idle(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bramble-bench-") as folder:
        lab = Lab(make_project(Path(folder)), f"{NAME}-bench")
        lab.down()
        try:
            # What is made once on a machine is not what is measured.
            rootfs.build(print)
            kubernetes.choose(settings.load(lab.project))
            kubernetes.kubectl_folder()
            print(f"{capacity.processors():g} processors, {idle:.0%} idle, load {load:.1f}")
            measure(lab)
        finally:
            lab.down()


if __name__ == "__main__":
    main()
