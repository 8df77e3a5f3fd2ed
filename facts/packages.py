"""The Kubernetes packages: their repositories, and what is installed, held, available."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand

from facts.base import State, UnexpectedLine, WholeFact, ask, number, one_of
from facts.files import READ_FILES, FileState, parse_files

SOURCE = "/etc/apt/sources.list.d/kubernetes.sources"
KEY = "/etc/apt/keyrings/kubernetes-apt-keyring.asc"
MIRRORS = "/etc/apt/bramble-kubernetes-mirrors.txt"
NAMES = ["kubelet", "kubeadm", "kubectl", "kubernetes-cni"]

_REPOSITORY = (
    """grep -lsE '^[^#]*(pkgs\\.k8s\\.io|apt\\.kubernetes\\.io)' /etc/apt/sources.list \
/etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources | tr '\\n' '|'; echo;
"""
    + READ_FILES
)

# The versions are those of bramble's own source: with all sources, apt builds its cache anew,
# which takes a board ten seconds each time that a list has changed.
# dpkg's status of a package is three words: desired (install, hold), error, observed.
_PACKAGES = f"""df -Pm /var | awk 'NR == 2 {{print $4}}';
[ -e /etc/kubernetes/kubelet.conf ] && echo joined || echo -;
k=$(systemctl is-enabled kubelet.service 2>/dev/null);
[ -e /etc/kubernetes/kubelet.conf ] && case $(systemctl is-active kubelet.service) in
inactive|failed) k=stopped;; esac; echo "${{k:--}}";
i=$(dpkg-query -W -f='${{Package}} ${{Status}} ${{Version}}\\n' {" ".join(NAMES)} 2>/dev/null);
[ $? -lt 2 ] || echo dpkg-query failed; echo "$i" | sed 's/^/installed /';
n=$(echo "$i" | grep -cE "^(kubelet|kubeadm|kubectl) [a-z]+ ok installed $1[.-]");
[ "$n" = 3 ] || apt-cache -o Dir::Etc::SourceList={SOURCE} -o Dir::Etc::SourceParts=- \
-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
madison kubelet kubeadm kubectl kubernetes-cni 2>/dev/null \
| awk -F' *[|] *' '{{gsub(/ /, "", $1); print "available", $1, $2}}'"""


@dataclass(frozen=True)
class RepositoryState(State):
    """
    + sources: apt's source files that name a repository of Kubernetes packages
    + files: ``SOURCE``, ``KEY`` and ``MIRRORS``
    """

    sources: list[str]
    files: dict[str, FileState]


class Repository(WholeFact[RepositoryState]):
    """Read the repositories of Kubernetes packages that a node's apt has: a ``RepositoryState``."""

    script = (_REPOSITORY, SOURCE, KEY, MIRRORS)

    def parse(self, sources: str, *files: str) -> RepositoryState:
        known = parse_files(files, [SOURCE, KEY, MIRRORS])
        return RepositoryState([path for path in sources.split("|") if path], known)


@dataclass(frozen=True)
class PackagesState(State):
    """
    + free_mb: free space on the file system of /var
    + joined: whether the node belongs to a cluster
    + kubelet_enabled: whether the kubelet starts at boot and, on a node of a cluster, runs
    + installed: the version of each of ``NAMES`` that is completely installed
    + held: which of them are held
    + broken: those whose installation was interrupted
    + available: the versions of each that ``SOURCE`` offers, the newest first; not read where
      the desired version is installed
    """

    free_mb: int
    joined: bool
    kubelet_enabled: bool
    installed: dict[str, str]
    held: list[str]
    broken: list[str]
    available: dict[str, list[str]]


class Packages(WholeFact[PackagesState]):
    """
    Read the state of the Kubernetes packages: a ``PackagesState``.

    + version: the desired one, "1.36" or "1.36.4"
    """

    def command(self, version: str) -> StringCommand:
        return ask(_PACKAGES, version.replace(".", "\\."))

    def parse(self, free: str, joined: str, enabled: str, *rest: str) -> PackagesState:
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
                case ["installed", *_]:
                    pass  # none of them is known to dpkg, or this one is not installed
                case _:
                    raise UnexpectedLine(line)
        return PackagesState(
            free_mb=number(free),
            joined=one_of(joined, "joined", "-") == "joined",
            kubelet_enabled=enabled == "enabled",
            installed=installed,
            held=held,
            broken=broken,
            available=available,
        )
