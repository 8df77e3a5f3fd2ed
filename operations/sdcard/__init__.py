"""
A node's card: the image of its system, and what the board is told at its first boot.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from pyinfra import host, logger
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

from facts.block_devices import BlockDevices
from formats import partition_table
from operations.base import Commands, HostFailure, diff, operation, plan, read
from operations.sdcard import disk as card_choice
from operations.sdcard import image as card_image
from operations.sdcard import target as card_target
from operations.sdcard import verify as card_state
from operations.sdcard import write as card_write
from operations.sdcard.target import Target
from operations.sdcard.unpack import UnpackError
from operations.sdcard.verify import Lacks, Wanted
from workstation import progress
from workstation.download import DownloadError

# Of the files on a boot partition, those that a diff may show.
_NO_SECRETS = ("meta-data", card_state.COMMAND_LINE)
# Cards that were compared, and lacked nothing, while pyinfra prepared this run.
_UP_TO_DATE: set[tuple[Target, str]] = set()


@dataclass(frozen=True)
class _Seen:
    """
    A card as it was looked at.

    + lines: what it is, for a person
    + beginning: tells a disk from another of the same model; "" for a file
    """

    target: Target
    lines: Sequence[str]
    beginning: str = ""


# Disks as a plan, which somebody has read since, is about them.
_PLANNED: dict[tuple[str, str], _Seen] = {}


@operation()
def written(
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
    A card, or an image file of one, is the node's: this image, and these files for its first boot.

    For ``@local``: the computer that has the card in its reader.

    + node: whose card it is
    + image: the image's name, for a person
    + source: its URL, or a path on this computer
    + checksum: its sha256 as it is stored there, or the URL of a ``.sha256`` file; another image is
      refused. None takes a file of this computer as it is
    + size: of the unpacked image in bytes; None: not known before it is there
    + boot_files: gives the texts for the boot partition, by their names; they hold secrets
    + command_line: gives the text of cmdline.txt for the one that is there
    + when_written: called when the card is whole
    + folder: where downloads are kept
    + device, file: the disk that is the card, or the image file to make; one of the two
    + yes: write a disk without a question
    + any_disk: the disk is built in, or larger than cards are, and is what is meant
    + remarks: what a person should know of this node's card besides, a line each

    A disk is refused when it is not a whole one that can be taken out, when the system runs from
    it, when something on it is mounted or in use, and when its size is no card's.

    **Example:**

    .. code:: python

        sdcard.written(
            name="The card of node1",
            node="node1",
            image="Raspberry Pi OS Lite",
            source="https://example.org/raspios-lite.img.xz",
            checksum="cdf4f3bfac35ae947b46e4e767f935453810549779ac3290e05a6754aee627e5",
            size=3061841920,
            boot_files=lambda: {"user-data": "#cloud-config\\n"},
            command_line=lambda text: text,
            when_written=lambda: None,
            folder=".cluster/downloads",
            device="/dev/sdb",
        )
    """

    if host.name != "@local":
        raise HostFailure(
            "cards are written on your own computer: pyinfra @local deploys/sdcard.py …"
        )
    card_target.require_tools()
    here = ctx_host.get()
    job = _Job(source, folder, device, any_disk, yes, when_written)
    try:
        seen = _look(job, file)
        target = seen.target
        if target.disk:
            _same(seen, _PLANNED.setdefault((target.path, node), seen))
        pin = card_image.pin(source, checksum, folder, here)
        image_file = card_image.at_hand(source, pin, folder, here)
        needed = _needed(image_file) or size
        card_choice.fits(target, needed or 0)
        texts = _encoded(boot_files)
        wanted = Wanted(node, image, pin.checksum, texts, partial(_command_line, command_line))
        if (target, wanted.node) in _UP_TO_DATE:
            lacks = Lacks(None)  # it took its time while pyinfra prepared
        else:
            lacks = card_state.compare(target, wanted, here)
    except (DownloadError, UnpackError) as error:
        raise HostFailure(str(error)) from error
    for remark in remarks:
        plan(remark)
    if not lacks.image and not lacks.files:
        _UP_TO_DATE.add((target, node))
        plan(f"{target.path} is up to date: the card of {node}, {image}")
        host.noop(f"{target.path} is up to date")
        return
    title = f"{image} ({progress.size(needed)})" if needed else image
    _announce(seen, wanted, lacks, title, None if image_file else source)
    yield FunctionCommand(_write, (seen, wanted, pin, lacks, job), {})


@dataclass(frozen=True)
class _Job:
    """What was asked for, besides the card itself; see ``written``."""

    source: str
    folder: str
    device: str | None
    any_disk: bool
    yes: bool
    when_written: Callable[[], None]


def _look(job: _Job, file: str | None) -> _Seen:
    """The disk or file to write."""
    if job.device is None:
        assert file is not None, "one of device and file is given"
        target = card_target.file_target(file)
        if target.size and not card_state.ours(target):
            raise HostFailure(
                f"{file} is there already, and no card made here: remove it, or name another file"
            )
        return _Seen(target, [f"{file}: an image file, {'there' if target.size else 'new'}"])
    devices = read(BlockDevices, _sudo=False)
    target = card_choice.disk_target(devices, job.device, job.any_disk)
    lines = card_choice.described(devices, target.path)
    return _Seen(target, lines, card_state.fingerprint(target))


def _encoded(boot_files: Callable[[], Mapping[str, str]]) -> dict[str, bytes]:
    try:
        return {name: text.encode() for name, text in boot_files().items()}
    except ValueError as error:
        raise HostFailure(str(error)) from error


def _command_line(change: Callable[[str], str], line: bytes) -> bytes:
    try:
        return change(line.decode()).encode()
    except ValueError as error:
        raise HostFailure(
            f"{card_state.COMMAND_LINE} on the image can't be used: {error}"
        ) from error


def _needed(image: Path | None) -> int | None:
    """How many bytes an image needs; None as long as it is not here."""
    if image is None:
        return None
    return partition_table.needed(card_write.layout(image, card_write.beginning(image)))


def _announce(seen: _Seen, wanted: Wanted, lacks: Lacks, title: str, download: str | None) -> None:
    """What will be done, before anything is."""
    for line in seen.lines:
        plan(line)
    if lacks.image is None:
        plan(f"It is the card of {wanted.node}, and differs in: {', '.join(lacks.files)}")
        plan("Will write these files anew on its boot partition, nothing else")
        for name, now in lacks.files.items():
            diff(name, *card_state.texts(wanted, name, now), secret=name not in _NO_SECRETS)
        return
    plan(f"It will be written, because {lacks.image}")
    if download:
        plan(f"Will download {download}")
    plan(f"Will write {title}, and read it back" + _loss(seen.target))
    names = (*wanted.files, card_state.COMMAND_LINE)
    plan(f"Will put on its boot partition, for {wanted.node}: {', '.join(names)}")


def _loss(target: Target) -> str:
    return ": EVERYTHING ON IT WILL BE LOST" if target.disk else ""


def _write(
    state: State,
    host: Host,
    seen: _Seen,
    wanted: Wanted,
    pin: card_image.Pin,
    lacks: Lacks,
    job: _Job,
) -> bool:
    target = seen.target
    try:
        if target.disk and not job.yes:
            _ask(seen.lines, lacks)
        if lacks.image:
            image = card_image.fetched(job.source, pin, job.folder, host)
            _still_the_same(seen, job)
            card_write.whole(target, image, wanted, host)
        else:
            _still_the_same(seen, job)
            card_write.boot_files(target, wanted)
        job.when_written()
    except (HostFailure, DownloadError, UnpackError, OSError) as reason:
        host.log_styled(str(reason), fg="red", log_func=logger.error)
        return False
    host.log(f"{target.path} is the card of {wanted.node} now")
    return True


def _ask(lines: Sequence[str], lacks: Lacks) -> None:
    """Have a person say yes to what will be lost."""
    if not sys.stdin.isatty():
        raise HostFailure("nobody is here to say yes to that: --data yes=true. Nothing was written")
    loss = "Write it, and lose EVERYTHING on it?" if lacks.image else "Write these files?"
    click.echo("\n".join(f"    {line}" for line in lines), err=True)
    question = f"    {loss} Type yes"
    try:
        answer = click.prompt(question, default="no", show_default=False, err=True)
    except click.Abort:  # Ctrl-D
        click.echo(err=True)
        answer = "no"
    if answer.strip().lower() != "yes":
        raise HostFailure("the answer was not yes: nothing was written")


def _still_the_same(seen: _Seen, job: _Job) -> None:
    """See that no other card was put in, and nothing mounted, while a question was open."""
    if job.device is not None:
        _same(_look(job, None), seen)


def _same(now: _Seen, before: _Seen) -> None:
    if now != before:
        path = now.target.path
        raise HostFailure(f"{path} is another disk than it was a moment ago: run this again")
