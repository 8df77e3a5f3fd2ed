"""
Container images as docker-archive files: real names and tags, one tiny layer that says what it is.

Format: Docker's image specification v1.2 (`docker save`). `ctr --namespace k8s.io images import`
takes them.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from lab.standin.node import images as node_images

FLANNEL = (
    "ghcr.io/flannel-io/flannel:v0.28.9",
    "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3",
)
REGISTRY = "registry.k8s.io"


def names(versions: list[str]) -> list[str]:
    """The images of clusters of these versions (`1.36.4`), flannel's included."""
    found: list[str] = []
    for version in versions:
        tags = node_images.TAGS[int(version.split(".")[1])]
        found += [
            f"{REGISTRY}/kube-{one}:v{version}"
            for one in ("apiserver", "controller-manager", "scheduler", "proxy")
        ]
        found += [
            f"{REGISTRY}/coredns/coredns:{tags[0]}",
            f"{REGISTRY}/pause:{tags[1]}",
            f"{REGISTRY}/etcd:{tags[2]}",
        ]
    return list(dict.fromkeys([*found, *FLANNEL]))


def _tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


def layer_and_config(name: str, architecture: str) -> tuple[bytes, bytes]:
    """(the layer's tar, the image's configuration)."""
    layer = _tar(
        {
            "stand-in": f"{name}: a stand-in made by the lab, there is nothing to run in it\n".encode()
        }
    )
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/stand-in"], "Labels": {"bramble.stand-in": name}},
        "created": "1970-01-01T00:00:00Z",
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "bramble's lab"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    return layer, json.dumps(config, sort_keys=True).encode()


def archive(name: str, architecture: str) -> bytes:
    """The docker-archive of one image."""
    layer, config = layer_and_config(name, architecture)
    digest = hashlib.sha256(config).hexdigest()
    inside = f"{hashlib.sha256(layer).hexdigest()}/layer.tar"
    manifest = [{"Config": f"{digest}.json", "RepoTags": [name], "Layers": [inside]}]
    return _tar(
        {f"{digest}.json": config, inside: layer, "manifest.json": json.dumps(manifest).encode()}
    )


def file_name(name: str) -> str:
    """`kube-apiserver_v1.36.4.tar` for `registry.k8s.io/kube-apiserver:v1.36.4`."""
    return name.rpartition("/")[2].replace(":", "_") + ".tar"


def write(folder: Path, listed: list[str], architecture: str) -> None:
    """One file per image."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in listed:
        (folder / file_name(name)).write_bytes(archive(name, architecture))
