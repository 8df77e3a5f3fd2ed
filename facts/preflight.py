"""Everything that preflight checks need, in one remote execution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import FactProcessError, QuoteString, StringCommand
from typing_extensions import override

from facts.architecture import Architecture, ArchitectureState
from facts.base import LOCALE, State, WholeFact, between_markers, text_of
from facts.cgroup import CgroupState, MemoryCgroup
from facts.clock import Clock, ClockState
from facts.firewall import Firewall, FirewallState
from facts.interfaces import InterfacesFiles, InterfacesState
from facts.iptables import Iptables, IptablesState
from facts.kubeadm import ControlPlane, ControlPlaneState, Member, MemberState
from facts.leftovers import Leftovers, LeftoversState
from facts.listeners import Listeners
from facts.machine import Machine, MachineState
from facts.machine_id import MachineId
from facts.networks import Networks, NetworksState
from facts.node_record import Record, RecordState
from facts.reach import Reach
from facts.resolv_conf import Resolver, ResolverState
from facts.run_lock import RunLock, RunLockState
from facts.swap import Swap, SwapState

# Without sudo nothing else can be read, so that its message is the answer.
_BY_ROOT = (
    """if said=$(sudo -n true 2>&1); then exec sudo -n env """
    + LOCALE
    + """ sh -c "$@"; fi;
"""
    + between_markers("""echo "sudo $(printf %s "$said" | tail -n 1 | base64 -w0)\"""")
)

# The other facts' commands, at the same time: "NAME COMMAND NAME COMMAND …".
_TOGETHER = between_markers("""d=$(mktemp -d /run/bramble-preflight-XXXXXX) || exit;
while [ $# -gt 0 ]; do sh -c "$2" > "$d/$1" 2>/dev/null & shift 2; done; wait;
for f in "$d"/*; do echo "${f##*/} $(base64 -w0 < "$f")"; done; rm -rf "$d\"""")


@dataclass(frozen=True)
class PreflightState(State):
    """
    The states of other facts by name; None for those that could not be read.

    + sudo: the message of sudo if it asks for a password; then nothing else was read
    + unread: the reason for each part that is None
    """

    sudo: str = ""
    architecture: ArchitectureState | None = None
    cgroup: CgroupState | None = None
    clock: ClockState | None = None
    control_plane: ControlPlaneState | None = None
    firewall: FirewallState | None = None
    interfaces: InterfacesState | None = None
    iptables: IptablesState | None = None
    leftovers: LeftoversState | None = None
    listeners: dict[str, str] | None = None
    machine: MachineState | None = None
    machine_id: str | None = None
    member: MemberState | None = None
    networks: NetworksState | None = None
    reach: dict[str, dict[str, str]] | None = None
    record: RecordState | None = None
    resolver: ResolverState | None = None
    run_lock: RunLockState | None = None
    swap: SwapState | None = None
    unread: dict[str, str] = field(default_factory=dict)


class Preflight(WholeFact[PreflightState]):
    """
    A node before anything is changed on it. Read it without sudo (``_sudo=False``), which is one of
    the things to check.

    + role: "control_plane" is asked for its control plane, a "worker" for the cluster that it has
      joined
    + addresses, archives, registries: what it has to reach, see ``Reach``
    """

    secret = True  # because some of its parts are

    @override
    def command(
        self, role: str, addresses: list[str], archives: list[str], registries: list[str]
    ) -> StringCommand:
        self.parts: dict[str, tuple[WholeFact[Any], StringCommand]] = {}
        iptables, reach = Iptables(), Reach()
        self._add("iptables", iptables, iptables.command("", []))
        if role == "control_plane":
            # Only the operation that needs the API server waits for it.
            plane = ControlPlane()
            self._add("control_plane", plane, plane.command(patience=0))
        else:
            member = Member()
            self._add("member", member, member.command())
        self._add("reach", reach, reach.command(addresses, archives, registries))
        for name, fact in (
            ("architecture", Architecture()),
            ("cgroup", MemoryCgroup()),
            ("clock", Clock()),
            ("firewall", Firewall()),
            ("interfaces", InterfacesFiles()),
            ("leftovers", Leftovers()),
            ("listeners", Listeners()),
            ("machine", Machine()),
            ("machine_id", MachineId()),
            ("networks", Networks()),
            ("record", Record()),
            ("resolver", Resolver()),
            ("run_lock", RunLock()),
            ("swap", Swap()),
        ):
            self._add(name, fact, fact.command())
        words = [
            word
            for name, (_, command) in self.parts.items()
            for word in (name, command.get_raw_value())
        ]
        arguments = [QuoteString(word) for word in (_TOGETHER, "sh", *words)]
        return StringCommand("sh", "-c", QuoteString(_BY_ROOT), "sh", *arguments)

    def _add(self, name: str, fact: WholeFact[Any], command: StringCommand) -> None:
        self.parts[name] = (fact, command)

    @override
    def parse(self, *lines: str) -> PreflightState:
        said = {
            name: text_of(answer) for name, _, answer in (line.partition(" ") for line in lines)
        }
        if "sudo" in said:
            return PreflightState(sudo=said["sudo"])
        found: dict[str, Any] = {}
        unread: dict[str, str] = {}
        for name, (fact, _) in self.parts.items():
            try:
                found[name] = fact.process(said.get(name, "").removesuffix("\n").split("\n"))
            except FactProcessError as error:
                unread[name] = str(error)
        return PreflightState(**found, unread=unread)
