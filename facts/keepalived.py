"""Read what holds the address that control planes have in common."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand

from facts.base import State, WholeFact, ask, one_of
from facts.files import READ_FILES, FileState, parse_files

UNIT = "keepalived.service"
PATH = "/etc/keepalived/keepalived.conf"

# A daemon that began before its file was written has not read it.
_SCRIPT = (
    f"""for p in keepalived curl; do command -v $p >/dev/null || [ -x /usr/sbin/$p ] &&
echo there || echo -; done;
systemctl is-enabled --quiet {UNIT} 2>/dev/null && echo enabled || echo -;
at=$(systemctl show -p ActiveEnterTimestamp --value {UNIT} 2>/dev/null);
if ! systemctl is-active --quiet {UNIT} 2>/dev/null; then echo -;
elif [ -e {PATH} ] && [ "$(stat -c %Y {PATH})" -gt "$(date -d "$at" +%s)" ]; then echo outdated;
else echo active; fi;
[ -s /etc/kubernetes/manifests/kube-apiserver.yaml ] && echo api || echo -;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class KeepalivedState(State):
    """
    + installed, has_curl: whether keepalived, and curl, which its check needs, are installed
    + enabled: whether it starts at boot
    + active: whether it runs, with the file as it is
    + has_api_server: whether this node is a control plane already
    + file: its configuration
    """

    installed: bool
    has_curl: bool
    enabled: bool
    active: bool
    has_api_server: bool
    file: FileState


class Keepalived(WholeFact[KeepalivedState]):
    """Read the state of keepalived: a ``KeepalivedState``."""

    def command(self) -> StringCommand:
        return ask(_SCRIPT, PATH)

    def parse(
        self, keepalived: str, curl: str, enabled: str, active: str, api: str, *file: str
    ) -> KeepalivedState:
        return KeepalivedState(
            one_of(keepalived, "there", "-") == "there",
            one_of(curl, "there", "-") == "there",
            one_of(enabled, "enabled", "-") == "enabled",
            one_of(active, "active", "outdated", "-") == "active",
            one_of(api, "api", "-") == "api",
            parse_files(file, [PATH])[PATH],
        )
