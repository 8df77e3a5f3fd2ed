"""Run deploys as a person does, and compare nodes before and after."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lab.api import Lab
from lab.waiting import PATIENCE, until

MUST_END_S = 1200  # a run, on a machine that is busy or with a node that is gone
CLUSTER = ["deploys/cluster.py"]
# The part of it that comes before Kubernetes, in its order.
NETWORK = ["deploys/ssh_access.py", "deploys/network.py"]

# Resolves the hostname of the node's package archive.
RESOLVE = (
    'getent hosts "$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | '
    r"sed -nE 's#^(deb |URIs:).*https?://([^/: ]*[a-z])[:/].*#\2#p' | head -n 1)"
    '"'
)

# Lists what a deploy may change, without what changes on its own (clocks, leases, logs, caches).
_SNAPSHOT = r"""
files() {
find /etc /usr/local /boot /home /root /opt /lib/systemd/system -xdev \
  \( -path /etc/resolv.conf -o -name '.*history' -o -name '*.lease*' -o -path '*/.cache*' \
     -o -name .sudo_as_admin_successful -o -path '/etc/systemd/system/*.wants' \) -prune -o "$@"; }
files \( -type f -o -type l \) -printf '%p %y %m %u %g %l\n'
files -type f -exec md5sum {} + | sed -E 's/^(\S+) +(.*)/\2 \1/'
echo "/etc/resolv.conf $(stat -c %F /etc/resolv.conf) $(md5sum < /etc/resolv.conf)"
for table in filter nat mangle raw; do iptables-save -t $table 2>/dev/null; done |
  sed -e '/^#/d' -e 's/\[[0-9:]*\]//' -e 's/^/rule /'
ip -o -4 address show | awk '{print "address", $2, $4}'
ip route show | sed 's/^/route /'
sysctl net.ipv4.ip_forward
hostname | sed 's/^/hostname /'
systemctl list-unit-files --state=enabled --no-legend | sed 's/^/unit /'
"""


@dataclass(frozen=True)
class Run:
    """The result of a run of pyinfra: exit status and output."""

    status: int
    output: str

    def lines(self, host: str) -> list[str]:
        """The lines about one host."""
        start = re.compile(rf"\s*\[{host}\]\s*(.*)")
        return [m[1] for line in self.output.splitlines() if (m := start.match(line))]

    def counts(self, host: str) -> tuple[int, int, int]:
        """The numbers of steps that changed a host, did not, and failed, from the summary."""
        changed, same, failed = map(int, self._row(host)[:3])
        return changed, same, failed

    def seconds(self, host: str) -> float:
        """How long the steps of a host took, from the summary."""
        return float(self._row(host)[3])

    def _row(self, host: str) -> Sequence[str]:
        row = re.search(rf"(?m)^{host} +(\d+) +(\d+) +(\d+) +([\d.]+) *$", self.output)
        assert row, self.output
        return row.groups()

    def left_alone(self, host: str) -> bool:
        """Whether every step of a host succeeded, and none changed it."""
        changed, same, failed = self.counts(host)
        return (changed, failed) == (0, 0) and same > 0


def pyinfra(lab: Lab, *arguments: str, deploys: Sequence[str] = NETWORK) -> Run:
    """Run a deploy as the operator, without a terminal; one without an end shows where it is."""
    with start(lab, *arguments, deploys=deploys, stderr=subprocess.PIPE) as run:
        try:
            said = run.communicate(timeout=MUST_END_S)
        except subprocess.TimeoutExpired:
            found = [f"{name}:\n{processes}" for name, processes in _processes(lab).items()]
            run.send_signal(signal.SIGUSR1)
            try:
                said = run.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                run.kill()
                said = run.communicate()
            parts = [f"no end after {MUST_END_S} s:", *said, *found]
            raise AssertionError("\n".join(parts)) from None
    return Run(run.returncode, "".join(said))


def _processes(lab: Lab) -> dict[str, str]:
    """Return what runs on each node, with its age in seconds and what it waits for."""
    command = ["ps", "axfww", "-o", "pid,etimes,stat,wchan:20,args"]
    return {each.name: lab.console(each.name, command).stdout for each in lab.plan.nodes}


def build(lab: Lab, deploys: Sequence[str] = CLUSTER) -> Run:
    """Boot a lab's nodes, and run deploys there: the whole cluster, unless others are named."""
    lab.up()
    run = pyinfra(lab, "-y", deploys=deploys)
    assert run.status == 0, run.output
    return run


def start(
    lab: Lab,
    *arguments: str,
    deploys: Sequence[str] = NETWORK,
    stderr: int = subprocess.STDOUT,
) -> subprocess.Popen[str]:
    """Start a deploy, to be watched while it runs; on SIGUSR1 it shows where it is, and ends."""
    return subprocess.Popen(
        lab.operator_command(["pyinfra", "inventory.py", *deploys, *arguments]),
        env=lab.operator_environment() | {"PYTHONPATH": str(Path(__file__).parent / "stacks")},
        cwd=lab.project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        errors="replace",
    )


def interrupt(
    lab: Lab, deploys: Sequence[str], word: str, node: str = "", arguments: Sequence[str] = ()
) -> str:
    """
    Interrupt a deploy when it has printed this; return what it has printed.

    + node: whose power goes then; "": the run itself is killed
    + arguments: further ones
    """
    run = start(lab, "-y", *arguments, deploys=deploys)
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if word in line:
            break
    else:
        raise AssertionError("".join(lines))
    return "".join(lines) + cut(lab, run, node)


def cut(lab: Lab, run: subprocess.Popen[str], node: str = "") -> str:
    """
    Cut a run off, switch the node on again, and return the rest of what the run has printed.

    + node: whose power goes; "": the run itself is killed
    """
    if node:
        lab.power_off(node)
    else:
        run.kill()
    rest = run.communicate()[0]
    assert run.returncode != 0, rest
    if node:
        lab.power_on(node)
        assert until(lambda: lab.ssh(node, "true").returncode == 0, pause=1)
    return rest


def changes(lab: Lab, *, deploys: Sequence[str] = NETWORK) -> list[str]:
    """Run a deploy, which has to succeed, and return what it changes: ``operation: hosts``."""
    done = lab.run(["pyinfra", "inventory.py", *deploys, "-y", "--json"])
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout)["results"]
    assert results["totals"]["hosts"] > 0, "no operation was run"
    return [
        f"{each['name']}: {each['success']}" for each in results["operations"] if each["success"]
    ]


def snapshot(lab: Lab, *nodes: str) -> dict[str, set[str]]:
    """Everything on the nodes that a deploy could change, a line each."""
    names = nodes or tuple(node.name for node in lab.plan.nodes)

    def one(name: str) -> set[str]:
        done = lab.console(name, ["sh", "-c", _SNAPSHOT])
        assert done.returncode == 0, done.stderr
        return set(done.stdout.splitlines())

    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def paths(lines: set[str]) -> set[str]:
    """The files in a snapshot."""
    return {line.split()[0] for line in lines if line.startswith("/")}


def fresh(lab: Lab) -> None:
    """Boot all nodes from new cards."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lab.fresh, [node.name for node in lab.plan.nodes]))


def ok(done: subprocess.CompletedProcess[str]) -> str:
    """The output of a command, which has to succeed."""
    assert done.returncode == 0, f"status {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def differences(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    """The differences between two snapshots, a line each."""
    return [
        f"{node}: {sign} {line}"
        for node in before
        for sign, lines in (("-", before[node] - after[node]), ("+", after[node] - before[node]))
        for line in sorted(lines)
    ]


def reaches_internet(lab: Lab, *workers: str) -> None:
    """Check that workers resolve names and fetch packages through node1."""
    for worker in workers:
        assert ok(lab.ssh(worker, "ip route show default")).startswith("default via 192.168.2.11 ")
        ok(lab.ssh(worker, RESOLVE))
        ok(lab.ssh(worker, "sudo apt-get update --error-on=any"))


@dataclass
class Watched:
    """
    All command lines on this machine, those of the nodes included, and the environments of the
    nodes' processes, while something runs.
    """

    seen: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watched:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        here = os.readlink("/proc/self/ns/pid")
        known: dict[str, bytes] = {}
        # The pause is shorter than any program lives, and leaves the machine to them.
        while not self._over.wait(0.01):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    line = Path(f"/proc/{pid}/cmdline").read_bytes()
                    if known.get(pid) == line:
                        continue
                    known[pid] = line
                    self.seen.add(line.decode(errors="replace"))
                    if os.readlink(f"/proc/{pid}/ns/pid") != here:
                        self.seen.add(Path(f"/proc/{pid}/environ").read_text(errors="replace"))
                except OSError:
                    continue
