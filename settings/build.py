"""From what was written to a cluster: parse each setting, check the whole, report everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from settings import checks
from settings.errors import Problem, SettingsError
from settings.model import Cluster, Node
from settings.sources import Host, Sources

Model = TypeVar("Model", bound=BaseModel)

_NEEDED_BY = {
    "router": "router",
    "uplink_interface": "nat",
    "uplink_network": "nat",
    "uplink_gateway": "nat",
    "uplink_method": "nat",
}


def build(sources: Sources) -> Cluster:
    """Build the cluster. Raises `SettingsError` with every mistake in it."""
    hosts = {host.name: host for host in _head_first(sources)}
    problems: list[Problem] = []
    nodes = []
    for host in hosts.values():
        role = "head" if "head" in host.groups else "worker"
        given = {"name": host.name, "role": role}
        nodes.append(_parse(Node, given, host, sources, problems))
    first = _first(hosts.values(), sources)
    cluster = _parse(
        Cluster, {"desk": sources.desk, "nodes": tuple(nodes)}, first, sources, problems
    )
    draft = checks.Draft(sources, hosts, first, cluster)
    for check in checks.CHECKS:
        problems.extend(_run(check, draft, problems))
    if problems:
        raise SettingsError(problems)
    return cluster


def _head_first(sources: Sources) -> list[Host]:
    ours = [host for host in sources.hosts if {"head", "workers"} & set(host.groups)]
    return sorted(ours, key=lambda host: "head" not in host.groups)


def _first(hosts: Iterable[Host], sources: Sources) -> Host:
    """The host whose data hold for the whole cluster: the head (`same_everywhere` compares the
    others'). Without a head the groups' data stand in, so that no more is reported than that."""
    groups = {**sources.groups.get("all", {}), **sources.groups.get("head", {})}
    first = next(iter(hosts), Host("", (), {}))
    return Host(first.name, first.groups, {**groups, **first.data})


def _parse(
    model: type[Model],
    given: Mapping[str, object],
    host: Host,
    sources: Sources,
    problems: list[Problem],
) -> Model:
    """The model of the host's data. When some of it is wrong, that is added to the problems, and
    the result lacks it."""
    settings = [name for name in model.model_fields if name not in given]
    written = {name: host.data[name].value for name in settings if name in host.data}
    try:
        return model.model_validate({**given, **written})
    except ValidationError as error:
        wrong = {str(detail["loc"][0]): detail for detail in error.errors()}
    for name, detail in wrong.items():
        if detail["type"] == "missing":
            problems.append(_missing(name, host, sources))
            continue
        file = host.data[name].file
        at_host = host.name if file == sources.inventory else None
        problems.append(Problem(file, str(detail["ctx"]["error"]), at_host, name))
    right = {
        name: TypeAdapter(model.model_fields[name].rebuild_annotation()).validate_python(value)
        for name, value in written.items()
        if name not in wrong
    }
    return model.model_construct(_fields_set=None, **given, **right)


def _missing(name: str, host: Host, sources: Sources) -> Problem:
    if name in checks.HOST_DATA:
        text = f'missing: write ("{host.name}", {{"{name}": "192.168.2.…"}})'
        return Problem(sources.inventory, text, host.name, name)
    group = "head" if name in checks.HEAD_ONLY else "all"
    needed = f', which topology "{_NEEDED_BY[name]}" needs' if name in _NEEDED_BY else ""
    return Problem(f"group_data/{group}.py", f"missing: write its line{needed}", setting=name)


def _run(check: checks.Check, draft: checks.Draft, before: list[Problem]) -> Iterator[Problem]:
    try:
        yield from check(draft)
    except AttributeError:
        if not before:  # then everything was parsed, and this is a mistake in the check
            raise
