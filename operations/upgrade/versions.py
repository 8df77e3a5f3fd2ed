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
from formats.unreadable import Unreadable
from messages import kubernetes as kubernetes_messages
from messages import run as run_messages
from messages import upgrade as messages
from operations import kubeadm
from operations.base import HostFailure, read_together
from operations.packages import VERSIONED

_PROXY, _DNS = "kube-system/daemonset/kube-proxy", "kube-system/deployment/coredns"
_OBJECTS = ["nodes", _PROXY, _DNS]
_PATIENCE_S = 90  # for an API server whose node has just booted


@dataclass(frozen=True)
class Versions:
    """
    + cluster: the version that the cluster's kubeadm-config names
    + parts: of the control plane's node
    + addons: the versions of kube-proxy and CoreDNS: their images' tags
    + kubelets, runtimes: what the kubelet of each node reports of itself and of containerd
    + packages: of each node that is part of this run
    """

    control_plane: str
    cluster: Release
    parts: ControlPlaneVersions
    addons: Mapping[str, str]
    kubelets: Mapping[str, Release]
    runtimes: Mapping[str, str]
    packages: Mapping[str, PackagesState]

    def packaged(self, node: str, name: str) -> str:
        """The release of a package on a node; "" when it is not installed, or not known."""
        installed = self.packages[node].installed if node in self.packages else {}
        return str(parse_package(installed.get(name, "")) or "")

    def control_plane_is_at(self, target: Release) -> bool:
        """Whether ``kubeadm upgrade apply`` has nothing left to do, kube-proxy being its last."""
        tags = [tag(image) for name, image in self.parts.images.items() if name != "etcd"]
        tags += [self.parts.server.partition("+")[0], self.addons["kube-proxy"]]
        tags += [self.parts.configured] if self.parts.configured else []
        return self.cluster == target and set(tags) == {f"v{target}"}

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
        if node == self.control_plane:
            column = {name: tag(image) for name, image in self.parts.images.items()}
        column["kube-proxy"] = self.addons["kube-proxy"]
        column["kubelet"] = str(self.kubelets[node])
        column |= {f"package {name}": self.packaged(node, name) for name in VERSIONED}
        column["containerd"] = self.runtimes[node]
        if node == self.control_plane:
            column["CoreDNS"] = self.addons["CoreDNS"]
        return {part: version.removeprefix("v") for part, version in column.items()}


def observe(control_plane: str, target: Release) -> Versions:
    """
    Read the versions of all parts of the cluster.

    + control_plane: the name of its node
    + target: the version that is compared with
    + raises ``HostFailure``: there is no cluster, or its API server does not answer
    """
    first = inventory.get_host(control_plane)
    present = [each for each in inventory if each in state.active_hosts]
    if first in state.failed_hosts:
        raise HostFailure(run_messages.DEPENDENCY_FAILED(other=control_plane))
    if first not in present:
        raise HostFailure(messages.WITHOUT_CONTROL_PLANE(control_plane=control_plane))
    plane, parts, observed, *found = read_together(
        (first, ControlPlane, {"patience": _PATIENCE_S}),
        (first, ControlPlaneParts, {}),
        (first, Objects, {"names": _OBJECTS}),
        *((each, Packages, {"version": str(target)}) for each in present),
    )
    if plane.state == "absent":
        raise HostFailure(messages.NO_CLUSTER())
    if plane.state != "finished":
        raise HostFailure(kubeadm.incomplete(plane))
    if not observed.answers or not parts.server:
        why = observed.why or "/version is not answered"
        raise HostFailure(kubernetes_messages.API_NOT_ANSWERING(reason=why))
    by_word = {word(each): each for each in observed.objects}
    info = {
        each["metadata"]["name"]: each["status"]["nodeInfo"]
        for each in observed.objects
        if each["kind"] == "Node"
    }
    try:
        return Versions(
            control_plane=control_plane,
            cluster=parse_reported(config.version(plane.config)),
            parts=parts,
            addons={"kube-proxy": _image(by_word, _PROXY), "CoreDNS": _image(by_word, _DNS)},
            kubelets={name: parse_reported(one["kubeletVersion"]) for name, one in info.items()},
            runtimes={
                name: one["containerRuntimeVersion"].rpartition("//")[2]
                for name, one in info.items()
            },
            packages={each.name: one for each, one in zip(present, found, strict=True)},
        )
    except Unreadable as error:
        what = "a version in the cluster"
        raise HostFailure(
            kubernetes_messages.NOT_UNDERSTOOD(what=what, reason=error.args[0])
        ) from error


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
