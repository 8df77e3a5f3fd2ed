"""The images of a control plane: their names, whether the node has them, pulling them."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import re

from . import cri
from .common import MINOR, Fatal, Obj, klog, quote

# Kubernetes' minor: the tags of coredns, pause and etcd that kubeadm of that minor wants.
TAGS = {
    35: ("v1.13.1", "3.10.1", "3.6.6-0"),
    36: ("v1.14.2", "3.10.2", "3.6.8-0"),
    37: ("v1.14.3", "3.10.2", "3.6.8-0"),
}


def tags() -> tuple[str, str, str]:
    """(coredns, pause, etcd) of this kubeadm."""
    return TAGS.get(MINOR, TAGS[max(TAGS)] if max(TAGS) < MINOR else TAGS[min(TAGS)])


def component(cluster: Obj, name: str) -> str:
    """An image that has the control plane's version."""
    version = re.sub(r"\+.*", "", cluster["kubernetesVersion"])
    return f"{cluster['imageRepository']}/{name}:{version}"


def coredns(cluster: Obj) -> str:
    """CoreDNS' image: below coredns/ in the default repository only."""
    own = cluster["dns"]
    repository = own.get("imageRepository") or cluster["imageRepository"]
    below = "coredns/coredns" if repository == "registry.k8s.io" else "coredns"
    return f"{repository}/{below}:{own.get('imageTag') or tags()[0]}"


def pause(cluster: Obj) -> str:
    """The sandbox image."""
    return f"{cluster['imageRepository']}/pause:{tags()[1]}"


def etcd(cluster: Obj) -> str:
    """etcd's image."""
    own = cluster["etcd"]["local"]
    return f"{own.get('imageRepository') or cluster['imageRepository']}/etcd:{own.get('imageTag') or tags()[2]}"


def wanted(cluster: Obj) -> list[str]:
    """All images, in kubeadm's order."""
    listed = [
        component(cluster, f"kube-{name}")
        for name in ("apiserver", "controller-manager", "scheduler")
    ]
    if not cluster["proxy"].get("disabled"):
        listed.append(component(cluster, "kube-proxy"))
    if not cluster["dns"].get("disabled"):
        listed.append(coredns(cluster))
    return [*listed, pause(cluster), etcd(cluster)]


def pull(runtime: cri.Runtime, name: str) -> None:
    """Pull an image, five times as kubeadm does; Fatal with the runtime's own reason."""
    for attempt in range(5):
        try:
            runtime.pull(name)
            return
        except cri.CriError as error:
            klog(
                "E",
                "remote_image.go:250",
                f'"PullImage from image service failed" err={quote(str(error))} image={quote(name)}',
            )
            if attempt == 4:
                reason = str(error).partition(" desc = ")[2]
                raise Fatal(f"failed to pull image {name}: {reason}") from None
