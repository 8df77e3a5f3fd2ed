"""Names, groups, and which setting stands where: one function a rule, each yields the mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from settings.errors import Problem
from settings.fields import did_you_mean
from settings.model import Cluster, Node
from settings.sources import Sources

HOST_DATA = ("address", "uplink_address", "first_address")
HEAD_ONLY = tuple(name for name in Cluster.model_fields if name.startswith(("uplink_", "wifi_")))
CLUSTER_WIDE = tuple(
    name for name in Cluster.model_fields if name not in ("desk", "nodes", *HEAD_ONLY)
)
_ALL = "group_data/all.py"
OURS = (Cluster.model_fields.keys() | Node.model_fields.keys()) - {"desk", "nodes", "name", "role"}


def problems(sources: Sources) -> Iterator[Problem]:
    """All of them, the inventory's first."""
    yield from _groups(sources)
    yield from _unknown_settings(sources)
    yield from _misplaced_settings(sources)
    yield from _different_settings(sources)


def _groups(sources: Sources) -> Iterator[Problem]:
    inventory = sources.inventory
    for (group, name), times in Counter(sources.listed).items():
        if times > 1:
            text = f"listed {times} times in {group}: every node needs its own name"
            yield Problem(inventory, text, name)
    for host in sources.hosts:
        own = [group for group in host.groups if group != sources.whole]
        if {"head", "workers"} <= set(own):
            yield Problem(inventory, "in both head and workers: remove it from one", host.name)
        elif not {"head", "workers"} & set(own) and not host.name.startswith("@"):
            near = did_you_mean(own[0], ("head", "workers")) if own else ""
            text = f"neither in head nor in workers{near or ': list it in one of them'}"
            yield Problem(inventory, text, host.name)
    heads = [host.name for host in sources.hosts if "head" in host.groups]
    if not heads:
        yield Problem(inventory, "no head: list one node in the group head")
    if len(heads) > 1:
        text = f"{len(heads)} heads ({', '.join(heads)}): leave one, the others are workers"
        yield Problem(inventory, text)
    groups = {"all", "head", "workers", sources.whole, *(group for group, _ in sources.listed)}
    for group in sorted(sources.groups.keys() - groups):
        text = "no group has this name" + (did_you_mean(group, groups) or ": remove the file")
        yield Problem(f"group_data/{group}.py", text)


def _unknown_settings(sources: Sources) -> Iterator[Problem]:
    def unknown(name: str) -> bool:
        return name not in OURS and not name.startswith("_")

    def text(name: str) -> str:
        if name in ("head", "workers"):
            return "the nodes are listed in inventory.py: move it there"
        return "no such setting" + (did_you_mean(name, OURS) or ": remove it")

    for group in sources.groups.values():
        for name, value in group.items():
            if unknown(name):
                yield Problem(value.file, text(name), setting=name)
    for host in sources.members:
        for name, value in host.data.items():
            if unknown(name):
                at_host = host.name if value.file == sources.inventory else None
                yield Problem(value.file, text(name), at_host, name)


def _misplaced_settings(sources: Sources) -> Iterator[Problem]:
    """What one node or the head alone has, written for others."""
    for group, data in sources.groups.items():
        for name, value in data.items():
            if name in HOST_DATA:
                text = f'it is one node\'s: write ("node2", {{"{name}": ...}}) in inventory.py'
                yield Problem(value.file, text, setting=name)
            elif name in HEAD_ONLY and group == "workers":
                text = "it is the head's alone: move it to group_data/head.py"
                yield Problem(value.file, text, setting=name)
    for host in sources.members:
        for name in HEAD_ONLY:
            own = name in host.data and host.data[name].file == sources.inventory
            if own and "head" not in host.groups:
                text = "it is the head's alone: move it to group_data/head.py"
                yield Problem(sources.inventory, text, host.name, name)


def _different_settings(sources: Sources) -> Iterator[Problem]:
    """What is one for the whole cluster, and differs from node to node."""
    first, *others = sources.members or (None,)
    for name in CLUSTER_WIDE:
        for host in others:
            assert first is not None
            found = [each.data[name] for each in (host, first) if name in each.data]
            if len(found) == 2 and found[0].value == found[1].value:
                continue
            if found:
                mistaken = min(found, key=lambda value: value.file == _ALL)
                text = f"{mistaken.value!r} for some nodes alone: it is one for the whole cluster, "
                yield Problem(mistaken.file, f"{text}and belongs in {_ALL}", setting=name)
                break
