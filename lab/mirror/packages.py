"""
The stand-in packages, with the names, files, units and dependencies of those at pkgs.k8s.io.

Source for those: the specs of kubernetes/release (krel's templates). The stand-ins also depend on
Debian's Python, which the real binaries have no use for; kubectl and the CNI plugins are Debian's.
"""

from __future__ import annotations

import os
import re
import shutil
import string
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import standin

HERE = Path(standin.__file__).parent
CNI_VERSION = "1.9.1"
CNI_PLUGINS = (
    "bandwidth bridge dhcp firewall host-device host-local ipvlan loopback macvlan portmap "
    "ptp sbr static tuning vlan vrf"
)
PYTHON = "python3, python3-cryptography, python3-yaml"
DEPENDS = {
    "kubelet": f"kubernetes-cni (>= 1.2.0), mount, util-linux, iproute2, {PYTHON}",
    "kubeadm": PYTHON,
    "kubernetes-cni": "containernetworking-plugins",
}
# apt may wait for a mirror without an end.
APT_S, ATTEMPTS = 180, 3
PROGRAM = """#!/usr/bin/python3 -I
# Stand-in for {name}, made by the lab; not Kubernetes' own.
import sys

sys.path.insert(0, "/usr/lib/stand-in/{name}")
from standin.{name} import run

sys.exit(run(sys.argv[1:]))
"""


class PackageError(Exception):
    """A tool is missing or has failed."""


def run(
    argv: Sequence[str],
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    folder: Path | None = None,
    timeout: float = 600,
) -> bytes:
    """Run a tool, in a folder, return what it prints; PackageError when it fails or is slow (s)."""
    env = dict(os.environ) | dict(environment or {})
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            env=env,
            cwd=folder,
            timeout=timeout,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise PackageError(f"{argv[0]} is missing: install it with apt-get") from None
    except subprocess.TimeoutExpired:
        raise PackageError(f"{argv[0]} took more than {timeout:.0f} s") from None
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip()
        raise PackageError(f"{' '.join(argv[:2])} failed: {why}")
    return done.stdout


def download(name: str, kept: Path, sources: Sequence[str], keyring: Path) -> None:
    """
    Download Debian's own package with apt, and its usual checks; without what it depends on.

    + kept: where the package is put
    + sources: lines of sources.list(5), without options
    + keyring: the archive's keys
    """
    for attempt in range(ATTEMPTS):
        try:
            return _download(name, kept, sources, keyring)
        except PackageError:
            if attempt == ATTEMPTS - 1:
                raise


def _download(name: str, kept: Path, sources: Sequence[str], keyring: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="bramble-apt-") as scratch:
        base = Path(scratch)
        for folder in ("lists/partial", "cache/archives/partial", "parts"):
            (base / folder).mkdir(parents=True)
        signed = f"deb [signed-by={keyring}] "
        lines = (f"{signed}{line.removeprefix('deb ')}\n" for line in sources)
        (base / "sources.list").write_text("".join(lines))
        (base / "status").touch()
        options = {
            "Dir::Etc::sourcelist": base / "sources.list",
            "Dir::Etc::sourceparts": base / "parts",
            "Dir::State::lists": base / "lists",
            "Dir::State::status": base / "status",
            "Dir::Cache": base / "cache",
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
        run([*apt, "update"], folder=base, timeout=APT_S)
        run([*apt, "download", name], folder=base, timeout=APT_S)
        found = sorted(base.glob(f"{name}_*.deb"))
        if not found:
            raise PackageError(f"apt could not download Debian's {name}: is the mirror reachable?")
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(found[0], kept)


def architecture() -> str:
    """Return this machine's architecture, which is the nodes' too, in Debian's words."""
    return run(["dpkg", "--print-architecture"]).decode().strip()


def _write(path: Path, content: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def _build(tree: Path, folder: Path, name: str, version: str, depends: str) -> None:
    """Build a package from a tree with its files and scripts."""
    control = string.Template((HERE / "debian/control").read_text())
    values = {"name": name, "version": version, "depends": depends}
    text = control.substitute(values, architecture=architecture())
    _write(tree / "DEBIAN/control", text)
    for one in [tree, *tree.rglob("*")]:
        if one.is_dir():
            one.chmod(0o755)
    options = ["--root-owner-group", "-Zgzip", "-z1", "--build"]
    run(["dpkg-deb", *options, str(tree), str(folder)])


def build(name: str, version: str, folder: Path) -> None:
    """Build kubelet, kubeadm or kubernetes-cni into a folder, from its tree in debian/."""
    with tempfile.TemporaryDirectory(prefix="bramble-deb-") as scratch:
        tree = Path(scratch) / "tree"
        if name == "kubernetes-cni":
            (tree / "opt/cni/bin").mkdir(parents=True)
            for plugin in CNI_PLUGINS.split():
                (tree / "opt/cni/bin" / plugin).symlink_to(f"/usr/lib/cni/{plugin}")
        else:
            shutil.copytree(HERE / "debian" / name, tree)
            library = tree / "usr/lib/stand-in" / name / "standin"
            shutil.copytree(HERE / "node", library, ignore=shutil.ignore_patterns("__pycache__"))
            _write(library / "VERSION", f"{version}\n")
            _write(tree / "usr/bin" / name, PROGRAM.format(name=name), 0o755)
        _build(tree, folder, name, version, DEPENDS[name])


def build_kubectl(debian: Path, version: str, folder: Path) -> None:
    """
    Build kubectl from Debian's package, under a version of pkgs.k8s.io.

    The version in the program is overwritten where it is as long: then `kubectl version` sees no
    skew between it and the stand-in API server.
    """
    depends = run(["dpkg-deb", "--field", str(debian), "Depends"]).decode().strip()
    with tempfile.TemporaryDirectory(prefix="bramble-deb-") as scratch:
        tree = Path(scratch) / "tree"
        run(["dpkg-deb", "--raw-extract", str(debian), str(tree)])
        shutil.rmtree(tree / "DEBIAN")
        program = tree / "usr/bin/kubectl"
        found = re.match(rb"[0-9.]+", run(["dpkg-deb", "--field", str(debian), "Version"]))
        own, wanted = b"v" + (found[0] if found else b""), f"v{version}".encode()
        if len(own) == len(wanted):
            program.write_bytes(program.read_bytes().replace(own, wanted))
        _build(tree, folder, "kubectl", version, depends)
