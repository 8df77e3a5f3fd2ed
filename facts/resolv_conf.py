"""
/etc/resolv.conf, and everything on the node that may write it, in one remote execution.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask, one_of, text_of, words_of
from facts.files import READ_FILES, FileState, parse_files

PATH = "/etc/resolv.conf"
NETWORK_MANAGER = "/etc/NetworkManager/conf.d/90-bramble-dns.conf"
RESOLVED = "/etc/systemd/resolved.conf.d/90-bramble.conf"
DHCPCD = "/etc/dhcpcd.enter-hook"
# After the hooks named "resolvconf" and "resolved-enter"; without a dot, or it is not read.
DHCLIENT = "/etc/dhcp/dhclient-enter-hooks.d/zz-bramble"
OPENRESOLV = "/etc/resolvconf.conf"
RESOLVCONF_HEAD = "/etc/resolvconf/resolv.conf.d/head"
RESOLVCONF_TAIL = "/etc/resolvconf/resolv.conf.d/tail"
FILES = [
    PATH,
    NETWORK_MANAGER,
    RESOLVED,
    DHCPCD,
    DHCLIENT,
    OPENRESOLV,
    RESOLVCONF_HEAD,
    RESOLVCONF_TAIL,
]

# One line for each field of Resolver, in its order, before what facts.files prints.
# Of NetworkManager it reads what its files say (it may start again at any time) and what the
# running one does.
_SCRIPT = (
    """p=/etc/resolv.conf;
base64 -w0 < $p 2>/dev/null; echo;
readlink -f $p || echo;
echo "$(lsattr -d $p 2>/dev/null | cut -d' ' -f1)";
if command -v NetworkManager >/dev/null; then
NetworkManager --print-config 2>/dev/null |
awk -F= '/^\\[/ {s=$0} s=="[main]" && $1=="dns" {d=$2} END {print d ? d : "default"}';
o=org.freedesktop.NetworkManager;
echo "$(busctl get-property $o /org/freedesktop/NetworkManager/DnsManager $o.DnsManager Mode \
2>/dev/null | cut -d'"' -f2)";
else echo; echo; fi;
if systemctl show -p ActiveState -p UnitFileState systemd-resolved.service 2>/dev/null |
grep -Eq '=(active|activating|reloading|enabled|enabled-runtime)$';
then echo yes; else echo no; fi;
r=$(command -v resolvconf); case "$(readlink -f "$r")" in
'') echo;; */resolvectl) echo systemd-resolved;;
*) if grep -qi openresolv "$r"; then echo openresolv; else echo resolvconf; fi;; esac;
for c in dhclient udhcpc dhcpcd; do
if command -v $c >/dev/null; then printf '%s ' $c; fi; done; echo;
if ls /run/udhcpc.*.pid >/dev/null 2>&1; then echo yes; else echo no; fi;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class ResolverState(State):
    """
    The resolver's file and its possible writers.

    + text: what a program reads at /etc/resolv.conf, through links; None when there is nothing
    + real: the path at the end of the links; empty when there is no such directory
    + immutable: whether ``chattr +i`` is on it
    + network_manager: NetworkManager's ``dns`` setting by its files; empty when not installed
    + network_manager_now: the same of the running one; empty when none runs
    + resolved: whether systemd-resolved runs or is started at boot
    + resolvconf: whose ``resolvconf`` command there is: ``resolvconf``, ``openresolv``,
      ``systemd-resolved``; empty for none
    + dhcp_clients: those installed, in the order in which ifupdown chooses
    + udhcpc: whether udhcpc has an interface
    + files: /etc/resolv.conf itself and each writer's file of settings that is ours to write in
    """

    text: str | None = None
    real: str = ""
    immutable: bool = False
    network_manager: str = ""
    network_manager_now: str = ""
    resolved: bool = False
    resolvconf: str = ""
    dhcp_clients: list[str] = field(default_factory=list)
    udhcpc: bool = False
    files: dict[str, FileState] = field(default_factory=dict)


class Resolver(WholeFact[ResolverState]):
    """
    /etc/resolv.conf and its possible writers; ``None`` when they could not be read.

    What is not installed is not an error.
    """

    @override
    def command(self) -> StringCommand:
        return ask(_SCRIPT, *FILES)

    @override
    def parse(
        self,
        text: str,
        real: str,
        attributes: str,
        dns: str,
        dns_now: str,
        resolved: str,
        resolvconf: str,
        clients: str,
        udhcpc: str,
        *rest: str,
    ) -> ResolverState:
        files = parse_files(rest, FILES)
        return ResolverState(
            text=text_of(text) if files[PATH].kind == "file" or text else None,
            real=real,
            immutable="i" in attributes,
            network_manager=dns,
            network_manager_now=dns_now,
            resolved=one_of(resolved, "yes", "no") == "yes",
            resolvconf=one_of(resolvconf, "", "resolvconf", "openresolv", "systemd-resolved"),
            dhcp_clients=words_of(clients, ("dhclient", "udhcpc", "dhcpcd")),
            udhcpc=one_of(udhcpc, "yes", "no") == "yes",
            files=files,
        )
