"""Kernel modules, live and at boot."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand

from facts.base import IncompleteAnswer, State, WholeFact, ask, one_of
from facts.files import READ_FILES, FileState, parse_files

# systemd-modules-load.service reads this directory at boot: modules-load.d(5).
LOAD_FILE = "/etc/modules-load.d/bramble.conf"

# A built-in module is listed in modules.builtin or, without that file, recognised by what it
# provides.
_SCRIPT = (
    """k=/lib/modules/$(uname -r); for m in $1; do
if [ -d "/sys/module/$m" ] || grep -q "^$m " /proc/modules 2>/dev/null \
|| grep -qs "/$m\\.ko" "$k/modules.builtin"; then echo loaded;
elif [ "$m" = overlay ] && grep -qw overlay /proc/filesystems; then echo loaded;
elif [ "$m" = br_netfilter ] && [ -d /proc/sys/net/bridge ]; then echo loaded;
elif modprobe -n -q "$m" 2>/dev/null; then echo loadable; else echo missing; fi; done;
uname -r; shift;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class ModulesState(State):
    """
    The state of some modules.

    + modules: by name: "loaded" (or built in), "loadable", or "missing"
    + kernel: release of the running kernel
    + load_file: ``LOAD_FILE``
    """

    modules: dict[str, str]
    kernel: str
    load_file: FileState


class Modules(WholeFact[ModulesState]):
    """
    Read whether modules are loaded.

    + names: of the modules, with underscores
    """

    def command(self, names: list[str]) -> StringCommand:
        self.names = list(names)
        return ask(_SCRIPT, " ".join(self.names), LOAD_FILE)

    def parse(self, *lines: str) -> ModulesState:
        states, rest = lines[: len(self.names)], lines[len(self.names) :]
        if not rest:
            raise IncompleteAnswer
        kernel, *file = rest
        return ModulesState(
            modules={
                name: one_of(state, "loaded", "loadable", "missing")
                for name, state in zip(self.names, states, strict=True)
            },
            kernel=kernel,
            load_file=parse_files(file, [LOAD_FILE])[LOAD_FILE],
        )
