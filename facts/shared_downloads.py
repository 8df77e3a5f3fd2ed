"""Read the service with which a node keeps downloads for the others."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of
from facts.files import READ_FILES, FileState, parse_files
from formats.shared_downloads import NAME

UNIT = f"{NAME}.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
CONFIG = f"/etc/bramble/{NAME}.conf"

# "activating": it waits for its address. Its pid file is as old as the configuration in effect.
_SCRIPT = (
    f"""case $(dpkg-query -W -f='${{Status}}' nginx 2>/dev/null) in "install ok installed"|\
"hold ok installed") echo installed;; *) echo -;; esac;
systemctl show -p ActiveState,UnitFileState {UNIT} 2>/dev/null |
awk -F= '{{is[$1]=$2}} END {{print is["UnitFileState"] == "enabled" ? "enabled" : "-";
print is["ActiveState"] ~ /^(active|activating)$/ ? "active" : "-"}}';
[ {CONFIG} -nt /run/{NAME}/pid ] || [ {UNIT_PATH} -nt /run/{NAME}/pid ] && echo changed || echo -;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class CacheState(State):
    """
    + installed: whether the package nginx is completely installed
    + enabled, active: of the service
    + needs_restart: whether its files are newer than the running service
    + files: its unit and its configuration
    """

    installed: bool
    enabled: bool
    active: bool
    needs_restart: bool
    files: dict[str, FileState]


class DownloadCache(WholeFact[CacheState]):
    """Read the service with which a node keeps downloads: a ``CacheState``."""

    script = (_SCRIPT, UNIT_PATH, CONFIG)

    def parse(
        self, installed: str, enabled: str, active: str, restart: str, *files: str
    ) -> CacheState:
        return CacheState(
            installed=one_of(installed, "installed", "-") == "installed",
            enabled=one_of(enabled, "enabled", "-") == "enabled",
            active=one_of(active, "active", "-") == "active",
            needs_restart=one_of(restart, "changed", "-") == "changed",
            files=parse_files(files, [UNIT_PATH, CONFIG]),
        )
