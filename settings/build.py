"""Build the cluster from what was written; report everything that is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from messages import Said
from messages import settings as messages
from settings import placement, rules
from settings.fields import Typed, nearest
from settings.model import Cluster, Node
from settings.problems import Problem, SettingsError, shown
from settings.sources import Host, Sources, Value

_SECRET = ("wifi_psk_file", "backup_key_file", "ssh_password", "ssh_key_password")
_NEEDED_BY = {"router": "router"} | dict.fromkeys(
    ("uplink_interface", "uplink_network", "uplink_gateway", "uplink_method"), "nat"
)
# pydantic's own errors: what the value is not, and what to write.
_TYPES = {
    "string_type": ("a text", "it in quotes"),
    "string_unicode": ("a text in UTF-8", "another value"),
    "bool_type": ("True or False", "one of them, without quotes"),
    "bool_parsing": ("true or false", "one of them"),
    "int_type": ("a whole number", "it in digits, without quotes"),
    "int_parsing": ("a whole number", "it in digits"),
    "float_type": ("a number", "it in digits, without quotes"),
    "float_parsing": ("a number", "it in digits"),
    "tuple_type": ("a list", '["...", "..."]'),
    "dict_type": ("a mapping", '{"name": "value"}'),
}


def build(sources: Sources) -> Cluster:
    """Build the cluster; ``SettingsError`` with all mistakes."""
    hosts = sources.members
    first = _first(sources)
    written: dict[str, Any] = {
        **_written(first.data, Cluster),
        "project": sources.project,
        "nodes": tuple(
            {
                **_written(host.data, Node),
                "name": host.name,
                "role": "control_plane" if "control_plane" in host.groups else "worker",
            }
            for host in hosts
        ),
    }
    problems = list(placement.problems(sources))
    if any(
        problem.file == "--data" and problem.setting in placement.HOST_DATA for problem in problems
    ):
        # It hides the nodes' own values.
        raise SettingsError(problems)
    try:
        control_planes = sum("control_plane" in host.groups for host in hosts)
        seen = rules.Seen(tuple(host.name for host in hosts), control_planes)
        cluster = Cluster.model_validate(written, context=seen)
    except ValidationError as error:
        problems += _problems(error, sources, first)
    if problems:
        raise SettingsError(problems)
    return cluster


def _first(sources: Sources) -> Host:
    """The host whose data hold for the whole cluster. Without one the groups' data stand in, so
    that no more is reported than that."""
    groups = {**sources.groups.get("all", {}), **sources.groups.get("control_plane", {})}
    first = next(iter(sources.members), Host("", (), {}))
    return Host(first.name, first.groups, {**groups, **first.data})


def _written(data: Mapping[str, Value], model: type[Cluster | Node]) -> dict[str, Any]:
    return {
        name: Typed(value.value)
        if value.file == "--data" and isinstance(value.value, str)
        else value.value
        for name, value in data.items()
        if name in model.model_fields and not placement.is_misplaced(name, value)
    }


def _problems(error: ValidationError, sources: Sources, first: Host) -> Iterator[Problem]:
    details = error.errors(include_url=False)
    meant = placement.meant(sources)
    nameless = {detail["loc"][1] for detail in details if detail["loc"][2:] == ("name",)}
    for detail in details:
        host, (name, *_) = first, detail["loc"]
        if name == "nodes":
            _, number, name, *_ = detail["loc"]
            host = sources.members[int(number)]
        name = str(name)
        if detail["type"] == "missing":
            at_wrong_name = detail["loc"][0] == "nodes" and detail["loc"][1] in nameless
            if name not in meant and not at_wrong_name:
                yield _missing(name, host, sources)
            continue
        file = host.data[name].file if name in host.data else sources.inventory
        setting = None if name == "name" else name
        at_host = host.name if file == sources.inventory else None
        written = host.data[name].value if name in host.data else None
        if _is_listed(written):
            yield Problem(file, messages.TRAILING_COMMA(value=shown(written)), at_host, setting)
            continue
        for said in _said(detail, name):
            yield Problem(file, said, at_host, setting)


def _is_listed(value: object) -> bool:
    """Tell whether a comma at the end of the line has made a tuple of a list."""
    return isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], (list, dict))


def _said(detail: Mapping[str, Any], name: str) -> tuple[Said, ...]:
    """The messages of the function that found the mistake, or one for pydantic's own error."""
    value, kind, context = detail["input"], detail["type"], detail.get("ctx", {})
    if "error" in context:
        found: tuple[Said, ...] = context["error"].args
        if not all(isinstance(said, Said) for said in found):  # Python's own, of a huge number
            found = (messages.INVALID(value=shown(value), kind="usable", instead="another value"),)
        if name in _SECRET and any(said.values.get("value") == shown(value) for said in found):
            # Someone may have written the key itself here.
            return (messages.SECRET_NOT_A_PATH(),)
        return found
    given = "this" if name in _SECRET and value is not None else shown(value)
    if isinstance(value, tuple) and len(value) == 1 and kind != "tuple_type":
        return (messages.TRAILING_COMMA(value=given),)
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        near = nearest(value, allowed) if isinstance(value, str) else None
        instead = repr(near) if near else context["expected"]
        said = messages.NOT_ONE_OF(value=given, allowed=context["expected"], instead=instead)
        return (said,)
    form, instead = _TYPES.get(kind, (detail["msg"], "another value"))
    if kind == "string_type" and isinstance(value, (list, tuple, set, dict)):
        instead = "one text in quotes, without brackets"
    elif kind == "string_type" and (value is None or isinstance(value, bool)):
        instead = "a text in quotes"
    elif kind == "tuple_type" and value and isinstance(value, (str, set)):
        words = re.split(r"[,;\s]+", value) if isinstance(value, str) else value
        if all(isinstance(word, str) for word in words) and any(words):
            words = sorted(words) if isinstance(words, set) else [word for word in words if word]
            instead = json.dumps(words, ensure_ascii=False)
    return (messages.WRONG_TYPE(value=given, kind=form, instead=instead),)


def _missing(name: str, host: Host, sources: Sources) -> Problem:
    if name in placement.HOST_DATA:
        instead = f'("{host.name}", {{"{name}": "192.168.2.…"}})'
        return Problem(sources.inventory, messages.MISSING(instead=instead), host.name, name)
    file = placement.ALL
    if not sources.groups.get("all"):
        return Problem(file, messages.FILE_EMPTY(file=file))
    needed = f', which topology "{_NEEDED_BY[name]}" needs' if name in _NEEDED_BY else ""
    return Problem(file, messages.MISSING(instead=f"its line again{needed}"), setting=name)
