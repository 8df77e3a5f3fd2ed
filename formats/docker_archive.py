"""
Archives of container images as ``docker save`` makes them: the images and their architectures.

manifest.json and the images' configurations: the Docker Image Specification v1.2, "Combined Image
JSON + Filesystem Changeset Format"; names: github.com/distribution/reference.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from formats.unreadable import reading

# Archives in a folder are recognised by their names.
PATTERN = "*.tar"


@dataclass(frozen=True)
class Image:
    """One image of an archive: its names, and the archive's member that is its configuration."""

    names: tuple[str, ...]
    config: str


def images(manifest: str) -> list[Image]:
    """
    Read the images of an archive from its manifest.

    + manifest: the content of its manifest.json; ``Unreadable`` when it is something else
    """
    with reading("its manifest.json is not that of a Docker archive"):
        found = [
            Image(tuple(full_name(name) for name in entry.get("RepoTags") or ()), entry["Config"])
            for entry in json.loads(manifest)
        ]
        if not all(isinstance(image.config, str) for image in found):
            raise TypeError
        return found


def architecture(config: str) -> str:
    """
    Read the architecture that an image is for, as Go and Debian name it: "arm64", "amd64".

    + config: the image's configuration; ``Unreadable`` when it is something else
    """
    with reading("an image's configuration without an architecture"):
        return str(json.loads(config)["architecture"])


def full_name(name: str) -> str:
    """
    Complete an image's name, as containerd stores it.

    + name: as people write it: "busybox", "flannel/flannel:v1", "registry.k8s.io/pause:3.10"
    """
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not re.search(r"[.:]", first) and first != "localhost":
        name = f"docker.io/{name}"
    tagged = ":" in name.rpartition("/")[2] or "@" in name
    return name if tagged else f"{name}:latest"
