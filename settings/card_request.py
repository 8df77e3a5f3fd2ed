"""What `deploys/sdcard.py` is asked for: which node's card, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from settings import sources
from settings.build import build
from settings.fields import did_you_mean
from settings.model import SETTINGS, Cluster, Node
from settings.problems import Problem, SettingsError

_OWN = ("node", "device", "file", "yes", "any_disk")
_USE = (
    "pyinfra @local deploys/sdcard.py --data node=node1 --data device=/dev/sdX (or file=node1.img)"
)


@dataclass(frozen=True)
class Request:
    """
    One card to write.

    + device, file: the disk that is the card, or the image file to make: one of the two
    + yes: write the disk without a question
    + any_disk: a disk that is built in, or larger than cards are, is meant
    """

    cluster: Cluster
    node: Node
    device: str | None
    file: str | None
    yes: bool
    any_disk: bool


def asked(data: Mapping[str, object], desk: Path | None = None) -> Request:
    """
    What stands after `--data`. What is not of the card itself is a setting, for this run.

    + data: as pyinfra has it: `inventory.get_override_data()`
    + desk: the folder of inventory.py; the working directory when None

    Ends the program with the mistakes as its message: nothing was asked of any host.
    """
    try:
        return _asked(data, desk or Path.cwd())
    except SettingsError as error:
        raise SystemExit(str(error)) from None


def _asked(data: Mapping[str, object], desk: Path) -> Request:
    given = {name: value for name, value in data.items() if name not in _OWN}
    near = [
        Problem("--data", f"no such setting{did_you_mean(name, _OWN)}", setting=name)
        for name in given
        if name not in SETTINGS and did_you_mean(name, _OWN)
    ]
    if near:
        raise SettingsError(near)
    cluster = build(sources.read(desk, "inventory.py", given))
    where = [name for name in ("device", "file") if data.get(name)]
    problems = []
    if len(where) != 1:
        both = "device or file, not both" if where else "no device and no file"
        problems.append(Problem("--data", f"{both}: {_USE}"))
    name = data.get("node")
    if name is None:
        names = ", ".join(node.name for node in cluster.nodes)
        problems.append(Problem("--data", f"no node, one of {names}: {_USE}"))
    try:
        node = cluster.node(str(name)) if name is not None else cluster.nodes[0]
    except KeyError as error:
        problems.append(Problem("--data", str(error.args[0]), setting="node"))
    for switch in ("yes", "any_disk"):
        if data.get(switch, False) not in (True, False):
            problems.append(Problem("--data", f"{data[switch]!r} is not true", setting=switch))
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
