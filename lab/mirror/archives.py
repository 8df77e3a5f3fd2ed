"""
Container images as docker-archive files: real names and tags, one tiny layer that says what it is.

Format: Docker's image specification v1.2 (`docker save`), which `ctr images import` takes.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from standin.node import images

FLANNEL = (
    "ghcr.io/flannel-io/flannel:v0.28.9",
    "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3",
)


def names(versions: list[str]) -> list[str]:
    """Return the images of clusters of these versions (`1.36.4`), flannel's included."""
    found = list(FLANNEL)
    for version in versions:
        found += images.names(f"v{version}", minor=int(version.split(".")[1])).values()
    return list(dict.fromkeys(found))


def _tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


def archive(name: str, architecture: str) -> bytes:
    """Return the docker-archive of one image."""
    text = f"{name}: a stand-in made by the lab, there is nothing to run in it\n"
    layer = _tar({"stand-in": text.encode()})
    digest = hashlib.sha256(layer).hexdigest()
    config: dict[str, object] = {"architecture": architecture, "os": "linux"}
    config["config"] = {"Cmd": ["/stand-in"], "Labels": {"bramble.stand-in": name}}
    config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    data = json.dumps(config, sort_keys=True).encode()
    file, inside = f"{hashlib.sha256(data).hexdigest()}.json", f"{digest}/layer.tar"
    manifest = json.dumps([{"Config": file, "RepoTags": [name], "Layers": [inside]}])
    return _tar({file: data, inside: layer, "manifest.json": manifest.encode()})


def write(folder: Path, listed: list[str], architecture: str) -> None:
    """Write one file an image: `kube-apiserver_v1.36.4.tar`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in listed:
        file = name.rpartition("/")[2].replace(":", "_") + ".tar"
        (folder / file).write_bytes(archive(name, architecture))
