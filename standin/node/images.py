"""The images of a control plane: their names, and pulling them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .common import MINOR, Obj, template
from .containerd import CriError, Runtime

TAGS = template("images")[0]


def names(version: str, repository: str = "registry.k8s.io", minor: int = MINOR) -> dict[str, str]:
    """Return the images by component; version: `v1.36.4`."""
    parts = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    coredns, pause, etcd = TAGS[str(minor)]
    below = "coredns/coredns" if repository == "registry.k8s.io" else "coredns"
    found = {name: f"{repository}/{name}:{re.sub(r'[+].*', '', version)}" for name in parts}
    found |= {"coredns": f"{repository}/{below}:{coredns}", "pause": f"{repository}/pause:{pause}"}
    return found | {"etcd": f"{repository}/etcd:{etcd}"}


def of_cluster(cluster: Obj) -> dict[str, str]:
    """Return the images of a ClusterConfiguration by component."""
    return names(cluster["kubernetesVersion"], cluster["imageRepository"])


def pull_missing(runtime: Runtime, cluster: Obj) -> Iterator[tuple[str, str]]:
    """Pull what a node lacks; give each image, and why it failed."""
    runtime.check()
    present = runtime.images()
    for name in of_cluster(cluster).values():
        reason = ""
        try:
            if name not in present:
                runtime.pull(name)
        except CriError as error:
            reason = f"failed to pull image {name}: {str(error).partition(' desc = ')[2]}"
        yield name, reason
