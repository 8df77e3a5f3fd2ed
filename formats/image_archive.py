"""
Archives of container images as ``docker save`` makes them: which images for which machine.

manifest.json and the images' configurations: the Docker Image Specification v1.2, "Combined Image
JSON + Filesystem Changeset Format"; names: github.com/distribution/reference.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """One image of an archive: its names, and the archive's member that is its configuration."""

    names: tuple[str, ...]
    config: str


def images(manifest: str) -> list[Image]:
    """
    The images of an archive.

    + manifest: the content of its manifest.json; ``ValueError`` when it is something else
    """
    try:
        entries = json.loads(manifest)
        return [
            Image(tuple(full_name(name) for name in entry.get("RepoTags") or ()), entry["Config"])
            for entry in entries
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError("its manifest.json is not that of a docker archive") from None


def architecture(config: str) -> str:
    """
    The machine that an image is for, as Go and Debian name it: "arm64", "amd64".

    + config: the image's configuration; ``ValueError`` when it is something else
    """
    try:
        return str(json.loads(config)["architecture"])
    except (ValueError, TypeError, KeyError):
        raise ValueError("the configuration of one of its images names no architecture") from None


def full_name(name: str) -> str:
    """
    An image's name in full, as containerd stores it.

    + name: as people write it: "busybox", "flannel/flannel:v1", "registry.k8s.io/pause:3.10"
    """
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not re.search(r"[.:]", first) and first != "localhost":
        name = f"docker.io/{name}"
    tagged = ":" in name.rpartition("/")[2] or "@" in name
    return name if tagged else f"{name}:latest"
