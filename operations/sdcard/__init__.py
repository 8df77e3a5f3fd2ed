"""Write a node's SD card: the image of its system, and the files for its first boot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from pyinfra import host
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

import runs
from facts.block_devices import BlockDevices
from formats import partition_table
from messages import sdcard as messages
from operations.base import Commands, HostFailure, diff, operation, plan, read
from operations.sdcard import disk
from operations.sdcard.image import (
    Checksum,
    expected_checksum,
    fetch_image,
    local_image,
    partitions_of,
    read_beginning,
)
from operations.sdcard.target import Target, image_file, require_mtools
from operations.sdcard.verify import (
    COMMAND_LINE,
    DesiredCard,
    Difference,
    boot_file_texts,
    compare,
    fingerprint,
    made_by_bramble,
)
from operations.sdcard.write import write_boot_files, write_card
from workstation.download import DownloadError
from workstation.progress import format_size

# The files of the boot partition that hold no secret, so a diff may show them.
_NO_SECRETS = ("meta-data", COMMAND_LINE)


@dataclass(frozen=True)
class _Observed:
    """
    A disk or image file.

    + lines: its description
    + fingerprint: tells a disk from another of the same model; "" for a file
    """

    target: Target
    lines: Sequence[str]
    fingerprint: str = ""


class _Run:
    """
    + shown: each disk as the plan showed it, which a person may have read since
    + up_to_date: cards without a difference: comparing takes minutes, so it is done once per run
    """

    def __init__(self) -> None:
        self.shown: dict[tuple[str, str], _Observed] = {}
        self.up_to_date: set[tuple[Target, str]] = set()


@operation()
def card(
    node: str,
    image: str,
    source: str,
    checksum: str | None,
    size: int | None,
    boot_files: Callable[[], Mapping[str, str]],
    command_line: Callable[[str], str],
    when_written: Callable[[], None],
    folder: str,
    device: str | None = None,
    file: str | None = None,
    yes: bool = False,
    any_disk: bool = False,
    remarks: Sequence[str] = (),
) -> Commands:
    """
    Write a node's SD card, or an image file of one: an image, and the files for its first boot.

    For ``@local``: the computer that has the card in its reader.

    + node: the node's name
    + image: the image's name, for a person
    + source: its URL, or a path on this computer
    + checksum: its sha256 as it is stored there, or the URL of a ``.sha256`` file; another image is
      refused. None accepts a file of this computer as it is
    + size: of the unpacked image in bytes; None: not known before it is downloaded
    + boot_files: returns the texts for the boot partition, by name; they hold secrets
    + command_line: changes the text of cmdline.txt
    + when_written: called when the card is complete
    + folder: where downloads are kept
    + device, file: the disk, or the image file to make; one of the two
    + yes: write a disk without a question
    + any_disk: allow a disk that is built in, or larger than SD cards are
    + remarks: warnings about this node's card, a line each

    A disk is refused unless it is whole, removable, unmounted, unused, of an SD card's size, and
    not the one that the system runs from.
    """
    if host.name != "@local":
        raise HostFailure(messages.NOT_LOCAL())
    require_mtools()
    here = ctx_host.get()
    run = runs.current().part(_Run)
    job = _Job(source, folder, device, any_disk, yes, when_written)
    with _downloads():
        observed = _observe(job, file)
        target = observed.target
        if target.disk:
            _check_same(observed, run.shown.setdefault((target.path, node), observed))
        pin = expected_checksum(source, checksum, folder, here)
        image_path = local_image(source, pin, folder, here)
        needed = _needed(image_path) or size
        disk.check_size(target, needed or 0)
        texts = _encoded(boot_files)
        change_line = partial(_command_line, command_line)
        desired = DesiredCard(node, image, pin.sha256, texts, change_line)
        if (target, node) in run.up_to_date:
            difference = Difference(None)
        else:
            difference = compare(target, desired, here)
    for remark in remarks:
        plan(remark)
    if not difference.reason and not difference.files:
        run.up_to_date.add((target, node))
        plan(f"{target.path} is up to date: node {node}, image {image}")
        host.noop(f"{target.path} is up to date")
        return
    title = f"{image} ({format_size(needed)})" if needed else image
    _announce(observed, desired, difference, title, None if image_path else source)
    yield FunctionCommand(_write, (observed, desired, pin, difference, job), {})


@dataclass(frozen=True)
class _Job:
    """Arguments of ``card``, besides those of the desired card."""

    source: str
    folder: str
    device: str | None
    any_disk: bool
    yes: bool
    when_written: Callable[[], None]


@contextmanager
def _downloads() -> Iterator[None]:
    try:
        yield
    except DownloadError as error:
        raise HostFailure(error.said) from error


def _observe(job: _Job, file: str | None) -> _Observed:
    if job.device is None:
        assert file is not None, "one of device and file is given"
        target = image_file(file)
        if target.size and not made_by_bramble(target):
            raise HostFailure(messages.FOREIGN_FILE(path=file))
        return _Observed(target, [f"{file}: image file{'' if target.size else ' (new)'}"])
    devices = read(BlockDevices, _sudo=False)
    target = disk.disk_target(devices, job.device, job.any_disk)
    return _Observed(target, disk.describe(devices, target.path), fingerprint(target))


def _encoded(boot_files: Callable[[], Mapping[str, str]]) -> dict[str, bytes]:
    try:
        return {name: text.encode() for name, text in boot_files().items()}
    except ValueError as error:
        raise HostFailure(messages.BOOT_FILES(reason=error.args[0])) from error


def _command_line(change: Callable[[str], str], line: bytes) -> bytes:
    try:
        return change(line.decode()).encode()
    except UnicodeDecodeError as error:
        raise HostFailure(messages.BAD_COMMAND_LINE(reason="it is not text")) from error
    except ValueError as error:
        raise HostFailure(messages.BAD_COMMAND_LINE(reason=error.args[0])) from error


def _needed(image: Path | None) -> int | None:
    """Return how many bytes an image needs; None as long as it is not downloaded."""
    if image is None:
        return None
    return partition_table.needed(partitions_of(image, read_beginning(image)))


def _announce(
    observed: _Observed,
    desired: DesiredCard,
    difference: Difference,
    title: str,
    download: str | None,
) -> None:
    """Show what will be done."""
    for line in observed.lines:
        plan(line)
    if difference.reason is None:
        names = ", ".join(difference.files)
        plan(f"The card of {desired.node}; these files on its boot partition differ: {names}")
        plan("Will write these files only")
        for name, now in difference.files.items():
            texts = boot_file_texts(desired, name, now)
            diff(name, *texts, secret=name not in _NO_SECRETS)
        return
    plan(f"Will write all of it: {difference.reason}")
    if download:
        plan(f"Will download {download}")
    loss = ": ALL DATA ON IT WILL BE LOST" if observed.target.disk else ""
    plan(f"Will write {title}, and verify it{loss}")
    names = ", ".join((*desired.files, COMMAND_LINE))
    plan(f"Will write to its boot partition, for {desired.node}: {names}")


def _write(
    state: State,
    host: Host,
    observed: _Observed,
    desired: DesiredCard,
    pin: Checksum,
    difference: Difference,
    job: _Job,
) -> bool:
    target = observed.target
    with _downloads():
        if target.disk and not job.yes:
            _confirm(observed.lines, difference)
        if difference.reason:
            image = fetch_image(job.source, pin, job.folder, host)
            _check_still_same(observed, job)
            write_card(target, image, desired, host)
        else:
            _check_still_same(observed, job)
            write_boot_files(target, desired)
    try:
        job.when_written()
    except OSError as error:
        reason = error.strerror or error
        raise HostFailure(messages.NOT_RECORDED(path=target.path, reason=reason)) from error
    host.log(f"{target.path} is now the card of {desired.node}")
    return True


def _confirm(lines: Sequence[str], difference: Difference) -> None:
    """Ask for a yes before data is lost; ``HostFailure`` without one."""
    if not sys.stdin.isatty():
        raise HostFailure(messages.NO_TERMINAL())
    loss = "Write it and lose ALL DATA on it?" if difference.reason else "Write these files?"
    click.echo("\n".join(f"    {line}" for line in lines), err=True)
    question = f"    {loss} Type yes"
    try:
        answer = click.prompt(question, default="no", show_default=False, err=True)
    except click.Abort:  # Ctrl-D
        click.echo(err=True)
        answer = "no"
    if answer.strip().lower() != "yes":
        raise HostFailure(messages.NOT_CONFIRMED())


def _check_still_same(observed: _Observed, job: _Job) -> None:
    """Raise ``HostFailure`` if a card was swapped, or mounted, while a question was open."""
    if job.device is not None:
        _check_same(_observe(job, None), observed)


def _check_same(now: _Observed, before: _Observed) -> None:
    if now != before:
        raise HostFailure(messages.DISK_CHANGED(path=now.target.path))
