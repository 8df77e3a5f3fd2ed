"""Names, groups, and which setting stands where: one function a rule, each yields the mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from settings.fields import did_you_mean
from settings.model import SETTINGS, Cluster
from settings.problems import Problem
from settings.sources import Sources, Value

HOST_DATA = ("address", "uplink_address", "first_address")
HEAD_ONLY = tuple(name for name in Cluster.model_fields if name.startswith(("uplink_", "wifi_")))
CLUSTER_WIDE = tuple(
    name for name in Cluster.model_fields if name not in ("desk", "nodes", *HEAD_ONLY)
)
_ALL = "group_data/all.py"


# What people call a setting that is not named so.
_ALIASES = {
    "ip": "address", "ip_address": "address", "host": "address", "hostname": "address",
    "user": "admin_user", "username": "admin_user", "ssh_username": "admin_user",
    "dns": "nameservers", "dns_servers": "nameservers", "interface": "cluster_interface",
    "wifi_password": "wifi_psk_file", "wifi_key": "wifi_psk_file", "wifi_psk": "wifi_psk_file",
    "ssid": "wifi_ssid", "country": "wifi_country", "version": "kubernetes_version",
}  # fmt: skip
_UNSUPPORTED = {"ssh_hostname", "ssh_user", "ssh_key", "ssh_port"}
_GROUP_ALIASES = {
    **dict.fromkeys(("control_plane", "controlplane", "master", "masters", "server"), "head"),
    **dict.fromkeys(("node", "nodes", "agents", "minions", "workers_"), "workers"),
}


def is_misplaced(name: str, value: Value) -> bool:
    """Whether it is one node's, and written for several: it is told of, and holds for none."""
    return name in HOST_DATA and (value.file == "--data" or value.file.startswith("group_data/"))


def meant(sources: Sources) -> set[str]:
    """The settings that unknown names are taken for."""
    places = [*sources.groups.values(), *(host.data for host in sources.members)]
    return {near for data in places for name in data if _is_unknown(name) and (near := _near(name))}


def _is_unknown(name: str) -> bool:
    return name not in SETTINGS and not name.startswith("_")


def _near(name: str) -> str | None:
    hint = did_you_mean(name, SETTINGS - _UNSUPPORTED)
    return _ALIASES.get(name.lower()) or hint[len(": did you mean ") : -1] or None


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
            near = _near_group(own[0]) if own else ""
            text = f"neither in head nor in workers{near or ': list it in one of them'}"
            yield Problem(inventory, text, host.name)
    heads = [host.name for host in sources.hosts if "head" in host.groups]
    if not heads and not any("head" in _near_group(group) for group, _ in sources.listed):
        yield Problem(inventory, "no head: list one node in the group head")
    if len(heads) > 1:
        text = f"{len(heads)} heads ({', '.join(heads)}): leave one, the others are workers"
        yield Problem(inventory, text)
    groups = {"all", "head", "workers", sources.whole, *(group for group, _ in sources.listed)}
    for group in sorted(sources.groups.keys() - groups):
        text = "no group has this name" + (did_you_mean(group, groups) or ": remove the file")
        yield Problem(f"group_data/{group}.py", text)


def _near_group(group: str) -> str:
    if group in ("head", "workers"):
        return ""
    near = _GROUP_ALIASES.get(group.lower())
    return f": did you mean {near}?" if near else did_you_mean(group, ("head", "workers"))


def _unknown_settings(sources: Sources) -> Iterator[Problem]:
    def text(name: str) -> str:
        if name in ("head", "workers"):
            return "the nodes are listed in inventory.py: move it there"
        near = _near(name)
        return "no such setting" + (f": did you mean {near}?" if near else ": remove it")

    for group in sources.groups.values():
        for name, value in group.items():
            if _is_unknown(name):
                yield Problem(value.file, text(name), setting=name)
    for host in sources.members:
        for name, value in host.data.items():
            if _is_unknown(name):
                at_host = host.name if value.file == sources.inventory else None
                yield Problem(value.file, text(name), at_host, name)


def _misplaced_settings(sources: Sources) -> Iterator[Problem]:
    """What one node or the head alone has, written for others."""
    for_many = [item for data in sources.groups.values() for item in data.items()]
    for_all = [item for host in sources.members for item in host.data.items()]
    for name, value in (*for_many, *(item for item in for_all if item[1].file == "--data")):
        if name in HOST_DATA:
            text = f'it is one node\'s: write ("node2", {{"{name}": ...}}) in inventory.py'
            yield Problem(value.file, text, setting=name)
    for group, data in sources.groups.items():
        for name, value in data.items():
            if name in HEAD_ONLY and group == "workers":
                text = "it is the head's alone: move it to group_data/head.py"
                yield Problem(value.file, text, setting=name)
    for host in sources.members:
        for name in HEAD_ONLY:
            own = name in host.data and host.data[name].file == sources.inventory
            if own and "head" not in host.groups:
                text = "it is the head's alone: move it to group_data/head.py"
                yield Problem(sources.inventory, text, host.name, name)


def _same(one: object, other: object) -> bool:
    return one is other or one == other


def _different_settings(sources: Sources) -> Iterator[Problem]:
    """What is one for the whole cluster, and differs from node to node."""
    first, *others = sources.members or (None,)
    for name in CLUSTER_WIDE:
        for host in others:
            assert first is not None
            found = [each.data[name] for each in (host, first) if name in each.data]
            if len(found) == 2 and _same(found[0].value, found[1].value):
                continue
            if found:
                mistaken = min(found, key=lambda value: value.file == _ALL)
                text = f"{mistaken.value!r} for some nodes alone: it is one for the whole cluster, "
                yield Problem(mistaken.file, f"{text}and belongs in {_ALL}", setting=name)
                break
