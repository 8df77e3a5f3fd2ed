"""
The lab as an object, for `python -m lab` and for tests.

**Example:**

```python
lab = Lab(project)
lab.up(workers=1)
lab.ssh("node2", "hostname").stdout
lab.cut("node2")
lab.down()
```
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import settings
from lab import (
    cgroup,
    disk,
    host,
    kernel,
    kubernetes,
    network,
    node,
    operator,
    plan,
    rootfs,
    services,
    sysctl,
)
from lab.errors import LabError
from lab.plan import NodePlan, Plan
from messages import lab as messages
from settings import first_boot

Completed = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class NodeState:
    """
    A node and its state.

    + cut: interfaces whose cable is cut
    """

    plan: NodePlan
    status: node.Status
    cut: tuple[str, ...]


class Lab:
    """
    One lab: its name and the directory that it is made from.

    + project: the directory with inventory.py, group_data/ and .cluster/
    + name: None: `LAB_NAME` in the environment, else "bramble"
    + say: called with a line for each step
    + in_use: whether the cards have most packages already (`rootfs.IN_USE`)
    """

    def __init__(
        self,
        project: Path,
        name: str | None = None,
        say: host.Say = lambda line: None,
        in_use: bool = False,
    ) -> None:
        self.in_use = in_use
        self.project = project.absolute()
        self.name = plan.check_name(name or os.environ.get("LAB_NAME", "bramble"))
        self.say = say

    # --- up and down -----------------------------------------------------------------------------

    def up(self, workers: int | None = None) -> Plan:
        """
        Build, connect and boot what is missing; return the plan once all nodes are running.

        + workers: how many; None: those in the inventory
        """
        cluster = settings.load(self.project)
        operator.put_aside(self.project)
        host.install_packages(self.say)
        kernel.load_modules()
        source = kubernetes.choose(cluster)
        self.say(f"Kubernetes: {source.text}")
        with host.lock(f"lab-{self.name}"):
            wanted = self._plan(cluster, workers, rootfs.build(self.say, self.in_use))
            with self._step("network"):
                group = self._ensure_lan(wanted)
            disk.add_to_cards(self.name, kubernetes.files_of_card(source))
            off = [n for n in wanted.nodes if node.status(wanted, n, group).state == "off"]
            with self._step(f"{len(off)} node{'s' * (len(off) != 1)} booted"):
                for each in off:
                    if not disk.is_there(self.name, each.name):
                        disk.flash(wanted, each, self._boot_files(cluster, each))
                    node.start(wanted, each, group)
                for each in wanted.nodes:
                    node.wait_running(wanted, each, group)
            kubernetes.start(wanted, group, cluster, source, self.project)
            rootfs.drop_unused({Path(used).name for used in plan.of_all_labs("rootfs")})
        self._prepare_folder()
        return wanted

    def _plan(self, cluster: settings.Cluster, workers: int | None, image: Path) -> Plan:
        """Make and save the plan; a running lab keeps what cannot change under its nodes."""
        nodes = plan.choose_nodes(cluster, workers)
        with host.lock("transfer"):  # no two labs choose the same addresses
            now = plan.load(self.name)
            transfer = now.transfer if now else network.choose_transfer()
            wanted = plan.make(self.name, cluster, nodes, transfer, image)
            if now:
                wanted = plan.merge(now, wanted)
            plan.save(wanted)
        return wanted

    def _ensure_lan(self, wanted: Plan) -> str:
        """Build the network with its router, unless it is there and answers."""
        services.reserve(wanted)
        if services.are_up(wanted):
            return cgroup.create(self.name)
        resolver = host.resolver()
        if not resolver:
            self.say(
                "this machine's resolver is on its loopback, so names do not resolve in the lab"
            )
        # Nodes that run are disconnected from the new switch, so they boot again, from their disks.
        cgroup.destroy(self.name)
        group = cgroup.create(self.name)
        network.up(wanted, resolver)
        sysctl.borrow(self.name)
        services.start(wanted, group)
        return group

    def down(self) -> None:
        """Stop everything and remove all traces but the caches; also after a crash."""
        with host.lock(f"lab-{self.name}"):
            cgroup.destroy(self.name)
            network.down(self.name)
            network.wait_until_gone(self.name)
            sysctl.give_back(self.name)
            services.share_packages(self.name)
            node.clear_runtime(self.name)
            shutil.rmtree(plan.state_directory(self.name), ignore_errors=True)
            operator.give_back(self.project)

    # --- state -----------------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """The plan of the running lab; a LabError if it is down."""
        known = plan.load(self.name)
        if known is None:
            raise LabError(messages.DOWN(name=self.name))
        return known

    def status(self) -> list[NodeState]:
        """Every node's state."""
        known, group = self.plan, cgroup.root(self.name)
        return [
            NodeState(
                each,
                node.status(known, each, group),
                tuple(
                    p.interface for p in each.ports if network.cut_file(self.name, each, p).exists()
                ),
            )
            for each in known.nodes
        ]

    # --- power and cables ------------------------------------------------------------------------

    def reboot(self, name: str) -> None:
        """Reboot a node with a clean shutdown, and wait until it is running again."""
        with self._node(name) as (known, each, group):
            before = node.status(known, each, group).boots
            node.request_reboot(known, each, group)
            node.wait_running(known, each, group, after_boot=before)

    def power_off(self, name: str) -> None:
        """Cut the power of a node, without a shutdown."""
        with self._node(name) as (known, each, group):
            node.cut_power(known, each, group)

    def power_on(self, name: str) -> None:
        """Switch a node on, and wait until it is running."""
        with self._node(name) as (known, each, group):
            node.start(known, each, group)
            node.wait_running(known, each, group)

    def fresh(self, name: str, card: Path | None = None) -> None:
        """
        Boot a node from a new card: a new disk and a first boot.

        + card: an image whose boot partition is used; None: one made from the settings
        """
        with self._node(name) as (known, each, group):
            if card is None:
                files = self._boot_files(settings.load(self.project), each)
            else:
                files = disk.boot_files_of(card)
            node.cut_power(known, each, group)
            disk.flash(known, each, files)
            node.start(known, each, group)
            node.wait_running(known, each, group)

    def cut(self, name: str, interface: str | None = None) -> None:
        """
        Disconnect a network cable at the switch, also over reboots.

        + interface: its name in the node; None: all of them
        """
        self._set_links(name, interface, up=False)

    def mend(self, name: str, interface: str | None = None) -> None:
        """Connect what `cut` disconnected."""
        self._set_links(name, interface, up=True)

    def _set_links(self, name: str, interface: str | None, *, up: bool) -> None:
        with self._node(name) as (known, each, _):
            for port in each.ports_named(interface):
                file = network.cut_file(self.name, each, port)
                if up:
                    file.unlink(missing_ok=True)
                else:
                    file.touch()
                # A node that is off has no cables; they are made in their state at power on.
                if network.exists(self.name, each.name):
                    network.set_link(known, each, port, up=up)

    # --- inside ----------------------------------------------------------------------------------

    def operator_command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` as the operator, to be started by the caller."""
        return operator.command(self.plan.name, argv)

    def operator_environment(self) -> dict[str, str]:
        """The environment for such a command."""
        own = kubernetes.environment(self.name, self.project)
        path = {"PATH": f"{operator.environment()['PATH']}:{kubernetes.kubectl_folder()}"}
        return operator.environment() | own | path

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout: float | None = 1800,
        env: dict[str, str] | None = None,
    ) -> Completed:
        """
        Run a command as the operator, in the directory of the inventory; its exit status is not
        checked.

        + timeout: seconds, then `subprocess.TimeoutExpired`
        + env: added to the environment
        """
        return subprocess.run(
            self.operator_command(argv),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=self.project,
            check=False,
            timeout=timeout,
            env=self.operator_environment() | (env or {}),
        )

    def ssh_command(self, name: str, *command: str) -> list[str]:
        """The operator's ssh command to a node, with .cluster/ssh_config."""
        inventory = {node.name for node in settings.load(self.project).nodes}
        if self.plan.node(name).name not in inventory:
            raise LabError(messages.SPARE(node=name))
        return operator.ssh(self.project, name, *command)

    def ssh(self, name: str, command: str, *, stdin: str = "", timeout: float = 600) -> Completed:
        """Run a shell command on a node over the network, as the operator does: the admin user."""
        argv = operator.without_questions(self.ssh_command(name, command))
        return self.run(argv, stdin=stdin, timeout=timeout)

    def console(self, name: str, argv: Sequence[str]) -> Completed:
        """Run a command on a node as root without its network: see `node.console`."""
        with self._node(name) as (known, each, group):
            return node.console(known, each, group, argv)

    # --- parts -----------------------------------------------------------------------------------

    @contextmanager
    def _node(self, name: str) -> Iterator[tuple[Plan, NodePlan, str]]:
        known = self.plan
        yield known, known.node(name), cgroup.root(self.name)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.say(f"{what} in {time.monotonic() - started:.1f} s")

    def _boot_files(self, cluster: settings.Cluster, each: NodePlan) -> dict[str, str]:
        """Make a node's boot partition, and pin its host keys; also for a spare node."""
        of_all = {n.name: n for n, _ in plan.choose_nodes(cluster, plan.MAX_WORKERS)}
        of_all |= {n.name: n for n in cluster.nodes}
        first_boot.pin(cluster, of_all[each.name])
        return first_boot.boot_files(cluster, of_all[each.name])

    def _prepare_folder(self) -> None:
        """Write ssh_config as the operator, who can reach the nodes."""
        operator.own(self.project / ".cluster")
        done = self.run(operator.PREPARE, env=operator.CODE)
        if done.returncode:
            raise LabError(messages.SSH_CONFIG(reason=(done.stderr or done.stdout).strip()))
