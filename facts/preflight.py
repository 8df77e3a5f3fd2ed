"""
All that is looked at before anything is changed, in one remote execution.
"""

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
from facts.reach import Reach
from facts.resolv_conf import Resolver, ResolverState
from facts.run_lock import RunLock, RunLockState
from facts.swap import Swap, SwapState

# Without sudo's consent nothing of it can be read, and sudo is what has to be told of then.
_BY_ROOT = (
    """if said=$(sudo -n true 2>&1); then exec sudo -n env """
    + LOCALE
    + """ sh -c "$@"; fi;
"""
    + between_markers("""echo "sudo $(printf %s "$said" | tail -n 1 | base64 -w0)\"""")
)

# The other facts' commands, at the same time: "NAME COMMAND NAME COMMAND …".
_TOGETHER = between_markers("""d=$(mktemp -d /run/bramble-look-XXXXXX) || exit;
while [ $# -gt 0 ]; do sh -c "$2" > "$d/$1" 2>/dev/null & shift 2; done; wait;
for f in "$d"/*; do echo "${f##*/} $(base64 -w0 < "$f")"; done; rm -rf "$d\"""")


@dataclass(frozen=True)
class PreflightState(State):
    """
    What other facts have found, each under its name; None for what could not be read.

    + sudo: why the rest could not be read: what sudo says that lets nobody in without a password
    + unread: why each part that is None could not be read
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
    resolver: ResolverState | None = None
    run_lock: RunLockState | None = None
    swap: SwapState | None = None
    unread: dict[str, str] = field(default_factory=dict)


class Preflight(WholeFact[PreflightState]):
    """
    A node before anything is changed on it: a ``PreflightState``. To be asked without sudo
    (``_sudo=False``): whether that is to be had is one of the questions.

    + role: "control_plane" is asked for its control plane, a "worker" for the cluster that it has
      joined
    + addresses, archives, registries: what it shall reach, see ``Reach``
    """

    secret = True  # of its parts, some are

    @override
    def command(
        self, role: str, addresses: list[str], archives: list[str], registries: list[str]
    ) -> StringCommand:
        self.parts: dict[str, tuple[WholeFact[Any], StringCommand]] = {}
        iptables, reach = Iptables(), Reach()
        self._add("iptables", iptables, iptables.command("", []))
        if role == "control_plane":
            # It is not waited for here: that is for the operation which needs it.
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
