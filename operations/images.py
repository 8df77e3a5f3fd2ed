"""Send container images from a folder on this computer to nodes that can't or needn't pull them."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pyinfra import host, state
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.images import Images
from formats import docker_archive
from messages import container_runtime as messages
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from runs.output import Progress

_CHUNK = 256 * 1024


@operation()
def imported(folder: str) -> Commands:
    """
    Import the images of all archives in a folder on this computer into containerd.

    + folder: where the archives are: ``*.tar`` as ``docker save`` makes them. Images for another
      architecture than the node's are skipped

    An archive is sent only when one of its images is missing. It is streamed into containerd, so
    nothing is left on the node when the connection is lost.
    """
    archives = sorted(Path(folder).glob(docker_archive.PATTERN))
    if not archives:
        raise HostFailure(messages.NO_ARCHIVES(folder=folder))
    observed = read(Images)
    if observed.containerd == "stopped" and not state.is_executing:
        host.log("which images are missing is not known before containerd runs")
        return
    desired = {archive: _names(archive, observed.architecture) for archive in archives}
    declare(*(f"image {name}" for names in desired.values() for name in sorted(names)))
    missing = [archive for archive, names in desired.items() if names - set(observed.names)]
    if not missing:
        host.noop(f"containerd has the images of {folder}")
        return
    for archive in missing:
        resources = [f"image {name}" for name in sorted(desired[archive] - set(observed.names))]
        plan_change(f"send {archive.name} ({_size(archive)}) and import it", *resources)
    for number, archive in enumerate(missing, 1):
        yield FunctionCommand(_import, (str(archive), f"{number} of {len(missing)}"), {})


def _names(archive: Path, architecture: str) -> frozenset[str]:
    """Return the names of an archive's images that are for this architecture."""
    try:
        status = archive.stat()
        found = _read(str(archive), status.st_size, status.st_mtime_ns)
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise HostFailure(messages.BAD_ARCHIVE(path=archive, reason=error)) from None
    return frozenset(name for name, built_for in found if built_for in (architecture, ""))


@cache
def _read(path: str, size: int, changed: int) -> tuple[tuple[str, str], ...]:
    """Read each image's name and architecture, once for all hosts (until the file changes)."""
    with tarfile.open(path) as archive:

        def member(name: str) -> str:
            file = archive.extractfile(name)
            if file is None:
                raise ValueError(f"its {name} is not a regular file")
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
        raise HostFailure(messages.NO_ROOM_FOR_IMAGE(name=name))
    raise HostFailure(messages.NOT_IMPORTED(name=name, reason=result.last_line))


def _size(archive: Path) -> str:
    size = archive.stat().st_size
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{max(1, size // 1000)} kB"
