"""Check names, groups, and where each setting stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

from messages import Said
from messages import settings as messages
from settings.fields import nearest
from settings.model import SETTINGS, Cluster
from settings.problems import Problem, shown
from settings.rules import CONTROL_PLANES
from settings.sources import GROUPS, Sources, Value

HOST_DATA = ("address", "uplink_address", "first_address")
CLUSTER_WIDE = tuple(name for name in Cluster.model_fields if name not in ("project", "nodes"))
ALL = "group_data/all.py"

# Wrong names that people use.
_ALIASES = {
    "ip": "address", "ip_address": "address", "host": "address", "hostname": "address",
    "user": "admin_user", "username": "admin_user", "ssh_username": "admin_user",
    "dns": "nameservers", "dns_servers": "nameservers", "interface": "cluster_interface",
    "pods_on_head": "pods_on_control_plane",
    "wifi_password": "wifi_psk_file", "wifi_key": "wifi_psk_file", "wifi_psk": "wifi_psk_file",
    "ssid": "wifi_ssid", "country": "wifi_country", "version": "kubernetes_version",
}  # fmt: skip
_UNSUPPORTED = {"ssh_hostname", "ssh_user", "ssh_key", "ssh_port", "ssh_paramiko_connect_kwargs"}
_GROUP_ALIASES = {
    **dict.fromkeys(("controlplane", "master", "masters", "server"), "control_plane"),
    **dict.fromkeys(("node", "nodes", "agents", "minions", "workers_"), "workers"),
}


def is_misplaced(name: str, value: Value) -> bool:
    """Tell whether it belongs to one node and is written for several: it is ignored, reported."""
    return name in HOST_DATA and (value.file == "--data" or value.file.startswith("group_data/"))


def meant(sources: Sources) -> set[str]:
    """The settings that unknown names probably mean."""
    places = [*sources.groups.values(), *(host.data for host in sources.members)]
    return {near for data in places for name in data if _is_unknown(name) and (near := _near(name))}


def _is_unknown(name: str) -> bool:
    return name not in SETTINGS and (not name.startswith("_") or name in _of_pyinfra())


@cache
def _of_pyinfra() -> frozenset[str]:
    """Read the names of data that pyinfra takes for arguments of every operation."""
    from pyinfra.api.arguments import all_argument_meta  # slow to import outside of pyinfra

    return frozenset(all_argument_meta)


def _near(name: str) -> str | None:
    return _ALIASES.get(name.lower()) or nearest(name, SETTINGS - _UNSUPPORTED)


def problems(sources: Sources) -> Iterator[Problem]:
    """Find all mistakes, those of the inventory first."""
    yield from _groups(sources)
    yield from _unknown_settings(sources)
    yield from _misplaced_settings(sources)
    yield from _different_settings(sources)


def _groups(sources: Sources) -> Iterator[Problem]:
    inventory = sources.inventory
    for (group, name), times in Counter(sources.listed).items():
        if times > 1:
            yield Problem(inventory, messages.LISTED_TWICE(times=times, group=group), name)
    for host in sources.hosts:
        own = [group for group in host.groups if group != sources.whole]
        if {*GROUPS} <= set(own):
            yield Problem(inventory, messages.IN_TWO_GROUPS(), host.name)
        elif not {*GROUPS} & set(own) and not host.name.startswith("@"):
            near = _near_group(own[0]) if own else None
            said = messages.IN_NO_GROUP(instead=near or "one of them")
            yield Problem(inventory, said, host.name)
    yield from _control_plane(sources)
    yield from _gateway(sources)
    groups = {"all", *GROUPS, sources.whole, *sources.named}
    for group in sorted(sources.groups.keys() - groups):
        near = nearest(group, groups)
        remedy = f"Rename it to {near}.py." if near else "Remove the file."
        if group in (host.name for host in sources.hosts):
            remedy = f"Move its settings to {group} in inventory.py, and remove the file."
        yield Problem(f"group_data/{group}.py", messages.UNKNOWN_GROUP(remedy=remedy))


def _near_group(group: str) -> str | None:
    if group in GROUPS:
        return None
    return _GROUP_ALIASES.get(group.lower()) or nearest(group, GROUPS)


def _control_plane(sources: Sources) -> Iterator[Problem]:
    """Check that there are one, three or five: etcd needs a majority of them."""
    names = [host.name for host in sources.hosts if "control_plane" in host.groups]
    misspelt = any(_near_group(group) == "control_plane" for group, _ in sources.listed)
    if not names and not misspelt:
        yield Problem(sources.inventory, messages.NO_CONTROL_PLANE())
    elif names and len(names) not in CONTROL_PLANES:
        said = messages.CONTROL_PLANE_QUORUM(
            count=len(names),
            nodes=", ".join(names),
            quorum=len(names) // 2 + 1,
            failures=(len(names) - 1) // 2,
        )
        yield Problem(sources.inventory, said)


def _gateway(sources: Sources) -> Iterator[Problem]:
    """Check that with topology "nat" exactly one node has an uplink_address, otherwise none."""
    nothing, names = Value(None, ""), []
    topologies = {str(host.data.get("topology", nothing).value) for host in sources.members}
    for host in sources.members:
        uplink = host.data.get("uplink_address", nothing)
        if is_misplaced("uplink_address", uplink):
            return
        names += [host.name] if uplink.value is not None else []
    if topologies == {"router"}:
        for name in names:
            yield Problem(sources.inventory, messages.NO_UPLINK(), name, "uplink_address")
    if topologies != {"nat"}:
        return
    if not any("control_plane" in host.groups for host in sources.members):
        return  # already reported
    if not names:
        yield Problem(sources.inventory, messages.NO_GATEWAY(node=sources.members[0].name))
    elif len(names) > 1:
        yield Problem(sources.inventory, messages.SEVERAL_GATEWAYS(nodes=", ".join(names)))


def _unknown_settings(sources: Sources) -> Iterator[Problem]:
    def text(name: str) -> Said:
        if name in ("head", *GROUPS):
            return messages.GROUP_IN_GROUP_DATA()
        if name == "pods_on_head":
            return messages.PODS_ON_HEAD()
        if _ALIASES.get(name.lower()) == "wifi_psk_file":
            return messages.WIFI_KEY_IN_SETTINGS()
        if name in _of_pyinfra():
            return messages.ARGUMENT_OF_PYINFRA()
        private = "Remove it"
        if f"_{name}" not in _of_pyinfra():
            private += f", or call it _{name} if only this file uses it"
        near = _near(name)
        return messages.UNKNOWN_SETTING(remedy=f"Write {near}." if near else f"{private}.")

    for group in sources.groups.values():
        for name, value in group.items():
            if _is_unknown(name):
                yield Problem(value.file, text(name), setting=name)
    for host in sources.members:
        of_groups = [sources.groups.get(group, {}) for group in host.groups]
        for name, value in host.data.items():
            if _is_unknown(name) and not any(value is data.get(name) for data in of_groups):
                at_host = host.name if value.file == sources.inventory else None
                yield Problem(value.file, text(name), at_host, name)


def _misplaced_settings(sources: Sources) -> Iterator[Problem]:
    """Find settings of one node that are written for several."""
    for_many = [item for data in sources.groups.values() for item in data.items()]
    for_all = [item for host in sources.members for item in host.data.items()]
    for name, value in (*for_many, *(item for item in for_all if item[1].file == "--data")):
        if name in HOST_DATA:
            yield Problem(value.file, messages.OF_ONE_NODE(name=name), setting=name)


def _same(one: object, other: object) -> bool:
    return one is other or one == other


def _different_settings(sources: Sources) -> Iterator[Problem]:
    """Find settings of the whole cluster that differ from node to node."""
    first, *others = sources.members or (None,)
    for name in CLUSTER_WIDE:
        for host in others:
            assert first is not None
            found = [(each.data[name], each) for each in (host, first) if name in each.data]
            if len(found) == 2 and _same(found[0][0].value, found[1][0].value):
                continue
            if found:
                value, mistaken = min(found, key=lambda pair: pair[0].file == ALL)
                said = messages.OF_THE_CLUSTER(value=shown(value.value))
                at_host = mistaken.name if value.file == sources.inventory else None
                yield Problem(value.file, said, at_host, name)
                break
