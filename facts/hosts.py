"""The hostname and /etc/hosts, and what cloud-init changes of them at boot."""

from __future__ import annotations

from dataclasses import dataclass, field

from facts.base import State, WholeFact
from facts.files import READ_FILES, FileState, parse_files

HOSTS = "/etc/hosts"
TEMPLATE = "/etc/cloud/templates/hosts.debian.tmpl"
HOSTNAME = "/etc/hostname"
PRESERVE = "/etc/cloud/cloud.cfg.d/99-bramble-hostname.cfg"

# Prints a top-level setting as cloud-init reads it at the next boot: "-" if it is not set, nothing
# if cloud-init does not run. User-data overrides /etc/cloud (helpers.ConfigMerger of cloud-init),
# where the last file wins.
_CLOUD_INIT = """cloud() {
if ! command -v cloud-init >/dev/null || [ -e /etc/cloud/cloud-init.disabled ] ||
grep -qs cloud-init=disabled /proc/cmdline; then echo; return; fi;
i=/var/lib/cloud/instance;
for f in $i/cloud-config.txt $i/vendor2-cloud-config.txt $i/vendor-cloud-config.txt \
$(ls -r /etc/cloud/cloud.cfg.d/*.cfg 2>/dev/null) /etc/cloud/cloud.cfg; do
[ ! -f "$f" ] || set -- "$@" "$f"; done; s=$1; shift;
awk -v s="$s:" 'FNR == 1 && v != "" {exit} index($0, s) == 1 {v=substr($0, length(s) + 1);
gsub(/["\\047\\r]/, "", v); sub(/^[ \\t]+/, "", v)}
END {if (v == "") v="-"; sub(/[ #].*/, "", v); print v}' "$@" /dev/null; };
uname -n;
"""


@dataclass(frozen=True)
class HostsState(State):
    """
    /etc/hosts and what rewrites it.

    + hostname: the live one
    + rewritten: cloud-init's manage_etc_hosts: ``template`` (generated from ``TEMPLATE`` at each
      boot), ``localhost`` (own name mapped to 127.0.1.1 at each boot), or ""
    + files: ``HOSTS`` and ``TEMPLATE``
    """

    hostname: str
    rewritten: str = ""
    files: dict[str, FileState] = field(default_factory=dict)


@dataclass(frozen=True)
class HostnameState(State):
    """
    The hostname and what resets it.

    + hostname: the live one
    + cloud_init: whether cloud-init runs at the next boot
    + preserved: whether it keeps the hostname then
    + files: ``HOSTNAME`` and ``PRESERVE``
    """

    hostname: str
    cloud_init: bool = False
    preserved: bool = False
    files: dict[str, FileState] = field(default_factory=dict)


class Hosts(WholeFact[HostsState]):
    """Read /etc/hosts; ``None`` when it could not be read."""

    script = (f"{_CLOUD_INIT}cloud manage_etc_hosts;\n{READ_FILES}", HOSTS, TEMPLATE)

    def parse(self, hostname: str, setting: str, *files: str) -> HostsState:
        states = parse_files(files, self.script[1:])
        if _is_true(setting) or setting.lower() == "template":
            setting = "template"
        return HostsState(hostname, setting if setting in ("template", "localhost") else "", states)


class Hostname(WholeFact[HostnameState]):
    """Read the hostname; ``None`` when it could not be read."""

    script = (f"{_CLOUD_INIT}cloud preserve_hostname;\n{READ_FILES}", HOSTNAME, PRESERVE)

    def parse(self, hostname: str, setting: str, *files: str) -> HostnameState:
        states = parse_files(files, self.script[1:])
        return HostnameState(hostname, setting != "", _is_true(setting), states)


def _is_true(setting: str) -> bool:
    """Interpret a setting as util.translate_bool of cloud-init does."""
    return setting.lower() in ("true", "1", "on", "yes")
