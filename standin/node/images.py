"""The images of a control plane: their names, and pulling them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .common import MINOR, Obj, klog, quote
from .containerd import CriError, Runtime

# Kubernetes' minor: the tags of coredns, pause and etcd that kubeadm of that minor wants.
TAGS = {
    35: ("v1.13.1", "3.10.1", "3.6.6-0"),
    36: ("v1.14.2", "3.10.2", "3.6.8-0"),
    37: ("v1.14.3", "3.10.2", "3.6.8-0"),
}


def names(version: str, repository: str = "registry.k8s.io", minor: int = MINOR) -> dict[str, str]:
    """Return the images by component; version: `v1.36.4`."""
    parts = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    coredns, pause, etcd = TAGS[minor]
    below = "coredns/coredns" if repository == "registry.k8s.io" else "coredns"
    found = {name: f"{repository}/{name}:{re.sub(r'[+].*', '', version)}" for name in parts}
    found |= {"coredns": f"{repository}/{below}:{coredns}", "pause": f"{repository}/pause:{pause}"}
    return found | {"etcd": f"{repository}/etcd:{etcd}"}


def of_cluster(cluster: Obj) -> dict[str, str]:
    """Return the images of a ClusterConfiguration by component."""
    return names(cluster["kubernetesVersion"], cluster["imageRepository"])


def pull_missing(runtime: Runtime, cluster: Obj) -> Iterator[tuple[str, str]]:
    """Pull what a node lacks, five times as kubeadm does; give each image, and why it failed."""
    runtime.check()
    present = runtime.images()
    for name in of_cluster(cluster).values():
        reason = ""
        for _ in range(0 if name in present else 5):
            try:
                runtime.pull(name)
                reason = ""
                break
            except CriError as error:
                reason = f"failed to pull image {name}: {str(error).partition(' desc = ')[2]}"
                said = f"err={quote(str(error))} image={quote(name)}"
                klog("E", "remote_image.go:250", f'"PullImage from image service failed" {said}')
        yield name, reason
