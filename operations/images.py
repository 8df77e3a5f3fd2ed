"""
Container images from a folder on this computer, for nodes that shall not fetch them.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pyinfra import host
from pyinfra import state as run_state
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.images import Images
from formats import docker_archive
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from runs.output import Progress, failed

_CHUNK = 256 * 1024


@operation()
def imported(folder: str) -> Commands:
    """
    containerd holds the images of the archives in a folder on this computer.

    + folder: where the archives are: ``*.tar`` as ``docker save`` makes them. Those for another
      architecture than the node's are passed over

    An archive is sent only when an image of it is missing. It goes straight into containerd, so
    nothing is left on the node when the connection is cut.

    **Example:**

    .. code:: python

        images.imported(name="Images from the local archives", folder="mirror/images")
    """

    archives = sorted(Path(folder).glob(docker_archive.PATTERN))
    if not archives:
        raise HostFailure(f"no image archives (*.tar) in {folder} on this computer")
    state = read(Images)
    if state.containerd == "stopped" and not run_state.is_executing:
        host.log("which images it has is seen when its containerd runs")
        return
    held = {archive: _names(archive, state.architecture) for archive in archives}
    declare(*(f"image {name}" for names in held.values() for name in sorted(names)))
    missing = [archive for archive, names in held.items() if names - set(state.names)]
    if not missing:
        host.noop(f"containerd holds the images of {folder}")
        return
    for archive in missing:
        lacking = sorted(held[archive] - set(state.names))
        resources = [f"image {name}" for name in lacking]
        plan_change(f"send {archive.name} ({_size(archive)}) and import it", *resources)
    for number, archive in enumerate(missing, 1):
        yield FunctionCommand(_import, (str(archive), f"{number} of {len(missing)}"), {})


def _names(archive: Path, architecture: str) -> frozenset[str]:
    """The names of an archive's images that are for this architecture."""
    try:
        status = archive.stat()
        found = _read(str(archive), status.st_size, status.st_mtime_ns)
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise HostFailure(
            f"{archive} can't be used: {error}; make it with `docker save`, or remove it"
        ) from None
    return frozenset(name for name, wanted in found if wanted in (architecture, ""))


@cache
def _read(path: str, size: int, changed: int) -> tuple[tuple[str, str], ...]:
    """Each image's name and architecture; read once for all hosts (until the file changes)."""
    with tarfile.open(path) as archive:

        def member(name: str) -> str:
            file = archive.extractfile(name)
            if file is None:
                raise ValueError(f"its {name} is no file")
            return file.read().decode("utf-8")

        return tuple(
            (name, docker_archive.architecture(member(image.config)))
            for image in docker_archive.images(member("manifest.json"))
            for name in image.names
        )


def _import(state: State, host: Host, path: str, which: str) -> bool:
    name = Path(path).name
    shown = Progress(host)
    size = Path(path).stat().st_size

    def chunks() -> Iterator[bytes]:
        sent = 0
        with open(path, "rb") as archive:
            while chunk := archive.read(_CHUNK):
                yield chunk
                sent += len(chunk)
                shown.show(f"image archive {which}: {name}, {100 * sent // size} % sent")

    command = StringCommand("ctr", "-n", "k8s.io", "images", "import", "-")
    result = remote.of(host).stream(command, chunks=chunks())
    if result.status == 0:
        return True
    if "no space left" in "\n".join(result.lines).lower():
        return failed(host, f"could not import {name}: its disk is full: make room on /var")
    return failed(host, f"could not import {name}: {result.last_line}")


def _size(archive: Path) -> str:
    size = archive.stat().st_size
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{max(1, size // 1000)} kB"
