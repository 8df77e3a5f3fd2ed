"""The options of ``deploys/sdcard.py``: the node, and the disk or the image file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from messages import settings as messages
from settings import sources
from settings.build import build
from settings.fields import nearest
from settings.model import SETTINGS, Cluster, Node
from settings.problems import Problem, SettingsError
from settings.run import ending_the_program

_OWN = ("node", "device", "file", "yes", "any_disk")


@dataclass(frozen=True)
class Request:
    """
    One SD card to write.

    + device, file: the disk that is the card, or the image file to make: one of the two
    + yes: write the disk without a question
    + any_disk: accept a built-in disk, or one larger than SD cards are
    """

    cluster: Cluster
    node: Node
    device: str | None
    file: str | None
    yes: bool
    any_disk: bool


def asked(data: Mapping[str, object], project: Path | None = None) -> Request:
    """
    Read the options after ``--data``; all others are settings for this run.

    Mistakes end the program with their messages.

    + data: pyinfra's ``inventory.get_override_data()``
    + project: the folder of inventory.py; None: the working directory
    """
    with ending_the_program():
        return _asked(data, project or Path.cwd())


def _asked(data: Mapping[str, object], project: Path) -> Request:
    given = {name: value for name, value in data.items() if name not in _OWN}
    mistyped = [
        Problem("--data", messages.UNKNOWN_SETTING(remedy=f"Write {near}."), setting=name)
        for name in given
        if name not in SETTINGS and (near := nearest(name, _OWN))
    ]
    if mistyped:
        raise SettingsError(mistyped)
    cluster = build(sources.read(project, "inventory.py", given))
    where = [name for name in ("device", "file") if data.get(name)]
    problems = []
    if len(where) != 1:
        both = "both device and file are" if where else "neither device nor file is"
        problems.append(Problem("--data", messages.NO_CARD(given=both)))
    name = data.get("node")
    if name is None:
        problems.append(Problem("--data", messages.NO_CARD(given="no node is")))
    try:
        node = cluster.node(str(name)) if name is not None else cluster.nodes[0]
    except KeyError as error:
        problems.append(Problem("--data", error.args[0], setting="node"))
    for switch in ("yes", "any_disk"):
        if data.get(switch, False) not in (True, False):
            value = repr(data[switch])
            said = messages.WRONG_TYPE(value=value, kind="true or false", instead="one of them")
            problems.append(Problem("--data", said, setting=switch))
    if problems:
        raise SettingsError(problems)
    return Request(
        cluster,
        node,
        device=str(data["device"]) if "device" in where else None,
        file=str(data["file"]) if "file" in where else None,
        yes=data.get("yes") is True,
        any_disk=data.get("any_disk") is True,
    )
