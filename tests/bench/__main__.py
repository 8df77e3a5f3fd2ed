"""
`make bench`: how long things take on virtual nodes.

Seconds depend on the machine and on what else it does: they are for a person, who compares them
with those of the same machine. Ratios of what was run in turns do not: `tests.bench.pairs` has the
bars for them, and the program exits with 1 when one is missed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import settings
from lab import capacity, kubernetes, rootfs
from lab.api import Lab
from report import result
from tests import needs
from tests.bench import first_run, pairs
from tests.lab import runs
from tests.lab.conftest import NAME, make_project
from tests.lab.runs import fresh, ok
from tests.lab.verifying import VERIFY

PYINFRA = ["pyinfra", "inventory.py"]
CLUSTER = [*PYINFRA, *runs.CLUSTER]
NETWORK = [*PYINFRA, *runs.NETWORK]
FIRST_RUN = "first-run.json"


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
    written = {result.VARIABLE: str(lab.project / FIRST_RUN)}
    environment = os.environ | {"LAB_NAME": lab.name} | written

    def go() -> None:
        done = subprocess.run(
            command, cwd=lab.project, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"the demo failed:\n{(done.stdout + done.stderr)[-3000:]}")

    return go


def show_first_run(lab: Lab) -> bool:
    """Show what the demo's run has spent its time on; whether our own part is small enough."""
    found = result.read(lab.project / FIRST_RUN)
    assert found is not None, "the demo's run has written no result"
    for name, seconds in sorted(first_run.by_step(found.steps).items(), key=lambda each: -each[1]):
        if seconds >= 1:
            show(f"of it: {name}", f"{seconds:6.1f} s")
    for name, seconds in first_run.by_spender(found.steps).items():
        show(f"spent by {name}", f"{seconds:6.1f} s")
    return show_bar("the part of it that is ours", first_run.share(found.steps), pairs.OURS)


def show_startup(lab: Lab) -> bool:
    """Compare the start, up to the checked settings, with pyinfra's own for the same inventory."""

    def start(project: Path) -> Callable[[], object]:
        command, environment = [*PYINFRA, "debug-inventory"], lab.operator_environment()
        return lambda: subprocess.run(
            command, cwd=project, env=environment, check=True, capture_output=True
        )

    with tempfile.TemporaryDirectory(prefix="bramble-bench-plain-") as folder:
        plain = Path(folder)
        shutil.copytree(lab.project / "group_data", plain / "group_data")
        nodes, _, _ = (lab.project / "inventory.py").read_text().partition("import settings")
        (plain / "inventory.py").write_text(nodes)
        unit, ours = pairs.in_turns(start(plain), start(lab.project))
    return show_bar("start-up: the ratio of CPU", pairs.ratio(ours, unit).cpu, pairs.STARTUP)


def confirmations(lab: Lab) -> str:
    """How long the nodes' changes of the network waited for their confirmation."""
    found: list[str] = []
    for log in sorted((lab.project / ".cluster" / "logs").iterdir()):
        found += re.findall(r"confirmed after ([\d.]+) s", log.read_text())
    return ", ".join(found) + " s"


@dataclass(frozen=True)
class Compared:
    """A run without a step and one that changes nothing: the medians, and that of their ratios."""

    empty: pairs.Cost
    same: pairs.Cost
    ratio: pairs.Cost


def compared(lab: Lab) -> Compared:
    """Run both in turns on a finished cluster."""
    (lab.project / "empty.py").write_text("")
    empty, same = pairs.in_turns(run(lab, *PYINFRA, "empty.py", "-y"), run(lab, *CLUSTER, "-y"))
    return Compared(pairs.median(empty), pairs.median(same), pairs.ratio(same, empty))


def show_compared(lab: Lab, workers: int) -> tuple[Compared, bool]:
    """Compare, and show it with its bars; whether these are kept."""
    found = compared(lab)
    show(f"{workers} workers: a run without a step", _cost(found.empty))
    show(f"{workers} workers: a run that changes nothing", _cost(found.same))
    kept = [
        show_bar(f"{workers} workers: the ratio of times", found.ratio.wall, pairs.WALL),
        show_bar(
            f"{workers} workers: the ratio of this computer's CPU", found.ratio.cpu, pairs.CPU
        ),
    ]
    return found, all(kept)


def show_bar(what: str, value: float, bar: float) -> bool:
    """Show a ratio and the most that it may be; whether that is kept."""
    show(what, f"{value:6.2f}, at most {bar}{'' if value <= bar else ': MISSED'}")
    return value <= bar


def bars(few: Lab, many: Lab) -> bool:
    """
    Compare a run that changes nothing with one without a step; whether all bars are kept.

    + few: blank nodes of 2 workers
    + many: of 8
    """
    measured("make demo", demo(few))
    show("of it: each change of the network until it was confirmed", confirmations(few))
    first, startup = show_first_run(few), show_startup(few)
    small, small_kept = show_compared(few, 2)
    measured("make demo with 8 workers", demo(many))
    large, large_kept = show_compared(many, 8)
    many.down()
    growth = (large.same.wall / 9) / (small.same.wall / 3)
    constant = show_bar("time a node, 8 workers to 2", growth, pairs.GROWTH)
    return all([first, startup, small_kept, large_kept, constant])


def _cost(cost: pairs.Cost) -> str:
    return f"{cost.wall:6.1f} s, CPU {cost.cpu:.1f} s"


def measure(lab: Lab) -> None:
    empty = measured("a run without a step, on three nodes", run(lab, *PYINFRA, "empty.py", "-y"))
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


def inventory(workers: int) -> str:
    """An inventory of so many workers."""
    nodes = [(f"node{2 + n}", {"address": f"192.168.2.{12 + n}"}) for n in range(workers)]
    gateway = ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})
    return f"control_plane = {[gateway]}\nworkers = {nodes}\n"


def main() -> None:
    """Measure it all in labs of its own; with the argument `bars` the ratios alone."""
    needs.become_root("tests.bench", sys.argv[1:])
    needs.install()
    # As on a person's computer, where a run finds the modules compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    idle, load = capacity.idle(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bramble-bench-") as folder:
        few, many = (Path(folder, name) for name in ("few", "many"))
        few.mkdir()
        many.mkdir()
        lab = Lab(make_project(few), f"{NAME}-bench")
        larger = Lab(make_project(many, inventory(8)), f"{NAME}-bench8")
        labs = lab, larger
        for each in labs:
            each.down()
        try:
            # What is made once on a machine is not what is measured.
            rootfs.build(print)
            kubernetes.choose(settings.load(lab.project))
            kubernetes.kubectl_folder()
            print(f"{capacity.processors():g} processors, {idle:.0%} idle, load {load:.1f}")
            kept = bars(lab, larger)
            if sys.argv[1:] != ["bars"]:
                measure(lab)
        finally:
            for each in labs:
                each.down()
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
