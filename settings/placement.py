"""Names, groups, and which setting stands where: one function a rule, each yields the mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from messages import settings as messages
from settings.fields import did_you_mean
from settings.model import SETTINGS, Cluster
from settings.problems import Problem
from settings.sources import GROUPS, Sources, Value

HOST_DATA = ("address", "uplink_address", "first_address")
CLUSTER_WIDE = tuple(name for name in Cluster.model_fields if name not in ("desk", "nodes"))
_ALL = "group_data/all.py"


# What people call a setting that is not named so.
_ALIASES = {
    "ip": "address", "ip_address": "address", "host": "address", "hostname": "address",
    "user": "admin_user", "username": "admin_user", "ssh_username": "admin_user",
    "dns": "nameservers", "dns_servers": "nameservers", "interface": "cluster_interface",
    "pods_on_head": "pods_on_control_plane",
    "wifi_password": "wifi_psk_file", "wifi_key": "wifi_psk_file", "wifi_psk": "wifi_psk_file",
    "ssid": "wifi_ssid", "country": "wifi_country", "version": "kubernetes_version",
}  # fmt: skip
_UNSUPPORTED = {"ssh_hostname", "ssh_user", "ssh_key", "ssh_port"}
_GROUP_ALIASES = {
    **dict.fromkeys(("controlplane", "master", "masters", "server"), "control_plane"),
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
        if {*GROUPS} <= set(own):
            text = "in both control_plane and workers: remove it from one"
            yield Problem(inventory, text, host.name)
        elif not {*GROUPS} & set(own) and not host.name.startswith("@"):
            near = _near_group(own[0]) if own else ""
            text = f"neither in control_plane nor in workers{near or ': list it in one of them'}"
            yield Problem(inventory, text, host.name)
    yield from _control_plane(sources)
    yield from _gateway(sources)
    groups = {"all", *GROUPS, sources.whole, *(group for group, _ in sources.listed)}
    for group in sorted(sources.groups.keys() - groups):
        text = "no group has this name" + (did_you_mean(group, groups) or ": remove the file")
        yield Problem(f"group_data/{group}.py", text)


def _near_group(group: str) -> str:
    if group in GROUPS:
        return ""
    near = _GROUP_ALIASES.get(group.lower())
    return f": did you mean {near}?" if near else did_you_mean(group, GROUPS)


def _control_plane(sources: Sources) -> Iterator[Problem]:
    """One, three or five nodes: etcd needs a majority of them."""
    names = [host.name for host in sources.hosts if "control_plane" in host.groups]
    misspelt = any("control_plane" in _near_group(group) for group, _ in sources.listed)
    if not names and not misspelt:
        yield Problem(sources.inventory, messages.NO_CONTROL_PLANE())
    elif len(names) not in (0, 1, 3, 5):
        said = messages.CONTROL_PLANE_QUORUM(
            count=len(names),
            nodes=", ".join(names),
            quorum=len(names) // 2 + 1,
            failures=(len(names) - 1) // 2,
        )
        yield Problem(sources.inventory, said)


def _gateway(sources: Sources) -> Iterator[Problem]:
    """With topology "nat" exactly one node has an uplink_address."""
    nothing, names = Value(None, ""), []
    for host in sources.members:
        uplink = host.data.get("uplink_address", nothing)
        if host.data.get("topology", nothing).value != "nat" or is_misplaced(
            "uplink_address", uplink
        ):
            return
        names += [host.name] if uplink.value is not None else []
    if not any("control_plane" in host.groups for host in sources.members):
        return  # told of already
    if not names:
        yield Problem(sources.inventory, messages.NO_GATEWAY(node=sources.members[0].name))
    elif len(names) > 1:
        yield Problem(sources.inventory, messages.SEVERAL_GATEWAYS(nodes=", ".join(names)))


def _unknown_settings(sources: Sources) -> Iterator[Problem]:
    def text(name: str) -> str:
        if name in ("head", *GROUPS):
            return "the nodes are listed in inventory.py: move it there"
        if name == "pods_on_head":
            return messages.PODS_ON_HEAD()
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
    """What one node alone has, written for others."""
    for_many = [item for data in sources.groups.values() for item in data.items()]
    for_all = [item for host in sources.members for item in host.data.items()]
    for name, value in (*for_many, *(item for item in for_all if item[1].file == "--data")):
        if name in HOST_DATA:
            text = f'it is one node\'s: write ("node2", {{"{name}": ...}}) in inventory.py'
            yield Problem(value.file, text, setting=name)


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
