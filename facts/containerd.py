"""Read the state of containerd: its version, configuration and service, and whether CRI works."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand

from facts.base import State, UnexpectedLine, WholeFact, ask, one_of, text_of
from facts.files import READ_FILES, FileState, parse_files
from formats.registry_mirrors import CERTS_DIR, MIRROR_MARK

CONFIG = "/etc/containerd/config.toml"
# There from before a file is changed until containerd is restarted; in /run, because a boot
# restarts it too.
RESTART_MARK = "/run/bramble/containerd-needs-restart"

# containerd prints: containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+deb13u1
_SCRIPT = (
    """v=$(containerd --version 2>/dev/null | cut -d' ' -f3); echo "$v";
c=; [ -n "$v" ] || c=$(apt-cache policy containerd 2>/dev/null | sed -n 's/^  Candidate: //p' \
| grep -v none); echo "$c";
systemctl show -p ActiveState,UnitFileState containerd.service 2>/dev/null |
awk -F= '{is[$1]=$2} END {print is["UnitFileState"] == "enabled" ? "enabled" : "-";
print is["ActiveState"] == "active" ? "active" : "-"}';
ctr plugins ls 2>/dev/null | awk '$1 == "io.containerd.grpc.v1" && $2 == "cri" {s=$NF}
END {print s ? s : "-"}';
[ -e """
    + RESTART_MARK
    + f""" ] && echo restart || echo -;
marked=$(grep -lsxF '{MIRROR_MARK}' {CERTS_DIR}/*/hosts.toml); echo "$marked" | paste -sd' ';
if grep -qsw imports {CONFIG} || [ -d /etc/containerd/conf.d ]; then
containerd config dump 2>/dev/null | base64 -w0; fi; echo;
for f in $marked; do case " $* " in *" $f "*) ;; *) set -- "$@" "$f";; esac; done;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class ContainerdState(State):
    """
    A node's containerd.

    + version: the program's, such as "1.7.24~ds1"; "" when it isn't installed
    + candidate: the version that apt would install; "" when it knows of none. Not read
      where containerd is installed
    + enabled, active: of its service
    + cri: whether it has loaded the interface that Kubernetes needs
    + needs_restart: whether its files have changed since it was started
    + dump: its configuration in effect, with imported files merged; "" when it imports none
    + files: the files that were asked for, and bramble's own of registry mirrors
    """

    version: str
    candidate: str
    enabled: bool
    active: bool
    cri: bool
    needs_restart: bool
    dump: str
    files: dict[str, FileState]


class Containerd(WholeFact[ContainerdState]):
    """
    Read the state of containerd: a ``ContainerdState``.

    + paths: the configuration files to read
    """

    secret = True  # the files may hold a registry's password

    def command(self, paths: list[str]) -> StringCommand:
        self.paths = list(paths)
        return ask(_SCRIPT, *self.paths)

    def parse(
        self,
        version: str,
        candidate: str,
        enabled: str,
        active: str,
        cri: str,
        restart: str,
        marked: str,
        dump: str,
        *files: str,
    ) -> ContainerdState:
        return ContainerdState(
            version=version,
            candidate=candidate,
            enabled=one_of(enabled, "enabled", "-") == "enabled",
            active=one_of(active, "active", "-") == "active",
            cri=cri == "ok",
            needs_restart=one_of(restart, "restart", "-") == "restart",
            dump=text_of(dump, "replace"),
            files=parse_files(files, list(dict.fromkeys([*self.paths, *_paths(marked)]))),
        )


def _paths(line: str) -> list[str]:
    if not all(word.startswith(f"{CERTS_DIR}/") for word in line.split()):
        raise UnexpectedLine(line)
    return line.split()
