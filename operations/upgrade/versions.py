"""The versions of all parts of a cluster, compared with the one that it is to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra import inventory, state
from rich.text import Text

from facts.kubeadm import ControlPlane
from facts.kubectl import Objects
from facts.packages import Packages, PackagesState
from facts.upgrade import ControlPlaneParts, ControlPlaneVersions
from formats.kubeadm import config
from formats.kubernetes_version import Release, parse_package, parse_reported
from formats.manifests import word
from messages import kubernetes as kubernetes_messages
from messages import run as run_messages
from messages import upgrade as messages
from operations import kubeadm
from operations.base import HostFailure, read_together, understood
from operations.packages import VERSIONED

_PROXY, _DNS = "kube-system/daemonset/kube-proxy", "kube-system/deployment/coredns"
_OBJECTS = ["nodes", _PROXY, _DNS]
_PATIENCE_S = 90  # for an API server whose node has just booted


@dataclass(frozen=True)
class Versions:
    """
    + cluster: the version that the cluster's kubeadm-config names
    + parts: of each control plane, in the order of their upgrade
    + addons: the versions of kube-proxy and CoreDNS: their images' tags
    + kubelets, runtimes: what the kubelet of each node reports of itself and of containerd
    + packages: of each node that is part of this run
    """

    cluster: Release
    parts: Mapping[str, ControlPlaneVersions]
    addons: Mapping[str, str]
    kubelets: Mapping[str, Release]
    runtimes: Mapping[str, str]
    packages: Mapping[str, PackagesState]

    def packaged(self, node: str, name: str) -> str:
        """The release of a package on a node; "" when it is not installed, or not known."""
        installed = self.packages[node].installed if node in self.packages else {}
        return str(parse_package(installed.get(name, "")) or "")

    @property
    def first(self) -> str:
        """The control plane that is upgraded first."""
        return next(iter(self.parts))

    def control_plane_is_at(self, target: Release, node: str = "") -> bool:
        """
        Whether ``kubeadm upgrade`` has nothing left to do for a control plane.

        The first upgrades the cluster's configuration, and the last kube-proxy.

        + node: its name; "": the first
        """
        node = node or self.first
        parts = self.parts[node]
        tags = [tag(image) for name, image in parts.images.items() if name != "etcd"]
        tags += [parts.server.partition("+")[0]]
        tags += [parts.configured] if parts.configured else []
        tags += [self.addons["kube-proxy"]] if node == list(self.parts)[-1] else []
        is_cut_off = parts.running or parts.unfinished
        is_stored = node != self.first or self.cluster == target
        return set(tags) == {f"v{target}"} and is_stored and not is_cut_off

    def node_is_at(self, node: str, target: Release) -> bool:
        """Whether a node's kubelet and packages are at a version; one that has not joined is."""
        if node not in self.kubelets:
            return True
        return self.kubelets[node] == target and (
            node not in self.packages
            or all(self.packaged(node, name) == str(target) for name in VERSIONED)
        )

    def rows(self, target: Release) -> list[list[str | Text]]:
        """A row of each part, with a column of each node."""
        names = list(self.kubelets)
        shown = [self._column(name) for name in names]
        found: list[list[str | Text]] = [["", *names]]
        for part in dict.fromkeys(part for column in shown for part in column):
            cells: list[str | Text] = [column.get(part, "") for column in shown]
            if part not in ("containerd", "etcd", "CoreDNS"):
                done = "green", "yellow"
                cells = [Text(str(cell), done[str(cell) != str(target)]) for cell in cells]
            found.append([part, *cells])
        return found

    def _column(self, node: str) -> dict[str, str]:
        column: dict[str, str] = {}
        if node in self.parts:
            column = {name: tag(image) for name, image in self.parts[node].images.items()}
        column["kube-proxy"] = self.addons["kube-proxy"]
        column["kubelet"] = str(self.kubelets[node])
        column |= {f"package {name}": self.packaged(node, name) for name in VERSIONED}
        column["containerd"] = self.runtimes[node]
        if node == self.first:
            column["CoreDNS"] = self.addons["CoreDNS"]
        return {part: version.removeprefix("v") for part, version in column.items()}


def observe(control_planes: Sequence[str], target: Release) -> Versions:
    """
    Read the versions of all parts of the cluster.

    + control_planes: their names, in the order of their upgrade
    + target: the version that is compared with
    + raises ``HostFailure``: there is no cluster, or its API server does not answer
    """
    planes = [inventory.get_host(name) for name in control_planes]
    present = [each for each in inventory if each in state.active_hosts]
    for each in planes:
        if each in state.failed_hosts:
            raise HostFailure(run_messages.DEPENDENCY_FAILED(other=each.name))
        if each not in present:
            raise HostFailure(messages.WITHOUT_CONTROL_PLANE(control_plane=each.name))
    plane, observed, *found = read_together(
        (planes[0], ControlPlane, {"patience": _PATIENCE_S}),
        (planes[0], Objects, {"names": _OBJECTS}),
        *((each, ControlPlaneParts, {"patience": _PATIENCE_S}) for each in planes),
        *((each, Packages, {"version": str(target)}) for each in present),
    )
    parts = dict(zip(control_planes, found, strict=False))
    if plane.state == "absent":
        raise HostFailure(messages.NO_CLUSTER())
    # A run that executes has put back what was lost.
    for node, each in parts.items():
        if each.unfinished and not all(each.images.values()):
            raise HostFailure(messages.CUT_OFF(node=node))
    if plane.state != "finished":
        raise HostFailure(kubeadm.incomplete(plane))
    silent = [name for name, each in parts.items() if not each.server]
    if not observed.answers or silent:
        why = observed.why or f"/version is not answered by {', '.join(silent)}"
        raise HostFailure(kubernetes_messages.API_NOT_ANSWERING(reason=why))
    by_word = {word(each): each for each in observed.objects}
    info = {
        each["metadata"]["name"]: each["status"]["nodeInfo"]
        for each in observed.objects
        if each["kind"] == "Node"
    }
    with understood("a version in the cluster"):
        return Versions(
            cluster=parse_reported(config.version(plane.config)),
            parts=parts,
            addons={"kube-proxy": _image(by_word, _PROXY), "CoreDNS": _image(by_word, _DNS)},
            kubelets={name: parse_reported(one["kubeletVersion"]) for name, one in info.items()},
            runtimes={
                name: one["containerRuntimeVersion"].rpartition("//")[2]
                for name, one in info.items()
            },
            packages={
                each.name: one for each, one in zip(present, found[len(planes) :], strict=True)
            },
        )


def tag(image: str) -> str:
    """The tag of an image, such as "v1.36.4"; "" without one."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _image(objects: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """The tag of the image of a DaemonSet or Deployment; "" when it does not exist."""
    found = objects.get(name)
    containers: Sequence[Mapping[str, Any]] = (
        found["spec"]["template"]["spec"]["containers"] if found else ()
    )
    return tag(containers[0]["image"]) if containers else ""
