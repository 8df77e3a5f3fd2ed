"""The options of ``deploys/sdcard.py``: the node, and the disk or the image file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from messages import settings as messages
from settings.model import Cluster, Node
from settings.problems import Problem, SettingsError
from settings.run import ending_the_program


@dataclass(frozen=True)
class Request:
    """
    One SD card to write.

    + device, file: the disk that is the card, or the image file to make: one of the two
    + yes: write the disk without a question
    + any_disk: accept a built-in disk, or one larger than SD cards are
    """

    node: Node
    device: str | None
    file: str | None
    yes: bool
    any_disk: bool


def asked(cluster: Cluster, options: Mapping[str, str]) -> Request:
    """
    Read the options. Mistakes end the program with their messages.

    + options: those of ``--data`` that are no settings (``settings.options``)
    """
    device, file, name = (options.get(each) or None for each in ("device", "file", "node"))
    problems = []
    if bool(device) == bool(file):
        both = "both device and file are" if device else "neither device nor file is"
        problems.append(Problem("--data", messages.NO_CARD(given=both)))
    node = cluster.nodes[0]
    if name is None:
        problems.append(Problem("--data", messages.NO_CARD(given="no node is")))
    else:
        try:
            node = cluster.node(name)
        except KeyError as error:
            problems.append(Problem("--data", error.args[0], setting="node"))
    switches = {each: options.get(each, "false") for each in ("yes", "any_disk")}
    for switch, value in switches.items():
        if value.lower() not in ("true", "false"):
            kind = "true or false"
            said = messages.WRONG_TYPE(value=repr(value), kind=kind, instead="one of them")
            problems.append(Problem("--data", said, setting=switch))
    with ending_the_program():
        if problems:
            raise SettingsError(problems)
    yes, any_disk = (value.lower() == "true" for value in switches.values())
    return Request(node, device, file, yes, any_disk)
