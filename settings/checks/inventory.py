"""Names, groups, and which setting stands where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from settings.checks.draft import CLUSTER_WIDE, OURS, PYINFRA, Draft
from settings.errors import Problem
from settings.fields import did_you_mean, host_name


def names(draft: Draft) -> Iterator[Problem]:
    for name in draft.hosts:
        if _is_address(name):
            message = f'an address is no name: write ("node2", {{"address": "{name}"}})'
            yield Problem(draft.sources.inventory, message, name)
            continue
        try:
            host_name(name)
        except ValueError as error:
            yield Problem(draft.sources.inventory, str(error), name)


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except AddressValueError:
        return False
    return True


def endpoint(draft: Draft) -> Iterator[Problem]:
    name = draft.cluster.control_plane_endpoint
    if name in draft.hosts:
        yield draft.problem(
            "control_plane_endpoint", f"{name} is a node: it needs a name of its own"
        )


def listed_once(draft: Draft) -> Iterator[Problem]:
    for (group, name), times in Counter(draft.sources.listed).items():
        if times > 1:
            yield Problem(
                draft.sources.inventory,
                f"listed {times} times in {group}: every node needs its own name",
                name,
            )


def in_one_group(draft: Draft) -> Iterator[Problem]:
    for host in draft.hosts.values():
        if {"head", "workers"} <= set(host.groups):
            yield Problem(
                draft.sources.inventory, "in both head and workers: remove it from one", host.name
            )


def placed(draft: Draft) -> Iterator[Problem]:
    for host in draft.sources.hosts:
        if host.name in draft.hosts or host.name.startswith("@"):
            continue
        own = [group for group in host.groups if group != draft.sources.whole]
        near = did_you_mean(own[0], ("head", "workers")) if own else ""
        yield Problem(draft.sources.inventory, f"neither in head nor in workers{near}", host.name)


def one_head(draft: Draft) -> Iterator[Problem]:
    heads = [host.name for host in draft.hosts.values() if "head" in host.groups]
    if not heads:
        yield Problem(draft.sources.inventory, "no head: list one node in the group head")
    if len(heads) > 1:
        yield Problem(
            draft.sources.inventory,
            f"{len(heads)} heads ({', '.join(heads)}): leave one, the others are workers",
        )


def known_settings(draft: Draft) -> Iterator[Problem]:
    for group in draft.sources.groups.values():
        for name, value in group.items():
            if not _known(name):
                yield Problem(value.file, _unknown(name), setting=name)
    for host in draft.hosts.values():
        for name, value in host.data.items():
            if not _known(name):
                at_host = host.name if value.file == draft.sources.inventory else None
                yield Problem(value.file, _unknown(name), at_host, name)


def _known(name: str) -> bool:
    return name in OURS or name in PYINFRA or name.startswith("_")


def _unknown(name: str) -> str:
    return "no such setting" + did_you_mean(name, OURS | PYINFRA)


def known_groups(draft: Draft) -> Iterator[Problem]:
    groups = {"all", "head", "workers", draft.sources.whole}
    groups |= {group for group, _ in draft.sources.listed}
    for group in sorted(draft.sources.groups.keys() - groups):
        yield Problem(
            f"group_data/{group}.py", "no group has this name" + did_you_mean(group, groups)
        )


def same_everywhere(draft: Draft) -> Iterator[Problem]:
    for setting in CLUSTER_WIDE:
        for host in draft.hosts.values():
            here, there = host.data.get(setting), draft.first.data.get(setting)
            if here and there and here.value != there.value:
                yield Problem(
                    here.file,
                    f"{here.value} for {host.name}, {there.value} for {draft.first.name}: it is "
                    "one for the whole cluster, and belongs in group_data/all.py",
                    setting=setting,
                )
                break
