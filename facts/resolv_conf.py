"""/etc/resolv.conf, and all programs that may write it, in one remote execution."""

from __future__ import annotations

from dataclasses import dataclass, field

from facts.base import State, WholeFact, one_of, text_of, words_of
from facts.files import READ_FILES, FileState, parse_files

PATH = "/etc/resolv.conf"
NETWORK_MANAGER = "/etc/NetworkManager/conf.d/90-bramble-dns.conf"
RESOLVED = "/etc/systemd/resolved.conf.d/90-bramble.conf"
DHCPCD = "/etc/dhcpcd.enter-hook"
# Sorts after the hooks "resolvconf" and "resolved-enter"; a name with a dot would be ignored.
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

# Prints a line for each field of ResolverState, then the files. Of NetworkManager it prints both
# the configuration (it may start at any time) and the setting of the running one.
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
    The resolver's file and the programs that may write it.

    + text: content of /etc/resolv.conf, through links; None: no such file
    + real: path with all links followed; "": no such directory
    + immutable: whether ``chattr +i`` is set
    + network_manager: NetworkManager's ``dns`` setting in its files; "": not installed
    + network_manager_now: the same of the running one; "": not running
    + resolved: whether systemd-resolved runs or is started at boot
    + resolvconf: owner of the ``resolvconf`` command: ``resolvconf``, ``openresolv``,
      ``systemd-resolved``; "": no such command
    + dhcp_clients: installed ones, in the order in which ifupdown prefers them
    + udhcpc: whether udhcpc has configured an interface
    + files: /etc/resolv.conf, and the configuration file of each writer that bramble may change
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
    """Read /etc/resolv.conf and the programs that may write it; ``None`` when that failed."""

    script = (_SCRIPT, *FILES)

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
