"""
Where the lab gets Kubernetes from: the internet, a mirror's directory, or the stand-in.

`LAB_KUBERNETES=real` uses what the settings name; `LAB_MIRROR=DIRECTORY` uses a directory laid out
like it (`core:/stable:/v1.36/deb/`, `images/*.tar`, `kube-flannel.yml`). By default the internet is
used if it can be reached, else the stand-in.

A directory is served in the lan. The settings that lead there, and those that virtual nodes need,
are saved for the operator's commands: no deploy knows of the lab.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests

from formats import openpgp
from lab import cgroup, containers, debian_mirror, host, network, services
from lab.errors import LabError
from lab.mirror import packages, repository
from lab.plan import Plan, state_directory
from messages import lab as messages
from settings import Cluster, SettingsError, kubernetes, load
from settings.overrides import VARIABLE

MANIFEST = "kube-flannel.yml"
PORT = 8036  # where the folder is served in the lan
_REACH_S = 4
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """
    + text: its description
    + folder: the mirror's; None: the internet
    + real: whether it has the real Kubernetes
    """

    text: str
    folder: Path | None
    real: bool


def choose(cluster: Cluster) -> Source:
    """Choose the source, and make the stand-in if it is used and missing."""
    folder = os.environ.get("LAB_MIRROR")
    wanted = os.environ.get("LAB_KUBERNETES", "")
    if wanted not in ("", "real", "stand-in"):
        raise LabError(messages.KUBERNETES(value=wanted))
    if folder:
        path = Path(folder).absolute()
        _check(path, cluster)
        # Only a stand-in has this file.
        stand_in = (path / "fingerprint").exists()
        if wanted and stand_in != (wanted == "stand-in"):
            kind = "a stand-in" if stand_in else "a mirror of the real one"
            raise LabError(messages.MIRROR_KIND(value=wanted, path=path, kind=kind))
        what = "a stand-in that runs no containers, " if stand_in else ""
        return Source(f"{what}from the mirror {path}", path, real=not stand_in)
    url = kubernetes.repository(cluster)
    if wanted == "real" or (not wanted and _reachable(f"{url}Release.key")):
        return Source(f"real, from {url}", None, real=True)
    made = make_stand_in(kubernetes.minor(cluster))
    why = "LAB_KUBERNETES asks for it" if wanted else f"{url} can't be reached from here"
    return Source(f"a stand-in that runs no containers ({why})", made, real=False)


def make_stand_in(*minors: str) -> Path:
    """The folder with the stand-in of these minors, from the cache or made anew."""
    kubectl = _debian_package("kubectl")
    with host.lock("stand-in"):
        return _made(repository.build, _cache(), kubectl, minors)


def _cache() -> Path:
    return host.home() / "cache"


def _made(make: Callable[..., T], *arguments: object) -> T:
    """Make something; LabError when a tool for it fails."""
    try:
        return make(*arguments)
    except packages.PackageError as error:
        raise LabError(messages.STAND_IN(reason=error)) from None


def _debian_package(name: str) -> Path:
    """Debian's own package, fetched once; a slow mirror holds up only who needs this one."""
    kept = _cache() / f"{name}.deb"
    with host.lock(f"package-{name}"):
        if not kept.is_file():
            mirror = debian_mirror.choose(debian_mirror.read_sources())
            _made(packages.download, name, kept, mirror.lines(), mirror.keyring)
    return kept


def _check(folder: Path, cluster: Cluster) -> None:
    if not folder.is_dir():
        raise LabError(messages.MIRROR_INCOMPLETE(path=folder, part="such directory"))
    deb = repository.layout(kubernetes.minor(cluster))
    for part in (f"{deb}/InRelease", f"{deb}/Release.key", "images", MANIFEST):
        if not (folder / part).exists():
            raise LabError(messages.MIRROR_INCOMPLETE(path=folder, part=part))
    if not any((folder / "images").glob("*.tar")):
        raise LabError(messages.MIRROR_INCOMPLETE(path=folder, part="images/*.tar"))
    _fingerprint(folder / deb / "Release.key")


def _fingerprint(key: Path) -> str:
    try:
        return openpgp.fingerprints(key.read_text())[0]
    except (OSError, ValueError) as error:
        raise LabError(messages.KEY(path=key, reason=error)) from None


def _reachable(url: str) -> bool:
    try:
        return requests.head(url, timeout=_REACH_S, allow_redirects=True).ok
    except requests.RequestException:
        return False


def start(plan: Plan, group: str, cluster: Cluster, source: Source, project: Path) -> None:
    """
    Serve the directory in the lan, and save the settings that lead there.

    + group: the lab's control group
    + project: its .cluster/ gets the kubeconfig, not the person's own file
    """
    values: dict[str, Any] = {
        "target": f"lab {plan.name} (virtual nodes {{nodes}})",
        "kubeconfig": str(project / ".cluster" / "kubeconfig"),
    }
    if source.folder:
        _serve(plan, group, source.folder)
        values |= _places(plan, cluster, source.folder)
    _noted(plan.name).write_text(json.dumps({"settings": values, "runs_pods": source.real}))


def files_of_card(source: Source) -> dict[str, str]:
    """The additional files of a card whose node runs real containers."""
    return containers.files_of_card() if source.real else {}


def environment(lab: str, project: Path) -> dict[str, str]:
    """
    What an operator's command gets: the lab's kubeconfig, the file with the lab's settings, and
    pytest's options for `make verify`.

    Those that it adds to the project's own are added to what its files say at this moment.
    """
    if not _noted(lab).exists():
        return {}
    noted = json.loads(_noted(lab).read_text())
    values = noted["settings"]
    # Mistakes in the settings are reported by the command itself.
    with contextlib.suppress(SettingsError):
        values |= _of_virtual_nodes(load(project))
    host.replace(_overrides(lab), json.dumps(values, indent=1))
    own = {VARIABLE: str(_overrides(lab)), "KUBECONFIG": str(project / ".cluster" / "kubeconfig")}
    return own if noted["runs_pods"] else own | {"PYTEST_ADDOPTS": "--no-pods"}


def kubectl_folder() -> Path:
    """The folder with the operator's kubectl: Debian's, fetched once."""
    return program("kubectl", "kubectl").parent


def program(package: str, name: str) -> Path:
    """A program of a Debian package, fetched once."""
    folder = _cache() / package
    found = folder / "usr" / "bin" / name
    if not found.exists():
        deb = _debian_package(package)
        with host.lock(f"package-{package}"):
            if not found.exists():  # another lab may have done it while this one waited
                _unpack(deb, folder)
    return found


def _unpack(package: Path, folder: Path) -> None:
    partial = folder.with_suffix(".partial")
    host.run(["dpkg-deb", "-x", str(package), str(partial)])
    shutil.rmtree(folder, ignore_errors=True)  # what was cut off
    partial.rename(folder)


def _overrides(lab: str) -> Path:
    return state_directory(lab) / "overrides.json"


def _noted(lab: str) -> Path:
    return state_directory(lab) / "kubernetes.json"


def _serve(plan: Plan, group: str, folder: Path) -> None:
    part = f"{group}/mirror"
    cgroup.end(part)
    command = [sys.executable, "-m", "http.server", str(PORT), "--protocol=HTTP/1.1"]
    command += ["--bind", plan.router, "--directory", str(folder)]
    with (state_directory(plan.name) / "mirror.out").open("wb") as output:
        server = subprocess.Popen(
            cgroup.wrap(part, network.inside(plan.name, "router", command)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=host.environment(),
        )
    services.wait_listening(plan, {PORT: server})


def _places(plan: Plan, cluster: Cluster, folder: Path) -> dict[str, Any]:
    """The settings that say where things are, for this folder."""
    url = f"http://{plan.router}:{PORT}"
    deb = folder / repository.layout(kubernetes.minor(cluster))
    return {
        "kubernetes_repository": f"{url}/core:/stable:/v{{minor}}/deb/",
        "kubernetes_key_fingerprint": _fingerprint(deb / "Release.key"),
        "image_archives": str(folder / "images"),
        "flannel_manifest": f"{url}/{MANIFEST}",
        "flannel_checksum": hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest(),
    }


def _of_virtual_nodes(cluster: Cluster) -> dict[str, Any]:
    """What Kubernetes needs where the kernel, and its control groups, are not the node's."""
    # nf_conntrack_max is the machine's: kube-proxy gives up where it can't set it.
    proxy = cluster.kube_proxy_config | {"conntrack": {"maxPerCore": 0}}
    values: dict[str, Any] = {"kube_proxy_config": proxy}
    if cluster.share_downloads is None:
        # The lab's router keeps packages for all labs, and this computer sends the images.
        values["share_downloads"] = False
    if not cgroup.is_unified():
        values["kubelet_config"] = cluster.kubelet_config | {"failCgroupV1": False}
        ignored = [*cluster.ignore_preflight_errors, "SystemVerification"]
        values["ignore_preflight_errors"] = ignored
    if not cgroup.counts_memory():
        # A stand-in does without; for the real one there is nothing that the lab could do.
        values["memory_cgroup"] = False
    return values
