"""
The packages of Kubernetes on a node: where they come from, what is installed, held, to be had.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, FactProcessError, QuoteString, StringCommand
from typing_extensions import override

from facts.files import END, READ_FILES, FileState, parse_files

SOURCE = "/etc/apt/sources.list.d/kubernetes.sources"
KEY = "/etc/apt/keyrings/kubernetes-apt-keyring.asc"
NAMES = ["kubelet", "kubeadm", "kubectl", "kubernetes-cni"]

_REPOSITORY = (
    """grep -lsE '^[^#]*(pkgs\\.k8s\\.io|apt\\.kubernetes\\.io)' /etc/apt/sources.list \
/etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources | tr '\\n' '|'; echo;
"""
    + READ_FILES
    + f"; echo '{END}'"
)

# dpkg's status of a package is three words: what is wanted (install, hold), errors, what is.
_PACKAGES = f"""dpkg --print-architecture; df -Pm /var | awk 'NR == 2 {{print $4}}';
[ -e /etc/kubernetes/kubelet.conf ] && echo joined || echo -;
systemctl is-enabled kubelet.service 2>/dev/null | grep -x enabled || echo -;
i=$(dpkg-query -W -f='${{Package}} ${{Status}} ${{Version}}\\n' {" ".join(NAMES)} 2>/dev/null);
echo "$i" | sed 's/^/installed /';
n=$(echo "$i" | grep -cE "^(kubelet|kubeadm|kubectl) [a-z]+ ok installed $1[.-]");
[ "$n" = 3 ] || LC_ALL=C apt-cache madison kubelet kubeadm kubectl kubernetes-cni 2>/dev/null \
| awk -F' *[|] *' '{{gsub(/ /, "", $1); print "available", $1, $2}}';
echo '{END}'"""


@dataclass(frozen=True)
class RepositoryState:
    """
    + sources: apt's files that name a repository of Kubernetes packages
    + files: ``SOURCE`` and ``KEY``
    """

    sources: list[str]
    files: dict[str, FileState]


class Repository(FactBase[RepositoryState | None]):
    """
    The repositories of Kubernetes packages that a node's apt has.
    """

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def command(self) -> StringCommand:
        return StringCommand(
            "sh", "-c", QuoteString(_REPOSITORY), "sh", QuoteString(SOURCE), QuoteString(KEY)
        )

    @override
    def process(self, output: list[str]) -> RepositoryState:
        lines = list(output)
        if len(lines) < 2 or lines[-1] != END:
            raise FactProcessError("the answer of the node is cut short")
        sources, *files = lines[:-1]
        return RepositoryState(
            [path for path in sources.split("|") if path], parse_files(files, [SOURCE, KEY])
        )


@dataclass(frozen=True)
class PackagesState:
    """
    + architecture: of the node's packages: "arm64"
    + free_mb: room on the file system of /var
    + joined: whether the node is, or is about to be, part of a cluster
    + kubelet_enabled: whether the kubelet starts at boot
    + installed: the version of each of ``NAMES`` that is installed completely
    + held: which of them apt leaves alone
    + broken: those whose installation was cut off in the middle
    + available: the versions of each that apt knows of, the newest first; not read where the wanted
      version is installed
    """

    architecture: str
    free_mb: int
    joined: bool
    kubelet_enabled: bool
    installed: dict[str, str]
    held: list[str]
    broken: list[str]
    available: dict[str, list[str]]


class Packages(FactBase[PackagesState | None]):
    """
    The state of the Kubernetes packages.

    + version: the wanted one, "1.36" or "1.36.4"
    """

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def command(self, version: str) -> StringCommand:
        return StringCommand(
            "sh", "-c", QuoteString(_PACKAGES), "sh", QuoteString(version.replace(".", "\\."))
        )

    @override
    def process(self, output: list[str]) -> PackagesState:
        lines = list(output)
        if len(lines) < 5 or lines[-1] != END:
            raise FactProcessError("the answer of the node is cut short")
        architecture, free, joined, enabled, *rest = lines[:-1]
        installed, held, broken = {}, [], []
        available: dict[str, list[str]] = {}
        for line in rest:
            match line.split():
                case ["installed", name, want, "ok", "installed", version]:
                    installed[name] = version
                    if want == "hold":
                        held.append(name)
                case ["installed", name, _, _, what, *_] if what not in (
                    "not-installed",
                    "config-files",
                ):
                    broken.append(name)
                case ["available", name, version]:
                    available.setdefault(name, []).append(version)
        return PackagesState(
            architecture=architecture,
            free_mb=int(free),
            joined=joined == "joined",
            kubelet_enabled=enabled == "enabled",
            installed=installed,
            held=held,
            broken=broken,
            available=available,
        )
